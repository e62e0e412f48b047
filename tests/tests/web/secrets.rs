//! Nothing secret is logged or shown, and what has to be logged is logged once.

use std::fmt::Write;

use http::header::SET_COOKIE;
use jam_http::{Exchange, Session, SessionConfig};
use jam_tests::web::{Browser, Framework};
use jam_tests::{Recorder, on_every_framework};
use serde_json::json;

use crate::support::{Switch, cookie_of, damage, encoded, pages, serve, sessions};

on_every_framework!(
    nothing_logged_or_shown_is_secret,
    a_session_that_cannot_be_read_is_logged_once_per_request,
);

async fn nothing_logged_or_shown_is_secret<F: Framework>() {
    let recorder = Recorder::global();
    let (switch, sessions) = Switch::sessions();
    let mut shown = String::new();
    let mut secrets = vec!["sesame-open".to_owned(), "dora@example.org".to_owned()];
    let id = sessions
        .create("dora@example.org", json!({"pin": "sesame-open"}))
        .await
        .unwrap();
    secrets.extend([id.as_str().to_owned(), encoded(&id)]);
    let config = SessionConfig::new(sessions);
    let site = pages(config.clone())
        .on("/wrong", |session: Session| async move {
            session.get::<u8>("pin").await.map(|_| "")
        })
        .on("/show", |session: Session| async move {
            session.insert("more", "sesame-open").await?;
            Ok(format!("{session:?} {:?}", session.list().await?))
        });
    let browser = Browser::with_cookie(&F::serve(site).await, cookie_of(&id));
    write!(shown, "{}", browser.read("/show").await).unwrap();
    browser.visit("/wrong").await;
    let response = browser.visit("/rework").await;
    // Not even the response's own `Debug`: the cookie is marked as sensitive.
    write!(shown, "{:?}", response.headers()[SET_COOKIE]).unwrap();
    for text in [browser.cookie().unwrap(), browser.read("/id").await] {
        secrets.push(text.trim_start_matches("__Host-session=").to_owned());
    }
    switch.set_down(true);
    for path in ["/read", "/write", "/login", "/logout", "/wrong"] {
        write!(shown, "{}", browser.read(path).await).unwrap();
    }
    let exchange = Exchange::begin(&config, response.headers());
    write!(
        shown,
        "{config:?} {exchange:?} {:?}",
        exchange.session().login("dora@example.org").await
    )
    .unwrap();
    let seen = recorder.seen();
    assert!(seen.contains("span jam"), "nothing was recorded");
    for secret in &secrets {
        assert!(!seen.contains(secret.as_str()), "a log shows {secret}");
        assert!(
            !shown.contains(secret.as_str()),
            "an error or Debug shows {secret}: {shown}"
        );
    }
}

async fn a_session_that_cannot_be_read_is_logged_once_per_request<F: Framework>() {
    let recorder = Recorder::global();
    let sessions = sessions();
    let id = sessions.create("user1", json!({"n": 1})).await.unwrap();
    let _alone = damage(&sessions).await;
    let times = || recorder.seen().matches("a session is there and cannot be read").count();
    let site = pages(SessionConfig::new(sessions.clone())).on("/often", |session: Session| async move {
        for _ in 0..5 {
            session.get::<u64>("n").await.unwrap_err();
        }
        session.insert("n", 1).await.map(|()| "")
    });
    let before = times();
    let browser = Browser::with_cookie(&F::serve(site).await, cookie_of(&id));
    assert_eq!(browser.status("/often").await, 500);
    assert_eq!(times(), before + 1);
    Browser::with_cookie(&serve::<F>(&sessions).await, cookie_of(&id))
        .visit("/static")
        .await;
    assert_eq!(times(), before + 1);
}
