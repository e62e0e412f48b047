//! Ways to a server: URLs, passwords, users with few rights, databases, sockets, TLS, the application's own connection.
#![expect(clippy::expect_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::{id, payload, record};
use jam_core::{ErrorKind, Layout, SessionStore, Severity, StoreConfig, StoreFactory};
use jam_redis::{RedisFactory, RedisOptions, RedisStore};
use jam_test_servers::{Kind, Server};

async fn serves(store: RedisStore) {
    let one = id("user1", "one");
    store
        .insert(&one, &record("{\"n\":1}", Some(60_000)))
        .await
        .expect("insert");
    store
        .insert(&id("user1", "two"), &record("{}", Some(60_000)))
        .await
        .expect("insert");
    assert_eq!(payload(&store, &one).await.as_deref(), Some("{\"n\":1}"));
    store
        .replace(&one, None, &record("{\"n\":2}", Some(60_000)))
        .await
        .expect("replace");
    assert_eq!(store.list(one.key()).await.expect("list").len(), 2);
    assert!(store.remove(&one).await.expect("remove"));
    assert_eq!(store.clear(one.key()).await.expect("clear"), 1);
}

#[tokio::test]
async fn a_password_a_user_and_a_database_are_taken_from_the_url_or_beside_it() {
    let server = Server::options(Kind::New)
        .requirepass("pass:w@rd/")
        .acl_user("app", "on >s3cr?t ~* +@all")
        .start();
    let at = server.address();
    serves(
        RedisStore::open(format!("redis://:pass%3Aw%40rd%2F@{at}/3"))
            .await
            .expect("opens"),
    )
    .await;
    serves(
        RedisStore::open(format!("redis://app:s3cr%3Ft@{at}"))
            .await
            .expect("opens"),
    )
    .await;
    let beside = RedisStore::options(format!("valkey://{at}"))
        .username("app")
        .password("s3cr?t")
        .database(2)
        .open()
        .await
        .expect("opens");
    let kept = id("user1", "kept");
    beside.insert(&kept, &record("{}", None)).await.expect("insert");
    let url = format!("redis://app:s3cr%3Ft@{at}");
    let elsewhere = RedisStore::open(&url).await.expect("opens");
    assert_eq!(payload(&elsewhere, &kept).await, None, "database 0 is another one");
    let same = RedisStore::open(format!("{url}/2")).await.expect("opens");
    assert!(payload(&same, &kept).await.is_some());
}

#[tokio::test]
async fn a_wrong_password_is_a_mistake_in_the_configuration_and_is_not_shown() {
    let server = Server::options(Kind::New).requirepass("right").start();
    for url in [
        format!("redis://:wr0ng-one@{}", server.address()),
        format!("redis://nobody:wr0ng-one@{}", server.address()),
        format!("redis://{}", server.address()),
    ] {
        let error = RedisStore::open(&url).await.expect_err("it is wrong");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
    }
}

#[tokio::test]
async fn what_a_url_cannot_say_is_refused_and_not_passed_over() {
    for url in [
        "redis://localhost?password=s3cret",
        "unix:///run/redis.sock?pass=s3cret",
        "http://localhost",
        "redis+sentinel://localhost",
        "redis://local host",
        "redis://:s3cret@localhost:99999",
    ] {
        let error = RedisStore::open(url).await.expect_err("it says what cannot be");
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}");
    }
}

#[tokio::test]
async fn a_user_who_may_ask_the_server_nothing_is_served_as_any_other() {
    for kind in [Kind::Old, Kind::New] {
        let few = "on >pw ~sessions:* +@hash +@scripting +@connection +pttl +pexpireat +persist +unlink +time +scan \
                   -command -info -script|load";
        let server = Server::options(kind).acl_user("few", few).start();
        let url = format!("redis://few:pw@{}", server.address());
        for command in ["COMMAND", "INFO"] {
            let mut connection = server.connection();
            assert!(connection.command(&["AUTH", "few", "pw"]).expect("answers").is_ok());
            let refused = connection.command(&[command]).expect("answers");
            assert!(format!("{refused:?}").contains("NOPERM"), "{command}");
        }
        serves(RedisStore::open(&url).await.expect("opens")).await;
    }
}

