//! Every file operation fails in turn; whatever happens, nothing acknowledged is lost and nothing is half there.

use std::collections::BTreeMap;
use std::sync::Arc;

use jam_core::{
    Error, ErrorKind, Load, ManualClock, Record, RecordId, Rename, Result, SessionKey, SessionStore, Timestamp,
};

use super::fake_fs::{Crash, FakeFs, Fault, Plan};
use crate::JsonFile;

type Sessions = BTreeMap<(String, String), (String, Option<Timestamp>)>;

/// What must be there, and what may be there instead: with the last write, if its outcome is unknown.
#[derive(Clone, Debug, Default)]
struct Model {
    sure: Sessions,
    perhaps: Option<Sessions>,
}

impl Model {
    fn note<T>(&mut self, outcome: &Result<T>, then: impl FnOnce(&mut Sessions)) {
        let mut changed = self.sure.clone();
        then(&mut changed);
        match outcome {
            // Nothing to write, nothing written.
            Ok(_) if changed == self.sure => {}
            Ok(_) => {
                self.sure = changed;
                self.perhaps = None;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                if error.outcome_unknown() {
                    self.perhaps = Some(changed);
                }
            }
        }
    }
}

fn id(key: &str, id: &str) -> RecordId {
    RecordId::new(SessionKey::new(key).expect("key"), id).expect("id")
}

fn record(payload: &str, secs: u64) -> Record {
    Record::new(payload.as_bytes().to_vec(), Some(Timestamp::from_secs(secs)))
}

