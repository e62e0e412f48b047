//! Copying page after page, with a note of each page that is in.

use std::path::Path;
use std::sync::Arc;

use jam_core::{Clock, Entry, ErrorKind, Load, Page, Record, Result as Stores, Stored, SystemClock};
use tokio::task::JoinSet;

use super::checkpoint::Checkpoint;
use super::{Store, is_mark, is_session, scan};
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::config::shown;

/// Inserts under way at a time; a page may be larger, as that of a user with many sessions.
const AT_ONCE: usize = 256;

/// How many records there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) sessions: u64,
    pub(super) notes: u64,
}

/// Counts what a walk gives.
pub(super) async fn tally(store: &Store) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut progress = Progress::new("counting", 0, None);
    let mut cursor = None;
    loop {
        let page = scan(store, cursor).await?;
        for entry in page.entries.iter().filter(|entry| !is_mark(&entry.id)) {
            if is_session(&entry.id) {
                tally.sessions += 1;
            } else {
                tally.notes += 1;
            }
        }
        progress.at(tally.sessions);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(tally);
        }
    }
}

/// What to make of a record that is in the target already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// By this run: the target was empty, so another payload is somebody else's.
    Now,
    /// By an earlier run: the target is this migration's own, and what is there may be older than the source.
    Earlier,
}

/// Copies all of it. Where an earlier run began, what is there already becomes as the source has it now.
///
/// It may be dropped at any point.
///
/// # Errors
/// Whatever the stores give.
pub(super) async fn run(
    source: &Store,
    target: &Store,
    checkpoint: &mut Checkpoint,
    begun: Begun,
    path: &Path,
) -> Result<(), Failure> {
    // Only a bar needs to know the end beforehand.
    let total = if Progress::is_shown() {
        Some(tally(source).await?.sessions)
    } else {
        None
    };
    let mut progress = Progress::new("copying", 0, total);
    let first = scan(source, None).await;
    let mut page = first.map_err(|failure| broken_off(failure, "FROM", path))?;
    loop {
        let Page { entries, next, .. } = page;
        // The next page is read while this one is written.
        let ahead = async {
            match next {
                Some(cursor) => scan(source, Some(cursor)).await.map(Some),
                None => Ok(None),
            }
        };
        let (copied, following) = tokio::join!(copy(target, entries, begun), ahead);
        let copied = copied.map_err(|failure| broken_off(failure, "TO", path))?;
        checkpoint.add(copied.sessions, copied.notes, copied.expired);
        checkpoint.write(path)?;
        progress.at(checkpoint.sessions);
        let Some(following) = following.map_err(|failure| broken_off(failure, "FROM", path))? else {
            return Ok(());
        };
        page = following;
    }
}

pub(super) fn go_on(path: &Path) -> String {
    format!("Run the same command again to go on with {}.", shown(path))
}

/// Which store it was, and what helps.
pub(super) fn broken_off(failure: Failure, store: &str, path: &Path) -> Failure {
    let failure = failure.about(store);
    if failure.is(Code::Unavailable) {
        failure.hint(&go_on(path))
    } else {
        failure
    }
}

/// What became of the records of a page.
#[derive(Debug, Default)]
struct Copied {
    sessions: u64,
    notes: u64,
    expired: u64,
}

async fn copy(target: &Store, entries: Vec<Entry>, begun: Begun) -> Result<Copied, Failure> {
    let mut copied = Copied::default();
    let mut under_way = JoinSet::new();
    let mut entries = entries.into_iter().filter(|entry| !is_mark(&entry.id));
    loop {
        while under_way.len() < AT_ONCE
            && let Some(entry) = entries.next()
        {
            let is_session = is_session(&entry.id);
            let target = Arc::clone(target);
            under_way.spawn(async move { (is_session, put(&target, entry, begun).await) });
        }
        let Some(inserted) = under_way.join_next().await else {
            return Ok(copied);
        };
        let (is_session, inserted) =
            inserted.map_err(|_| Failure::unforeseen("a copy was broken off by a fault of the store"))?;
        match (inserted?, is_session) {
            (true, true) => copied.sessions += 1,
            (true, false) => copied.notes += 1,
            (false, _) => copied.expired += 1,
        }
    }
}

/// Puts one record there, unless it has expired meanwhile.
async fn put(target: &Store, entry: Entry, begun: Begun) -> Result<bool, Failure> {
    let is_over = || entry.expires_at.is_some_and(|at| at <= SystemClock.now());
    if is_over() {
        return Ok(false);
    }
    let record = Record::new(entry.stored.payload.clone(), entry.expires_at);
    match target.insert(&entry.id, &record).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let Some(there) = target.load(&entry.id, Load::new().fresh().with_expiry()).await? else {
                return Ok(!is_over());
            };
            if there.payload != record.payload && begun == Begun::Now {
                return Err(somebody_else());
            }
            match bring_up_to_date(target, &entry, &there, &record).await {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::Conflict => Err(somebody_else()),
                // It has expired between the two calls.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(!is_over()),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// An earlier run copied it, and it was written to in the source since.
async fn bring_up_to_date(target: &Store, entry: &Entry, there: &Stored, record: &Record) -> Stores<()> {
    if there.payload == record.payload && there.ends.at() == record.expires_at {
        return Ok(());
    }
    target.replace(&entry.id, Some(&there.version), record).await
}

fn somebody_else() -> Failure {
    Failure::refused(
        "TO holds another session under an id of FROM; nothing was overwritten. Somebody else writes to TO",
    )
}
