//! The store is down, or what it holds cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{RETRY_AFTER, SET_COOKIE};
use jam::{ErrorKind, MemoryStore, Sessions, WhenFull};
use jam_http::{CookieConfig, CookieLife, Error, Session, SessionConfig, Undecodable};
use jam_tests::web::{Browser, Framework};
use jam_tests::{Hooked, on_every_framework};
use serde_json::json;

use crate::support::{Switch, builder, cookie_of, damage, header, pages, secs, serve, serve_with, sessions};

on_every_framework!(
    a_request_that_needs_its_session_gets_503_and_keeps_its_cookie,
    an_error_of_the_manager_that_is_passed_on_is_a_503_too,
    a_cookie_that_cannot_be_confirmed_is_left_as_it_is,
    a_request_that_does_not_need_it_is_served,
    a_handler_may_choose_its_own_answer,
    a_visitor_without_a_cookie_reads_nothing_and_needs_no_store,
    changes_that_cannot_be_written_turn_the_answer_into_503,
    a_login_that_reached_the_store_goes_out_although_later_changes_fail,
    a_login_as_somebody_else_that_fails_leaves_the_session_as_it_was,
    a_logout_that_fails_is_an_error_and_keeps_the_cookie,
    how_long_to_wait_is_configurable,
    a_session_that_cannot_be_read_is_an_error_and_stays,
    a_session_that_cannot_be_read_keeps_nobody_from_logging_in,
    a_session_that_cannot_be_read_starts_fresh_where_configured,
    a_logout_after_a_fresh_start_ends_what_cannot_be_read,
);

async fn a_request_that_needs_its_session_gets_503_and_keeps_its_cookie<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/login").await;
    browser.visit("/write").await;
    let cookie = browser.cookie();
    switch.set_down(true);
    for path in ["/read", "/write", "/user", "/login", "/logout", "/rework", "/id"] {
        let response = browser.visit(path).await;
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(header(&response, &RETRY_AFTER).unwrap(), "5", "{path}");
        assert_eq!(header(&response, &SET_COOKIE), None, "{path}");
    }
    assert_eq!(browser.cookie(), cookie);
    switch.set_down(false);
    assert_eq!(browser.read("/user").await, "user1");
    assert_eq!(browser.read("/read").await, "1");
}

/// What an administrator's page does: it asks the manager itself.
async fn an_error_of_the_manager_that_is_passed_on_is_a_503_too<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let site = pages(SessionConfig::new(sessions)).on("/disable", |session: Session| async move {
        Ok(session.config().sessions().clear("user1").await?)
    });
    let browser = Browser::new(&F::serve(site).await);
    assert_eq!(browser.read("/disable").await, "0");
    switch.set_down(true);
    let response = browser.visit("/disable").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, &RETRY_AFTER).as_deref()),
        (503, Some("5"))
    );
}