#[tokio::test]
async fn a_user_who_may_not_touch_the_sessions_is_told_what_is_missing() {
    let server = Server::options(Kind::New)
        .acl_user("other", "on >pw ~other:* +@all")
        .acl_user("reader", "on >pw ~sessions:* +@read +@connection +time")
        .start();
    for user in ["other", "reader"] {
        let opened = RedisStore::open(format!("redis://{user}:pw@{}", server.address())).await;
        let error = match opened {
            Err(error) => error,
            Ok(store) => store
                .insert(&id("user1", "one"), &record("{}", None))
                .await
                .expect_err("it may not"),
        };
        assert_eq!(error.kind(), ErrorKind::Config, "{user}: {error}");
        assert!(error.to_string().contains("@hash"), "{error}");
    }
}

#[tokio::test]
async fn a_socket_of_the_file_system_is_a_way() {
    let server = Server::options(Kind::New).unix_socket().start();
    serves(RedisStore::open(server.unix_url()).await.expect("opens")).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_checks_the_certificate() {
    let server = Server::options(Kind::Old).tls().start();
    let authority = std::fs::read(server.ca_path()).expect("a certificate");
    let options = RedisStore::options(server.tls_url()).root_certificate(authority);
    serves(options.open().await.expect("opens")).await;
    let error = RedisStore::open(server.tls_url())
        .await
        .expect_err("nobody knows that authority");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn the_applications_own_client_and_connection_serve() {
    let server = Server::start(Kind::New);
    let client = redis::Client::open(server.url()).expect("a client");
    serves(RedisStore::from_client(client.clone()).await.expect("opens")).await;
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let client = redis::Client::open(server.url()).expect("a client");
        let connection = client.get_multiplexed_async_connection().await.expect("connects");
        serves(RedisStore::from_connection(connection).await.expect("opens")).await;
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_corrupt_and_left_alone() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        server.command(&["SET", "sessions:user1", "mine"]);
        let store = RedisStore::open(server.url()).await.expect("opens");
        let one = id("user1", "one");
        let error = store
            .insert(&one, &record("{}", None))
            .await
            .expect_err("it is no hash");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(
            store.list(one.key()).await.expect_err("it is no hash").kind(),
            ErrorKind::Corrupt
        );
        assert_eq!(server.command(&["GET", "sessions:user1"]).text(), "mine");
    }
}

#[tokio::test]
async fn two_paths_on_one_server_are_two_stores() {
    let server = Server::start(Kind::New);
    let open = async |path: &str| {
        let options = RedisStore::options(server.url()).session_path(path);
        options.open().await.expect("opens")
    };
    let (one, other) = (open("shop").await, open("sh*").await);
    one.insert(&id("user1", "a"), &record("{}", None))
        .await
        .expect("insert");
    other
        .insert(&id("user1", "b"), &record("{}", None))
        .await
        .expect("insert");
    assert_eq!(payload(&other, &id("user1", "a")).await, None);
    let page = other.scan(None, 100).await.expect("scan");
    assert_eq!(page.entries.len(), 1, "a path with a wildcard finds its own");
    assert_eq!(page.entries[0].id.id(), "b");
}

#[tokio::test]
async fn a_server_that_wants_a_password_is_not_opened_without_one() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::options(kind).requirepass("right").start();
        let error = RedisStore::open(format!("redis://{}", server.address()))
            .await
            .expect_err("it wants one");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_opened() {
    for url in [
        "unix+cluster:///run/redis.sock",
        "unix+sentinel:///run/redis.sock/service",
        "redis+cluster://",
        "redis://localhost:99999",
        "redis://localhost/0?response_timeout=5",
        "unix:///run/redis.sock?db=3",
    ] {
        let error = RedisStore::open(url).await.expect_err("it cannot be");
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
    }
    let options = || RedisStore::options("redis://localhost:1");
    for (what, options) in [
        ("connect", options().connect_timeout(Duration::ZERO)),
        ("response", options().response_timeout(Duration::ZERO)),
        ("wait", options().wait_replicas(1, Duration::from_micros(900))),
    ] {
        let error = options.open().await.expect_err("it cannot be");
        assert_eq!(error.kind(), ErrorKind::Config, "{what}: {error}");
    }
}

#[tokio::test]
async fn settings_that_an_applications_own_connection_cannot_follow_are_refused() {
    let server = Server::start(Kind::New);
    let client = redis::Client::open(server.url()).expect("a client");
    let connection = client.get_multiplexed_async_connection().await.expect("connects");
    let lent = || RedisOptions::from_connection(connection.clone());
    for (what, options) in [
        ("password", RedisOptions::from_client(client.clone()).password("x")),
        ("database", lent().database(3)),
        ("replicas", lent().wait_replicas(1, Duration::from_secs(1))),
    ] {
        let error = options.open().await.expect_err("nothing could follow it");
        assert_eq!(error.kind(), ErrorKind::Config, "{what}: {error}");
    }
}

#[tokio::test]
async fn no_length_of_time_is_too_long() {
    let server = Server::start(Kind::New);
    let options = RedisStore::options(server.url()).wait_replicas(1, Duration::MAX);
    let store = options.open().await.expect("opens");
    let clearing = tokio::time::timeout(Duration::from_millis(100), async {
        store.clear(id("u", "x").key()).await
    });
    assert!(clearing.await.is_err(), "it waits for a replica that there is not");
}

/// What asks for encryption must not be answered with none.
#[cfg(feature = "tls")]
#[tokio::test]
async fn certificates_beside_a_url_without_tls_are_refused() {
    let (pem, key) = (b"certificate".as_slice(), b"key".as_slice());
    for url in [
        "redis://localhost:1",
        "valkey://localhost:1",
        "unix:///run/redis.sock",
        "redis+sentinel://localhost:1/service",
        "redis+cluster://localhost:1",
    ] {
        for options in [
            RedisStore::options(url).root_certificate(pem),
            RedisStore::options(url).client_certificate(pem, key),
        ] {
            let error = options.connect_lazily(true).open().await.expect_err("no TLS");
            assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
            assert!(error.message().contains("rediss"), "{url}: {error}");
        }
    }
    let client = redis::Client::open("redis://localhost:1").expect("a client");
    let options = RedisOptions::from_client(client).root_certificate(pem);
    let error = options.open().await.expect_err("the client has its own");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("set them there"), "{error}");
}

