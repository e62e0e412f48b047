//! The life of a server's process: killed, paused, restarted, and never longer than the test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jam_test_servers::{Connection, Kind, Server};

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn wait_until_gone(pid: u32, directory: &Path) {
    let start = Instant::now();
    while exists(pid) || directory.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{pid} or {} is still there",
            directory.display()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_server_refuses_connections_and_comes_back_on_its_port() {
    let server = Server::start(Kind::Old);
    let (port, pid) = (server.port(), server.pid());
    server.kill();
    assert!(!exists(pid), "neither running nor a zombie");
    assert!(!server.is_running());
    assert!(server.try_command(&["PING"]).is_err());
    server.kill();
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.command(&["PING"]).text(), "PONG");
}

#[test]
fn a_paused_server_accepts_and_is_silent_until_it_goes_on() {
    let server = Server::start(Kind::New);
    server.pause();
    assert!(!server.is_running());
    let mut client = Connection::open(server.address()).unwrap();
    client.set_timeout(Duration::from_millis(100)).unwrap();
    assert!(client.command(&["PING"]).is_err());
    server.resume();
    assert!(server.is_running());
    assert_eq!(server.command(&["PING"]).text(), "PONG");
}

#[test]
fn a_paused_server_can_be_killed() {
    let server = Server::start(Kind::New);
    let pid = server.pid();
    server.pause();
    server.kill();
    assert!(!exists(pid));
}

#[test]
fn a_server_that_is_shut_down_saves_first() {
    let server = Server::options(Kind::New).arg("save", "3600 1").start();
    server.command(&["SET", "key", "value"]);
    server.shut_down();
    server.restart();
    assert_eq!(server.command(&["GET", "key"]).text(), "value");
}

#[test]
fn nothing_is_left_of_a_server_when_its_test_panics() {
    let server = Server::start(Kind::New);
    let (pid, directory) = (server.pid(), server.dir().to_owned());
    let panicked = panic::catch_unwind(move || {
        let _server = server;
        panic!("as a failing test does");
    });
    assert!(panicked.is_err());
    assert!(!exists(pid));
    assert!(!directory.exists());
}

#[test]
fn nothing_is_left_of_a_server_when_its_test_is_killed() {
    // A paused one several times, since there the system's hang-up to the group races the end of the pipe.
    for paused in [false, true, true, true, true, true] {
        let mut holder = Command::new(env!("CARGO_BIN_EXE_jam-test-server"))
            .arg("new")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (pid, directory) = (words[0].parse().unwrap(), PathBuf::from(words[2]));
        assert!(exists(pid) && directory.exists());
        if paused {
            assert!(
                Command::new("sh")
                    .args(["-c", "kill -STOP $0", words[0]])
                    .status()
                    .unwrap()
                    .success()
            );
        }
        holder.kill().unwrap();
        holder.wait().unwrap();
        wait_until_gone(pid, &directory);
    }
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let panicked =
        panic::catch_unwind(|| Server::options(Kind::Old).arg("no-such-directive", "1").start()).unwrap_err();
    let said = panicked.downcast_ref::<String>().unwrap();
    assert!(said.contains("no-such-directive"), "{said}");
}

#[test]
fn python_finds_the_real_jamlib() {
    let versions = "from importlib.metadata import version; import jam, redis; print(version('jamlib'))";
    let output = jam_test_servers::python().args(["-c", versions]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "4.2.1", "{output:?}");
}

#[test]
fn a_missing_program_says_what_fetches_it() {
    let empty = fs::canonicalize("src").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jam-test-server"))
        .arg("new")
        .env("PATH", &empty)
        .env("CARGO_TARGET_DIR", &empty)
        .env_remove("JAM_TEST_VALKEY_SERVER")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("scripts/fetch-test-servers") && said.contains("JAM_TEST_VALKEY_SERVER"),
        "{said}"
    );
}

/// Which programs are of which kind is a matter of what they can do, not of their names.
#[test]
fn an_old_server_has_no_field_expiry_even_where_its_program_does_and_a_new_one_must() {
    let program = Server::start(Kind::New).program().to_owned();
    let run = |kind: &str, variable: &str, program: &Path| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jam-test-server"));
        child
            .arg(kind)
            .env(variable, program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        child.spawn().unwrap()
    };
    let mut holder = run("old", "JAM_TEST_REDIS_SERVER", &program);
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split_whitespace()
        .nth(1)
        .unwrap()
        .strip_prefix("redis://")
        .unwrap();
    let mut client = Connection::open(address.parse().unwrap()).unwrap();
    let reply = client.command(&["HSETEX", "k", "FIELDS", "1", "f", "v"]).unwrap();
    assert!(format!("{reply:?}").contains("unknown command"), "{reply:?}");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());

    let directory = tempfile::tempdir().unwrap();
    let poorer = directory.path().join("server");
    let script = format!(
        "#!/bin/sh\nexec '{}' \"$@\" --rename-command HSETEX ''\n",
        program.display()
    );
    fs::write(&poorer, script).unwrap();
    fs::set_permissions(&poorer, fs::Permissions::from_mode(0o700)).unwrap();
    let output = run("new", "JAM_TEST_VALKEY_SERVER", &poorer)
        .wait_with_output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("has no HSETEX"),
        "{output:?}"
    );
}
