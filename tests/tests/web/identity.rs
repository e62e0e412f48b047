//! Logging in and out, and new ids.

use http::header::SET_COOKIE;
use jam::{ErrorKind, WhenFull};
use jam_http::{Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};
use serde_json::{Value, json};

use crate::support::{builder, cookie_of, header, pages, secs, serve, serve_with, sessions};

on_every_framework!(
    asvs_7_2_4_an_id_planted_before_the_login_is_dead_after_it,
    asvs_7_2_4_authenticating_again_gives_a_new_id,
    a_visitors_data_goes_along_at_the_login,
    changes_before_and_after_a_login_in_one_request_all_arrive,
    the_session_of_another_user_ends_at_a_login_and_its_data_stays_behind,
    a_login_whose_session_ended_meanwhile_begins_a_new_one,
    nobody_logs_in_as_a_visitor,
    a_visitor_of_before_is_no_user,
    asvs_7_1_2_a_full_key_refuses_the_login,
    a_login_whose_answer_was_lost_can_be_made_again_where_it_took_the_last_place,
    asvs_7_4_1_a_logout_ends_the_session_in_the_store,
    a_logout_costs_one_call_and_needs_no_readable_session,
    what_is_written_after_a_logout_is_a_visitors,
    a_rework_gives_a_new_id_and_keeps_the_rest,
    a_rework_of_what_has_ended_meanwhile_sends_no_cookie,
    asvs_7_3_1_an_idle_session_ends,
    asvs_7_3_2_a_session_ends_at_its_absolute_lifetime,
    asvs_7_2_2_and_7_2_3_an_id_holds_128_random_bits,
);

async fn asvs_7_2_4_an_id_planted_before_the_login_is_dead_after_it<F: Framework>() {
    let app: F = serve(&sessions()).await;
    let attacker = Browser::new(&app);
    attacker.visit("/write").await;
    let planted = attacker.cookie().unwrap();

    let victim = Browser::with_cookie(&app, &planted);
    victim.visit("/login").await;
    assert_eq!(victim.read("/user").await, "user1");
    assert_ne!(victim.cookie().unwrap(), planted);
    assert_eq!(attacker.status("/user").await, 401);
    assert_eq!(attacker.read("/read").await, "none");
    // An id that nobody ever issued is not adopted either.
    let victim = Browser::with_cookie(&app, "__Host-session=bm90LWFuLWlk");
    victim.visit("/login").await;
    assert_eq!(
        Browser::with_cookie(&app, "__Host-session=bm90LWFuLWlk")
            .status("/user")
            .await,
        401
    );
}

async fn asvs_7_2_4_authenticating_again_gives_a_new_id<F: Framework>() {
    let app: F = serve(&sessions()).await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    browser.visit("/write").await;
    let before = browser.cookie().unwrap();
    browser.visit("/login").await;
    assert_eq!(browser.read("/read").await, "1");
    assert_ne!(browser.cookie().unwrap(), before);
    assert_eq!(Browser::with_cookie(&app, before).status("/user").await, 401);
}

async fn a_visitors_data_goes_along_at_the_login<F: Framework>() {
    let browser = Browser::<F>::new(&serve(&sessions()).await);
    browser.visit("/write").await;
    browser.visit("/login").await;
    assert_eq!(browser.read("/read").await, "1");
    assert_eq!(browser.read("/user").await, "user1");
}

async fn changes_before_and_after_a_login_in_one_request_all_arrive<F: Framework>() {
    for begun in [false, true] {
        let sessions = sessions();
        let site = pages(SessionConfig::new(sessions.clone())).on("/all", |session: Session| async move {
            session.insert("before", 1).await?;
            session.login("user1").await?;
            assert_eq!(session.get::<u8>("before").await?, Some(1));
            session.insert("between", 2).await?;
            session.rework().await?;
            session.insert("after", 3).await?;
            session.remove("between").await?;
            Ok("")
        });
        let browser = Browser::new(&F::serve(site).await);
        if begun {
            browser.visit("/write").await;
        }
        assert_eq!(browser.status("/all").await, 200);
        let info = sessions.list("user1").await.unwrap().remove(0);
        let mut expected = json!({"before": 1, "after": 3});
        if begun {
            expected["n"] = json!(1);
        }
        assert_eq!(Value::Object(info.data().unwrap()), expected);
        assert_eq!(browser.read("/user").await, "user1");
    }
}

async fn the_session_of_another_user_ends_at_a_login_and_its_data_stays_behind<F: Framework>() {
    let sessions = sessions();
    let id = sessions.create("alice", json!({"n": 7})).await.unwrap();
    let browser = Browser::with_cookie(&serve::<F>(&sessions).await, cookie_of(&id));
    assert_eq!(browser.read("/user").await, "alice");
    browser.visit("/login").await;
    assert_eq!(browser.read("/user").await, "user1");
    assert_eq!(browser.read("/read").await, "none");
    assert!(!sessions.exists(&id).await.unwrap());
}

