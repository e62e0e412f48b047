//! A file system in memory that fails, tears and forgets where a test wants it to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::fs::{Fs, FsFile, LockFile, RealFs};

/// How long a test waits for what must come, before it fails.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What happens to the operation that is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing of it is done. A failed sync drops what it should have written, as Linux does.
    Nothing,
    /// A write is done by half; anything else wholly, but says that it failed.
    Torn,
    /// A write is done by half, anything else not at all.
    Half,
}

/// Which operations fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) at: usize,
    pub(super) fault: Fault,
    /// From there on all of them, until the plan is lifted.
    pub(super) lasting: bool,
}

/// What a crash leaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    /// The process is killed: everything it did is there.
    Killed,
    /// The power fails: names and content are as they were synced.
    Power,
    /// The power fails; names had reached the device early, content as far as it was synced.
    PowerEarlyNames,
    /// The power fails; of the names only removals had reached the device early, content is as it was synced.
    PowerEarlyRemovals,
    /// The power fails; names and a half of what was not synced had reached the device early.
    PowerHalfContent,
}

impl Crash {
    pub(super) const ALL: [Self; 5] = [
        Self::Killed,
        Self::Power,
        Self::PowerEarlyNames,
        Self::PowerEarlyRemovals,
        Self::PowerHalfContent,
    ];
}

/// The file system. Names are those of one directory.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeFs {
    state: Arc<Mutex<State>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    big_writes: Arc<(Mutex<BigWrites>, Condvar)>,
}

/// Writes of a document that is too long for one write.
#[derive(Debug)]
struct BigWrites {
    seen: usize,
    let_through: usize,
    panics: bool,
}

impl Default for BigWrites {
    fn default() -> Self {
        Self {
            seen: 0,
            let_through: usize::MAX,
            panics: false,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    operations: usize,
    file_syncs: usize,
    plan: Option<Plan>,
    ignores_case: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    data: Vec<u8>,
    durable: Vec<u8>,
    /// Bytes of `data` that a failed sync has dropped.
    lost: Vec<std::ops::Range<usize>>,
}

impl Content {
    fn sync(&mut self) {
        self.durable.clone_from(&self.data);
        for lost in &self.lost {
            let end = lost.end.min(self.durable.len());
            self.durable[lost.start.min(end)..end].fill(0);
        }
    }
}

impl FakeFs {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("state")
    }

    /// A file that has been there for long.
    pub(super) fn with_file(self, name: &str, content: &[u8]) -> Self {
        {
            let mut state = self.state();
            let file = state.open(Path::new(name));
            state.files[file].data = content.to_vec();
            state.files[file].durable = content.to_vec();
            state.durable_names = state.names.clone();
        }
        self
    }

    pub(super) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.names.get(Path::new(name))?;
        Some(state.files[*file].data.clone())
    }

    pub(super) fn fail(&self, plan: Option<Plan>) {
        self.state().plan = plan;
    }

    pub(super) fn operations(&self) -> usize {
        self.state().operations
    }

    pub(super) fn file_syncs(&self) -> usize {
        self.state().file_syncs
    }

    /// Finds names in upper and lower case alike from now on; they are listed as they were created.
    pub(super) fn ignore_case(&self) {
        self.state().ignores_case = true;
    }

    /// A lock, which is real, in the spelling that there is.
    fn lock_path(&self, path: &Path) -> PathBuf {
        let directory = path.parent().expect("a directory");
        let names = RealFs.read_dir(directory).expect("listed");
        let found = names.into_iter().find(|there| self.state().is_name(there, path));
        found.unwrap_or_else(|| path.to_owned())
    }

    /// Makes syncs wait until the gate is opened.
    pub(super) fn hold_syncs(&self, hold: bool) {
        *self.gate.0.lock().expect("gate") = hold;
        self.gate.1.notify_all();
    }

    /// Makes writes of 256 KiB and more wait from now on: a compaction stands in the middle of its walk then.
    pub(super) fn hold_big_writes(&self) {
        *self.big_writes.0.lock().expect("gate") = BigWrites {
            seen: 0,
            let_through: 0,
            panics: false,
        };
    }

    /// Makes whoever does a big write panic.
    pub(super) fn panic_at_big_writes(&self, panics: bool) {
        self.big_writes.0.lock().expect("gate").panics = panics;
    }

    /// Lets so many big writes through, counted from when they were first held.
    pub(super) fn let_big_writes_through(&self, count: usize) {
        self.big_writes.0.lock().expect("gate").let_through = count;
        self.big_writes.1.notify_all();
    }

    /// Waits until so many big writes came, and tells whether they did in time.
    pub(super) fn big_writes_came(&self, count: usize, within: Duration) -> bool {
        let big = self.big_writes.0.lock().expect("gate");
        let waiting = self
            .big_writes
            .1
            .wait_timeout_while(big, within, |big| big.seen < count);
        !waiting.expect("gate").1.timed_out()
    }

