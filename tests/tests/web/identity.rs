//! Logging in and out, new ids, devices.

use http::header::SET_COOKIE;
use jam::crypto::{AesSealer, generate_aes_key};
use jam::{ErrorKind, WhenFull};
use jam_http::{Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};
use serde_json::{Value, json};

use crate::support::{builder, cookie_of, everything_in, header, pages, secs, serve, serve_with, sessions};

on_every_framework!(
    asvs_7_2_4_an_id_planted_before_the_login_is_dead_after_it,
    asvs_7_2_4_authenticating_again_gives_a_new_id,
    a_visitors_data_goes_along_at_the_login,
    changes_before_and_after_a_login_in_one_request_all_arrive,
    the_session_of_another_user_ends_at_a_login_and_its_data_stays_behind,
    a_login_whose_session_ended_meanwhile_begins_a_new_one,
    nobody_logs_in_as_a_visitor,
    asvs_7_1_2_a_full_key_refuses_the_login,
    asvs_7_4_1_a_logout_ends_the_session_in_the_store,
    a_logout_costs_one_call_and_needs_no_readable_session,
    what_is_written_after_a_logout_is_a_visitors,
    a_request_in_flight_cannot_undo_a_logout_or_a_rework,
    a_revoke_in_flight_is_not_undone,
    a_late_answer_does_not_take_away_the_cookie_of_a_new_login,
    a_late_request_with_the_old_id_does_not_displace_a_login,
    a_client_that_never_heard_of_its_login_begins_anew_half_a_minute_later,
    a_rework_gives_a_new_id_and_keeps_the_rest,
    a_rework_of_what_has_ended_meanwhile_sends_no_cookie,
    asvs_7_5_2_devices_are_listed_and_revoked,
    asvs_7_4_3_a_change_of_password_ends_the_other_sessions,
    asvs_7_4_2_and_7_4_5_a_disabled_account_is_out_everywhere,
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

async fn a_request_in_flight_cannot_undo_a_logout_or_a_rework<F: Framework>() {
    let sessions = sessions();
    let manager = sessions.clone();
    // The session ends while the handler works with it.
    let site = pages(SessionConfig::new(sessions.clone())).on("/meanwhile/delete", move |session: Session| {
        let manager = manager.clone();
        async move {
            session.insert("n", 1).await?;
            manager.delete(session.id().await?.unwrap()).await?;
            Ok("")
        }
    });
    let manager = sessions.clone();
    let site = site.on("/meanwhile/rework", move |session: Session| {
        let manager = manager.clone();
        async move {
            session.insert("n", 1).await?;
            manager.rework(session.id().await?.unwrap()).await?;
            Ok("")
        }
    });
    let app = F::serve(site).await;
    for (path, left) in [("/meanwhile/delete", 0), ("/meanwhile/rework", 1)] {
        let id = sessions.create("user1", json!({})).await.unwrap();
        let browser = Browser::with_cookie(&app, cookie_of(&id));
        let response = browser.visit(path).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, &SET_COOKIE)),
            (200, None),
            "{path}"
        );
        assert!(!sessions.exists(&id).await.unwrap(), "{path}");
        assert_eq!(browser.status("/user").await, 401);
        let sessions = sessions.list("user1").await.unwrap();
        assert_eq!(sessions.len(), left, "{path}");
        assert!(sessions.iter().all(|session| session.data().unwrap().is_empty()));
    }
}

async fn a_revoke_in_flight_is_not_undone<F: Framework>() {
    let sessions = sessions();
    let manager = sessions.clone();
    // Another device ends this one's session between this request's read and its write.
    let site = pages(SessionConfig::new(sessions.clone())).on("/meanwhile", move |session: Session| {
        let manager = manager.clone();
        async move {
            session.insert("n", 1).await?;
            let (user, handle) = (session.require_user().await?, session.handle().await?.unwrap());
            assert!(manager.revoke(user, &handle).await?);
            Ok("")
        }
    });
    let id = sessions.create("user1", json!({})).await.unwrap();
    let browser = Browser::with_cookie(&F::serve(site).await, cookie_of(&id));
    let response = browser.visit("/meanwhile").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, &SET_COOKIE)),
        (200, None)
    );
    assert_eq!(browser.status("/user").await, 401);
    assert_eq!(everything_in(&sessions).await.len(), 0, "sessions that came back");
}

