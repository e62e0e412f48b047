//! One primary, two replicas, and three sentinels that watch over them.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::options::ServerOptions;
use crate::programs::Kind;
use crate::resp::Reply;
use crate::server::Server;
use crate::wait::until;

/// Two of three have to agree that the primary is gone.
const QUORUM: usize = 2;

/// A primary with two replicas under the name [`SERVICE`](Self::SERVICE), failed over within seconds.
#[derive(Debug)]
pub struct Sentinels {
    watchers: Vec<Server>,
    nodes: Vec<Server>,
    /// The primary that the test knows of; a new one is another.
    known: Mutex<SocketAddr>,
}

impl Sentinels {
    /// What the sentinels call the primary and its replicas.
    pub const SERVICE: &'static str = "jam";

    /// Starts all six, and waits until every sentinel knows of every other and of both replicas.
    ///
    /// # Panics
    ///
    /// If the servers do not start or do not find each other.
    pub fn start(kind: Kind) -> Self {
        Self::start_with(Server::options(kind))
    }

    /// As [`start`](Self::start), the primary and the replicas with these options. The sentinels ask for no password.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(options: ServerOptions) -> Self {
        let options = options.defaults(&[("repl-diskless-sync", "yes"), ("repl-diskless-sync-delay", "0")]);
        let primary = options.clone().start();
        let follow = format!("127.0.0.1 {}", primary.port());
        let replica = || options.clone().defaults(&[("replicaof", &follow)]).start();
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(replica);
            (replica(), first.join().expect("a replica starts"))
        });
        let known = Mutex::new(primary.address());
        let mut cast = Self {
            watchers: Vec::new(),
            nodes: vec![primary, first, second],
            known,
        };
        // Sentinels learn of replicas by asking the primary, and do so rarely.
        until("two replicas to follow", || cast.check_replicas());
        cast.watchers = (0..3).map(|_| sentinel(&options, cast.nodes[0].port())).collect();
        cast.wait_until_ok();
        cast
    }

    /// Where the sentinels are.
    pub fn sentinel_addresses(&self) -> Vec<SocketAddr> {
        self.watchers.iter().map(Server::address).collect()
    }

    /// The three sentinels.
    pub fn sentinels(&self) -> &[Server] {
        &self.watchers
    }

    /// The primary and the replicas; who is who changes with every failover.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Where the sentinels say that the primary is.
    ///
    /// # Panics
    ///
    /// If they do not agree for a long time.
    pub fn primary_address(&self) -> SocketAddr {
        until("the sentinels to agree", || self.agreed())
    }

    /// The server that the sentinels call the primary.
    ///
    /// # Panics
    ///
    /// If they do not agree for a long time.
    pub fn primary(&self) -> &Server {
        let address = self.primary_address();
        self.node(address).expect("the sentinels know no other servers")
    }

    /// SIGKILL to the primary, which is given back; a replica takes over by itself:
    /// [`wait_for_new_primary`](Self::wait_for_new_primary). After a [`restart`](Server::restart) the sentinels make it a replica.
    ///
    /// # Panics
    ///
    /// If the sentinels do not agree on one for a long time.
    pub fn kill_primary(&self) -> &Server {
        let primary = self.primary();
        self.note(primary.address());
        primary.kill();
        primary
    }

    /// Has the sentinels make a replica the primary although the primary is well; where that is.
    ///
    /// # Panics
    ///
    /// If it does not happen.
    pub fn fail_over(&self) -> SocketAddr {
        let sentinel = self.running().next().expect("a sentinel runs");
        self.note(self.primary_address());
        until("a failover to begin", || {
            let reply = sentinel.command(&["SENTINEL", "FAILOVER", Self::SERVICE]);
            if reply.is_ok() {
                Ok(())
            } else {
                Err(format!("{reply:?}"))
            }
        });
        self.wait_for_new_primary()
    }

    /// Waits until every running sentinel names another primary than the last time, and that one takes writes; where it is.
    ///
    /// # Panics
    ///
    /// If that does not happen.
    pub fn wait_for_new_primary(&self) -> SocketAddr {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = until("a new primary", || {
            let address = self.agreed()?;
            let node = self.node(address).filter(|node| address != *known && node.is_running());
            let node = node.ok_or_else(|| format!("it still is {address}"))?;
            match node.try_command(&["ROLE"]) {
                Ok(Reply::Array(role)) if role[0].text() == "master" => Ok(address),
                other => Err(format!("{address} is no primary yet: {other:?}")),
            }
        });
        *known
    }

    /// Waits until every running sentinel knows of every other and of the replicas, and these follow the primary.
    ///
    /// # Panics
    ///
    /// If that does not happen.
    pub fn wait_until_ok(&self) {
        until("the replicas to follow", || self.check_replicas());
        until("the sentinels to know each other", || self.check_sentinels());
    }

    /// On a busy machine there may have been a failover that nobody asked for.
    fn note(&self, primary: SocketAddr) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = primary;
    }

    fn running(&self) -> impl Iterator<Item = &Server> {
        self.watchers.iter().filter(|sentinel| sentinel.is_running())
    }

    fn node(&self, address: SocketAddr) -> Option<&Server> {
        self.nodes.iter().find(|node| node.address() == address)
    }

    fn agreed(&self) -> Result<SocketAddr, String> {
        let mut agreed = None;
        for sentinel in self.running() {
            let reply = sentinel.try_command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::SERVICE]);
            let address = match &reply {
                Ok(Reply::Array(words)) => words.iter().map(Reply::text).collect::<Vec<_>>().join(":"),
                other => return Err(format!("port {} said {other:?}", sentinel.port())),
            };
            if agreed.as_ref().is_some_and(|agreed| *agreed != address) {
                return Err(format!("both {address} and {agreed:?} are called the primary"));
            }
            agreed = Some(address);
        }
        agreed
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| "no sentinel runs".to_owned())
    }

    /// One running primary, and all others that run follow it.
    fn check_replicas(&self) -> Result<(), String> {
        let mut primary = None;
        let mut follow = Vec::new();
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            let role = node.try_command(&["ROLE"]).map_err(|error| error.to_string())?;
            match role.array() {
                [name, _, list] if name.text() == "master" => {
                    if primary.replace((node.port(), list.array().len())).is_some() {
                        return Err("there are two primaries".to_owned());
                    }
                }
                [_, _, port, link, ..] if link.text() == "connected" => follow.push(port.int()),
                other => return Err(format!("port {} has no link: {other:?}", node.port())),
            }
        }
        match primary {
            Some((port, listed)) if listed >= follow.len() && follow.iter().all(|of| *of == i64::from(port)) => Ok(()),
            other => Err(format!("{other:?} is followed by replicas of {follow:?}")),
        }
    }

    fn check_sentinels(&self) -> Result<(), String> {
        for sentinel in self.running() {
            // How often they ask and tell, in milliseconds; by default a cast takes long to get to know itself. Redis 6.2 has
            // no such thing. A replica that was not heard of for five pings does not become the primary's successor, so pings
            // must not be much more frequent than a busy machine can answer.
            let hurry = ["info-period", "200", "publish-period", "200", "ping-period", "500"];
            let words: Vec<&str> = ["SENTINEL", "DEBUG"].into_iter().chain(hurry).collect();
            let _ = sentinel.try_command(&words);
            let state = sentinel.command(&["SENTINEL", "MASTER", Self::SERVICE]);
            let state = state.texts();
            let number = |name| {
                state
                    .iter()
                    .position(|field| *field == name)
                    .and_then(|at| state[at + 1].parse().ok())
            };
            let (others, replicas) = (number("num-other-sentinels"), number("num-slaves"));
            if (others, replicas) != (Some(self.watchers.len() - 1), Some(self.nodes.len() - 1)) {
                return Err(format!(
                    "port {} knows {others:?} sentinels, {replicas:?} replicas",
                    sentinel.port()
                ));
            }
        }
        self.agreed().map(|_| ())
    }
}

fn sentinel(options: &ServerOptions, primary: u16) -> Server {
    let service = Sentinels::SERVICE;
    let mut sentinel = ServerOptions::bare(options.kind, options.program.clone())
        .arg("sentinel", &format!("monitor {service} 127.0.0.1 {primary} {QUORUM}"))
        .arg("sentinel", &format!("down-after-milliseconds {service} 1000"))
        .arg("sentinel", &format!("failover-timeout {service} 3000"));
    match options.credentials().as_slice() {
        [password] => sentinel = sentinel.arg("sentinel", &format!("auth-pass {service} {password}")),
        [user, password] => {
            sentinel = sentinel
                .arg("sentinel", &format!("auth-user {service} {user}"))
                .arg("sentinel", &format!("auth-pass {service} {password}"));
        }
        _ => {}
    }
    sentinel.sentinel = true;
    sentinel.start()
}
