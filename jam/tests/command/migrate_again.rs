//! `jam migrate` that was broken off, and goes on: nothing is lost, and nothing that ended meanwhile comes back.

use std::process::Stdio;
use std::time::{Duration, Instant};

use jam::{Clock, Load, Record, RecordId, Rename, SessionKey, SystemClock, Timestamp};
use jam_test_servers::{Kind, Proxy, Server};

use crate::migrate::says;
use crate::support::{Shell, block_on, fill, records, store, url};

#[test]
fn an_interrupted_migration_goes_on_with_its_checkpoint_and_no_other() {
    let shell = Shell::new();
    let server = Server::start(Kind::New);
    // A server far away, so that there is time to interrupt.
    let proxy = Proxy::start(server.address());
    proxy.delay(Duration::from_millis(100)..=Duration::from_millis(100));
    let (from, to) = (url("json", &shell, "a.json"), proxy.url());
    fill(&from, 6000);
    let original = records(&from);
    let mut interruptions = 0;
    loop {
        let mut child = shell.command(&["migrate", &from, &to]).spawn().unwrap();
        // By signal once, then by `kill -9`, as soon as one page more is noted. What is noted before the first page is no
        // beginning yet: TO may know nothing of it.
        let noted = || std::fs::read_to_string(shell.path("jam-migration.json")).unwrap_or_default();
        let before = noted();
        let has_gone_on = |noted: String| noted != before && !noted.contains(r#""pages":0"#);
        while !has_gone_on(noted()) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        if interruptions == 0 {
            let kill = std::process::Command::new("kill").arg(child.id().to_string()).status();
            assert!(kill.unwrap().success());
        } else if interruptions < 3 {
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            break;
        }
        if interruptions == 0 {
            assert_eq!(output.status.code(), Some(130));
            says(
                &String::from_utf8(output.stderr).unwrap(),
                &["interrupted", "jam-migration.json"],
            );
        }
        interruptions += 1;
        // Without its checkpoint nothing goes on, and half a store is no source.
        says(
            &shell.run(&["migrate", &from, &to, "--checkpoint", "other"]).failed(6),
            &["not its checkpoint"],
        );
        says(
            &shell
                .run(&["migrate", &to, "json:z.json", "--checkpoint", "other"])
                .failed(6),
            &["FROM is itself"],
        );
        // The checkpoint of this one is none of another one.
        says(
            &shell.run(&["migrate", &from, "json:y.json"]).failed(6),
            &["is the checkpoint of"],
        );
    }
    assert!(interruptions >= 3, "{interruptions}");
    proxy.heal();
    assert!(records(&to) == original);
    says(
        &shell.ok(&["migrate", &from, &to, "--dry-run", "--verify"]),
        &["the same"],
    );
    says(&shell.run(&["migrate", &from, &to]).failed(6), &["has filled TO"]);
}

/// A migration into this server, killed when some of it is there.
fn broken_off(shell: &Shell, from: &str, server: &Server) -> Proxy {
    let proxy = Proxy::start(server.address());
    proxy.delay(Duration::from_millis(100)..=Duration::from_millis(100));
    fill(from, 2000);
    let mut migration = shell.command(&["migrate", from, &proxy.url()]);
    let mut child = migration.stderr(Stdio::null()).spawn().unwrap();
    let noted = || std::fs::read_to_string(shell.path("jam-migration.json")).unwrap_or_default();
    while !noted().contains(r#""pages":"#) || noted().contains(r#""pages":0"#) {
        assert!(child.try_wait().unwrap().is_none(), "over before it could be killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was under way shall not arrive while somebody looks.
    proxy.sever();
    let begun = Instant::now();
    while server
        .command(&["CLIENT", "LIST", "TYPE", "normal"])
        .text()
        .lines()
        .count()
        > 1
    {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the server keeps connections"
        );
    }
    proxy
}

#[test]
fn a_checkpoint_does_not_fill_a_target_that_was_emptied_meanwhile() {
    let (shell, server) = (Shell::new(), Server::start(Kind::New));
    let from = url("json", &shell, "a.json");
    let proxy = broken_off(&shell, &from, &server);
    server.command(&["FLUSHALL"]);
    says(&shell.run(&["migrate", &from, &proxy.url()]).failed(6), &["emptied"]);
}

/// As a server does that keeps nothing on a disk and was restarted: what went over is all there is left.
#[test]
fn a_source_that_came_back_empty_does_not_empty_the_target() {
    let (shell, server) = (Shell::new(), Server::start(Kind::New));
    let from = url("json", &shell, "a.json");
    let proxy = broken_off(&shell, &from, &server);
    let copied = records(&server.url());
    assert!(!copied.is_empty());
    let lost = records(&from);
    block_on(async {
        let store = store(&from).await;
        for (key, _) in lost.keys() {
            store.clear(&SessionKey::new(key.as_str()).unwrap()).await.unwrap();
        }
        store.close().await.unwrap();
    });
    for _ in 0..2 {
        says(
            &shell.run(&["migrate", &from, &proxy.url()]).failed(6),
            &["FROM is empty", "what is left"],
        );
        assert!(records(&server.url()) == copied);
    }
}

/// As a server does that comes back with its last snapshot: the mark was in it, and not all of what came then.
#[test]
fn what_the_target_has_lost_since_it_is_copied_again() {
    let (shell, server) = (Shell::new(), Server::start(Kind::New));
    let from = url("json", &shell, "a.json");
    let proxy = broken_off(&shell, &from, &server);
    let hashes = server.command(&["KEYS", "sessions:*"]);
    let lost = hashes
        .array()
        .iter()
        .find(|hash| hash.text() != "sessions:jam-migration");
    assert_eq!(server.command(&["DEL", lost.unwrap().text()]).int(), 1);
    shell.ok(&["migrate", &from, &proxy.url(), "--verify"]);
    assert!(records(&proxy.url()) == records(&from));
}

/// The service ran on its old store again, between an interruption and the next run.
#[test]
fn a_migration_that_goes_on_makes_the_target_as_the_source_is_by_then() {
    let (shell, server) = (Shell::new(), Server::start(Kind::New));
    let from = url("json", &shell, "a.json");
    let proxy = broken_off(&shell, &from, &server);
    let copied: Vec<_> = records(&server.url()).into_iter().collect();
    let id = |at: usize| {
        let ((key, id), _) = &copied[at];
        RecordId::new(SessionKey::new(key.as_str()).unwrap(), id.as_str()).unwrap()
    };
    let expiring: Vec<_> = (0..copied.len()).filter(|at| copied[*at].1.1.is_some()).collect();
    let later = Timestamp::from_millis(SystemClock.now().as_millis() + 9_000_000);
    let sooner = Timestamp::from_millis(SystemClock.now().as_millis() + 1_800_000);
    let renamed = RecordId::new(id(expiring[1]).key().clone(), "renamed.t5o2k9.x").unwrap();
    block_on(async {
        let store = store(&from).await;
        assert!(store.remove(&id(expiring[0])).await.unwrap());
        let before = id(expiring[1]);
        let old = store.load(&before, Load::new()).await.unwrap().unwrap();
        let record = Record::new(old.payload.clone(), Some(later));
        let rename = Rename::new(&before, &old.version, &renamed, &record);
        store.rename(rename).await.unwrap();
        store
            .replace(&id(expiring[2]), None, &Record::new("{}", Some(later)))
            .await
            .unwrap();
        assert!(store.touch(&id(expiring[3]), later).await.unwrap());
        let payload = copied[expiring[4]].1.0.clone();
        store
            .replace(&id(expiring[4]), None, &Record::new(payload.clone(), Some(sooner)))
            .await
            .unwrap();
        store
            .replace(&id(expiring[5]), None, &Record::new("{}", None))
            .await
            .unwrap();
        store.close().await.unwrap();
    });
    let said = shell.ok(&["migrate", &from, &proxy.url()]);
    says(&said, &["copied", "2 removed again that ended meanwhile"]);
    assert!(records(&server.url()) == records(&from));
}

/// They are one page, so all of it is copied once more, into a hash that the second process has never seen.
#[test]
fn a_broken_off_migration_of_one_user_with_many_sessions_goes_on_without_running_into_a_timeout() {
    const SESSIONS: u64 = 30_000;
    for kind in [Kind::New, Kind::Old] {
        let shell = Shell::new();
        let server = Server::start(kind);
        let from = url("json", &shell, "a.json");
        let to = format!("{}?response_timeout=1", server.url());
        block_on(async {
            let store = store(&from).await;
            for at in 0..SESSIONS {
                let id = RecordId::new(SessionKey::new("user1").unwrap(), format!("h{at}.t5o2k9.{at}")).unwrap();
                let later = Timestamp::from_millis(SystemClock.now().as_millis() + 3_600_000 + at);
                store
                    .insert(&id, &Record::new(r#"{"n":1}"#, Some(later)))
                    .await
                    .unwrap();
            }
            store.close().await.unwrap();
        });
        let mut child = shell.command(&["migrate", &from, &to]).spawn().unwrap();
        while server.command(&["HLEN", "sessions:user1"]).int() < 20_000 {
            assert!(child.try_wait().unwrap().is_none(), "over before it could be killed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let said = shell.ok(&["migrate", &from, &to]);
        says(&said, &["30,000 sessions and 0 grace notes copied"]);
        let said = shell.ok(&["migrate", &from, &server.url(), "--dry-run", "--verify"]);
        says(&said, &["the same"]);
    }
}
