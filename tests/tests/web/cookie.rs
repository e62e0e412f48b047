//! The cookie, byte by byte, on its way out and on its way in.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request};
use jam::{Described, HashedIds, IdCodec, InnerId, RecordId, SessionId, SessionOptions};
use jam_http::{CookieConfig, CookieLife, SameSite, Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};
use serde_json::json;

use crate::support::{builder, cookie_of, encoded, header, pages, secs, serve, serve_with, sessions};

on_every_framework!(
    asvs_3_3_1_to_3_3_4_the_default_cookie_is_host_only_secure_lax_and_hidden_from_scripts,
    the_removal_has_the_same_attributes,
    every_attribute_is_written_as_configured,
    a_development_cookie_works_over_http,
    a_browser_keeps_a_remembered_session,
    a_cookie_that_follows_its_session_goes_out_whenever_the_ttl_counts_anew,
    the_cookie_of_a_session_without_an_end_is_kept_as_long_as_browsers_keep_any,
    a_browser_cookie_has_no_age,
    hostile_session_keys_inject_nothing,
    the_name_is_matched_byte_by_byte,
    a_second_session_cookie_is_refused,
    asvs_7_2_1_what_is_no_id_is_no_session,
    asvs_3_3_5_the_longest_cookie_fits_into_4096_bytes,
    asvs_3_3_5_a_cookie_beyond_4096_bytes_is_an_error,
);

async fn asvs_3_3_1_to_3_3_4_the_default_cookie_is_host_only_secure_lax_and_hidden_from_scripts<F: Framework>() {
    let sessions = sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    let response = browser.visit("/login").await;
    let set = header(&response, &SET_COOKIE).unwrap();
    let id = browser.read("/id").await;
    // In no other header either.
    let encoded_id = encoded(&id);
    let carriers = response
        .headers()
        .values()
        .filter(|value| value.to_str().is_ok_and(|value| value.contains(&encoded_id)));
    assert_eq!(carriers.count(), 1);
    assert_eq!(
        set,
        format!(
            "__Host-session={}; HttpOnly; SameSite=Lax; Secure; Path=/",
            encoded(&id)
        )
    );
    assert!(sessions.exists(&id).await.unwrap());
}

async fn the_removal_has_the_same_attributes<F: Framework>() {
    let browser = Browser::<F>::new(&serve(&sessions()).await);
    browser.visit("/login").await;
    let removal = header(&browser.visit("/logout").await, &SET_COOKIE).unwrap();
    assert_eq!(
        removal,
        "__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"
    );
    // Nothing to remove, nothing sent.
    assert_eq!(header(&browser.visit("/logout").await, &SET_COOKIE), None);
}

async fn every_attribute_is_written_as_configured<F: Framework>() {
    let plain = CookieConfig::new;
    for (cookie, name, attributes) in [
        (plain(), "__Host-session", "; HttpOnly; SameSite=Lax; Secure; Path=/"),
        (
            plain().name("__Host-id"),
            "__Host-id",
            "; HttpOnly; SameSite=Lax; Secure; Path=/",
        ),
        (
            plain().same_site(SameSite::Strict),
            "__Host-session",
            "; HttpOnly; SameSite=Strict; Secure; Path=/",
        ),
        (
            plain().name("__Secure-id").domain("example.com").path("/app"),
            "__Secure-id",
            "; HttpOnly; SameSite=Lax; Secure; Path=/app; Domain=example.com",
        ),
        (
            plain().same_site(SameSite::None).partitioned(true),
            "__Host-session",
            "; HttpOnly; SameSite=None; Partitioned; Secure; Path=/",
        ),
        (
            plain().insecure_for_development(true),
            "session",
            "; HttpOnly; SameSite=Lax; Path=/",
        ),
        (
            plain().life(CookieLife::Session),
            "__Host-session",
            "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600",
        ),
    ] {
        let config = SessionConfig::builder(sessions()).cookie(cookie).build().unwrap();
        let browser = Browser::<F>::new(&serve_with(config).await);
        let set = header(&browser.visit("/login").await, &SET_COOKIE).unwrap();
        let id = encoded(browser.read("/id").await);
        assert_eq!(set, format!("{name}={id}{attributes}"));
        let removal = header(&browser.visit("/logout").await, &SET_COOKIE).unwrap();
        let attributes = attributes.replace("; Max-Age=3600", "");
        assert_eq!(removal, format!("{name}={attributes}; Max-Age=0"));
    }
}

