//! jam-sqlite side by side with other session stores on SQLite, and with SQLite itself: `jam-bench-sqlite <settings> <tasks>`,
//! where the settings are `full`, `normal` or `default`. `scripts/bench` runs it.
#![forbid(unsafe_code)]

#[path = "../../peers/src/axum_session.rs"]
mod axum_session;
mod grouped;
mod inline;
mod peers;
mod raw;

use std::path::Path;

use jam_bench_harness::{About, Contestant, Failure, Jam, Local, Part, Settings as Turns, compete};
use jam_core::{Durability, Sessions};
use jam_sqlite::SqliteStore;
use tempfile::TempDir;

/// What a write has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    /// WAL, `synchronous = FULL`: a power cut. jam's default.
    Full,
    /// WAL, `synchronous = NORMAL`: a crash of the process. jam's `durability = "os"`.
    Normal,
    /// Each as it comes: jam with WAL and FULL, the others with a rollback journal and FULL.
    Default,
}

impl Settings {
    const fn words(self) -> &'static str {
        match self {
            Self::Full => "WAL, FULL",
            Self::Normal => "WAL, NORMAL",
            Self::Default => "rollback journal, FULL",
        }
    }
}

async fn jam(path: &Path, settings: Settings) -> Result<Jam, Failure> {
    let (durability, words) = match settings {
        Settings::Normal => (Durability::Os, "WAL, NORMAL"),
        Settings::Full | Settings::Default => (Durability::Sync, "WAL, FULL"),
    };
    let words = format!("{words}; one writer with group commit, readers of its own");
    let store = SqliteStore::options(path).durability(durability).open().await?;
    Ok(Jam::new(About::jam("jam", &words), Sessions::new(store)))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [settings, tasks] = arguments.as_slice() else {
        return Err("usage: jam-bench-sqlite <settings> <tasks>".into());
    };
    let (settings, part) = match settings.as_str() {
        "full" => (Settings::Full, "sqlite-full"),
        "normal" => (Settings::Normal, "sqlite-normal"),
        "default" => (Settings::Default, "sqlite-default"),
        _ => return Err(format!("no settings {settings}").into()),
    };
    let directory = TempDir::new_in("target")?;
    let at = |name: &str| directory.path().join(name);
    let mut contestants: Vec<Box<dyn Contestant>> = vec![
        Local::timed(jam(&at("jam.db"), settings).await?),
        peers::sqlx(&at("sqlx.db"), settings).await?,
        peers::rusqlite(&at("rusqlite.db"), settings).await?,
        peers::axum_session(&at("axum.db"), settings).await?,
    ];
    if settings != Settings::Default {
        contestants.push(Local::timed(grouped::Grouped::open(&at("grouped.db"), settings)?));
        contestants.push(inline::Inline::open(&at("inline.db"), settings)?);
    }
    let turns = Turns {
        creates: 4_000,
        ..Turns::in_more_turns(tasks.parse()?)
    };
    let server = format!("SQLite {}", rusqlite::version());
    compete(Part::new(part).on(server), &turns, contestants).await
}
