//! Processes that are killed and machines that lose power while they write: every acknowledged write is there, and of those under
//! way each is whole or not there at all.
//!
//! The tests start themselves anew as the writer. `JAM_TEST_KILLS=1000 cargo test --release -p jam-tests --test crash` runs the
//! long version; `JAM_TEST_SEED` begins with a kill that failed, and the moment of each follows from its number. Power is cut by `sudo scripts/power-cut`, which mounts a file system of its own for it.
//! (A Redis server that is killed: `JAM_TEST_KILLS=50 cargo test -p jam-redis --test outages is_killed`.)
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod steps;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jam::SessionStore;
use jam_core::Durability;
use jam_json::{JsonDir, JsonFile};
use jam_sqlite::SqliteStore;
use jam_tests::Trials;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

use crate::steps::{Task, from_word, to_word};

/// What the writer and the check are to work on: the kind of store, its folder, and how far the tasks have come.
const KIND: &str = "JAM_TEST_CRASH_STORE";
const FOLDER: &str = "JAM_TEST_CRASH_FOLDER";
const STEPS: &str = "JAM_TEST_CRASH_STEPS";
const DURABILITY: &str = "JAM_TEST_CRASH_DURABILITY";

fn asked(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is set by whoever runs this"))
}

/// Opens it as after any crash; whatever the crash left beside it is gone then.
async fn open(kind: &str, folder: &Path, durability: Durability) -> Arc<dyn SessionStore> {
    let store: Arc<dyn SessionStore> = match kind {
        "json-file" => {
            // Small, so that crashes meet compactions.
            let options = JsonFile::options(folder.join("sessions.json")).compact_after(8 * 1024);
            Arc::new(options.durability(durability).open().await.unwrap())
        }
        "json-dir" => {
            let options = JsonDir::options().storage_path(folder.join("sessions"));
            Arc::new(options.durability(durability).open().await.unwrap())
        }
        "sqlite" => {
            let options = SqliteStore::options(folder.join("sessions.db"));
            Arc::new(options.durability(durability).open().await.unwrap())
        }
        _ => panic!("{KIND} is json-file, json-dir or sqlite"),
    };
    for path in files_below(folder) {
        let left_behind = path
            .extension()
            .is_some_and(|ending| ending == "tmp" || ending == "trash");
        assert!(!left_behind, "{} was left behind", path.display());
    }
    store
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        }
        found.push(path);
    }
    found
}

/// Goes on from where the tasks had come to, and tells on standard output when, in nanoseconds, each has taken one more step.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "run by the other tests and by scripts/power-cut in a process of its own, until that is killed"]
async fn writer() {
    // A task that fails must not leave the others to acknowledge as if nothing were.
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        show(panic);
        std::process::exit(101);
    }));
    let durability = if asked(DURABILITY) == "sync" {
        Durability::Sync
    } else {
        Durability::Os
    };
    let store = open(&asked(KIND), &PathBuf::from(asked(FOLDER)), durability).await;
    for mut task in from_word(&asked(STEPS)) {
        let (store, number) = (Arc::clone(&store), task.number());
        tokio::spawn(async move {
            loop {
                task.write(&*store).await;
                let now = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap()
                    .as_nanos();
                // In one write, so that half a line is never taken for a whole one.
                let line = format!("\nack {number} {} {now}\n", task.steps);
                let mut out = std::io::stdout().lock();
                out.write_all(line.as_bytes())
                    .and_then(|()| out.flush())
                    .expect("the parent listens");
            }
        });
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "run by scripts/power-cut when the power is back"]
async fn check_after_a_power_cut() {
    let (folder, mut tasks) = (PathBuf::from(asked(FOLDER)), from_word(&asked(STEPS)));
    let store = open(&asked(KIND), &folder, Durability::Sync).await;
    for task in &mut tasks {
        task.check(&*store, 8, "after the cut").await;
    }
    println!("\nsteps {}", to_word(&tasks));
}

/// Takes an acknowledgement into account, if the line is one.
fn acknowledge(tasks: &mut [Task], line: &str) -> bool {
    let Some(words) = line.strip_prefix("ack ") else {
        return false;
    };
    let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
    tasks[usize::try_from(numbers[0]).unwrap()].go_to(numbers[1]);
    true
}

/// What SQLite itself says of a database.
async fn integrity(path: &Path) -> String {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let row = sqlx::query("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

async fn killed_at_any_moment(kind: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = Task::all();
    let trials = Trials::new(format!("kills of {kind}"), "JAM_TEST_KILLS", 25);
    let kills = trials.wanted();
    for kill in trials {
        // Now and then with syncs: they make the writer be hit at other places.
        let durability = if kill % 3 == 2 { "sync" } else { "os" };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(KIND, kind)
            .env(FOLDER, folder.path())
            .env(STEPS, to_word(&tasks))
            .env(DURABILITY, durability)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A different moment each time, counted in acknowledgements and then in microseconds.
        let mut left = 1 + (kill * 37) % 400;
        while left > 0 {
            let line = lines.next().expect("the writer ended by itself").unwrap();
            left -= u64::from(acknowledge(&mut tasks, &line));
        }
        std::thread::sleep(Duration::from_micros((kill * 131) % 2_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts.
        for line in lines.map_while(Result::ok) {
            acknowledge(&mut tasks, &line);
        }
        let store = open(kind, folder.path(), Durability::Os).await;
        for task in &mut tasks {
            task.check(&*store, 1, &format!("kill {kill}")).await;
        }
        store.close().await.unwrap();
        if kind == "sqlite" {
            assert_eq!(integrity(&folder.path().join("sessions.db")).await, "ok", "kill {kill}");
        }
    }
    let steps: u64 = tasks.iter().map(|task| task.steps).sum();
    println!("{kind}: {kills} kills, {steps} acknowledged steps, none lost");
}

#[tokio::test]
async fn a_json_file_loses_no_acknowledged_write_to_kill_9() {
    killed_at_any_moment("json-file").await;
}

#[tokio::test]
async fn a_json_dir_loses_no_acknowledged_write_to_kill_9() {
    killed_at_any_moment("json-dir").await;
}

#[tokio::test]
async fn a_sqlite_database_loses_no_acknowledged_write_to_kill_9() {
    killed_at_any_moment("sqlite").await;
}