/// Requests that left the browser before a login or a rework elsewhere, and look at their session only afterwards: they
/// write nothing, and the browser keeps the new id, whichever answer comes last.
async fn a_late_request_with_the_old_id_does_not_displace_a_login<F: Framework>() {
    for sealed in [false, true] {
        let (builder, _clock) = builder();
        let builder = if sealed {
            builder.sealer(AesSealer::new(generate_aes_key().unwrap().parse().unwrap()))
        } else {
            builder
        };
        let sessions = builder.build().unwrap();
        let site = pages(SessionConfig::new(sessions.clone()))
            .on("/modify", |session: Session| async move {
                session.modify(|data| data.insert("n".into(), 7.into())).await?;
                Ok("")
            })
            .on("/change-and-rework", |session: Session| async move {
                session.modify(|data| data.insert("n".into(), 8.into())).await?;
                session.rework().await?;
                Ok("")
            })
            .on("/as-bob", |session: Session| async move {
                session.login("bob").await?;
                Ok("")
            });
        let app = F::serve(site).await;
        let browser = Browser::new(&app);
        browser.visit("/write").await;
        for (step, user) in [
            ("/login", "user1"),
            ("/rework", "user1"),
            ("/change-and-rework", "user1"),
            ("/login", "user1"),
            ("/as-bob", "bob"),
        ] {
            let before = browser.cookie().unwrap();
            browser.visit(step).await;
            let old = Browser::with_cookie(&app, &before);
            // What they see is that there is no session.
            assert_eq!(old.status("/user").await, 401, "{step}");
            assert_eq!(old.read("/read").await, "none", "{step}");
            for (late, status) in [("/write", 200), ("/modify", 401)] {
                let late = old.visit(late).await;
                assert_eq!(
                    (late.status().as_u16(), header(&late, &SET_COOKIE)),
                    (status, None),
                    "{step}"
                );
            }
            assert_eq!(browser.read("/user").await, user, "{step}");
        }
        let left = everything_in(&sessions).await;
        let (notes, left): (Vec<_>, Vec<_>) = left.into_iter().partition(|entry| entry.id.is_reserved());
        assert_eq!((left.len(), notes.len()), (1, 5));
    }
}

async fn a_client_that_never_heard_of_its_login_begins_anew_half_a_minute_later<F: Framework>() {
    let (builder, clock) = builder();
    let sessions = builder.build().unwrap();
    let app: F = serve(&sessions).await;
    let browser = Browser::new(&app);
    browser.visit("/write").await;
    // The answer of the login was lost.
    let before = browser.cookie().unwrap();
    browser.visit("/login").await;
    let browser = Browser::with_cookie(&app, &before);
    assert_eq!(header(&browser.visit("/write").await, &SET_COOKIE), None);
    clock.advance(secs(31));
    assert!(header(&browser.visit("/write").await, &SET_COOKIE).is_some());
    assert_eq!(browser.read("/read").await, "1");
    // Logging in once more works at any time.
    let browser = Browser::with_cookie(&app, &before);
    browser.visit("/login").await;
    assert_eq!(browser.read("/user").await, "user1");
}

