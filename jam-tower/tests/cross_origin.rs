//! What other sites can make a browser send, through axum.

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{Request, StatusCode};
use jam_tower::{CrossOriginLayer, CrossOriginProtection, CrossOriginRefused};
use tower::ServiceExt;

type Headers = &'static [(&'static str, &'static str)];

const SAME: (&str, &str) = ("origin", "https://app.example");
const EVIL: (&str, &str) = ("origin", "https://evil.example");
const TRUSTED: (&str, &str) = ("origin", "https://login.example:8443");
const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
const SAME_SITE: (&str, &str) = ("sec-fetch-site", "same-site");
const WEBSOCKET: (&str, &str) = ("upgrade", "websocket");

/// Requests to `https://app.example`: method, headers, whether the handler sees them.
const TABLE: &[(&str, Headers, bool)] = &[
    // Safe methods, from anywhere.
    ("GET", &[CROSS_SITE, EVIL], true),
    ("HEAD", &[CROSS_SITE, EVIL], true),
    ("OPTIONS", &[CROSS_SITE, EVIL], true),
    ("GET", &[EVIL], true),
    // The browser says from where.
    ("POST", &[("sec-fetch-site", "same-origin"), SAME], true),
    ("POST", &[("sec-fetch-site", "same-origin")], true),
    ("POST", &[("sec-fetch-site", "none")], true),
    ("POST", &[CROSS_SITE, EVIL], false),
    ("POST", &[CROSS_SITE], false),
    ("POST", &[CROSS_SITE, ("origin", "null")], false),
    // It is believed before `Origin`, also where a proxy changed the host.
    ("POST", &[CROSS_SITE, SAME], false),
    (
        "POST",
        &[("sec-fetch-site", "same-origin"), ("origin", "https://public.example")],
        true,
    ),
    ("POST", &[SAME_SITE, ("origin", "https://blog.app.example")], false),
    ("PUT", &[CROSS_SITE, EVIL], false),
    ("PATCH", &[CROSS_SITE, EVIL], false),
    ("DELETE", &[CROSS_SITE, EVIL], false),
    ("TRACE", &[CROSS_SITE, EVIL], false),
    ("PURGE", &[CROSS_SITE, EVIL], false),
    ("get", &[CROSS_SITE, EVIL], false),
    // Values that no browser sends.
    ("POST", &[("sec-fetch-site", "")], false),
    ("POST", &[("sec-fetch-site", "Same-Origin")], false),
    ("POST", &[("sec-fetch-site", "same-origin, cross-site")], false),
    ("POST", &[("sec-fetch-site", "same-origin"), CROSS_SITE], false),
    (
        "POST",
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")],
        false,
    ),
    // The browser says nothing of it, but for the origin.
    ("POST", &[SAME], true),
    ("POST", &[("origin", "HTTPS://app.example")], false),
    ("POST", &[("origin", "https://APP.example")], true),
    // An old browser's request from http to https is let through: HSTS is for that.
    ("POST", &[("origin", "http://app.example")], true),
    ("POST", &[EVIL], false),
    ("POST", &[("origin", "null")], false),
    ("POST", &[("origin", "")], false),
    ("POST", &[("origin", "app.example")], false),
    ("POST", &[("origin", "https://app.example/")], false),
    ("POST", &[("origin", "https://app.example:8443")], false),
    ("POST", &[("origin", "https://app.example.evil.example")], false),
    ("POST", &[("origin", "https://evil.example@app.example")], false),
    ("POST", &[("origin", "https://sub.app.example")], false),
    ("POST", &[("origin", "ftp://app.example")], false),
    ("POST", &[SAME, EVIL], false),
    ("POST", &[SAME, SAME], false),
    ("DELETE", &[EVIL], false),
    // No browser.
    ("POST", &[], true),
    (
        "DELETE",
        &[("cookie", "a=b"), ("referer", "https://evil.example/")],
        true,
    ),
    // Origins that are trusted, exactly.
    ("POST", &[CROSS_SITE, TRUSTED], true),
    ("POST", &[SAME_SITE, TRUSTED], true),
    ("POST", &[TRUSTED], true),
    ("POST", &[CROSS_SITE, ("origin", "https://login.example")], false),
    ("POST", &[CROSS_SITE, ("origin", "http://login.example:8443")], false),
    ("POST", &[CROSS_SITE, ("origin", "https://LOGIN.example:8443")], false),
    ("POST", &[CROSS_SITE, ("origin", "https://login.example:8443/")], false),
    ("POST", &[CROSS_SITE, TRUSTED, EVIL], false),
    // Handshakes of WebSockets, which are GET.
    ("GET", &[WEBSOCKET, CROSS_SITE, EVIL], false),
    ("GET", &[("upgrade", "h2c, WebSocket"), EVIL], false),
    ("GET", &[WEBSOCKET, SAME], true),
    ("GET", &[WEBSOCKET, TRUSTED], true),
    ("GET", &[WEBSOCKET], true),
    ("GET", &[("upgrade", "h2c"), CROSS_SITE, EVIL], true),
];

#[tokio::test]
async fn unsafe_requests_of_other_origins_are_refused() {
    let protection = CrossOriginProtection::new().trusting([TRUSTED.1]).unwrap();
    let app = Router::new()
        .route("/", any(|| async { "seen" }))
        .layer(CrossOriginLayer::with(protection));
    for (method, headers, seen) in TABLE {
        let mut request = Request::builder()
            .method(*method)
            .uri("/")
            .header("host", "app.example");
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let expected = if *seen { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(response.status(), expected, "{method} {headers:?}");
        assert_eq!(
            response.extensions().get::<CrossOriginRefused>().is_none(),
            *seen,
            "{method} {headers:?}"
        );
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        let expected = if *seen && *method != "HEAD" { "seen" } else { "" };
        assert_eq!(body, expected, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn without_a_word_no_origin_is_trusted() {
    let app = Router::new()
        .route("/", any(|| async {}))
        .layer(CrossOriginLayer::new());
    let request = Request::post("/")
        .header("host", "app.example")
        .header(TRUSTED.0, TRUSTED.1);
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
