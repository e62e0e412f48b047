//! A session through actix-web: what is this crate's own. The rules it shares with axum are tested in the workspace's `tests`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::to_bytes;
use actix_web::dev::{Extensions, Service, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::DefaultHeaders;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpMessage, HttpResponse, ResponseError, web};
use jam_actix::{CookieConfig, Data, MaybeData, MaybeUser, Result, Session, SessionConfig, SessionMiddleware, User};
use jam_core::{MemoryStore, Sessions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cart {
    items: u32,
}

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

async fn maybe_me(MaybeUser(user): MaybeUser) -> String {
    user.map_or("nobody".to_owned(), |key| key.as_str().to_owned())
}

async fn fill(session: Session) -> Result<&'static str> {
    session.insert("items", 3).await?;
    Ok("filled")
}

async fn cart(Data(cart): Data<Cart>) -> String {
    cart.items.to_string()
}

async fn maybe_cart(MaybeData(cart): MaybeData<Cart>) -> String {
    cart.map_or("none".to_owned(), |cart| cart.items.to_string())
}

async fn own_cookie(session: Session) -> Result<HttpResponse> {
    session.insert("a", 1).await?;
    Ok(HttpResponse::Ok()
        .append_header((header::SET_COOKIE, "theme=dark"))
        .append_header((header::SET_COOKIE, "lang=de"))
        .append_header((header::VARY, "Accept-Language"))
        .body("baked"))
}

#[expect(clippy::panic, reason = "the point of it")]
async fn panics(session: Session) -> String {
    session.login("user1").await.unwrap();
    panic!("a bug");
}

fn middleware() -> SessionMiddleware {
    SessionMiddleware::new(Sessions::new(MemoryStore::new()))
}

fn routes(app: &mut web::ServiceConfig) {
    // In a scope, where actix-web insists on being the only one to hold a request.
    app.service(
        web::scope("")
            .route("/", web::get().to(visits))
            .route("/login", web::get().to(login))
            .route("/logout", web::get().to(logout))
            .route("/me", web::get().to(me))
            .route("/maybe-me", web::get().to(maybe_me))
            .route("/fill", web::get().to(fill))
            .route("/cart", web::get().to(cart))
            .route("/maybe-cart", web::get().to(maybe_cart))
            .route("/own-cookie", web::get().to(own_cookie))
            .route("/panic", web::get().to(panics)),
    );
}

/// What a client sees: status, session cookie and body.
type Seen = (u16, Option<String>, String);

/// A client of the routes behind this middleware.
async fn client(middleware: SessionMiddleware) -> impl AsyncFn(&str, Option<&str>) -> Seen {
    let app = init_service(App::new().wrap(middleware).configure(routes)).await;
    async move |path: &str, cookie: Option<&str>| {
        let mut request = TestRequest::get().uri(path);
        if let Some(cookie) = cookie {
            request = request.insert_header((header::COOKIE, cookie));
        }
        let response = match app.call(request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            // As the server does it.
            Err(error) => error.error_response(),
        };
        let cookies = response.headers().get_all(header::SET_COOKIE);
        let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        let cookie = cookies.find(|cookie| cookie.starts_with("__Host-session="));
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.expect("a body");
        (status, cookie, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[actix_web::test]
async fn a_session_lives_from_the_first_visit_to_the_logout() {
    let send = client(middleware()).await;
    let (_, visitor, body) = send("/", None).await;
    assert_eq!(body, "1");
    let visitor = visitor.expect("a cookie");
    assert_eq!(send("/", Some(&visitor)).await, (200, None, "2".to_owned()));
    assert_eq!(send("/me", Some(&visitor)).await.0, 401);
    assert_eq!(send("/maybe-me", Some(&visitor)).await.2, "nobody");

    let user = send("/login", Some(&visitor)).await.1.expect("a new cookie");
    assert_eq!(send("/me", Some(&user)).await.2, "user1");
    assert_eq!(send("/maybe-me", Some(&user)).await.2, "user1");
    assert_eq!(send("/me", Some(&visitor)).await.0, 401);
    assert_eq!(send("/", Some(&user)).await.2, "3");

    assert_eq!(send("/logout", Some(&user)).await.1.unwrap(), "__Host-session=");
    assert_eq!(send("/me", Some(&user)).await.0, 401);
}

#[actix_web::test]
async fn the_data_comes_as_a_type_of_ones_own() {
    let send = client(middleware()).await;
    assert_eq!(send("/cart", None).await, (401, None, String::new()));
    assert_eq!(send("/maybe-cart", None).await, (200, None, "none".to_owned()));
    let filled = send("/fill", None).await.1;
    for path in ["/cart", "/maybe-cart"] {
        assert_eq!(send(path, filled.as_deref()).await, (200, None, "3".to_owned()));
    }
    let visitor = send("/", None).await.1;
    for path in ["/cart", "/maybe-cart"] {
        assert_eq!(
            send(path, visitor.as_deref()).await.0,
            500,
            "a session of another shape"
        );
    }
}

#[actix_web::test]
async fn a_panic_is_answered_500_with_the_cookie_of_the_login() {
    let send = client(middleware()).await;
    let (status, cookie, _) = send("/panic", None).await;
    assert_eq!(status, 500);
    assert_eq!(send("/me", cookie.as_deref()).await.2, "user1");
}

#[actix_web::test]
async fn an_error_of_a_middleware_further_in_keeps_the_cookie_of_the_login() {
    let app = App::new()
        .wrap_fn(|mut request, _| async move {
            let session = request.extract::<Session>().await?;
            session.login("user1").await.unwrap();
            Err::<ServiceResponse, _>(actix_web::error::ErrorBadGateway("the other side is down"))
        })
        .wrap(middleware());
    let app = init_service(app.route("/", web::get().to(HttpResponse::Ok))).await;
    let error = app
        .call(TestRequest::get().uri("/").to_request())
        .await
        .expect_err("an error");
    let response = error.error_response();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(response.headers().contains_key(header::SET_COOKIE));
    assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
    assert_eq!(to_bytes(response.into_body()).await.unwrap(), "the other side is down");
}

/// An error that says only which response it becomes; its `status_code` is the 500 that actix-web gives by default.
#[derive(Debug)]
struct Becomes(StatusCode);

impl std::fmt::Display for Becomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "becomes {}", self.0)
    }
}