/// The store goes away while a handler works that has read its session, and whose cookie would be renewed.
async fn a_cookie_that_cannot_be_confirmed_is_left_as_it_is<F: Framework>() {
    let (switch, store) = Switch::before(Arc::new(MemoryStore::new()));
    let sessions = Sessions::builder(store).renew_on_read(true).build().unwrap();
    let cookie = CookieConfig::new().life(CookieLife::Session);
    let config = SessionConfig::builder(sessions).cookie(cookie).build().unwrap();
    let goes_away = Arc::clone(&switch);
    let site = pages(config).on("/slow", move |session: Session| {
        let switch = Arc::clone(&goes_away);
        async move {
            let user = session.require_user().await?;
            switch.set_down(true);
            Ok(user.as_str().to_owned())
        }
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/login").await;
    assert!(header(&browser.visit("/user").await, &SET_COOKIE).is_some());
    let response = browser.visit("/slow").await;
    assert_eq!((response.status().as_u16(), &**response.body()), (200, "user1"));
    assert_eq!(header(&response, &SET_COOKIE), None);
    switch.set_down(false);
    assert_eq!(browser.read("/user").await, "user1");
}

async fn a_request_that_does_not_need_it_is_served<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/write").await;
    switch.set_down(true);
    assert_eq!(browser.read("/static").await, "nothing of the session");
}

async fn a_handler_may_choose_its_own_answer<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let site = pages(SessionConfig::new(sessions)).on("/home", |session: Session| async move {
        match session.user().await {
            Ok(user) => Ok(user.map_or("hello".to_owned(), |user| user.as_str().to_owned())),
            Err(Error::Unavailable { .. }) => Ok("hello, whoever you are".to_owned()),
            Err(error) => Err(error),
        }
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/login").await;
    let cookie = browser.cookie();
    switch.set_down(true);
    let response = browser.visit("/home").await;
    assert_eq!(
        (response.status().as_u16(), response.body().as_str()),
        (200, "hello, whoever you are")
    );
    assert_eq!(browser.cookie(), cookie);
    switch.set_down(false);
    assert_eq!(browser.read("/home").await, "user1");
}

async fn a_visitor_without_a_cookie_reads_nothing_and_needs_no_store<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    switch.set_down(true);
    assert_eq!(browser.read("/read").await, "none");
    assert_eq!(browser.status("/write").await, 503);
}

async fn changes_that_cannot_be_written_turn_the_answer_into_503<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/write").await;
    let cookie = browser.cookie();
    switch.set_write_down(true);
    let response = browser.visit("/write").await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (503, ""));
    assert_eq!(header(&response, &RETRY_AFTER).unwrap(), "5");
    assert_eq!(header(&response, &SET_COOKIE), None);
    assert_eq!(browser.cookie(), cookie);
    switch.set_write_down(false);
    assert_eq!(browser.read("/read").await, "1");
}

async fn a_login_that_reached_the_store_goes_out_although_later_changes_fail<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let turned = switch.clone();
    let site = pages(SessionConfig::new(sessions)).on("/login/write", move |session: Session| {
        let switch = turned.clone();
        async move {
            session.login("user1").await?;
            session.insert("n", 1).await?;
            switch.set_write_down(true);
            Ok("")
        }
    });
    let browser = Browser::new(&F::serve(site).await);
    assert_eq!(browser.status("/login/write").await, 503);
    switch.set_write_down(false);
    assert_eq!(browser.read("/user").await, "user1");
}

/// A login leaves a note for late requests, begins the new session and ends the old one; any of it may fail.
async fn a_login_as_somebody_else_that_fails_leaves_the_session_as_it_was<F: Framework>() {
    for (method, nth) in [("insert", 1), ("insert", 2), ("remove", 1)] {
        let store = Arc::new(MemoryStore::new());
        let behind = Sessions::builder_on(Arc::clone(&store) as Arc<_>).build().unwrap();
        let calls = AtomicU64::new(0);
        let failing = Hooked::new(store, move |called| {
            let fails = called == method && calls.fetch_add(1, Ordering::SeqCst) + 1 == nth;
            let outcome = if fails {
                Err(ErrorKind::Unavailable.into())
            } else {
                Ok(())
            };
            std::future::ready(outcome)
        });
        let id = behind.create("alice", json!({"n": 7})).await.unwrap();
        let browser = Browser::<F>::with_cookie(&serve(&Sessions::new(failing)).await, cookie_of(&id));
        let failed = browser.visit("/login").await;
        assert_eq!(
            (failed.status().as_u16(), header(&failed, &SET_COOKIE)),
            (503, None),
            "{method} {nth}"
        );
        assert_eq!(browser.read("/user").await, "alice", "{method} {nth}");
        assert_eq!(browser.read("/read").await, "7");
        // Nor is there one that nobody has the id of.
        assert!(behind.list("user1").await.unwrap().is_empty(), "{method} {nth}");
        assert_eq!(browser.status("/login").await, 200);
        assert_eq!(browser.read("/user").await, "user1");
        assert!(!behind.exists(&id).await.unwrap());
    }
}