async fn a_login_whose_session_ended_meanwhile_begins_a_new_one<F: Framework>() {
    let sessions = sessions();
    let manager = sessions.clone();
    let site = pages(SessionConfig::new(sessions)).on("/late", move |session: Session| {
        let manager = manager.clone();
        async move {
            session.insert("mine", 1).await?;
            manager.delete(session.id().await?.unwrap()).await?;
            session.login("user1").await?;
            Ok("")
        }
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/write").await;
    assert_eq!(browser.status("/late").await, 200);
    assert_eq!(browser.read("/user").await, "user1");
    assert_eq!(browser.read("/read").await, "none");
}

async fn nobody_logs_in_as_a_visitor<F: Framework>() {
    let config = SessionConfig::builder(sessions())
        .visitor_prefix("guest/")
        .build()
        .unwrap();
    let site = pages(config).on("/fake", |session: Session| async move {
        for key in ["guest/1", "guest/", ""] {
            let error = session.login(key).await.unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::InvalidInput), "{key}");
            // What somebody typed into a form is not the service's fault.
            assert_eq!(error.status(), 400, "{key}");
        }
        session.login("visitor:1").await?;
        Ok("")
    });
    let browser = Browser::new(&F::serve(site).await);
    assert_eq!(browser.status("/fake").await, 200);
    assert_eq!(browser.read("/user").await, "visitor:1");
}

/// The prefix was changed while visitors were about.
async fn a_visitor_of_before_is_no_user<F: Framework>() {
    let sessions = sessions();
    let config = SessionConfig::builder(sessions.clone()).visitor_prefix("guest/");
    let config = config
        .former_visitor_prefixes(["visitor:", "anonymous-"])
        .build()
        .unwrap();
    let site = pages(config).on("/fake", |session: Session| async move {
        for key in ["visitor:1", "anonymous-1", "guest/1"] {
            let error = session.login(key).await.unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::InvalidInput), "{key}");
        }
        Ok("")
    });
    let app = F::serve(site).await;
    for (key, status) in [
        ("visitor:1", 401),
        ("anonymous-1", 401),
        ("guest/1", 401),
        ("user1", 200),
    ] {
        let id = sessions.create(key, json!({"n": 7})).await.unwrap();
        let browser = Browser::with_cookie(&app, cookie_of(id));
        assert_eq!(browser.read("/read").await, "7");
        assert_eq!(browser.status("/user").await, status, "{key}");
    }
    let visitor = Browser::new(&app);
    assert_eq!(visitor.status("/fake").await, 200);
    visitor.visit("/write").await;
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
    visitor.visit("/login").await;
    assert_eq!(visitor.read("/read").await, "1", "a visitor's data goes along");
    let empty = SessionConfig::builder(sessions)
        .former_visitor_prefixes(["a", ""])
        .build();
    assert_eq!(empty.unwrap_err().kind(), ErrorKind::Config);
}

async fn asvs_7_1_2_a_full_key_refuses_the_login<F: Framework>() {
    let sessions = builder().0.max_sessions(1, WhenFull::Refuse).build().unwrap();
    let app: F = serve(&sessions).await;
    let (one, two) = (Browser::new(&app), Browser::new(&app));
    assert_eq!(one.status("/login").await, 200);
    two.visit("/write").await;
    assert_eq!(two.status("/login").await, 409);
    // The visitor keeps what they had, and so does the one who was there first.
    assert_eq!(two.read("/read").await, "1");
    assert_eq!(one.read("/user").await, "user1");
    // And so does another user on whose browser it was tried.
    let alice = sessions.create("alice", json!({"n": 7})).await.unwrap();
    let three = Browser::with_cookie(&app, cookie_of(alice));
    let refused = three.visit("/login").await;
    assert_eq!((refused.status().as_u16(), header(&refused, &SET_COOKIE)), (409, None));
    assert_eq!(three.read("/user").await, "alice");
    assert_eq!(three.read("/read").await, "7");
}

async fn a_login_whose_answer_was_lost_can_be_made_again_where_it_took_the_last_place<F: Framework>() {
    let sessions = builder().0.max_sessions(1, WhenFull::Refuse).build().unwrap();
    let app: F = serve(&sessions).await;
    let browser = Browser::new(&app);
    browser.visit("/write").await;
    let old = browser.cookie().unwrap();
    browser.visit("/login").await;
    let lost = browser.cookie().unwrap();
    let again = Browser::with_cookie(&app, old);
    assert_eq!(again.status("/login").await, 200);
    assert_eq!(again.read("/user").await, "user1");
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
    assert_eq!(Browser::with_cookie(&app, lost).status("/user").await, 401);
    // Whose place was not taken by that login is refused as ever.
    let other = Browser::new(&app);
    other.visit("/write").await;
    assert_eq!(other.status("/login").await, 409);
    assert_eq!(again.read("/user").await, "user1");
}