async fn contents(store: &JsonFile) -> Sessions {
    let page = store.scan(None, 1).await.expect("scan");
    let (mut entries, mut next) = (page.entries, page.next);
    while let Some(cursor) = next {
        let page = store.scan(Some(cursor), 100).await.expect("scan");
        entries.extend(page.entries);
        next = page.next;
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("utf-8");
    entries
        .into_iter()
        .map(|entry| {
            let id = (entry.id.key().as_str().to_owned(), entry.id.id().to_owned());
            (id, (text(&entry.stored.payload), entry.expires_at))
        })
        .collect()
}

struct Run {
    fs: FakeFs,
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    model: Model,
}

impl Run {
    fn new(fs: FakeFs, model: Model) -> Self {
        let folder = tempfile::tempdir().expect("tempdir");
        std::fs::write(folder.path().join("sessions.json.lock"), "").expect("lock");
        Self {
            fs,
            folder,
            clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_000))),
            model,
        }
    }

    async fn open(&self) -> Result<JsonFile> {
        let options = JsonFile::options(self.folder.path().join("sessions.json"));
        options
            .clock(self.clock.clone())
            .fs(Arc::new(self.fs.clone()))
            .open()
            .await
    }

    async fn insert(&mut self, store: &JsonFile, key: &str, name: &str) {
        let content = format!("{{\"of\":\"{name}\"}}");
        let outcome = store.insert(&id(key, name), &record(&content, 2_000)).await;
        self.model.note(&outcome, |sessions| {
            let at = Some(Timestamp::from_secs(2_000));
            sessions.insert((key.to_owned(), name.to_owned()), (content, at));
        });
    }

    /// Each kind of write, once.
    async fn write_all_kinds(&mut self, store: &JsonFile, round: u64) {
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("{name}{round}"));
        for name in [&a, &b, &c] {
            self.insert(store, "u", name).await;
        }
        let at = Timestamp::from_secs(3_000 + round);
        let touched = store.touch(&id("u", &a), at).await;
        self.model.note(&touched, |sessions| {
            sessions
                .entry(("u".to_owned(), a.clone()))
                .and_modify(|session| session.1 = Some(at));
        });
        if let Some(stored) = store.load(&id("u", &b), Load::new()).await.expect("load") {
            let moved = store
                .rename(Rename::new(
                    &id("u", &b),
                    &stored.version,
                    &id("v", &b),
                    &record("{\"moved\":true}", 2_500),
                ))
                .await;
            self.model.note(&moved, |sessions| {
                sessions.remove(&("u".to_owned(), b.clone()));
                let at = Some(Timestamp::from_secs(2_500));
                sessions.insert(("v".to_owned(), b.clone()), ("{\"moved\":true}".to_owned(), at));
            });
        }
        let removed = store.remove(&id("u", &c)).await;
        self.model.note(&removed, |sessions| {
            sessions.remove(&("u".to_owned(), c.clone()));
        });
        if round % 2 == 1 {
            let cleared = store.clear(&SessionKey::new("v").expect("key")).await;
            self.model
                .note(&cleared, |sessions| sessions.retain(|(key, _), _| key != "v"));
        }
    }

    async fn check(&self, store: &JsonFile, when: &str) {
        assert_eq!(contents(store).await, self.model.sure, "{when}");
    }

    /// A life with everything in it: writes, compactions, an end without a close, an end with one. Goes on through
    /// failures.
    async fn live(&mut self) {
        for life in 0..3 {
            let Ok(store) = self.open().await else { continue };
            // What was unknown is decided now.
            let found = contents(&store).await;
            if found != self.model.sure {
                assert_eq!(Some(&found), self.model.perhaps.as_ref(), "life {life}");
                self.model.sure = found;
            }
            self.model.perhaps = None;
            self.write_all_kinds(&store, 2 * life).await;
            let _ = store.compact().await;
            self.check(&store, "after a compaction").await;
            self.write_all_kinds(&store, 2 * life + 1).await;
            self.check(&store, "before the end").await;
            if life == 1 {
                let _ = store.close().await;
            }
        }
    }

    /// What each crash leaves opens, and is what it must be.
    async fn check_crashes(&self, plan: Plan) {
        for crash in Crash::ALL {
            let after = Self::new(self.fs.after(crash), self.model.clone());
            let store = after
                .open()
                .await
                .unwrap_or_else(|error| panic!("{plan:?} {crash:?}: {error}"));
            let found = contents(&store).await;
            if found != self.model.sure {
                assert_eq!(Some(found), self.model.perhaps, "{plan:?} {crash:?}");
            }
            // And once more, from what opening made of it.
            let before = contents(&store).await;
            drop(store);
            let again = Self::new(after.fs.after(Crash::Power), Model::default());
            let store = again
                .open()
                .await
                .unwrap_or_else(|error| panic!("{plan:?} {crash:?} again: {error}"));
            assert_eq!(contents(&store).await, before, "{plan:?} {crash:?} again");
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    runtime.block_on(future)
}

async fn fail_each_operation(fault: Fault, lasting: bool) {
    let mut whole = Run::new(FakeFs::default(), Model::default());
    whole.live().await;
    let operations = whole.fs.operations();
    assert!(operations > 100, "{operations}");
    for at in 0..operations {
        let plan = Plan { at, fault, lasting };
        let mut run = Run::new(FakeFs::default(), Model::default());
        run.fs.fail(Some(plan));
        run.live().await;
        run.check_crashes(plan).await;
        // The cause is gone.
        run.fs.fail(None);
        let store = run.open().await.unwrap_or_else(|error| panic!("{plan:?}: {error}"));
        run.model.sure = contents(&store).await;
        run.insert(&store, "w", "last").await;
        assert!(
            run.model.sure.keys().any(|(key, _)| key == "w"),
            "{plan:?}: writes do not work again"
        );
        run.check_crashes(plan).await;
    }
}

#[test]
fn an_operation_that_fails_costs_nothing_acknowledged() {
    block_on(fail_each_operation(Fault::Nothing, false));
}

#[test]
fn an_operation_that_is_torn_costs_nothing_acknowledged() {
    block_on(fail_each_operation(Fault::Torn, false));
}

#[test]
fn a_file_system_that_fails_for_good_costs_nothing_acknowledged() {
    block_on(fail_each_operation(Fault::Nothing, true));
}

#[test]
fn a_file_system_that_tears_for_good_costs_nothing_acknowledged() {
    block_on(fail_each_operation(Fault::Torn, true));
}

#[test]
fn a_file_system_that_writes_by_half_for_good_costs_nothing_acknowledged() {
    block_on(fail_each_operation(Fault::Half, true));
}

#[test]
fn writes_work_again_in_the_same_store_once_the_cause_is_gone() {
    block_on(async {
        for fault in [Fault::Nothing, Fault::Torn, Fault::Half] {
            let mut run = Run::new(FakeFs::default(), Model::default());
            let store = run.open().await.expect("open");
            run.write_all_kinds(&store, 0).await;
            for skipped in 0..12 {
                let at = run.fs.operations() + skipped;
                run.fs.fail(Some(Plan {
                    at,
                    fault,
                    lasting: true,
                }));
                for round in 0..8 {
                    run.insert(&store, "x", &format!("{skipped}-{round}")).await;
                    run.check(&store, "reads go on").await;
                }
                let _ = store.compact().await;
                let refused: Error = store
                    .insert(&id("x", "refused"), &record("{}", 2_000))
                    .await
                    .expect_err("broken");
                assert_eq!(refused.kind(), ErrorKind::Unavailable);
                run.check_crashes(Plan {
                    at,
                    fault,
                    lasting: true,
                })
                .await;
                run.fs.fail(None);
                run.insert(&store, "y", &format!("{skipped}")).await;
                run.check(&store, "after the cause is gone").await;
                assert!(run.model.sure.contains_key(&("y".to_owned(), format!("{skipped}"))));
                run.check_crashes(Plan {
                    at,
                    fault,
                    lasting: true,
                })
                .await;
            }
        }
    });
}

#[test]
fn an_import_that_is_interrupted_loses_neither_sessions_nor_the_original() {
    const JAMLIB: &[u8] = include_bytes!("../../../tests/golden/jamlib_sessions.json");
    let fresh = || Run::new(FakeFs::default().with_file("sessions.json", JAMLIB), Model::default());
    block_on(async {
        let whole = fresh();
        drop(whole.open().await.expect("import"));
        for (at, fault) in (0..whole.fs.operations()).flat_map(|at| [(at, Fault::Nothing), (at, Fault::Torn)]) {
            let plan = Plan {
                at,
                fault,
                lasting: true,
            };
            let run = fresh();
            run.fs.fail(Some(plan));
            drop(run.open().await);
            for crash in Crash::ALL {
                let after = Run::new(run.fs.after(crash), Model::default());
                let store = after
                    .open()
                    .await
                    .unwrap_or_else(|error| panic!("{plan:?} {crash:?}: {error}"));
                assert_eq!(contents(&store).await.len(), 3, "{plan:?} {crash:?}");
                let original = after.fs.content("sessions.json.jamlib").expect("the original");
                assert_eq!(original, JAMLIB, "{plan:?} {crash:?}");
            }
        }
    });
}
