//! Nothing secret is shown: not by a span, an event, an error or a `Debug`, at any level.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::time::Duration;

use jam::{ErrorKind, SessionOptions, WhenFull};
use jam_tests::{Recorder, Stage, on_every_store};
use serde_json::json;

on_every_store!(
    nothing_logged_or_shown_is_secret,
    every_operation_has_a_span_that_says_how_it_went
);

async fn nothing_logged_or_shown_is_secret(stage: Stage) {
    let recorder = Recorder::global();
    let mut shown = String::new();
    let mut secrets: Vec<String> = ["sesame-open", "alice@example.org"].map(str::to_owned).into();
    {
        let sessions = stage
            .builder()
            .grace(Duration::from_secs(30))
            .max_sessions(3, WhenFull::Refuse)
            .renew_on_read(true)
            .build()
            .unwrap();
        let data = json!({"pin": "sesame-open"});
        let id = sessions.create("alice@example.org", &data).await.unwrap();
        secrets.push(id.as_str().to_owned());
        let session = sessions.get(&id).await.unwrap().unwrap();
        write!(shown, "{sessions:?} {id:?} {session:?} {:?}", stage.store).unwrap();
        sessions
            .modify(&id, |data| data.insert("more".into(), "sesame-open".into()))
            .await
            .unwrap();
        let id = sessions.rework_with_grace(&id).await.unwrap();
        secrets.push(id.as_str().to_owned());
        sessions.touch(&id).await.unwrap();
        let error = sessions.get_as::<Vec<u8>>(&id).await.unwrap_err();
        write!(shown, "{error} {error:?}").unwrap();
        let mut errors = vec![
            sessions.update("no-session", &data).await.unwrap_err(),
            sessions.update(&id, "sesame-open").await.unwrap_err(),
            sessions
                .commit(session)
                .await
                .err()
                .unwrap_or_else(|| ErrorKind::NotFound.into()),
            sessions.create("x".repeat(600), &data).await.unwrap_err(),
        ];
        for _ in 0..3 {
            if let Err(error) = sessions.create("alice@example.org", &data).await {
                errors.push(error);
            }
        }
        let list = sessions.list("alice@example.org").await.unwrap();
        write!(shown, "{list:?}").unwrap();
        for entry in stage.store.list(&"alice@example.org".parse().unwrap()).await.unwrap() {
            secrets.push(entry.id.id().to_owned());
            write!(shown, "{entry:?}").unwrap();
        }
        let id = sessions.rework_as(&id, "bob", SessionOptions::new()).await.unwrap();
        secrets.push(id.as_str().to_owned());
        sessions.clear_others(&id).await.unwrap();
        sessions.clear("alice@example.org").await.unwrap();
        sessions.remove_expired().await.unwrap();
        errors.push(sessions.rework("alice@example.org:x").await.unwrap_err());
        sessions.close().await.unwrap();
        errors.push(sessions.get(&id).await.unwrap_err());
        for error in errors {
            write!(shown, "{error} {error:?}").unwrap();
        }
    }
    let seen = recorder.seen();
    assert!(seen.contains("span jam"), "nothing was recorded");
    for secret in &secrets {
        assert!(!seen.contains(secret.as_str()), "a log shows {secret}: {seen}");
        assert!(
            !shown.contains(secret.as_str()),
            "an error or Debug shows {secret}: {shown}"
        );
    }
}

async fn every_operation_has_a_span_that_says_how_it_went(stage: Stage) {
    let recorder = Recorder::global();
    {
        let sessions = stage.sessions();
        let id = sessions.create("user1", json!({})).await.unwrap();
        sessions.get(&id).await.unwrap();
        sessions.get("nothing").await.unwrap();
        sessions.update("nothing", json!({})).await.unwrap_err();
        sessions.clear("user1").await.unwrap();
    }
    let seen = recorder.seen();
    let backend = stage.store.name();
    for (operation, outcome) in [
        ("create", "ok"),
        ("get", "ok"),
        ("get", "missing"),
        ("update", "not_found"),
        ("clear", "ok"),
    ] {
        let span = format!("span jam operation={operation} backend={backend} outcome={outcome}");
        assert!(seen.contains(&span), "{span} is missing in {seen}");
    }
}
