//! A long way: JSON, SQLite, Redis and back, broken off twice on each stretch. `JAM_TEST_MIGRATED=1000000` makes it long.

use std::process::Child;
use std::time::{Duration, Instant};

use jam_test_servers::{Kind, Server};
use serde_json::Value;

use crate::support::{Shell, fill, records, url};

const FAR: Duration = Duration::from_mins(30);

/// How many sessions the checkpoint counts.
fn noted(shell: &Shell) -> u64 {
    let text = std::fs::read_to_string(shell.path("jam-migration.json")).unwrap_or_default();
    let checkpoint: Value = serde_json::from_str(&text).unwrap_or_default();
    checkpoint["sessions"].as_u64().unwrap_or_default()
}

/// The most memory it has used so far, in MiB.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib / 1024)
}

#[cfg(unix)]
#[test]
fn no_session_is_lost_or_changed_on_the_way_through_every_kind_of_store() {
    let number = std::env::var("JAM_TEST_MIGRATED").map_or(5000, |number| number.parse().unwrap());
    let shell = Shell::new();
    let server = Server::start(Kind::New);
    let urls = [
        url("json", &shell, "a.json"),
        url("sqlite", &shell, "b.db"),
        server.url(),
        url("json", &shell, "c.json"),
    ];
    fill(&urls[0], number);
    let original = records(&urls[0]);
    for stretch in urls.windows(2) {
        let began = Instant::now();
        let (mut most, mut broken_off) = (0, 0);
        for stop_at in [Some(number / 3), Some(number * 2 / 3), None] {
            let words = ["migrate", &stretch[0], &stretch[1]];
            let mut child = shell.command(&words).spawn().unwrap();
            let ended = loop {
                most = peak(&child).unwrap_or_default().max(most);
                if child.try_wait().unwrap().is_some() || began.elapsed() > FAR {
                    break true;
                }
                if stop_at.is_some_and(|stop_at| noted(&shell) >= stop_at) {
                    break false;
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            if !ended && broken_off == 0 {
                // It may just have come to its end.
                let _ = std::process::Command::new("kill")
                    .args(["-INT", &child.id().to_string()])
                    .status();
            } else if !ended {
                let _ = child.kill();
            }
            let output = child.wait_with_output().unwrap();
            if output.status.success() {
                break;
            }
            assert!(!ended, "{}", String::from_utf8_lossy(&output.stderr));
            broken_off += 1;
        }
        println!(
            "{} -> {}: {number} records in {:.1} s, broken off {broken_off} times, at most {most} MiB",
            stretch[0].split(':').next().unwrap(),
            stretch[1].split(':').next().unwrap(),
            began.elapsed().as_secs_f64(),
        );
        let verified = shell.json(&["migrate", &stretch[0], &stretch[1], "--dry-run", "--verify"]);
        assert_eq!(verified["verified"]["same"], true, "{verified}");
    }
    assert!(records(&urls[3]) == original);
}
