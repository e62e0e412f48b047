//! jam on Redis and Valkey against tower-sessions' and actix-session's Redis stores, 64 tasks on one server, turn by turn:
//! `cargo run --release` in this directory. Both peers keep a plain key per session with `SET ... EX`, and no list of a user's
//! sessions; each has one client, and the data is the same 200 bytes of JSON.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use actix_session::storage::{RedisSessionStore, SessionKey, SessionStore as _};
use fred::prelude::{Builder, Client, ClientLike as _, Config};
use jam_core::{SessionId, Sessions};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tower_sessions_core::SessionStore as _;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_redis_store::RedisStore as TowerStore;

type Failure = Box<dyn Error + Send + Sync>;

const TASKS: usize = 64;
const SESSIONS: usize = 9_984;
const USERS: usize = 2_000;
const TURNS: usize = 7;
const OPERATIONS: [&str; 4] = ["get", "create", "update", "delete"];

fn data() -> Value {
    json!({
        "role": "admin", "browser": "Firefox 130 on Linux", "place": "Lisbon", "language": "pt-PT", "visits": 17,
        "cart": [{"item": 4711, "count": 2}, {"item": 815, "count": 1}], "theme": "dark", "csrf": "5f2b1c9a7e",
    })
}

/// One library on one server, with sessions in it.
enum Library {
    Jam(Sessions),
    Tower(Arc<TowerStore<Client>>),
    Actix(Arc<RedisSessionStore>),
}

/// What a task of one library works on.
#[derive(Clone)]
enum Held {
    Jam(SessionId),
    Tower(Box<Record>),
    Actix(Arc<SessionKey>),
}

fn tower_record() -> Record {
    let Value::Object(fields) = data() else {
        unreachable!("it is an object")
    };
    Record {
        id: Id::default(),
        data: fields.into_iter().collect(),
        expiry_date: OffsetDateTime::now_utc() + Duration::hours(1),
    }
}

fn actix_state() -> HashMap<String, String> {
    let Value::Object(fields) = data() else {
        unreachable!("it is an object")
    };
    fields
        .into_iter()
        .map(|(name, value)| (name, value.to_string()))
        .collect()
}

impl Library {
    async fn create(&self, number: usize, jam_data: &Value) -> Result<Held, Failure> {
        Ok(match self {
            Self::Jam(sessions) => Held::Jam(sessions.create(format!("user{}", number % USERS), jam_data).await?),
            Self::Tower(store) => {
                let mut record = tower_record();
                store.create(&mut record).await?;
                Held::Tower(Box::new(record))
            }
            Self::Actix(store) => {
                let key = store.save(actix_state(), &Duration::hours(1)).await;
                Held::Actix(Arc::new(key.map_err(|error| error.to_string())?))
            }
        })
    }

    async fn run(&self, operation: &str, held: &Held, number: usize, jam_data: &Value) -> Result<(), Failure> {
        match (operation, self, held) {
            ("create", ..) => drop(self.create(number, jam_data).await?),
            ("get", Self::Jam(sessions), Held::Jam(id)) => {
                sessions.get(id).await?.ok_or("gone")?.data()?;
            }
            ("get", Self::Tower(store), Held::Tower(record)) => {
                store.load(&record.id).await?.ok_or("gone")?;
            }
            ("get", Self::Actix(store), Held::Actix(key)) => {
                store
                    .load(key)
                    .await
                    .map_err(|error| error.to_string())?
                    .ok_or("gone")?;
            }
            ("update", Self::Jam(sessions), Held::Jam(id)) => sessions.update(id, jam_data).await?,
            ("update", Self::Tower(store), Held::Tower(record)) => store.save(record).await?,
            ("update", Self::Actix(store), Held::Actix(key)) => {
                let key = SessionKey::try_from(key.as_ref().as_ref().to_owned()).map_err(|error| error.to_string())?;
                let updated = store.update(key, actix_state(), &Duration::hours(1)).await;
                updated.map_err(|error| error.to_string())?;
            }
            ("delete", Self::Jam(sessions), Held::Jam(id)) => drop(sessions.delete(id).await?),
            ("delete", Self::Tower(store), Held::Tower(record)) => store.delete(&record.id).await?,
            ("delete", Self::Actix(store), Held::Actix(key)) => {
                store.delete(key).await.map_err(|error| error.to_string())?;
            }
            _ => return Err("no such operation".into()),
        }
        Ok(())
    }
}

/// Seconds that one operation on every held session takes, on all tasks.
async fn turn(library: &Arc<Library>, operation: &'static str, held: &[Held]) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for (task, part) in held.chunks(held.len().div_ceil(TASKS)).enumerate() {
        let (library, part) = (Arc::clone(library), part.to_vec());
        tasks.push(tokio::spawn(async move {
            let data = data();
            for (number, held) in part.iter().enumerate() {
                library.run(operation, held, task * 1_000 + number, &data).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(start.elapsed().as_secs_f64())
}

async fn fill(library: &Arc<Library>) -> Result<Vec<Held>, Failure> {
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let library = Arc::clone(library);
        tasks.push(tokio::spawn(async move {
            let data = data();
            let mut held = Vec::new();
            for number in 0..SESSIONS / TASKS {
                held.push(library.create(task * 1_000 + number, &data).await?);
            }
            Ok::<_, Failure>(held)
        }));
    }
    let mut held = Vec::new();
    for task in tasks {
        held.extend(task.await??);
    }
    Ok(held)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn on(kind: Kind, name: &str) -> Result<(), Failure> {
    let server = Server::start(kind);
    let jam = Library::Jam(Sessions::new(RedisStore::open(server.url()).await?));
    let client = Builder::from_config(Config::from_url(&server.url())?).build()?;
    client.init().await?;
    let tower = Library::Tower(Arc::new(TowerStore::new(client)));
    let actix = RedisSessionStore::new(server.url())
        .await
        .map_err(|error| error.to_string())?;
    let libraries = [jam, tower, Library::Actix(Arc::new(actix))].map(Arc::new);
    for operation in OPERATIONS {
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for number in 0..=TURNS {
            for step in 0..libraries.len() {
                let which = (number + step) % libraries.len();
                let held = fill(&libraries[which]).await?;
                let time = turn(&libraries[which], operation, &held).await?;
                // The first turn warms up.
                if number > 0 {
                    times[which].push(time);
                }
                server.command(&["FLUSHALL"]);
            }
        }
        let [jam, tower, actix] = times;
        for (peer, times) in [("tower-sessions-redis-store", tower), ("actix-session", actix)] {
            let mut ratios: Vec<f64> = times.iter().zip(&jam).map(|(peer, jam)| peer / jam).collect();
            ratios.sort_by(f64::total_cmp);
            println!(
                "| {name} | {operation} | {peer} | {:.2} | {:.2} to {:.2} |",
                median(times) / median(jam.clone()),
                ratios[0],
                ratios[ratios.len() - 1],
            );
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("| server | operation, {TASKS} tasks | peer | jam's rate over the peer's (median) | spread |");
    println!("|---|---|---|---|---|");
    on(Kind::New, "new (Valkey 9.1)").await?;
    on(Kind::Old, "old (Redis 7.0)").await?;
    Ok(())
}
