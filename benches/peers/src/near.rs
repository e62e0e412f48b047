//! The near cache of jam-redis: reads of which 95 in 100 are hits, against jam without it and against other libraries, and for
//! how long a session is still seen after another process has ended it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use fred::prelude::{Builder, ClientLike, Config};
use jam_bench_harness::{About, Failure, Jam, Library, Measured, Operation, Part, Row, data, write_table};
use jam_core::Sessions;
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};
use tower_sessions_redis_store::RedisStore as TowerRedis;

use crate::actix::Actix;
use crate::backends::fill;
use crate::redis_server::version;
use crate::tower::old::Tower;

const TASKS: usize = 64;
const TURNS: usize = 5;
const KEPT: u64 = 50_000;
/// Sessions that a task reads again and again, and such that it reads once: 19 of those for one of these. Enough of them that a
/// turn takes most of a second: in the first tenth both cores are still busy with what the reads before it left behind.
const HOT: usize = 156;
const COLD: usize = 500;
const REVOCATIONS: usize = 5_000;

/// Reads of one library.
#[async_trait]
trait Reads: Send + Sync {
    fn about(&self) -> About;

    /// Reads a second, with sessions of this turn's own.
    async fn turn(&self, operation: Operation) -> Result<f64, Failure>;
}

struct Mixed<L>(Arc<L>);

impl<L: Library> Mixed<L> {
    fn boxed(library: L) -> Box<dyn Reads> {
        Box::new(Self(Arc::new(library)))
    }
}

#[async_trait]
impl<L: Library> Reads for Mixed<L> {
    fn about(&self) -> About {
        self.0.about()
    }

