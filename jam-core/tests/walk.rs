//! Walking over a store in memory costs what it holds, also where all of it belongs to one user.

use std::collections::HashSet;

use futures_lite::future::block_on;
use jam_core::{MemoryStore, Record, RecordId, SessionKey, SessionStore};

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
