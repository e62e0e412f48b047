//! Measures what the foundation promises, as ratios within one run: `cargo run --release -p jam-benches`.
//!
//! `cargo run --release -p jam-benches sqlite` measures SQLite alone (`sqlite os size`, `sqlite sync sweep`: a part of
//! it); its peers are in `benches-sqlite-peers`.
//!
//! Machines are shared and noisy, so two things are measured turn by turn, and the medians of the turns are compared.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the table is the point")]

mod measure;
mod redis_server;
mod sqlite;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use jam_core::{MemoryStore, SessionId, Sessions};
use jam_json::{Durability, JsonFile};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::measure::{Outcome, compare};

type Failure = Box<dyn Error + Send + Sync>;

/// About 200 bytes, as a session of a web application has.
fn data() -> Value {
    json!({
        "role": "admin", "browser": "Firefox 130 on Linux", "place": "Lisbon", "language": "pt-PT", "visits": 17,
        "cart": [{"item": 4711, "count": 2}, {"item": 815, "count": 1}], "theme": "dark", "csrf": "5f2b1c9a7e",
    })
}

async fn json_file(path: &Path, durability: Durability) -> Result<Sessions, Failure> {
    Ok(Sessions::new(
        JsonFile::options(path).durability(durability).open().await?,
    ))
}

/// Puts this many sessions in, by many tasks at once so that they share syncs, and gives their ids.
async fn fill(sessions: &Sessions, count: usize, keys: usize) -> Result<Vec<SessionId>, Failure> {
    let mut tasks = Vec::new();
    for task in 0..64 {
        let sessions = sessions.clone();
        tasks.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            for number in (task..count).step_by(64) {
                ids.push(sessions.create(format!("user{}", number % keys), data()).await?);
            }
            Ok::<_, jam_core::Error>(ids)
        }));
    }
    let mut ids = Vec::new();
    for task in tasks {
        ids.extend(task.await??);
    }
    Ok(ids)
}

/// This many creates on 64 tasks.
async fn create(sessions: &Sessions, count: usize) -> Result<(), Failure> {
    let mut tasks = Vec::new();
    for task in 0..64 {
        let sessions = sessions.clone();
        tasks.push(tokio::spawn(async move {
            for number in 0..count / 64 {
                sessions.create(format!("new{task}-{number}"), data()).await?;
            }
            Ok::<_, jam_core::Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// This many gets on so many tasks.
async fn get(sessions: &Sessions, ids: &Arc<Vec<SessionId>>, count: usize, tasks: usize) -> Result<(), Failure> {
    let mut running = Vec::new();
    for task in 0..tasks {
        let (sessions, ids) = (sessions.clone(), Arc::clone(ids));
        running.push(tokio::spawn(async move {
            for number in 0..count / tasks {
                let id = &ids[(task * 7919 + number * 31) % ids.len()];
                if sessions.get(id).await?.is_none() {
                    return Err(jam_core::Error::from(jam_core::ErrorKind::NotFound));
                }
            }
            Ok(())
        }));
    }
    for task in running {
        task.await??;
    }
    Ok(())
}

async fn creating_among_many(durability: Durability, count: usize) -> Result<Outcome, Failure> {
    let directory = TempDir::new()?;
    let few = json_file(&directory.path().join("few.json"), durability).await?;
    let many = json_file(&directory.path().join("many.json"), durability).await?;
    fill(&few, 100, 20).await?;
    fill(&many, 100_000, 20_000).await?;
    compare(
        11,
        async || create(&many, count).await,
        async || create(&few, count).await,
    )
    .await
}

async fn getting(tasks: usize) -> Result<Outcome, Failure> {
    let directory = TempDir::new()?;
    let file = json_file(&directory.path().join("sessions.json"), Durability::Os).await?;
    let memory = Sessions::new(MemoryStore::new());
    let in_file = Arc::new(fill(&file, 10_000, 2_000).await?);
    let in_memory = Arc::new(fill(&memory, 10_000, 2_000).await?);
    let count = 200_000;
    // A rate is the inverse of a time, so memory's time over the file's is the file's rate over memory's.
    compare(
        11,
        async || get(&memory, &in_memory, count, tasks).await,
        async || get(&file, &in_file, count, tasks).await,
    )
    .await
}

/// Without arguments everything; with some, only what they name: `json`, `sqlite`, `redis`.
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    println!("| what | ratio (median) | spread | goal |");
    println!("|---|---|---|---|");
    if wants("json") {
        json_rows().await?;
    }
    if wants("sqlite") {
        sqlite::measure().await?;
    }
    if wants("redis") {
        redis_server::rows().await?;
    }
    Ok(())
}

async fn json_rows() -> Result<(), Failure> {
    let row = |what: &str, outcome: &Outcome, goal: &str| println!("| {what} | {outcome} | {goal} |");
    let outcome = creating_among_many(Durability::Os, 6_400).await?;
    row(
        "JSON file, `os`: time of a create among 100,000 / among 100",
        &outcome,
        "<= 1.5",
    );
    let outcome = creating_among_many(Durability::Sync, 1_280).await?;
    row(
        "JSON file, `sync`: time of a create among 100,000 / among 100",
        &outcome,
        "<= 1.5",
    );
    for tasks in [1, 64] {
        let outcome = getting(tasks).await?;
        row(
            &format!("JSON file: gets per second, {tasks} tasks / in memory"),
            &outcome,
            ">= 0.9",
        );
    }
    sqlite::measure().await
}
