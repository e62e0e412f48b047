//! A slot on its way from one primary to another.

use super::{Cluster, id, ok};
use crate::resp::Reply;
use crate::server::Server;
use crate::wait::until;

/// A slot that is open at both ends: `ASK` for keys that are not at the old node. Dropping this leaves it so.
#[derive(Debug)]
#[must_use = "the slot stays open until `finish`"]
pub struct Migration<'a> {
    cluster: &'a Cluster,
    slot: String,
    from: &'a Server,
    to: &'a Server,
}

impl<'a> Migration<'a> {
    pub(super) fn begin(cluster: &'a Cluster, slot: u16, to: &'a Server) -> Self {
        let from = cluster.primary_of_slot(slot);
        let migration = Self {
            cluster,
            slot: slot.to_string(),
            from,
            to,
        };
        if from.port() != to.port() {
            // In this order: a client that is sent on must find the door open.
            migration.set_slot(to, "IMPORTING", from);
            migration.set_slot(from, "MIGRATING", to);
        }
        migration
    }

    /// The node that the slot leaves.
    pub const fn from(&self) -> &'a Server {
        self.from
    }

    /// Moves up to `limit` of the keys that are still at the old node; how many those were.
    ///
    /// # Panics
    ///
    /// If the old node refuses.
    pub fn move_keys(&self, limit: usize) -> usize {
        let listed = self
            .from
            .command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, &limit.to_string()]);
        let keys: Vec<&[u8]> = listed.array().iter().map(Reply::bytes).collect();
        if keys.is_empty() {
            return 0;
        }
        let port = self.to.port().to_string();
        let mut words: Vec<&[u8]> = [&b"MIGRATE"[..], b"127.0.0.1", port.as_bytes(), b"", b"0", b"5000"].to_vec();
        let credentials = self.to.credentials();
        if !credentials.is_empty() {
            words.push(if credentials.len() == 1 { b"AUTH" } else { b"AUTH2" });
            words.extend(credentials.iter().map(|word| word.as_bytes()));
        }
        words.push(b"KEYS");
        words.extend(&keys);
        // A key that has gone in between is NOKEY, which is fine.
        let reply = self.from.command(&words);
        assert!(
            !reply.is_error(),
            "port {} refused MIGRATE: {reply:?}",
            self.from.port()
        );
        keys.len()
    }

    /// Moves what is left, closes the slot, and waits until every node knows who serves it.
    ///
    /// # Panics
    ///
    /// If a node refuses.
    pub fn finish(self) {
        if self.from.port() == self.to.port() {
            return;
        }
        self.move_the_rest();
        // The new owner first, so that at no time nobody serves the slot.
        self.assign(self.to);
        self.assign(self.from);
        for primary in self.cluster.primaries() {
            self.assign(primary);
        }
        self.cluster.wait_until_ok();
    }

    fn move_the_rest(&self) {
        while self.move_keys(100) > 0 {}
    }

    /// Tells one node who serves the slot; the new owner waits for its replica first, and may find it late.
    fn assign(&self, node: &Server) {
        let words = ["CLUSTER", "SETSLOT", &self.slot, "NODE", &id(self.to)];
        until("a slot to be closed", || {
            let reply = node.command(&words);
            if reply.is_ok() {
                Ok(())
            } else {
                Err(format!("port {} said {reply:?}", node.port()))
            }
        });
    }

    fn set_slot(&self, node: &Server, state: &str, other: &Server) {
        ok(node, &["CLUSTER", "SETSLOT", &self.slot, state, &id(other)]);
    }
}
