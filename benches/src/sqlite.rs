//! SQLite: what an operation costs among many sessions, and what readers notice of a sweep.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jam_core::{Clock, ManualClock, SessionId, Sessions, SystemClock};
use jam_sqlite::{Durability, SqliteStore};
use tempfile::TempDir;

use crate::measure::{Outcome, compare, time};
use crate::{Failure, create, fill, get};

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;

/// Sessions in a database, and the clock that ends them.
struct Stage {
    sessions: Sessions,
    ids: Arc<Vec<SessionId>>,
    clock: Arc<ManualClock>,
    _directory: TempDir,
}

impl Stage {
    async fn new(durability: Durability, count: usize) -> Result<Self, Failure> {
        let directory = TempDir::new()?;
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let path = directory.path().join("sessions.db");
        let ids = fill(&open(&path, Durability::Os, &clock).await?, count, count / 5).await?;
        let sessions = open(&path, durability, &clock).await?;
        Ok(Self {
            sessions,
            ids: Arc::new(ids),
            clock,
            _directory: directory,
        })
    }

    async fn list(&self, count: usize) -> Result<(), Failure> {
        let users = self.ids.len() / 5;
        let mut running = Vec::new();
        for task in 0..64 {
            let sessions = self.sessions.clone();
            running.push(tokio::spawn(async move {
                for number in 0..count / 64 {
                    sessions
                        .list(format!("user{}", (task * 7919 + number * 31) % users))
                        .await?;
                }
                Ok::<_, jam_core::Error>(())
            }));
        }
        for task in running {
            task.await??;
        }
        Ok(())
    }

    /// Removes so many that have just expired.
    async fn sweep(&self, count: usize) -> Result<(), Failure> {
        let removed = self.sessions.store().remove_expired(self.clock.now()).await?;
        if usize::try_from(removed)? == count {
            Ok(())
        } else {
            Err(format!("{removed} swept").into())
        }
    }

    /// Creates so many sessions that have expired.
    async fn expire(&self, count: usize) -> Result<(), Failure> {
        let ttl = Duration::from_secs(1);
        let passing = Sessions::builder_on(Arc::clone(self.sessions.store()))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .ttl(ttl)
            .build()?;
        fill(&passing, count, count / 5).await?;
        self.clock.advance(ttl);
        Ok(())
    }
}

async fn open(path: &Path, durability: Durability, clock: &Arc<ManualClock>) -> Result<Sessions, Failure> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let options = SqliteStore::options(path)
        .durability(durability)
        .clock(Arc::clone(&clock));
    Ok(Sessions::builder(options.open().await?)
        .clock(clock)
        .ttl(Duration::from_hours(10))
        .build()?)
}

/// The time of so many sweeps among many over that among few.
async fn sweeping(many: &Stage, few: &Stage) -> Result<Outcome, Failure> {
    let mut turns = Vec::new();
    for _ in 0..7 {
        many.expire(6_400).await?;
        few.expire(6_400).await?;
        let among_many = time(&async || many.sweep(6_400).await).await?;
        turns.push((among_many, time(&async || few.sweep(6_400).await).await?));
    }
    Ok(Outcome::of(&turns))
}

/// The p50 and the p99 of a get, in milliseconds, on 8 tasks until it is done.
async fn getting(stage: &Stage, done: &Arc<AtomicBool>) -> Result<(f64, f64), Failure> {
    let mut running = Vec::new();
    for task in 0..8 {
        let (sessions, ids, done) = (stage.sessions.clone(), Arc::clone(&stage.ids), Arc::clone(done));
        running.push(tokio::spawn(async move {
            let mut times = Vec::new();
            let mut number = task * 7919;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                sessions.get(&ids[number % ids.len()]).await?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
                number += 31;
            }
            Ok::<_, jam_core::Error>(times)
        }));
    }
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await??);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// How gets do for a while without and then with a sweep of so many expired sessions.
async fn getting_during_a_sweep(durability: Durability, expired: usize) -> Result<(), Failure> {
    let stage = Arc::new(Stage::new(durability, 100_000).await?);
    let mut turns = Vec::new();
    for _ in 0..5 {
        stage.expire(expired).await?;
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            stop.store(true, Ordering::Relaxed);
        });
        let quiet = getting(&stage, &done).await?;
        let done = Arc::new(AtomicBool::new(false));
        let (stop, sweeping) = (Arc::clone(&done), Arc::clone(&stage));
        let sweep = tokio::spawn(async move {
            let start = Instant::now();
            let swept = sweeping.sweep(expired).await;
            stop.store(true, Ordering::Relaxed);
            swept.map(|()| start.elapsed().as_secs_f64())
        });
        let swept = getting(&stage, &done).await?;
        sweep.await??;
        turns.push((swept.1, quiet.1));
    }
    let outcome = Outcome::of(&turns);
    println!(
        "| SQLite, {durability:?}: p99 of a get while {expired} expired sessions are swept / without | {outcome} | <= 5 |"
    );
    Ok(())
}

pub(crate) async fn measure() -> Result<(), Failure> {
    let part = std::env::args().nth(3);
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    for durability in durabilities() {
        if wanted("size") {
            among_many(durability).await?;
        }
        if wanted("sweep") {
            getting_during_a_sweep(durability, 500_000).await?;
        }
    }
    Ok(())
}

/// What an operation costs among many sessions over what it costs among few.
async fn among_many(durability: Durability) -> Result<(), Failure> {
    let many = Stage::new(durability, MANY).await?;
    let few = Stage::new(durability, FEW).await?;
    let row = |what: &str, outcome: &Outcome| {
        println!("| SQLite, {durability:?}: time of a {what} among {MANY} / among {FEW} | {outcome} | <= 2 |");
    };
    row(
        "get",
        &compare(
            7,
            async || get(&many.sessions, &many.ids, 20_000, 64).await,
            async || get(&few.sessions, &few.ids, 20_000, 64).await,
        )
        .await?,
    );
    row(
        "list of 5",
        &compare(7, async || many.list(6_400).await, async || few.list(6_400).await).await?,
    );
    row("sweep", &sweeping(&many, &few).await?);
    row(
        "create",
        &compare(
            7,
            async || create(&many.sessions, 3_200).await,
            async || create(&few.sessions, 3_200).await,
        )
        .await?,
    );
    Ok(())
}

/// Both, or the one that the command names.
fn durabilities() -> Vec<Durability> {
    match std::env::args().nth(2).as_deref().and_then(Durability::from_word) {
        Some(durability) => vec![durability],
        None => vec![Durability::Sync, Durability::Os],
    }
}
