//! Many tasks and several processes at once: nothing comes back from the dead, nothing is lost.
//!
//! `JAM_TEST_ROUNDS` sets how often each task of each process does its part (25).
#![cfg(test)]

mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;

use jam_core::{ErrorKind, Load, RecordId, Rename, SessionStore, Timestamp};
use jam_sqlite::{Durability, SqliteStore};
use support::*;

const PROCESSES: usize = 4;
const TASKS: usize = 32;
const COUNTERS: usize = 8;
const FOLDER: &str = "JAM_TEST_RACING_FOLDER";

fn rounds() -> usize {
    std::env::var("JAM_TEST_ROUNDS").map_or(25, |text| text.parse().expect("JAM_TEST_ROUNDS is a number"))
}

async fn open(folder: &std::path::Path) -> SqliteStore {
    let options = SqliteStore::options(folder.join("sessions.db")).durability(Durability::Os);
    options.open().await.expect("open")
}

fn counter(number: usize) -> RecordId {
    id("counters", &format!("{}", number % COUNTERS))
}

/// Sessions that one task of all processes ends, while the others save them, touch them and move them about.
fn mortal(round: usize) -> [RecordId; 2] {
    [
        id("mortals", &format!("{round} here")),
        id("elsewhere", &format!("{round} there")),
    ]
}

/// Adds one, and tells how often somebody else was first.
async fn increment(store: &SqliteStore, id: &RecordId) -> u64 {
    let mut conflicts = 0;
    loop {
        let stored = store.load(id, Load::new()).await.expect("load").expect("there");
        let number: u64 = str::from_utf8(&stored.payload[5..stored.payload.len() - 1])
            .expect("text")
            .parse()
            .expect("a number");
        let next = record(format!("{{\"n\":{}}}", number + 1));
        match store.replace(id, Some(&stored.version), &next).await {
            Ok(()) => return conflicts,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
        conflicts += 1;
    }
}

/// One of many who write to a session that ends; only the one who ends it knows when.
async fn late_write(store: &SqliteStore, round: usize, way: usize) {
    let places = mortal(round);
    let [here, there] = &places;
    match way % 4 {
        0 => drop(store.replace(here, None, &record("{\"late\":1}")).await),
        1 => drop(store.touch(there, Timestamp::MAX).await.expect("touch")),
        2 => drop(store.replace(there, None, &record("{\"late\":2}")).await),
        _ => {
            for (from, to) in [(here, there), (there, here)] {
                if let Some(stored) = store.load(from, Load::new()).await.expect("load") {
                    let moved = record("{\"moved\":1}");
                    drop(store.rename(Rename::new(from, &stored.version, to, &moved)).await);
                }
            }
        }
    }
}

/// Ends the session wherever it is, looking until it is gone from both places.
async fn end(store: &SqliteStore, round: usize) {
    let [here, there] = mortal(round);
    loop {
        let ended = store.remove(&here).await.expect("remove") || store.remove(&there).await.expect("remove");
        if ended {
            return;
        }
    }
}

/// Started by the test below in processes of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_several_processes() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let process: usize = std::env::var("JAM_TEST_CHILD")
        .expect("number")
        .parse()
        .expect("number");
    let store = Arc::new(open(folder.as_ref()).await);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut conflicts = 0;
                for round in 0..rounds() {
                    conflicts += increment(&store, &counter(process + task + round)).await;
                    if (process, task) == (round % PROCESSES, round % TASKS) {
                        end(&store, round).await;
                    } else {
                        late_write(&store, round, process + task).await;
                    }
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await.expect("no panic");
    }
    println!("process {process}: {conflicts} conflicts");
    store.close().await.expect("close");
}

#[tokio::test]
async fn four_processes_of_32_tasks_lose_no_update_and_revive_no_session() {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = open(folder.path()).await;
    for number in 0..COUNTERS {
        store
            .insert(&counter(number), &record("{\"n\":0}"))
            .await
            .expect("insert");
    }
    for round in 0..rounds() {
        store.insert(&mortal(round)[0], &record("{}")).await.expect("insert");
    }
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| {
            Command::new(std::env::current_exe().expect("exe"))
                .args(["--exact", "one_of_several_processes", "--nocapture"])
                .env(FOLDER, folder.path())
                .env("JAM_TEST_CHILD", number.to_string())
                .stdout(Stdio::inherit())
                .spawn()
                .expect("spawn")
        })
        .collect();
    for mut child in children {
        assert!(
            child.wait().expect("wait").success(),
            "a process failed; see its output above"
        );
    }
    let mut sum = 0;
    for number in 0..COUNTERS {
        let text = payload(&store, &counter(number)).await.expect("there");
        let text = String::from_utf8(text).expect("text");
        sum += text[5..text.len() - 1].parse::<usize>().expect("a number");
    }
    assert_eq!(sum, PROCESSES * TASKS * rounds(), "an update was lost");
    for key in ["mortals", "elsewhere"] {
        assert!(
            store.list(&support::key(key)).await.expect("list").is_empty(),
            "revived"
        );
    }
    let intact = query(&folder.path().join("sessions.db"), "PRAGMA integrity_check").await;
    assert_eq!(intact, ["ok"]);
}
