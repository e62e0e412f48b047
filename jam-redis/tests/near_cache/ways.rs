//! Ways to a server, and what is refused.

use jam_core::{ErrorKind, Registry, SessionStore, StoreConfig};
use jam_redis::{RedisFactory, RedisStore};
use jam_test_servers::{Kind, Server};

use crate::{eventually, id, is_kept, near, payload, record, warm};

async fn keeps(store: &RedisStore, server: &Server) {
    let one = id("user1", "one");
    store.insert(&one, &record("{}", Some(60_000))).await.unwrap();
    warm(store, server, &one).await;
    assert!(is_kept(store, server, &one).await);
    assert!(store.remove(&one).await.unwrap());
    assert_eq!(payload(store, &one).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sockets_users_databases_and_clients_have_a_near_cache() {
    let server = Server::options(Kind::New)
        .unix_socket()
        .requirepass("pass")
        .acl_user(
            "app",
            "on >secret ~sessions:* +@hash +@scripting +@connection +pttl +pexpireat +persist +unlink +time",
        )
        .start();
    let at = server.address();
    keeps(&near(format!("redis://:pass@{at}/3")).open().await.unwrap(), &server).await;
    keeps(&near(format!("redis://app:secret@{at}")).open().await.unwrap(), &server).await;
    let socket = near(server.unix_url().split('?').next().unwrap())
        .password("pass")
        .open()
        .await
        .unwrap();
    keeps(&socket, &server).await;
    let client = redis::Client::open(format!("redis://:pass@{at}/1")).unwrap();
    let of_client = jam_redis::RedisOptions::from_client(client)
        .near_cache(10)
        .open()
        .await
        .unwrap();
    keeps(&of_client, &server).await;
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tls_has_a_near_cache() {
    let server = Server::options(Kind::Old).tls().start();
    let pem = std::fs::read(server.ca_path()).unwrap();
    let store = near(server.tls_url()).root_certificate(pem).open().await.unwrap();
    keeps(&store, &server).await;
}

/// Databases share the names of keys, and the server's messages do not say which one they mean.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_database_shows_nothing_of_this_one() {
    let server = Server::start(Kind::New);
    let one = id("user1", "one");
    let first = near(server.url()).open().await.unwrap();
    let second = near(format!("{}/2", server.url())).open().await.unwrap();
    first.insert(&one, &record("first", None)).await.unwrap();
    second.insert(&one, &record("second", None)).await.unwrap();
    warm(&first, &server, &one).await;
    warm(&second, &server, &one).await;
    assert!(second.remove(&one).await.unwrap());
    assert_eq!(payload(&first, &one).await.as_deref(), Some("first"));
    eventually("gone in the other", || async { payload(&second, &one).await.is_none() }).await;
}

#[tokio::test]
async fn a_user_who_may_not_track_is_told_what_to_grant() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::options(kind)
            .acl_user("app", "on >s3cret ~* +@all -client|tracking")
            .start();
        let url = format!("redis://app:s3cret@{}", server.address());
        let error = near(&url).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("+client|tracking"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"));
        RedisStore::open(&url).await.unwrap();
    }
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() {
    let server = Server::start(Kind::New);
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let lent = jam_redis::RedisOptions::from_connection(connection).near_cache(10);
    assert_eq!(lent.open().await.unwrap_err().kind(), ErrorKind::Config);
    let never = near(server.url()).near_cache_staleness(std::time::Duration::ZERO);
    assert_eq!(never.open().await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_line_of_config_or_one_parameter_turns_it_on() {
    let server = Server::start(Kind::New);
    let mut registry = Registry::new();
    registry.register(RedisFactory);
    let one = id("user1", "one");
    for (url, kept) in [
        (server.url(), false),
        (format!("{}?near_cache=1000", server.url()), true),
        (
            format!("{}?near_cache=1000&near_cache_staleness=0.5", server.url()),
            true,
        ),
    ] {
        let config = StoreConfig::from_url(&url).unwrap();
        let store = registry.open("redis", config).await.unwrap();
        let _ = store.insert(&one, &record("{}", None)).await;
        for _ in 0..20 {
            store.load(&one, jam_core::Load::new()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(crate::tracks(&server) > 0, kept, "{url}");
        store.close().await.unwrap();
    }
    let config = StoreConfig::from_url(&format!("{}?near_cache_staleness=1", server.url())).unwrap();
    let error = registry.open("redis", config).await.unwrap_err();
    assert!(error.message().contains("near_cache"), "{error}");
}
