//! The JSON file keeps the contract with stores, before and after it is opened anew.

use std::sync::Arc;
use std::time::Duration;

use crate::file_support::{Place, all, id, key, payload, record, until, version};
use jam_core::{ErrorKind, Load, RecordId, Rename, Renewal, SessionStore, Timestamp};

#[tokio::test]
async fn an_insert_meets_only_live_records() {
    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("u", "a"), &until("{}", 1_010)).await.expect("insert");
    let again = store.insert(&id("u", "a"), &record("{}")).await.expect_err("there");
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    place.clock.advance(Duration::from_secs(10));
    assert_eq!(payload(&store, &id("u", "a")).await, None);
    store
        .insert(&id("u", "a"), &record("{\"b\":1}"))
        .await
        .expect("expired");
    assert_eq!(payload(&store, &id("u", "a")).await, Some(b"{\"b\":1}".to_vec()));
}

#[tokio::test]
async fn a_replace_needs_a_live_record_of_that_version() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("u", "a");
    let gone = store.replace(&a, None, &record("{}")).await.expect_err("nothing there");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(all(&store).await.is_empty());
    store.insert(&a, &record("{\"n\":1}")).await.expect("insert");
    let first = version(&store, &a).await;
    store
        .replace(&a, Some(&first), &record("{\"n\":2}"))
        .await
        .expect("same");
    let stale = store
        .replace(&a, Some(&first), &record("{\"n\":3}"))
        .await
        .expect_err("stale");
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    assert_eq!(payload(&store, &a).await, Some(b"{\"n\":2}".to_vec()));
    store.replace(&a, None, &until("{\"n\":4}", 1_001)).await.expect("any");
    place.clock.advance(Duration::from_secs(1));
    let expired = store.replace(&a, None, &record("{}")).await.expect_err("expired");
    assert_eq!(expired.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn touch_and_renewal_prolong_and_keep_the_version() {
    let place = Place::new();
    let store = place.open().await;
    let (a, forever) = (id("u", "a"), id("u", "forever"));
    store.insert(&a, &until("{}", 1_010)).await.expect("insert");
    store.insert(&forever, &record("{}")).await.expect("insert");
    let first = version(&store, &a).await;
    assert!(store.touch(&a, Timestamp::from_secs(1_020)).await.expect("touch"));
    assert!(store.touch(&a, Timestamp::from_secs(1_005)).await.expect("earlier"));
    assert!(
        store
            .touch(&forever, Timestamp::from_secs(1_005))
            .await
            .expect("no expiry")
    );
    assert!(
        !store
            .touch(&id("u", "b"), Timestamp::from_secs(1_020))
            .await
            .expect("none")
    );
    let renewal = Renewal::new(Timestamp::from_secs(1_030), Timestamp::from_secs(1_025));
    let stored = store
        .load(&a, Load::new().renew(renewal))
        .await
        .expect("load")
        .expect("live");
    assert!(stored.version == first);
    drop(store);
    let store = place.open().await;
    place.clock.set(Timestamp::from_secs(1_029));
    assert!(payload(&store, &a).await.is_some());
    assert!(payload(&store, &forever).await.is_some());
    place.clock.set(Timestamp::from_secs(1_030));
    assert!(payload(&store, &a).await.is_none());
    assert!(!store.touch(&a, Timestamp::from_secs(1_040)).await.expect("expired"));
}

#[tokio::test]
async fn a_rename_is_one_step_within_a_key_and_between_two() {
    let place = Place::new();
    let store = place.open().await;
    let (a, b, c) = (id("visitor", "a"), id("visitor", "b"), id("user", "c"));
    store.insert(&a, &record("{\"n\":1}")).await.expect("insert");
    let first = version(&store, &a).await;
    let content = record("{\"n\":2}");
    let rename = |from, to| Rename::new(from, &first, to, &content);
    let itself = store.rename(rename(&a, &a)).await.expect_err("itself");
    assert_eq!(itself.kind(), ErrorKind::AlreadyExists);
    store.rename(rename(&a, &b)).await.expect("rename");
    let gone = store.rename(rename(&a, &c)).await.expect_err("gone");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let stale = store.rename(rename(&b, &c)).await.expect_err("stale");
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    let second = version(&store, &b).await;
    store
        .rename(Rename::new(&b, &second, &c, &record("{\"n\":3}")))
        .await
        .expect("rename");
    let moved = [("user".to_owned(), "c".to_owned(), b"{\"n\":3}".to_vec(), None)];
    assert_eq!(all(&store).await, moved);
    drop(store);
    let store = place.open().await;
    assert_eq!(all(&store).await, moved);
}

#[tokio::test]
async fn clear_ends_all_of_a_key_and_counts_its_sessions() {
    let place = Place::new();
    let store = place.open().await;
    for name in ["a", "b", "b~"] {
        store.insert(&id("u", name), &record("{}")).await.expect("insert");
    }
    store
        .insert(&id("u", "old"), &until("{}", 1_000))
        .await
        .expect("expired already");
    store.insert(&id("other", "a"), &record("{}")).await.expect("insert");
    assert_eq!(store.list(&key("u")).await.expect("list").len(), 3);
    assert_eq!(store.clear(&key("u")).await.expect("clear"), 2);
    assert_eq!(store.clear(&key("u")).await.expect("clear"), 0);
    drop(store);
    let store = place.open().await;
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn what_expired_is_reclaimed_and_what_was_prolonged_is_kept() {
    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("u", "a"), &until("{}", 1_010)).await.expect("insert");
    store.insert(&id("u", "b"), &until("{}", 1_010)).await.expect("insert");
    store
        .touch(&id("u", "b"), Timestamp::from_secs(1_020))
        .await
        .expect("touch");
    place.clock.set(Timestamp::from_secs(1_015));
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(1_015)).await.expect("sweep"),
        1
    );
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(1_015)).await.expect("sweep"),
        0
    );
    drop(store);
    let store = place.open().await;
    place.clock.set(Timestamp::from_secs(1_000));
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_turned_back_costs_no_session() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("u", "a");
    store.insert(&a, &until("{}", 1_010)).await.expect("insert");
    place.clock.set(Timestamp::from_secs(1));
    assert!(payload(&store, &a).await.is_some());
    assert!(store.touch(&a, Timestamp::from_secs(1_020)).await.expect("touch"));
    store.close().await.expect("close");
    let store = place.open().await;
    assert!(payload(&store, &a).await.is_some());
}

