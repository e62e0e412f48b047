//! # jam-core
//!
//! Server-side sessions: the manager an application calls, and the contract a storage backend keeps.
#![forbid(unsafe_code)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod id;
mod key;
pub mod memory;
mod record;
mod registry;
mod seal;
mod sessions;
mod store;
mod time;

pub use bytes::Bytes;

pub use self::error::{Error, ErrorKind, Result};
pub use self::id::{
    Described, Handle, HashedIds, IdCodec, IdFactory, InnerId, Life, PlainIds, Secret, SessionId, UuidV4, UuidV7,
};
pub use self::key::SessionKey;
pub use self::memory::MemoryStore;
pub use self::record::{Cursor, Entry, Page, Record, RecordId, Rename, Renewal, Stored, Version};
pub use self::registry::{Registry, StoreConfig, StoreFactory, did_you_mean};
pub use self::seal::{SealContext, SealDomain, Sealer};
pub use self::sessions::{Data, Serializer, Session, SessionInfo, SessionOptions, Sessions, SessionsBuilder, WhenFull};
pub use self::store::SessionStore;
pub use self::time::{Clock, ManualClock, SystemClock, Timestamp};