async fn asvs_7_4_1_a_logout_ends_the_session_in_the_store<F: Framework>() {
    let sessions = sessions();
    let app: F = serve(&sessions).await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    let cookie = browser.cookie().unwrap();
    browser.visit("/logout").await;
    assert_eq!(browser.cookie(), None);
    assert_eq!(sessions.list("user1").await.unwrap().len(), 0);
    assert_eq!(Browser::with_cookie(&app, cookie).status("/user").await, 401);
}

async fn a_logout_costs_one_call_and_needs_no_readable_session<F: Framework>() {
    let (switch, sessions) = crate::support::Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/login").await;
    switch.calls();
    browser.visit("/logout").await;
    assert_eq!(switch.calls(), 1);
}

async fn what_is_written_after_a_logout_is_a_visitors<F: Framework>() {
    let sessions = sessions();
    let site = pages(SessionConfig::new(sessions.clone())).on("/bye", |session: Session| async move {
        session.insert("lost", 1).await?;
        assert!(session.logout().await?);
        assert!(!session.exists().await?);
        session.insert("n", 99).await?;
        Ok("")
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/login").await;
    browser.visit("/bye").await;
    assert_eq!(browser.status("/user").await, 401);
    assert_eq!(browser.read("/read").await, "99");
    assert_eq!(sessions.list("user1").await.unwrap().len(), 0);
}

async fn a_rework_gives_a_new_id_and_keeps_the_rest<F: Framework>() {
    let sessions = sessions();
    let app: F = serve(&sessions).await;
    let browser = Browser::new(&app);
    assert_eq!(browser.status("/rework").await, 401);
    browser.visit("/login").await;
    browser.visit("/write").await;
    let (cookie, handle) = (
        browser.cookie().unwrap(),
        sessions.list("user1").await.unwrap().remove(0),
    );
    browser.visit("/rework").await;
    assert_ne!(browser.cookie().unwrap(), cookie);
    assert_eq!(browser.read("/read").await, "1");
    assert_eq!(Browser::with_cookie(&app, cookie).status("/user").await, 401);
    let now = sessions.list("user1").await.unwrap().remove(0);
    assert_eq!((now.handle(), now.created()), (handle.handle(), handle.created()));
}

async fn a_rework_of_what_has_ended_meanwhile_sends_no_cookie<F: Framework>() {
    let sessions = sessions();
    let manager = sessions.clone();
    let site = pages(SessionConfig::new(sessions)).on("/disabled", move |session: Session| {
        let manager = manager.clone();
        async move {
            session.login("user1").await?;
            manager.clear("user1").await?;
            session.rework().await?;
            Ok("")
        }
    });
    let response = Browser::new(&F::serve(site).await).visit("/disabled").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, &SET_COOKIE)),
        (401, None)
    );
}

async fn asvs_7_3_1_an_idle_session_ends<F: Framework>() {
    let (builder, clock) = builder();
    let browser = Browser::<F>::new(&serve(&builder.ttl(secs(60)).build().unwrap()).await);
    browser.visit("/login").await;
    clock.advance(secs(59));
    assert_eq!(browser.status("/user").await, 200);
    clock.advance(secs(1));
    assert_eq!(browser.status("/user").await, 401);
}

async fn asvs_7_3_2_a_session_ends_at_its_absolute_lifetime<F: Framework>() {
    let (builder, clock) = builder();
    let sessions = builder.ttl(secs(60)).max_lifetime(secs(100)).build().unwrap();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/login").await;
    for _ in 0..3 {
        clock.advance(secs(30));
        browser.visit("/write").await;
        browser.visit("/rework").await;
        assert_eq!(browser.status("/user").await, 200);
    }
    clock.advance(secs(10));
    assert_eq!(browser.status("/user").await, 401);
}

async fn asvs_7_2_2_and_7_2_3_an_id_holds_128_random_bits<F: Framework>() {
    let app: F = serve_with(SessionConfig::new(sessions())).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let browser = Browser::new(&app);
        browser.visit("/login").await;
        let id = browser.read("/id").await;
        let (_, secret) = id.rsplit_once('.').unwrap();
        // 22 characters of base64url are 16 bytes.
        assert_eq!(secret.len(), 22);
        assert!(seen.insert(secret.to_owned()));
    }
}
