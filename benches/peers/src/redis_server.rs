//! Stores on a Redis or Valkey server of their own.

use axum_session_redispool::SessionRedisPool;
use fred::prelude::{Builder, ClientLike, Config, Pool};
use jam_bench_harness::{About, Contestant, Failure, Jam, Local, Part, Python, Settings, compete};
use jam_core::Sessions;
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};
use redis_pool::{RedisPool, SingleRedisPool};
use tower_sessions_redis_store::RedisStore as TowerRedis;

use crate::actix::Actix;
use crate::axum_session::AxumSession;
use crate::redis_raw::Raw;
use crate::tower::old::Tower;

pub(crate) async fn measure(kind: Kind, tasks: usize) -> Result<(), Failure> {
    let server = Server::start(kind);
    let url = server.url();
    let settings = Settings::in_more_turns(tasks);
    let mut contestants: Vec<Box<dyn Contestant>> = vec![
        Local::timed(Jam::new(
            About::jam(
                "jam",
                match kind {
                    Kind::Old => "one hash per user, one connection; the expiry is in the value, and scripts judge it",
                    _ => "one hash per user, one connection; fields expire",
                },
            ),
            Sessions::new(RedisStore::open(&url).await?),
        )),
        Local::timed(Raw::open(&url, kind).await?),
    ];
    let client = Builder::from_config(Config::from_url(&url)?).build()?;
    client.init().await?;
    contestants.push(Local::timed(Tower::new(
        About::peer(
            "tower-sessions-redis-store, one client",
            "a key per session, SET EX; fred, one connection",
        ),
        TowerRedis::new(client),
    )));
    let pool = Pool::new(Config::from_url(&url)?, None, None, None, 6)?;
    pool.init().await?;
    contestants.push(Local::timed(Tower::new(
        About::peer(
            "tower-sessions-redis-store, pool of 6",
            "a key per session, SET EX; fred, the pool of its README",
        ),
        TowerRedis::new(pool),
    )));
    contestants.push(Local::timed(Actix::open(&url).await?));
    let pool: SingleRedisPool = RedisPool::from(redis::Client::open(url.as_str())?);
    contestants.push(Local::timed(
        AxumSession::open(
            About::peer(
                "axum_session_redispool",
                "a key per session, SET and EXPIREAT in a transaction; redis_pool as it comes, which pings before each call",
            ),
            SessionRedisPool::from(pool),
        )
        .await?,
    ));
    if kind == Kind::New {
        // It needs fields that expire.
        contestants.push(Python::start(
            About::peer(
                "jamlib, Redis",
                "Python; one hash per user, HSET then HEXPIRE; a thread per task",
            ),
            &["jamlib-redis", &url],
        )?);
        contestants.push(Python::start(
            About::peer(
                "jamlib, aio Redis",
                "Python, asyncio; one hash per user, HSET then HEXPIRE",
            ),
            &["jamlib-aio-redis", &url],
        )?);
    }
    let name = match kind {
        Kind::Old => "redis-old",
        _ => "redis-new",
    };
    compete(Part::new(name).on(version(&server)), &settings, contestants).await
}

/// Name and version, as the server tells them.
pub(crate) fn version(server: &Server) -> String {
    let info = server.command(&["INFO", "server"]);
    let line = |name: &str| {
        info.text()
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::to_owned)
    };
    match line("valkey_version:") {
        Some(version) => format!("Valkey {}", version.trim()),
        None => format!("Redis {}", line("redis_version:").unwrap_or_default().trim()),
    }
}
