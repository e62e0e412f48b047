//! The stage: a server, jam on it, jamlib on it, and a look past both.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use jam::{Config, Result, Sessions};
use jam_test_servers::{Kind, Reply, Server};
use serde_json::{Map, Value, json};

use crate::python::{Jamlib, Mode, Python};

/// What jamlib calls a session that it does not find.
pub(crate) const NOT_FOUND: &str = "JamSessionNotFound";

/// A place of its own on a server, one of jamlib's modules, and the key if both sides encrypt.
pub(crate) struct Stage {
    server: &'static Server,
    path: String,
    pub(crate) mode: Mode,
    pub(crate) secret: Option<String>,
}

impl Stage {
    /// On a server with field expiry.
    pub(crate) fn new(mode: Mode, encrypted: bool) -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        Self::on(SERVER.get_or_init(|| Server::start(Kind::New)), mode, encrypted)
    }

    /// On a server without.
    pub(crate) fn old(mode: Mode, encrypted: bool) -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        Self::on(SERVER.get_or_init(|| Server::start(Kind::Old)), mode, encrypted)
    }

    fn on(server: &'static Server, mode: Mode, encrypted: bool) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        Self {
            server,
            path: format!("stage{}", COUNTER.fetch_add(1, Ordering::Relaxed)),
            mode,
            secret: encrypted.then(|| jam::crypto::generate_aes_key().unwrap()),
        }
    }

    /// A manager of jam as a configuration makes it, with this ttl and more fields.
    pub(crate) async fn try_jam(&self, ttl: Option<u64>, more: Value) -> Result<Sessions> {
        let mut fields = Map::new();
        fields.insert("session_type".into(), json!("redis"));
        fields.insert("redis_uri".into(), json!(self.server.url()));
        fields.insert("redis_sessions_key".into(), json!(self.path));
        fields.insert("layout".into(), json!("jamlib"));
        fields.insert("ttl".into(), ttl.map_or(json!("none"), |ttl| json!(ttl)));
        if let Some(secret) = &self.secret {
            fields.insert("is_session_crypt".into(), json!(true));
            fields.insert("session_aes_secret".into(), json!(secret));
        }
        let Value::Object(more) = more else { panic!("an object") };
        fields.extend(more);
        Config::from_value(fields).environment::<&str, &str>([]).open().await
    }

    pub(crate) async fn jam(&self, ttl: Option<u64>) -> Sessions {
        self.try_jam(ttl, json!({})).await.unwrap()
    }

    /// A module of jamlib with this ttl.
    pub(crate) fn jamlib(&self, ttl: Option<u64>) -> Jamlib {
        self.jamlib_of(Python::shared(), ttl)
    }

    pub(crate) fn jamlib_of(&self, python: std::sync::Arc<Python>, ttl: Option<u64>) -> Jamlib {
        let secret = self.secret.as_deref();
        Jamlib::open(python, self.mode, &self.server.url(), &self.path, ttl, secret)
    }

    fn hash(&self, key: &str) -> String {
        format!("{}:{key}", self.path)
    }

    fn ask(&self, command: &str, key: &str, rest: &[&str]) -> Reply {
        let hash = self.hash(key);
        self.server.command(&[&[command, &hash], rest].concat())
    }

    /// What the server holds at a record: the value of the field that is the id.
    pub(crate) fn value(&self, key: &str, id: &str) -> String {
        self.ask("HGET", key, &[id]).text().to_owned()
    }

    /// Puts a value there, with no expiry.
    pub(crate) fn put(&self, key: &str, id: &str, value: &str) {
        self.ask("HSET", key, &[id, value]);
    }

    /// How many sessions the server holds of a key.
    pub(crate) fn count(&self, key: &str) -> i64 {
        self.ask("HLEN", key, &[]).int()
    }

    /// No expiry lies on the hash as a whole, which would end every session of the key at once.
    #[track_caller]
    pub(crate) fn assert_whole_hash_stays(&self, key: &str) {
        assert_eq!(self.ask("PTTL", key, &[]).int(), -1, "the whole hash has an expiry");
    }

    /// How long a session still lives, in milliseconds; `None`: for ever.
    pub(crate) fn remaining(&self, key: &str, id: &str) -> Option<i64> {
        self.assert_whole_hash_stays(key);
        let reply = self.ask("HPTTL", key, &["FIELDS", "1", id]);
        let remaining = reply.array()[0].int();
        assert_ne!(remaining, -2, "no such session");
        (remaining >= 0).then_some(remaining)
    }

    /// The session was given that many seconds just now.
    #[track_caller]
    pub(crate) fn assert_ttl(&self, key: &str, id: &str, seconds: i64) {
        let remaining = self.remaining(key, id).expect("an expiry");
        let given = seconds * 1000;
        // As much time may pass between two lines of a test on a busy machine.
        assert!(
            (given - 20_000..=given).contains(&remaining),
            "{remaining} ms of {given}"
        );
    }
}

/// What a session holds for jam.
pub(crate) async fn data(sessions: &Sessions, id: &str) -> Option<Value> {
    jam_tests::data(sessions, id).await
}

/// Makes a test of each function for each of jamlib's modules, plain and encrypted. The functions take a [`Stage`].
macro_rules! with_every_jamlib {
    ($new:ident: $($promise:ident),+ $(,)?) => {
        with_every_jamlib!(@ sync_plain, Sync, false, $new: $($promise),+);
        with_every_jamlib!(@ sync_encrypted, Sync, true, $new: $($promise),+);
        with_every_jamlib!(@ aio_plain, Aio, false, $new: $($promise),+);
        with_every_jamlib!(@ aio_encrypted, Aio, true, $new: $($promise),+);
    };
    (@ $name:ident, $mode:ident, $encrypted:literal, $new:ident: $($promise:ident),+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let stage = crate::stage::Stage::$new(crate::python::Mode::$mode, $encrypted);
                    super::$promise(stage).await;
                }
            )+
        }
    };
}
pub(crate) use with_every_jamlib;
