//! # jam
//!
//! Server-side sessions for Rust services: an application hands jam a *session key* (whose session it is) and some JSON
//! data, and gets back a *session id* for the browser or the API client. Later it trades the id for the data, changes
//! it, rotates the id, ends one session, or ends every session of that user.
//!
//! ```
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> jam::Result<()> {
//! let sessions = jam::open("memory:").await?;
//!
//! let id = sessions.create("user1", json!({"role": "admin"})).await?;
//! let session = sessions.get(&id).await?.expect("just created");
//! assert_eq!(session.get::<String>("role")?.as_deref(), Some("admin"));
//!
//! sessions.update(&id, json!({"role": "banned"})).await?;
//! let id = sessions.rework(&id).await?;
//! assert!(sessions.delete(&id).await?);
//! # Ok(()) }
//! ```
//!
//! # Three ways to use jam
//!
//! - **This crate**, for a quick start: it re-exports everything and opens a store by URL or config file ([`open`],
//!   [`Config`]).
//! - **Only the crates you need**: `jam-core` and one backend, such as `jam-json`. That is a complete product.
//! - **A backend of somebody else's**, or your own: it implements [`SessionStore`], passes the conformance suite of
//!   jam-core, and is opened by name once its [`StoreFactory`] is in the [`Registry`].
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `json` | `json`: one readable JSON file and its journal; `json-dir`: one file per session | yes |
//! | `sqlite` | `sqlite`: a SQLite database; needs tokio | |
//! | `redis` | `redis`: Redis from 6.2 and Valkey, alone, behind Sentinels or as a cluster; needs tokio | |
//! | `redis-tls` | the same over TLS (`rediss://`) | |
//! | `cache` | sessions that were read stay near: `near_cache` (Redis), `cache_staleness` (any backend) | |
//! | `toml` | config files in TOML | yes |
//! | `yaml` | config files in YAML | |
//! | `crypto` | encrypted ids, sealed data (`is_session_crypt = true`) | |
//! | `tokio` | `spawn_sweeper` | |
//! | `blocking` | [`blocking`]: the manager for callers without async | |
//! | `metrics` | [`metrics`]: operations, durations, retries and outages, counted through the `metrics` facade | |
//! | `tower` | sessions as a tower layer, `[jam.session.cookie]` in the config | |
//! | `axum` | the same, with extractors for axum | |
//! | `actix` | sessions as middleware and extractors of actix-web, `[jam.session.cookie]` in the config | |
//! | `http` | what web layers stand on, to write another one; they bring it | |
//! | `full` | all of the above | |
//! | `cli` | the command `jam`, and `jam::cli` for one with backends of your own | |
//!
//! Without any feature there are the in-memory store, JSON config files, and no runtime in the dependency tree.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod registry;
#[cfg(feature = "tokio")]
mod sweeper;

/// Sessions in actix-web.
#[cfg(feature = "actix")]
pub use jam_actix as actix;
pub use jam_core::*;
/// Encrypted ids and sealed data.
#[cfg(feature = "crypto")]
pub use jam_crypto as crypto;
/// How sessions travel over HTTP, for those who write a web layer.
#[cfg(feature = "http")]
pub use jam_http as http;
/// The file stores.
#[cfg(feature = "json")]
pub use jam_json as json;
/// Redis and Valkey.
#[cfg(feature = "redis")]
pub use jam_redis as redis;
/// The SQLite store.
#[cfg(feature = "sqlite")]
pub use jam_sqlite as sqlite;
/// Sessions in axum, tower and hyper.
#[cfg(feature = "tower")]
pub use jam_tower as tower;

pub use self::config::{Config, open};
pub use self::registry::registry;
#[cfg(feature = "tokio")]
pub use self::sweeper::spawn_sweeper;

/// What most applications import: `use jam::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Config, Data, Error, ErrorKind, Handle, Session, SessionId, SessionInfo, SessionOptions, Sessions, WhenFull,
    };
}

#[cfg(all(doctest, feature = "full"))]
mod guide {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/guide/first-steps.md")]
    struct FirstSteps;
    #[doc = include_str!("../../docs/guide/backends.md")]
    struct Backends;
    #[doc = include_str!("../../docs/guide/from-python.md")]
    struct FromPython;
    #[doc = include_str!("../../docs/guide/moving.md")]
    struct Moving;
    #[doc = include_str!("../../docs/guide/backend.md")]
    struct Backend;
    #[doc = include_str!("../../docs/guide/blocking.md")]
    struct Blocking;
    #[doc = include_str!("../../docs/guide/keys.md")]
    struct Keys;
    #[doc = include_str!("../../docs/guide/near-cache.md")]
    struct NearCache;
    #[doc = include_str!("../../docs/guide/observability.md")]
    struct Observability;
    #[doc = include_str!("../../docs/guide/testing.md")]
    struct Testing;
}
