//! The quick start: the six operations of Python's jamlib in their order, then listing, revoking and restarting.
//!
//! ```sh
//! cargo run --example quickstart                               # one JSON file, sessions.json
//! cargo run --example quickstart json-dir:sessions             # one file per session
//! cargo run --example quickstart sqlite:sessions.db            # SQLite
//! cargo run --example quickstart memory:                       # in memory
//! cargo run --example quickstart redis://localhost             # on Redis or Valkey
//! cargo run --example quickstart redis+cluster://host1,host2   # on a Redis Cluster, also from examples/redis_cluster.toml
//! cargo run --example quickstart examples/jam.toml             # whatever the config file says
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use jam::prelude::*;
use serde_json::json;

const DEFAULT: &str = "json:sessions.json";

#[tokio::main]
async fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| DEFAULT.to_owned());
    if let Err(error) = run(&wanted).await {
        println!("error: {error}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            println!("  because: {cause}");
            source = cause.source();
        }
        std::process::exit(1);
    }
}

async fn run(wanted: &str) -> jam::Result<()> {
    println!(
        "jam quick start on `{}`\n",
        wanted.split('@').next_back().unwrap_or_default()
    );
    let sessions = jam::open(wanted).await?;
    // What an earlier run left behind.
    sessions.clear("user1").await?;

    println!("1. create   user1 logs in; the id is the secret for the cookie");
    let id = sessions
        .create("user1", json!({"role": "admin", "browser": "Firefox"}))
        .await?;
    println!(
        "            id: {} characters, {}...\n",
        id.as_str().len(),
        &id.as_str()[..12]
    );

    println!("2. get      the next request brings the id back");
    show(&sessions, &id).await?;

    println!("3. update   the whole data is replaced");
    sessions
        .update(&id, json!({"role": "banned", "browser": "Firefox"}))
        .await?;
    show(&sessions, &id).await?;

    println!("4. rework   a new id for the same session; the old one is dead");
    let old = id;
    let id = sessions.rework(&old).await?;
    println!(
        "            old id: {}",
        if sessions.exists(&old).await? {
            "still alive?!"
        } else {
            "no such session"
        }
    );
    show(&sessions, &id).await?;

    println!("5. delete   logging out; nothing brings the session back");
    sessions.delete(&id).await?;
    match sessions.update(&id, json!({"role": "admin"})).await {
        Err(error) if error.kind() == ErrorKind::NotFound => println!("            a late save gives: {error}\n"),
        other => println!("            unexpected: {other:?}\n"),
    }

    println!("6. clear    every session of user1 ends at once");
    sessions.create("user1", json!({"browser": "Chrome"})).await?;
    sessions.create("user1", json!({"browser": "Safari"})).await?;
    println!("            ended: {}\n", sessions.clear("user1").await?);

    println!("7. modify   32 tasks count visits in one session, and no visit is lost");
    let laptop = sessions
        .create("user1", json!({"browser": "Firefox", "visits": 0}))
        .await?;
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let (sessions, id) = (sessions.clone(), laptop.clone());
        tasks.push(tokio::spawn(async move {
            sessions
                .modify(&id, |data| {
                    let visits = data.get("visits").and_then(serde_json::Value::as_u64).unwrap_or(0);
                    data.insert("visits".into(), (visits + 1).into());
                })
                .await
        }));
    }
    for task in tasks {
        task.await
            .map_err(|error| Error::new(ErrorKind::Unexpected, "a task failed").with_source(error))??;
    }
    show(&sessions, &laptop).await?;

    println!("8. list     \"your devices\": handles, never ids");
    let phone = sessions.create("user1", json!({"browser": "Phone"})).await?;
    for device in sessions.list("user1").await? {
        println!("            {}  {}", device.handle(), device.data()?["browser"]);
    }
    println!();

    println!("9. revoke   the phone was lost");
    let handle = sessions.get(&phone).await?.ok_or(ErrorKind::NotFound)?.handle().clone();
    println!(
        "            revoked: {}, the laptop is alive: {}\n",
        sessions.revoke("user1", &handle).await?,
        sessions.exists(&laptop).await?
    );

    println!("10. restart everything is closed and opened again");
    sessions.close().await?;
    drop(sessions);
    let sessions = jam::open(wanted).await?;
    match sessions.get(&laptop).await? {
        Some(session) => println!("            still there: {}", json!(session.data()?)),
        None => println!("            gone, as sessions in memory are"),
    }
    sessions.close().await
}

async fn show(sessions: &Sessions, id: &SessionId) -> jam::Result<()> {
    match sessions.get(id).await? {
        Some(session) => println!("            {}\n", json!(session.data()?)),
        None => println!("            no such session\n"),
    }
    Ok(())
}
