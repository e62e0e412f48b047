//! The public conformance suite on every generation of server, and on a cluster.

use jam_core::conformance::{Suite, Task};
use jam_redis::RedisStore;
use jam_test_servers::{Cluster, Kind, Sentinels, Server};

fn spawn(task: Task) {
    drop(tokio::spawn(task));
}

/// A store for each case, under the same path, and a second one on the same server.
async fn keeps_the_contract(url: String) {
    let open = |url: String| move || RedisStore::options(&url).open();
    let (first, second) = (open(url.clone()), open(url));
    Suite::new(move |_| first(), spawn)
        .server_clock()
        .second_handle(move |_| second())
        .durable()
        .run()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_without_field_expiry_keeps_the_contract() {
    let server = Server::start(Kind::Old);
    keeps_the_contract(server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn valkey_with_field_expiry_keeps_the_contract() {
    let server = Server::start(Kind::New);
    keeps_the_contract(server.url()).await;
}

/// What does not say that it is Valkey is served as Redis 8 is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_does_not_say_what_it_is_keeps_the_contract() {
    let server = Server::options(Kind::New).hide(&["HELLO"]).start();
    keeps_the_contract(server.url()).await;
}

/// As Valkey 9.0, and for a user who may not call it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_cannot_take_a_field_out_keeps_the_contract() {
    let server = Server::options(Kind::New).hide(&["HGETDEL"]).start();
    keeps_the_contract(server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_only_expires_fields_keeps_the_contract() {
    let server = Server::options(Kind::New)
        .hide(&["HSETEX", "HGETEX", "HGETDEL"])
        .start();
    keeps_the_contract(server.url()).await;
}

/// The URL of a cluster, with so many of its nodes.
fn seeds(cluster: &Cluster, count: usize) -> String {
    let nodes: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| node.address().to_string())
        .take(count)
        .collect();
    format!("redis+cluster://{}", nodes.join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_with_field_expiry_keeps_the_contract() {
    let cluster = Cluster::start(Kind::New);
    keeps_the_contract(seeds(&cluster, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_without_field_expiry_keeps_the_contract() {
    let cluster = Cluster::start(Kind::Old);
    keeps_the_contract(seeds(&cluster, 6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_primary_that_sentinels_name_keeps_the_contract() {
    let sentinels = Sentinels::start(Kind::New);
    let addresses: Vec<_> = sentinels.sentinel_addresses().iter().map(ToString::to_string).collect();
    let service = Sentinels::SERVICE;
    keeps_the_contract(format!("redis+sentinel://{}/{service}", addresses.join(","))).await;
}
