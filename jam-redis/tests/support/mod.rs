//! What the tests of clusters, sentinels and replicas share.
#![allow(dead_code, reason = "each test uses its part of this")]

pub(crate) mod account;
pub(crate) mod fake_sentinel;
pub(crate) mod load;
pub(crate) mod task;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jam_core::{Clock, Record, RecordId, SessionKey, SystemClock, Timestamp};
use jam_redis::{RedisOptions, RedisStore};
use jam_test_servers::{Reply, Server, slot_of};

/// How long opening a connection may take in these tests, and as long again an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// What a call may take at most: looking for the server, the answer, and what a busy machine adds.
pub(crate) const IN_TIME: Duration = Duration::from_millis(2_800);

/// The URL of the cluster that these nodes are in.
pub(crate) fn cluster_url<'a>(nodes: impl IntoIterator<Item = &'a Server>) -> String {
    format!("redis+cluster://{}", hosts(nodes))
}

/// The URL of the service that these sentinels watch over.
pub(crate) fn sentinel_url<'a>(sentinels: impl IntoIterator<Item = &'a Server>) -> String {
    format!("redis+sentinel://{}/jam", hosts(sentinels))
}

fn hosts<'a>(servers: impl IntoIterator<Item = &'a Server>) -> String {
    let hosts: Vec<_> = servers.into_iter().map(|server| server.address().to_string()).collect();
    hosts.join(",")
}

/// Settings of a store under a path of its own, with short timeouts.
pub(crate) fn options(url: impl AsRef<str>, path: &str) -> RedisOptions {
    RedisOptions::new(url)
        .session_path(path)
        .connect_timeout(TIMEOUT)
        .response_timeout(TIMEOUT)
}

pub(crate) async fn open(url: impl AsRef<str>, path: &str) -> Arc<RedisStore> {
    Arc::new(options(url, path).open().await.expect("the store opens"))
}

/// A path that no other test uses.
pub(crate) fn path() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("path{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A session key whose hash lies in the slot of this tag.
pub(crate) fn tagged(tag: &str, name: &str) -> SessionKey {
    SessionKey::new(format!("{{{tag}}}{name}")).expect("a test's key is one")
}

/// A tag whose slot satisfies the condition.
pub(crate) fn tag(prefix: &str, suits: impl Fn(u16) -> bool) -> String {
    (0..1_000_000)
        .map(|number| format!("{prefix}{number}"))
        .find(|tag| suits(slot_of(tag)))
        .expect("some tag does")
}

/// A moment so far from now.
pub(crate) fn expiry_in(time: Duration) -> Timestamp {
    SystemClock.now().plus(time)
}

pub(crate) fn record(text: &str) -> Record {
    let expires_at = expiry_in(Duration::from_hours(1));
    Record::new(format!("{{\"text\":\"{text}\"}}"), Some(expires_at))
}

pub(crate) fn id(key: &SessionKey, id: &str) -> RecordId {
    RecordId::new(key.clone(), id).expect("a test's id is one")
}

/// The slots that the node at this port serves.
pub(crate) fn slots_of(asked: &Server, port: u16) -> HashSet<u16> {
    let ranges = asked.command(&["CLUSTER", "SLOTS"]);
    let number = |reply: &Reply| u16::try_from(reply.int()).expect("a slot or a port");
    ranges
        .array()
        .iter()
        .map(Reply::array)
        .filter(|range| number(&range[2].array()[1]) == port)
        .flat_map(|range| number(&range[0])..=number(&range[1]))
        .collect()
}

/// The slot of the hash that holds the sessions of this key.
pub(crate) fn slot(path: &str, key: &str) -> u16 {
    slot_of(&format!("{path}:{key}"))
}
