//! `kill -9` at any moment: every acknowledged write is there afterwards, and what was under way is whole or not there.
#![cfg(test)]

mod dir_support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dir_support::*;
use jam_core::{RecordId, Rename, SessionStore};
use jam_json::{Durability, JsonDir};

/// How often the writer is killed; `JAM_TEST_KILLS` sets another number.
const KILLS: u64 = 25;
const TASKS: u64 = 6;
const DIRECTORY: &str = "JAM_TEST_CRASH_DIRECTORY";
const ROUND: &str = "JAM_TEST_CRASH_ROUND";

/// One write of the script that every task of the writer follows.
#[derive(Debug)]
enum Step {
    Insert(RecordId),
    Replace(RecordId),
    Rename(RecordId, RecordId),
    Remove(RecordId),
    Clear(String),
}

/// What a task has written: payloads by record id.
type State = BTreeMap<RecordId, String>;

/// The keys of a task: its sessions move from the first to the second.
fn keys(round: u64, task: u64) -> [String; 2] {
    [
        format!("round {round} task {task}"),
        format!("round {round} task {task} moved"),
    ]
}

/// What a task does next, and what that makes of its sessions. Depends on nothing but the number of the step.
fn step(state: &mut State, [here, there]: &[String; 2], number: u64) -> Step {
    let payload = format!(
        "{{\"step\":{number},\"fill\":\"{}\"}}",
        "x".repeat(usize::try_from(number * 37 % 3000).expect("small"))
    );
    let new = |key: &str| id(key, &format!("session {number}"));
    let newest = state.keys().find(|id| id.key().as_str() == here).cloned();
    match (number % 8, newest) {
        (1 | 4, Some(old)) => {
            state.insert(old.clone(), payload);
            Step::Replace(old)
        }
        (3 | 5, Some(old)) => {
            let to = new(if number % 8 == 3 { here } else { there });
            state.remove(&old);
            state.insert(to.clone(), payload);
            Step::Rename(old, to)
        }
        (6, Some(old)) => {
            state.remove(&old);
            Step::Remove(old)
        }
        (7, _) if number % 16 == 15 => {
            let key = if number % 32 == 15 { here } else { there };
            state.retain(|id, _| id.key().as_str() != key);
            Step::Clear(key.clone())
        }
        _ => {
            let id = new(here);
            state.insert(id.clone(), payload);
            Step::Insert(id)
        }
    }
}

/// What a task has written after so many steps.
fn state_after(round: u64, task: u64, steps: u64) -> State {
    let mut state = State::new();
    for number in 0..steps {
        step(&mut state, &keys(round, task), number);
    }
    state
}

async fn on_disk(store: &JsonDir, round: u64, task: u64) -> State {
    let mut state = State::new();
    for text in keys(round, task) {
        for entry in store.list(&key(&text)).await.expect("nothing is damaged") {
            let payload = String::from_utf8(entry.stored.payload.to_vec()).expect("text");
            assert_eq!(
                self::payload(store, &entry.id).await.as_ref(),
                Some(&payload),
                "a listed session loads"
            );
            state.insert(entry.id, payload);
        }
    }
    state
}

async fn open(directory: &Path, round: u64) -> JsonDir {
    // Every other round with syncs: they make the writer be hit at other places.
    let durability = if round.is_multiple_of(2) {
        Durability::Os
    } else {
        Durability::Sync
    };
    let options = JsonDir::options().storage_path(directory).durability(durability);
    options.open().await.expect("opens after every crash")
}

#[tokio::test]
#[ignore = "run by every_acknowledged_write_survives_kill_9 in a process of its own, until it is killed"]
async fn writer() {
    let (Ok(directory), Ok(round)) = (std::env::var(DIRECTORY), std::env::var(ROUND)) else {
        return;
    };
    let round = round.parse().expect("a number");
    let store = std::sync::Arc::new(open(Path::new(&directory), round).await);
    acknowledge("\nready\n");
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(write(std::sync::Arc::clone(&store), round, task)))
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

