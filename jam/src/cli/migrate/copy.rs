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

/// Puts one record there, and tells whether it is: it may have expired meanwhile. The source gave it as live, so whether it has is
/// for the target to say. The clock of this machine, which may be neither's, only says when there is reason to ask.
async fn put(target: &Store, entry: Entry, begun: Begun) -> Result<bool, Failure> {
    let record = Record::new(entry.stored.payload.clone(), entry.expires_at);
    let inserted = target.insert(&entry.id, &record).await;
    if has_failed(&inserted, ErrorKind::AlreadyExists) {
        settle(target, &entry, &record, begun).await?;
    } else {
        inserted?;
    }
    let may_be_over = entry.expires_at.is_some_and(|at| at <= SystemClock.now());
    Ok(!may_be_over || target.load(&entry.id, Load::new().fresh()).await?.is_some())
}

/// Where the target has the record already.
async fn settle(target: &Store, entry: &Entry, record: &Record, begun: Begun) -> Result<(), Failure> {
    if let Some(there) = target.load(&entry.id, Load::new().fresh().with_expiry()).await? {
        if there.payload != record.payload && begun == Begun::Now {
            return Err(somebody_else());
        }
        let settled = bring_up_to_date(target, entry, &there, record).await;
        if has_failed(&settled, ErrorKind::Conflict) {
            return Err(somebody_else());
        }
        if !has_failed(&settled, ErrorKind::NotFound) {
            return Ok(settled?);
        }
    }
    // What was there has expired between two calls; this one may live longer.
    let inserted = target.insert(&entry.id, record).await;
    if has_failed(&inserted, ErrorKind::AlreadyExists) {
        return Err(somebody_else());
    }
    Ok(inserted?)
}

fn has_failed(done: &Stores<()>, kind: ErrorKind) -> bool {
    done.as_ref().is_err_and(|error| error.kind() == kind)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jam_core::{ManualClock, MemoryStore, RecordId, SessionKey, SessionStore, Timestamp};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// A server three hours behind this machine, and an entry of another one that goes by the same time.
    async fn behind() -> (Arc<ManualClock>, Store, Entry) {
        let clock = Arc::new(ManualClock::new(SystemClock.now().minus(3 * HOUR)));
        let source = MemoryStore::with_clock(clock.clone());
        let id = RecordId::new(SessionKey::new("user1").unwrap(), "h.t5o2k9.x").unwrap();
        let record = Record::new("{}", Some(clock.now().plus(2 * HOUR)));
        source.insert(&id, &record).await.unwrap();
        let entry = source.scan(None, 1).await.unwrap().entries.remove(0);
        (clock.clone(), Arc::new(MemoryStore::with_clock(clock)), entry)
    }

    async fn expiry(store: &Store, entry: &Entry) -> Option<Timestamp> {
        let how = Load::new().fresh().with_expiry();
        store.load(&entry.id, how).await.unwrap()?.ends.at()
    }

    #[tokio::test]
    async fn what_the_source_gave_as_live_is_copied_whatever_the_clock_of_this_machine_says() {
        let (clock, target, entry) = behind().await;
        clock.advance(HOUR + HOUR / 2);
        assert!(put(&target, entry.clone(), Begun::Now).await.unwrap());
        assert_eq!(expiry(&target, &entry).await, entry.expires_at);
    }

    #[tokio::test]
    async fn a_run_that_goes_on_prolongs_what_an_earlier_one_copied_whatever_the_clock_of_this_machine_says() {
        let (clock, target, entry) = behind().await;
        let earlier = Record::new("old", Some(clock.now().plus(HOUR)));
        target.insert(&entry.id, &earlier).await.unwrap();
        assert!(put(&target, entry.clone(), Begun::Earlier).await.unwrap());
        assert_eq!(expiry(&target, &entry).await, entry.expires_at);
    }

    /// For whom a minute goes by from each call to the next.
    #[derive(Debug)]
    struct Hasty(ManualClock);

    impl Clock for Hasty {
        fn now(&self) -> Timestamp {
            self.0.advance(Duration::from_mins(1));
            self.0.now()
        }
    }

    #[tokio::test]
    async fn what_replaces_an_older_copy_is_there_even_if_that_expires_meanwhile() {
        let (_, _, entry) = behind().await;
        let clock = Arc::new(Hasty(ManualClock::new(SystemClock.now().minus(3 * HOUR))));
        let target: Store = Arc::new(MemoryStore::with_clock(clock.clone()));
        let soon = clock.now().plus(Duration::from_secs(150));
        target.insert(&entry.id, &Record::new("{}", Some(soon))).await.unwrap();
        assert!(put(&target, entry.clone(), Begun::Earlier).await.unwrap());
        assert_eq!(expiry(&target, &entry).await, entry.expires_at);
    }

    #[tokio::test]
    async fn what_has_ended_by_the_time_of_the_target_is_counted_as_that() {
        let (clock, target, entry) = behind().await;
        clock.advance(2 * HOUR);
        assert!(!put(&target, entry.clone(), Begun::Now).await.unwrap());
        assert_eq!(expiry(&target, &entry).await, None);
    }
}
