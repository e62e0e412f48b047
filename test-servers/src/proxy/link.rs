//! One connection of a client, and the one to the server behind it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::faults::{Direction, Network, Random};

/// Both ends of a connection. They are reset when the last thread that serves them lets go.
#[derive(Debug)]
pub(super) struct Link {
    client: TcpStream,
    server: OnceLock<TcpStream>,
    cut: AtomicBool,
    /// Nothing passes any more, and nobody is told.
    stranded: AtomicBool,
}

impl Link {
    /// Serves a client on threads of its own. A server that is not there is a reset to the client.
    pub(super) fn open(network: &Arc<Network>, client: TcpStream, target: SocketAddr, seed: u64) {
        let link = Arc::new(Self {
            client,
            server: OnceLock::new(),
            cut: AtomicBool::new(false),
            stranded: AtomicBool::new(false),
        });
        let network = Arc::clone(network);
        network.add(&link);
        thread::spawn(move || {
            // A reset instead of a polite end, unless the two ends part politely.
            if prepare(&link.client).is_err() || network.refuses() || !network.wait_while_held(&link) {
                return;
            }
            let Ok(server) = TcpStream::connect(target) else { return };
            if prepare(&server).is_err() {
                return;
            }
            // A cut that came before this could not reach the server's end.
            if link.server.set(server).is_err() || link.is_cut() {
                return;
            }
            thread::scope(|scope| {
                scope.spawn(|| link.pump(&network, Direction::Reply, seed));
                link.pump(&network, Direction::Request, seed + 1);
            });
        });
    }

    /// Ends the connection at both ends; what is under way is lost.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        // Wakes who reads and tells the other side nothing: that is left to the reset.
        for stream in std::iter::once(&self.client).chain(self.server.get()) {
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    pub(super) fn strand(&self) {
        self.stranded.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stranded(&self) -> bool {
        self.stranded.load(Ordering::SeqCst)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Passes bytes on in one direction until that ends.
    fn pump(&self, network: &Network, direction: Direction, seed: u64) {
        let Some(server) = self.server.get() else { return };
        let (from, to) = match direction {
            Direction::Request => (&self.client, server),
            Direction::Reply => (server, &self.client),
        };
        if self.pass(network, direction, from, to, &mut Random(seed)).is_err() {
            self.cut();
        }
    }

    fn pass(
        &self,
        network: &Network,
        direction: Direction,
        mut from: &TcpStream,
        to: &TcpStream,
        random: &mut Random,
    ) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                // An end is news too, and has to wait like all others.
                return if network.wait_while_held(self) {
                    to.shutdown(Shutdown::Write)
                } else {
                    Ok(())
                };
            }
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                let piece = network
                    .admit(self, direction, rest.len(), random)
                    .ok_or(io::ErrorKind::ConnectionReset)?;
                self.write(to, &rest[..piece])?;
                network.passed(direction);
                rest = &rest[piece..];
            }
        }
    }

    /// Writes all, as long as the connection is not cut.
    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.is_cut() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A full buffer must not keep the thread from seeing that the connection is cut.
    stream.set_write_timeout(Some(Duration::from_millis(50)))?;
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