async fn a_development_cookie_works_over_http<F: Framework>() {
    let cookie = CookieConfig::new().insecure_for_development(true);
    let config = SessionConfig::builder(sessions()).cookie(cookie).build().unwrap();
    let browser = Browser::<F>::new(&serve_with(config).await);
    browser.visit("/write").await;
    assert!(browser.cookie().unwrap().starts_with("session="));
    assert_eq!(browser.read("/read").await, "1");
}

async fn a_browser_keeps_a_remembered_session<F: Framework>() {
    let (builder, clock) = builder();
    let sessions = builder.build().unwrap();
    let site = pages(SessionConfig::new(sessions)).on("/remember", |session: Session| async move {
        let month = SessionOptions::new().ttl(secs(30 * 24 * 3600));
        session.login_with("user1", month).await?;
        Ok("")
    });
    let browser = Browser::new(&F::serve(site).await);
    let max_age = |set: Option<String>| set.unwrap().split_once("; Max-Age=").map(|(_, age)| age.to_owned());
    let set = header(&browser.visit("/remember").await, &SET_COOKIE);
    assert_eq!(max_age(set).unwrap(), "2592000");
    // A write counts the ttl anew, on both sides; a read does not.
    clock.advance(secs(24 * 3600));
    assert_eq!(header(&browser.visit("/read").await, &SET_COOKIE), None);
    let before = browser.cookie();
    let set = header(&browser.visit("/write").await, &SET_COOKIE);
    assert_eq!(max_age(set).unwrap(), "2592000");
    assert_eq!(browser.cookie(), before);
    assert_eq!(
        max_age(header(&browser.visit("/rework").await, &SET_COOKIE)).unwrap(),
        "2592000"
    );
}

async fn a_cookie_that_follows_its_session_goes_out_whenever_the_ttl_counts_anew<F: Framework>() {
    for renew_on_read in [false, true] {
        let (builder, clock) = builder();
        let sessions = builder.renew_on_read(renew_on_read).max_lifetime(secs(4000));
        let cookie = CookieConfig::new().life(CookieLife::Session);
        let config = SessionConfig::builder(sessions.build().unwrap()).cookie(cookie);
        let browser = Browser::<F>::new(&serve_with(config.build().unwrap()).await);
        let ends = |set: Option<String>, after: &str| set.is_some_and(|set| set.ends_with(after));
        assert!(ends(
            header(&browser.visit("/write").await, &SET_COOKIE),
            "; Max-Age=3600"
        ));
        clock.advance(secs(1000));
        // The absolute lifetime bounds it.
        assert!(ends(
            header(&browser.visit("/write").await, &SET_COOKIE),
            "; Max-Age=3000"
        ));
        let read = header(&browser.visit("/read").await, &SET_COOKIE);
        assert_eq!(ends(read.clone(), "; Max-Age=3000"), renew_on_read);
        assert_eq!(read.is_some(), renew_on_read);
        assert_eq!(header(&browser.visit("/static").await, &SET_COOKIE), None);
    }
}

async fn the_cookie_of_a_session_without_an_end_is_kept_as_long_as_browsers_keep_any<F: Framework>() {
    let sessions = builder().0.ttl(None).build().unwrap();
    let cookie = CookieConfig::new().life(CookieLife::Session);
    let config = SessionConfig::builder(sessions).cookie(cookie).build().unwrap();
    let browser = Browser::<F>::new(&serve_with(config).await);
    for _ in 0..2 {
        let set = header(&browser.visit("/write").await, &SET_COOKIE).unwrap();
        assert!(set.ends_with("; Max-Age=34560000"), "{set}");
    }
}

