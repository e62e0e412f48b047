//! `JsonDir` keeps the contract where many sessions are met at once: clearing, sweeping, listing and scanning.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crate::dir_support::*;
use jam_core::{Clock, Cursor, ErrorKind, SessionStore, Timestamp};
use jam_json::JsonDir;

#[tokio::test]
async fn clear_ends_every_session_of_one_key_and_counts_those_that_are_sessions() {
    let it = Fixture::new().await;
    for index in 0..5 {
        it.store
            .insert(&id("user1", &format!("user1:{index}")), &forever("{}"))
            .await
            .expect("inserted");
    }
    it.store
        .insert(&id("user1", "user1:note~"), &forever("{}"))
        .await
        .expect("inserted");
    it.store
        .insert(&id("user1", "user1:gone"), &until("{}", 1))
        .await
        .expect("inserted");
    it.store
        .insert(&id("user2", "user2:a"), &forever("{}"))
        .await
        .expect("inserted");
    it.clock.set(after(1));
    assert_eq!(it.store.clear(&key("user1")).await.expect("cleared"), 5);
    assert!(it.store.list(&key("user1")).await.expect("listed").is_empty());
    assert_eq!(it.store.list(&key("user2")).await.expect("listed").len(), 1);
    assert_eq!(it.store.clear(&key("user1")).await.expect("cleared"), 0);
    assert_eq!(it.session_files().len(), 1, "no file stays behind");
    it.store
        .insert(&id("user1", "user1:0"), &forever("{}"))
        .await
        .expect("the key is usable again");
}

#[tokio::test]
async fn remove_expired_removes_what_has_expired_and_nothing_else() {
    let it = Fixture::new().await;
    for index in 0..20_u64 {
        let id = id(&format!("user{}", index % 7), &format!("session {index}"));
        it.store.insert(&id, &until("{}", index + 1)).await.expect("inserted");
    }
    it.store
        .insert(&id("forever", "f"), &forever("{}"))
        .await
        .expect("inserted");
    assert_eq!(it.store.remove_expired(after(10)).await.expect("swept"), 10);
    assert_eq!(it.session_files().len(), 11);
    assert_eq!(it.store.remove_expired(after(10)).await.expect("swept"), 0);
    it.clock.set(after(15));
    assert_eq!(it.store.remove_expired(after(15)).await.expect("swept"), 5);
    assert_eq!(it.store.remove_expired(after(1_000)).await.expect("swept"), 5);
    assert_eq!(it.session_files().len(), 1);
    let directories = std::fs::read_dir(it.path()).expect("listed");
    let directories = directories.filter(|entry| entry.as_ref().expect("an entry").path().is_dir());
    assert_eq!(directories.count(), 1, "empty directories go, too");
}

