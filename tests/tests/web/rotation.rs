//! Routine rotation, with a grace for the other requests of a page.

use std::sync::Arc;

use http::header::SET_COOKIE;
use jam::{ErrorKind, ManualClock, Sessions};
use jam_http::{CookieConfig, CookieLife, Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};
use tokio::sync::Barrier;

use crate::support::{builder, header, pages, secs, serve_with, sessions};

on_every_framework!(
    an_id_is_rotated_when_it_has_had_its_time,
    parallel_requests_of_a_page_are_not_logged_out,
    of_parallel_requests_one_alone_gets_the_new_id,
    a_request_that_came_through_the_grace_does_not_rotate_again,
    a_client_that_never_heard_of_its_new_id_gets_another_one,
    after_the_grace_the_old_id_is_dead,
    there_is_no_grace_at_a_login,
    a_rotation_that_fails_is_made_up_for_later,
    changes_and_rotation_go_together,
    a_late_answer_does_not_bring_back_the_cookie_that_was_rotated_away,
);

fn rotating() -> (Sessions, Arc<ManualClock>) {
    let (builder, clock) = builder();
    (builder.grace(secs(30)).build().unwrap(), clock)
}

async fn app<F: Framework>() -> (F, Sessions, Arc<ManualClock>) {
    let (sessions, clock) = rotating();
    let config = SessionConfig::builder(sessions.clone()).rotate_every(secs(900));
    (serve_with(config.build().unwrap()).await, sessions, clock)
}

async fn an_id_is_rotated_when_it_has_had_its_time<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    for _ in 0..3 {
        clock.advance(secs(899));
        assert_eq!(header(&browser.visit("/user").await, &SET_COOKIE), None);
        clock.advance(secs(1));
        // A page that does not look at the session does not rotate it.
        assert_eq!(header(&browser.visit("/static").await, &SET_COOKIE), None);
        let before = browser.cookie();
        assert!(header(&browser.visit("/user").await, &SET_COOKIE).is_some());
        assert_ne!(browser.cookie(), before);
        assert_eq!(browser.read("/user").await, "user1");
    }
}

async fn parallel_requests_of_a_page_are_not_logged_out<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    clock.advance(secs(900));
    let before = browser.cookie().unwrap();
    browser.visit("/user").await;
    // Requests that left with the old id, before the answer arrived.
    clock.advance(secs(29));
    for path in ["/user", "/write", "/read"] {
        assert_eq!(Browser::with_cookie(&app, &before).status(path).await, 200);
    }
    assert_eq!(browser.read("/read").await, "1");
}

async fn of_parallel_requests_one_alone_gets_the_new_id<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    for _ in 0..10 {
        let browser = Browser::new(&app);
        browser.visit("/login").await;
        clock.advance(secs(900));
        let before = browser.cookie().unwrap();
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let tab = Browser::with_cookie(&app, &before);
                tokio::spawn(async move {
                    let response = tab.visit("/user").await;
                    assert_eq!(response.body(), "user1");
                    header(&response, &SET_COOKIE)
                })
            })
            .collect();
        let mut new = Vec::new();
        for task in tasks {
            new.extend(task.await.unwrap());
        }
        assert_eq!(new.len(), 1, "new cookies");
        // In whatever order the answers arrived, the browser now holds one that lasts.
        let pair = new[0].split(';').next().unwrap();
        clock.advance(secs(60));
        assert_eq!(Browser::with_cookie(&app, pair).read("/user").await, "user1");
    }
}

async fn a_request_that_came_through_the_grace_does_not_rotate_again<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    clock.advance(secs(900));
    let late = Browser::with_cookie(&app, browser.cookie().unwrap());
    browser.visit("/user").await;
    assert_eq!(header(&late.visit("/user").await, &SET_COOKIE), None);
    assert_eq!(header(&browser.visit("/user").await, &SET_COOKIE), None);
}

async fn a_client_that_never_heard_of_its_new_id_gets_another_one<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    clock.advance(secs(900));
    // The answer with the new cookie never arrives.
    Browser::with_cookie(&app, browser.cookie().unwrap())
        .visit("/user")
        .await;
    clock.advance(secs(14));
    assert_eq!(header(&browser.visit("/user").await, &SET_COOKIE), None);
    clock.advance(secs(1));
    assert!(header(&browser.visit("/user").await, &SET_COOKIE).is_some());
    clock.advance(secs(600));
    assert_eq!(browser.read("/user").await, "user1");
}

