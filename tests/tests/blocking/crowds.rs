//! Many threads at once, and threads that come and go.

use std::thread;

use jam_tests::{Stage, Trials};
use serde_json::json;

use crate::support::*;

on_every_store_blocking!(many_threads_lose_no_update, threads_come_and_go);

fn many_threads_lose_no_update(stage: impl Future<Output = Stage>) {
    let (_stage, sessions) = open(stage, |builder| builder);
    let (threads, rounds) = (16_u64, Trials::new("rounds of threads", "JAM_TEST_ROUNDS", 20).wanted());
    let id = sessions.create("user1", json!({"n": 0})).unwrap();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let count = |data: &mut jam::Data| data["n"] = (data["n"].as_u64().unwrap() + 1).into();
                    sessions.modify(&id, count).unwrap();
                    assert!(sessions.exists(&id).unwrap());
                }
            });
        }
    });
    let session = sessions.get(&id).unwrap().unwrap();
    assert_eq!(session.get::<u64>("n").unwrap(), Some(threads * rounds));
}

fn threads_come_and_go(stage: impl Future<Output = Stage>) {
    let (_stage, sessions) = open(stage, |builder| builder);
    // The connection of the first call is not that thread's: it serves the threads after it.
    for n in 0..50 {
        let sessions = sessions.clone();
        let thread = thread::spawn(move || sessions.create("user1", json!({"n": n})).unwrap());
        thread.join().unwrap();
    }
    assert_eq!(sessions.list("user1").unwrap().len(), 50);
}
