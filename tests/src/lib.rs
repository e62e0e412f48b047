//! Setting the stage for tests that run on every store.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a stage that cannot be set fails the test"
)]

mod hooked;
mod recorder;
mod turned;
#[cfg(feature = "everything")]
pub mod web;

use std::sync::Arc;
#[cfg(feature = "everything")]
use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use jam::{Clock, ErrorKind, ManualClock, MemoryStore, SessionStore, Sessions, SessionsBuilder, Timestamp};
use jam_crypto::{AesIds, AesSealer, KeyRing};
use serde_json::Value;
use tempfile::TempDir;
#[cfg(feature = "everything")]
use {
    jam_core::Durability,
    jam_json::{JsonDir, JsonFile},
    jam_redis::RedisStore,
    jam_sqlite::SqliteStore,
    jam_test_servers::{Kind, Server},
};

pub use self::hooked::Hooked;
pub use self::recorder::Recorder;
pub use self::turned::Turned;
pub use jam_test_trials::Trials;

/// An open store of some kind, the clock it goes by, and the directory it lives in.
#[derive(Debug)]
pub struct Stage {
    /// Turn it instead of sleeping.
    pub clock: Arc<ManualClock>,
    /// The store.
    pub store: Arc<dyn SessionStore>,
    directory: TempDir,
    ring: Option<KeyRing>,
}

impl Stage {
    /// The moment every stage begins at: 2026-01-01 00:00:00 UTC.
    pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

    /// The in-memory store.
    pub async fn memory() -> Self {
        Self::set(async |clock, _| Arc::new(MemoryStore::with_clock(clock)) as Arc<dyn SessionStore>).await
    }

    /// The in-memory store, with ids and data encrypted.
    pub async fn encrypted() -> Self {
        let key = jam_crypto::generate_aes_key().expect("a key");
        Self {
            ring: Some(key.parse().expect("a ring")),
            ..Self::memory().await
        }
    }

    /// One JSON file.
    #[cfg(feature = "everything")]
    pub async fn json_file() -> Self {
        Self::set(async |clock, directory| {
            let options = JsonFile::options(directory.path().join("sessions.json"));
            let store = options
                .durability(Durability::Os)
                .clock(clock)
                .open()
                .await
                .expect("JsonFile opens");
            Arc::new(store) as Arc<dyn SessionStore>
        })
        .await
    }

    /// One file per session.
    #[cfg(feature = "everything")]
    pub async fn json_dir() -> Self {
        Self::set(async |clock, directory| {
            let options = JsonDir::options().storage_path(directory.path().join("sessions"));
            let store = options
                .durability(Durability::Os)
                .clock(clock)
                .open()
                .await
                .expect("JsonDir opens");
            Arc::new(store) as Arc<dyn SessionStore>
        })
        .await
    }

    /// Redis whose hash fields cannot expire.
    #[cfg(feature = "everything")]
    pub async fn redis_old() -> Self {
        static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(Kind::Old));
        Self::redis(&SERVER).await
    }

    /// Valkey whose hash fields can.
    #[cfg(feature = "everything")]
    pub async fn redis_new() -> Self {
        static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(Kind::New));
        Self::redis(&SERVER).await
    }

    /// A path of its own on a server that a whole test program shares.
    #[cfg(feature = "everything")]
    async fn redis(server: &Server) -> Self {
        static STAGES: AtomicU64 = AtomicU64::new(0);
        let path = format!("stage{}", STAGES.fetch_add(1, Ordering::Relaxed));
        Self::set(async |clock, _| {
            let options = RedisStore::options(server.url()).session_path(path);
            let store = options.open().await.expect("RedisStore opens");
            Arc::new(Turned::new(Arc::new(store), clock)) as Arc<dyn SessionStore>
        })
        .await
    }

    /// A SQLite database.
    #[cfg(feature = "everything")]
    pub async fn sqlite() -> Self {
        Self::set(async |clock, directory| {
            let options = SqliteStore::options(directory.path().join("sessions.db"));
            let options = options.durability(Durability::Os).clock(clock);
            Arc::new(options.open().await.expect("SqliteStore opens")) as Arc<dyn SessionStore>
        })
        .await
    }

    async fn set(open: impl AsyncFnOnce(Arc<dyn Clock>, &TempDir) -> Arc<dyn SessionStore>) -> Self {
        let clock = Arc::new(ManualClock::new(Self::START));
        let directory = TempDir::new().expect("a temporary directory");
        let store = open(Arc::clone(&clock) as Arc<dyn Clock>, &directory).await;
        Self {
            clock,
            store,
            directory,
            ring: None,
        }
    }

    /// A manager on the stage's store and clock, with more settings to come.
    pub fn builder(&self) -> SessionsBuilder {
        let builder = Sessions::builder(Arc::clone(&self.store)).clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        match &self.ring {
            Some(ring) => builder
                .ids(AesIds::new(ring.clone()))
                .sealer(AesSealer::new(ring.clone())),
            None => builder,
        }
    }

    /// A manager with the default settings.
    pub fn sessions(&self) -> Sessions {
        self.builder().build().expect("the defaults are right")
    }

    /// What the store is, and whether ids and data are encrypted.
    pub fn name(&self) -> String {
        let encrypted = if self.ring.is_some() { ", encrypted" } else { "" };
        format!("{}{encrypted}", self.store.name())
    }

    /// Turns the clock forward.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Where the store's files are.
    pub fn path(&self) -> &std::path::Path {
        self.directory.path()
    }
}

/// The data of a session, if there is one.
pub async fn data(sessions: &Sessions, id: impl AsRef<str>) -> Option<Value> {
    let session = sessions.get(id).await.expect("the store answers")?;
    Some(Value::Object(session.data().expect("the data is readable").clone()))
}

/// The kind of an error there has to be.
pub fn kind<T>(result: jam::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

/// Waits until it is so, for what happens on threads that nobody can be asked about; fails after 20 seconds.
pub fn eventually(what: &str, so: impl Fn() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a test of each function on each store. The functions take a [`Stage`].
#[macro_export]
macro_rules! on_every_store {
    ($($promise:ident),+ $(,)?) => {
        $crate::on_every_store_but_servers!($($promise),+);
        $crate::on_outer_stores!(redis_old, redis_new: [$($promise),+]);
    };
    (@store $store:ident: [$($promise:ident),+]) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $promise() {
                    super::$promise($crate::Stage::$store().await).await;
                }
            )+
        }
    };
}

/// The same for what no server promises.
#[macro_export]
macro_rules! on_every_store_but_servers {
    ($($promise:ident),+ $(,)?) => {
        $crate::on_every_store!(@store memory: [$($promise),+]);
        $crate::on_every_store!(@store encrypted: [$($promise),+]);
        $crate::on_outer_stores!(json_file, json_dir, sqlite: [$($promise),+]);
    };
}

/// The same for stores that are not in memory, where they are built.
#[cfg(feature = "everything")]
#[doc(hidden)]
#[macro_export]
macro_rules! on_outer_stores {
    ($($store:ident),+: $promises:tt) => {
        $($crate::on_every_store!(@store $store: $promises);)+
    };
}

#[cfg(not(feature = "everything"))]
#[doc(hidden)]
#[macro_export]
macro_rules! on_outer_stores {
    ($($anything:tt)+) => {};
}