/// Nobody would be told that it does nothing.
#[tokio::test]
async fn a_setting_that_nothing_would_follow_is_refused() {
    let refused = |error: jam_core::Error, parts: [&str; 2]| {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        for part in parts {
            assert!(error.message().contains(part), "`{part}` is missing in: {error}");
        }
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    };
    let open = async |query: &str| {
        let url = format!("redis://localhost:1?connect_lazily=true{query}");
        let mut config = StoreConfig::from_url(&url).expect("a URL");
        RedisFactory.open(&mut config).await
    };
    let error = open("&wait_timeout=1").await.expect_err("nothing waits");
    refused(error, ["`wait_timeout`", "unless `wait_replicas` is set"]);
    for query in ["", "&wait_replicas=1&wait_timeout=1", "&wait_replicas=0&wait_timeout=1"] {
        assert!(open(query).await.is_ok(), "{query}");
    }
    for query in ["&sentinel_username=hunter2", "&sentinel_password=hunter2"] {
        let error = open(query).await.expect_err("there is no sentinel");
        refused(error, ["a URL without sentinels", "redis+sentinel://"]);
    }
    for url in [
        "redis://localhost:1",
        "unix:///run/redis.sock",
        "redis+cluster://localhost:1",
    ] {
        let options = RedisStore::options(url)
            .sentinel_password("hunter2")
            .connect_lazily(true);
        let error = options.open().await.expect_err("there is no sentinel");
        refused(error, ["a URL without sentinels", "redis+sentinel://"]);
    }
    let sentinels = RedisStore::options("redis+sentinel://localhost:1/service").sentinel_password("hunter2");
    assert!(sentinels.connect_lazily(true).open().await.is_ok());
}

