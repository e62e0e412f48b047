//! What the tests of the store share.
#![allow(dead_code, reason = "each test file uses some of it")]
#![expect(clippy::expect_used, reason = "a test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jam_core::{Load, Record, RecordId, SessionKey, SessionStore, Timestamp};
use jam_redis::RedisStore;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    Timestamp::from_millis(since.as_millis().try_into().expect("a clock"))
}

pub(crate) fn after(duration: Duration) -> Timestamp {
    now().plus(duration)
}

pub(crate) fn key(key: &str) -> SessionKey {
    SessionKey::new(key).expect("a key")
}

pub(crate) fn id(user: &str, id: &str) -> RecordId {
    RecordId::new(key(user), id).expect("an id")
}

/// A record that expires so many milliseconds from now, or never.
pub(crate) fn record(payload: &str, millis: Option<u64>) -> Record {
    let at = millis.map(|millis| after(Duration::from_millis(millis)));
    Record::new(payload.to_owned(), at)
}

pub(crate) async fn payload(store: &RedisStore, id: &RecordId) -> Option<String> {
    let stored = store.load(id, Load::new()).await.expect("the server answers")?;
    Some(String::from_utf8(stored.payload.to_vec()).expect("text"))
}

/// Waits until the clock has passed this moment, with some to spare for two readings of it.
pub(crate) async fn pass(moment: Timestamp) {
    while now() <= moment.plus(Duration::from_millis(20)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
