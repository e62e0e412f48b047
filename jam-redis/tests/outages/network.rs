//! Networks that refuse, swallow and cut, under load.

use jam_test_servers::{Kind, Proxy, Server};
use tokio::time::sleep;

use crate::load::{LIMIT, SILENCE, Traffic, options};

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
