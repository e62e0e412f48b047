//! A compaction that is held in the middle of its walk, while sessions move and things fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jam_core::{Clock, ErrorKind, Load, Record, RecordId, Rename, SessionKey, SessionStore, Timestamp};
use tokio::task::JoinHandle;

use super::fake_fs::{Crash, FakeFs, Fault, LONGEST_WAIT, Plan};
use crate::{Durability, JsonFile};

/// So many users that there are some on both sides of the place where the walk is held.
const USERS: usize = 24;

fn id(key: &str, name: &str) -> RecordId {
    RecordId::new(SessionKey::new(key).expect("key"), name).expect("id")
}

fn user(number: usize) -> RecordId {
    id(&format!("user{}", number % USERS), "old")
}

/// Where the session of a user goes: to another user, so to another part of the table.
fn target(number: usize) -> RecordId {
    id(&format!("user{}", (number + 7) % USERS), &format!("new{number}"))
}

fn small() -> Record {
    Record::new("{}", None)
}

/// A store whose compaction stands in the middle of its walk.
struct Held {
    fs: FakeFs,
    folder: tempfile::TempDir,
    durability: Durability,
    store: Arc<JsonFile>,
    compaction: JoinHandle<jam_core::Result<()>>,
    sure: BTreeSet<RecordId>,
}

impl Held {
    async fn new(durability: Durability) -> Self {
        Self::after_what(durability, async |_, _| {}).await
    }

    /// The same after something has happened to the store.
    async fn after_what(durability: Durability, happened: impl AsyncFnOnce(&FakeFs, &JsonFile)) -> Self {
        let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
        let store = open(&fs, &folder, durability).await;
        let mut sure: BTreeSet<_> = (0..USERS).map(user).collect();
        for id in &sure {
            store.insert(id, &small()).await.expect("insert");
        }
        let big = id("user0", "big");
        let long = Record::new("x".repeat(400_000), None);
        store.insert(&big, &long).await.expect("insert");
        sure.insert(big);
        store.close().await.expect("close");
        drop(store);
        let store = Arc::new(open(&fs, &folder, durability).await);
        // In the journal alone.
        let before = id("user1", "before");
        store.insert(&before, &small()).await.expect("insert");
        sure.insert(before);
        happened(&fs, &store).await;
        fs.hold_big_writes();
        let compacting = Arc::clone(&store);
        let compaction = tokio::spawn(async move { compacting.compact().await });
        tokio::task::yield_now().await;
        assert!(fs.big_writes_came(1, LONGEST_WAIT), "no compaction began");
        Self {
            fs,
            folder,
            durability,
            store,
            compaction,
            sure,
        }
    }

    async fn rename_all(&mut self) {
        for number in 0..USERS {
            let (from, to) = (user(number), target(number));
            let version = self.store.load(&from, Load::new()).await.expect("load").expect("there");
            let record = small();
            let moved = Rename::new(&from, &version.version, &to, &record);
            self.store.rename(moved).await.expect("rename");
            self.sure.remove(&from);
            self.sure.insert(to);
        }
    }

    async fn insert(&mut self, name: &str) {
        let id = id("user1", name);
        self.store.insert(&id, &small()).await.expect("insert");
        self.sure.insert(id);
    }

    /// What a crash now leaves.
    async fn after(&self, crash: Crash) -> BTreeSet<RecordId> {
        let folder = tempfile::tempdir().expect("tempdir");
        std::fs::copy(lock(&self.folder), lock(&folder)).expect("lock");
        let store = open(&self.fs.after(crash), &folder, self.durability).await;
        contents(&store).await
    }

    async fn check_that_each_is_there_once(&self, when: &str) {
        for crash in Crash::ALL {
            let left = self.after(crash).await;
            for number in 0..USERS {
                let (old, new) = (left.contains(&user(number)), left.contains(&target(number)));
                let durability = self.durability;
                assert!(
                    old != new,
                    "{when}, {durability:?}, {crash:?}: {number} is {old}, {new}"
                );
            }
        }
    }

