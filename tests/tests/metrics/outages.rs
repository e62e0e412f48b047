//! Outages: told once at their beginning and once at their end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use jam::{ErrorKind, MemoryStore};
use jam_tests::{Hooked, Recorder};
use metrics::set_default_local_recorder;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn an_outage_counts_once_however_many_operations_fail() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let moody = Moody::new();
    let sessions = moody.builder().build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    let outages = || scrape(&recorder)[r#"jam_store_outages_total{backend="hooked"}"#].clone();
    let (log, _writing_down) = Recorder::of_this_thread();
    let told = |event: &str| {
        log.seen()
            .lines()
            .filter(|line| line.starts_with(event))
            .count()
            .to_string()
    };
    for outage in ["1", "2"] {
        let unchanged = sessions.get(&id).await.unwrap().unwrap();
        moody.send_away(true);
        for _ in 0..5 {
            sessions.get(&id).await.unwrap_err();
            sessions.list("user1").await.unwrap_err();
            // Neither what is no id nor a session that nobody changed asks the store, so this does not say it is back.
            assert!(sessions.get("nothing").await.unwrap().is_none());
            sessions.commit(unchanged.clone()).await.unwrap();
        }
        assert_eq!(outages(), outage);
        moody.send_away(false);
        for _ in 0..2 {
            sessions.get(&id).await.unwrap();
        }
        assert_eq!(outages(), outage);
        assert_eq!(
            told("event WARN message=the session store does not do its work"),
            outage
        );
        assert_eq!(told("event INFO message=the session store does its work again"), outage);
    }
}

#[tokio::test]
async fn reads_that_succeed_while_writes_are_refused_do_not_end_the_outage() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let full = Arc::new(AtomicBool::new(false));
    let is_full = Arc::clone(&full);
    let store = Hooked::new(Arc::new(MemoryStore::new()), move |method| {
        let refused = is_full.load(SeqCst) && !matches!(method, "load" | "list" | "remove_expired");
        async move {
            if refused {
                Err(ErrorKind::Unavailable.into())
            } else {
                Ok(())
            }
        }
    });
    let sessions = jam::Sessions::new(store);
    let id = sessions.create("user1", json!({})).await.unwrap();
    let outages = || scrape(&recorder)[r#"jam_store_outages_total{backend="hooked"}"#].clone();
    for outage in ["1", "2"] {
        full.store(true, SeqCst);
        for _ in 0..5 {
            sessions.update(&id, json!({})).await.unwrap_err();
            sessions.get(&id).await.unwrap().unwrap();
            sessions.remove_expired().await.unwrap();
            // It may write, and had nothing to.
            let refused = sessions.try_modify(&id, |_| Err::<(), _>("no")).await;
            assert_eq!(refused.unwrap(), Err("no"));
            // That there is nothing to end, the store has to confirm.
            sessions.clear_others(&id).await.unwrap_err();
        }
        assert_eq!(outages(), outage);
        full.store(false, SeqCst);
        // A service may write in no other way, and an end that is missed would hide the next beginning.
        let mut session = sessions.get(&id).await.unwrap().unwrap();
        session.insert("n", 1).unwrap();
        sessions.commit(session).await.unwrap();
    }
}

#[tokio::test]
async fn a_manager_that_the_application_closed_has_no_outage() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let sessions = jam::open("memory:").await.unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    sessions.close().await.unwrap();
    sessions.get(&id).await.unwrap_err();
    assert_eq!(scrape(&recorder)[r#"jam_store_outages_total{backend="memory"}"#], "0");
}

#[tokio::test]
async fn an_end_of_other_sessions_ends_the_outage() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let moody = Moody::new();
    let [sessions, elsewhere] = [(); 2].map(|()| moody.builder().build().unwrap());
    let id = sessions.create("user1", json!({})).await.unwrap();
    for outage in ["1", "2", "3"] {
        elsewhere.create("user1", json!({})).await.unwrap();
        moody.send_away(true);
        sessions.update(&id, json!({})).await.unwrap_err();
        assert_eq!(
            scrape(&recorder)[r#"jam_store_outages_total{backend="hooked"}"#],
            outage
        );
        moody.send_away(false);
        assert_eq!(sessions.clear_others(&id).await.unwrap(), 1);
    }
}
