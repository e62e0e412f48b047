//! The conformance suite: every promise of [`SessionStore`], checked, for any store on any runtime.
//!
//! Three lines in a test of your crate (feature `conformance` of jam-core as a dev-dependency):
//!
//! ```no_run
//! # use jam_core::MemoryStore as MyStore;
//! #[tokio::test(flavor = "multi_thread")]
//! async fn my_store_keeps_the_contract() {
//!     let open = |clock| async move { Ok(MyStore::with_clock(clock)) };
//!     jam_core::conformance::run(open, |task| drop(tokio::spawn(task))).await;
//! }
//! ```
//!
//! The first argument opens the store, afresh for every case; the second starts a task on your runtime, for races that
//! are truly parallel: as above, or `|task| smol::spawn(task).detach()`, or [`on_threads`] for a store that needs no
//! runtime. [`Suite`] says more about a store, where there is more to say:
//!
//! ```no_run
//! # use jam_core::MemoryStore as MyStore;
//! # async fn check() {
//! use std::sync::Arc;
//!
//! use jam_core::conformance::{Suite, on_threads};
//!
//! let report = Suite::new(|_clock| async { Ok(MyStore::new()) }, on_threads)
//!     .server_clock() // a server judges what has expired; its clock cannot be turned
//!     .second_handle(|first: Arc<MyStore>| async move { Ok(first) }) // another connection to the same sessions
//!     .skip("a_payload_of_a_megabyte_comes_back", "the service takes 400 KiB")
//!     .run()
//!     .await;
//! println!("{report}"); // what passed, and what was not run and why
//! # }
//! ```
//!
//! # What it proves
//!
//! | group | about |
//! |---|---|
//! | `writing` | insert, load, replace, remove: what each does, and that a failed one changes nothing |
//! | `expiry` | what has expired is never seen; touch and renewal only prolong, and keep the version |
//! | `clock` | the same by turning the clock, to the millisecond; not with [`Suite::server_clock`] |
//! | `renaming` | one step, or nothing at all; within a session key and from one to another |
//! | `revival` | late replaces, touches, renewals and renames bring nothing back |
//! | `listing`, `clearing` | exactly the records of a key, not of keys that look alike; reserved records |
//! | `scanning` | every record, page by page, while others write |
//! | `payloads` | any bytes come back: JSON in odd spellings, no UTF-8, a megabyte, look-alikes of a store's own format |
//! | `hostile` | keys and ids with `/`, `..`, NUL, quotes, globs, emoji, look-alikes, at their longest |
//! | `races` | tasks against one session: one winner, no lost update, no write undone |
//! | `endings` | removing, clearing and reclaiming while others write: no revival, each ending counts once |
//! | `moving` | the same with renames: never twice, never lost on the way, and revoking catches it |
//! | `dropping` | calls dropped at any await point: whole or not at all, nothing stays locked, no crossed replies |
//! | `handles` | two handles see each other's writes; with [`Suite::second_handle`], which also makes races use both |
//! | `closing` | close ends everything, may be repeated, and tears no write |
//! | `durable` | closed and opened again, all is as it was; with [`Suite::durable`] |
//! | `secrecy` | no `Debug` and no error shows a key, an id or a payload |
//!
//! It does not prove what needs a crash, a power cut, a full disk or a broken network. Nothing sleeps: time goes by
//! turning the clock, or by giving a record an expiry in the past. Every case keeps to session keys with a random part
//! and clears them (those that end with a closed store leave records that expire within the hour), so a server that
//! holds other sessions does no harm, and takes none (but see [`Suite::new`] about the clock).
//!
//! # How to read a failure
//!
//! [`Suite::run`] runs every case, and panics in the end with a report of those that failed:
//!
//! ```text
//! store `mine` against the contract: 131 cases passed, 1 failed
//!
//! late_replace_does_not_revive_a_removed_record (revival, promise 1)
//!     expected  late replace, record Removed: NotFound
//!     happened  it succeeded
//!     seen at   jam-core/src/conformance/revival.rs:72
//!
//! not run: 4 cases of handles: there is no `Suite::second_handle`
//! ```
//!
//! The name is the promise that was broken; the number, if there is one, is that in the docs of [`SessionStore`]. The
//! line shows the calls that led there. No payload is ever shown. Run one case alone with [`Suite::only`], and races
//! longer with [`Suite::intensity`]; a race that fails once in many runs has failed. [`cases`] lists all of them, for a
//! test runner that shows each by itself.

mod case;
mod check;
mod hand;
mod report;
mod suite;
mod tasks;
mod trial;

mod clearing;
mod clock;
mod closing;
mod dropping;
mod durable;
mod endings;
mod expiry;
mod handles;
mod hostile;
mod listing;
mod moving;
mod payloads;
mod races;
mod renaming;
mod revival;
mod scanning;
mod secrecy;
mod writing;

use std::future::Future;
use std::sync::Arc;

pub use self::case::{Case, cases};
pub use self::report::{FailedCase, Failure, NotRun, Report};
pub use self::suite::Suite;
pub use self::tasks::{Task, on_threads};
use crate::{Clock, Result, SessionStore};

/// Runs the whole suite against the store that `open` opens, with tasks that `spawn` starts. See [`Suite::new`].
///
/// # Panics
/// With the [`Report`] if a case failed.
pub async fn run<S, Opened>(
    open: impl Fn(Arc<dyn Clock>) -> Opened + Send + Sync + 'static,
    spawn: impl Fn(Task) + Send + Sync + 'static,
) -> Report
where
    S: SessionStore,
    Opened: Future<Output = Result<S>> + Send + 'static,
{
    Suite::new(open, spawn).run().await
}
