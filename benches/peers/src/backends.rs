//! jam's backends, to be measured by themselves.

use std::path::Path;
use std::sync::Arc;

use jam_bench_harness::{Failure, data};
use jam_core::{Clock, Durability, MemoryStore, SessionId, SessionStore, Sessions, SystemClock};
use jam_json::{JsonDir, JsonFile};
use jam_redis::RedisStore;
use jam_sqlite::SqliteStore;
use jam_test_servers::{Kind, Server};

/// A store, in a directory of its own or on a server of its own.
pub(crate) struct Backend {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) server: Option<Server>,
}

/// Opens one by its name, without syncs.
pub(crate) async fn open(name: &str, directory: &Path) -> Result<Backend, Failure> {
    open_by(name, directory, Arc::new(SystemClock)).await
}

/// The same with another clock; servers go by their own.
pub(crate) async fn open_by(name: &str, directory: &Path, clock: Arc<dyn Clock>) -> Result<Backend, Failure> {
    let on_server = async |kind| {
        let server = Server::start(kind);
        let store = RedisStore::open(server.url()).await?;
        Ok::<_, Failure>(Backend {
            store: Arc::new(store),
            server: Some(server),
        })
    };
    let store: Arc<dyn SessionStore> = match name {
        "memory" => Arc::new(MemoryStore::with_clock(clock)),
        "json-file" => {
            let options = JsonFile::options(directory.join("sessions.json"));
            Arc::new(options.durability(Durability::Os).clock(clock).open().await?)
        }
        "json-dir" => {
            let options = JsonDir::options().storage_path(directory.join("sessions"));
            Arc::new(options.durability(Durability::Os).clock(clock).open().await?)
        }
        "sqlite" => {
            let options = SqliteStore::options(directory.join("sessions.db"));
            Arc::new(options.durability(Durability::Os).clock(clock).open().await?)
        }
        "redis-new" => return on_server(Kind::New).await,
        "redis-old" => return on_server(Kind::Old).await,
        _ => return Err(format!("no backend {name}").into()),
    };
    Ok(Backend { store, server: None })
}

/// Puts so many sessions in, five of each user, by 64 tasks at once, and gives their ids.
pub(crate) async fn fill(sessions: &Sessions, count: usize) -> Result<Vec<SessionId>, Failure> {
    let mut tasks = Vec::new();
    for task in 0..64 {
        let sessions = sessions.clone();
        tasks.push(tokio::spawn(async move {
            let data = data();
            let mut ids = Vec::new();
            for number in (task..count).step_by(64) {
                ids.push(sessions.create(format!("user{}", number / 5), &data).await?);
            }
            Ok::<_, Failure>(ids)
        }));
    }
    let mut ids = Vec::new();
    for task in tasks {
        ids.extend(task.await??);
    }
    Ok(ids)
}
