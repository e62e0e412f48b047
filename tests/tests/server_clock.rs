//! Sessions on a server end by its clock. (Elsewhere the tests turn the clock of a stage; here it is the server's that goes on.)

use std::time::{Duration, Instant};

use jam::Sessions;
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Reply, Server};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_on_a_server_ends_by_the_servers_clock_and_leaves_nothing() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = RedisStore::open(server.url()).await.unwrap();
        let ttl = Duration::from_secs(1);
        let sessions = Sessions::builder(store).ttl(ttl).build().unwrap();
        let start = Instant::now();
        let id = sessions.create("user1", json!({})).await.unwrap();
        while sessions.exists(&id).await.unwrap() {
            assert!(start.elapsed() < Duration::from_mins(1), "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(start.elapsed() + Duration::from_millis(10) >= ttl, "it ended early");
        assert!(sessions.list("user1").await.unwrap().is_empty());
        // Nobody sweeps.
        while server.command(&["DBSIZE"]) != Reply::Int(0) {
            assert!(start.elapsed() < Duration::from_mins(1), "its space is not reclaimed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
