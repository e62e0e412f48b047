//! Histories of sessions that several clients call at once, dropping calls and losing connections, are linearizable: a checker
//! that is not ours, and a search of our own that remembers where it has been, find an order in which one session would have
//! answered like that.
//!
//! Every client has a manager of its own, as in another process; where a store can be opened twice, it is. Over Redis the clients
//! come through a network that delays, splits, severs and swallows.
//!
//! `JAM_TEST_HISTORIES=10000` runs the long version, of each store; `JAM_TEST_SEED` begins with the seed a failure names. (The
//! seed gives the same calls and faults; when they meet is the scheduler's.)
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod client;
mod history;
mod search;
mod spec;

use std::sync::Arc;
use std::time::Duration;

use jam::{Clock, SessionStore, Sessions};
use jam_core::Durability;
use jam_json::JsonDir;
use jam_redis::RedisStore;
use jam_sqlite::SqliteStore;
use jam_test_servers::{Kind, Proxy, Server};
use jam_test_trials::Dice;
use jam_tests::{Stage, Trials};

use crate::client::{Scene, calls};
use crate::history::Verdict;
use crate::spec::OneSession;

const CLIENTS: usize = 4;
const CALLS: usize = 6;

/// What the network does during one history.
fn break_network(proxies: &[Proxy], dice: &mut Dice) {
    for proxy in proxies {
        let bytes = usize::try_from(dice.roll(400)).unwrap();
        match dice.roll(10) {
            0 => proxy.delay(Duration::ZERO..=Duration::from_millis(2)),
            1 => proxy.split(),
            2 => proxy.sever_after_reply_bytes(bytes),
            3 => proxy.sever_after_request_bytes(bytes),
            4 => proxy.drop_replies(),
            _ => {}
        }
    }
}

/// Waits until every client is connected again.
async fn recover(managers: &[Sessions], key: &str) {
    for sessions in managers {
        let mut tries = 0;
        while let Err(error) = sessions.list(key).await {
            tries += 1;
            assert!(tries < 500, "no connection after the network was whole again: {error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The clients' managers call at once, history after history.
async fn check(what: &str, managers: &[Sessions], proxies: &[Proxy], healthy: &Sessions) {
    let trials = Trials::new(format!("histories on {what}"), "JAM_TEST_HISTORIES", 200);
    let (count, mut answered, mut unknown, mut alone) = (trials.wanted(), 0, 0, 0);
    for seed in trials {
        let mut dice = Dice::new(seed);
        let scene = Scene::begin(healthy, format!("user{seed}")).await;
        recover(managers, &scene.key).await;
        break_network(proxies, &mut dice);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let sessions = managers[client % managers.len()].clone();
                let dice = Dice::new(dice.number());
                tokio::spawn(calls(Arc::clone(&scene), sessions, dice, CALLS))
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        proxies.iter().for_each(Proxy::heal);
        let begin = OneSession::new(Scene::FIRST_VALUE);
        match scene.history.is_linearizable(&begin) {
            Verdict::Right => {}
            Verdict::RightWithoutTheOther => alone += 1,
            verdict => panic!(
                "seed {seed}: {verdict:?}: no order of these calls makes sense:\n{:?}",
                scene.history
            ),
        }
        let counts = scene.history.counts();
        (answered, unknown) = (answered + counts.0, unknown + counts.1);
    }
    println!(
        "{what}: {count} histories, {answered} answers, {unknown} calls of unknown outcome, 0 that cannot be put in order, \
         {alone} that the other checker did not come to an end with"
    );
    assert!(
        unknown > 0 && answered > unknown,
        "{answered} answers, {unknown} unknown"
    );
}

async fn check_stage(stage: Stage) {
    let managers: Vec<_> = (0..CLIENTS).map(|_| stage.sessions()).collect();
    check(&stage.name(), &managers, &[], &managers[0]).await;
}

/// Two stores on the same files, two managers on each.
async fn check_shared(stage: Stage, second: Arc<dyn SessionStore>) {
    let clock = Arc::clone(&stage.clock) as Arc<dyn Clock>;
    let of = |store: &Arc<dyn SessionStore>| {
        let builder = Sessions::builder_on(Arc::clone(store)).clock(Arc::clone(&clock));
        builder.build().unwrap()
    };
    let managers = [&stage.store, &second, &stage.store, &second].map(of);
    check(&stage.name(), &managers, &[], &managers[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory() {
    check_stage(Stage::memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn encrypted() {
    check_stage(Stage::encrypted().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn json_file() {
    check_stage(Stage::json_file().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn json_dir() {
    let stage = Stage::json_dir().await;
    let options = JsonDir::options().storage_path(stage.path().join("sessions"));
    let options = options
        .durability(Durability::Os)
        .clock(Arc::clone(&stage.clock) as Arc<dyn Clock>);
    let second = Arc::new(options.open().await.unwrap());
    check_shared(stage, second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite() {
    let stage = Stage::sqlite().await;
    let options = SqliteStore::options(stage.path().join("sessions.db"));
    let options = options
        .durability(Durability::Os)
        .clock(Arc::clone(&stage.clock) as Arc<dyn Clock>);
    let second = Arc::new(options.open().await.unwrap());
    check_shared(stage, second).await;
}

async fn check_redis(kind: Kind) {
    let server = Server::start(kind);
    let healthy = Sessions::new(RedisStore::options(server.url()).open().await.unwrap());
    let proxies: Vec<_> = (0..CLIENTS).map(|_| Proxy::start(server.address())).collect();
    let mut managers = Vec::new();
    for proxy in &proxies {
        let options = || RedisStore::options(proxy.url()).response_timeout(Duration::from_millis(60));
        let mut opened = options().open().await;
        // A busy machine may take longer to begin with.
        for _ in 0..100 {
            if opened.is_err() {
                opened = options().open().await;
            }
        }
        managers.push(Sessions::new(opened.unwrap()));
    }
    check(&format!("redis, {kind:?} server"), &managers, &proxies, &healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_old() {
    check_redis(Kind::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_new() {
    check_redis(Kind::New).await;
}
