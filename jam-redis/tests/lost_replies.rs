//! A write whose reply is lost is never sent again: not by jam, not by the driver, and `modify` does not count twice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jam_core::{ErrorKind, Load, Record, RecordId, Rename, Result, SessionStore, Sessions, Timestamp, Version};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Monitor, Proxy, Server};
use serde_json::json;
use tokio::task::JoinSet;

const EXPIRY: Timestamp = Timestamp::from_secs(9_000_000_000);

fn id(name: &str) -> RecordId {
    RecordId::new("user1".parse().unwrap(), name).unwrap()
}

fn record(payload: &'static str, expires_at: Timestamp) -> Record {
    Record::new(payload, Some(expires_at))
}

/// Every write of the contract.
#[derive(Clone, Copy, Debug)]
enum Write {
    Insert,
    Replace,
    ReplaceExpected,
    Touch,
    Rename,
    Remove,
    Clear,
}

impl Write {
    const ALL: [Self; 7] = [
        Self::Insert,
        Self::Replace,
        Self::ReplaceExpected,
        Self::Touch,
        Self::Rename,
        Self::Remove,
        Self::Clear,
    ];

    async fn make(self, store: &RedisStore) -> Result<()> {
        let (there, version) = (id("there"), Version::from_content("old"));
        let new = record("new", EXPIRY);
        match self {
            Self::Insert => store.insert(&id("new"), &new).await,
            Self::Replace => store.replace(&there, None, &new).await,
            Self::ReplaceExpected => store.replace(&there, Some(&version), &new).await,
            Self::Touch => store.touch(&there, EXPIRY.plus(Duration::from_secs(1))).await.map(drop),
            Self::Rename => {
                let to = id("new");
                store.rename(Rename::new(&there, &version, &to, &new)).await
            }
            Self::Remove => store.remove(&there).await.map(drop),
            Self::Clear => store.clear(there.key()).await.map(drop),
        }
    }

    /// What it leaves behind: ids, payloads and expiries.
    fn leaves(self) -> Vec<(&'static str, &'static str, Timestamp)> {
        match self {
            Self::Insert => vec![("new", "new", EXPIRY), ("there", "old", EXPIRY)],
            Self::Replace | Self::ReplaceExpected => vec![("there", "new", EXPIRY)],
            Self::Touch => vec![("there", "old", EXPIRY.plus(Duration::from_secs(1)))],
            Self::Rename => vec![("new", "new", EXPIRY)],
            Self::Remove | Self::Clear => vec![],
        }
    }
}

/// How often clients asked for something on the hash.
fn asked(monitor: &mut Monitor) -> usize {
    let lines = monitor.lines_until_quiet();
    let asks =
        |line: &&jam_test_servers::Line| !line.in_script() && line.words().iter().any(|word| word == "sessions:user1");
    lines.iter().filter(asks).count()
}

async fn reaches_the_server_once(kind: Kind) {
    let server = Server::start(kind);
    let proxy = Proxy::start(server.address());
    for write in Write::ALL {
        // A process that has just come asks by script where another one asks by command.
        for fresh in [false, true] {
            server.command(&["FLUSHALL"]);
            let filler = RedisStore::open(server.url()).await.unwrap();
            filler.insert(&id("there"), &record("old", EXPIRY)).await.unwrap();
            let store = RedisStore::open(proxy.url()).await.unwrap();
            if !fresh {
                store.load(&id("there"), Load::new()).await.unwrap().unwrap();
            }
            let mut monitor = server.monitor();
            proxy.drop_replies();
            let error = write.make(&store).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{write:?}: {error}");
            assert!(error.outcome_unknown() && !error.is_retryable(), "{write:?}: {error}");
            proxy.heal();
            // The store has a new connection now, and has had every chance to send it again.
            store.load(&id("other"), Load::new()).await.unwrap();
            assert_eq!(asked(&mut monitor), 2, "{write:?} and the read, each once");
            let mut left = store.list(&"user1".parse().unwrap()).await.unwrap();
            left.sort_by(|a, b| a.id.cmp(&b.id));
            let left: Vec<_> = left
                .iter()
                .map(|entry| {
                    let payload = str::from_utf8(&entry.stored.payload).unwrap();
                    (entry.id.id(), payload, entry.expires_at.unwrap())
                })
                .collect();
            assert_eq!(left, write.leaves(), "{write:?} was made");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_reply_is_lost_reaches_an_old_server_once() {
    reaches_the_server_once(Kind::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_reply_is_lost_reaches_a_new_server_once() {
    reaches_the_server_once(Kind::New).await;
}

/// What came of the calls of a kind.
#[derive(Default)]
struct Outcomes {
    made: AtomicU64,
    unknown: AtomicU64,
}

impl Outcomes {
    fn note<T>(&self, result: Result<T>) {
        match result {
            Ok(_) => self.made.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                // A lost reply to the create of an id would be `AlreadyExists` if it were sent again.
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                self.unknown
                    .fetch_add(u64::from(error.outcome_unknown()), Ordering::Relaxed)
            }
        };
    }

    fn compare(&self, what: &str, there: u64) {
        let (made, unknown) = (self.made.load(Ordering::Relaxed), self.unknown.load(Ordering::Relaxed));
        assert!(made > 0 && unknown > 0, "{what}: {made} made, {unknown} unknown");
        assert!(
            made <= there && there <= made + unknown,
            "{what}: {made} made, {unknown} unknown, and {there} there"
        );
    }
}

async fn nothing_counts_twice(kind: Kind) {
    const TASKS: usize = 16;
    let server = Server::start(kind);
    let proxy = Arc::new(Proxy::start(server.address()));
    // A manager each, so that they do not queue, on two connections.
    let stores = [
        Arc::new(RedisStore::open(proxy.url()).await.unwrap()),
        Arc::new(RedisStore::open(proxy.url()).await.unwrap()),
    ];
    let counter = Sessions::new(Arc::clone(&stores[0]))
        .create("counter", json!({"count": 0}))
        .await
        .unwrap();
    let (modified, created) = (Arc::new(Outcomes::default()), Arc::new(Outcomes::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let sessions = Sessions::builder(Arc::clone(&stores[task % 2]))
            .max_attempts(10_000)
            .build()
            .unwrap();
        let (counter, stop) = (counter.clone(), Arc::clone(&stop));
        let (modified, created) = (Arc::clone(&modified), Arc::clone(&created));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let increment =
                    |data: &mut jam_core::Data| data["count"] = (data["count"].as_u64().unwrap() + 1).into();
                modified.note(sessions.modify(&counter, increment).await);
                created.note(sessions.create("visitor", json!({})).await);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    for round in 0..60 {
        match round % 4 {
            0 => proxy.drop_replies(),
            1 => proxy.sever_after_reply_bytes(1 + 17 * round),
            2 => proxy.sever_after_request_bytes(1 + 171 * round),
            _ => proxy.sever(),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        proxy.heal();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let sessions = Sessions::new(RedisStore::open(server.url()).await.unwrap());
    let count = sessions
        .get(&counter)
        .await
        .unwrap()
        .unwrap()
        .get("count")
        .unwrap()
        .unwrap();
    modified.compare("increments", count);
    created.compare("sessions", sessions.list("visitor").await.unwrap().len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_increment_through_lost_replies_never_counts_twice_on_an_old_server() {
    nothing_counts_twice(Kind::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_increment_through_lost_replies_never_counts_twice_on_a_new_server() {
    nothing_counts_twice(Kind::New).await;
}
