//! jam-sqlite side by side with other session stores on SQLite, and with SQLite itself.
//!
//! ```sh
//! cargo run --release                      # 64 tasks
//! taskset -c 0 cargo run --release 1       # 1 task, on one core: on two, each call costs what waking the other one takes
//! cargo run --release 64 Normal            # one of `Full`, `Normal`, `Default`
//! ```
//!
//! Contestants take turns on 10,000 sessions of 2,000 users with about 200 bytes of data; what is shown is the median of the
//! turns, and of the ratios within each turn their spread.
#![forbid(unsafe_code)]

mod contestant;
mod jam;
mod raw;
mod table;
mod tower;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use self::contestant::{Contestant, OPERATIONS, Operation};
use self::table::Results;

type Failure = Box<dyn Error + Send + Sync>;

const STORED: usize = 10_000;
const USERS: usize = 2_000;
const TURNS: usize = 7;

/// What a write has to survive, which is the same for all contestants of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    /// WAL, `synchronous = FULL`: jam's default.
    Full,
    /// WAL, `synchronous = NORMAL`: jam's `durability = "os"`.
    Normal,
    /// Each as it comes: jam with WAL and FULL, the others with a rollback journal and FULL.
    Default,
}

/// About 200 bytes, as a session of a web application has.
fn data() -> Value {
    json!({
        "role": "admin", "browser": "Firefox 130 on Linux", "place": "Lisbon", "language": "pt-PT", "visits": 17,
        "cart": [{"item": 4711, "count": 2}, {"item": 815, "count": 1}], "theme": "dark", "csrf": "5f2b1c9a7e",
    })
}

async fn contestants(settings: Settings) -> Result<Vec<Arc<dyn Contestant>>, Failure> {
    Ok(vec![
        Arc::new(jam::Jam::open(TempDir::new()?, settings).await?),
        Arc::new(tower::Sqlx::open(TempDir::new()?, settings).await?),
        Arc::new(tower::Rusqlite::open(TempDir::new()?, settings).await?),
        Arc::new(raw::Rusqlite::open(TempDir::new()?, settings)?),
    ])
}

/// Does this so many times on so many tasks, and gives the seconds it took.
async fn timed(
    contestant: &Arc<dyn Contestant>,
    operation: Operation,
    count: usize,
    tasks: usize,
) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks {
        let contestant = Arc::clone(contestant);
        running.push(tokio::spawn(async move {
            for number in (task..count).step_by(tasks) {
                contestant.run(operation, number).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in running {
        task.await??;
    }
    Ok(start.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let tasks = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let only = arguments.next();
    for settings in [Settings::Full, Settings::Normal, Settings::Default] {
        if only.as_ref().is_some_and(|only| *only != format!("{settings:?}")) {
            continue;
        }
        let contestants = contestants(settings).await?;
        for contestant in &contestants {
            timed(contestant, Operation::Fill, STORED, 64).await?;
        }
        let mut results = Results::default();
        for turn in 0..=TURNS {
            for operation in OPERATIONS {
                for place in 0..contestants.len() {
                    let contestant = &contestants[(place + turn) % contestants.len()];
                    let count = operation.count(tasks, contestant.is_slow(settings));
                    let seconds = timed(contestant, operation, count, tasks).await?;
                    // The first turn warms up.
                    if turn > 0 {
                        results.add(operation, contestant.name(), count as f64 / seconds);
                    }
                }
            }
        }
        results.print(settings, tasks);
    }
    Ok(())
}
