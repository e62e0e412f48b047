#!/usr/bin/env python3
"""What a session library adds to a program: crates, build time, size. Builds one that creates a session and reads it again with
jam on one backend, and the same with each peer: `size.py <directory for the builds> <file for the results> [name...]`.

Results of earlier runs stay for programs that are not named. Seconds are those of all processors together, of a clean build in release
mode, with everything fetched before.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

MAIN = """
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
%s
}
"""

JAM = """
    let sessions = jam_core::Sessions::new(%s);
    let id = sessions.create("user1", serde_json::json!({"role": "admin"})).await?;
    println!("{}", sessions.get(&id).await?.is_some());
    Ok(())
"""

TOWER = """
    use tower_sessions_core::SessionStore;
    let store = %s;
    let mut record = tower_sessions_core::session::Record {
        id: Default::default(),
        data: [("role".to_owned(), serde_json::json!("admin"))].into(),
        expiry_date: time::OffsetDateTime::now_utc() + time::Duration::hours(1),
    };
    store.create(&mut record).await?;
    println!("{}", store.load(&record.id).await?.is_some());
    Ok(())
"""

ACTIX = """
    use actix_session::storage::{RedisSessionStore, SessionStore};
    let store = RedisSessionStore::new("redis://127.0.0.1").await.map_err(|error| error.to_string())?;
    let state = [("role".to_owned(), "admin".to_owned())].into();
    let key = store.save(state, &time::Duration::HOUR).await.map_err(|error| error.to_string())?;
    println!("{}", store.load(&key).await.map_err(|error| error.to_string())?.is_some());
    Ok(())
"""

AXUM = """
    use axum_session::DatabasePool;
    let pool = %s;
    pool.initiate("sessions").await?;
    pool.store("id", "{}", 2_000_000_000, "sessions").await?;
    println!("{}", pool.load("id", "sessions").await?.is_some());
    Ok(())
