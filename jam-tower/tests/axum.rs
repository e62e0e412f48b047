//! What is axum's own: extractors, their rejections, and errors answered in one place.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{Request, StatusCode, header};
use jam_core::{MemoryStore, Sessions};
use jam_tower::{Data, Error, Result, Session, SessionLayer, User};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

#[derive(Default, Serialize, Deserialize)]
struct Profile {
    theme: String,
}

async fn login(session: Session) -> Result<&'static str> {
    session.merge(Profile { theme: "dark".into() }).await?;
    session.login("user1").await?;
    Ok("welcome")
}

async fn fill(session: Session) -> Result<&'static str> {
    session.insert("items", 3).await?;
    Ok("filled")
}

async fn me(User(key): User) -> String {
    key.as_str().to_owned()
}

async fn home(user: Option<User>) -> String {
    user.map_or("hello".to_owned(), |User(key)| format!("hello, {}", key.as_str()))
}

async fn theme(Data(profile): Data<Profile>) -> String {
    profile.theme
}

async fn any_theme(profile: Option<Data<Profile>>) -> String {
    profile.map_or("light".to_owned(), |Data(profile)| profile.theme)
}

async fn wrong(Data(_): Data<Vec<u8>>) {}

async fn outside(session: Option<Session>) -> String {
    session.is_some().to_string()
}

async fn fails() -> Result<()> {
    Err(jam_core::Error::new(jam_core::ErrorKind::Corrupt, "a secret detail").into())
}

fn routes() -> Router {
    Router::new()
        .route("/login", get(login))
        .route("/fill", get(fill))
        .route("/me", get(me))
        .route("/home", get(home))
        .route("/theme", get(theme))
        .route("/any-theme", get(any_theme))
        .route("/wrong", get(wrong))
        .route("/outside", get(outside))
        .route("/fails", get(fails))
}

fn app() -> Router {
    routes().layer(SessionLayer::new(Sessions::new(MemoryStore::new())))
}

async fn send(app: &Router, path: &str, cookie: Option<&str>) -> Response {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1024).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn logged_in(app: &Router) -> String {
    let response = send(app, "/login", None).await;
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn extractors_give_the_user_and_the_data() {
    let app = app();
    let cookie = logged_in(&app).await;
    for (path, expected) in [
        ("/me", "user1"),
        ("/home", "hello, user1"),
        ("/theme", "dark"),
        ("/any-theme", "dark"),
    ] {
        assert_eq!(
            text(send(&app, path, Some(&cookie)).await).await,
            (200, expected.to_owned())
        );
    }
}

#[tokio::test]
async fn without_a_session_optional_extractors_give_none_and_others_401() {
    let app = app();
    for (path, expected) in [
        ("/home", (200, "hello")),
        ("/any-theme", (200, "light")),
        ("/me", (401, "")),
        ("/theme", (401, "")),
    ] {
        assert_eq!(
            text(send(&app, path, None).await).await,
            (expected.0, expected.1.to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn rejections_tell_the_client_nothing_of_what_is_inside() {
    let app = app();
    let cookie = logged_in(&app).await;
    for path in ["/wrong", "/fails"] {
        assert_eq!(text(send(&app, path, Some(&cookie)).await).await, (500, String::new()));
    }
}

#[tokio::test]
async fn a_route_without_the_layer_is_a_500_or_none() {
    let bare = routes();
    assert_eq!(send(&bare, "/me", None).await.status(), 500);
    assert_eq!(text(send(&bare, "/outside", None).await).await.1, "false");
    assert_eq!(text(send(&app(), "/outside", None).await).await.1, "true");
}

#[tokio::test]
async fn an_application_answers_every_error_in_its_own_way() {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let layer = SessionLayer::new(Sessions::new(MemoryStore::new())).on_error(move |error: &jam_http::Error| {
        seen.store(true, Ordering::SeqCst);
        let mut response = Response::new(Body::from("please log in"));
        *response.status_mut() = match error.status() {
            StatusCode::UNAUTHORIZED => StatusCode::SEE_OTHER,
            status => status,
        };
        response
    });
    let app = routes().layer(layer);
    assert_eq!(
        text(send(&app, "/me", None).await).await,
        (303, "please log in".to_owned())
    );
    // An error of the manager, from a handler that never looked at its session.
    assert_eq!(
        text(send(&app, "/fails", None).await).await,
        (500, "please log in".to_owned())
    );
    asked.store(false, Ordering::SeqCst);
    assert_eq!(text(send(&app, "/home", None).await).await, (200, "hello".to_owned()));
    assert!(!asked.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_answer_of_ones_own_keeps_its_own_retry_after() {
    let sessions = Sessions::new(MemoryStore::new());
    let layer = SessionLayer::new(sessions.clone()).on_error(|error: &jam_http::Error| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = error.status();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, "120".parse().unwrap());
        response
    });
    let app = routes().layer(layer);
    let cookie = send(&app, "/login", None).await.headers()[header::SET_COOKIE].clone();
    let cookie = cookie.to_str().unwrap().split(';').next();
    sessions.close().await.unwrap();
    // An error of an extractor, one of a handler, and one of writing afterwards.
    for (path, cookie) in [("/me", cookie), ("/login", cookie), ("/fill", None)] {
        let response = send(&app, path, cookie).await;
        assert_eq!(response.status(), 503, "{path}");
        let all: Vec<_> = response.headers().get_all(header::RETRY_AFTER).iter().collect();
        assert_eq!(all, ["120"], "{path}");
    }
}

#[tokio::test]
async fn without_an_answer_of_ones_own_an_error_keeps_the_status_and_headers_it_was_given() {
    async fn hidden(session: Session) -> Response {
        let error = Error::from(session.require_user().await.unwrap_err());
        (StatusCode::NOT_FOUND, [(header::CONTENT_LANGUAGE, "en")], error).into_response()
    }
    let layer = SessionLayer::new(Sessions::new(MemoryStore::new()));
    let app = Router::new().route("/hidden", get(hidden)).layer(layer);
    let response = send(&app, "/hidden", None).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()[header::CONTENT_LANGUAGE], "en");
    assert_eq!(response.headers()[header::VARY], "Cookie");
}

#[tokio::test]
async fn plain_tower_services_take_the_session_from_the_extensions() {
    let service = tower::service_fn(|request: Request<()>| async move {
        let session = request.extensions().get::<Session>().unwrap().clone();
        session.insert("n", 1).await?;
        Ok::<_, Error>(http::Response::new(String::from("plain")))
    });
    let layer = SessionLayer::new(Sessions::new(MemoryStore::new()));
    let service = tower_layer::Layer::layer(&layer, service);
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.body(), "plain");
    assert!(response.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn a_service_that_panics_before_its_future_is_answered_500() {
    let service =
        tower::service_fn(|_: Request<()>| -> std::future::Ready<Result<http::Response<String>>> { panic!("a bug") });
    let layer = SessionLayer::new(Sessions::new(MemoryStore::new()));
    let response = tower_layer::Layer::layer(&layer, service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(response.status(), 500);
}