    async fn check_all_crashes(&self, when: &str) {
        for crash in Crash::ALL {
            assert_eq!(self.after(crash).await, self.sure, "{when}, {crash:?}");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A test that failed shall not wait for ever.
        self.fs.let_big_writes_through(usize::MAX);
    }
}

fn lock(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("sessions.json.lock")
}

async fn open(fs: &FakeFs, folder: &tempfile::TempDir, durability: Durability) -> JsonFile {
    let options = JsonFile::options(folder.path().join("sessions.json")).durability(durability);
    options.fs(Arc::new(fs.clone())).open().await.expect("open")
}

async fn contents(store: &JsonFile) -> BTreeSet<RecordId> {
    let (mut found, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = store.scan(cursor, 100).await.expect("scan");
        found.extend(page.entries.into_iter().map(|entry| entry.id));
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_session_renamed_during_a_compaction_is_there_once_whatever_the_durability_and_the_crash() {
    for durability in [Durability::Sync, Durability::Os] {
        let mut held = Held::new(durability).await;
        held.rename_all().await;
        held.check_that_each_is_there_once("in the middle").await;
        held.fs.let_big_writes_through(usize::MAX);
        (&mut held.compaction).await.expect("task").expect("compacted");
        held.check_that_each_is_there_once("afterwards").await;
    }
}

/// Or a later journal, whose changes rest on it, could be there without it.
#[tokio::test]
async fn what_was_written_before_a_compaction_began_survives_every_crash_whatever_the_durability() {
    for durability in [Durability::Sync, Durability::Os] {
        let held = Held::new(durability).await;
        held.check_all_crashes("in the middle").await;
    }
}

/// The journal goes on, and the next attempt begins the one that follows it.
#[tokio::test]
async fn an_attempt_that_failed_leaves_no_gap_between_journals() {
    for fails_at in 0..6 {
        let mut held = Held::after_what(Durability::Sync, async |fs, store| {
            fs.fail(Some(Plan {
                at: fs.operations() + fails_at,
                fault: Fault::Nothing,
                lasting: false,
            }));
            let _ = store.compact().await;
            fs.fail(None);
        })
        .await;
        held.insert("later").await;
        held.check_all_crashes(&format!("after a failure at {fails_at}")).await;
    }
}

#[tokio::test]
async fn what_is_written_during_a_compaction_survives_every_crash() {
    let mut held = Held::new(Durability::Sync).await;
    held.rename_all().await;
    held.check_all_crashes("renamed in the middle").await;
    let cleared = user(3);
    held.store.clear(cleared.key()).await.expect("clear");
    held.sure.retain(|id| id.key() != cleared.key());
    held.insert("late").await;
    held.check_all_crashes("cleared in the middle").await;
    held.fs.let_big_writes_through(usize::MAX);
    (&mut held.compaction).await.expect("task").expect("compacted");
    held.check_all_crashes("afterwards").await;
}

#[tokio::test]
async fn a_failure_during_a_compaction_costs_nothing_acknowledged() {
    let mut held = Held::new(Durability::Sync).await;
    held.rename_all().await;
    // The write succeeds and its sync does not, so the journal is given up.
    let at = held.fs.operations() + 1;
    held.fs.fail(Some(Plan {
        at,
        fault: Fault::Nothing,
        lasting: false,
    }));
    let failed = held.store.insert(&id("user1", "failed"), &small()).await;
    assert!(failed.expect_err("failed").outcome_unknown());
    let (store, next) = (Arc::clone(&held.store), id("user1", "next"));
    let begins_anew = tokio::spawn(async move { store.insert(&next, &small()).await });
    tokio::task::yield_now().await;
    // Nobody may write a document beside the one that is held.
    assert!(!held.fs.big_writes_came(2, Duration::from_millis(50)), "two at a time");
    held.fs.let_big_writes_through(1);
    assert!(held.fs.big_writes_came(2, LONGEST_WAIT), "no new document began");
    for crash in Crash::ALL {
        let mut left = held.after(crash).await;
        // Until the new document is in place, its outcome is unknown.
        left.remove(&id("user1", "failed"));
        assert_eq!(left, held.sure, "between two documents, {crash:?}");
    }
    held.fs.let_big_writes_through(usize::MAX);
    begins_anew.await.expect("task").expect("insert");
    held.sure.insert(id("user1", "next"));
    held.check_all_crashes("after the failure").await;
    let _ = (&mut held.compaction).await.expect("task");
    held.check_all_crashes("at the end").await;
}

#[tokio::test]
async fn closing_during_a_compaction_costs_nothing_acknowledged() {
    let mut held = Held::new(Durability::Sync).await;
    held.rename_all().await;
    let store = Arc::clone(&held.store);
    let closing = tokio::spawn(async move { store.close().await });
    tokio::task::yield_now().await;
    assert!(!held.fs.big_writes_came(2, Duration::from_millis(50)), "two at a time");
    held.fs.let_big_writes_through(1);
    assert!(held.fs.big_writes_came(2, LONGEST_WAIT), "no last document began");
    held.check_all_crashes("between two documents").await;
    held.fs.let_big_writes_through(usize::MAX);
    closing.await.expect("task").expect("close");
    held.check_all_crashes("closed").await;
}

#[tokio::test]
async fn a_drop_during_a_compaction_costs_nothing_acknowledged_and_waits_for_no_more_of_the_walk() {
    let mut held = Held::new(Durability::Sync).await;
    held.rename_all().await;
    held.compaction.abort();
    let _ = (&mut held.compaction).await;
    let spare = Arc::new(
        open(
            &FakeFs::default(),
            &tempfile::tempdir().expect("tempdir"),
            Durability::Os,
        )
        .await,
    );
    let store = std::mem::replace(&mut held.store, spare);
    let dropping = thread::spawn(move || drop(store));
    held.check_all_crashes("in the middle").await;
    let syncs = held.fs.file_syncs();
    // Long enough for the writer to ask the compaction to stop.
    assert!(!held.fs.big_writes_came(2, Duration::from_millis(50)), "two at a time");
    held.fs.let_big_writes_through(usize::MAX);
    dropping.join().expect("dropped");
    assert_eq!(
        held.fs.file_syncs(),
        syncs,
        "the document that was given up is not synced"
    );
    held.check_all_crashes("dropped").await;
}

#[tokio::test]
async fn a_compaction_that_panics_tells_who_waits_and_another_may_follow() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let store = open(&fs, &folder, Durability::Sync).await;
    let long = Record::new("x".repeat(400_000), None);
    store.insert(&id("u", "big"), &long).await.expect("insert");
    store.compact().await.expect("compact");
    for name in ["a", "b"] {
        store.insert(&id("u", name), &small()).await.expect("insert");
        fs.panic_at_big_writes(name == "a");
        let compacted = tokio::time::timeout(LONGEST_WAIT, store.compact()).await;
        let compacted = compacted.expect("it hangs");
        assert_eq!(compacted.is_err(), name == "a", "{compacted:?}");
    }
    assert_eq!(contents(&store).await.len(), 3);
}

/// A clock that panics when the writer looks at it, once it is broken.
#[derive(Debug, Default)]
struct Breakable(AtomicBool);

impl Clock for Breakable {
    fn now(&self) -> Timestamp {
        let writer = thread::current().name() == Some("jam-json");
        assert!(!(writer && self.0.load(Ordering::SeqCst)), "on purpose");
        Timestamp::from_secs(1_000)
    }
}

#[tokio::test]
async fn a_writer_that_panics_lets_go_of_the_file_when_its_compaction_has_ended() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let clock = Arc::new(Breakable::default());
    let options = JsonFile::options(folder.path().join("sessions.json")).clock(clock.clone());
    let store = Arc::new(options.fs(Arc::new(fs.clone())).open().await.expect("open"));
    let long = Record::new("x".repeat(400_000), None);
    store.insert(&id("u", "big"), &long).await.expect("insert");
    fs.hold_big_writes();
    let compacting = Arc::clone(&store);
    let compaction = tokio::spawn(async move { compacting.compact().await });
    tokio::task::yield_now().await;
    assert!(fs.big_writes_came(1, LONGEST_WAIT), "no compaction began");
    clock.0.store(true, Ordering::SeqCst);
    store.insert(&id("u", "a"), &small()).await.expect_err("panicked");
    // It is answered when the writer is gone, with its lock.
    let (a, record) = (id("u", "a"), small());
    let gone = tokio::time::timeout(Duration::from_millis(50), store.insert(&a, &record)).await;
    // With files of its own, and the same lock.
    let other = JsonFile::options(folder.path().join("sessions.json")).fs(Arc::new(fs.after(Crash::Killed)));
    let other = other.open().await;
    fs.let_big_writes_through(usize::MAX);
    assert!(gone.is_err(), "the lock was let go while a document was being written");
    assert_eq!(other.expect_err("locked").kind(), ErrorKind::Unavailable);
    compaction.await.expect("task").expect_err("the writer is gone");
    drop(store);
    let store = open(&fs, &folder, Durability::Sync).await;
    assert_eq!(contents(&store).await.len(), 1);
}

/// Whoever writes to a disk that takes its time to fail is told at once, for as long again as the attempt took; then it is tried anew.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_failed_slowly_is_not_made_again_at_once() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let store = Arc::new(open(&fs, &folder, Durability::Sync).await);
    let long = Record::new("x".repeat(400_000), None);
    store.insert(&id("user0", "big"), &long).await.expect("insert");
    let insert = |name: &'static str| {
        let store = Arc::clone(&store);
        async move { store.insert(&id("user1", name), &small()).await }
    };
    fs.hold_big_writes();
    fs.fail(Some(Plan {
        at: fs.operations() + 1,
        fault: Fault::Nothing,
        lasting: false,
    }));
    insert("lost").await.expect_err("its sync fails");
    let waits = tokio::spawn(insert("waits"));
    assert!(fs.big_writes_came(1, LONGEST_WAIT), "no document began");
    // The disk's time.
    thread::sleep(Duration::from_secs(2));
    fs.fail(Some(Plan {
        at: fs.operations(),
        fault: Fault::Nothing,
        lasting: true,
    }));
    fs.let_big_writes_through(usize::MAX);
    waits.await.expect("task").expect_err("the disk fails");
    let told = insert("told").await.expect_err("it has just failed");
    assert!(told.message().contains("a moment ago"), "{told}");
    fs.fail(None);
    let start = Instant::now();
    while let Err(error) = insert("later").await {
        assert!(start.elapsed() < 3 * LONGEST_WAIT, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(contents(&store).await.contains(&id("user0", "big")));
}