async fn write(store: std::sync::Arc<JsonDir>, round: u64, task: u64) {
    let mut state = State::new();
    for number in 0.. {
        let before = state.clone();
        let step = step(&mut state, &keys(round, task), number);
        let record = |id: &RecordId| forever(&state[id]);
        match &step {
            Step::Insert(id) => store.insert(id, &record(id)).await.expect("inserted"),
            Step::Replace(id) => store.replace(id, None, &record(id)).await.expect("replaced"),
            Step::Rename(from, to) => {
                let expected = load(&store, from).await.expect("there").version;
                let (expected, record) = (&expected, &record(to));
                store
                    .rename(Rename::new(from, expected, to, record))
                    .await
                    .expect("renamed");
            }
            Step::Remove(id) => assert!(store.remove(id).await.expect("removed")),
            Step::Clear(text) => {
                let count = before.keys().filter(|id| id.key().as_str() == text).count();
                assert_eq!(store.clear(&key(text)).await.expect("cleared"), count as u64);
            }
        }
        acknowledge(&format!("ack {task} {number}\n"));
    }
}

/// Tells the parent, in one write, so that half a line is never taken for a whole one.
fn acknowledge(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// Starts the writer, kills it after `delay`, and gives how many steps each task had acknowledged.
fn kill_a_writer(directory: &Path, round: u64, delay: Duration) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().expect("this test's path"))
        .args(["--exact", "writer", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a writer");
    let mut acknowledged = vec![0; usize::try_from(TASKS).expect("small")];
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    let mut kill_at = None;
    loop {
        line.clear();
        let len = lines.read_line(&mut line).expect("read");
        if len == 0 || !line.ends_with('\n') {
            break;
        }
        if line == "ready\n" {
            kill_at = Some(Instant::now() + delay);
        }
        if let Some(rest) = line.strip_prefix("ack ") {
            let (task, number) = rest.trim().split_once(' ').expect("two numbers");
            let task: usize = task.parse().expect("a number");
            acknowledged[task] = number.parse::<u64>().expect("a number") + 1;
        }
        if kill_at.is_some_and(|at| Instant::now() >= at) {
            child.kill().expect("killed");
        }
    }
    let status = child.wait().expect("waited");
    assert!(!status.success(), "the writer ended by itself");
    assert!(kill_at.is_some(), "the writer did not start; see its output above");
    acknowledged
}

#[tokio::test]
async fn every_acknowledged_write_survives_kill_9() {
    let kills = std::env::var("JAM_TEST_KILLS").map_or(KILLS, |text| text.parse().expect("JAM_TEST_KILLS is a number"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut settled: Vec<(u64, u64, State)> = Vec::new();
    let mut steps = 0;
    for round in 0..kills {
        // Spread over the time in which most of the writer's life happens.
        let delay = Duration::from_micros(round * 7_919 % 40_000);
        let acknowledged = kill_a_writer(directory.path(), round, delay);
        let store = open(directory.path(), round).await;
        for (task, done) in acknowledged.into_iter().enumerate() {
            let task = task as u64;
            steps += done;
            let found = on_disk(&store, round, task).await;
            let (was, under_way) = (state_after(round, task, done), state_after(round, task, done + 1));
            assert!(
                found == was || found == under_way,
                "round {round}, task {task}: after {done} acknowledged steps there is neither what they made nor what the \
                 next one makes: {:?}",
                found.keys().map(RecordId::id).collect::<Vec<_>>()
            );
            settled.push((round, task, found));
        }
        assert!(
            files(directory.path(), ".tmp").is_empty(),
            "leftovers are swept at open"
        );
        for entry in std::fs::read_dir(directory.path()).expect("listed") {
            let path = entry.expect("an entry").path();
            assert!(
                path.extension().is_none_or(|ending| ending != "trash"),
                "leftovers are swept at open"
            );
        }
    }
    assert!(
        steps >= kills,
        "the writers got to write ({steps} steps in {kills} rounds)"
    );
    let store = open(directory.path(), 0).await;
    for (round, task, state) in settled {
        assert_eq!(
            on_disk(&store, round, task).await,
            state,
            "later crashes touch nothing older"
        );
    }
}
