//! `kill -9` during writes: every acknowledged write is there, and of those in flight each is whole or not there at
//! all.
//!
//! The test starts itself anew as the writer. `JAM_TEST_KILLS` sets the number of kills (25).
#![cfg(test)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jam_sqlite::{Durability, SqliteStore};
use support::{query, steps};

const FOLDER: &str = "JAM_TEST_KILL_FOLDER";

async fn open(folder: &Path) -> SqliteStore {
    let options = SqliteStore::options(folder.join("sessions.db"));
    options.durability(Durability::Os).open().await.expect("open")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writer_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let begun = steps::from_word(&std::env::var("JAM_TEST_KILL_STEPS").expect("steps"));
    steps::go_on(open(&folder).await, &begun).await;
}

#[tokio::test]
async fn killed_at_any_moment_no_acknowledged_write_is_lost_and_none_is_half_there() {
    let kills: u64 = std::env::var("JAM_TEST_KILLS").map_or(25, |kills| kills.parse().expect("JAM_TEST_KILLS"));
    let folder = tempfile::tempdir().expect("tempdir");
    let mut steps = vec![0_u64; 8];
    let begun = Instant::now();
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().expect("exe"))
            .args(["--exact", "writer_to_be_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .env("JAM_TEST_KILL_STEPS", steps::to_word(&steps))
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        // A different moment each time, counted in acknowledgements and then in microseconds.
        let mut left = 1 + (kill * 37) % 400;
        while left > 0 {
            let line = lines.next().expect("the writer ended by itself").expect("line");
            left -= u64::from(steps::acknowledge(&mut steps, &line));
        }
        std::thread::sleep(Duration::from_micros((kill * 131) % 2_000));
        child.kill().expect("kill");
        child.wait().expect("wait");
        // What it said before it died counts.
        for line in lines.map_while(Result::ok) {
            steps::acknowledge(&mut steps, &line);
        }
        let store = open(folder.path()).await;
        let intact = query(&folder.path().join("sessions.db"), "PRAGMA integrity_check").await;
        assert_eq!(intact, ["ok"], "kill {kill}");
        steps::check(&store, &mut steps, 1, &format!("kill {kill}")).await;
    }
    println!(
        "{kills} kills in {:?}: {} acknowledged steps, none lost",
        begun.elapsed(),
        steps.iter().sum::<u64>()
    );
}