#[tokio::test]
async fn a_session_that_was_seen_to_expire_stays_ended_when_the_clock_is_turned_back() {
    let place = Place::new();
    let store = place.open().await;
    for (number, seen_by_list) in [(0, false), (1, true)] {
        place.clock.set(Timestamp::from_secs(1_000));
        let user = format!("user{number}");
        let a = id(&user, "a");
        store.insert(&a, &until("{}", 1_010)).await.expect("insert");
        store.insert(&id(&user, "b"), &record("{}")).await.expect("insert");
        place.clock.set(Timestamp::from_secs(1_010));
        if seen_by_list {
            assert_eq!(store.list(a.key()).await.expect("list").len(), 1);
        } else {
            assert!(payload(&store, &a).await.is_none());
        }
        place.clock.set(Timestamp::from_secs(1_000));
        assert!(payload(&store, &a).await.is_none(), "seen by a list: {seen_by_list}");
        assert_eq!(store.list(a.key()).await.expect("list").len(), 1);
        let revived = store.replace(&a, None, &record("{}")).await.expect_err("ended");
        assert_eq!(revived.kind(), ErrorKind::NotFound);
        store
            .insert(&a, &record("{\"new\":1}"))
            .await
            .expect("a new one of that id");
        assert_eq!(payload(&store, &a).await, Some(b"{\"new\":1}".to_vec()));
    }
    store.compact().await.expect("compact");
    assert_eq!(all(&store).await.len(), 4);
}

#[tokio::test]
async fn a_session_that_was_seen_to_expire_and_then_removed_is_not_there_at_the_next_opening() {
    for removed_alone in [true, false] {
        let place = Place::new();
        let store = place.open().await;
        let a = id("u", "a");
        store.insert(&a, &until("{}", 1_010)).await.expect("insert");
        place.clock.set(Timestamp::from_secs(1_010));
        assert!(payload(&store, &a).await.is_none());
        place.clock.set(Timestamp::from_secs(1_000));
        if removed_alone {
            assert!(!store.remove(&a).await.expect("remove"));
        } else {
            assert_eq!(store.clear(a.key()).await.expect("clear"), 0);
        }
        drop(store);
        assert!(payload(&place.open().await, &a).await.is_none());
    }
}

#[tokio::test]
async fn a_session_that_was_seen_to_expire_and_then_swept_is_not_there_at_the_next_opening() {
    for seen_by_list in [true, false] {
        let place = Place::new();
        let store = place.open().await;
        let (a, b) = (id("u", "a"), id("u", "b"));
        store.insert(&a, &until("{}", 1_010)).await.expect("insert");
        store.insert(&b, &until("{}", 1_010)).await.expect("insert");
        place.clock.set(Timestamp::from_secs(1_010));
        if seen_by_list {
            assert!(store.list(a.key()).await.expect("list").is_empty());
        } else {
            assert!(payload(&store, &a).await.is_none());
        }
        place.clock.set(Timestamp::from_secs(1_000));
        let swept = store.remove_expired(Timestamp::from_secs(1_000)).await.expect("sweep");
        assert_eq!(swept, if seen_by_list { 2 } else { 1 });
        assert!(!store.remove(&a).await.expect("remove"));
        store.insert(&id("u", "c"), &record("{}")).await.expect("insert");
        drop(store);
        let store = place.open().await;
        assert!(payload(&store, &a).await.is_none());
        assert_eq!(payload(&store, &b).await.is_some(), !seen_by_list);
    }
}

