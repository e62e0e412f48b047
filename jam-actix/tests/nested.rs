//! A middleware around another one with a cookie of its own.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpMessage, HttpResponse, web};
use jam_actix::{CookieConfig, Result, Session, SessionConfig, SessionMiddleware};
use jam_core::{MemoryStore, Sessions};
use jam_http::Sent;

fn named(name: &str, sessions: &Sessions) -> SessionMiddleware {
    let cookie = CookieConfig::new().name(name);
    SessionMiddleware::with(SessionConfig::builder(sessions.clone()).cookie(cookie).build().unwrap())
}

/// One that answers every error in its own way.
fn outer(sessions: &Sessions) -> SessionMiddleware {
    named("__Host-outer", sessions).on_error(|error| {
        let status = error.status().as_u16().try_into().unwrap();
        HttpResponse::build(status).body("sorry")
    })
}

async fn login(session: Session) -> Result<HttpResponse> {
    session.login("user1").await?;
    Ok(HttpResponse::Ok()
        .append_header((header::SET_COOKIE, "theme=dark"))
        .body("done"))
}

async fn login_and_fail(session: Session) -> Result<HttpResponse> {
    session.login("user1").await?;
    Err(jam_http::Error::LoginRequired.into())
}

async fn user(session: Session) -> Result<String> {
    Ok(session.require_user().await?.as_str().to_owned())
}

/// Status, session cookies and body, and whether something is left for a middleware further out.
async fn seen(response: Result<ServiceResponse, actix_web::Error>) -> (u16, Vec<String>, String, bool) {
    let response = match response {
        Ok(response) => response.into_parts().1,
        // As the server does it.
        Err(error) => error.error_response(),
    };
    let cookies = response.headers().get_all(header::SET_COOKIE);
    let cookies = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
    let (status, cookies) = (response.status().as_u16(), cookies.collect());
    let left = response.extensions().get::<Sent>().is_some();
    let body = to_bytes(response.into_body()).await.expect("a body");
    (status, cookies, String::from_utf8(body.to_vec()).unwrap(), left)
}

#[actix_web::test]
async fn what_the_middlewares_further_in_gave_out_outlives_their_response() {
    for (path, own_answer) in [
        ("/", false),
        ("/", true),
        ("/refused-inside", false),
        ("/refused-inside", true),
    ] {
        let (sessions, closed) = (Sessions::new(MemoryStore::new()), Sessions::new(MemoryStore::new()));
        closed.close().await.unwrap();
        let around = if own_answer {
            outer(&closed)
        } else {
            named("__Host-outer", &closed)
        };
        let app = App::new()
            .wrap_fn(|mut request, next| {
                let refused = request.path() == "/refused-inside";
                let session = request.extract::<Session>();
                let answer = next.call(request);
                async move {
                    if refused {
                        session.await?.login("user1").await.unwrap();
                        return Err(actix_web::error::ErrorForbidden("not you"));
                    }
                    answer.await
                }
            })
            .wrap(named("__Host-inner", &sessions))
            .wrap_fn(|request, next| {
                let session = request.extensions().get::<Session>().unwrap().clone();
                let answer = next.call(request);
                async move {
                    // This cannot be written.
                    session.insert("n", 1).await.unwrap();
                    answer.await
                }
            })
            .wrap(around)
            .route("/", web::get().to(login));
        let app = init_service(app).await;
        let response = app.call(TestRequest::get().uri(path).to_request()).await;
        let (status, cookies, body, left) = seen(response.map(ServiceResponse::map_into_boxed_body)).await;
        assert_eq!((status, &*body), (503, if own_answer { "sorry" } else { "" }), "{path}");
        // Nothing of the handler is among them.
        let [cookie] = &cookies[..] else {
            panic!("{path}: {cookies:?}")
        };
        assert!(!left, "nobody further out needs it");
        let app = App::new().wrap(named("__Host-inner", &sessions));
        let app = init_service(app.route("/", web::get().to(user))).await;
        let request = TestRequest::get().insert_header((header::COOKIE, &**cookie));
        let response = app.call(request.to_request()).await.unwrap();
        assert_eq!(to_bytes(response.into_body()).await.unwrap(), "user1", "{path}");
    }
}

#[actix_web::test]
async fn an_error_that_a_middleware_further_in_has_answered_is_answered() {
    let sessions = Sessions::new(MemoryStore::new());
    let app = App::new()
        .wrap(named("__Host-inner", &sessions))
        .wrap(outer(&sessions))
        .route("/", web::get().to(login_and_fail));
    let app = init_service(app).await;
    let response = app.call(TestRequest::get().to_request()).await;
    let (status, cookies, body, left) = seen(response.map(ServiceResponse::map_into_boxed_body)).await;
    assert_eq!((status, &*body, left), (401, "", false));
    assert!(cookies[0].starts_with("__Host-inner="), "{cookies:?}");
}
