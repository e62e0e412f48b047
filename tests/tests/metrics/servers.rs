//! The outage of a server, as the log tells it.

use std::time::Duration;

use jam_redis::RedisStore;
use jam_test_servers::{Kind, Proxy, Server};
use jam_tests::Recorder;
use serde_json::json;

/// The only test of this program in which a Redis store fails, for the lines of a program are in one place.
#[tokio::test]
async fn the_log_says_once_that_a_server_is_away_and_once_that_it_is_back() {
    let log = Recorder::global();
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let limit = Duration::from_millis(100);
    let options = RedisStore::options(proxy.url())
        .connect_timeout(limit)
        .response_timeout(limit);
    let sessions = jam::Sessions::new(options.open().await.unwrap());
    let id = sessions.create("user1", json!({})).await.unwrap();
    proxy.black_hole();
    for _ in 0..3 {
        sessions.get(&id).await.unwrap_err();
    }
    proxy.heal();
    while sessions.get(&id).await.is_err() {}
    sessions.get(&id).await.unwrap();
    let seen = log.seen();
    let lines = |message: &str| {
        let lines: Vec<_> = seen.lines().filter(|line| line.contains(message)).collect();
        lines.into_iter().filter(|line| line.contains("backend=redis")).count()
    };
    assert_eq!(
        lines("event WARN message=the session store does not do its work"),
        1,
        "{seen}"
    );
    assert_eq!(
        lines("event INFO message=the session store does its work again"),
        1,
        "{seen}"
    );
}