"""

JSON = 'serde_json = "1"\n'
TOKIO = 'tokio = { version = "1", features = ["macros", "rt"] }\n'


def jam(*crates):
    paths = "".join(f'{crate} = {{ path = "{ROOT / crate}" }}\n' for crate in ("jam-core", *crates))
    return TOKIO + JSON + paths


def tower(core, *lines):
    return TOKIO + JSON + f'time = "0.3"\ntower-sessions-core = "{core}"\n' + "".join(f"{line}\n" for line in lines)


AXUM_SESSION = TOKIO + 'axum_session = { version = "0.22", default-features = false }\n'

PROGRAMS = {
    "nothing but tokio and serde_json": (TOKIO + JSON, 'println!("{}", serde_json::json!({"role": "admin"}));\n Ok(())'),
    "jam, memory": (jam(), JAM % "jam_core::MemoryStore::new()"),
    "tower-sessions-memory-store": (
        tower("0.15", 'tower-sessions-memory-store = "0.15"'),
        TOWER % "tower_sessions_memory_store::MemoryStore::default()",
    ),
    "tower-sessions-moka-store": (
        tower("0.14", 'tower-sessions-moka-store = "0.15"'),
        TOWER % "tower_sessions_moka_store::MokaStore::new(None)",
    ),
    "jam, JSON": (jam("jam-json"), JAM % 'jam_json::JsonFile::open("sessions.json").await?'),
    "tower-sessions-file-based-store": (
        tower("0.15", 'tower-sessions-file-based-store = "0.2"'),
        TOWER % 'tower_sessions_file_based_store::FileStore::in_dir("sessions")?',
    ),
    "jam, Redis": (jam("jam-redis"), JAM % 'jam_redis::RedisStore::open("redis://127.0.0.1").await?'),
    "tower-sessions-redis-store": (
        tower("0.14", 'tower-sessions-redis-store = "0.16"', 'fred = { version = "10", default-features = false }'),
        "use fred::prelude::{Builder, ClientLike, Config};\n"
        'let client = Builder::from_config(Config::from_url("redis://127.0.0.1")?).build()?;\nclient.init().await?;\n'
        + TOWER % "tower_sessions_redis_store::RedisStore::new(client)",
    ),
    "actix-session, Redis": (
        TOKIO + 'time = "0.3"\nactix-session = { version = "0.11", default-features = false, features = ["redis-session"] }\n',
        ACTIX,
    ),
    "axum_session_redispool": (
        AXUM_SESSION + 'axum_session_redispool = "0.13"\nredis = { version = "1.8", default-features = false }\nredis_pool = "0.10"\n',
        AXUM % 'axum_session_redispool::SessionRedisPool::from(redis_pool::SingleRedisPool::from(redis::Client::open("redis://127.0.0.1")?))',
    ),
    "jam, SQLite": (jam("jam-sqlite"), JAM % 'jam_sqlite::SqliteStore::open("sessions.db").await?'),
    "tower-sessions-sqlx-store, SQLite": (
        tower("0.14", 'tower-sessions-sqlx-store = { version = "0.15", features = ["sqlite"] }'),
        TOWER.replace("%s;", "%s;\n    store.migrate().await?;")
        % 'tower_sessions_sqlx_store::SqliteStore::new(tower_sessions_sqlx_store::sqlx::SqlitePool::connect("sqlite:sessions.db").await?)',
    ),
    "tower-sessions-rusqlite-store": (
        tower("0.14", 'tower-sessions-rusqlite-store = "0.14"', 'rusqlite = { version = "0.32", features = ["bundled"] }'),
        TOWER.replace("%s;", "%s;\n    store.migrate().await?;")
        % 'tower_sessions_rusqlite_store::RusqliteStore::new(tower_sessions_rusqlite_store::tokio_rusqlite::Connection::open("sessions.db").await?)',
    ),
    "axum_session_sqlx, SQLite": (
        AXUM_SESSION
        + 'axum_session_sqlx = { version = "0.12", default-features = false, features = ["sqlite"] }\n'
        + 'sqlx = { version = "0.9", default-features = false, features = ["runtime-tokio", "sqlite"] }\n',
        AXUM % 'axum_session_sqlx::SessionSqlitePool::from(sqlx::SqlitePool::connect("sqlite:sessions.db").await?)',
    ),
}

COLUMNS = ["program", "crates", "processor seconds to build", "KiB, stripped"]


def cargo(project, *arguments):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(project / "target"), "CARGO_INCREMENTAL": "0"}
    command = [os.environ.get("CARGO", "cargo"), *arguments]
    return subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True, text=True).stdout


def processor_seconds():
    """Of all processes that have ended: unlike the time on the wall it hardly depends on who else uses the machine."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured(directory, name):
    dependencies, main = PROGRAMS[name]
    project = directory / "".join(letter if letter.isalnum() else "-" for letter in name.lower())
    (project / "src").mkdir(parents=True, exist_ok=True)
    (project / "Cargo.toml").write_text(
        '[workspace]\n[package]\nname = "hello"\nversion = "0.1.0"\nedition = "2024"\n\n'
        f"[dependencies]\n{dependencies}\n[profile.release]\nstrip = true\n"
    )
    (project / "src" / "main.rs").write_text(MAIN % main)
    tree = cargo(project, "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}")
    crates = {line.split(" (*)")[0] for line in tree.splitlines()} - {""}
    cargo(project, "fetch")
    subprocess.run(["rm", "-rf", project / "target"], check=True)
    start = processor_seconds()
    cargo(project, "build", "--release", "--offline")
    seconds = processor_seconds() - start
    size = (project / "target" / "release" / "hello").stat().st_size
    subprocess.run(["rm", "-rf", project / "target"], check=True)
    # Without itself.
    return [name, str(len(crates) - 1), f"{seconds:.0f}", str(size >> 10)]


def main():
    directory, results, *names = sys.argv[1:]
    directory, results = pathlib.Path(directory), pathlib.Path(results)
    known = {}
    if results.exists():
        known = {row[0]: row for row in map(json.loads, results.read_text().splitlines()[1:])}
    for name in PROGRAMS:
        if names and not any(name.startswith(beginning) for beginning in names):
            continue
        known[name] = measured(directory, name)
        print(*known[name], sep=", ", flush=True)
        lines = [{"columns": COLUMNS}, *(known[name] for name in PROGRAMS if name in known)]
        results.write_text("".join(json.dumps(line) + "\n" for line in lines))


main()
