//! `Vary` and `Cache-Control`: no cache gives one user's page to another.

use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderName, Response};
use jam_http::{Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};

use crate::support::{header, pages, sessions};

on_every_framework!(
    asvs_14_2_2_what_looked_at_the_session_is_for_this_client_alone,
    asvs_14_3_2_no_store_stands_beside_every_cookie,
    what_the_handler_says_about_caching_stays_without_a_cookie,
    vary_is_added_to_what_the_handler_set,
);

async fn answer_with(session: Session, headers: &[(HeaderName, &'static str)]) -> jam_http::Result<Response<String>> {
    session.get::<u64>("n").await?;
    let mut response = Response::new(String::new());
    for (name, value) in headers {
        response.headers_mut().append(name, value.parse().unwrap());
    }
    Ok(response)
}

async fn asvs_14_2_2_what_looked_at_the_session_is_for_this_client_alone<F: Framework>() {
    let browser = Browser::<F>::new(&crate::support::serve(&sessions()).await);
    for _ in 0..2 {
        // Without a session, and with one: the page depends on the cookie either way.
        let response = browser.visit("/read").await;
        assert_eq!(header(&response, &VARY).unwrap(), "Cookie");
        assert_eq!(header(&response, &CACHE_CONTROL).unwrap(), "private, no-cache");
        browser.visit("/write").await;
    }
}

async fn asvs_14_3_2_no_store_stands_beside_every_cookie<F: Framework>() {
    let site = pages(SessionConfig::new(sessions())).on_response("/public", |session: Session| async move {
        session.insert("n", 1).await?;
        answer_with(session, &[(CACHE_CONTROL, "public, max-age=60")]).await
    });
    let browser = Browser::new(&F::serve(site).await);
    for path in ["/public", "/login", "/rework", "/logout"] {
        let response = browser.visit(path).await;
        assert!(header(&response, &SET_COOKIE).is_some(), "{path}");
        assert_eq!(header(&response, &CACHE_CONTROL).unwrap(), "no-store", "{path}");
        assert_eq!(header(&response, &VARY).unwrap(), "Cookie", "{path}");
    }
}

async fn what_the_handler_says_about_caching_stays_without_a_cookie<F: Framework>() {
    let site = pages(SessionConfig::new(sessions())).on_response("/own", |session| async {
        answer_with(session, &[(CACHE_CONTROL, "private, max-age=60")]).await
    });
    let response = Browser::new(&F::serve(site).await).visit("/own").await;
    assert_eq!(header(&response, &CACHE_CONTROL).unwrap(), "private, max-age=60");
    assert_eq!(header(&response, &VARY).unwrap(), "Cookie");
}

async fn vary_is_added_to_what_the_handler_set<F: Framework>() {
    let site = pages(SessionConfig::new(sessions()))
        .on_response("/other", |session| async {
            answer_with(session, &[(VARY, "Accept-Encoding")]).await
        })
        .on_response("/same", |session| async {
            answer_with(session, &[(VARY, "accept, cookie")]).await
        })
        .on_response("/all", |session| async { answer_with(session, &[(VARY, "*")]).await });
    let browser = Browser::new(&F::serve(site).await);
    for (path, expected) in [
        ("/other", vec!["Accept-Encoding", "Cookie"]),
        ("/same", vec!["accept, cookie"]),
        ("/all", vec!["*"]),
    ] {
        let response = browser.visit(path).await;
        assert_eq!(
            response.headers().get_all(VARY).iter().collect::<Vec<_>>(),
            expected,
            "{path}"
        );
    }
}