async fn a_browser_cookie_has_no_age<F: Framework>() {
    let cookie = CookieConfig::new().life(CookieLife::Browser);
    let config = SessionConfig::builder(sessions()).cookie(cookie).build().unwrap();
    let site = pages(config).on("/remember", |session: Session| async move {
        session
            .login_with("user1", SessionOptions::new().ttl(secs(100)))
            .await?;
        Ok("")
    });
    let set = header(
        &Browser::new(&F::serve(site).await).visit("/remember").await,
        &SET_COOKIE,
    );
    assert!(set.unwrap().ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"));
}

async fn hostile_session_keys_inject_nothing<F: Framework>() {
    let sessions = sessions();
    let app: F = serve(&sessions).await;
    let long = "k".repeat(512);
    for key in [
        "a; Domain=evil.example; Path=/",
        "a\r\nSet-Cookie: evil=1",
        "a b\t\"c\",\\ %3B =",
        "ключ 🗝️ \u{202e}rtl",
        "a:b.c:d",
        "\0",
        &long,
    ] {
        let id = sessions.create(key, json!({"n": 7})).await.unwrap();
        let browser = Browser::with_cookie(&app, cookie_of(&id));
        assert_eq!(browser.read("/read").await, "7");
        assert_eq!(browser.read("/user").await, key);
        let set = header(&browser.visit("/rework").await, &SET_COOKIE).unwrap();
        let value = set.strip_prefix("__Host-session=").unwrap();
        let value = value.strip_suffix("; HttpOnly; SameSite=Lax; Secure; Path=/").unwrap();
        assert!(
            value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        assert_eq!(browser.read("/user").await, key);
    }
}

/// What a handler reads of a session that holds 7, from cookie headers made of its id as it travels.
async fn read_with<F: Framework>(lines: &[String]) -> (u16, String) {
    let sessions = sessions();
    let app: F = serve(&sessions).await;
    let id = encoded(sessions.create("user1", json!({"n": 7})).await.unwrap());
    let mut request = Request::get("/read");
    for line in lines {
        let line = HeaderValue::from_bytes(line.replace("ID", &id).as_bytes()).unwrap();
        request = request.header(COOKIE, line);
    }
    let response = app.send(request.body(()).unwrap()).await;
    (response.status().as_u16(), response.into_body())
}

async fn the_name_is_matched_byte_by_byte<F: Framework>() {
    for (lines, expected) in [
        (vec!["__Host-session=ID"], "7"),
        (vec!["a=1; __Host-session=ID; b=2"], "7"),
        (vec!["a=1;__Host-session=ID;b=2"], "7"),
        (vec!["a=1;  \t__Host-session=ID \t; b=2"], "7"),
        // HTTP/2 may split the header (RFC 9113, 8.2.3).
        (vec!["a=1", "__Host-session=ID", "b=2"], "7"),
        (vec!["a; =; ;; __Host-session=ID"], "7"),
        (vec!["__host-session=ID"], "none"),
        (vec!["__Host-Session=ID"], "none"),
        (vec!["__Host-session2=ID"], "none"),
        (vec!["x__Host-session=ID"], "none"),
        (vec!["__Host%2Dsession=ID"], "none"),
        (vec!["session=ID"], "none"),
        (vec!["\u{2003}__Host-session=ID"], "none"),
        (vec!["=__Host-session=ID"], "none"),
        (vec!["a=__Host-session=ID"], "none"),
        (vec!["a=1, __Host-session=ID"], "none"),
        (vec!["\"__Host-session\"=ID"], "none"),
        // No browser quotes it, so it is another value.
        (vec!["__Host-session=\"ID\""], "none"),
        (vec!["__Host-session=ID="], "none"),
        (vec!["__Host-session=%49D"], "none"),
    ] {
        let lines: Vec<_> = lines.into_iter().map(str::to_owned).collect();
        assert_eq!(read_with::<F>(&lines).await, (200, expected.to_owned()), "{lines:?}");
    }
}

async fn a_second_session_cookie_is_refused<F: Framework>() {
    for lines in [
        vec!["__Host-session=ID; __Host-session=ID"],
        vec!["__Host-session=ID; __Host-session=evil"],
        vec!["__Host-session=evil; a=1; __Host-session=ID"],
        vec!["__Host-session=; __Host-session=ID"],
        vec!["__Host-session=ID", "__Host-session=evil"],
    ] {
        let lines: Vec<_> = lines.into_iter().map(str::to_owned).collect();
        assert_eq!(read_with::<F>(&lines).await.0, 400, "{lines:?}");
    }
    // A page that needs no session does not mind, and a login is refused as well: it would replace one of the two.
    let sessions = sessions();
    let browser = Browser::<F>::with_cookie(&serve(&sessions).await, "__Host-session=a; __Host-session=b");
    assert_eq!(browser.status("/static").await, 200);
    assert_eq!(browser.status("/login").await, 400);
    assert_eq!(sessions.list("user1").await.unwrap().len(), 0);
}

async fn asvs_7_2_1_what_is_no_id_is_no_session<F: Framework>() {
    let sessions = sessions();
    let app: F = serve(&sessions).await;
    let id = sessions.create("user1", json!({"n": 7})).await.unwrap();
    let good = encoded(&id);
    let hidden_bits = {
        // The last character of a text whose length leaves bits over: another one that decodes to the same bytes.
        let text = encoded(format!("{}x", id.as_str()));
        let last = text.as_bytes()[text.len() - 1];
        format!("{}{}", &text[..text.len() - 1], char::from(last + 1))
    };
    for value in [
        "",
        "nonsense",
        "AAAA",
        "____",
        id.as_str(),
        &good[..good.len() - 1],
        &format!("{good}A"),
        &format!("{good}=="),
        &good.to_ascii_lowercase(),
        &hidden_bits,
        &encoded("user1:x.1.AAAAAAAAAAAAAAAAAAAAAA"),
        &"A".repeat(20_000),
    ] {
        let browser = Browser::with_cookie(&app, format!("__Host-session={value}"));
        assert_eq!(browser.read("/read").await, "none", "{value}");
        // The id is never adopted: what begins now has one of its own.
        assert_eq!(browser.read("/write").await, "1");
        assert_ne!(browser.cookie().unwrap(), format!("__Host-session={value}"));
    }
    assert_eq!(Browser::with_cookie(&app, cookie_of(&id)).read("/read").await, "7");
}

async fn asvs_3_3_5_the_longest_cookie_fits_into_4096_bytes<F: Framework>() {
    let ring: jam_crypto::KeyRing = jam_crypto::generate_aes_key().unwrap().parse().unwrap();
    let sessions = builder().0.ids(jam_crypto::AesIds::new(ring)).build().unwrap();
    let domain = format!("{}.example", ["d".repeat(60).as_str(); 4].join("."));
    let cookie = CookieConfig::new()
        .name(format!("__Secure-{}", "n".repeat(240)))
        .domain(&domain)
        .path(format!("/{}", "p".repeat(1023)))
        .life(CookieLife::Session);
    let config = SessionConfig::builder(sessions).cookie(cookie).build().unwrap();
    let site = pages(config).on("/long", |session: Session| async move {
        session.login("k".repeat(512)).await?;
        Ok("")
    });
    let response = Browser::new(&F::serve(site).await).visit("/long").await;
    assert!(header(&response, &SET_COOKIE).unwrap().len() <= 4096);
    assert_eq!(response.status(), 200);
}

/// Ids of a codec of somebody's own, far longer than jam's.
#[derive(Debug)]
struct Long;

impl Long {
    const PADDING: usize = 3500;
}

impl IdCodec for Long {
    fn issue(&self, inner: &InnerId) -> jam::Result<(SessionId, RecordId)> {
        let (id, record) = HashedIds.issue(inner)?;
        Ok((format!("{}{}", "x".repeat(Self::PADDING), id.as_str()).into(), record))
    }

    fn resolve(&self, public: &str) -> jam::Result<RecordId> {
        HashedIds.resolve(public.get(Self::PADDING..).unwrap_or_default())
    }

    fn describe(&self, id: &RecordId) -> Described {
        HashedIds.describe(id)
    }

    fn keeps_life(&self) -> bool {
        true
    }
}

async fn asvs_3_3_5_a_cookie_beyond_4096_bytes_is_an_error<F: Framework>() {
    let sessions = builder().0.ids(Long).build().unwrap();
    let response = Browser::<F>::new(&serve(&sessions).await).visit("/login").await;
    assert_eq!(response.status(), 500);
    assert_eq!(header(&response, &SET_COOKIE), None);
}