impl ResponseError for Becomes {
    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.0)
            .insert_header((header::LOCATION, "/elsewhere"))
            .body("as it was")
    }
}

#[actix_web::test]
async fn an_error_of_a_middleware_counts_as_the_response_that_it_becomes() {
    let sessions = Sessions::new(MemoryStore::new());
    let bearer = SessionConfig::builder(sessions).bearer().build().unwrap();
    let app = App::new()
        .wrap_fn(|mut request, _| async move {
            let session = request.extract::<Session>().await?;
            session.insert("visits", 1).await.unwrap();
            let status = request.match_info().unprocessed().trim_start_matches('/').parse();
            Err::<ServiceResponse, _>(Becomes(StatusCode::from_u16(status.unwrap()).unwrap()).into())
        })
        .wrap(SessionMiddleware::with(bearer));
    let app = init_service(app).await;
    for (status, kept) in [(303, true), (401, true), (503, false)] {
        let request = TestRequest::get().uri(&format!("/{status}")).to_request();
        let error = app.call(request).await.expect_err("an error");
        assert_eq!(
            error.to_string(),
            format!("becomes {}", StatusCode::from_u16(status).unwrap())
        );
        let response = error.error_response();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key("session-token"), kept, "{status}");
        let challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(challenge, status == 401, "{status}");
        assert_eq!(response.headers().get(header::LOCATION).unwrap(), "/elsewhere");
        assert_eq!(to_bytes(response.into_body()).await.unwrap(), "as it was");
    }
}

#[actix_web::test]
async fn an_error_that_has_nothing_to_do_with_the_session_passes_as_it_is() {
    let fails = |_, _: &_| async { Err::<ServiceResponse, _>(Becomes(StatusCode::SEE_OTHER).into()) };
    let app = init_service(App::new().wrap_fn(fails).wrap(middleware())).await;
    let error = app.call(TestRequest::get().to_request()).await.expect_err("an error");
    assert!(error.as_error::<Becomes>().is_some());
    assert!(!error.error_response().headers().contains_key(header::VARY));
}

#[actix_web::test]
async fn a_middleware_between_two_has_the_session_of_the_outer_one_before_and_after() {
    let sessions = Sessions::new(MemoryStore::new());
    let other = CookieConfig::new().name("other").insecure_for_development(true);
    let other = SessionConfig::builder(sessions.clone()).cookie(other).build().unwrap();
    for fails in [false, true] {
        let handler = move |session: Session| async move {
            session.insert("inner", 1).await?;
            if fails {
                session.require_user().await?;
            }
            Ok::<_, jam_actix::Error>("")
        };
        let app = App::new()
            .wrap(SessionMiddleware::with(other.clone()))
            .wrap_fn(|request, next| {
                let session = |extensions: &Extensions| extensions.get::<Session>().unwrap().clone();
                let before = session(&request.extensions());
                let answer = next.call(request);
                async move {
                    let response = answer.await?;
                    let after = session(&response.request().extensions());
                    assert_eq!(before.get::<u8>("inner").await.unwrap(), None);
                    after.insert("outer", 2).await.unwrap();
                    assert_eq!(before.get::<u8>("outer").await.unwrap(), Some(2));
                    Ok(response)
                }
            })
            .wrap(SessionMiddleware::new(sessions.clone()))
            .route("/", web::get().to(handler));
        let app = init_service(app).await;
        let response = app.call(TestRequest::get().uri("/").to_request()).await.unwrap();
        let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).collect();
        assert_eq!(cookies.len(), 2, "{cookies:?}");
    }
}

