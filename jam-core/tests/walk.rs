//! Walking over a store in memory costs what it holds, also where all of it belongs to one user; sweeping it keeps nobody from
//! running.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_lite::future::block_on;
use jam_core::{ManualClock, MemoryStore, Record, RecordId, SessionKey, SessionStore, Timestamp};

#[test]
fn a_walk_over_one_users_many_sessions_takes_few_pages_and_misses_none() {
    const SESSIONS: usize = 20_000;
    block_on(async {
        let store = MemoryStore::new();
        let key = SessionKey::new("user1").expect("a key");
        for n in 0..SESSIONS {
            let id = RecordId::new(key.clone(), format!("n{n}")).expect("an id");
            store.insert(&id, &Record::new("{}", None)).await.expect("insert");
        }
        let (mut found, mut pages, mut cursor) = (HashSet::new(), 0, None);
        loop {
            let page = store.scan(cursor, 1).await.expect("scan");
            found.extend(page.entries.into_iter().map(|entry| entry.id));
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), SESSIONS);
        // Each looks at all that is left: with one session a page that would be 200 million looks.
        assert!(pages < 300, "{pages}");
    });
}

/// Users of nothing but expired sessions, of some, and of none, several hundred of each in every shard.
#[test]
fn a_sweep_of_many_users_takes_what_has_expired_and_lets_others_run_meanwhile() {
    const USERS: u64 = 30_000;
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
    let store = MemoryStore::with_clock(Arc::clone(&clock) as _);
    let (soon, late) = (Timestamp::from_secs(2_000), Timestamp::from_secs(3_000));
    let id = |user: u64, n: u64| {
        let key = SessionKey::new(format!("user{user}")).expect("a key");
        RecordId::new(key, format!("n{n}")).expect("an id")
    };
    let ends = |user: u64, n: u64| if n < user % 3 { late } else { soon };
    block_on(async {
        for (user, n) in (0..USERS).flat_map(|user| [(user, 0), (user, 1)]) {
            let record = Record::new("{}", Some(ends(user, n)));
            store.insert(&id(user, n), &record).await.expect("insert");
        }
    });
    clock.advance(Duration::from_secs(1_000));
    let mut turns = 0;
    let mut sweep = store.remove_expired(soon);
    let mut context = Context::from_waker(Waker::noop());
    let removed = loop {
        match sweep.as_mut().poll(&mut context) {
            std::task::Poll::Ready(removed) => break removed.expect("swept"),
            std::task::Poll::Pending => turns += 1,
        }
    };
    assert_eq!(removed, USERS);
    assert!(turns > 10, "{turns}");
    drop(sweep);
    block_on(async {
        assert_eq!(store.remove_expired(soon).await.expect("swept"), 0);
        let mut left = 0;
        for user in 0..USERS {
            let listed = store.list(id(user, 0).key()).await.expect("listed");
            assert!(listed.iter().all(|entry| entry.expires_at == Some(late)));
            assert_eq!(listed.len() as u64, user % 3);
            left += listed.len() as u64;
        }
        assert_eq!(left, USERS);
    });
}
