//! A cluster of three primaries with a replica each.

mod migration;
mod slot;
mod view;

use std::thread;

pub use self::migration::Migration;
pub use self::slot::slot_of;

use self::slot::SLOTS;
use self::view::{Node, View};
use crate::options::ServerOptions;
use crate::programs::Kind;
use crate::resp::Reply;
use crate::server::Server;
use crate::wait::until;

const PRIMARIES: usize = 3;

/// Three primaries and three replicas; a primary that is gone is failed over within seconds.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster, and waits until every node calls it well and every replica follows its primary.
    ///
    /// # Panics
    ///
    /// If the servers do not start or do not get together.
    pub fn start(kind: Kind) -> Self {
        Self::start_with(Server::options(kind))
    }

    /// As [`start`](Self::start), every node with these options. A primary counts as gone after 1.5 seconds unless
    /// `cluster-node-timeout` says otherwise.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(options: ServerOptions) -> Self {
        let options = options.defaults(&[
            ("cluster-enabled", "yes"),
            ("cluster-node-timeout", "1500"),
            ("cluster-replica-validity-factor", "0"),
            ("repl-diskless-sync", "yes"),
            ("repl-diskless-sync-delay", "0"),
        ]);
        let nodes = thread::scope(|scope| {
            let starting: Vec<_> = (0..2 * PRIMARIES)
                .map(|_| scope.spawn(|| options.clone().start()))
                .collect();
            starting
                .into_iter()
                .map(|node| node.join().expect("a node of the cluster starts"))
                .collect()
        });
        let cluster = Self { nodes };
        cluster.introduce();
        cluster.assign();
        cluster.wait_until_ok();
        cluster
    }

    /// The URL of one running node, enough for a client to find the others.
    ///
    /// # Panics
    ///
    /// If none runs.
    pub fn url(&self) -> String {
        self.running().next().expect("a node of the cluster runs").url()
    }

    /// The URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// The six nodes; who is a primary changes with every failover.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The running nodes that are primaries.
    pub fn primaries(&self) -> Vec<&Server> {
        self.running()
            .filter(|node| View::of(node).is_ok_and(|view| view.myself().is_primary()))
            .collect()
    }

    /// The running node that serves this key.
    ///
    /// # Panics
    ///
    /// If there is none for a long time.
    pub fn primary_of(&self, key: &str) -> &Server {
        self.primary_of_slot(slot_of(key))
    }

    /// The running node that serves this slot.
    ///
    /// # Panics
    ///
    /// If there is none for a long time.
    pub fn primary_of_slot(&self, slot: u16) -> &Server {
        until("a primary", || {
            let claims = self.running().filter_map(|node| {
                let view = View::of(node).ok()?;
                let myself = view.myself();
                (myself.is_primary() && myself.serves(slot)).then_some((myself.epoch, node))
            });
            // One that was away may not know yet that it has been replaced.
            let latest = claims.max_by_key(|(epoch, _)| *epoch);
            latest
                .map(|(_, node)| node)
                .ok_or_else(|| format!("nobody serves slot {slot}"))
        })
    }

    /// A running replica of the node that serves this key.
    ///
    /// # Panics
    ///
    /// If there is none for a long time.
    pub fn replica_of(&self, key: &str) -> &Server {
        until("a replica", || {
            let primary = id(self.primary_of(key));
            let follows =
                |node: &&Server| View::of(node).is_ok_and(|view| view.myself().primary.as_ref() == Some(&primary));
            self.running()
                .find(follows)
                .ok_or_else(|| format!("nobody follows {primary}"))
        })
    }

    /// SIGKILL to the primary of this key, which is given back. Its replica takes over by itself:
    /// [`wait_until_ok`](Self::wait_until_ok). After a [`restart`](Server::restart) it comes back as a replica.
    ///
    /// # Panics
    ///
    /// If there is no such primary for a long time.
    pub fn kill_primary(&self, key: &str) -> &Server {
        let primary = self.primary_of(key);
        primary.kill();
        primary
    }

    /// Has a replica take over from the primary of this key in good order, without losing a write.
    ///
    /// # Panics
    ///
    /// If it does not happen.
    pub fn fail_over(&self, key: &str) {
        let (primary, replica) = (self.primary_of(key), self.replica_of(key));
        until("a replica to take over", || {
            if self.primary_of(key).port() != primary.port() {
                return Ok(());
            }
            Err(format!("{:?}", replica.command(&["CLUSTER", "FAILOVER"])))
        });
        self.wait_until_ok();
    }

    /// Waits until every running node calls the cluster well, all agree on who serves what, every slot is served by a running
    /// node, and the running replicas follow theirs.
    ///
    /// # Panics
    ///
    /// If that does not happen.
    pub fn wait_until_ok(&self) {
        until("a cluster to be well", || self.check());
    }

    /// Moves a slot and the keys in it to another primary; clients meet `ASK` and `MOVED` meanwhile.
    ///
    /// # Panics
    ///
    /// If a node refuses.
    pub fn reshard(&self, slot: u16, to: &Server) {
        self.begin_migrating(slot, to).finish();
    }

    /// Opens a slot for its move to another primary, and moves nothing yet: keys that are there stay, and clients are sent
    /// to the other node (`ASK`) for all others.
    ///
    /// # Panics
    ///
    /// If a node refuses.
    pub fn begin_migrating<'a>(&'a self, slot: u16, to: &'a Server) -> Migration<'a> {
        Migration::begin(self, slot, to)
    }

    fn running(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().filter(|node| node.is_running())
    }

    /// Makes the nodes known to each other, each to every other, since hearsay takes its time.
    fn introduce(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            // Nobody may have the epoch of another, and nodes that have just met all have the same.
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for (number, node) in self.nodes.iter().enumerate() {
            for other in &self.nodes[number + 1..] {
                ok(node, &["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]);
            }
        }
        until("six nodes to meet", || {
            for node in &self.nodes {
                let met = View::of(node)?.nodes.iter().filter(|node| node.is_well()).count();
                if met != self.nodes.len() {
                    return Err(format!("port {} knows {met}", node.port()));
                }
            }
            Ok(())
        });
    }

    /// Hands out the slots, and a primary to each replica.
    fn assign(&self) {
        let (primaries, replicas) = self.nodes.split_at(PRIMARIES);
        for (number, primary) in primaries.iter().enumerate() {
            let from = number * usize::from(SLOTS) / PRIMARIES;
            let to = (number + 1) * usize::from(SLOTS) / PRIMARIES;
            // Redis 6.2 has no ADDSLOTSRANGE.
            let words: Vec<String> = ["CLUSTER", "ADDSLOTS"]
                .map(str::to_owned)
                .into_iter()
                .chain((from..to).map(|slot| slot.to_string()))
                .collect();
            ok(primary, &words);
        }
        for (primary, replica) in primaries.iter().zip(replicas) {
            ok(replica, &["CLUSTER", "REPLICATE", &id(primary)]);
        }
    }

    fn check(&self) -> Result<(), String> {
        let mut agreed: Option<(u16, Vec<Node>)> = None;
        let (mut replicas, mut followers) = (0, 0);
        for node in self.running() {
            let port = node.port();
            let ask = |words: &[&str]| node.try_command(words).map_err(|error| format!("port {port}: {error}"));
            let info = ask(&["CLUSTER", "INFO"])?;
            if !info.text().contains("cluster_state:ok") {
                return Err(format!("port {port} calls it ill"));
            }
            let role = ask(&["ROLE"])?;
            match (role.array()[0].text(), role.array().get(2), role.array().get(3)) {
                ("master", Some(list), _) => followers += list.array().len(),
                ("slave", _, Some(Reply::Bulk(link))) if link == b"connected" => replicas += 1,
                other => return Err(format!("port {port} has no link to its primary: {other:?}")),
            }
            let view = View::of(node)?.of_those(|port| self.running().any(|node| node.port() == port))?;
            match &agreed {
                Some((other, agreed)) if *agreed != view => {
                    return Err(format!("ports {other} and {port} do not agree"));
                }
                Some(_) => {}
                None => agreed = Some((port, view)),
            }
        }
        if agreed.is_none() {
            return Err("no node runs".to_owned());
        }
        if followers < replicas {
            return Err(format!(
                "{followers} of {replicas} replicas are known to their primaries"
            ));
        }
        Ok(())
    }
}

/// Runs a command that a node must not refuse.
fn ok<A: AsRef<[u8]>>(node: &Server, words: &[A]) {
    let reply = node.command(words);
    let words: Vec<_> = words
        .iter()
        .take(3)
        .map(|word| String::from_utf8_lossy(word.as_ref()))
        .collect();
    assert!(
        reply.is_ok(),
        "port {} refused {}: {reply:?}",
        node.port(),
        words.join(" ")
    );
}

/// What the cluster calls a node.
fn id(node: &Server) -> String {
    node.command(&["CLUSTER", "MYID"]).text().to_owned()
}
