//! What is counted, and how often.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jam::{ErrorKind, MemoryStore, Sessions, WhenFull};
use jam_tests::{Hooked, Stage, on_every_store};
use metrics::set_default_local_recorder;
use serde_json::json;

use crate::support::*;

on_every_store!(each_backend_counts_under_its_own_name);

async fn each_backend_counts_under_its_own_name(stage: Stage) {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({})).await.unwrap();
    for _ in 0..3 {
        sessions.get(&id).await.unwrap();
    }
    let scrape = scrape(&recorder);
    let backend = stage.store.name();
    let of = |name: &str, operation: &str, more: &str| {
        let series = format!(r#"{name}{{backend="{backend}",operation="{operation}"{more}}}"#);
        number(&scrape, &series).to_owned()
    };
    assert_eq!(of("jam_operations_total", "create", r#",outcome="ok""#), "1");
    assert_eq!(of("jam_operations_total", "get", r#",outcome="ok""#), "3");
    assert_eq!(of("jam_operation_duration_seconds_count", "get", ""), "3");
    let took: f64 = of("jam_operation_duration_seconds_sum", "get", "").parse().unwrap();
    assert!((1e-7..60.0).contains(&took), "{took} s");
}

#[tokio::test]
async fn an_error_of_every_kind_has_a_series_of_its_own() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    for (kind, outcome) in [
        (ErrorKind::NotFound, "not_found"),
        (ErrorKind::AlreadyExists, "already_exists"),
        (ErrorKind::Conflict, "conflict"),
        (ErrorKind::InvalidId, "invalid_id"),
        (ErrorKind::InvalidInput, "invalid_input"),
        (ErrorKind::LimitReached, "limit_reached"),
        (ErrorKind::Unavailable, "unavailable"),
        (ErrorKind::Corrupt, "corrupt"),
        (ErrorKind::Crypto, "crypto"),
        (ErrorKind::Config, "config"),
        (ErrorKind::Unsupported, "unsupported"),
        (ErrorKind::Unexpected, "unexpected"),
    ] {
        let fails = Hooked::new(Arc::new(MemoryStore::new()), move |_| async move { Err(kind.into()) });
        assert_eq!(Sessions::new(fails).list("user1").await.unwrap_err().kind(), kind);
        let series = format!(r#"jam_operations_total{{backend="hooked",operation="list",outcome="{outcome}"}}"#);
        assert_eq!(number(&scrape(&recorder), &series), "1", "{outcome}");
    }
}

#[tokio::test]
async fn everything_that_happens_is_counted_once() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let moody = Moody::new();
    everything(&moody).await;
    let scrape = scrape(&recorder);
    for (series, times) in [
        (
            r#"jam_operations_total{backend="hooked",operation="create",outcome="ok"}"#,
            "3",
        ),
        (
            r#"jam_operations_total{backend="hooked",operation="create",outcome="invalid_input"}"#,
            "2",
        ),
        (
            r#"jam_operations_total{backend="hooked",operation="get",outcome="missing"}"#,
            "1",
        ),
        (
            r#"jam_operations_total{backend="hooked",operation="update",outcome="not_found"}"#,
            "1",
        ),
        (
            r#"jam_operations_total{backend="hooked",operation="clear",outcome="unavailable"}"#,
            "1",
        ),
        (r#"jam_retries_total{backend="hooked",operation="modify"}"#, "1"),
        // No series of what did not happen, for every operation there is.
        (r#"jam_retries_total{backend="hooked",operation="exists"}"#, "none"),
        (r#"jam_grace_total{backend="hooked",operation="modify"}"#, "none"),
        (r#"jam_grace_total{backend="hooked",operation="exists"}"#, "1"),
        (r#"jam_sessions_evicted_total{backend="hooked"}"#, "1"),
        (r#"jam_store_outages_total{backend="hooked"}"#, "1"),
    ] {
        assert_eq!(number(&scrape, series), times, "{series}: {scrape:#?}");
    }
    // The other session of the key, and what the rotation with grace left.
    assert_ne!(number(&scrape, r#"jam_sessions_expired_total{backend="hooked"}"#), "0");
}

#[tokio::test]
async fn an_operation_that_is_dropped_is_counted_as_cancelled() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let moody = Moody::new();
    let sessions = moody.builder().build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    moody.silent.store(true, SeqCst);
    {
        let mut get = pin!(sessions.get(&id));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(get.as_mut().poll(&mut context), Poll::Pending));
        drop(sessions.get(&id));
    }
    let scrape = scrape(&recorder);
    let series = r#"jam_operations_total{backend="hooked",operation="get",outcome="cancelled"}"#;
    // The one that nobody began does not count.
    assert_eq!(number(&scrape, series), "1", "{scrape:#?}");
}

#[tokio::test]
async fn each_retry_counts_for_its_operation() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let moody = Moody::new();
    let sessions = moody.builder().build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    for _ in 0..2 {
        moody.beat();
        sessions
            .modify(&id, |data| data.insert("n".into(), 1.into()))
            .await
            .unwrap();
    }
    moody.beat();
    let id = sessions.rework(&id).await.unwrap();
    let mut session = sessions.get(&id).await.unwrap().unwrap();
    session.insert("n", 2).unwrap();
    moody.beat();
    sessions.commit(session).await.unwrap_err();
    let scrape = scrape(&recorder);
    for (operation, times) in [("modify", "2"), ("rework", "1"), ("commit", "none")] {
        let series = format!(r#"jam_retries_total{{backend="hooked",operation="{operation}"}}"#);
        assert_eq!(number(&scrape, &series), times, "{operation}");
    }
    let conflict = r#"jam_operations_total{backend="hooked",operation="commit",outcome="conflict"}"#;
    assert_eq!(number(&scrape, conflict), "1");
}

#[tokio::test]
async fn what_is_rare_begins_at_zero_so_that_its_first_time_shows() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let sessions = jam::open("memory:").await.unwrap();
    sessions.create("user1", json!({})).await.unwrap();
    let scrape = scrape(&recorder);
    for name in [
        "jam_sessions_evicted_total",
        "jam_sessions_expired_total",
        "jam_store_outages_total",
    ] {
        let series = format!(r#"{name}{{backend="memory"}}"#);
        assert_eq!(number(&scrape, &series), "0", "{name}");
    }
    for outcome in ["corrupt", "crypto"] {
        let series = format!(r#"jam_operations_total{{backend="memory",operation="create",outcome="{outcome}"}}"#);
        assert_eq!(number(&scrape, &series), "0", "{outcome}");
    }
}

#[tokio::test]
async fn a_recorder_that_comes_late_counts_from_then_on() {
    let sessions = jam::open("memory:").await.unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    sessions.get(&id).await.unwrap();
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    sessions.get(&id).await.unwrap();
    let scrape = scrape(&recorder);
    let series = r#"jam_operations_total{backend="memory",operation="get",outcome="ok"}"#;
    assert_eq!(number(&scrape, series), "1", "{scrape:#?}");
}

#[tokio::test]
async fn no_label_shows_anything_of_a_session_and_none_grows_with_what_clients_send() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let moody = Moody::new();
    let mut secrets = everything(&moody).await;
    let before = scrape(&recorder).len();
    // That one is closed.
    let sessions = Moody::new()
        .builder()
        .max_sessions(2, WhenFull::Refuse)
        .build()
        .unwrap();
    for n in 0..200 {
        let key = format!("user{n}\"}}\n=,{n}");
        let id = sessions.create(&key, json!({"n": n})).await.unwrap();
        assert!(sessions.get(&id).await.unwrap().is_some());
        assert!(sessions.get(&key).await.unwrap().is_none());
        sessions.revoke(&key, &key).await.unwrap();
        sessions.rework(&key).await.unwrap_err();
        secrets.extend([key, id.as_str().to_owned()]);
    }
    let text = recorder.handle().render();
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "{secret:?} is shown");
        for part in secret.split([':', '.']).filter(|part| part.len() > 5) {
            assert!(!text.contains(part), "{part:?} of {secret:?} is shown");
        }
    }
    let after = scrape(&recorder).len();
    assert!(after <= before + 4, "{before} series became {after}");
}

#[tokio::test]
async fn managers_that_share_a_store_add_up() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let store = Arc::new(MemoryStore::new());
    for _ in 0..3 {
        let sessions = Sessions::builder(Arc::clone(&store))
            .ttl(Duration::from_mins(1))
            .build()
            .unwrap();
        sessions.create("user1", json!({})).await.unwrap();
    }
    let series = r#"jam_operations_total{backend="memory",operation="create",outcome="ok"}"#;
    assert_eq!(number(&scrape(&recorder), series), "3");
}

/// Somebody else leaves a note at the same id.
#[tokio::test]
async fn a_note_that_another_one_was_faster_with_counts_as_a_retry() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let step = AtomicUsize::new(0);
    let at = move |now, method: &str, expected| {
        method == expected && step.compare_exchange(now, now + 1, SeqCst, SeqCst).is_ok()
    };
    let hooked = Hooked::new(Arc::new(MemoryStore::new()), move |method| {
        // One that gave up has left its note, and then another is faster with its own.
        let (gives_up, is_slower) = (at(0, method, "rename"), at(1, method, "replace"));
        async move {
            match (gives_up, is_slower) {
                (true, _) => Err(ErrorKind::Unavailable.into()),
                (_, true) => Err(ErrorKind::Conflict.into()),
                _ => Ok(()),
            }
        }
    });
    let sessions = Sessions::builder(hooked)
        .grace(Duration::from_secs(30))
        .build()
        .unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    sessions.rework_with_grace(&id).await.unwrap_err();
    let rotated = sessions.rework_with_grace(&id).await.unwrap();
    assert!(sessions.get(&id).await.unwrap().unwrap().through_grace());
    assert!(sessions.exists(&rotated).await.unwrap());
    let series = r#"jam_retries_total{backend="hooked",operation="rework_with_grace"}"#;
    assert_eq!(number(&scrape(&recorder), series), "1");
}

#[tokio::test]
async fn every_kind_of_failure_counts_as_itself() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    let kinds = [
        ErrorKind::Corrupt,
        ErrorKind::Config,
        ErrorKind::Unsupported,
        ErrorKind::Unexpected,
    ];
    let next = AtomicUsize::new(0);
    let hooked = Hooked::new(Arc::new(MemoryStore::new()), move |_| {
        let failure = kinds.get(next.fetch_add(1, SeqCst)).map(|kind| (*kind).into());
        std::future::ready(failure.map_or(Ok(()), Err))
    });
    let sessions = Sessions::new(hooked);
    for _ in kinds {
        sessions.create("user1", json!({})).await.unwrap_err();
    }
    sessions.create("user1", json!({})).await.unwrap();
    let scrape = scrape(&recorder);
    for outcome in ["corrupt", "config", "unsupported", "unexpected", "ok"] {
        let series = format!(r#"jam_operations_total{{backend="hooked",operation="create",outcome="{outcome}"}}"#);
        assert_eq!(number(&scrape, &series), "1", "{outcome}");
    }
    let took = r#"jam_operation_duration_seconds_count{backend="hooked",operation="create"}"#;
    assert_eq!(number(&scrape, took), "5");
}
