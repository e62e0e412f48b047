//! Choices that browsers would refuse, or that do not mean what they say, are mistakes at build time.

use std::time::Duration;

use jam_core::{ErrorKind, MemoryStore, Sessions};
use jam_http::{CookieConfig, SameSite, SessionConfig};

fn sessions() -> Sessions {
    Sessions::new(MemoryStore::new())
}

fn cookie() -> CookieConfig {
    CookieConfig::new()
}

#[test]
fn asvs_3_3_1_combinations_that_browsers_refuse_are_mistakes() {
    let none = SameSite::None;
    for (what, wrong) in [
        ("a host cookie with a domain", cookie().domain("example.com")),
        ("a host cookie with a path", cookie().path("/app")),
        (
            "a host cookie over http",
            cookie().name("__Host-a").insecure_for_development(true),
        ),
        (
            "a secure cookie over http",
            cookie().name("__Secure-a").insecure_for_development(true),
        ),
        (
            "a cookie of HTTP alone over http",
            cookie().name("__Http-a").insecure_for_development(true),
        ),
        (
            "a cookie of this host's HTTP over http",
            cookie().name("__Host-Http-a").insecure_for_development(true),
        ),
        (
            "a cookie of this host's HTTP with a domain",
            cookie().name("__Host-Http-a").domain("example.com"),
        ),
        // Browsers compare the prefixes without regard to case.
        ("a prefix in other letters", cookie().name("__host-a")),
        ("a prefix in other letters", cookie().name("__SECURE-a")),
        ("a prefix in other letters", cookie().name("__http-a")),
        ("a prefix in other letters", cookie().name("__Host-HTTP-a")),
        ("a prefix alone", cookie().name("__Host-")),
        ("a prefix alone", cookie().name("__Http-")),
        ("a prefix alone", cookie().name("__Host-Http-")),
        ("a prefix alone", cookie().name("__Secure-")),
        (
            "SameSite=None over http",
            cookie().same_site(none).insecure_for_development(true),
        ),
        (
            "Partitioned over http",
            cookie()
                .same_site(none)
                .partitioned(true)
                .insecure_for_development(true),
        ),
        ("Partitioned where no frame gets it", cookie().partitioned(true)),
    ] {
        let error = SessionConfig::builder(sessions()).cookie(wrong).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{what}");
    }
}

#[test]
fn names_and_values_that_could_inject_are_mistakes() {
    for name in [
        "",
        "a b",
        "a;b",
        "a=b",
        "a,b",
        "a\"",
        "a\r\n",
        "ä",
        "a\0",
        "(a)",
        &"n".repeat(257),
    ] {
        assert!(cookie().name(name).check().is_err(), "{name:?}");
    }
    for name in [
        "sid",
        "__Host-x",
        "__Secure-x",
        "__Http-x",
        "__Host-Http-x",
        "__HostX",
        "a!#$%&'*+-.^_`|~",
    ] {
        assert!(cookie().name(name).check().is_ok(), "{name:?}");
    }
    let named = || cookie().name("sid");
    for path in [
        "",
        "app",
        "/a;b",
        "/a b",
        "/a\r\nSet-Cookie: b=c",
        "/ä",
        &"/p".repeat(513),
    ] {
        assert!(named().path(path).check().is_err(), "{path:?}");
    }
    for domain in [
        "",
        ".example.com",
        "a..b",
        "example.com.",
        "a b",
        "a;b",
        "-a.b",
        "a-.b",
        "ä.de",
        "a/b",
        "a:80",
    ] {
        assert!(named().domain(domain).check().is_err(), "{domain:?}");
    }
    for domain in ["localhost", "example.com", "a-b.xn--4ca.de"] {
        assert!(named().domain(domain).path("/x/%20").check().is_ok(), "{domain:?}");
    }
}

#[test]
fn a_mistake_names_the_setting() {
    let error = cookie().path("/app").check().unwrap_err();
    assert!(error.message().contains("`path`"), "{error}");
    assert!(error.message().contains("__Secure-"), "{error}");
}

#[test]
fn other_choices_have_bounds() {
    for prefix in ["", &"v".repeat(449)] {
        let config = SessionConfig::builder(sessions()).visitor_prefix(prefix);
        assert_eq!(config.build().unwrap_err().kind(), ErrorKind::Config);
    }
    let config = SessionConfig::builder(sessions()).rotate_every(Duration::from_mins(15));
    assert!(config.build().unwrap_err().message().contains("`grace`"));
}