/// Without a password the driver sends no user either, and the server takes the process for its user `default`.
#[tokio::test]
async fn a_user_without_a_password_is_refused_for_it_would_be_another_user() {
    let refused = async |what: &str, options: RedisOptions| {
        let opened = options.connect_lazily(true).open().await;
        let error = opened.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Config, "{what}: {error}");
        assert!(error.message().contains("password"), "{what}: {error}");
        assert!(!format!("{error:?}").contains("app"), "{what}: {error:?}");
    };
    for url in [
        "redis://app@localhost:1",
        "redis+sentinel://app@localhost:1/service",
        "redis+cluster://app@localhost:1",
    ] {
        refused(url, RedisStore::options(url)).await;
    }
    refused("beside", RedisStore::options("redis://localhost:1").username("app")).await;
    let sentinels = RedisStore::options("redis+sentinel://localhost:1/service");
    refused("sentinels", sentinels.sentinel_username("app")).await;

    let server = Server::options(Kind::New)
        .acl_user("app", "on nopass ~sessions:* +@all")
        .start();
    let who = async |url: String, password: Option<&str>| {
        let options = RedisStore::options(url);
        let options = match password {
            Some(password) => options.password(password),
            None => options,
        };
        let store = options.open().await.expect("opens");
        let clients = server.command(&["CLIENT", "LIST"]);
        drop(store);
        clients.text().contains("user=app")
    };
    let at = server.address();
    assert!(!who(format!("redis://default@{at}"), None).await, "it is that user");
    for password in ["", "any"] {
        assert!(who(format!("redis://app@{at}"), Some(password)).await, "`{password}`");
    }
}

/// What the doctor keeps for a minute cannot be kept there, and what a service with `ttl = "none"` keeps can.
#[tokio::test]
async fn the_doctor_does_not_call_a_server_wrong_that_keeps_lasting_sessions_only() {
    for (kind, layout, expected) in [
        (Kind::Old, Layout::Jamlib, Severity::Warning),
        (Kind::Old, Layout::Jam, Severity::Fine),
        (Kind::New, Layout::Jamlib, Severity::Fine),
    ] {
        let server = Server::start(kind);
        let config = StoreConfig::new("test", serde_json::Map::new()).with_url(&server.url());
        let mut config = config.expect("a URL").with_layout(layout);
        let findings = RedisFactory.diagnose(&mut config).await.expect("findings");
        let write = findings.iter().find(|finding| finding.subject == "a write");
        let write = write.expect("it writes");
        assert_eq!(write.severity, expected, "{kind:?} {layout:?}: {write:?}");
        assert_eq!(server.command(&["DBSIZE"]).int(), 0, "it leaves nothing");
    }
}

/// As servers, load balancers and firewalls do.
#[tokio::test]
async fn a_connection_that_was_hung_up_on_while_nobody_called_is_replaced_before_the_next_call() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let options = RedisStore::options(server.url()).idle_check(Duration::from_millis(50));
        let store = options.open().await.expect("opens");
        for n in 0..5 {
            let mut operator = server.connection();
            let killed = operator
                .command(&["CLIENT", "KILL", "TYPE", "normal"])
                .expect("answers");
            assert!(killed.int() >= 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
            let name = format!("session{n}");
            store
                .insert(&id("user1", &name), &record("{}", None))
                .await
                .expect("nothing shows");
        }
        assert_eq!(store.list(&common::key("user1")).await.expect("list").len(), 5);
    }
}

#[tokio::test]
async fn a_wait_that_is_refused_does_not_hide_that_the_session_ended() {
    let few = "on >pw ~sessions:* +@all -wait";
    let server = Server::options(Kind::New).acl_user("few", few).start();
    let options = RedisStore::options(format!("redis://few:pw@{}", server.address()));
    let store = options
        .wait_replicas(1, Duration::from_secs(1))
        .open()
        .await
        .expect("opens");
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.expect("insert");
    let error = store.remove(&one).await.expect_err("it may not wait");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.outcome_unknown(), "{error}");
    assert_eq!(payload(&store, &one).await, None);
}
