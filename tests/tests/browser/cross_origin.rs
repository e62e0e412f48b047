//! Another website that would like to press a button here in its visitor's name.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use jam_test_servers::Chromedriver;
use tokio::net::TcpListener;

use crate::stage::{Browser, FIREFOX, Site};

/// A site with a form and a link to the other; gives its port.
async fn other_site(target: &str) -> u16 {
    let page = format!(
        r#"<h1>Win a prize</h1><form method="post" action="{target}/count"><button>Win</button></form><a href="{target}/">See</a>"#
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new().route("/", get(async || Html(page)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_another_origin_is_refused_and_a_link_arrives_signed_in() {
    let (site, driver) = (Site::in_memory(), Chromedriver::start());
    let port = other_site(&site.url).await;
    let browser = Browser::of_ada(&driver, &site, FIREFOX).await;
    // Ports make no other site: from the first the browser sends the cookie along with the form.
    for host in ["127.0.0.1", "localhost"] {
        let other = format!("http://{host}:{port}/");
        browser.visit(&other).await;
        browser.press("Win").await;
        assert_eq!(browser.heading().await, "That did not come from here", "from {host}");
        browser.picture("refused").await;

        browser.visit(&other).await;
        browser.follow("See", "Your devices").await;
        assert_eq!(browser.count().await, 0, "from {host}");
    }
}