async fn after_the_grace_the_old_id_is_dead<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    clock.advance(secs(900));
    let late = Browser::with_cookie(&app, browser.cookie().unwrap());
    browser.visit("/user").await;
    clock.advance(secs(30));
    assert_eq!(late.status("/user").await, 401);
    assert_eq!(browser.status("/user").await, 200);
}

async fn there_is_no_grace_at_a_login<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    let browser = Browser::new(&app);
    browser.visit("/write").await;
    clock.advance(secs(900));
    let planted = Browser::with_cookie(&app, browser.cookie().unwrap());
    // The planted id was rotated, and still works by its grace; the login ends it.
    browser.visit("/read").await;
    assert_eq!(planted.read("/read").await, "1");
    browser.visit("/login").await;
    assert_eq!(planted.read("/read").await, "none");
    browser.visit("/rework").await;
    assert_eq!(planted.read("/read").await, "none");
    assert_eq!(browser.read("/user").await, "user1");
}

async fn a_rotation_that_fails_is_made_up_for_later<F: Framework>() {
    let (_, clock) = rotating();
    let memory = jam::MemoryStore::with_clock(clock.clone());
    let (switch, store) = crate::support::Switch::before(Arc::new(memory));
    let sessions = Sessions::builder(store)
        .clock(clock.clone())
        .grace(secs(30))
        .build()
        .unwrap();
    let config = SessionConfig::builder(sessions)
        .rotate_every(secs(900))
        .build()
        .unwrap();
    let browser = Browser::<F>::new(&serve_with(config).await);
    browser.visit("/login").await;
    clock.advance(secs(900));
    switch.set_write_down(true);
    let response = browser.visit("/user").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, &SET_COOKIE)),
        (200, None)
    );
    switch.set_write_down(false);
    assert!(header(&browser.visit("/user").await, &SET_COOKIE).is_some());
    assert_eq!(browser.status("/user").await, 200);
}

async fn changes_and_rotation_go_together<F: Framework>() {
    let (app, _, clock) = app::<F>().await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    for n in 1..=3 {
        clock.advance(secs(900));
        let before = browser.cookie();
        assert_eq!(browser.read("/write").await, n.to_string());
        assert_ne!(browser.cookie(), before);
    }
    assert_eq!(browser.read("/read").await, "3");
}

/// Of a cookie that goes out with every write.
async fn a_late_answer_does_not_bring_back_the_cookie_that_was_rotated_away<F: Framework>() {
    let (sessions, clock) = rotating();
    let config = SessionConfig::builder(sessions)
        .rotate_every(secs(900))
        .cookie(CookieConfig::new().life(CookieLife::Session));
    let gate = Arc::new(Barrier::new(2));
    let held = Arc::clone(&gate);
    let site = pages(config.build().unwrap()).on("/slow", move |session: Session| {
        let gate = Arc::clone(&held);
        async move {
            session.insert("slow", 1).await?;
            gate.wait().await;
            gate.wait().await;
            Ok("")
        }
    });
    let app = F::serve(site).await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    clock.advance(secs(900));
    let before = browser.cookie().unwrap();
    // It loads the session before the rotation and writes after it.
    let tab = browser.clone();
    let slow = tokio::spawn(async move { tab.visit("/slow").await });
    gate.wait().await;
    browser.visit("/user").await;
    assert_ne!(browser.cookie().unwrap(), before);
    gate.wait().await;
    assert_eq!(header(&slow.await.unwrap(), &SET_COOKIE), None);
    // It comes in by the grace.
    let late = Browser::with_cookie(&app, before).visit("/write").await;
    assert_eq!((late.status().as_u16(), header(&late, &SET_COOKIE)), (200, None));
    clock.advance(secs(30));
    assert_eq!(browser.read("/user").await, "user1");
    // The next one carries its cookie again.
    assert!(header(&browser.visit("/write").await, &SET_COOKIE).is_some());
}

#[test]
fn rotation_needs_grace() {
    let config = SessionConfig::builder(sessions()).rotate_every(secs(900));
    assert_eq!(config.build().unwrap_err().kind(), ErrorKind::Config);
    for every in [secs(0), secs(29)] {
        let config = SessionConfig::builder(rotating().0).rotate_every(every);
        assert_eq!(config.build().unwrap_err().kind(), ErrorKind::Config);
    }
    let config = SessionConfig::builder(rotating().0).rotate_every(secs(30));
    assert!(config.build().is_ok());
}
