//! Two tabs at once.

use jam_test_servers::Chromedriver;
use tempfile::TempDir;

use crate::stage::{Browser, FIREFOX, Site};

/// On SQLite, the demo's own store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tabs_that_count_at_once_lose_no_step() {
    let directory = TempDir::new().unwrap();
    let store = format!("sqlite:{}", directory.path().join("sessions.db").display());
    let (site, driver) = (Site::start(&store), Chromedriver::start());
    let browser = Browser::of_ada(&driver, &site, FIREFOX).await;
    browser.press("One more").await;
    browser.new_tab().await;
    browser.goto("/").await;
    browser.press("One more").await;
    assert_eq!(browser.count().await, 2);

    // Each form opens its answer in a tab of its own, so all are under way at once.
    let tabs = 24;
    let burst = format!(
        "const form = document.querySelector('form[action=\"/count\"]');
         for (let tab = 0; tab < {tabs}; tab++) {{ form.target = 'tab' + tab; form.submit(); }}"
    );
    browser.script(&burst).await;
    browser
        .until("every tab's step", async || {
            browser.goto("/").await;
            browser.count().await == 2 + tabs
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_site_loses_neither_login_nor_count() {
    let directory = TempDir::new().unwrap();
    let store = format!("json:{}", directory.path().join("sessions.json").display());
    let (site, driver) = (Site::start(&store), Chromedriver::start());
    let browser = Browser::of_ada(&driver, &site, FIREFOX).await;
    browser.press("One more").await;
    // Killed, not ended: it has no chance to tidy up.
    drop(site);
    let site = Site::start(&store);
    browser.visit(&site.url).await;
    assert_eq!(browser.heading().await, "Your devices");
    assert_eq!(browser.count().await, 1);
}
