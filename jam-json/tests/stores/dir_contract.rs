//! `JsonDir` keeps the contract of a session store, method by method.

use crate::dir_support::*;
use jam_core::{ErrorKind, Load, Record, Rename, Renewal, SessionStore, Version};

#[tokio::test]
async fn what_was_inserted_is_loaded_byte_for_byte() {
    let it = Fixture::new().await;
    let mut deep = "{\"a\":".repeat(400);
    deep.push_str("{}");
    deep.push_str(&"}".repeat(400));
    let payloads: Vec<Vec<u8>> = vec![
        b"{}".to_vec(),
        b"{ \"a\" : 1.50,\n\"a\":2e400, \"b\":\"\\u00e4\\ud83d\\ude00\" }".to_vec(),
        b" {} ".to_vec(),
        b"".to_vec(),
        b"[1,2]".to_vec(),
        b"null".to_vec(),
        b"{} {}".to_vec(),
        b"{not json}".to_vec(),
        b"{\"cut\":".to_vec(),
        b"{\"raw\":\"\xff\"}".to_vec(),
        vec![0, 159, 146, 150, 255],
        (0..=255).collect(),
        deep.into_bytes(),
        format!("{{\"big\":\"{}\"}}", "x".repeat(1 << 20)).into_bytes(),
    ];
    for (index, bytes) in payloads.iter().enumerate() {
        let id = id("user1", &format!("user1:{index}"));
        let record = Record::new(bytes.clone(), None);
        it.store.insert(&id, &record).await.expect("inserted");
        let stored = load(&it.store, &id).await.expect("there");
        assert_eq!(stored.payload, bytes, "payload {index}");
    }
    let again = it.again().await;
    assert_eq!(again.list(&key("user1")).await.expect("listed").len(), payloads.len());
}

