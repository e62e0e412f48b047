//! `kill -9` during writes: every acknowledged write is there, and of those in flight each is whole or not there at
//! all.
//!
//! The test starts itself anew as the writer. `JAM_TEST_KILLS` sets the number of kills (25).
#![cfg(test)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_core::{Rename, SessionStore};
use jam_sqlite::{Durability, SqliteStore};
use support::{all, id, query, record, version};

const FOLDER: &str = "JAM_TEST_KILL_FOLDER";
const TASKS: u64 = 8;

async fn open(folder: &Path) -> SqliteStore {
    let options = SqliteStore::options(folder.join("sessions.db"));
    options.durability(Durability::Os).open().await.expect("open")
}

/// What a task has done after `steps` steps: each session is inserted, changed, renamed and, but for one in sixteen,
/// removed.
fn expected(task: u64, steps: u64) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for session in 0..=steps / 4 {
        match steps.saturating_sub(session * 4) {
            0 => {}
            1 => found.push((format!("{session}"), content(task, session, 1))),
            2 => found.push((format!("{session}"), content(task, session, 2))),
            3 => found.push((format!("{session}-renamed"), content(task, session, 3))),
            _ if session % 16 == 0 => found.push((format!("{session}-renamed"), content(task, session, 3))),
            _ => {}
        }
    }
    found.sort();
    found
}

fn content(task: u64, session: u64, step: u64) -> Vec<u8> {
    let length = usize::try_from((task * 31 + session * 17 + step) % 400).expect("small");
    format!("{{\"step\":{step},\"fill\":\"{}\"}}", "x".repeat(length)).into_bytes()
}

async fn step(store: &SqliteStore, task: u64, steps: u64) {
    let (session, kind) = (steps / 4, steps % 4);
    let key = format!("task{task}");
    let (first, second) = (id(&key, &format!("{session}")), id(&key, &format!("{session}-renamed")));
    match kind {
        0 => store
            .insert(&first, &record(content(task, session, 1)))
            .await
            .expect("insert"),
        1 => store
            .replace(&first, None, &record(content(task, session, 2)))
            .await
            .expect("replace"),
        2 => {
            let (expected, moved) = (version(store, &first).await, record(content(task, session, 3)));
            store
                .rename(Rename::new(&first, &expected, &second, &moved))
                .await
                .expect("rename");
        }
        _ if session % 16 != 0 => assert!(store.remove(&second).await.expect("remove")),
        _ => {}
    }
}

/// The writer: each task goes on where the store says it was, and says so after each step.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writer_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let store = Arc::new(open(&folder).await);
    let begun: Vec<u64> = std::env::var("JAM_TEST_KILL_STEPS")
        .expect("steps")
        .split(',')
        .map(|steps| steps.parse().expect("number"))
        .collect();
    for (task, begun) in (0..TASKS).zip(begun) {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for steps in begun.. {
                step(&store, task, steps).await;
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nack {task} {}", steps + 1)
                    .and_then(|()| out.flush())
                    .expect("pipe");
            }
        });
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn killed_at_any_moment_no_acknowledged_write_is_lost_and_none_is_half_there() {
    let kills: u64 = std::env::var("JAM_TEST_KILLS").map_or(25, |kills| kills.parse().expect("JAM_TEST_KILLS"));
    let folder = tempfile::tempdir().expect("tempdir");
    let mut steps = vec![0_u64; 8];
    let begun = Instant::now();
    for kill in 0..kills {
        let text: Vec<_> = steps.iter().map(u64::to_string).collect();
        let mut child = Command::new(std::env::current_exe().expect("exe"))
            .args(["--exact", "writer_to_be_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .env("JAM_TEST_KILL_STEPS", text.join(","))
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let mut acknowledged = |line: &str| {
            let mut words = line
                .strip_prefix("ack ")?
                .split(' ')
                .map(|word| word.parse::<u64>().expect("number"));
            let (task, done) = (words.next()?, words.next()?);
            steps[usize::try_from(task).ok()?] = done;
            Some(())
        };
        // A different moment each time, counted in acknowledgements and then in microseconds.
        let mut left = 1 + (kill * 37) % 400;
        while left > 0 {
            let line = lines.next().expect("the writer ended by itself").expect("line");
            left -= u64::from(acknowledged(&line).is_some());
        }
        std::thread::sleep(Duration::from_micros((kill * 131) % 2_000));
        child.kill().expect("kill");
        child.wait().expect("wait");
        // What it said before it died counts.
        for line in lines.map_while(Result::ok) {
            acknowledged(&line);
        }
        let store = open(folder.path()).await;
        let intact = query(&folder.path().join("sessions.db"), "PRAGMA integrity_check").await;
        assert_eq!(intact, ["ok"], "kill {kill}");
        let found = all(&store).await;
        for (task, steps) in (0..TASKS).zip(&mut steps) {
            let key = format!("task{task}");
            let of_task: Vec<_> = found.iter().filter(|session| session.0 == key).collect();
            let of_task: Vec<_> = of_task
                .iter()
                .map(|session| (session.1.clone(), session.2.clone()))
                .collect();
            let mut sorted = of_task.clone();
            sorted.sort();
            if sorted == expected(task, *steps) {
                continue;
            }
            // The step in flight is there as a whole.
            *steps += 1;
            assert!(
                sorted == expected(task, *steps),
                "kill {kill}: task {task} is not after {steps} steps"
            );
        }
    }
    println!(
        "{kills} kills in {:?}: {} acknowledged steps, none lost",
        begun.elapsed(),
        steps.iter().sum::<u64>()
    );
}
