//! A session through axum, from the first visit to the logout.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode, header};
use jam_core::{MemoryStore, Sessions};
use jam_tower::{Result, Session, SessionLayer, User};
use tower::ServiceExt;

async fn visits(session: Session) -> Result<String> {
    let visits = session.get::<u64>("visits").await?.unwrap_or(0) + 1;
    session.insert("visits", visits).await?;
    Ok(visits.to_string())
}

async fn login(session: Session) -> Result<&'static str> {
    session.login("user1").await?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str> {
    session.logout().await?;
    Ok("bye")
}

async fn me(User(key): User) -> String {
    key.as_str().to_owned()
}

fn app() -> Router {
    Router::new()
        .route("/", get(visits))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .route("/me", get(me))
        .route("/panic", get(panics))
        .layer(SessionLayer::new(Sessions::new(MemoryStore::new())))
}

async fn panics(session: Session) -> String {
    session.login("user1").await.unwrap();
    panic!("a bug");
}

async fn send(app: &Router, path: &str, cookie: Option<&str>) -> (StatusCode, Option<String>, String) {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let set = response.headers().get(header::SET_COOKIE);
    let set = set.map(|set| set.to_str().unwrap().split(';').next().unwrap().to_owned());
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
    (status, set, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_session_lives_from_the_first_visit_to_the_logout() {
    let app = app();
    let (_, visitor, body) = send(&app, "/", None).await;
    assert_eq!(body, "1");
    let visitor = visitor.unwrap();
    assert_eq!(
        send(&app, "/", Some(&visitor)).await,
        (StatusCode::OK, None, "2".to_owned())
    );
    assert_eq!(send(&app, "/me", Some(&visitor)).await.0, StatusCode::UNAUTHORIZED);

    let user = send(&app, "/login", Some(&visitor)).await.1.unwrap();
    assert_eq!(send(&app, "/me", Some(&user)).await.2, "user1");
    assert_eq!(send(&app, "/", Some(&user)).await.2, "3");

    assert_eq!(send(&app, "/logout", Some(&user)).await.1.unwrap(), "__Host-session=");
    assert_eq!(send(&app, "/me", Some(&user)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_panic_is_answered_500_with_the_cookie_of_the_login() {
    let app = app();
    let (status, cookie, _) = send(&app, "/panic", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(send(&app, "/me", cookie.as_deref()).await.2, "user1");
}