#[tokio::test]
async fn a_session_file_is_json_with_the_data_as_it_is() {
    let it = Fixture::new().await;
    it.store
        .insert(&id("user1", "user1:a"), &until(r#"{"role":"admin","n":[1,2]}"#, 60))
        .await
        .expect("inserted");
    let text = std::fs::read_to_string(it.session_file()).expect("read");
    assert!(text.contains(r#""data":{"role":"admin","n":[1,2]}"#), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("the whole file is one JSON document");
    assert_eq!(json["key"], "user1");
    assert_eq!(json["id"], "user1:a");
    assert_eq!(json["data"]["role"], "admin");
    assert_eq!(json["expires_at"], after(60).as_millis());
}

#[tokio::test]
async fn a_session_file_uses_the_field_names_of_the_json_store_and_is_one_line_that_other_readers_take() {
    let it = Fixture::new().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(101), "]".repeat(101));
    let fields = |payload: &'static [&'static str]| [&["jam_session", "crc32", "len", "key", "id"], payload].concat();
    for (record, expected) in [
        (forever("{}"), fields(&["data"])),
        (until("{}", 60), fields(&["expires_at", "data"])),
        (forever("sealed"), fields(&["data_base64"])),
        (forever("{\"spread\":\n1}"), fields(&["data_base64"])),
        (forever(&deep), fields(&["data_base64"])),
    ] {
        let a = id("user1", "user1:a");
        it.store.insert(&a, &record).await.expect("inserted");
        let text = std::fs::read_to_string(it.session_file()).expect("read");
        assert_eq!(text.lines().count(), 1, "{text}");
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        let (mut found, mut expected) = (json.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
        assert_eq!(load(&it.store, &a).await.expect("there").payload, record.payload);
        it.store.remove(&a).await.expect("removed");
    }
}

#[tokio::test]
async fn insert_refuses_an_id_that_is_taken_and_leaves_it_as_it_was() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    it.store.insert(&id, &forever("{\"a\":1}")).await.expect("inserted");
    assert_eq!(
        kind(it.store.insert(&id, &forever("{\"a\":2}")).await),
        ErrorKind::AlreadyExists
    );
    assert_eq!(payload(&it.store, &id).await.as_deref(), Some("{\"a\":1}"));
}

#[tokio::test]
async fn an_expired_session_does_not_exist() {
    let it = Fixture::new().await;
    let (a, b) = (id("user1", "user1:a"), id("user1", "user1:b"));
    it.store.insert(&a, &until("{}", 10)).await.expect("inserted");
    let version = load(&it.store, &a).await.expect("there").version;
    it.clock.set(after(10));
    assert!(it.store.list(&key("user1")).await.expect("listed").is_empty());
    assert!(it.store.scan(None, 10).await.expect("scanned").entries.is_empty());
    assert!(!it.store.touch(&a, after(99)).await.expect("touched"));
    assert_eq!(
        kind(it.store.replace(&a, None, &forever("{}")).await),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(it.store.rename(Rename::new(&a, &version, &b, &forever("{}"))).await),
        ErrorKind::NotFound
    );
    assert!(load(&it.store, &a).await.is_none());
    assert!(load(&it.store, &b).await.is_none());
    assert!(!it.store.remove(&a).await.expect("removed"));
    assert_eq!(it.store.clear(&key("user1")).await.expect("cleared"), 0);
    it.store
        .insert(&a, &until("{\"new\":1}", 20))
        .await
        .expect("the id is free");
    assert_eq!(payload(&it.store, &a).await.as_deref(), Some("{\"new\":1}"));
}

#[tokio::test]
async fn an_expired_file_is_removed_when_it_is_met() {
    let it = Fixture::new().await;
    for (index, meet) in ["load", "touch", "replace"].into_iter().enumerate() {
        let id = id("user1", &format!("user1:{index}"));
        it.store.insert(&id, &until("{}", 10)).await.expect("inserted");
        let file = it.session_file();
        it.clock.set(after(10));
        match meet {
            "load" => assert!(load(&it.store, &id).await.is_none()),
            "touch" => assert!(!it.store.touch(&id, after(60)).await.expect("touched")),
            _ => assert_eq!(
                kind(it.store.replace(&id, None, &forever("{}")).await),
                ErrorKind::NotFound
            ),
        }
        assert!(!file.exists(), "after {meet}");
        it.clock.set(NOW);
    }
}

#[tokio::test]
async fn a_session_that_was_seen_to_expire_stays_ended_when_the_clock_is_turned_back() {
    for seen_by_list in [false, true] {
        let it = Fixture::new().await;
        let id = id("user1", "user1:a");
        it.store.insert(&id, &until("{}", 10)).await.expect("inserted");
        it.clock.set(after(10));
        if seen_by_list {
            assert!(it.store.list(id.key()).await.expect("listed").is_empty());
        } else {
            assert!(load(&it.store, &id).await.is_none());
        }
        it.clock.set(NOW);
        assert!(load(&it.store, &id).await.is_none(), "seen by a list: {seen_by_list}");
        assert_eq!(
            kind(it.store.replace(&id, None, &forever("{}")).await),
            ErrorKind::NotFound
        );
    }
}

#[tokio::test]
async fn replace_is_a_compare_and_swap() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    assert_eq!(
        kind(it.store.replace(&id, None, &forever("{}")).await),
        ErrorKind::NotFound
    );
    assert!(it.session_files().is_empty(), "nothing is left behind");
    it.store.insert(&id, &until("{\"n\":1}", 60)).await.expect("inserted");
    let first = load(&it.store, &id).await.expect("there").version;
    it.store
        .replace(&id, Some(&first), &until("{\"n\":2}", 30))
        .await
        .expect("replaced");
    assert_eq!(
        kind(it.store.replace(&id, Some(&first), &forever("{\"n\":3}")).await),
        ErrorKind::Conflict
    );
    let foreign = Version::from_counter(1);
    assert_eq!(
        kind(it.store.replace(&id, Some(&foreign), &forever("{\"n\":3}")).await),
        ErrorKind::Conflict
    );
    assert_eq!(payload(&it.store, &id).await.as_deref(), Some("{\"n\":2}"));
    it.clock.set(after(30));
    assert!(load(&it.store, &id).await.is_none(), "an earlier expiry counts");
}

#[tokio::test]
async fn touch_and_renewal_prolong_a_life_and_keep_the_version() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    assert!(!it.store.touch(&id, after(60)).await.expect("touched"));
    it.store.insert(&id, &until("{}", 10)).await.expect("inserted");
    let version = load(&it.store, &id).await.expect("there").version;
    assert!(it.store.touch(&id, after(60)).await.expect("touched"));
    assert!(it.store.touch(&id, after(5)).await.expect("never shortened"));
    it.clock.set(after(59));
    let renewal = Renewal::new(after(100), after(70));
    let stored = it
        .store
        .load(&id, Load::new().renew(renewal))
        .await
        .expect("loaded")
        .expect("there");
    assert!(stored.version == version, "a renewal keeps the version");
    it.clock.set(after(99));
    let not_due = Renewal::new(after(200), after(100));
    assert!(
        it.store
            .load(&id, Load::new().renew(not_due))
            .await
            .expect("loaded")
            .is_some()
    );
    it.clock.set(after(100));
    assert!(
        load(&it.store, &id).await.is_none(),
        "a renewal that is not due moves nothing"
    );
}

