//! Reading and changing fields.

use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use jam_http::{CookieConfig, Session, SessionConfig, Transport};
use jam_tests::web::{Browser, Framework, Site};
use jam_tests::{data, on_every_framework};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use tokio::sync::Notify;

use crate::support::{cookie_of, header, pages, serve, sessions};

on_every_framework!(
    a_request_sees_its_own_changes,
    changes_are_in_the_store_when_the_response_arrives,
    modify_changes_the_newest_data_at_once,
    modify_takes_the_changes_before_it_along,
    modify_begins_a_session_for_a_visitor,
    merge_sets_only_what_differs,
    what_could_not_be_read_back_is_refused_when_it_is_set,
    a_wrong_shape_is_an_error_that_shows_no_data,
    of_two_requests_that_set_the_same_field_the_last_one_wins,
    what_is_changed_in_two_clones_is_one_session,
    a_second_layer_inside_leaves_the_session_to_the_first,
    a_second_layer_with_a_cookie_of_its_own_has_a_session_of_its_own,
    visitors_are_strangers_to_each_other,
);

async fn app<F: Framework>(site: impl FnOnce(Site) -> Site) -> (jam::Sessions, Browser<F>) {
    let sessions = sessions();
    let id = sessions.create("user1", json!({"a": 1, "b": 2})).await.unwrap();
    let app = F::serve(site(Site::new(SessionConfig::new(sessions.clone())))).await;
    (sessions, Browser::with_cookie(&app, cookie_of(id)))
}

async fn stored(sessions: &jam::Sessions) -> Value {
    let info = sessions.list("user1").await.unwrap().remove(0);
    Value::Object(info.data().unwrap())
}

async fn a_request_sees_its_own_changes<F: Framework>() {
    let (sessions, browser) = app::<F>(|site| {
        site.on("/", |session: Session| async move {
            session.insert("a", 10).await?;
            session.insert("c", json!({"deep": [1]})).await?;
            assert_eq!(session.remove("b").await?, Some(json!(2)));
            assert_eq!(session.remove("b").await?, None);
            assert_eq!(session.remove("a").await?, Some(json!(10)));
            session.insert("a", 11).await?;
            assert_eq!(session.get::<u8>("a").await?, Some(11));
            assert_eq!(session.get::<u8>("b").await?, None);
            assert_eq!(
                Value::Object(session.data().await?),
                json!({"a": 11, "c": {"deep": [1]}})
            );
            Ok("")
        })
    })
    .await;
    assert_eq!(browser.status("/").await, 200);
    assert_eq!(stored(&sessions).await, json!({"a": 11, "c": {"deep": [1]}}));
}

async fn changes_are_in_the_store_when_the_response_arrives<F: Framework>() {
    let sessions = sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    for n in 1..=20 {
        assert_eq!(browser.read("/write").await, n.to_string());
        let id = browser.read("/id").await;
        assert_eq!(data(&sessions, id).await.unwrap(), json!({"n": n}));
    }
}

async fn modify_changes_the_newest_data_at_once<F: Framework>() {
    let (sessions, browser) = app::<F>(|site| {
        let sessions = site.config.sessions().clone();
        site.on("/", move |session: Session| {
            let sessions = sessions.clone();
            async move {
                assert_eq!(session.get::<u64>("a").await?, Some(1));
                let id = session.id().await?.unwrap();
                sessions.update(&id, json!({"a": 100})).await?;
                let a = session
                    .modify(|data| {
                        let a = data["a"].as_u64().unwrap() + 1;
                        data.insert("a".into(), a.into());
                        a
                    })
                    .await?;
                assert_eq!(session.get::<u64>("a").await?, Some(101));
                assert_eq!(data(&sessions, &id).await.unwrap(), json!({"a": 101}));
                Ok(a)
            }
        })
    })
    .await;
    assert_eq!(browser.read("/").await, "101");
    assert_eq!(stored(&sessions).await, json!({"a": 101}));
}

async fn modify_takes_the_changes_before_it_along<F: Framework>() {
    let (sessions, browser) = app::<F>(|site| {
        site.on("/", |session: Session| async move {
            session.insert("a", 5).await?;
            session
                .modify(|data| data.insert("c".into(), data["a"].clone()))
                .await?;
            session.insert("d", 1).await?;
            Ok("")
        })
    })
    .await;
    browser.visit("/").await;
    assert_eq!(stored(&sessions).await, json!({"a": 5, "b": 2, "c": 5, "d": 1}));
}

async fn modify_begins_a_session_for_a_visitor<F: Framework>() {
    let sessions = sessions();
    let site = Site::new(SessionConfig::new(sessions.clone())).on("/", |session: Session| async move {
        session.insert("a", 1).await?;
        session.modify(|data| data.insert("n".into(), 1.into())).await?;
        Ok(session.id().await?.unwrap().into_string())
    });
    let browser = Browser::new(&F::serve(site).await);
    let id = browser.read("/").await;
    assert_eq!(data(&sessions, &id).await.unwrap(), json!({"a": 1, "n": 1}));
    assert_eq!(browser.cookie(), Some(cookie_of(id)));
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Profile {
    a: u64,
    b: u64,
}

async fn merge_sets_only_what_differs<F: Framework>() {
    let (sessions, browser) = app::<F>(|site| {
        let sessions = site.config.sessions().clone();
        site.on("/", move |session: Session| {
            let sessions = sessions.clone();
            async move {
                let mut profile: Profile = session.data_as().await?.unwrap();
                profile.a = 10;
                // Another request changes the other field meanwhile.
                let id = session.id().await?.unwrap();
                sessions.modify(&id, |data| data.insert("b".into(), 20.into())).await?;
                session.merge(&profile).await?;
                assert_eq!(session.data_as::<Profile>().await?, Some(Profile { a: 10, b: 2 }));
                Ok("")
            }
        })
    })
    .await;
    assert_eq!(browser.status("/").await, 200);
    assert_eq!(stored(&sessions).await, json!({"a": 10, "b": 20}));
}

async fn what_could_not_be_read_back_is_refused_when_it_is_set<F: Framework>() {
    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!([]), |inner, _| json!([inner]))
    }
    let (sessions, browser) = app::<F>(|site| {
        site.on("/set", |session: Session| async move {
            session.insert("kept", 1).await?;
            session.insert("deep", nested(126)).await?;
            let deeper = [
                session.insert("deep", nested(127)).await,
                session.merge(json!({"deep": nested(127)})).await,
                session.insert("deep", json!({"a": nested(126)})).await,
            ];
            Ok(deeper.iter().filter(|refused| refused.is_err()).count())
        })
    })
    .await;
    assert_eq!(browser.read("/set").await, "3");
    let stored = stored(&sessions).await;
    assert_eq!(stored["kept"], 1);
    assert_eq!(stored["deep"], nested(126));
}

