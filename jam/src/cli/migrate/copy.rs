//! Copying page after page, with a note of each page that is in.

use std::path::Path;
use std::sync::Arc;

use jam_core::{Clock, Entry, ErrorKind, Load, Page, Record, SystemClock};
use tokio::task::JoinSet;

use super::checkpoint::Checkpoint;
use super::{Store, is_mark, is_session, scan};
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;

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

/// Copies all of it, but what is there already.
///
/// It may be dropped at any point.
///
/// # Errors
/// Whatever the stores give.
pub(super) async fn run(
    source: &Store,
    target: &Store,
    checkpoint: &mut Checkpoint,
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
        let (copied, following) = tokio::join!(copy(target, entries), ahead);
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
    format!("Run the same command again to go on with {}.", path.display())
}

/// Which store it was, and what helps.
fn broken_off(failure: Failure, store: &str, path: &Path) -> Failure {
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

async fn copy(target: &Store, entries: Vec<Entry>) -> Result<Copied, Failure> {
    let mut copied = Copied::default();
    let mut under_way = JoinSet::new();
    let mut entries = entries.into_iter().filter(|entry| !is_mark(&entry.id));
    loop {
        while under_way.len() < AT_ONCE
            && let Some(entry) = entries.next()
        {
            let is_session = is_session(&entry.id);
            let target = Arc::clone(target);
            under_way.spawn(async move { (is_session, insert(&target, entry).await) });
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

/// Inserts one record, unless it has expired meanwhile. One that is there already, byte for byte, came before this migration was
/// interrupted: the target was empty when its mark was set.
async fn insert(target: &Store, entry: Entry) -> Result<bool, Failure> {
    let is_over = || entry.expires_at.is_some_and(|at| at <= SystemClock.now());
    if is_over() {
        return Ok(false);
    }
    let record = Record::new(entry.stored.payload.clone(), entry.expires_at);
    match target.insert(&entry.id, &record).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            match target.load(&entry.id, Load::new().fresh()).await? {
                Some(there) if there.payload == record.payload => Ok(true),
                Some(_) => Err(Failure::refused(
                    "TO holds another session under an id of FROM; nothing was overwritten. Somebody else writes to TO",
                )),
                None => Ok(!is_over()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
