//! Which origins can be trusted, and what is compared with what. The table of what passes is in the workspace's `tests`,
//! through every framework.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use jam_core::ErrorKind;
use jam_http::{CrossOriginProtection, CrossOriginRefused};

#[test]
fn an_origin_that_no_browser_would_send_cannot_be_trusted() {
    let trust = |origin| CrossOriginProtection::new().trusting([origin]);
    for origin in [
        "https://example.com",
        "http://localhost:8080",
        "https://a-b.example.com:8443",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "https://[2001:db8::1]",
        "https://xn--bcher-kva.example",
        "https://example.com:80",
        "chrome-extension://abcdefghijklmnop",
        "capacitor://localhost",
    ] {
        assert!(trust(origin).is_ok(), "{origin}");
    }
    for origin in [
        "",
        "*",
        "null",
        "example.com",
        "//example.com",
        "://example.com",
        "https:",
        "https://",
        "https:///",
        "https://:443",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?query",
        "https://example.com#fragment",
        "https://user@example.com",
        "https://user:password@example.com",
        "https://*.example.com",
        "https://Example.com",
        "HTTPS://example.com",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:",
        "https://example.com:0443",
        "https://example.com:65536",
        "https://example.com:x",
        "https://bücher.example",
        "https://example.com ",
        " https://example.com",
        "https://example.com,https://example.org",
        "https://example.com\n",
        "https://::1",
        "https://[::1",
        "https://[0::1]",
        "https://[::1%25eth0]",
        "1https://example.com",
    ] {
        let error = trust(origin).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{origin}");
        assert!(error.to_string().contains("https://login.example.com"), "{error}");
    }
}

fn check(uri: &'static str, headers: &[(&'static str, &'static str)]) -> Result<(), CrossOriginRefused> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let protection = CrossOriginProtection::new()
        .trusting(["https://trusted.example"])
        .unwrap();
    protection.check(&Method::POST, &Uri::from_static(uri), &map)
}

#[test]
fn the_target_of_a_request_counts_before_its_host_header() {
    let origin = ("origin", "https://app.example");
    // HTTP/2 and targets in absolute form.
    assert_eq!(check("https://app.example/", &[origin]), Ok(()));
    assert_eq!(
        check("https://app.example/", &[origin, ("host", "other.example")]),
        Ok(())
    );
    let refused = Err(CrossOriginRefused::Origin);
    assert_eq!(
        check("https://other.example/", &[origin, ("host", "app.example")]),
        refused
    );
    // Nobody knows which host it is.
    assert_eq!(check("/", &[origin]), refused);
    assert_eq!(
        check("/", &[origin, ("host", "app.example"), ("host", "app.example")]),
        refused
    );
    assert_eq!(check("/", &[("origin", "https://"), ("host", "")]), refused);
    assert_eq!(check("/", &[("origin", "null"), ("host", "null")]), refused);
    assert_eq!(check("/", &[("origin", "null")]), refused);
}

#[test]
fn a_refusal_names_the_header_that_told() {
    assert_eq!(
        check(
            "/",
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]
        ),
        Err(CrossOriginRefused::SecFetchSite)
    );
    assert_eq!(
        check("/", &[("origin", "https://evil.example"), ("host", "app.example")]),
        Err(CrossOriginRefused::Origin)
    );
}
