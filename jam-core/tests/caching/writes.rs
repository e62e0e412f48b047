//! One's own writes: what they make forget.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jam_core::{Load, Rename, SessionStore, Sessions, Timestamp};
use serde_json::json;

use super::{It, START, id, record};

#[derive(Clone, Copy, Debug)]
enum Write {
    Replace,
    Touch,
    RenameFrom,
    RenameTo,
    Remove,
    Clear,
    Insert,
}

impl Write {
    const ALL: [Self; 7] = [
        Self::Replace,
        Self::Touch,
        Self::RenameFrom,
        Self::RenameTo,
        Self::Remove,
        Self::Clear,
        Self::Insert,
    ];

    /// Makes a write that concerns the session `a` of `user1`; it need not succeed.
    async fn make(self, store: &impl SessionStore) {
        let (one, other) = (id("user1", "a"), id("user2", "b"));
        let later: Timestamp = START.plus(Duration::from_hours(2));
        let version = store.load(&one, Load::new().fresh()).await.unwrap();
        let version = version.map_or(jam_core::Version::from_counter(0), |stored| stored.version);
        let _ = match self {
            Self::Replace => store.replace(&one, None, &record("two")).await,
            Self::Touch => store.touch(&one, later).await.map(drop),
            Self::RenameFrom => store.rename(Rename::new(&one, &version, &other, &record("two"))).await,
            Self::RenameTo => store.rename(Rename::new(&other, &version, &one, &record("two"))).await,
            Self::Remove => store.remove(&one).await.map(drop),
            Self::Clear => store.clear(one.key()).await.map(drop),
            Self::Insert => store.insert(&one, &record("two")).await,
        };
    }
}

#[tokio::test]
async fn every_write_makes_forget_whether_it_succeeds_or_not() {
    for write in Write::ALL {
        let it = It::new();
        let one = id("user1", "a");
        it.cached.insert(&one, &record("one")).await.unwrap();
        it.cached.load(&one, Load::new()).await.unwrap();
        write.make(&*it.cached).await;
        it.store.loads();
        it.cached.load(&one, Load::new()).await.unwrap();
        assert_eq!(it.store.loads(), 1, "{write:?}");
    }
}

#[tokio::test]
async fn a_read_that_was_sent_before_a_write_is_not_kept() {
    for write in Write::ALL {
        let it = It::new();
        let one = id("user1", "a");
        it.cached.insert(&one, &record("one")).await.unwrap();
        it.store.hold().await;
        let read = tokio::spawn({
            let (cached, one) = (it.cached.clone(), one.clone());
            async move { cached.load(&one, Load::new()).await }
        });
        it.store.wait_for_reads(1).await;
        // The write needs no read of its own to be let go.
        let version = it.store.inner.load(&one, Load::new()).await.unwrap().unwrap().version;
        match write {
            Write::RenameFrom => {
                let (other, record) = (id("user2", "b"), record("two"));
                it.cached
                    .rename(Rename::new(&one, &version, &other, &record))
                    .await
                    .unwrap();
            }
            Write::Replace => it.cached.replace(&one, None, &record("two")).await.unwrap(),
            Write::Touch => drop(
                it.cached
                    .touch(&one, START.plus(Duration::from_hours(2)))
                    .await
                    .unwrap(),
            ),
            Write::RenameTo | Write::Insert => drop(it.cached.insert(&one, &record("two")).await.unwrap_err()),
            Write::Remove => drop(it.cached.remove(&one).await.unwrap()),
            Write::Clear => drop(it.cached.clear(one.key()).await.unwrap()),
        }
        it.store.let_go().await;
        assert!(read.await.unwrap().unwrap().is_some(), "it was read before");
        it.store.loads();
        it.cached.load(&one, Load::new()).await.unwrap();
        assert_eq!(it.store.loads(), 1, "{write:?}: what was read before is not kept");
    }
}

/// A client hung up in the middle of a write.
#[tokio::test]
async fn a_write_that_was_dropped_half_way_makes_forget() {
    let it = It::new();
    let one = id("user1", "a");
    it.cached.insert(&one, &record("one")).await.unwrap();
    it.cached.load(&one, Load::new()).await.unwrap();
    {
        let two = record("two");
        let mut write = pin!(it.cached.replace(&one, None, &two));
        let waiting = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(waiting, Poll::Pending));
        // Read while the write is under way: what was read before it counts no more.
        it.store.loads();
        it.cached.load(&one, Load::new()).await.unwrap();
        assert_eq!(it.store.loads(), 1);
    }
    it.store.loads();
    it.cached.load(&one, Load::new()).await.unwrap();
    assert_eq!(it.store.loads(), 1);
}

#[tokio::test]
async fn clear_forgets_every_session_of_a_user_and_nobody_elses() {
    let it = It::new();
    let sessions = Sessions::builder_on(it.cached.clone())
        .clock(it.clock.clone())
        .build()
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let session = sessions.create("user1", json!({})).await.unwrap();
        sessions.get(&session).await.unwrap().unwrap();
        ids.push(session);
    }
    let other = sessions.create("user2", json!({})).await.unwrap();
    sessions.get(&other).await.unwrap().unwrap();
    assert_eq!(sessions.clear("user1").await.unwrap(), 20);
    for session in &ids {
        assert!(sessions.get(session).await.unwrap().is_none());
    }
    it.store.loads();
    sessions.get(&other).await.unwrap().unwrap();
    assert_eq!(it.store.loads(), 0);
}

/// The stale session's commit is refused, and the next read is not stale.
#[tokio::test]
async fn a_refused_commit_is_not_followed_by_the_same_stale_read() {
    let it = It::new();
    let sessions = Sessions::builder_on(it.cached.clone())
        .clock(it.clock.clone())
        .build()
        .unwrap();
    let elsewhere = Sessions::builder_on(it.store.clone())
        .clock(it.clock.clone())
        .build()
        .unwrap();
    let session = sessions.create("user1", json!({"count": 0})).await.unwrap();
    sessions.get(&session).await.unwrap();
    elsewhere.update(&session, json!({"count": 7})).await.unwrap();
    let mut stale = sessions.get(&session).await.unwrap().unwrap();
    stale.insert("count", 1).unwrap();
    let refused = sessions.commit(stale).await.unwrap_err();
    assert_eq!(refused.kind(), jam_core::ErrorKind::Conflict);
    let again = sessions.get(&session).await.unwrap().unwrap();
    assert_eq!(again.get::<u64>("count").unwrap(), Some(7));
}

#[tokio::test]
async fn a_closed_store_gives_no_hits() {
    let it = It::new();
    let one = id("user1", "a");
    it.cached.insert(&one, &record("one")).await.unwrap();
    it.cached.load(&one, Load::new()).await.unwrap();
    it.cached.close().await.unwrap();
    assert!(it.cached.load(&one, Load::new()).await.is_err());
}

#[tokio::test]
async fn a_reader_that_goes_away_fails_no_other() {
    let it = It::new();
    let one = id("user1", "a");
    it.cached.insert(&one, &record("one")).await.unwrap();
    it.store.hold().await;
    let mut readers = Vec::new();
    for _ in 0..8 {
        let (cached, one) = (it.cached.clone(), one.clone());
        readers.push(tokio::spawn(async move { cached.load(&one, Load::new()).await }));
    }
    it.store.wait_for_reads(8).await;
    readers.remove(0).abort();
    readers.remove(3).abort();
    it.store.let_go().await;
    for reader in readers {
        assert!(reader.await.unwrap().unwrap().is_some());
    }
}
