//! The near cache of jam-redis: `cargo run --release --bin near_cache` in this directory; `-- rates` or `-- staleness` for a part.
//!
//! First how many reads a second at 64 tasks of which 95 in 100 are hits, against jam-redis without it and against
//! tower-sessions' and actix-session's Redis stores, turn by turn on one server. Then for how long a session is still seen after
//! another process has ended it: from when that process has its answer, while nobody else reads, and while 64 tasks do.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

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
const USERS: usize = 2_000;
/// Sessions that are read again and again, and such that are read once: a turn reads 19 of those for one of these.
const HOT: usize = 9_984;
const COLD: usize = 2_496;
const TURNS: usize = 5;
const REVOCATIONS: usize = 10_000;

fn data() -> Value {
    json!({
        "role": "admin", "browser": "Firefox 130 on Linux", "place": "Lisbon", "language": "pt-PT", "visits": 17,
        "cart": [{"item": 4711, "count": 2}, {"item": 815, "count": 1}], "theme": "dark", "csrf": "5f2b1c9a7e",
    })
}

enum Library {
    /// Whether each read also parses all of the data; jam does when it is asked for, the others always do.
    Jam(Sessions, bool),
    Tower(TowerStore<Client>),
    Actix(RedisSessionStore),
}

#[derive(Clone)]
enum Held {
    Jam(SessionId),
    Tower(Id),
    Actix(Arc<SessionKey>),
}

impl Library {
    async fn create(&self, number: usize) -> Result<Held, Failure> {
        let Value::Object(fields) = data() else {
            return Err("no object".into());
        };
        Ok(match self {
            Self::Jam(sessions, _) => Held::Jam(sessions.create(format!("user{}", number % USERS), fields).await?),
            Self::Tower(store) => {
                let mut record = Record {
                    id: Id::default(),
                    data: fields.into_iter().collect(),
                    expiry_date: OffsetDateTime::now_utc() + Duration::hours(1),
                };
                store.create(&mut record).await?;
                Held::Tower(record.id)
            }
            Self::Actix(store) => {
                let state: HashMap<_, _> = fields
                    .into_iter()
                    .map(|(name, value)| (name, value.to_string()))
                    .collect();
                let key = store.save(state, &Duration::hours(1)).await;
                Held::Actix(Arc::new(key.map_err(|error| error.to_string())?))
            }
        })
    }

    async fn get(&self, held: &Held) -> Result<(), Failure> {
        match (self, held) {
            (Self::Jam(sessions, parses), Held::Jam(id)) => {
                let session = sessions.get(id).await?.ok_or("gone")?;
                if *parses {
                    session.data()?;
                }
            }
            (Self::Tower(store), Held::Tower(id)) => {
                store.load(id).await?.ok_or("gone")?;
            }
            (Self::Actix(store), Held::Actix(key)) => {
                store
                    .load(key)
                    .await
                    .map_err(|error| error.to_string())?
                    .ok_or("gone")?;
            }
            _ => return Err("somebody else's session".into()),
        }
        Ok(())
    }
}

