//! Free ports on the loopback, claimed against other tests for as long as a server may come back to them.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below the ports that systems give to outgoing connections, so that no client takes the port of a server that is down.
const FIRST: u16 = 11_000;
const COUNT: u16 = 10_000;
/// Where a cluster node has its bus, counted from its port.
const BUS: u16 = 10_000;
/// Another address of the loopback: who listens here has the claim to the same port of 127.0.0.1.
const CLAIMS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A port that no other test takes while this value lives, across processes; the port itself stays free for a server.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _claim: TcpListener,
}

impl Port {
    /// Claims a port where nobody listens, nor on the bus port that belongs to it.
    ///
    /// # Panics
    ///
    /// When all ports are taken.
    pub(crate) fn free() -> Self {
        let somewhere = RandomState::new().hash_one(std::process::id());
        (0..u64::from(COUNT))
            .filter_map(|step| u16::try_from(somewhere.wrapping_add(step) % u64::from(COUNT)).ok())
            .find_map(|offset| Self::claim(FIRST + offset))
            .unwrap_or_else(|| panic!("no port of {FIRST} to {} is free on 127.0.0.1", FIRST + COUNT - 1))
    }

    fn claim(number: u16) -> Option<Self> {
        let claim = TcpListener::bind((CLAIMS, number)).ok()?;
        for port in [number, number + BUS] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        }
        Some(Self { number, _claim: claim })
    }

    pub(crate) const fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}
