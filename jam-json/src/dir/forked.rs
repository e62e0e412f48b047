//! What a process meets that was forked off with the store open.

use std::sync::Arc;

use jam_core::{ErrorKind, Load, Record, RecordId, Rename, SessionKey, SessionStore, Timestamp, Version};

use super::JsonDir;

#[tokio::test]
async fn a_process_that_was_forked_off_is_refused_and_waits_for_nobody() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut store = JsonDir::open(folder.path()).await.expect("open");
    let a = RecordId::new(SessionKey::new("u").expect("key"), "a").expect("id");
    let record = Record::new("{}", None);
    store.insert(&a, &record).await.expect("insert");
    // In the parent somebody writes under this key and somebody else walks.
    let _turn = store.locks.one(super::name_of(a.key())).await;
    let walks = Arc::clone(&store.walks);
    let _walk = walks.write().await;
    Arc::get_mut(&mut store.disk).expect("nobody works").fork();
    let version = Version::from_counter(1);
    let errors = [
        store.insert(&a, &record).await.expect_err("insert"),
        store.load(&a, Load::new()).await.expect_err("load"),
        store.replace(&a, None, &record).await.expect_err("replace"),
        store.touch(&a, Timestamp::ZERO).await.expect_err("touch"),
        store
            .rename(Rename::new(&a, &version, &a, &record))
            .await
            .expect_err("rename"),
        store.remove(&a).await.expect_err("remove"),
        store.list(a.key()).await.expect_err("list"),
        store.clear(a.key()).await.expect_err("clear"),
        store.remove_expired(Timestamp::ZERO).await.expect_err("sweep"),
        store.scan(None, 1).await.expect_err("scan"),
        store.close().await.expect_err("close"),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.message().contains("forked") && !error.outcome_unknown(),
            "{error}"
        );
    }
}
