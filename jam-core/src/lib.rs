//! # jam-core
//!
//! The core of jam: server-side sessions for Rust services.
//!
//! - [`Sessions`] is what an application calls: create, get, update, modify, rework, delete, clear, list, revoke.
//! - [`SessionStore`] is what a backend keeps: a contract on opaque records, checked by the suite in
//!   `jam_core::conformance` (feature `conformance`).
//! - [`MemoryStore`] keeps sessions in this process.
//!
//! The core and one backend crate, such as `jam-json`, are a complete product; the umbrella crate `jam` adds
//! configuration by file and URL. The core brings no runtime and no driver: it works on tokio, on smol, and on an
//! executor of your own.
//!
//! ```
//! use jam_core::{MemoryStore, Sessions, SessionOptions};
//! use serde_json::json;
//! use std::time::Duration;
//!
//! # futures_lite::future::block_on(async {
//! let sessions = Sessions::builder(MemoryStore::new())
//!     .ttl(Duration::from_secs(1800)) // idle
//!     .max_lifetime(Duration::from_secs(7 * 24 * 3600)) // absolute
//!     .renew_on_read(true)
//!     .build()?;
//!
//! let visitor = sessions.create("visitor", json!({"cart": [4711]})).await?;
//! // Logging in: another key, a new id, and nothing left at the old one.
//! let id = sessions.rework_as(&visitor, "user1", SessionOptions::new()).await?;
//! assert!(!sessions.exists(&visitor).await?);
//!
//! for device in sessions.list("user1").await? {
//!     println!("{} since {:?}", device.handle(), device.created());
//! }
//! # sessions.delete(&id).await?;
//! # Ok::<(), jam_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Writing a backend
//!
//! Implement [`SessionStore`]; its documentation says case by case which error is owed. Then let the suite judge it,
//! and publish a [`StoreFactory`], so that applications can open it by name through their [`Registry`]. `MemoryStore`
//! and the example `custom_backend` of the repository are complete stores to start from. Stores in memory may build on
//! [`memory::Table`].
//!
//! # Logs and metrics
//!
//! Every operation of the manager runs in a `tracing` span `jam` (level DEBUG) with the fields `operation`, `backend`
//! and `outcome` (`ok`, `missing`, `cancelled`, or the kind of the error), and, where they apply, `retries`, `grace`, `evicted` and
//! `expired`. With the feature `metrics` the same is counted: see `jam_core::metrics`. No span, event, label, error or `Debug` shows
//! an id, a session key or data.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod diagnosis;
mod durability;
mod error;
mod id;
mod key;
pub mod memory;
#[cfg(feature = "metrics")]
pub mod metrics;
mod record;
mod registry;
mod seal;
mod sessions;
mod store;
mod time;

pub use bytes::Bytes;

pub use self::diagnosis::{Finding, Severity};
pub use self::durability::Durability;
pub use self::error::{Error, ErrorKind, Result};
pub use self::id::{
    Described, Handle, HashedIds, IdCodec, IdFactory, InnerId, Layout, Life, PlainIds, Secret, SessionId, UuidV4,
    UuidV7,
};
pub use self::key::SessionKey;
pub use self::memory::MemoryStore;
pub use self::record::{Cursor, Ends, Entry, Load, Page, Record, RecordId, Rename, Renewal, Stored, Version};
pub use self::registry::{Registry, StoreConfig, StoreFactory, did_you_mean};
pub use self::seal::{SealContext, SealDomain, Sealer};
pub use self::sessions::{Data, Serializer, Session, SessionInfo, SessionOptions, Sessions, SessionsBuilder, WhenFull};
pub use self::store::SessionStore;
pub use self::time::{Clock, ManualClock, SystemClock, Timestamp};

#[cfg(all(doctest, feature = "conformance"))]
#[doc = include_str!("../README.md")]
struct Readme;
