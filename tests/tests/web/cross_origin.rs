//! What other sites can make a browser send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, StatusCode};
use jam::{MemoryStore, Sessions};
use jam_http::{CrossOriginProtection, Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Framework, Site};

on_every_framework!(
    asvs_3_5_1_unsafe_requests_of_other_origins_are_refused,
    without_a_word_no_origin_is_trusted,
);

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

async fn serve<F: Framework>(protection: CrossOriginProtection, seen: &Arc<AtomicBool>) -> F {
    let seen = Arc::clone(seen);
    let site = Site::new(SessionConfig::new(Sessions::new(MemoryStore::new()))).protected(protection);
    let site = site.on("/", move |_: Session| {
        seen.store(true, Ordering::SeqCst);
        async { Ok("seen") }
    });
    F::serve(site).await
}

async fn send<F: Framework>(app: &F, method: &str, headers: Headers) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri("/").header("host", "app.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.send(request.body(()).unwrap()).await;
    (response.status(), response.into_body())
}

async fn asvs_3_5_1_unsafe_requests_of_other_origins_are_refused<F: Framework>() {
    let seen = Arc::default();
    let protection = CrossOriginProtection::new().trusting([TRUSTED.1]).unwrap();
    let app = serve::<F>(protection, &seen).await;
    for (method, headers, passes) in TABLE {
        seen.store(false, Ordering::SeqCst);
        let (status, body) = send(&app, method, headers).await;
        let expected = if *passes { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(status, expected, "{method} {headers:?}");
        assert_eq!(seen.load(Ordering::SeqCst), *passes, "{method} {headers:?}");
        assert!(*passes || body.is_empty());
    }
}

async fn without_a_word_no_origin_is_trusted<F: Framework>() {
    let app = serve::<F>(CrossOriginProtection::new(), &Arc::default()).await;
    assert_eq!(send(&app, "POST", &[TRUSTED]).await.0, StatusCode::FORBIDDEN);
}
