//! Tasks whose every step is known beforehand, so that a store can be compared with how far each had come.

use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use jam_core::{Rename, SessionStore};
use jam_sqlite::SqliteStore;

use super::{all, id, record, version};

pub(crate) const TASKS: u64 = 8;

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

/// Each task goes on from the step it has come to, and tells on standard output when, in nanoseconds, it has done
/// one more.
pub(crate) async fn go_on(store: SqliteStore, begun: &[u64]) {
    let store = Arc::new(store);
    for (task, begun) in (0..TASKS).zip(begun.to_vec()) {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for steps in begun.. {
                step(&store, task, steps).await;
                let mut out = std::io::stdout().lock();
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let now = now.expect("later").as_nanos();
                writeln!(out, "\nack {task} {} {now}", steps + 1)
                    .and_then(|()| out.flush())
                    .expect("pipe");
            }
        });
    }
    std::future::pending::<()>().await;
}

/// Takes an acknowledgement into account, if the line is one.
pub(crate) fn acknowledge(steps: &mut [u64], line: &str) -> bool {
    let Some(words) = line.strip_prefix("ack ") else {
        return false;
    };
    let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().expect("number")).collect();
    steps[usize::try_from(numbers[0]).expect("small")] = numbers[1];
    true
}

/// Every acknowledged step is there, and those in flight, at most so many of each task, as a whole or not at all. Counts
/// those that are.
pub(crate) async fn check(store: &SqliteStore, steps: &mut [u64], in_flight: u64, when: &str) {
    let found = all(store).await;
    for (task, steps) in (0..TASKS).zip(steps) {
        let key = format!("task{task}");
        let of_task = found.iter().filter(|session| session.0 == key);
        let mut of_task: Vec<_> = of_task.map(|session| (session.1.clone(), session.2.clone())).collect();
        of_task.sort();
        let come_to = (*steps..=*steps + in_flight).find(|steps| of_task == expected(task, *steps));
        *steps = come_to.unwrap_or_else(|| panic!("{when}: task {task} has lost some of its {steps} steps"));
    }
}

/// How far each task has come, as one word.
pub(crate) fn to_word(steps: &[u64]) -> String {
    let words: Vec<_> = steps.iter().map(u64::to_string).collect();
    words.join(",")
}

pub(crate) fn from_word(word: &str) -> Vec<u64> {
    word.split(',').map(|steps| steps.parse().expect("number")).collect()
}
