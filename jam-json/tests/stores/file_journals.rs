//! The journals beside a JSON file: folded into the document, and made up for when somebody removes them.

use crate::file_support::{Place, all, id, record};
use jam_core::{ErrorKind, SessionStore};

fn remove_journals(place: &Place) {
    for name in place.names().iter().filter(|name| name.contains(".journal-")) {
        std::fs::remove_file(place.folder.path().join(name)).expect("remove");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_journal_that_was_removed_is_noticed_and_nothing_acknowledged_is_lost() {
    for (written_again, copied) in [(true, false), (false, false), (false, true)] {
        let place = Place::new();
        let store = place.open().await;
        store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
        remove_journals(&place);
        let error = store
            .insert(&id("u", "b"), &record("{}"))
            .await
            .expect_err("no journal");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.outcome_unknown());
        if written_again {
            store.insert(&id("u", "c"), &record("{}")).await.expect("begins anew");
        }
        // It writes nothing, and has its turn after what the failure led to.
        assert!(!store.remove(&id("u", "none")).await.expect("remove"));
        let before = all(&store).await;
        assert_eq!(before.len(), 1 + usize::from(written_again));
        let other = Place::new();
        if copied {
            // What a crash would leave now.
            place.copy_to(other.folder.path());
            assert_eq!(all(&other.open().await).await, before, "after a crash");
        }
        drop(store);
        assert_eq!(all(&place.open().await).await, before, "written again: {written_again}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_journal_that_was_removed_before_the_store_is_dropped_costs_nothing() {
    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    remove_journals(&place);
    drop(store);
    assert_eq!(all(&place.open().await).await.len(), 1);
}

/// Also where it has another name, as that of a backup, and where a copy is in its place.
#[cfg(unix)]
#[tokio::test]
async fn a_journal_that_was_moved_away_is_noticed_and_nothing_acknowledged_is_lost() {
    for (linked, copied_back) in [(false, false), (true, false), (false, true)] {
        let place = Place::new();
        let store = place.open().await;
        store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
        let away = tempfile::tempdir().expect("a directory");
        for name in place.names().iter().filter(|name| name.contains(".journal-")) {
            let (from, to) = (place.folder.path().join(name), away.path().join(name));
            if linked {
                std::fs::hard_link(&from, &to).expect("linked");
                std::fs::remove_file(&from).expect("removed");
            } else {
                std::fs::rename(&from, &to).expect("moved");
            }
            if copied_back {
                std::fs::copy(to, from).expect("copied");
            }
        }
        let error = store
            .insert(&id("u", "b"), &record("{}"))
            .await
            .expect_err("moved away");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        store.insert(&id("u", "c"), &record("{}")).await.expect("begins anew");
        let other = Place::new();
        place.copy_to(other.folder.path());
        assert_eq!(all(&other.open().await).await, all(&store).await, "after a crash");
        drop(store);
        assert_eq!(all(&place.open().await).await.len(), 2);
    }
}

/// Or the two would write over each other.
#[cfg(unix)]
#[tokio::test]
async fn a_store_whose_files_were_all_moved_away_leaves_alone_what_another_one_has_there_by_then() {
    for closed in [true, false] {
        let (place, away) = (Place::new(), tempfile::tempdir().expect("a directory"));
        let hung = place.open().await;
        hung.insert(&id("u", "a"), &record("{}")).await.expect("insert");
        for name in place.names() {
            std::fs::rename(place.folder.path().join(&name), away.path().join(name)).expect("moved");
        }
        let refused = hung
            .insert(&id("u", "late"), &record("{}"))
            .await
            .expect_err("moved away");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(place.names().is_empty(), "nobody has anything there");
        let next = place.open().await;
        next.insert(&id("u", "b"), &record("{}")).await.expect("insert");
        let names = place.names();
        for _ in 0..2 {
            let refused = hung
                .insert(&id("u", "later"), &record("{}"))
                .await
                .expect_err("another has it");
            assert!(refused.message().contains("moved away or replaced"), "{refused}");
        }
        assert!(hung.compact().await.is_err());
        if closed {
            assert_eq!(
                hung.close().await.expect_err("another has it").kind(),
                ErrorKind::Unavailable
            );
        }
        drop(hung);
        assert_eq!(place.names(), names);
        next.insert(&id("u", "c"), &record("{}")).await.expect("insert");
        let crashed = Place::new();
        place.copy_to(crashed.folder.path());
        assert_eq!(all(&crashed.open().await).await.len(), 2);
    }
}

#[tokio::test]
async fn the_journal_is_folded_into_the_document_while_writes_go_on() {
    let place = Place::new();
    let store = place.options().compact_after(2_000).open().await.expect("open");
    for number in 0..500 {
        let session = id("u", &format!("{}", number % 20));
        let content = record(format!("{{\"n\":{number}}}"));
        if number < 20 {
            store.insert(&session, &content).await.expect("insert");
        } else {
            store.replace(&session, None, &content).await.expect("replace");
        }
    }
    store.compact().await.expect("compact");
    let before = all(&store).await;
    assert_eq!(before.len(), 20);
    let journals: Vec<_> = place
        .names()
        .into_iter()
        .filter(|name| name.contains("journal"))
        .collect();
    assert_eq!(journals.len(), 1, "{journals:?}");
    let generation: u64 = journals[0]
        .rsplit('-')
        .next()
        .expect("generation")
        .parse()
        .expect("number");
    assert!(generation > 2, "it was compacted {generation} times");
    drop(store);
    let store = place.open().await;
    assert_eq!(store.recovery().replayed, 0);
    assert_eq!(all(&store).await, before);
}

#[tokio::test]
async fn a_journal_that_may_grow_for_ever_is_compacted_when_asked() {
    let place = Place::new();
    let store = place.options().compact_after(u64::MAX).open().await.expect("open");
    for name in ["a", "b"] {
        store.insert(&id("u", name), &record("{}")).await.expect("insert");
        store.compact().await.expect("compact");
        assert!(std::fs::read_to_string(place.path()).expect("read").contains(name));
    }
}

#[tokio::test]
async fn compaction_leaves_out_what_has_expired() {
    let place = Place::new();
    let store = place.open().await;
    store
        .insert(&id("u", "old"), &crate::file_support::until("{}", 1_010))
        .await
        .expect("insert");
    store.insert(&id("u", "new"), &record("{}")).await.expect("insert");
    place.clock.set(jam_core::Timestamp::from_secs(1_010));
    store.compact().await.expect("compact");
    let text = std::fs::read_to_string(place.path()).expect("read");
    assert!(text.contains("\"new\"") && !text.contains("\"old\""), "{text}");
}
