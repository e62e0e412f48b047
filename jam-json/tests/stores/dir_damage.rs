//! A damaged session file is a typed error that names the file, never a session that silently is not there.

use crate::dir_support::*;
use jam_core::{ErrorKind, Load, Rename, SessionStore};

/// Does `load`, and checks that it gives `Corrupt` and the name of the file.
async fn must_be_corrupt(it: &Fixture, id: &jam_core::RecordId, what: &str) {
    match it.store.load(id, Load::new()).await {
        Ok(Some(_)) => panic!("{what}: loaded"),
        Ok(None) => panic!("{what}: silently not there"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            let file = it.session_file();
            let name = file.file_name().expect("a name").to_str().expect("ASCII");
            assert!(error.to_string().contains(name), "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn a_session_file_cut_at_any_byte_is_an_error() {
    let it = Fixture::new().await;
    for payload in ["{\"role\":\"admin\",\"nested\":{\"a\":[1,2,3]}}", "\u{0}not json"] {
        let id = id("user1", "user1:a");
        it.store.insert(&id, &until(payload, 60)).await.expect("inserted");
        let whole = std::fs::read(it.session_file()).expect("read");
        for len in 0..whole.len() {
            std::fs::write(it.session_file(), &whole[..len]).expect("written");
            must_be_corrupt(&it, &id, &format!("cut to {len} of {}", whole.len())).await;
        }
        std::fs::write(it.session_file(), [&whole[..], b"\n"].concat()).expect("written");
        must_be_corrupt(&it, &id, "one byte too many").await;
        std::fs::write(it.session_file(), [&whole[..], &whole[..]].concat()).expect("written");
        must_be_corrupt(&it, &id, "twice").await;
        std::fs::write(it.session_file(), &whole).expect("written");
        assert!(it.store.remove(&id).await.expect("removed"));
    }
}

#[tokio::test]
async fn any_flipped_bit_in_a_session_file_is_an_error() {
    let it = Fixture::new().await;
    for payload in ["{\"role\":\"admin\"}", "\u{0}not json"] {
        let id = id("user1", "user1:a");
        it.store.insert(&id, &until(payload, 60)).await.expect("inserted");
        let whole = std::fs::read(it.session_file()).expect("read");
        for byte in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[byte] ^= 1 << bit;
                std::fs::write(it.session_file(), &flipped).expect("written");
                must_be_corrupt(&it, &id, &format!("bit {bit} of byte {byte}")).await;
            }
        }
        std::fs::write(it.session_file(), &whole).expect("written");
        assert!(it.store.remove(&id).await.expect("removed"));
    }
}

#[tokio::test]
async fn a_file_that_was_copied_or_renamed_by_hand_is_no_session() {
    let it = Fixture::new().await;
    let (a, b) = (id("user1", "user1:a"), id("user1", "user1:b"));
    it.store.insert(&b, &forever("{}")).await.expect("inserted");
    let file_b = it.session_file();
    it.store.insert(&a, &forever("{\"a\":1}")).await.expect("inserted");
    let file_a = it
        .session_files()
        .into_iter()
        .find(|file| *file != file_b)
        .expect("two files");
    std::fs::copy(&file_a, &file_b).expect("copied");
    assert_eq!(kind(it.store.load(&b, Load::new()).await), ErrorKind::Corrupt);
    assert_eq!(kind(it.store.list(a.key()).await), ErrorKind::Corrupt);
    // The same under another key: a session cannot be handed to somebody else by moving its file.
    it.store
        .insert(&id("user2", "user1:a"), &forever("{}"))
        .await
        .expect("inserted");
    let file = it
        .session_files()
        .into_iter()
        .find(|file| file.parent() != file_a.parent());
    std::fs::copy(&file_a, file.expect("another directory")).expect("copied");
    assert_eq!(
        kind(it.store.load(&id("user2", "user1:a"), Load::new()).await),
        ErrorKind::Corrupt
    );
    assert_eq!(kind(it.store.scan(None, 99).await), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_damaged_session_is_reported_by_everything_that_needs_it_and_can_still_be_ended() {
    let it = Fixture::new().await;
    let (a, b) = (id("user1", "user1:a"), id("user1", "user1:b"));
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    let version = load(&it.store, &a).await.expect("there").version;
    let file = it.session_file();
    let damage = || std::fs::write(&file, "{\"jam_session\":1}").expect("written");
    damage();
    let record = forever("{}");
    let rename = Rename::new(&a, &version, &b, &record);
    let kinds = [
        kind(it.store.insert(&a, &record).await),
        kind(it.store.load(&a, Load::new()).await),
        kind(it.store.replace(&a, None, &record).await),
        kind(it.store.touch(&a, after(1)).await),
        kind(it.store.rename(rename).await),
        kind(it.store.list(a.key()).await),
        kind(it.store.scan(None, 1).await),
    ];
    assert_eq!(kinds, [ErrorKind::Corrupt; 7]);
    assert!(it.store.remove(&a).await.expect("a damaged session can be ended"));
    assert!(load(&it.store, &a).await.is_none());
    it.store.insert(&b, &forever("{}")).await.expect("inserted");
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    damage();
    assert_eq!(
        it.store.clear(a.key()).await.expect("cleared"),
        1,
        "the damaged one is not counted"
    );
    assert!(it.session_files().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_session_whose_file_cannot_be_read_can_still_be_ended() {
    let it = Fixture::new().await;
    let (a, b) = (id("user1", "user1:a"), id("user1", "user1:b"));
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    let file = it.session_file();
    // To itself, which also root cannot follow.
    let make_unreadable = || {
        std::fs::remove_file(&file).expect("removed");
        std::os::unix::fs::symlink(&file, &file).expect("linked");
    };
    make_unreadable();
    let kinds = [
        kind(it.store.load(&a, Load::new()).await),
        kind(it.store.list(a.key()).await),
    ];
    assert_eq!(kinds, [ErrorKind::Unavailable; 2]);
    assert!(it.store.remove(&a).await.expect("it can be ended"));
    assert!(it.session_files().is_empty());
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    it.store.insert(&b, &forever("{}")).await.expect("inserted");
    make_unreadable();
    let cleared = it.store.clear(a.key()).await.expect("so can all of the key");
    assert_eq!(cleared, 1, "what cannot be read is not counted");
    assert!(it.session_files().is_empty());
}

#[tokio::test]
async fn a_damaged_session_does_not_keep_others_from_being_swept() {
    let it = Fixture::new().await;
    let damaged = id("user1", "user1:damaged");
    it.store.insert(&damaged, &until("{}", 10)).await.expect("inserted");
    std::fs::write(it.session_file(), "").expect("written");
    for index in 0..20 {
        let id = id(&format!("user{}", index % 4), &format!("session {index}"));
        it.store.insert(&id, &until("{}", 10)).await.expect("inserted");
    }
    assert_eq!(kind(it.store.remove_expired(after(10)).await), ErrorKind::Corrupt);
    assert_eq!(it.session_files().len(), 1, "all but the damaged one are gone");
}

/// As a process leaves it that dies between its last session's end and that of the directory.
#[tokio::test]
async fn a_sweep_takes_away_a_directory_without_sessions() {
    let it = Fixture::new().await;
    it.store
        .insert(&id("user1", "a"), &forever("{}"))
        .await
        .expect("inserted");
    let file = it.session_file();
    let directory = file.parent().expect("a directory");
    assert_eq!(it.store.remove_expired(NOW).await.expect("swept"), 0);
    assert!(directory.exists());
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(it.store.remove_expired(NOW).await.expect("swept"), 0);
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_session_file_of_a_newer_version_is_refused_by_name() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    it.store.insert(&id, &forever("{}")).await.expect("inserted");
    let text = std::fs::read_to_string(it.session_file()).expect("read");
    std::fs::write(
        it.session_file(),
        text.replace("\"jam_session\":1", "\"jam_session\":2"),
    )
    .expect("written");
    let error = error(it.store.load(&id, Load::new()).await);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("newer version"), "{error}");
}

#[tokio::test]
async fn a_session_file_of_version_1_is_read_for_ever() {
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    it.store.insert(&id, &until("{}", 1)).await.expect("inserted");
    let golden = include_bytes!("../golden/dir_session_v1.json");
    std::fs::write(it.session_file(), golden).expect("written");
    let entries = it.store.list(id.key()).await.expect("listed");
    assert_eq!(entries.len(), 1);
    assert_eq!(
        entries[0].stored.payload,
        "{\"role\": \"admin\", \"name\": \"Zo\u{eb}\"}"
    );
    assert_eq!(entries[0].expires_at, Some(after(3600)));
    assert!(load(&it.store, &id).await.is_some());
}

#[tokio::test]
async fn a_storage_directory_that_vanished_is_an_error_and_no_miss() {
    let it = Fixture::new().await;
    let a = id("user1", "user1:a");
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    std::fs::remove_dir_all(it.path()).expect("removed");
    let kinds = [
        kind(it.store.load(&a, Load::new()).await),
        kind(it.store.insert(&a, &forever("{}")).await),
        kind(it.store.replace(&a, None, &forever("{}")).await),
        kind(it.store.touch(&a, after(1)).await),
        kind(it.store.remove(&a).await),
        kind(it.store.list(a.key()).await),
        kind(it.store.clear(a.key()).await),
        kind(it.store.remove_expired(NOW).await),
        kind(it.store.scan(None, 1).await),
    ];
    assert_eq!(kinds, [ErrorKind::Unavailable; 9]);
    std::fs::create_dir(it.path()).expect("created");
    it.store
        .insert(&a, &forever("{}"))
        .await
        .expect("works again once it is back");
}

#[tokio::test]
async fn what_a_crash_left_behind_is_swept_when_the_store_opens_and_with_the_expired() {
    for at_open in [true, false] {
        let it = Fixture::new().await;
        let a = id("user1", "user1:a");
        it.store.insert(&a, &forever("{}")).await.expect("inserted");
        let dir = it.session_file().parent().expect("a directory").to_owned();
        let trash = dir.with_extension("trash");
        std::fs::write(dir.join("next.tmp"), "half").expect("written");
        let dirt = it.path().join("jam_sync.tmp");
        std::fs::write(&dirt, "").expect("written");
        std::fs::create_dir(&trash).expect("created");
        std::fs::write(trash.join("old.json"), "{}").expect("written");
        std::fs::write(it.path().join("notes.txt"), "mine").expect("written");
        if at_open {
            it.again().await;
        } else {
            it.store.remove_expired(NOW).await.expect("swept");
        }
        assert!(!dir.join("next.tmp").exists());
        assert!(!dirt.exists());
        assert!(!trash.exists());
        assert!(
            it.path().join("notes.txt").exists(),
            "what is not the store's is left alone"
        );
        assert!(load(&it.store, &a).await.is_some());
    }
}

#[tokio::test]
async fn leftovers_hinder_no_write() {
    let it = Fixture::new().await;
    let a = id("user1", "user1:a");
    it.store.insert(&a, &forever("{}")).await.expect("inserted");
    let dir = it.session_file().parent().expect("a directory").to_owned();
    std::fs::write(dir.join("next.tmp"), "half").expect("written");
    it.store
        .replace(&a, None, &forever("{\"n\":1}"))
        .await
        .expect("replaced");
    let trash = dir.with_extension("trash");
    std::fs::create_dir(&trash).expect("created");
    std::fs::write(trash.join("old.json"), "{}").expect("written");
    assert_eq!(it.store.clear(a.key()).await.expect("cleared"), 1);
    assert!(!trash.exists());
    assert!(load(&it.store, &a).await.is_none());
}