    async fn turn(&self, operation: Operation) -> Result<f64, Failure> {
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let library = Arc::clone(&self.0);
            tasks.push(tokio::spawn(async move {
                let (mut hot, mut cold) = (Vec::new(), Vec::new());
                for number in 0..HOT {
                    hot.push(library.create(task * HOT + number).await?);
                }
                for number in 0..COLD {
                    cold.push(library.create(task * COLD + number).await?);
                }
                Ok::<_, Failure>((hot, cold))
            }));
        }
        let mut made = Vec::new();
        for task in tasks {
            made.push(task.await??);
        }
        // What is to be hits has been read before, and after the last session of its user was made, which makes forget.
        let mut tasks = Vec::new();
        for (mut hot, cold) in made {
            let library = Arc::clone(&self.0);
            tasks.push(tokio::spawn(async move {
                for id in &mut hot {
                    library.run(operation, id).await?;
                    library.run(operation, id).await?;
                }
                Ok::<_, Failure>((hot, cold))
            }));
        }
        let mut held = Vec::new();
        for task in tasks {
            held.push(task.await??);
        }
        let start = Instant::now();
        let mut tasks = Vec::new();
        for (mut hot, cold) in held {
            let library = Arc::clone(&self.0);
            tasks.push(tokio::spawn(async move {
                let mut number = 0;
                for mut id in cold {
                    for _ in 0..19 {
                        library.run(operation, &mut hot[number % HOT]).await?;
                        number += 1;
                    }
                    library.run(operation, &mut id).await?;
                }
                Ok::<_, Failure>(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let reads = (20 * COLD * TASKS) as f64;
        Ok(reads / start.elapsed().as_secs_f64())
    }
}

/// How many reads a second.
pub(crate) async fn rates(kind: Kind) -> Result<(), Failure> {
    let server = Server::start(kind);
    let near = RedisStore::options(server.url()).near_cache(KEPT).open().await?;
    let client = Builder::from_config(Config::from_url(&server.url())?).build()?;
    client.init().await?;
    let libraries = [
        Mixed::boxed(Jam::new(
            About::jam(
                "jam, near cache",
                "up to 50,000 sessions kept in the process; the server tells what changes",
            ),
            Sessions::new(near),
        )),
        Mixed::boxed(Jam::new(
            About::jam("jam", "without the near cache"),
            Sessions::new(RedisStore::open(server.url()).await?),
        )),
        Mixed::boxed(Tower::new(
            About::peer("tower-sessions-redis-store, one client", "it has no cache"),
            TowerRedis::new(client),
        )),
        Mixed::boxed(Actix::open(&server.url()).await?),
    ];
    let operations = [Operation::Get, Operation::Read];
    let mut rates = vec![[const { Vec::new() }; 2]; libraries.len()];
    for number in 0..=TURNS {
        for (place, operation) in operations.into_iter().enumerate() {
            for step in 0..libraries.len() {
                let who = (number + step) % libraries.len();
                let rate = libraries[who].turn(operation).await?;
                // The first turn warms up.
                if number > 0 {
                    rates[who][place].push(rate);
                }
                server.command(&["FLUSHALL"]);
            }
        }
    }
    let measured = |rates: [Vec<f64>; 2]| {
        let of = |(operation, rates): (Operation, Vec<f64>)| Measured {
            operation: operation.name().to_owned(),
            rates,
            p50: None,
            p99: None,
        };
        operations.into_iter().zip(rates).map(of).collect()
    };
    let rows: Vec<Row> = libraries
        .iter()
        .zip(rates)
        .map(|(library, rates)| Row {
            about: library.about(),
            measured: measured(rates),
        })
        .collect();
    let part = if kind == Kind::Old { "near-old" } else { "near-new" };
    Part::new(part).on(version(&server)).write(TASKS, &rows)
}

fn since_epoch() -> Result<u64, Failure> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(now.as_nanos().try_into()?)
}

/// The other process: ends the sessions whose ids it reads, and says when it had the answer.
pub(crate) async fn revoke(url: &str) -> Result<(), Failure> {
    let sessions = Sessions::new(RedisStore::open(url).await?);
    let mut out = std::io::stdout();
    for id in std::io::stdin().lines() {
        sessions.delete(&id?).await?.then_some(()).ok_or("there was none")?;
        writeln!(out, "{}", since_epoch()?)?;
        out.flush()?;
    }
    Ok(())
}

struct Other {
    child: Child,
    ids: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Other {
    fn start(url: &str) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.args(["near-revoking", url]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (ids, answers) = (
            child.stdin.take().ok_or("no pipe")?,
            child.stdout.take().ok_or("no pipe")?,
        );
        Ok(Self {
            child,
            ids,
            answers: BufReader::new(answers),
        })
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For how many nanoseconds each session was still seen.
async fn seen(sessions: &Sessions, url: &str) -> Result<Vec<u64>, Failure> {
    let mut other = Other::start(url)?;
    let mut stale = Vec::with_capacity(REVOCATIONS);
    for number in 0..REVOCATIONS {
        let id = sessions.create(format!("revoked{}", number % 100), data()).await?;
        // Until it is kept.
        for _ in 0..3 {
            sessions.get(&id).await?.ok_or("gone")?;
        }
        writeln!(other.ids, "{}", id.as_str())?;
        other.ids.flush()?;
        let mut last = 0;
        loop {
            let asked = since_epoch()?;
            if sessions.get(&id).await?.is_none() {
                break;
            }
            last = asked;
            tokio::task::yield_now().await;
        }
        let mut answered = String::new();
        tokio::task::block_in_place(|| other.answers.read_line(&mut answered))?;
        stale.push(last.saturating_sub(answered.trim().parse()?));
    }
    stale.sort_unstable();
    Ok(stale)
}

async fn staleness_on(kind: Kind, load: bool) -> Result<Vec<String>, Failure> {
    let server = Server::start(kind);
    let sessions = Sessions::new(RedisStore::options(server.url()).near_cache(KEPT).open().await?);
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    if load {
        for ids in fill(&sessions, TASKS * HOT).await?.chunks(HOT) {
            let (sessions, stop, ids) = (sessions.clone(), Arc::clone(&stop), ids.to_vec());
            readers.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    for id in &ids {
                        sessions.get(id).await?.ok_or("gone")?;
                        // A request has other things to do as well.
                        tokio::task::yield_now().await;
                    }
                }
                Ok::<_, Failure>(())
            }));
        }
    }
    let stale = seen(&sessions, &server.url()).await?;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await??;
    }
    let at = |percent: usize| format!("{} µs", stale[(stale.len() - 1) * percent / 100] / 1_000);
    let never = stale.iter().filter(|&&stale| stale == 0).count();
    Ok(vec![
        version(&server),
        if load { "64 tasks read" } else { "nobody else reads" }.to_owned(),
        format!("{never} of {REVOCATIONS}"),
        at(50),
        at(99),
        at(100),
    ])
}

/// For how long a session is still seen.
pub(crate) async fn staleness() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for kind in [Kind::New, Kind::Old] {
        for load in [false, true] {
            rows.push(staleness_on(kind, load).await?);
        }
    }
    let columns = [
        "server",
        "meanwhile",
        "not seen again at all",
        "seen for, p50",
        "p99",
        "at most",
    ];
    write_table("staleness", &columns, &rows)
}