#[tokio::test]
async fn a_renewal_that_is_not_due_writes_nothing() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    it.store.insert(&id, &until("{}", 60)).await.expect("inserted");
    let before = inode(&it.session_file());
    let renewal = Renewal::new(after(100), after(60));
    it.store
        .load(&id, Load::new().renew(renewal))
        .await
        .expect("loaded")
        .expect("there");
    assert_eq!(inode(&it.session_file()), before, "the file is the same one");
}

#[tokio::test]
async fn a_session_without_expiry_keeps_having_none() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    it.store.insert(&id, &forever("{}")).await.expect("inserted");
    let before = inode(&it.session_file());
    assert!(it.store.touch(&id, after(1)).await.expect("touched"));
    it.clock.set(after(1_000_000));
    assert!(load(&it.store, &id).await.is_some());
    assert_eq!(inode(&it.session_file()), before, "nothing was to be written");
}

#[cfg(unix)]
fn inode(path: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).expect("there").ino()
}

#[tokio::test]
async fn rename_ends_the_old_id_and_begins_the_new_one() {
    let it = Fixture::new().await;
    // Within a key, to a key that has a directory, and to one that has none.
    it.store
        .insert(&id("user2", "user2:z"), &forever("{}"))
        .await
        .expect("inserted");
    for to in [id("user1", "user1:b"), id("user2", "user2:b"), id("user3", "user3:b")] {
        let from = id("user1", "user1:a");
        it.store
            .insert(&from, &until("{\"old\":1}", 10))
            .await
            .expect("inserted");
        let version = load(&it.store, &from).await.expect("there").version;
        let moved = until("{\"new\":1}", 60);
        let rename = Rename::new(&from, &version, &to, &moved);
        it.store.rename(rename).await.expect("renamed");
        assert!(load(&it.store, &from).await.is_none());
        assert_eq!(payload(&it.store, &to).await.as_deref(), Some("{\"new\":1}"));
        assert_eq!(
            kind(it.store.replace(&from, None, &forever("{}")).await),
            ErrorKind::NotFound
        );
        assert_eq!(kind(it.store.rename(rename).await), ErrorKind::NotFound);
        let listed = it.store.list(to.key()).await.expect("listed");
        assert!(
            listed
                .iter()
                .any(|entry| entry.id == to && entry.expires_at == Some(after(60)))
        );
        for file in it.session_files() {
            let text = std::fs::read_to_string(file).expect("read");
            assert!(!text.contains("old"), "nothing is left of what it was: {text}");
            serde_json::from_str::<serde_json::Value>(&text).expect("still one JSON document");
        }
        assert_eq!(
            it.store.clear(&key("user1")).await.expect("cleared"),
            u64::from(to.key() == from.key())
        );
    }
}

