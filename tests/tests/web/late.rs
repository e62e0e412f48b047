//! Requests and answers that come late: nothing is undone, and nobody loses the new id.

use std::sync::Arc;

use http::header::SET_COOKIE;
use jam::SessionOptions;
use jam::crypto::{AesSealer, generate_aes_key};
use jam_http::{CookieConfig, CookieLife, Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{builder, cookie_of, everything_in, header, pages, secs, serve, sessions, two_processes};

on_every_framework!(
    a_request_in_flight_cannot_undo_a_logout_or_a_rework,
    a_revoke_in_flight_is_not_undone,
    a_logout_that_meets_a_rework_ends_the_session_under_its_new_id,
    a_cache_that_has_not_heard_of_it_leaves_no_change_out,
    a_late_answer_does_not_take_away_the_cookie_of_a_new_login,
    a_late_answer_does_not_renew_a_cookie_whose_id_is_an_old_one,
    a_cache_that_has_not_heard_of_it_renews_no_cookie_of_an_old_id,
    a_late_request_with_the_old_id_does_not_displace_a_login,
    a_rework_that_meets_a_rotation_of_another_process_leaves_late_requests_nothing_to_begin,
    a_client_that_never_heard_of_its_login_begins_anew_half_a_minute_later,
);

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

async fn a_logout_that_meets_a_rework_ends_the_session_under_its_new_id<F: Framework>() {
    let sessions = sessions();
    let mut site = pages(SessionConfig::new(sessions.clone()));
    for (path, looks, login) in [
        ("/looks", true, false),
        ("/before", false, false),
        ("/looks/login", true, true),
    ] {
        let manager = sessions.clone();
        site = site.on(path, move |session: Session| {
            let manager = manager.clone();
            async move {
                if looks {
                    // Another request gives it a new id now.
                    manager.rework(session.id().await?.unwrap()).await?;
                }
                if login {
                    session.login("user2").await?;
                } else {
                    session.logout().await?;
                }
                Ok("")
            }
        });
    }
    // What it had read it has to read again, and then it is not there any more.
    for (path, login) in [("/modifies", false), ("/modifies/login", true)] {
        let manager = sessions.clone();
        site = site.on(path, move |session: Session| {
            let manager = manager.clone();
            async move {
                session.modify(|data| data.insert("n".into(), 1.into())).await?;
                manager.rework(session.id().await?.unwrap()).await?;
                assert_eq!(session.get::<u32>("n").await?, None);
                if login {
                    session.login("user2").await?;
                } else {
                    assert!(session.logout().await? && !session.logout().await?);
                }
                Ok("")
            }
        });
    }
    let site = site.on("/before/looks", |session: Session| async move {
        assert_eq!(session.user().await?, None);
        assert!(session.logout().await? && !session.logout().await?);
        Ok("")
    });
    let site = site.on("/before/modifies", |session: Session| async move {
        assert!(session.modify(|data| data.insert("n".into(), 1.into())).await.is_err());
        assert!(session.logout().await? && !session.logout().await?);
        Ok("")
    });
    let app = F::serve(site).await;
    let bystander = sessions.create("user1", json!({})).await.unwrap();
    for (path, reworks_before) in [
        ("/looks", false),
        ("/before", true),
        ("/looks/login", false),
        ("/modifies", false),
        ("/modifies/login", false),
        ("/before/looks", true),
        ("/before/modifies", true),
    ] {
        let id = sessions.create("user1", json!({})).await.unwrap();
        let (tab, other_tab) = (
            Browser::with_cookie(&app, cookie_of(&id)),
            Browser::with_cookie(&app, cookie_of(&id)),
        );
        if reworks_before {
            assert_eq!(other_tab.status("/rework").await, 200);
        }
        assert_eq!(tab.status(path).await, 200);
        assert_eq!(sessions.list("user1").await.unwrap().len(), 1, "{path}");
        assert!(sessions.exists(&bystander).await.unwrap());
    }
    // Of an id that is dead for long nobody knows what became of its session.
    let (id, other) = (
        sessions.create("user1", json!({})).await.unwrap(),
        sessions.create("user3", json!({})).await.unwrap(),
    );
    sessions.rework(&id).await.unwrap();
    for id in [&id, &other] {
        assert_eq!(Browser::with_cookie(&app, cookie_of(id)).status("/before").await, 200);
    }
    assert_eq!(sessions.list("user1").await.unwrap().len(), 2);
    assert!(sessions.list("user3").await.unwrap().is_empty());
}

/// What was changed elsewhere, and answered, is not what a change is measured by here.
async fn a_cache_that_has_not_heard_of_it_leaves_no_change_out<F: Framework>() {
    let (here, elsewhere) = two_processes(true);
    let site = pages(SessionConfig::new(here.clone()))
        .on("/theme", |session: Session| async move {
            Ok(session.get::<String>("theme").await?.unwrap_or_default())
        })
        .on("/dark", |session: Session| async move {
            session.merge(json!({"theme": "dark"})).await?;
            Ok("")
        })
        .on("/nothing", |session: Session| async move {
            let before: Option<String> = session.get("transfer").await?;
            let removed = session.remove("transfer").await?;
            Ok(format!("{} {}", before.is_some(), removed.is_some()))
        });
    let id = elsewhere.create("user1", json!({"theme": "dark"})).await.unwrap();
    let browser = Browser::with_cookie(&F::serve(site).await, cookie_of(&id));
    assert_eq!(browser.read("/theme").await, "dark");
    elsewhere
        .update(&id, json!({"theme": "light", "transfer": 17}))
        .await
        .unwrap();
    assert_eq!(browser.read("/theme").await, "dark", "it has not heard of it");
    assert_eq!(browser.read("/nothing").await, "false true");
    let stored = async || elsewhere.get_fresh(&id).await.unwrap().unwrap().data().unwrap().clone();
    assert_eq!(json!(stored().await), json!({"theme": "light"}));
    assert_eq!(browser.read("/theme").await, "light");
    elsewhere.update(&id, json!({"theme": "dark"})).await.unwrap();
    browser.read("/dark").await;
    assert_eq!(json!(stored().await), json!({"theme": "dark"}));
    assert_eq!(browser.read("/theme").await, "dark");
    elsewhere.update(&id, json!({"theme": "light"})).await.unwrap();
    browser.read("/dark").await;
    assert_eq!(json!(stored().await), json!({"theme": "dark"}));
}

async fn a_late_answer_does_not_take_away_the_cookie_of_a_new_login<F: Framework>() {
    let sessions = sessions();
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
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

/// The session gets another id, or ends, after a handler has read or changed it: its cookie is not sent again, though its ttl
/// was counted anew.
async fn a_late_answer_does_not_renew_a_cookie_whose_id_is_an_old_one<F: Framework>() {
    let (builder, _clock) = builder();
    let sessions = builder.renew_on_read(true).grace(secs(30)).build().unwrap();
    let cookie = CookieConfig::new().life(CookieLife::Session);
    let config = SessionConfig::builder(sessions.clone()).cookie(cookie).build().unwrap();
    let mut site = pages(config);
    for (path, modifies, inserts) in [
        ("/reads", false, false),
        ("/modifies", true, false),
        ("/both", true, true),
    ] {
        let manager = sessions.clone();
        site = site.on(path, move |session: Session| {
            let manager = manager.clone();
            async move {
                let meanwhile: String = session.get("meanwhile").await?.unwrap();
                if modifies {
                    session.modify(|data| data.insert("n".into(), 7.into())).await?;
                }
                let id = session.id().await?.unwrap();
                match &*meanwhile {
                    "rework" => drop(manager.rework(&id).await?),
                    "rotation" => drop(manager.rework_with_grace(&id).await?),
                    "login" => drop(manager.rework_as(&id, "user2", SessionOptions::new()).await?),
                    "delete" => assert!(manager.delete(&id).await?),
                    _ => {}
                }
                if inserts {
                    session.insert("m", 7).await?;
                }
                Ok("")
            }
        });
    }
    let app = F::serve(site).await;
    for meanwhile in ["nothing", "rework", "rotation", "login", "delete"] {
        for path in ["/reads", "/modifies", "/both"] {
            let id = sessions.create("user1", json!({"meanwhile": meanwhile})).await.unwrap();
            let response = Browser::with_cookie(&app, cookie_of(&id)).visit(path).await;
            let sent = header(&response, &SET_COOKIE).is_some();
            assert_eq!(sent, meanwhile == "nothing", "{path}, {meanwhile}");
        }
    }
}

/// The same where another process does it, and this one has the session in a cache.
async fn a_cache_that_has_not_heard_of_it_renews_no_cookie_of_an_old_id<F: Framework>() {
    let (here, elsewhere) = two_processes(true);
    let cookie = CookieConfig::new().life(CookieLife::Session);
    let config = SessionConfig::builder(here.clone()).cookie(cookie).build().unwrap();
    let manager = elsewhere.clone();
    let site = pages(config).on("/reads", move |session: Session| {
        let manager = manager.clone();
        async move {
            if session.get::<bool>("reworked_meanwhile").await? == Some(true) {
                manager.rework(session.id().await?.unwrap()).await?;
            }
            Ok("")
        }
    });
    let app = F::serve(site).await;
    for reworked in [false, true] {
        let data = json!({"reworked_meanwhile": reworked});
        let id = elsewhere.create("user1", data).await.unwrap();
        let response = Browser::with_cookie(&app, cookie_of(&id)).visit("/reads").await;
        assert_eq!(header(&response, &SET_COOKIE).is_some(), !reworked);
    }
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

/// Another process rotates the id while a handler is at work that then asks for a new one itself: by then there are two old ids,
/// and requests on their way with either begin nothing. Whether the handler knows of the rotation, or has only read before it, and
/// whether there is a cache that knows of nothing.
async fn a_rework_that_meets_a_rotation_of_another_process_leaves_late_requests_nothing_to_begin<F: Framework>() {
    for (step, user) in [("/rework", "user1"), ("/login", "user1"), ("/as-bob", "bob")] {
        for (modifies, cached) in [(true, false), (false, false), (false, true)] {
            meets_a_rotation::<F>(step, user, modifies, cached).await;
        }
    }
}

async fn meets_a_rotation<F: Framework>(step: &'static str, user: &str, modifies: bool, cached: bool) {
    let case = format!("{step}, modifies: {modifies}, cached: {cached}");
    let (here, elsewhere) = two_processes(cached);
    let rotated = Arc::new(std::sync::Mutex::new(None));
    let seen = Arc::clone(&rotated);
    let site = pages(SessionConfig::new(here)).on("/meet", move |session: Session| {
        let (elsewhere, seen) = (elsewhere.clone(), Arc::clone(&seen));
        async move {
            session.require_user().await?;
            if modifies {
                session.modify(|data| data.insert("n".into(), 7.into())).await?;
            }
            let new = elsewhere.rework_with_grace(session.id().await?.unwrap()).await?;
            *seen.lock().unwrap() = Some(new);
            match step {
                "/rework" => session.rework().await?,
                "/login" => session.login("user1").await?,
                _ => session.login("bob").await?,
            }
            Ok("")
        }
    });
    let app = F::serve(site).await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    let first = browser.cookie().unwrap();
    assert_eq!(browser.status("/meet").await, 200, "{case}");
    let second = cookie_of(rotated.lock().unwrap().take().unwrap());
    assert!(![&first, &second].contains(&&browser.cookie().unwrap()));
    for old in [first, second] {
        let late = Browser::with_cookie(&app, &old).visit("/write").await;
        assert_eq!(
            (late.status().as_u16(), header(&late, &SET_COOKIE)),
            (200, None),
            "{case}"
        );
    }
    assert_eq!(browser.read("/user").await, user, "{case}");
    let n = if modifies && user == "user1" { "7" } else { "none" };
    assert_eq!(browser.read("/read").await, n, "{case}");
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
