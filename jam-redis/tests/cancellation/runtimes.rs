//! A store that several runtimes share, some of which end or are left alone.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use jam_core::{ErrorKind, Load, Record, RecordId, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_millis(500);

fn session() -> RecordId {
    RecordId::new("user1".parse().unwrap(), "id").unwrap()
}

/// A store whose connection lives on `home`, with a session.
fn open(server: &Server, home: &Runtime) -> Arc<RedisStore> {
    let options = RedisStore::options(server.url()).response_timeout(LIMIT);
    let store = Arc::new(home.block_on(options.open()).unwrap());
    let (id, record) = (session(), Record::new("{}", None));
    if let Err(error) = home.block_on(store.insert(&id, &record)) {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }
    store
}

/// Calls at once, of which each has to come back with the truth.
async fn all_come_back(store: &Arc<RedisStore>) -> usize {
    let mut calls = JoinSet::new();
    for _ in 0..32 {
        let store = Arc::clone(store);
        calls.spawn(async move { store.load(&session(), Load::new()).await });
    }
    let mut answered = 0;
    let all = async {
        while let Some(call) = calls.join_next().await {
            match call.unwrap() {
                Ok(stored) => {
                    assert_eq!(stored.unwrap().payload, "{}");
                    answered += 1;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
            }
        }
    };
    tokio::time::timeout(20 * LIMIT, all).await.expect("a call hangs");
    answered
}

#[test]
fn a_store_outlives_the_runtime_that_its_connection_was_opened_on() {
    let server = Server::start(Kind::New);
    let runtime = Runtime::new().unwrap();
    for _ in 0..20 {
        let home = Runtime::new().unwrap();
        let store = open(&server, &home);
        // Calls are under way on both when the one ends.
        for _ in 0..32 {
            let store = Arc::clone(&store);
            home.spawn(async move { while store.load(&session(), Load::new()).await.is_ok() {} });
        }
        let calls = runtime.spawn({
            let store = Arc::clone(&store);
            async move { all_come_back(&store).await }
        });
        // Until it has ended: a connection of its own could still come about.
        home.shutdown_timeout(20 * LIMIT);
        runtime.block_on(calls).unwrap();
        // The first one notices, and the connection is opened again.
        runtime.block_on(all_come_back(&store));
        assert_eq!(runtime.block_on(all_come_back(&store)), 32);
    }
}

#[test]
fn a_runtime_that_is_left_alone_keeps_nobody_waiting() {
    let server = Server::start(Kind::New);
    let runtime = Runtime::new().unwrap();
    let alone = Builder::new_current_thread().enable_all().build().unwrap();
    let store = open(&server, &alone);
    // Two calls begin, of which the second waits for a task to send it; then nothing runs there any more.
    for _ in 0..2 {
        let store = Arc::clone(&store);
        alone.spawn(async move { store.load(&session(), Load::new()).await });
    }
    alone.block_on(tokio::task::yield_now());
    runtime.block_on(all_come_back(&store));
    assert_eq!(runtime.block_on(all_come_back(&store)), 32);
}

#[test]
fn a_thread_that_waits_on_a_runtime_that_ends_does_not_wait_for_ever() {
    let server = Server::start(Kind::New);
    for _ in 0..20 {
        let home = Runtime::new().unwrap();
        let store = open(&server, &home);
        let (ended, threads) = mpsc::channel();
        for _ in 0..8 {
            let (store, handle, ended) = (Arc::clone(&store), home.handle().clone(), ended.clone());
            thread::spawn(move || {
                // A timer of a runtime that has ended panics, which is an end too.
                let _ended = Ended(ended);
                while handle.block_on(store.load(&session(), Load::new())).is_ok() {}
            });
        }
        thread::sleep(Duration::from_millis(5));
        home.shutdown_background();
        for _ in 0..8 {
            threads.recv_timeout(20 * LIMIT).expect("a call hangs");
        }
    }
}

struct Ended(mpsc::Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody listens any more once the test has failed.
        let _ = self.0.send(());
    }
}
