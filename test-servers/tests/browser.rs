//! The browser's life: it answers its driver, and is never there longer than the test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jam_test_servers::Chromedriver;

/// Starts a browser and gives what the driver says about it.
fn browse(url: &str, program: &Path, arguments: &[&str]) -> String {
    let arguments: Vec<_> = arguments.iter().map(|argument| format!("{argument:?}")).collect();
    let body = format!(
        r#"{{"capabilities":{{"alwaysMatch":{{"goog:chromeOptions":{{"binary":"{}","args":[{}]}}}}}}}}"#,
        program.display(),
        arguments.join(",")
    );
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /session HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // The driver keeps the connection; its answer holds either of these.
    let (mut answer, mut piece) = (String::new(), [0; 4096]);
    while !answer.contains("\"sessionId\"") && !answer.contains("\"error\"") {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "the driver hung up: {answer}");
        answer.push_str(str::from_utf8(&piece[..length]).unwrap());
    }
    answer
}

/// Which processes have a directory in their command line, as every process of a browser has its profile's.
fn processes_in(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok())
        .filter(|line| line.contains(directory))
        .collect()
}

fn wait_until_gone(directory: &Path) {
    let start = Instant::now();
    while directory.exists() || !processes_in(directory).is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "still there: {:?}",
            processes_in(directory)
        );
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_is_left_of_a_browser_when_its_test_panics() {
    let driver = Chromedriver::start();
    let directory = driver.dir().to_owned();
    let answer = browse(&driver.url(), &driver.chromium(), &driver.arguments());
    assert!(answer.contains("\"browserName\""), "{answer}");
    assert!(processes_in(&directory).len() > 2, "a browser and its helpers");
    let panicked = panic::catch_unwind(move || {
        let _driver = driver;
        panic!("as a failing test does");
    });
    assert!(panicked.is_err());
    wait_until_gone(&directory);
}

#[test]
fn nothing_is_left_of_a_browser_when_its_test_is_killed() {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_jam-test-server"))
        .arg("chromedriver")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (url, directory) = (words[1], PathBuf::from(words[2]));
    let other = Chromedriver::start();
    let answer = browse(url, &other.chromium(), &other.arguments());
    assert!(answer.contains("\"browserName\""), "{answer}");
    assert!(processes_in(&directory).len() > 2, "a browser and its helpers");
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until_gone(&directory);
}

#[test]
fn a_missing_browser_says_what_fetches_it() {
    let empty = std::fs::canonicalize("src").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jam-test-server"))
        .arg("chromedriver")
        .env("PATH", &empty)
        .env("CARGO_TARGET_DIR", &empty)
        .env_remove("JAM_TEST_CHROMEDRIVER")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("scripts/fetch-test-servers") && said.contains("JAM_TEST_CHROMEDRIVER"),
        "{said}"
    );
}
