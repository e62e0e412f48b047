//! Services around and inside the layer that are not axum's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::ready;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use jam_core::{MemoryStore, Sessions};
use jam_tower::{Session, SessionLayer};
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