    /// What a crash now would leave.
    pub(super) fn after(&self, crash: Crash) -> Self {
        let state = self.state();
        let names = match crash {
            Crash::Power | Crash::PowerEarlyRemovals => &state.durable_names,
            _ => &state.names,
        };
        let removed = |name| matches!(crash, Crash::PowerEarlyRemovals) && !state.names.contains_key(name);
        let mut left = State::default();
        for (name, file) in names.iter().filter(|(name, _)| !removed(*name)) {
            let Content { data, durable, .. } = &state.files[*file];
            let mut kept = match crash {
                Crash::Killed => data.clone(),
                _ => durable.clone(),
            };
            if matches!(crash, Crash::PowerHalfContent) && data.len() > durable.len() {
                let half = durable.len() + (data.len() - durable.len()) / 2;
                kept.extend_from_slice(&data[durable.len()..half]);
            }
            left.names.insert(name.clone(), left.files.len());
            left.files.push(Content {
                data: kept.clone(),
                durable: kept,
                lost: Vec::new(),
            });
        }
        left.durable_names = left.names.clone();
        Self {
            state: Arc::new(Mutex::new(left)),
            gate: Arc::default(),
            big_writes: Arc::default(),
        }
    }

    /// Does an operation that is no write, or what the plan makes of it.
    fn operate<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.operate_or_tear(|state, fault| match fault {
            Some(Fault::Half) => Err(io::Error::other("failed on purpose")),
            _ => work(state),
        })
    }

    fn operate_or_tear<T>(&self, work: impl FnOnce(&mut State, Option<Fault>) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let number = state.operations;
        state.operations += 1;
        let fault = state.plan.and_then(|plan| {
            let hit = number == plan.at || (plan.lasting && number > plan.at);
            hit.then_some(plan.fault)
        });
        match fault {
            None => work(&mut state, None),
            Some(Fault::Torn | Fault::Half) => {
                work(&mut state, fault)?;
                Err(io::Error::other("torn on purpose"))
            }
            Some(Fault::Nothing) => Err(io::Error::other("failed on purpose")),
        }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl State {
    /// The name of a file as it was created, if it is there.
    fn name(&self, path: &Path) -> PathBuf {
        let found = self.names.keys().find(|name| self.is_name(name, path)).cloned();
        found.unwrap_or_else(|| path.file_name().map(PathBuf::from).unwrap_or_default())
    }

    fn is_name(&self, there: &Path, asked: &Path) -> bool {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
        let (there, asked) = (name(there), name(asked));
        there == asked || (self.ignores_case && there.eq_ignore_ascii_case(asked))
    }

    fn open(&mut self, path: &Path) -> usize {
        let name = self.name(path);
        let files = &mut self.files;
        *self.names.entry(name).or_insert_with(|| {
            files.push(Content::default());
            files.len() - 1
        })
    }
}

impl Fs for FakeFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = self.operate(|state| {
            if state.names.contains_key(&state.name(path)) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Ok(state.open(path))
        })?;
        Ok(Box::new(FakeFile { fs: self.clone(), file }))
    }

    // What is written here is always appended.
    fn append_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        self.create_new(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.operate(|state| {
            let file = state.names.get(&state.name(path)).ok_or_else(not_found)?;
            Ok(state.files[*file].data.clone())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            let file = state.names.remove(&state.name(from)).ok_or_else(not_found)?;
            let to = state.name(to);
            state.names.insert(to, file);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| state.names.remove(&state.name(path)).map(drop).ok_or_else(not_found))
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        if state.names.contains_key(&state.name(path)) {
            return Ok(true);
        }
        drop(state);
        RealFs.exists(&self.lock_path(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names: Vec<_> = self.operate(|state| Ok(state.names.keys().map(|name| path.join(name)).collect()))?;
        // The locks are real.
        names.extend(RealFs.read_dir(path)?);
        Ok(names)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            let file = *state.names.get(&state.name(path)).ok_or_else(not_found)?;
            state.file_syncs += 1;
            state.files[file].sync();
            Ok(())
        })
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.durable_names = state.names.clone();
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<LockFile> {
        RealFs.lock(&self.lock_path(path))
    }

    fn try_lock_existing(&self, path: &Path) -> io::Result<LockFile> {
        RealFs.try_lock_existing(&self.lock_path(path))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockFile>> {
        RealFs.try_lock(&self.lock_path(path))
    }
}

#[derive(Debug)]
struct FakeFile {
    fs: FakeFs,
    file: usize,
}

impl FsFile for FakeFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let panics = self.fs.big_writes.0.lock().expect("gate").panics;
        assert!(!panics || bytes.len() < 256 * 1024, "on purpose");
        if bytes.len() >= 256 * 1024 {
            let mut big = self.fs.big_writes.0.lock().expect("gate");
            big.seen += 1;
            let number = big.seen;
            self.fs.big_writes.1.notify_all();
            let passed = self.fs.big_writes.1.wait_while(big, |big| number > big.let_through);
            drop(passed.expect("gate"));
        }
        self.fs.operate_or_tear(|state, fault| {
            let whole = fault.is_none();
            let written = if whole { bytes } else { &bytes[..bytes.len() / 2] };
            state.files[self.file].data.extend_from_slice(written);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let gate = self.fs.gate.0.lock().expect("gate");
        drop(self.fs.gate.1.wait_while(gate, |hold| *hold).expect("gate"));
        let synced = self.fs.operate(|state| {
            state.file_syncs += 1;
            state.files[self.file].sync();
            Ok(())
        });
        if synced.is_err() {
            let mut state = self.fs.state();
            let content = &mut state.files[self.file];
            if content.data != content.durable {
                let lost = content.durable.len()..content.data.len();
                content.lost.push(lost);
            }
        }
        synced
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.fs.operate(|state| {
            let content = &mut state.files[self.file];
            content.data.truncate(len);
            content.lost.retain(|lost| lost.start < len);
            Ok(())
        })
    }
}
