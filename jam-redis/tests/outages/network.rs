//! Networks that refuse, swallow and cut, under load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_core::{ErrorKind, Load, RecordId, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Proxy, Server};
use tokio::time::{sleep, timeout};

use crate::load::{LIMIT, SILENCE, Traffic, options, record};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_unavailable_and_late_news_harms_nobody() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let proxy = Proxy::start(server.address());
        let store = options(&proxy.url()).open().await.unwrap();
        let seen = Traffic::listening(store, async |traffic| {
            proxy.black_hole();
            traffic.hears(&SILENCE).await;
            // What was under way arrives now, over connections that have been given up.
            proxy.heal();
        })
        .await;
        assert!(seen.unknown > 0, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_replaced() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = options(&proxy.url()).open().await.unwrap();
    let seen = Traffic::during(store, async {
        proxy.black_hole();
        sleep(LIMIT / 2).await;
        // What was under way never arrives.
        proxy.sever();
        proxy.heal();
    })
    .await;
    assert!(seen.said("is lost"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_lets_nobody_connect_is_unavailable() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = options(&proxy.url()).open().await.unwrap();
    Traffic::listening(store, async |traffic| {
        proxy.refuse();
        proxy.sever();
        traffic.hears(&["is lost", "cannot be reached"]).await;
        proxy.heal();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_in_the_middle_of_anything_cost_nothing_acknowledged() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let proxy = Proxy::seeded(server.address(), 7);
        let store = options(&proxy.url()).open().await.unwrap();
        let seen = Traffic::during(store, async {
            proxy.split();
            for round in 0..20 {
                match round % 3 {
                    0 => proxy.sever_after_request_bytes(500 + 37 * round),
                    1 => proxy.sever_after_reply_bytes(5 + 13 * round),
                    _ => proxy.sever(),
                }
                sleep(LIMIT / 6).await;
            }
            proxy.heal();
        })
        .await;
        assert!(seen.unknown > 0, "{seen:?}");
    }
}

/// Callers with less patience than the store: a timeout of their own, or clients that leave.
async fn answers_the_impatient(store: &RedisStore, patience: Duration) -> bool {
    let id = RecordId::new("user1".parse().unwrap(), "id").unwrap();
    for _ in 0..200 {
        let call = timeout(patience, store.load(&id, Load::new()));
        match call.await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                sleep(patience / 4).await;
            }
            Err(_) => {}
        }
    }
    false
}

/// What nobody waits for to its end nobody would notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_connection_is_replaced_although_every_caller_leaves_early() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = options(&proxy.url()).open().await.unwrap();
    proxy.strand();
    assert!(answers_the_impatient(&store, LIMIT / 2).await);
}

/// Connecting takes longer than any of them waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_comes_about_although_every_caller_leaves_early() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let delay = Duration::from_millis(40);
    let store = options(&proxy.url()).connect_timeout(20 * LIMIT).open().await.unwrap();
    proxy.delay(delay..=delay);
    proxy.sever();
    // A call is there and back in two delays; a connection begins with several.
    assert!(answers_the_impatient(&store, 3 * delay).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_comes_about_after_the_store_was_closed_is_not_kept() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = Arc::new(options(&proxy.url()).connect_timeout(20 * LIMIT).open().await.unwrap());
    proxy.black_hole();
    proxy.sever();
    let insert = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let id = RecordId::new("user1".parse().unwrap(), "id").unwrap();
            // The first finds out that the connection is lost.
            drop(store.insert(&id, &record(1)).await);
            store.insert(&id, &record(2)).await
        })
    };
    while proxy.connections() < 2 {
        sleep(LIMIT / 30).await;
    }
    store.close().await.unwrap();
    proxy.heal();
    assert_eq!(insert.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    // It came about: the server hears that it is over in its own time, and one that is kept never is.
    let since = Instant::now();
    while clients(&server) > 0 {
        assert!(since.elapsed() < 20 * LIMIT, "it is kept");
        sleep(LIMIT / 30).await;
    }
}

/// How many others than the one that asks are connected.
fn clients(server: &Server) -> usize {
    let list = server.command(&["CLIENT", "LIST"]);
    list.text().lines().filter(|line| !line.contains("cmd=client")).count()
}
