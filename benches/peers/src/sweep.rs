//! What readers notice of a sweep: the p99 of a get without one, and while half a million expired sessions are removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jam_bench_harness::{Failure, median, write_table};
use jam_core::{Clock, ManualClock, SessionId, Sessions, SystemClock};
use tempfile::TempDir;

use crate::backends::{fill, open_by};

const STAYING: usize = 100_000;
const EXPIRED: usize = 500_000;
const TURNS: usize = 5;

/// The p99 of a get in microseconds, on 8 tasks until it is done.
async fn getting(sessions: &Sessions, ids: &Arc<Vec<SessionId>>, done: &Arc<AtomicBool>) -> Result<f64, Failure> {
    let mut tasks = Vec::new();
    for task in 0..8 {
        let (sessions, ids, done) = (sessions.clone(), Arc::clone(ids), Arc::clone(done));
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            let mut number = task * 7919;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                sessions.get(&ids[number % ids.len()]).await?.ok_or("lost")?;
                times.push(start.elapsed().as_secs_f64() * 1e6);
                number += 31;
                // A store in memory never waits, and the sweep wants a turn.
                tokio::task::yield_now().await;
            }
            Ok::<_, Failure>(times)
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() * 99 / 100).copied().ok_or("no get at all")?)
}

/// Without and with a sweep, and the seconds of the sweep.
async fn turn(sessions: &Sessions, clock: &Arc<ManualClock>, ids: &Arc<Vec<SessionId>>) -> Result<[f64; 3], Failure> {
    let ttl = Duration::from_secs(1);
    let passing = Sessions::builder_on(Arc::clone(sessions.store()));
    fill(
        &passing.clock(Arc::clone(clock) as Arc<dyn Clock>).ttl(ttl).build()?,
        EXPIRED,
    )
    .await?;
    clock.advance(ttl);
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.store(true, Ordering::Relaxed);
    });
    let without = getting(sessions, ids, &done).await?;
    let done = Arc::new(AtomicBool::new(false));
    let (stop, sweeping) = (Arc::clone(&done), sessions.clone());
    let sweep = tokio::spawn(async move {
        let start = Instant::now();
        let removed = sweeping.remove_expired().await;
        stop.store(true, Ordering::Relaxed);
        Ok::<_, Failure>((removed?, start.elapsed().as_secs_f64()))
    });
    let during = getting(sessions, ids, &done).await?;
    let (removed, seconds) = sweep.await??;
    if usize::try_from(removed)? != EXPIRED {
        return Err(format!("{removed} swept").into());
    }
    Ok([without, during, seconds])
}

pub(crate) async fn measure() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for name in ["memory", "json-file", "sqlite"] {
        let directory = TempDir::new_in("target")?;
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let backend = open_by(name, directory.path(), Arc::clone(&clock) as Arc<dyn Clock>).await?;
        let builder = Sessions::builder_on(backend.store).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let sessions = builder.ttl(Duration::from_hours(10)).build()?;
        let ids = Arc::new(fill(&sessions, STAYING).await?);
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            turns.push(turn(&sessions, &clock, &ids).await?);
        }
        let of = |which: usize| median(turns.iter().map(|turn| turn[which]).collect());
        rows.push(vec![
            name.to_owned(),
            format!("{:.1} µs", of(0)),
            format!("{:.1} µs", of(1)),
            format!(
                "{:.2}",
                median(turns.iter().map(|[without, during, _]| during / without).collect())
            ),
            format!("{:.2} s", of(2)),
        ]);
    }
    write_table(
        "sweep",
        &["store", "p99 of a get", "while it sweeps", "ratio", "time of the sweep"],
        &rows,
    )
}
