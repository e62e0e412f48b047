//! The table of the session cookie.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jam::{Config, ErrorKind};
use serde_json::{Map, Value, json};

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn mistake(cookie: Value) -> String {
    let fields = fields(&json!({"session_type": "memory", "cookie": cookie}));
    let config = Config::from_value(fields).environment::<&str, &str>([]);
    let error = config.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.message().to_owned()
}

#[cfg(feature = "http")]
async fn set_cookie(config: Config) -> String {
    let config = config.web().await.unwrap().build().unwrap();
    let exchange = jam::http::Exchange::begin(&config, &http::HeaderMap::new());
    exchange.session().login("user1").await.unwrap();
    let token = exchange.session().token().await.unwrap().unwrap();
    let mut headers = http::HeaderMap::new();
    exchange.finish(http::StatusCode::OK).await.apply(&mut headers);
    headers["set-cookie"].to_str().unwrap().replace(&token, "ID")
}

#[cfg(feature = "http")]
#[tokio::test]
async fn the_cookie_is_set_by_its_table() {
    for (cookie, expected) in [
        (json!({}), "__Host-session=ID; HttpOnly; SameSite=Lax; Secure; Path=/"),
        (
            json!({"name": "__Secure-a", "domain": "$HOST", "path": "/app", "same_site": "none", "partitioned": true,
                   "life": "session"}),
            "__Secure-a=ID; HttpOnly; SameSite=None; Partitioned; Secure; Path=/app; Domain=a.example; Max-Age=3600",
        ),
        (
            json!({"insecure_for_development": true, "same_site": "strict", "life": "browser"}),
            "session=ID; HttpOnly; SameSite=Strict; Path=/",
        ),
        (
            json!({"same_site": "lax", "life": "remembered"}),
            "__Host-session=ID; HttpOnly; SameSite=Lax; Secure; Path=/",
        ),
    ] {
        let fields = fields(&json!({"session_type": "memory", "cookie": cookie}));
        let config = Config::from_value(fields).environment([("HOST", "a.example")]);
        assert_eq!(set_cookie(config).await, expected);
    }
    let bare = Config::from_value(fields(&json!({"session_type": "memory"})));
    assert_eq!(
        set_cookie(bare).await,
        "__Host-session=ID; HttpOnly; SameSite=Lax; Secure; Path=/"
    );
}

#[cfg(feature = "http")]
#[tokio::test]
async fn a_mistake_in_the_cookie_names_its_table_whoever_opens() {
    for (cookie, expected) in [
        (json!({"nam": "a"}), "unknown field `nam`; did you mean `name`?"),
        (
            json!({"same_site": "Laxer"}),
            "`same_site` must be \"strict\" or \"lax\" or \"none\"",
        ),
        (json!({"path": "/app"}), "a `__Host-` cookie has the `path` \"/\""),
        (json!({"partitioned": "yes"}), "`partitioned` must be true or false"),
        (json!("a"), "`cookie` must be a table"),
    ] {
        let message = mistake(cookie).await;
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("cookie"), "{message}");
    }
}

#[cfg(not(feature = "http"))]
#[tokio::test]
async fn a_cookie_needs_a_web_feature() {
    let message = mistake(json!({})).await;
    assert!(message.contains("needs the feature `tower`"), "{message}");
}