async fn a_logout_that_fails_is_an_error_and_keeps_the_cookie<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/login").await;
    switch.set_write_down(true);
    assert_eq!(browser.status("/logout").await, 503);
    switch.set_write_down(false);
    assert_eq!(browser.read("/user").await, "user1");
}

async fn how_long_to_wait_is_configurable<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let config = SessionConfig::builder(sessions).retry_after(secs(30)).build().unwrap();
    let browser = Browser::<F>::new(&serve_with(config).await);
    switch.set_down(true);
    assert_eq!(header(&browser.visit("/write").await, &RETRY_AFTER).unwrap(), "30");
}

async fn a_session_that_cannot_be_read_is_an_error_and_stays<F: Framework>() {
    let sessions = sessions();
    let id = sessions.create("user1", json!({"n": 1})).await.unwrap();
    let _alone = damage(&sessions).await;
    let browser = Browser::<F>::with_cookie(&serve(&sessions).await, cookie_of(&id));
    for path in ["/read", "/write"] {
        let response = browser.visit(path).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, &SET_COOKIE)),
            (500, None),
            "{path}"
        );
    }
    assert_eq!(browser.status("/static").await, 200);
    // The way out.
    assert_eq!(browser.status("/logout").await, 200);
    assert_eq!(browser.status("/login").await, 200);
}

async fn a_session_that_cannot_be_read_keeps_nobody_from_logging_in<F: Framework>() {
    for undecodable in [Undecodable::Fail, Undecodable::StartFresh] {
        // Nor does it take up the last place there is.
        let sessions = builder().0.max_sessions(1, WhenFull::Refuse).build().unwrap();
        let id = sessions.create("user1", json!({"n": 1})).await.unwrap();
        let _alone = damage(&sessions).await;
        let config = SessionConfig::builder(sessions.clone()).undecodable(undecodable);
        let browser = Browser::<F>::with_cookie(&serve_with(config.build().unwrap()).await, cookie_of(&id));
        assert_eq!(browser.status("/login").await, 200);
        assert_eq!(browser.read("/user").await, "user1");
        assert_eq!(browser.read("/read").await, "none");
        // It ended, and would not come back if it could be read again.
        assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
        assert!(!sessions.delete(&id).await.unwrap());
    }
}

async fn a_session_that_cannot_be_read_starts_fresh_where_configured<F: Framework>() {
    let sessions = sessions();
    let id = sessions.create("user1", json!({"n": 1})).await.unwrap();
    let _alone = damage(&sessions).await;
    let config = SessionConfig::builder(sessions.clone()).undecodable(Undecodable::StartFresh);
    let browser = Browser::<F>::with_cookie(&serve_with(config.build().unwrap()).await, cookie_of(&id));
    assert_eq!(browser.read("/read").await, "none");
    assert_eq!(browser.status("/user").await, 401);
    assert_eq!(browser.read("/write").await, "1");
    assert_eq!(browser.read("/read").await, "1");
    // What cannot be read is left for whoever can mend it.
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
}

async fn a_logout_after_a_fresh_start_ends_what_cannot_be_read<F: Framework>() {
    let sessions = sessions();
    let id = sessions.create("user1", json!({})).await.unwrap();
    let _alone = damage(&sessions).await;
    let config = SessionConfig::builder(sessions.clone()).undecodable(Undecodable::StartFresh);
    let site = pages(config.build().unwrap()).on("/look/logout", |session: Session| async move {
        Ok(format!("{:?} {}", session.user().await?, session.logout().await?))
    });
    let browser = Browser::with_cookie(&F::serve(site).await, cookie_of(&id));
    // Or it would be alive again as soon as its key is back.
    assert_eq!(browser.read("/look/logout").await, "None true");
    assert_eq!(sessions.list("user1").await.unwrap().len(), 0);
    assert_eq!(browser.cookie(), None);
}