async fn a_late_answer_does_not_take_away_the_cookie_of_a_new_login<F: Framework>() {
    let sessions = sessions();
    let (arrived, go) = (
        std::sync::Arc::new(tokio::sync::Notify::new()),
        std::sync::Arc::new(tokio::sync::Notify::new()),
    );
    let gate = (arrived.clone(), go.clone());
    let site = pages(SessionConfig::new(sessions)).on("/slow", move |session: Session| {
        let (arrived, go) = gate.clone();
        async move {
            session.insert("slow", 1).await?;
            arrived.notify_one();
            go.notified().await;
            Ok("")
        }
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/write").await;
    let tab = browser.clone();
    let slow = tokio::spawn(async move { tab.status("/slow").await });
    arrived.notified().await;
    browser.visit("/login").await;
    go.notify_one();
    assert_eq!(slow.await.unwrap(), 200);
    assert_eq!(browser.read("/user").await, "user1");
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

async fn asvs_7_5_2_devices_are_listed_and_revoked<F: Framework>() {
    let sessions = sessions();
    let site = pages(SessionConfig::new(sessions.clone()))
        .on("/devices", |session: Session| async move {
            let devices = session.list().await?;
            let own = session.handle().await?;
            assert!(
                devices
                    .iter()
                    .all(|device| device.is_current() == (Some(device.handle()) == own.as_ref()))
            );
            Ok(devices.len())
        })
        .on("/revoke/other", |session: Session| async move {
            let devices = session.list().await?;
            let other = devices.iter().find(|device| !device.is_current()).unwrap();
            assert!(session.revoke(other.handle()).await?);
            session.revoke(other.handle()).await
        })
        .on("/revoke/foreign", |session: Session| async move {
            let foreign = session.config().sessions().list("user2").await?;
            session.revoke(foreign[0].handle()).await
        })
        .on("/revoke/own", |session: Session| async move {
            session.revoke(session.handle().await?.unwrap()).await
        })
        .on("/everywhere", |session: Session| async move {
            session.logout_everywhere().await
        });
    let app = F::serve(site).await;
    sessions.create("user2", json!({})).await.unwrap();
    let [one, two, three] = [Browser::new(&app), Browser::new(&app), Browser::new(&app)];
    for browser in [&one, &two, &three] {
        browser.visit("/login").await;
    }
    assert_eq!(one.read("/devices").await, "3");
    assert_eq!(one.read("/revoke/other").await, "false");
    let alive = [two.status("/user").await, three.status("/user").await];
    assert_eq!(alive.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(one.read("/revoke/foreign").await, "false");
    assert_eq!(sessions.list("user2").await.unwrap().len(), 1);
    assert_eq!(one.read("/revoke/own").await, "true");
    assert_eq!(one.cookie(), None);
    one.visit("/login").await;
    assert_eq!(one.read("/everywhere").await, "2");
    assert_eq!(one.cookie(), None);
    assert_eq!(sessions.list("user1").await.unwrap().len(), 0);
    // Without a session there are no devices.
    assert_eq!(one.read("/devices").await, "0");
}

async fn asvs_7_4_3_a_change_of_password_ends_the_other_sessions<F: Framework>() {
    let site = pages(SessionConfig::new(sessions())).on("/password", |session: Session| async move {
        session.rework().await?;
        session.clear_others().await
    });
    let app = F::serve(site).await;
    let [own, other] = [Browser::new(&app), Browser::new(&app)];
    for browser in [&own, &other] {
        browser.visit("/login").await;
    }
    assert_eq!(own.read("/password").await, "1");
    assert_eq!((own.status("/user").await, other.status("/user").await), (200, 401));
}

async fn asvs_7_4_2_and_7_4_5_a_disabled_account_is_out_everywhere<F: Framework>() {
    let sessions = sessions();
    let app: F = serve(&sessions).await;
    let [one, two] = [Browser::new(&app), Browser::new(&app)];
    for browser in [&one, &two] {
        browser.visit("/login").await;
    }
    // What an administrator's page does.
    assert_eq!(sessions.clear("user1").await.unwrap(), 2);
    assert_eq!((one.status("/user").await, two.status("/user").await), (401, 401));
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
