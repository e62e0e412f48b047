//! Ids as bearer tokens.

use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE, VARY, WWW_AUTHENTICATE};
use http::{HeaderName, Request, Response};
use jam_http::{Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Framework, Site};
use serde_json::json;

use crate::support::{encoded, header, pages, sessions};

on_every_framework!(
    a_bearer_gets_new_ids_in_a_header_and_never_a_cookie,
    a_login_may_answer_with_the_token,
    the_scheme_has_any_case_and_the_token_one,
    a_second_authorization_is_refused,
    a_cookie_is_no_bearer_token,
    a_401_names_the_scheme,
);

const TOKEN: HeaderName = HeaderName::from_static("session-token");

fn site() -> (Site, jam::Sessions) {
    let sessions = sessions();
    let config = SessionConfig::builder(sessions.clone()).bearer().build().unwrap();
    let site = pages(config).on("/token", |session: Session| async move {
        session.login("user1").await?;
        Ok(session.token().await?.unwrap())
    });
    (site, sessions)
}

async fn send<F: Framework>(app: &F, path: &str, authorization: &[&str]) -> Response<String> {
    let mut request = Request::get(path);
    for line in authorization {
        request = request.header(AUTHORIZATION, *line);
    }
    app.send(request.body(()).unwrap()).await
}

async fn a_bearer_gets_new_ids_in_a_header_and_never_a_cookie<F: Framework>() {
    let app = F::serve(site().0).await;
    let response = send(&app, "/write", &[]).await;
    let visitor = header(&response, &TOKEN).unwrap();
    for name in [(CACHE_CONTROL, "no-store"), (VARY, "Authorization")] {
        assert_eq!(header(&response, &name.0).unwrap(), name.1);
    }
    assert_eq!(header(&response, &SET_COOKIE), None);
    let bearer = format!("Bearer {visitor}");
    let response = send(&app, "/read", &[&bearer]).await;
    assert_eq!((response.body().as_str(), header(&response, &TOKEN)), ("1", None));
    assert_eq!(header(&response, &VARY).unwrap(), "Authorization");

    let user = header(&send(&app, "/login", &[&bearer]).await, &TOKEN).unwrap();
    assert_eq!(send(&app, "/read", &[&bearer]).await.body(), "none");
    let bearer = format!("Bearer {user}");
    assert_eq!(send(&app, "/user", &[&bearer]).await.body(), "user1");
    assert_eq!(header(&send(&app, "/logout", &[&bearer]).await, &TOKEN).unwrap(), "");
    assert_eq!(send(&app, "/user", &[&bearer]).await.status(), 401);
}

async fn a_login_may_answer_with_the_token<F: Framework>() {
    let app = F::serve(site().0).await;
    let response = send(&app, "/token", &[]).await;
    assert_eq!(header(&response, &TOKEN).unwrap(), *response.body());
    assert_eq!(
        send(&app, "/user", &[&format!("Bearer {}", response.body())])
            .await
            .body(),
        "user1"
    );
}

async fn the_scheme_has_any_case_and_the_token_one<F: Framework>() {
    let (site, sessions) = site();
    let app = F::serve(site).await;
    let id = sessions.create("user1", json!({"n": 7})).await.unwrap();
    let token = encoded(&id);
    for (line, expected) in [
        (format!("Bearer {token}"), "7"),
        (format!("bearer {token}"), "7"),
        (format!("BEARER   {token}"), "7"),
        (format!("Bearer{token}"), "none"),
        (format!("Bearer\t{token}"), "none"),
        (format!("Bearer {token}="), "none"),
        (format!("Bearer {token}, Bearer {token}"), "none"),
        (format!("Basic {token}"), "none"),
        (format!("Bearer {}", id.as_str()), "none"),
        ("Bearer".to_owned(), "none"),
        ("Bearer ".to_owned(), "none"),
    ] {
        assert_eq!(send(&app, "/read", &[&line]).await.body(), expected, "{line:?}");
    }
}

async fn a_second_authorization_is_refused<F: Framework>() {
    let (site, sessions) = site();
    let app = F::serve(site).await;
    let token = format!("Bearer {}", encoded(sessions.create("user1", json!({})).await.unwrap()));
    for lines in [
        [token.as_str(), token.as_str()],
        [&token, "Basic x"],
        ["Basic x", &token],
    ] {
        assert_eq!(send(&app, "/user", &lines).await.status(), 400);
    }
}

async fn a_cookie_is_no_bearer_token<F: Framework>() {
    let (site, sessions) = site();
    let app = F::serve(site).await;
    let id = sessions.create("user1", json!({})).await.unwrap();
    let request = Request::get("/user").header(COOKIE, crate::support::cookie_of(id));
    assert_eq!(app.send(request.body(()).unwrap()).await.status(), 401);
}

async fn a_401_names_the_scheme<F: Framework>() {
    let app = F::serve(site().0).await;
    assert_eq!(
        header(&send(&app, "/user", &[]).await, &WWW_AUTHENTICATE).unwrap(),
        "Bearer"
    );
    assert_eq!(header(&send(&app, "/read", &[]).await, &WWW_AUTHENTICATE), None);
}
