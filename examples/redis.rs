//! The quick start on Redis or Valkey, and what only a server gives: two processes on the same sessions, and what a service
//! does while the server is away.
//!
//! ```sh
//! cargo run --example redis                              # redis://localhost:6379
//! cargo run --example redis redis://:password@host/1
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::time::Duration;

use jam::redis::RedisStore;
use jam::{ErrorKind, Sessions};
use serde_json::json;

#[tokio::main]
async fn main() -> jam::Result<()> {
    let url = std::env::args().nth(1);
    run(url.as_deref().unwrap_or("redis://localhost:6379")).await
}

/// One process of a service.
async fn open(url: &str) -> jam::Result<Sessions> {
    let store = RedisStore::options(url)
        .session_path("example-sessions")
        .connect_timeout(Duration::from_secs(1))
        .response_timeout(Duration::from_secs(1))
        .open()
        .await?;
    Sessions::builder(store).ttl(Duration::from_mins(30)).build()
}

async fn run(url: &str) -> jam::Result<()> {
    let (web1, web2) = (open(url).await?, open(url).await?);
    web1.clear("user1").await?;

    let id = web1.create("user1", json!({"role": "admin", "visits": 0})).await?;
    println!("web1 has let user1 in");

    // Both count at once, and no visit is lost.
    let visit = |data: &mut jam::Data| {
        let visits = data
            .get("visits")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default();
        data.insert("visits".into(), (visits + 1).into());
    };
    for _ in 0..10 {
        let (one, two) = tokio::join!(web1.modify(&id, visit), web2.modify(&id, visit));
        one?;
        two?;
    }
    if let Some(session) = web2.get(&id).await? {
        println!("web2 sees {} visits", session.get::<u64>("visits")?.unwrap_or_default());
    }

    let new = web2.rework(&id).await?;
    println!(
        "web2 has given the session a new id; the old one is known to web1: {}",
        web1.exists(&id).await?
    );
    web1.clear("user1").await?;
    println!(
        "web1 has logged user1 out everywhere; known to web2: {}",
        web2.exists(&new).await?
    );

    // A service answers such an error with 503 and keeps the visitor's cookie.
    match open("redis://127.0.0.1:1").await {
        Err(error) if error.kind() == ErrorKind::Unavailable => println!("no server: {error}"),
        Err(error) => return Err(error),
        Ok(_) => println!("there is a server on port 1"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jam_test_servers::{Cluster, Kind, Server};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_runs_on_old_and_new_servers_and_on_a_cluster() {
        for kind in [Kind::Old, Kind::New] {
            super::run(&Server::start(kind).url()).await.expect("it runs");
        }
        let cluster = Cluster::start(Kind::New);
        super::run(&cluster.url().replace("redis://", "redis+cluster://"))
            .await
            .expect("it runs");
    }
}