async fn a_wrong_shape_is_an_error_that_shows_no_data<F: Framework>() {
    let (_, browser) = app::<F>(|site| {
        site.on("/", |session: Session| async move {
            session.insert("secret", "hunter2").await?;
            let field = session.get::<u8>("secret").await.unwrap_err();
            let whole = session.data_as::<Vec<u8>>().await.unwrap_err();
            assert!(session.merge([1]).await.is_err());
            assert!(!format!("{field} {field:?} {whole} {whole:?} {session:?}").contains("hunter2"));
            session.get::<u8>("secret").await.map(|_| "")
        })
    })
    .await;
    assert_eq!(browser.status("/").await, 500);
}

async fn what_is_changed_in_two_clones_is_one_session<F: Framework>() {
    let (sessions, browser) = app::<F>(|site| {
        site.on("/", |session: Session| async move {
            let tasks: Vec<_> = (0..16)
                .map(|n| {
                    let session = session.clone();
                    tokio::spawn(async move { session.insert(format!("f{n}"), n).await })
                })
                .collect();
            for task in tasks {
                task.await.unwrap()?;
            }
            Ok(session.data().await?.len())
        })
    })
    .await;
    assert_eq!(browser.read("/").await, "18");
    assert_eq!(stored(&sessions).await.as_object().unwrap().len(), 18);
}

async fn visitors_are_strangers_to_each_other<F: Framework>() {
    let sessions = sessions();
    let site = pages(SessionConfig::new(sessions)).on("/others", |session: Session| async move {
        assert_eq!(session.clear_others().await?, 0);
        assert_eq!(session.user().await?, None);
        Ok(session.list().await?.len())
    });
    let app = F::serve(site).await;
    let (one, two) = (Browser::new(&app), Browser::new(&app));
    one.visit("/write").await;
    two.visit("/write").await;
    assert_eq!(one.read("/others").await, "1");
    assert_eq!(two.read("/read").await, "1");
    assert_eq!(two.status("/user").await, 401);
}

async fn of_two_requests_that_set_the_same_field_the_last_one_wins<F: Framework>() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gate = (Arc::clone(&arrived), Arc::clone(&go));
    let (sessions, browser) = app::<F>(|site| {
        site.on("/slow", move |session: Session| {
            let (arrived, go) = gate.clone();
            async move {
                session.insert("a", "slow").await?;
                session.insert("c", "slow").await?;
                arrived.notify_one();
                go.notified().await;
                Ok("")
            }
        })
        .on("/quick", |session: Session| async move {
            session.insert("a", "quick").await?;
            session.insert("b", "quick").await?;
            Ok("")
        })
    })
    .await;
    let tab = browser.clone();
    let slow = tokio::spawn(async move { tab.status("/slow").await });
    arrived.notified().await;
    browser.visit("/quick").await;
    go.notify_one();
    assert_eq!(slow.await.unwrap(), 200);
    assert_eq!(stored(&sessions).await, json!({"a": "slow", "b": "quick", "c": "slow"}));
}

async fn a_second_layer_inside_leaves_the_session_to_the_first<F: Framework>() {
    let sessions = sessions();
    let inner = SessionConfig::builder(sessions.clone()).keep_changes_of_failures(true);
    let site = pages(SessionConfig::new(sessions.clone()))
        .with_inner(inner.build().unwrap())
        .on_response("/fails", |session: Session| async move {
            session.insert("n", 99).await?;
            let mut response = Response::default();
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Ok(response)
        });
    let browser = Browser::new(&F::serve(site).await);
    assert!(header(&browser.visit("/write").await, &SET_COOKIE).is_some());
    browser.visit("/login").await;
    browser.visit("/write").await;
    // The outer one's choice counts.
    assert_eq!(browser.status("/fails").await, 500);
    assert_eq!(browser.read("/read").await, "2");
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
    assert!(header(&browser.visit("/logout").await, &SET_COOKIE).is_some());
    assert_eq!(browser.status("/user").await, 401);
}

async fn a_second_layer_with_a_cookie_of_its_own_has_a_session_of_its_own<F: Framework>() {
    let sessions = sessions();
    let admin = Transport::Cookie(CookieConfig::new().name("__Host-admin"));
    let admin = SessionConfig::builder(sessions.clone())
        .transport(admin)
        .build()
        .unwrap();
    let site = pages(SessionConfig::new(sessions)).with_inner(admin);
    let response = Browser::new(&F::serve(site).await).visit("/write").await;
    let cookie = header(&response, &SET_COOKIE).unwrap();
    assert!(cookie.starts_with("__Host-admin="), "{cookie}");
}
