//! Whether anything grows under churn: sessions that live for a second are created at full rate and swept, and memory and files
//! are looked at meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jam_bench_harness::{Failure, data, write_table};
use jam_core::Sessions;
use tempfile::TempDir;

use crate::backends::{Backend, open};
use crate::footprint::{resident, taken, used};

const TTL: Duration = Duration::from_secs(1);
const SAMPLES: u32 = 200;

/// The last quarter may have so much more than the one before it that had most, and than the first one where each had more than
/// the one before: how many sessions there are at once, of those that live for a second, depends on what else the machine does.
const CHANCE: f64 = 1.1;

struct Sample {
    process: usize,
    kept: usize,
}

pub(crate) async fn measure(name: &str, seconds: u64) -> Result<(), Failure> {
    let directory = TempDir::new_in("target")?;
    let Backend { store, server } = open(name, directory.path()).await?;
    let sessions = Sessions::builder_on(store).ttl(TTL).build()?;
    let (done, created) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for task in 0..64_u64 {
        let (sessions, done, created) = (sessions.clone(), Arc::clone(&done), Arc::clone(&created));
        tasks.push(tokio::spawn(async move {
            let data = data();
            let mut number = task;
            while !done.load(Ordering::Relaxed) {
                sessions.create(format!("user{}", number / 5), &data).await?;
                number += 64;
                created.fetch_add(1, Ordering::Relaxed);
                // A store in memory never waits, and others want a turn.
                if number % 1_024 < 64 {
                    tokio::task::yield_now().await;
                }
            }
            Ok::<_, Failure>(())
        }));
    }
    tokio::spawn(sessions.clone().sweep_every(TTL, tokio::time::sleep));
    // What comes with the first of them is not growth.
    let length = Duration::from_secs(seconds);
    tokio::time::sleep(length / 20 + 3 * TTL).await;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        tokio::time::sleep(length / SAMPLES).await;
        let kept = match &server {
            Some(server) => used(server)?,
            None => taken(directory.path())?,
        };
        samples.push(Sample {
            process: resident()?,
            kept,
        });
    }
    let in_all = created.load(Ordering::Relaxed);
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    write_table(
        &format!("churn-{name}"),
        &[
            "store",
            "length",
            "sessions",
            "memory of the process, MiB, by quarters",
            "files or server, MiB, by quarters",
            "",
        ],
        &[row(name, length, in_all, &samples)],
    )
}

#[expect(clippy::cast_precision_loss, reason = "shown in MiB")]
fn row(name: &str, length: Duration, created: u64, samples: &[Sample]) -> Vec<String> {
    let quarter = samples.len() / 4;
    let mean = |samples: &[Sample], of: fn(&Sample) -> usize| {
        samples.iter().map(of).sum::<usize>() as f64 / samples.len() as f64 / f64::from(1 << 20)
    };
    let mut grew = false;
    let mut both = |of: fn(&Sample) -> usize| {
        let quarters: Vec<_> = samples.chunks(quarter).map(|samples| mean(samples, of)).collect();
        let (last, before) = quarters.split_last().unwrap_or((&0.0, &[]));
        let more_than = |before: &f64| *last > before * CHANCE + 1.0;
        grew |= before.iter().all(more_than) || quarters.is_sorted() && before.first().is_some_and(more_than);
        let quarters: Vec<_> = quarters.iter().map(|mean| format!("{mean:.1}")).collect();
        quarters.join(", ")
    };
    let (process, kept) = (both(|sample| sample.process), both(|sample| sample.kept));
    let verdict = if grew { "**grows**" } else { "flat" };
    vec![
        name.to_owned(),
        format!("{} min", length.as_secs() / 60),
        format!("{:.1} million", created as f64 / 1e6),
        process,
        kept,
        verdict.to_owned(),
    ]
}