#[tokio::test]
async fn a_scan_gives_every_session_once_in_pages_and_goes_on_in_another_process() {
    let it = Fixture::new().await;
    let mut all = BTreeSet::new();
    for index in 0..60 {
        let id = id(&format!("user{}", index % 9), &format!("session {index}"));
        it.store.insert(&id, &forever("{}")).await.expect("inserted");
        all.insert(id);
    }
    for limit in [1, 7, 60, 1_000] {
        let mut found = Vec::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            // Each page from a store of its own: what a cursor means does not depend on who gave it.
            let store = it.again().await;
            let page = store.scan(cursor, limit).await.expect("scanned");
            assert!(page.entries.len() <= limit);
            found.extend(page.entries.into_iter().map(|entry| entry.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), all.len(), "limit {limit}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), all, "limit {limit}");
    }
}

#[tokio::test]
async fn a_scan_gives_what_was_there_throughout_whatever_is_written_meanwhile() {
    let it = Fixture::new().await;
    let stays: BTreeSet<_> = (0..30).map(|n| id(&format!("user{n}"), "stays")).collect();
    for id in &stays {
        it.store.insert(id, &forever("{}")).await.expect("inserted");
    }
    let mut found = BTreeSet::new();
    let mut cursor = None;
    for round in 0.. {
        let page = it.store.scan(cursor, 3).await.expect("scanned");
        found.extend(page.entries.into_iter().map(|entry| entry.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        let passing = id(&format!("user{}", round * 7 % 30), &format!("passing {round}"));
        it.store.insert(&passing, &forever("{}")).await.expect("inserted");
        if round % 2 == 0 {
            it.store.remove(&passing).await.expect("removed");
        }
        it.store
            .insert(&id(&format!("new {round}"), "n"), &forever("{}"))
            .await
            .expect("inserted");
        it.store
            .clear(&key(&format!("new {}", round / 2)))
            .await
            .expect("cleared");
        it.store.remove_expired(NOW).await.expect("swept");
    }
    assert!(found.is_superset(&stays));
}

#[tokio::test]
async fn a_scan_gives_keys_that_came_after_another_scan_began() {
    let it = Fixture::new().await;
    for index in 0..5 {
        it.store
            .insert(&id(&format!("early {index}"), "a"), &forever("{}"))
            .await
            .expect("inserted");
    }
    let earlier = it.store.scan(None, 1).await.expect("scanned").next;
    for index in 0..20 {
        it.store
            .insert(&id(&format!("late {index}"), "a"), &forever("{}"))
            .await
            .expect("inserted");
    }
    let count = async |mut cursor| {
        let mut found = 0;
        loop {
            let page = it.store.scan(cursor, 2).await.expect("scanned");
            found += page.entries.len();
            cursor = page.next;
            if cursor.is_none() {
                return found;
            }
        }
    };
    assert_eq!(count(None).await, 25);
    assert!(count(earlier).await >= 4, "the earlier one goes on");
}

#[tokio::test]
async fn a_cursor_of_something_else_is_refused() {
    let it = Fixture::new().await;
    for bytes in [&b""[..], b"1:2:3", b"zz", b"\xff\xfe", b"0:ab/cd"] {
        let cursor = Some(Cursor::new(bytes.to_vec()));
        assert_eq!(kind(it.store.scan(cursor, 5).await), ErrorKind::InvalidInput);
    }
}

/// A clock that tells when it is asked, and answers only once the other side of `hold` is gone.
#[derive(Debug)]
struct Gate {
    time: Timestamp,
    asked: Sender<()>,
    hold: Mutex<Receiver<()>>,
}

impl Clock for Gate {
    fn now(&self) -> Timestamp {
        let _ = self.asked.send(());
        let _ = self.hold.lock().expect("no panic").recv();
        self.time
    }
}

/// A store on the same directory with such a clock, what tells that it is asked, and what keeps it from answering.
async fn gated(it: &Fixture, time: Timestamp) -> (JsonDir, Receiver<()>, Sender<()>) {
    let (asked, was_asked) = channel();
    let (stop, hold) = channel();
    let hold = Mutex::new(hold);
    let options = JsonDir::options().storage_path(it.path());
    let options = options.clock(Arc::new(Gate { time, asked, hold }));
    (options.open().await.expect("opened"), was_asked, stop)
}

#[tokio::test]
async fn a_scan_leaves_nobody_out_who_is_extended_meanwhile() {
    let it = Fixture::new().await;
    let a = id("user1", "user1:a");
    it.store.insert(&a, &until("{}", 10)).await.expect("inserted");
    let (store, was_asked, stop) = gated(&it, after(11)).await;
    let mut scan = store.scan(None, 9);
    assert!(is_pending(&mut scan).await);
    was_asked.recv().expect("the scan looks at the clock");
    assert!(it.store.touch(&a, after(60)).await.expect("touched"));
    drop(stop);
    assert_eq!(scan.await.expect("scanned").entries.len(), 1, "it lives");
}

#[tokio::test]
async fn a_close_waits_for_a_walk_under_way_also_for_one_that_was_given_up() {
    for given_up in [false, true] {
        let it = Fixture::new().await;
        let a = id("user1", "user1:a");
        it.store.insert(&a, &until("{}", 10)).await.expect("inserted");
        let (store, was_asked, stop) = gated(&it, NOW).await;
        let mut scan = Some(store.scan(None, 9));
        assert!(is_pending(scan.as_mut().expect("not given up")).await);
        was_asked.recv().expect("the scan has met the session");
        if given_up {
            scan = None;
        }
        let mut close = store.close();
        assert!(is_pending(&mut close).await, "given up: {given_up}");
        drop(stop);
        close.await.expect("closed");
        if let Some(scan) = scan {
            assert_eq!(scan.await.expect("it was under way").entries.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_close_waits_for_a_write_under_way_also_for_one_that_was_given_up() {
    for given_up in [false, true] {
        let it = Fixture::new().await;
        let a = id("user1", "user1:a");
        it.store.insert(&a, &until("{}", 10)).await.expect("inserted");
        let (store, was_asked, stop) = gated(&it, NOW).await;
        let mut touch = Some(store.touch(&a, NOW));
        assert!(is_pending(touch.as_mut().expect("not given up")).await);
        was_asked.recv().expect("it looks whether the session is over");
        if given_up {
            touch = None;
        }
        let mut close = store.close();
        assert!(is_pending(&mut close).await, "given up: {given_up}");
        drop(stop);
        close.await.expect("closed");
        if let Some(touch) = touch {
            assert!(touch.await.expect("it was under way"));
        }
    }
}

async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    let mut future = Pin::new(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
