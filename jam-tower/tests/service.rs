//! Services around and inside the layer that are not axum's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use jam_core::{MemoryStore, Sessions};
use jam_tower::{Session, SessionLayer};
use tokio::time::timeout;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

type Answer = Result<Response<String>, jam_http::Error>;

fn answer(status: StatusCode) -> Answer {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    Ok(response)
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
        Err(_) => answer(StatusCode::REQUEST_TIMEOUT),
    });
    let layer = SessionLayer::new(Sessions::new(MemoryStore::new()));
    let response = layer.layer(stopped).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(!response.headers().contains_key(header::SET_COOKIE));
}
