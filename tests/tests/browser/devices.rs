//! Signing in and out, here and from elsewhere.

use std::time::{SystemTime, UNIX_EPOCH};

use jam_test_servers::Chromedriver;
use serde_json::json;
use thirtyfour::{By, SameSite};

use crate::stage::{Browser, FIREFOX, IPHONE, Look, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_shows_this_device_and_gives_a_cookie_that_no_script_sees() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let browser = Browser::open(&driver, &site, FIREFOX).await;
    browser.goto("/").await;
    browser.sign_in("ada", "compiler").await;
    assert_eq!(
        browser.text("[role=alert]").await,
        "No demo account has this name and password."
    );
    assert!(
        browser.cookies().await.is_empty(),
        "neither a visit nor a refusal makes a session"
    );

    browser.sign_in("ada", "engine").await;
    assert_eq!(browser.heading().await, "Your devices");
    assert_eq!(browser.devices().await, ["Firefox on Linux"]);
    assert_eq!(browser.text(".this .badge").await, "This device");

    let cookie = browser.cookie().await;
    assert_eq!(cookie.name, "session");
    assert_eq!(
        (cookie.path.as_deref(), cookie.same_site),
        (Some("/"), Some(SameSite::Lax))
    );
    assert_eq!(cookie.expiry, None, "gone with the browser");
    assert_eq!(browser.script("return document.cookie").await, json!(""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_is_to_remember_keeps_its_cookie_for_30_days() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let browser = Browser::open(&driver, &site, FIREFOX).await;
    browser.goto("/").await;
    browser.find("#remember").await.click().await.unwrap();
    browser.fill("user", "ada").await;
    browser.fill("password", "engine").await;
    browser.press("Sign in").await;
    let expiry = browser.cookie().await.expiry.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let lives = expiry - i64::try_from(now).unwrap();
    assert_eq!((lives + 600) / 86_400, 30, "{lives} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_revoked_from_another_browser_is_signed_out_at_its_next_page() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let laptop = Browser::of_ada(&driver, &site, FIREFOX).await;
    let phone = Browser::of_ada(&driver, &site, IPHONE).await;
    let stranger = Browser::open(&driver, &site, FIREFOX).await;
    stranger.sign_in("grace", "compiler").await;
    assert_eq!(stranger.devices().await, ["Firefox on Linux"], "her own alone");

    laptop.goto("/").await;
    assert_eq!(laptop.devices().await, ["Firefox on Linux", "Safari on iPhone"]);
    laptop.press("Sign out Safari on iPhone").await;
    assert_eq!(laptop.text("[role=status]").await, "Safari on iPhone is signed out.");
    assert_eq!(laptop.devices().await, ["Firefox on Linux"]);

    // Its page is still open; what is pressed there does nothing any more.
    phone.press("One more").await;
    assert_eq!(
        phone.text("[role=status]").await,
        "You are signed out on this device. Sign in to go on."
    );
    phone.goto("/").await;
    assert_eq!(phone.text("h2").await, "Sign in");

    laptop.goto("/").await;
    assert_eq!(laptop.devices().await, ["Firefox on Linux"], "nothing has come back");
    stranger.goto("/").await;
    assert_eq!(stranger.heading().await, "Your devices");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_everywhere_else_spares_this_browser() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let mut others = Vec::new();
    for look in [FIREFOX, IPHONE] {
        others.push(Browser::of_ada(&driver, &site, look).await);
    }
    let this = Browser::of_ada(&driver, &site, FIREFOX).await;
    assert_eq!(this.devices().await.len(), 3);
    this.press("Sign out everywhere else").await;
    assert_eq!(this.text("[role=status]").await, "2 other devices are signed out.");
    assert_eq!(this.devices().await, ["Firefox on Linux"]);
    for other in &others {
        other.goto("/").await;
        assert_eq!(other.text("h2").await, "Sign in");
    }
    this.goto("/").await;
    assert_eq!(this.heading().await, "Your devices");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_back_button_shows_nothing_of_a_session_that_has_ended() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let browser = Browser::of_ada(&driver, &site, FIREFOX).await;
    browser.press("One more").await;
    assert_eq!(browser.count().await, 1);
    browser.press("Sign out").await;
    assert_eq!(browser.text("[role=status]").await, "You are signed out.");
    assert!(browser.cookies().await.is_empty(), "the cookie is taken away");
    for step in 1..=3 {
        browser.back().await;
        let page = browser.text("body").await;
        assert!(
            !page.contains("Ada") && !page.contains("Firefox"),
            "{step} back: {page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_browser_says_of_itself_is_shown_as_text() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let hostile = r#"<script>document.title="owned"</script>"><img src=x onerror=alert(1)>"#;
    let look = Look {
        user_agent: Some(hostile),
        ..Look::default()
    };
    let hostile = &hostile[..60];
    Browser::of_ada(&driver, &site, look).await;
    let browser = Browser::of_ada(&driver, &site, FIREFOX).await;
    assert_eq!(browser.devices().await, ["Firefox on Linux", hostile]);
    let foreign = "return [document.scripts.length, document.querySelectorAll('.device img').length, document.title]";
    assert_eq!(browser.script(foreign).await, json!([0, 0, "Your devices · jam"]));
    browser.press_at(By::Css(".device:not(.this) button")).await;
    assert_eq!(browser.text("[role=status]").await, format!("{hostile} is signed out."));
}
