//! What the pages look like: on a phone, in the dark, to those who cannot see them.

use jam_test_servers::Chromedriver;
use serde_json::json;

use crate::stage::{Browser, EDGE, FIREFOX, IPHONE, Look, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_fits_a_phone() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let long = "W".repeat(200);
    let odd = Look {
        user_agent: Some(&long),
        ..Look::default()
    };
    let desk = Browser::open(&driver, &site, Look::default()).await;
    desk.goto("/").await;
    desk.picture("desk-visitor").await;
    for look in [odd, FIREFOX] {
        Browser::of_ada(&driver, &site, look).await;
    }
    let phone = Browser::open(&driver, &site, IPHONE).await;
    phone.goto("/").await;
    assert!(phone.fits().await, "the way in");
    phone.picture("phone-visitor").await;
    phone.sign_in("ada", "wrong").await;
    assert!(phone.fits().await, "a refusal");
    phone.picture("phone-refused").await;
    phone.sign_in("ada", "engine").await;
    assert_eq!(phone.devices().await.len(), 3);
    assert!(phone.fits().await, "the devices");
    phone.picture("phone-devices").await;
    phone.press("Sign out Firefox on Linux").await;
    assert!(phone.fits().await, "a notice");
    phone.goto("/nowhere").await;
    assert!(phone.fits().await, "an error");
    phone.picture("phone-error").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_dark_where_the_system_is() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let brightness = "const colour = getComputedStyle(document.body).backgroundColor;
        return colour.match(/\\d+/g).map(Number).reduce((sum, part) => sum + part)";
    Browser::of_ada(&driver, &site, IPHONE).await;
    for look in [Look { dark: true, ..EDGE }, FIREFOX] {
        let browser = Browser::of_ada(&driver, &site, look).await;
        let sum = browser.script(brightness).await.as_u64().unwrap();
        assert_eq!(sum < 3 * 128, look.dark, "{sum}");
        browser.press("One more").await;
        browser
            .picture(if look.dark { "dark-devices" } else { "light-devices" })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_have_labels_pages_one_heading_and_no_page_has_a_script() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let browser = Browser::open(&driver, &site, FIREFOX).await;
    browser.goto("/").await;
    let unnamed = "return [...document.querySelectorAll('input:not([type=hidden])')].filter(field => !field.labels.length).length";
    let shape = "return [document.querySelectorAll('h1').length, document.querySelectorAll('main').length, document.scripts.length]";
    assert_eq!(browser.script(unnamed).await, json!(0));
    assert_eq!(browser.script(shape).await, json!([1, 1, 0]));
    browser.sign_in("ada", "engine").await;
    assert_eq!(browser.script(shape).await, json!([1, 1, 0]));
    browser.goto("/nowhere").await;
    assert_eq!(browser.script(shape).await, json!([1, 1, 0]));
}
