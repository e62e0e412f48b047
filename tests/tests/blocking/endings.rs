//! How it ends: drops, panics, outages, and what goes on in the background.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jam::blocking::Sessions;
use jam::{ErrorKind, MemoryStore};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Proxy, Server};
use jam_tests::{Hooked, Stage, eventually, kind};
use serde_json::json;
use tokio::runtime::Builder;

use crate::support::*;

on_every_store_blocking!(
    a_panic_in_a_change_goes_to_the_caller_and_harms_nobody_else,
    it_may_be_dropped_inside_async_code,
    expired_sessions_are_swept_in_the_background_until_it_is_stopped,
);

fn a_panic_in_a_change_goes_to_the_caller_and_harms_nobody_else(stage: impl Future<Output = Stage>) {
    let (_stage, sessions) = open(stage, |builder| builder);
    let id = sessions.create("user1", json!({"n": 1})).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let panicking = || {
                    sessions.modify(&id, |data| {
                        data["n"] = 1000.into();
                        assert!(data.is_empty(), "as it should");
                    })
                };
                let panic = catch_unwind(AssertUnwindSafe(panicking)).unwrap_err();
                assert!(
                    panic
                        .downcast_ref::<&str>()
                        .is_some_and(|why| why.contains("as it should"))
                );
                // The same thread goes on, and the others get their turn.
                let count = |data: &mut jam::Data| data["n"] = (data["n"].as_u64().unwrap() + 1).into();
                sessions.modify(&id, count).unwrap();
            });
        }
    });
    assert_eq!(sessions.get(&id).unwrap().unwrap().get::<u64>("n").unwrap(), Some(5));
}

fn it_may_be_dropped_inside_async_code(stage: impl Future<Output = Stage>) {
    let (stage, sessions) = open(stage, |builder| builder);
    sessions.create("user1", json!({})).unwrap();
    drop(stage);
    let slot = Mutex::new(Some(sessions));
    let started = Instant::now();
    let one = Builder::new_current_thread().enable_all().build().unwrap();
    one.block_on(async { drop(slot.lock().unwrap().take()) });
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn expired_sessions_are_swept_in_the_background_until_it_is_stopped(stage: impl Future<Output = Stage>) {
    let sweeps = Arc::new(AtomicUsize::new(0));
    let hook = {
        let sweeps = Arc::clone(&sweeps);
        move |method| {
            sweeps.fetch_add(usize::from(method == "remove_expired"), SeqCst);
            async { Ok(()) }
        }
    };
    // A store's tasks run where it was opened.
    let (stage, _opened) = open(stage, |builder| builder);
    let hooked = Hooked::new(Arc::clone(&stage.store), hook);
    let sessions = Sessions::open_with(async { jam::Sessions::builder(hooked).build() });
    let sessions = sessions.unwrap();
    // Inside async code too.
    let one = Builder::new_current_thread().build().unwrap();
    let sweeper = one.block_on(async { sessions.sweep_every(Duration::from_millis(1)) });
    eventually("a sweep", || sweeps.load(SeqCst) > 3);
    sweeper.stop();
    eventually("the end of the sweeps", || {
        let before = sweeps.load(SeqCst);
        thread::sleep(Duration::from_millis(50));
        sweeps.load(SeqCst) == before
    });
    assert!(sessions.create("user1", json!({})).is_ok());
}

#[test]
fn its_own_thread_may_drop_it() {
    let sessions = jam::blocking::open("memory:").unwrap();
    let (given, taken) = tokio::sync::oneshot::channel::<Sessions>();
    let (ended, end) = std::sync::mpsc::channel();
    let other = Sessions::open_with(async {
        tokio::spawn(async move {
            drop(taken.await);
            ended.send(()).unwrap();
        });
        jam::open("memory:").await
    })
    .unwrap();
    given.send(other).unwrap();
    end.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(sessions.create("user1", json!({})).is_ok());
}

#[test]
fn where_the_system_gives_no_thread_there_is_an_error_and_no_panic() {
    const INSIDE: &str = "JAM_TEST_WITHOUT_THREADS";
    const NAME: &str = "endings::where_the_system_gives_no_thread_there_is_an_error_and_no_panic";
    if env::var_os(INSIDE).is_some() {
        assert!(thread::Builder::new().spawn(|| ()).is_err(), "no thread has a petabyte");
        assert_eq!(kind(jam::blocking::open("memory:")), ErrorKind::Unavailable);
        let new = || Sessions::new(MemoryStore::new());
        assert_eq!(kind(new()), ErrorKind::Unavailable);
        let one = Builder::new_current_thread().build().unwrap();
        assert_eq!(kind(one.block_on(async { new() })), ErrorKind::Unavailable);
        return;
    }
    // A process of its own, for a thread's stack is chosen once.
    let inside = Command::new(env::current_exe().unwrap())
        .args([NAME, "--exact", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("RUST_MIN_STACK", (1_u64 << 50).to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    assert!(inside.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn while_a_server_is_away_every_thread_gets_an_error_in_time_and_afterwards_all_is_well() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let limit = Duration::from_millis(200);
    let options = RedisStore::options(proxy.url())
        .connect_timeout(limit)
        .response_timeout(limit);
    let sessions = Sessions::open_with(async { Ok(jam::Sessions::new(options.open().await?)) }).unwrap();
    let id = sessions.create("user1", json!({"n": 1})).unwrap();
    for fault in [Proxy::black_hole, Proxy::refuse, Proxy::sever] {
        fault(&proxy);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let started = Instant::now();
                    // One that was severed is opened again, and may already answer.
                    if let Err(error) = sessions.get(&id) {
                        assert_eq!(error.kind(), ErrorKind::Unavailable);
                    }
                    assert!(started.elapsed() < Duration::from_secs(10));
                });
            }
        });
        proxy.heal();
        eventually("an answer", || sessions.get(&id).is_ok());
    }
    proxy.black_hole();
    assert_eq!(kind(sessions.get(&id)), ErrorKind::Unavailable);
}
