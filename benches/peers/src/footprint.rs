//! What a session takes up: in the process, and in files or on a server. Each store fills in a process of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{fs, io};

use fred::prelude::{Builder, ClientLike, Config};
use jam_bench_harness::{About, Failure, Jam, Library, text, write_table};
use jam_core::Sessions;
use jam_test_servers::{Kind, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_sessions::MemoryStore as TowerMemory;
use tower_sessions_moka_store::MokaStore;
use tower_sessions_redis_store::RedisStore as TowerRedis;

use crate::actix::Actix;
use crate::backends::{Backend, open};
use crate::tower;

const SESSIONS: usize = 100_000;

/// As the table calls them, and as `footprint-<name>` does.
const STORES: [(&str, &str); 10] = [
    ("jam, memory", "memory"),
    ("tower-sessions memory store", "tower"),
    ("tower-sessions-moka-store", "moka"),
    ("jam, JSON file", "json-file"),
    ("jam, JSON dir", "json-dir"),
    ("jam, SQLite", "sqlite"),
    ("jam, Valkey", "redis-new"),
    ("tower-sessions-redis-store, Valkey", "tower-redis"),
    ("actix-session, Valkey", "actix"),
    ("jam, Redis 7.0", "redis-old"),
];

pub(crate) fn measure() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (title, name) in STORES {
        let output = Command::new(std::env::current_exe()?)
            .args([&format!("footprint-{name}"), "64"])
            .output()?;
        let measured: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{name}: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        let bytes = |what: &str| {
            measured[what]
                .as_u64()
                .map_or_else(|| "-".to_owned(), |bytes| bytes.to_string())
        };
        rows.push(vec![title.to_owned(), bytes("process"), bytes("kept")]);
    }
    let process = format!("bytes a session in the process (data: {})", text().len());
    write_table("footprint", &["store", &process, "in files or on the server"], &rows)
}

/// In a process of its own: prints what a session takes up there.
pub(crate) async fn one(name: &str) -> Result<(), Failure> {
    let directory = TempDir::new_in("/dev/shm")?;
    let measured = match name {
        "tower" => {
            let store = TowerMemory::default();
            filled(tower::new::Tower::new(About::peer("", ""), store), || Ok(0)).await?
        }
        "moka" => {
            let store = MokaStore::new(None);
            filled(tower::old::Tower::new(About::peer("", ""), store), || Ok(0)).await?
        }
        "tower-redis" => {
            let server = Server::start(Kind::New);
            let client = Builder::from_config(Config::from_url(&server.url())?).build()?;
            client.init().await?;
            let tower = tower::old::Tower::new(About::peer("", ""), TowerRedis::new(client));
            filled(tower, || used(&server)).await?
        }
        "actix" => {
            let server = Server::start(Kind::New);
            filled(Actix::open(&server.url()).await?, || used(&server)).await?
        }
        backend => {
            let Backend { store, server } = open(backend, directory.path()).await?;
            let sessions = Sessions::builder_on(store).build()?;
            filled(
                Jam::new(About::jam("", ""), sessions).with_users(SESSIONS / 5),
                || match &server {
                    Some(server) => used(server),
                    None => taken(directory.path()),
                },
            )
            .await?
        }
    };
    println!("{measured}");
    Ok(())
}

/// Fills it, and tells what that took, per session.
async fn filled(library: impl Library, kept: impl Fn() -> Result<usize, Failure>) -> Result<Value, Failure> {
    let library = Arc::new(library);
    // What comes with the first calls is not the sessions'.
    create(&library, 0, 6_400).await?;
    let (process, before) = (resident()?, kept()?);
    create(&library, 6_400, SESSIONS).await?;
    let each = |after: usize, before: usize| after.saturating_sub(before) / SESSIONS;
    let kept = Some(each(kept()?, before)).filter(|&kept| kept > 0);
    Ok(json!({"process": each(resident()?, process), "kept": kept}))
}

async fn create<L: Library>(library: &Arc<L>, first: usize, count: usize) -> Result<(), Failure> {
    let mut tasks = Vec::new();
    for task in 0..64 {
        let library = Arc::clone(library);
        tasks.push(tokio::spawn(async move {
            for number in (task..count).step_by(64) {
                // Five of each user.
                library.create((first + number) / 5).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// Bytes of memory that this process has.
pub(crate) fn resident() -> Result<usize, Failure> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    Ok(pages.split(' ').nth(1).ok_or("no pages")?.parse::<usize>()? * 4096)
}

/// Bytes that the server has for what it keeps.
pub(crate) fn used(server: &Server) -> Result<usize, Failure> {
    let info = server.command(&["INFO", "memory"]);
    let used = info.text().lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used.ok_or("no used_memory")?.trim().parse()?)
}

/// Bytes that files take up, in whole blocks. What goes away meanwhile takes up nothing.
pub(crate) fn taken(directory: &Path) -> Result<usize, Failure> {
    use std::os::unix::fs::MetadataExt;

    let mut bytes = 0;
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() {
            taken(&entry.path())?
        } else {
            usize::try_from(metadata.blocks())? * 512
        };
    }
    Ok(bytes)
}
