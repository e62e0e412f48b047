//! Services around and inside the layer that are not axum's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use jam_core::{Clock, ErrorKind, ManualClock, MemoryStore, Sessions, Timestamp};
use jam_tower::{Session, SessionConfig, SessionLayer};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

type Answer = Result<Response<String>, jam_http::Error>;

fn answer(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    response
}

fn session_of(request: &Request<()>) -> Session {
    request.extensions().get::<Session>().unwrap().clone()
}

#[tokio::test]
async fn what_a_handler_that_a_timeout_stopped_had_changed_is_dropped() {
    let half_way = async |request: Request<()>| -> Answer {
        session_of(&request).insert("half", true).await?;
        std::future::pending().await
    };
    // As tower-http's TimeoutLayer does it, with no time at all.
    let stopped = service_fn(async |request| match timeout(Duration::ZERO, half_way(request)).await {
        Ok(answer) => answer,
        Err(_) => Ok(answer(StatusCode::REQUEST_TIMEOUT)),
    });
    let layer = SessionLayer::new(Sessions::new(MemoryStore::new()));
    let response = layer.layer(stopped).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(!response.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn what_follows_a_connect_that_was_accepted_may_be_the_first_to_look() {
    for (status, may_look) in [(StatusCode::OK, true), (StatusCode::FORBIDDEN, false)] {
        let (sender, mut sessions) = mpsc::unbounded_channel();
        let accepting = service_fn(move |request| {
            sender.send(session_of(&request)).unwrap();
            ready(Answer::Ok(answer(status)))
        });
        let layer = SessionLayer::new(Sessions::new(MemoryStore::new()));
        let request = Request::connect("example.org").body(()).unwrap();
        let response = layer.layer(accepting).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let looked = sessions.recv().await.unwrap().exists().await;
        assert_eq!(looked.ok(), may_look.then_some(false), "{status}");
    }
}

/// Where the service gives an error in place of a response, a new id would reach nobody.
#[tokio::test]
async fn a_service_that_gives_an_error_changes_no_id_and_begins_no_session() {
    for keep in [false, true] {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let sessions = Sessions::builder(store)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .grace(Duration::from_secs(30))
            .build()
            .unwrap();
        let config = SessionConfig::builder(sessions.clone())
            .rotate_every(Duration::from_mins(15))
            .keep_changes_of_failures(keep)
            .build()
            .unwrap();
        let service = SessionLayer::with(config).layer(service_fn(async |request| {
            let session = session_of(&request);
            match request.uri().path() {
                "/login" => {
                    session.login("user1").await?;
                    return Answer::Ok(answer(StatusCode::OK));
                }
                "/write" => session.insert("n", 1).await?,
                _ => drop(session.user().await?),
            }
            Answer::Err(jam_core::Error::from(ErrorKind::Unexpected).into())
        }));
        let login = Request::get("/login").body(()).unwrap();
        let login = service.clone().oneshot(login).await.unwrap();
        let cookie = &login.headers()[header::SET_COOKIE];
        clock.advance(Duration::from_mins(15));
        for (path, cookie) in [
            ("/read", Some(cookie)),
            ("/write", Some(cookie)),
            ("/read", None),
            ("/write", None),
        ] {
            let mut request = Request::get(path);
            if let Some(cookie) = cookie {
                request = request.header(header::COOKIE, cookie);
            }
            let request = request.body(()).unwrap();
            service.clone().oneshot(request).await.unwrap_err();
        }
        let listed = sessions.list("user1").await.unwrap();
        assert_eq!(listed[0].data().unwrap().get("n").is_some(), keep);
        assert_eq!(listed[0].issued(), listed[0].created(), "its id is the old one");
        let (mut records, mut cursor) = (0, None);
        loop {
            let page = sessions.store().scan(cursor, 100).await.unwrap();
            records += page.entries.len();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(records, 1, "neither a visitor's session nor a note");
    }
}
