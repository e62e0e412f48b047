//! The store goes away and comes back.

use jam_test_servers::{Chromedriver, Kind, Server};

use crate::stage::{Browser, FIREFOX, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_outlives_an_outage_of_redis() {
    // It saves when it is shut down.
    let redis = Server::options(Kind::New).arg("save", "3600 1").start();
    let (site, driver) = (Site::start(&redis.url()), Chromedriver::start());
    let browser = Browser::of_ada(&driver, &site, FIREFOX).await;
    browser.press("One more").await;
    let cookie = browser.cookie().await.value;

    redis.shut_down();
    browser.press("One more").await;
    assert_eq!(browser.heading().await, "One moment, please");
    assert!(browser.text("main").await.contains("Your login is kept"));
    browser.picture("outage").await;
    browser.goto("/").await;
    assert_eq!(browser.heading().await, "One moment, please");
    assert_eq!(browser.cookie().await.value, cookie, "nothing has touched the cookie");
    browser.goto("/style.css").await;
    assert!(
        browser.text("body").await.contains("--accent"),
        "what needs no session is served"
    );
    browser.goto("/").await;

    redis.restart();
    // Nobody presses anything: the page tries again by itself.
    browser
        .until("the devices", async || browser.heading().await == "Your devices")
        .await;
    assert_eq!(browser.devices().await, ["Firefox on Linux"]);
    assert_eq!(browser.count().await, 1, "the step that was refused was not made");
    assert_eq!(browser.cookie().await.value, cookie);
}
