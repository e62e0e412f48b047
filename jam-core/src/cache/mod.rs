//! Sessions kept near, so that a read costs no trip to the store (feature `cache`).
//!
//! [`CachingStore`] puts a cache around any store, with a bound on how stale an answer may be that whoever builds it chooses.
//! A backend whose server tells what changed does better: it builds on [`NearCache`], has the server's messages
//! [forget](NearCache::forget) what they name, and keeps what it read under a [`Lease`] that holds as long as the server is
//! heard. jam-redis does.
//!
//! What both keep:
//!
//! - Reads that decide about a write, or about who may do what, go past the cache ([`Load::fresh`](crate::Load::fresh)).
//! - One's own writes make forget before they are sent and when they are over, whichever way they end: what this process
//!   wrote it reads back at once. A read that was sent before somebody made forget is not kept.
//! - Nothing is given out beyond its expiry, and nothing is kept whose expiry is not known.
//! - That there is no session is never kept: a login is seen at once.

mod lease;
mod moment;
mod near;
mod store;

pub use self::lease::Lease;
pub use self::moment::Moment;
pub use self::near::{NearCache, Ticket, Writing};
pub use self::store::CachingStore;
