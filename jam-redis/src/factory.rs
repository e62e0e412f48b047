//! Opening a `RedisStore` by name, from a config or a URL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jam_core::{Finding, Result, SessionStore, StoreConfig, StoreFactory};
use serde_json::Value;

use crate::{RedisOptions, diagnosis};

/// Opens [`RedisStore`](crate::RedisStore)s by name: `redis`, and every URL that [`RedisOptions`] reads.
///
/// | field | meaning | default |
/// |---|---|---|
/// | `redis_uri` | the URL, where the backend is chosen by name | `redis://127.0.0.1:6379/0` |
/// | `session_path` | what the names of the hashes begin with | `sessions` |
/// | `username`, `password`, `database` | in place of those in the URL; a user has a password | |
/// | `sentinel_username`, `sentinel_password` | what the sentinels ask for, for a URL of sentinels | |
/// | `connect_timeout`, `response_timeout` | seconds | 2 |
/// | `idle_check` | seconds of silence after which a connection is asked whether it still stands | 15 |
/// | `connect_lazily` | whether the store opens although no server answers | false |
/// | `wait_replicas` | replicas that must have the end or the rework of a session before it is acknowledged | 0 |
/// | `wait_timeout` | seconds that may take, beside `wait_replicas` | 1 |
/// | `near_cache` | how many sessions that were read stay in this process (feature `near-cache`) | 0 |
/// | `near_cache_staleness` | seconds after which what others changed shows, whatever happens | 1 |
/// | `tls_ca`, `tls_cert`, `tls_key` | PEM files, for a `rediss` URL (feature `tls`) | the system's authorities |
///
/// The layout is the manager's setting; it comes with the config ([`StoreConfig::layout`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct RedisFactory;

#[async_trait]
impl StoreFactory for RedisFactory {
    fn names(&self) -> &'static [&'static str] {
        &[
            "redis",
            "rediss",
            "valkey",
            "valkeys",
            "unix",
            "redis+unix",
            "valkey+unix",
            "redis+sentinel",
            "rediss+sentinel",
            "valkey+sentinel",
            "valkeys+sentinel",
            "redis+cluster",
            "rediss+cluster",
            "valkey+cluster",
            "valkeys+cluster",
        ]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        Ok(Arc::new(options(config)?.open().await?))
    }

    async fn diagnose(&self, config: &mut StoreConfig) -> Result<Vec<Finding>> {
        let key = config.peek("tls_key").and_then(Value::as_str).map(PathBuf::from);
        let options = options(config)?;
        let mut findings: Vec<_> = key
            .and_then(|key| Finding::of_file("key file", &key))
            .into_iter()
            .collect();
        findings.extend(diagnosis::of(options).await);
        Ok(findings)
    }
}

/// What the fields say, all of which are known afterwards, before anything is opened: a mistake in the config shall not
/// show as a server that is away.
fn options(config: &mut StoreConfig) -> Result<RedisOptions> {
    let url = match (config.string("redis_uri")?, config.url()) {
        (Some(_), Some(_)) => return Err(config.invalid("redis_uri", "left out where the URL says it all")),
        (Some(url), None) => url,
        // Its fields are among those taken below.
        (None, Some(url)) => url.split('?').next().unwrap_or_default().to_owned(),
        (None, None) => "redis://127.0.0.1:6379/0".to_owned(),
    };
    let mut options = RedisOptions::new(url);
    if let Some(path) = config.string("session_path")? {
        options = options.session_path(path);
    }
    if let Some(username) = config.string("username")? {
        options = options.username(username);
    }
    if let Some(password) = config.string("password")? {
        options = options.password(password);
    }
    if let Some(database) = config.integer("database", 0..=1_000_000)? {
        options = options.database(i64::try_from(database).unwrap_or_default());
    }
    if let Some(username) = config.string("sentinel_username")? {
        options = options.sentinel_username(username);
    }
    if let Some(password) = config.string("sentinel_password")? {
        options = options.sentinel_password(password);
    }
    if let Some(timeout) = config.seconds("connect_timeout")? {
        options = options.connect_timeout(timeout);
    }
    if let Some(timeout) = config.seconds("response_timeout")? {
        options = options.response_timeout(timeout);
    }
    if let Some(silence) = config.seconds("idle_check")? {
        options = options.idle_check(silence);
    }
    if let Some(lazily) = config.boolean("connect_lazily")? {
        options = options.connect_lazily(lazily);
    }
    let replicas = config.integer("wait_replicas", 0..=100)?;
    let within = config.seconds("wait_timeout")?;
    if within.is_some() && replicas.is_none() {
        return Err(config.invalid("wait_timeout", "left out, unless `wait_replicas` is set"));
    }
    let replicas = u32::try_from(replicas.unwrap_or_default()).unwrap_or_default();
    options = options.wait_replicas(replicas, within.unwrap_or(Duration::from_secs(1)));
    options = options.layout(config.layout());
    let options = near_cache(config, options)?;
    #[cfg(feature = "tls")]
    let options = certificates(config, options)?;
    config.finish()?;
    Ok(options)
}

fn near_cache(config: &mut StoreConfig, options: RedisOptions) -> Result<RedisOptions> {
    let sessions = config.integer("near_cache", 0..=1 << 40)?;
    let bound = config.seconds("near_cache_staleness")?;
    if bound.is_some() && sessions.is_none() {
        return Err(config.invalid("near_cache_staleness", "left out, unless `near_cache` is set"));
    }
    #[cfg(feature = "near-cache")]
    let options = options
        .near_cache(sessions.unwrap_or_default())
        .near_cache_staleness(bound.unwrap_or(Duration::from_secs(1)));
    #[cfg(not(feature = "near-cache"))]
    if sessions.is_some_and(|sessions| sessions > 0) {
        let expected = "left out, or jam-redis built with the feature `near-cache` (of jam too)";
        return Err(config.invalid("near_cache", expected));
    }
    Ok(options)
}

#[cfg(feature = "tls")]
fn certificates(config: &mut StoreConfig, mut options: RedisOptions) -> Result<RedisOptions> {
    if let Some(path) = config.string("tls_ca")? {
        options = options.root_certificate(read(config, "tls_ca", &path)?);
    }
    match (config.string("tls_cert")?, config.string("tls_key")?) {
        (Some(certificate), Some(key)) => {
            let certificate = read(config, "tls_cert", &certificate)?;
            options = options.client_certificate(certificate, read(config, "tls_key", &key)?);
        }
        (None, None) => {}
        (Some(_), None) => return Err(config.invalid("tls_key", "given beside `tls_cert`")),
        (None, Some(_)) => return Err(config.invalid("tls_cert", "given beside `tls_key`")),
    }
    Ok(options)
}

#[cfg(feature = "tls")]
fn read(config: &StoreConfig, field: &str, path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| config.invalid(field, "a PEM file that can be read").with_source(error))
}
