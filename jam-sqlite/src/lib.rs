//! # jam-sqlite
//!
//! Sessions in a SQLite database, for [jam](jam_core): [`SqliteStore`]. One file, several processes, and sessions that anyone
//! can look into with `sqlite3`. On sqlx, so it needs a [tokio](https://tokio.rs) runtime.
//!
//! ```
//! use jam_core::Sessions;
//! use jam_sqlite::SqliteStore;
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("sessions.db");
//! let sessions = Sessions::new(SqliteStore::open(&path).await?);
//! let id = sessions.create("user1", json!({"role": "admin"})).await?;
//! assert!(sessions.get(&id).await?.is_some());
//! sessions.close().await?;
//! # Ok(()) }
//! ```
//!
//! ```console
//! $ sqlite3 sessions.db "SELECT session_key, data ->> '$.role' FROM jam_sessions"
//! user1|admin
//! ```
//!
//! Through a [`Registry`](jam_core::Registry), and so from a config or a URL, [`SqliteFactory`] opens `sqlite`:
//! `sqlite:sessions.db`, `sqlite::memory:`.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod alone;
mod backlog;
mod cursor;
mod ended;
mod factory;
mod files;
mod health;
mod kind;
mod lane;
mod options;
mod patience;
mod reader;
mod request;
mod row;
mod schema;
mod space;
mod statements;
mod store;
mod table;
mod transaction;
mod trouble;
mod writer;

pub use jam_core::Durability;

pub use self::factory::SqliteFactory;
pub use self::options::SqliteOptions;
pub use self::store::SqliteStore;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
