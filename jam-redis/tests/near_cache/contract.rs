//! The conformance suite with the cache on, for two processes that each have one.

use jam_core::conformance::{Suite, Task};
use jam_test_servers::{Cluster, Kind, Sentinels, Server};

use crate::{cluster_url, near};

fn spawn(task: Task) {
    drop(tokio::spawn(task));
}

async fn keeps_the_contract(url: String) {
    let other = url.clone();
    Suite::new(move |_| near(&url).open(), spawn)
        .second_handle(move |_| near(&other).open())
        .server_clock()
        .cached()
        .run()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_old_server_with_a_near_cache_keeps_the_contract() {
    let server = Server::start(Kind::Old);
    keeps_the_contract(server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_server_with_a_near_cache_keeps_the_contract() {
    let server = Server::start(Kind::New);
    keeps_the_contract(server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_with_a_near_cache_keeps_the_contract() {
    for kind in [Kind::New, Kind::Old] {
        let cluster = Cluster::start(kind);
        keeps_the_contract(cluster_url(&cluster)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_and_a_near_cache_keep_the_contract() {
    let sentinels = Sentinels::start(Kind::New);
    let addresses: Vec<_> = sentinels.sentinel_addresses().iter().map(ToString::to_string).collect();
    let service = Sentinels::SERVICE;
    keeps_the_contract(format!("redis+sentinel://{}/{service}", addresses.join(","))).await;
}