#[actix_web::test]
async fn the_headers_of_the_handler_stay() {
    let app = init_service(App::new().wrap(middleware()).configure(routes)).await;
    let response = app
        .call(TestRequest::get().uri("/own-cookie").to_request())
        .await
        .unwrap();
    let all = |name| {
        let values = response.headers().get_all(name);
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(all(header::VARY), ["Accept-Language", "Cookie"]);
    let cookies = all(header::SET_COOKIE);
    assert_eq!(cookies[..2], ["theme=dark", "lang=de"]);
    assert!(cookies[2].starts_with("__Host-session="), "{cookies:?}");
    assert!(
        cookies[2].ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"),
        "{cookies:?}"
    );
    let secret = response.headers().get_all(header::SET_COOKIE).nth(2).unwrap();
    assert!(secret.is_sensitive(), "no log shows the id");
}

#[actix_web::test]
async fn an_unreachable_store_is_503_and_never_a_visitor() {
    let sessions = Sessions::new(MemoryStore::new());
    let send = client(SessionMiddleware::new(sessions.clone())).await;
    let user = send("/login", None).await.1;
    sessions.close().await.unwrap();
    for path in ["/", "/me", "/maybe-me", "/cart", "/maybe-cart", "/logout", "/fill"] {
        assert_eq!(send(path, user.as_deref()).await, (503, None, String::new()), "{path}");
    }
}

#[actix_web::test]
async fn without_an_answer_of_ones_own_an_error_keeps_the_headers_it_was_given() {
    let inside = DefaultHeaders::new().add((header::CONTENT_LANGUAGE, "en"));
    let app = init_service(App::new().wrap(inside).wrap(middleware()).configure(routes)).await;
    let response = app.call(TestRequest::get().uri("/me").to_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers().get(header::CONTENT_LANGUAGE).unwrap(), "en");
    assert_eq!(response.headers().get(header::VARY).unwrap(), "Cookie");
}

#[actix_web::test]
async fn errors_are_answered_as_the_application_likes() {
    let sessions = Sessions::new(MemoryStore::new());
    let seen = Arc::new(AtomicBool::new(false));
    let middleware = SessionMiddleware::with(SessionConfig::new(sessions.clone())).on_error({
        let seen = Arc::clone(&seen);
        move |error| {
            seen.store(true, Ordering::Relaxed);
            HttpResponse::build(StatusCode::from_u16(error.status().as_u16()).unwrap()).body("sorry")
        }
    });
    let app = init_service(App::new().wrap(middleware).configure(routes)).await;
    let get = |path, cookie: &str| {
        let request = TestRequest::get().uri(path).insert_header((header::COOKIE, cookie));
        app.call(request.to_request())
    };
    let response = get("/me", "a=b").await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(to_bytes(response.into_body()).await.unwrap(), "sorry");

    // Also where only the writing after the handler fails.
    sessions.close().await.unwrap();
    let response = get("/fill", "a=b").await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "5");
    assert_eq!(to_bytes(response.into_body()).await.unwrap(), "sorry");
    assert!(seen.load(Ordering::Relaxed));
}

#[actix_web::test]
async fn an_answer_of_ones_own_keeps_its_own_retry_after() {
    let sessions = Sessions::new(MemoryStore::new());
    let middleware = SessionMiddleware::new(sessions.clone()).on_error(|error| {
        let status = StatusCode::from_u16(error.status().as_u16()).unwrap();
        let mut answer = HttpResponse::build(status);
        answer.insert_header((header::RETRY_AFTER, "120")).finish()
    });
    let app = init_service(App::new().wrap(middleware).configure(routes)).await;
    let response = app.call(TestRequest::get().uri("/login").to_request()).await.unwrap();
    let cookie = response.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    sessions.close().await.unwrap();
    // An error of an extractor, one of a handler, and one of writing afterwards.
    for (path, cookie) in [("/me", cookie), ("/login", cookie), ("/fill", "a=b")] {
        let request = TestRequest::get().uri(path).insert_header((header::COOKIE, cookie));
        let response = app.call(request.to_request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let all: Vec<_> = response.headers().get_all(header::RETRY_AFTER).collect();
        assert_eq!(all, ["120"], "{path}");
    }
}

#[actix_web::test]
async fn without_the_middleware_a_session_is_an_error_that_says_so() {
    let app = init_service(App::new().configure(routes)).await;
    let response = app.call(TestRequest::get().uri("/me").to_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let error = response.response().error().unwrap().to_string();
    assert!(error.contains("SessionMiddleware"), "{error}");
}
