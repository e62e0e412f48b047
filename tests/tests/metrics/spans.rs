//! What the span of an operation says.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use jam::WhenFull;
use jam_tests::Recorder;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn spans_tell_retries_grace_evictions_and_sweeps_and_leave_out_what_did_not_happen() {
    let log = Recorder::global();
    let moody = Moody::new();
    let builder = moody.builder().grace(Duration::from_secs(30));
    let sessions = builder.max_sessions(1, WhenFull::EvictOldest).build().unwrap();
    sessions.create("user1", json!({})).await.unwrap();
    moody.clock.advance(Duration::from_secs(1));
    let id = sessions.create("user1", json!({})).await.unwrap();
    moody.beat();
    sessions
        .modify(&id, |data| data.insert("n".into(), 1.into()))
        .await
        .unwrap();
    sessions.rework_with_grace(&id).await.unwrap();
    sessions.touch(&id).await.unwrap();
    moody.clock.advance(Duration::from_hours(2));
    sessions.remove_expired().await.unwrap();
    moody.silent.store(true, SeqCst);
    let never = tokio::time::timeout(Duration::from_millis(10), sessions.list("user1"));
    never.await.unwrap_err();
    let seen = log.seen();
    for line in [
        "operation=create backend=hooked outcome=ok",
        "operation=create backend=hooked outcome=ok evicted=1",
        "operation=modify backend=hooked outcome=ok retries=1",
        "operation=rework_with_grace backend=hooked outcome=ok",
        "operation=touch backend=hooked outcome=ok grace=true",
        "operation=remove_expired backend=hooked outcome=ok expired=",
        "operation=list backend=hooked outcome=cancelled",
    ] {
        let line = format!("span jam {line}");
        let is_it = |seen: &str| seen == line || line.ends_with('=') && seen.starts_with(&line);
        assert!(seen.lines().any(is_it), "{line} is missing in {seen}");
    }
}