async fn fill(library: &Arc<Library>, count: usize) -> Result<Vec<Held>, Failure> {
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let library = Arc::clone(library);
        tasks.push(tokio::spawn(async move {
            let mut held = Vec::new();
            for number in 0..count / TASKS {
                held.push(library.create(task * 1_000 + number).await?);
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

/// Reads a second: each task reads sessions of its own, 19 that it has read before and then one that nobody has.
async fn turn(library: &Arc<Library>, hot: &[Held], cold: &[Held]) -> Result<f64, Failure> {
    let mut tasks = Vec::new();
    // Everybody has the connection, and has read what is to be hits.
    for part in hot.chunks(hot.len() / TASKS) {
        let (library, part) = (Arc::clone(library), part.to_vec());
        tasks.push(tokio::spawn(async move {
            for held in part.iter().chain(&part) {
                library.get(held).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks.drain(..) {
        task.await??;
    }
    let start = Instant::now();
    for (hot, cold) in hot.chunks(hot.len() / TASKS).zip(cold.chunks(cold.len() / TASKS)) {
        let (library, hot, cold) = (Arc::clone(library), hot.to_vec(), cold.to_vec());
        tasks.push(tokio::spawn(async move {
            let mut again = hot.iter().cycle();
            for once in &cold {
                for held in again.by_ref().take(19) {
                    library.get(held).await?;
                }
                library.get(once).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok((20 * cold.len()) as f64 / start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn rates(kind: Kind, name: &str) -> Result<(), Failure> {
    let server = Server::start(kind);
    let near = RedisStore::options(server.url()).near_cache(20_000).open().await?;
    let client = Builder::from_config(Config::from_url(&server.url())?).build()?;
    client.init().await?;
    let actix = RedisSessionStore::new(server.url())
        .await
        .map_err(|error| error.to_string())?;
    let near = Sessions::new(near);
    let plain = Sessions::new(RedisStore::open(server.url()).await?);
    let names = [
        "near cache",
        "near cache, all data parsed",
        "jam-redis",
        "jam-redis, all data parsed",
        "tower-sessions-redis-store",
        "actix-session",
    ];
    let libraries = [
        Library::Jam(near.clone(), false),
        Library::Jam(near, true),
        Library::Jam(plain.clone(), false),
        Library::Jam(plain, true),
        Library::Tower(TowerStore::new(client)),
        Library::Actix(actix),
    ]
    .map(Arc::new);
    let mut rates = [const { Vec::new() }; 6];
    for number in 0..=TURNS {
        for step in 0..libraries.len() {
            let which = (number + step) % libraries.len();
            let hot = fill(&libraries[which], HOT).await?;
            let cold = fill(&libraries[which], COLD).await?;
            let rate = turn(&libraries[which], &hot, &cold).await?;
            // The first turn warms up.
            if number > 0 {
                rates[which].push(rate);
            }
            server.command(&["FLUSHALL"]);
        }
    }
    for (which, other) in names.iter().enumerate() {
        let against = |near: usize| {
            let mut ratios: Vec<f64> = rates[near]
                .iter()
                .zip(&rates[which])
                .map(|(near, other)| near / other)
                .collect();
            ratios.sort_by(f64::total_cmp);
            let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
            format!("{:.2} ({least:.2} to {most:.2})", median(ratios))
        };
        let rate = median(rates[which].clone());
        println!("| {name} | {other} | {rate:.0} | {} | {} |", against(0), against(1));
    }
    Ok(())
}

fn since_epoch() -> Result<u64, Failure> {
    Ok(SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_nanos()
        .try_into()?)
}

/// The other process: ends the sessions whose ids it reads, and says when it had the answer.
async fn revoke(url: &str) -> Result<(), Failure> {
    let sessions = Sessions::new(RedisStore::open(url).await?);
    let mut out = std::io::stdout();
    for id in std::io::stdin().lines() {
        if !sessions.delete(&id?).await? {
            return Err("there was none".into());
        }
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
        let mut child = command.arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn staleness(kind: Kind, name: &str, load: bool) -> Result<(), Failure> {
    let server = Server::start(kind);
    let sessions = Sessions::new(RedisStore::options(server.url()).near_cache(20_000).open().await?);
    let library = Arc::new(Library::Jam(sessions.clone(), false));
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    if load {
        let held = fill(&library, HOT).await?;
        for part in held.chunks(held.len() / TASKS) {
            let (library, stop, part) = (Arc::clone(&library), Arc::clone(&stop), part.to_vec());
            readers.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    for held in &part {
                        library.get(held).await?;
                        // A request has other things to do as well.
                        tokio::task::yield_now().await;
                    }
                }
                Ok::<_, Failure>(())
            }));
        }
    }
    let mut other = Other::start(&server.url())?;
    let mut stale = Vec::with_capacity(REVOCATIONS);
    for number in 0..REVOCATIONS {
        let id = sessions.create(format!("revoked{}", number % 100), data()).await?;
        // Until it is kept.
        for _ in 0..3 {
            sessions.get(&id).await?.ok_or("gone")?;
        }
        writeln!(other.ids, "{}", id.as_str())?;
        other.ids.flush()?;
        let mut seen = 0;
        loop {
            let asked = since_epoch()?;
            if sessions.get(&id).await?.is_none() {
                break;
            }
            seen = asked;
            tokio::task::yield_now().await;
        }
        let mut answered = String::new();
        tokio::task::block_in_place(|| other.answers.read_line(&mut answered))?;
        stale.push(seen.saturating_sub(answered.trim().parse()?));
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await??;
    }
    stale.sort_unstable();
    let at = |share: f64| stale[((stale.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    let never = stale.iter().filter(|stale| **stale == 0).count();
    println!(
        "| {name} | {} | {never} of {REVOCATIONS} | {:.0} us | {:.0} us | {:.0} us |",
        if load { "64 readers" } else { "idle" },
        at(0.5),
        at(0.99),
        at(1.0),
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    if let Some(url) = std::env::args()
        .nth(1)
        .filter(|argument| argument.starts_with("redis://"))
    {
        return revoke(&url).await;
    }
    let servers = [(Kind::New, "new (Valkey 9.1)"), (Kind::Old, "old (Redis 7.0)")];
    let part = std::env::args().nth(1);
    let wanted = |name| part.as_deref().is_none_or(|part| part == name);
    if wanted("rates") {
        print_rates(&servers).await?;
    }
    if wanted("staleness") {
        print_staleness(&servers).await?;
    }
    Ok(())
}

async fn print_rates(servers: &[(Kind, &str)]) -> Result<(), Failure> {
    println!("| server | what | get/s | near cache against it | near cache with all data parsed against it |");
    println!("|---|---|---|---|---|");
    for (kind, name) in servers {
        rates(*kind, name).await?;
    }
    Ok(())
}

async fn print_staleness(servers: &[(Kind, &str)]) -> Result<(), Failure> {
    println!("| server | readers | not seen again at all | seen for, p50 | p99 | at most |");
    println!("|---|---|---|---|---|---|");
    for (kind, name) in servers {
        for load in [false, true] {
            staleness(*kind, name, load).await?;
        }
    }
    Ok(())
}