#[tokio::test]
async fn hostile_keys_and_payloads_come_back_byte_for_byte() {
    let place = Place::new();
    let long = "k".repeat(512);
    let keys = [
        "a",
        "../..",
        "a:b:c",
        "nul\0",
        "line\nbreak\r",
        "quote\"\\",
        "😀",
        "\u{202e}rtl",
        "\u{2028}",
        &long,
    ];
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(1024 * 1024));
    let payloads: [&[u8]; 9] = [
        b"",
        b"{}",
        b"{\"a\": 1.0, \"a\": 1e400}",
        b"{ \"a\":\n1}",
        b"\xff\xfe",
        b"[1]",
        b"{\"u\":\"\\ud800\"}",
        b"J$_gAAAA",
        large.as_bytes(),
    ];
    let mut expected = Vec::new();
    let store = place.open().await;
    for key_text in keys {
        for (index, payload) in payloads.iter().enumerate() {
            let name = format!("{index}{key_text}");
            store
                .insert(&id(key_text, &name), &record(payload))
                .await
                .expect("insert");
            expected.push((key_text.to_owned(), name, payload.to_vec(), None));
        }
    }
    expected.sort();
    assert!(all(&store).await == expected);
    drop(store);
    let store = place.open().await;
    assert!(all(&store).await == expected, "from the journal");
    store.close().await.expect("close");
    let store = place.open().await;
    assert!(store.recovery().is_empty());
    assert!(all(&store).await == expected, "from the document");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_swaps_none_is_lost() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    let counter = id("u", "counter");
    store.insert(&counter, &record("{\"n\":0}")).await.expect("insert");
    let tasks = (0..16).map(|_| {
        let (store, counter) = (Arc::clone(&store), counter.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while done < 50 {
                let stored = store.load(&counter, Load::new()).await.expect("load").expect("there");
                let text = str::from_utf8(&stored.payload).expect("utf-8");
                let number: u64 = text[5..text.len() - 1].parse().expect("number");
                let next = record(format!("{{\"n\":{}}}", number + 1));
                match store.replace(&counter, Some(&stored.version), &next).await {
                    Ok(()) => done += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("task");
    }
    assert_eq!(payload(&*store, &counter).await, Some(b"{\"n\":800}".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_late_write_revives_an_ended_session() {
    let place = Place::new();
    let store = Arc::new(place.options().compact_after(4_096).open().await.expect("open"));
    let late = record("{\"late\":1}");
    for round in 0..300 {
        let (a, b) = (id("u", &format!("{round}a")), id("u", &format!("{round}b")));
        store.insert(&a, &until("{}", 2_000)).await.expect("insert");
        let first = version(&*store, &a).await;
        let replace = store.replace(&a, None, &late);
        let touch = store.touch(&a, Timestamp::from_secs(3_000));
        let next = record("{\"moved\":1}");
        let rename = store.rename(Rename::new(&a, &first, &b, &next));
        let (removed, cleared) = (store.remove(&a), async {
            if round % 2 == 0 {
                store.clear(&key("u")).await.map(drop)
            } else {
                Ok(())
            }
        });
        let (_, _, renamed, removed, _) = tokio::join!(replace, touch, rename, removed, cleared);
        assert_eq!(payload(&*store, &a).await, None, "round {round}");
        let (renamed, removed) = (renamed.is_ok(), removed.expect("remove"));
        assert!(!(renamed && removed), "the old id ended twice in round {round}");
        store.clear(&key("u")).await.expect("clear");
    }
    drop(store);
    assert!(all(&place.open().await).await.is_empty());
}

#[tokio::test]
async fn a_dropped_call_is_made_as_a_whole_or_not_at_all() {
    use std::task::{Context, Waker};

    let place = Place::new();
    let store = place.open().await;
    for round in 0..100 {
        let new = id("u", &format!("{round}"));
        let content = record("{\"whole\":true}");
        {
            let mut call = store.insert(&new, &content);
            let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        let other = id("other", &format!("{round}"));
        store.insert(&other, &content).await.expect("the store goes on");
        // It was queued before the other one, so by now it was made or left out.
        let made = payload(&store, &new).await;
        assert!(made.is_none_or(|made| made == b"{\"whole\":true}"), "round {round}");
    }
}

#[tokio::test]
async fn scanning_while_writing_misses_nothing_that_stays() {
    let place = Place::new();
    let store = place.open().await;
    for number in 0..200 {
        store
            .insert(&id(&format!("u{}", number % 7), &format!("{number}")), &record("{}"))
            .await
            .expect("insert");
    }
    let mut seen: Vec<RecordId> = Vec::new();
    let mut cursor = None;
    for step in 0.. {
        let page = store.scan(cursor, 3).await.expect("scan");
        seen.extend(page.entries.into_iter().map(|entry| entry.id));
        store
            .insert(&id("new", &format!("{step}")), &record("{}"))
            .await
            .expect("insert");
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    for number in 0..200 {
        let there = id(&format!("u{}", number % 7), &format!("{number}"));
        assert_eq!(seen.iter().filter(|seen| **seen == there).count(), 1);
    }
}