#[tokio::test]
async fn a_rename_that_fails_changes_nothing() {
    let it = Fixture::new().await;
    let (a, b) = (id("user1", "user1:a"), id("user2", "user2:b"));
    it.store.insert(&a, &forever("{\"a\":1}")).await.expect("inserted");
    it.store.insert(&b, &forever("{\"b\":1}")).await.expect("inserted");
    let version = load(&it.store, &a).await.expect("there").version;
    let stale = load(&it.store, &b).await.expect("there").version;
    let record = forever("{\"moved\":1}");
    let rename = |from, expected, to| Rename::new(from, expected, to, &record);
    let (new, missing) = (id("user1", "user1:n"), id("user1", "user1:m"));
    for (rename, expected) in [
        (rename(&a, &stale, &new), ErrorKind::Conflict),
        (rename(&missing, &version, &new), ErrorKind::NotFound),
        (rename(&a, &version, &b), ErrorKind::AlreadyExists),
        (rename(&a, &version, &a), ErrorKind::AlreadyExists),
    ] {
        assert_eq!(kind(it.store.rename(rename).await), expected);
        assert_eq!(payload(&it.store, &a).await.as_deref(), Some("{\"a\":1}"));
        assert_eq!(payload(&it.store, &b).await.as_deref(), Some("{\"b\":1}"));
        assert!(load(&it.store, &new).await.is_none());
        assert!(load(&it.store, &missing).await.is_none());
    }
}

#[tokio::test]
async fn a_rename_may_take_the_place_of_an_expired_session() {
    let it = Fixture::new().await;
    let (a, b) = (id("user1", "user1:a"), id("user1", "user1:b"));
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    it.store.insert(&b, &until("{\"gone\":1}", 1)).await.expect("inserted");
    it.clock.set(after(1));
    let version = load(&it.store, &a).await.expect("there").version;
    it.store
        .rename(Rename::new(&a, &version, &b, &forever("{\"new\":1}")))
        .await
        .expect("renamed");
    assert_eq!(payload(&it.store, &b).await.as_deref(), Some("{\"new\":1}"));
}

#[tokio::test]
async fn remove_tells_whether_there_was_a_session() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    assert!(!it.store.remove(&id).await.expect("removed"));
    it.store.insert(&id, &forever("{}")).await.expect("inserted");
    assert!(it.store.remove(&id).await.expect("removed"));
    assert!(load(&it.store, &id).await.is_none());
    assert!(!it.store.remove(&id).await.expect("removed"));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let it = Fixture::new().await;
    let a = id("user1", "user1:a");
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    let version = load(&it.store, &a).await.expect("there").version;
    it.store.close().await.expect("closed");
    it.store.close().await.expect("closed twice");
    let record = forever("{}");
    let b = id("user1", "user1:b");
    let rename = Rename::new(&a, &version, &b, &record);
    let kinds = [
        kind(it.store.insert(&a, &record).await),
        kind(it.store.load(&a, Load::new()).await),
        kind(it.store.replace(&a, None, &record).await),
        kind(it.store.touch(&a, after(1)).await),
        kind(it.store.rename(rename).await),
        kind(it.store.remove(&a).await),
        kind(it.store.list(a.key()).await),
        kind(it.store.clear(a.key()).await),
        kind(it.store.remove_expired(NOW).await),
        kind(it.store.scan(None, 1).await),
    ];
    assert_eq!(kinds, [ErrorKind::Unavailable; 10]);
    assert!(load(&it.again().await, &a).await.is_some(), "it is all still there");
}

#[tokio::test]
async fn synced_writes_are_there_for_the_next_one_who_opens() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = jam_json::JsonDir::open(directory.path()).await.expect("opened");
    let (a, b) = (id("user1", "user1:a"), id("user2", "user2:b"));
    store.insert(&a, &forever("{}")).await.expect("inserted");
    let version = load(&store, &a).await.expect("there").version;
    let record = forever("{\"n\":1}");
    store
        .rename(Rename::new(&a, &version, &b, &record))
        .await
        .expect("renamed");
    drop(store);
    let store = jam_json::JsonDir::open(directory.path()).await.expect("opened");
    assert!(load(&store, &a).await.is_none());
    assert_eq!(payload(&store, &b).await.as_deref(), Some("{\"n\":1}"));
    assert_eq!(store.clear(b.key()).await.expect("cleared"), 1);
}
