//! A bad network between a client and a server.

mod faults;
mod link;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::faults::{Faults, Network};
use self::link::Link;

/// A TCP proxy that passes everything on until it is told to misbehave. Faults add up, hold for connections that are there
/// and those to come, and end with [`heal`](Self::heal). Chance is seeded: the n-th connection meets the same every time.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
    accepted: Arc<AtomicUsize>,
    door: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one in front of a server, with a seed of zero.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub fn start(target: SocketAddr) -> Self {
        Self::seeded(target, 0)
    }

    /// Starts one in front of a server, with a seed for its delays and splits.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub fn seeded(target: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port for a proxy");
        let address = listener.local_addr().expect("a bound listener has an address");
        let network = Arc::new(Network::default());
        let accepted = Arc::new(AtomicUsize::new(0));
        let door = {
            let (network, accepted) = (Arc::clone(&network), Arc::clone(&accepted));
            thread::spawn(move || {
                for client in listener.incoming() {
                    if network.is_closed() {
                        break;
                    }
                    let Ok(client) = client else { continue };
                    let number = accepted.fetch_add(1, Ordering::Relaxed) as u64;
                    Link::open(&network, client, target, seed.wrapping_add(number << 1));
                }
            })
        };
        Self {
            address,
            network,
            accepted,
            door: Some(door),
        }
    }

    /// Where clients are to connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `redis://127.0.0.1:<port>`, for a server without a password.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// How many connections clients have made so far.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Resets every connection, now. New ones are as before.
    pub fn sever(&self) {
        self.network.sever();
    }

    /// Passes nothing on any more over the connections that are there, for good, and tells neither end: the host is gone, or what
    /// was between them has forgotten them. New ones are as before.
    pub fn strand(&self) {
        self.network.strand();
    }

    /// Passes this many more bytes of requests on, over all connections, then resets every connection, once.
    pub fn sever_after_request_bytes(&self, bytes: usize) {
        if bytes == 0 {
            self.sever();
        } else {
            self.change(|faults| faults.requests_left = Some(bytes));
        }
    }

    /// Passes this many more bytes of replies on, over all connections, then resets every connection, once.
    pub fn sever_after_reply_bytes(&self, bytes: usize) {
        if bytes == 0 {
            self.sever();
        } else {
            self.change(|faults| faults.replies_left = Some(bytes));
        }
    }

    /// Passes requests on, and resets a connection instead of giving it a reply: the server has done what the client asks,
    /// and the client does not learn of it.
    pub fn drop_replies(&self) {
        self.change(|faults| faults.drop_replies = true);
    }

    /// Passes nothing on, in either direction; connections are accepted and silent. What was under way arrives late, after
    /// [`heal`](Self::heal).
    pub fn black_hole(&self) {
        self.change(|faults| faults.hold = true);
    }

    /// Resets new connections as soon as they are there.
    pub fn refuse(&self) {
        self.change(|faults| faults.refuse = true);
    }

    /// Delays each piece, in each direction, by a time in this range.
    pub fn delay(&self, range: RangeInclusive<Duration>) {
        self.change(|faults| faults.delay = Some(range));
    }

    /// Passes everything on in pieces of one to seven bytes.
    pub fn split(&self) {
        self.change(|faults| faults.split = Some(7));
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.change(|faults| *faults = Faults::default());
    }

    fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.network.change(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.close();
        // The thread at the door looks up when somebody comes.
        let _ = TcpStream::connect(self.address);
        if let Some(door) = self.door.take() {
            let _ = door.join();
        }
    }
}
