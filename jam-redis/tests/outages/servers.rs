//! A server that is killed, paused, restarted or still loading, under load. `JAM_TEST_KILLS` says how often it is killed (2).

use std::sync::Arc;
use std::time::Duration;

use jam_core::SessionStore;
use jam_test_servers::{Kind, Server, ServerOptions};
use jam_test_trials::Trials;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::load::{LIMIT, SILENCE, Traffic, options, record};

/// A server that has on its disk whatever it acknowledges.
fn lasting(kind: Kind) -> ServerOptions {
    Server::options(kind)
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
}

/// Long enough for calls to fail, both with a connection and without one.
async fn a_while() {
    sleep(2 * LIMIT).await;
}

async fn on(server: &Arc<Server>, act: impl FnOnce(&Server) + Send + 'static) {
    let server = Arc::clone(server);
    spawn_blocking(move || act(&server)).await.unwrap();
}

async fn nothing_acknowledged_is_lost_when_it_is_killed(kind: Kind) {
    let server = Arc::new(lasting(kind).start());
    let store = options(&server.url()).open().await.unwrap();
    let kills = Trials::new(format!("kills, {kind:?} server"), "JAM_TEST_KILLS", 2);
    let seen = Traffic::listening(store, async |traffic| {
        for _ in kills {
            on(&server, Server::kill).await;
            a_while().await;
            traffic
                .hears(&["is lost", "cannot be reached: Connection refused"])
                .await;
            on(&server, Server::restart).await;
            a_while().await;
        }
    })
    .await;
    assert!(seen.unknown > 0, "some replies were lost: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_an_old_server_is_killed() {
    nothing_acknowledged_is_lost_when_it_is_killed(Kind::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_a_new_server_is_killed() {
    nothing_acknowledged_is_lost_when_it_is_killed(Kind::New).await;
}

async fn a_paused_server_is_unavailable_and_is_back_when_it_goes_on(kind: Kind) {
    let server = Arc::new(Server::start(kind));
    let store = options(&server.url()).open().await.unwrap();
    let seen = Traffic::listening(store, async |traffic| {
        on(&server, Server::pause).await;
        traffic.hears(&SILENCE).await;
        on(&server, Server::resume).await;
    })
    .await;
    assert!(seen.unknown > 0, "some replies came too late: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_old_server_is_unavailable_and_is_back_when_it_goes_on() {
    a_paused_server_is_unavailable_and_is_back_when_it_goes_on(Kind::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_new_server_is_unavailable_and_is_back_when_it_goes_on() {
    a_paused_server_is_unavailable_and_is_back_when_it_goes_on(Kind::New).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing() {
    let server = Arc::new(lasting(Kind::New).start());
    let store = options(&server.url()).open().await.unwrap();
    Traffic::during(store, async {
        on(&server, Server::shut_down).await;
        on(&server, Server::restart).await;
    })
    .await;
}

async fn a_server_that_loads_its_data_is_unavailable(kind: Kind) {
    // Half a thousandth of a second for each of the keys below.
    let slow = lasting(kind).arg("key-load-delay", "500");
    let server = Arc::new(slow.arg("loading-process-events-interval-bytes", "1024").start());
    let store = options(&server.url()).open().await.unwrap();
    for number in 0..1_000 {
        let id = jam_core::RecordId::new(format!("filling{number}").parse().unwrap(), "x").unwrap();
        store.insert(&id, &record(0)).await.unwrap();
    }
    // Out of the log of commands, which loads without the delay.
    server.command(&["BGREWRITEAOF"]);
    while server
        .command(&["INFO", "persistence"])
        .text()
        .contains("rewrite_in_progress:1")
    {
        sleep(Duration::from_millis(10)).await;
    }
    let seen = Traffic::during(store, async {
        on(&server, Server::restart).await;
    })
    .await;
    assert!(seen.said("loading its data"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_that_loads_its_data_is_unavailable() {
    a_server_that_loads_its_data_is_unavailable(Kind::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_server_that_loads_its_data_is_unavailable() {
    a_server_that_loads_its_data_is_unavailable(Kind::New).await;
}
