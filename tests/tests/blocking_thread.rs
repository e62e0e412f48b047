//! The thread of a blocking manager. A program of its own with one test, for the threads of the process are counted.
#![cfg(test)]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use jam::blocking::Sessions;
use jam_tests::eventually;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

/// How many threads of this process blocking managers have.
fn threads() -> usize {
    let threads = fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|thread| thread.unwrap().path());
    let names = threads.filter_map(|thread| fs::read_to_string(thread.join("comm")).ok());
    names.filter(|name| name.trim() == "jam-blocking").count()
}

#[test]
fn each_manager_has_one_thread_which_ends_with_its_last_clone_wherever_that_is_dropped() {
    let several = Runtime::new().unwrap();
    let one = Builder::new_current_thread().enable_all().build().unwrap();
    let drops: [&dyn Fn(Sessions); 5] = [
        &drop,
        &|sessions| thread::spawn(|| drop(sessions)).join().unwrap(),
        &|sessions| one.block_on(async move { drop(sessions) }),
        &|sessions| several.block_on(several.spawn(async move { drop(sessions) })).unwrap(),
        &|sessions| several.block_on(several.spawn_blocking(|| drop(sessions))).unwrap(),
    ];
    for end in drops {
        let sessions = jam::blocking::open("memory:").unwrap();
        let _sweeper = sessions.sweep_every(Duration::from_millis(1));
        eventually("the thread has its name", || threads() == 1);
        let clone = sessions.clone();
        end(sessions);
        clone.create("user1", json!({})).unwrap();
        assert_eq!(threads(), 1);
        let started = Instant::now();
        end(clone);
        assert!(started.elapsed() < Duration::from_secs(5));
        eventually("the end of the thread", || threads() == 0);
    }
}
