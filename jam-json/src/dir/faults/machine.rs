//! A machine whose power can be cut: a file system in memory that knows what would be on the disk.
//!
//! On the disk is what was synced: a file's content up to its last sync, and every name that was made, changed or
//! removed in a directory before that directory's last sync. Of the rest, names are written in the order in which they
//! were changed, so that any number of the earlier ones may be there; and of content that was not synced, all, half or
//! nothing. A rename is one change: on the disk as a whole or not at all. A sync that fails makes the machine forget
//! what it should have written: later syncs of that directory do nothing until it is changed again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::fs::{Fs, FsFile, KeptLock, LockFile, RealFs};

/// What becomes of content that was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsynced {
    Lost,
    Half,
    Kept,
}

/// What is on a disk: the content of files, `None` for directories.
pub(super) type Disk = BTreeMap<PathBuf, Option<Vec<u8>>>;

#[derive(Clone, Debug)]
pub(super) struct Machine(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    nodes: Vec<Node>,
    log: Vec<Event>,
    syncs_fail: bool,
    locks: tempfile::TempDir,
}

#[derive(Clone, Debug)]
enum Node {
    Dir(BTreeMap<String, usize>),
    File(Vec<u8>),
}

/// A name in a directory.
type Slot = (usize, String);

#[derive(Clone, Debug)]
enum Event {
    Link(Slot, usize),
    Unlink(Slot, usize),
    Rename(Slot, Slot, usize),
    Write(usize, Vec<u8>),
    SyncFile(usize),
    SyncDir(usize),
    FailedSyncDir(usize),
}

impl Event {
    /// The directories whose names it changes; it is durable once all of them are synced.
    fn dirs(&self) -> Vec<usize> {
        match self {
            Self::Link(slot, _) | Self::Unlink(slot, _) => vec![slot.0],
            Self::Rename(from, to, _) => vec![from.0, to.0],
            _ => Vec::new(),
        }
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Machine {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            nodes: vec![Node::Dir(BTreeMap::new())],
            log: Vec::new(),
            syncs_fail: false,
            locks: tempfile::tempdir().expect("a temporary directory"),
        })))
    }

    /// A machine that starts with what is on this disk.
    pub(super) fn with(disk: &Disk) -> Self {
        let machine = Self::new();
        for (path, content) in disk {
            if let Some(content) = content {
                machine
                    .create_new(path)
                    .and_then(|mut file| file.write_all(content))
                    .expect("put back");
            } else {
                machine.create_dir(path).expect("put back");
            }
        }
        machine
    }

    /// Whether syncs of directories fail from now on.
    pub(super) fn let_syncs_fail(&self, fail: bool) {
        self.inner().syncs_fail = fail;
    }

    /// How much has happened so far.
    pub(super) fn moment(&self) -> usize {
        self.inner().log.len()
    }

    /// What is on the disk if the power is cut at this moment, and of what was not synced then, the names changed in
    /// the first `names` events and so much of the content.
    pub(super) fn disk(&self, moment: usize, names: usize, content: Unsynced) -> Disk {
        let inner = self.inner();
        let events = &inner.log[..moment];
        let mut dirs: Vec<BTreeMap<String, usize>> = vec![BTreeMap::new(); inner.nodes.len()];
        for (index, event) in events.iter().enumerate() {
            let later = &events[index..];
            if index >= names && !event.dirs().iter().all(|dir| is_synced(*dir, later)) {
                continue;
            }
            match event.clone() {
                Event::Link((dir, name), node) => drop(dirs[dir].insert(name, node)),
                Event::Unlink((dir, name), node) => unlink(&mut dirs[dir], &name, node),
                Event::Rename((from, old), (to, new), node) => {
                    unlink(&mut dirs[from], &old, node);
                    dirs[to].insert(new, node);
                }
                Event::Write(..) | Event::SyncFile(_) | Event::SyncDir(_) | Event::FailedSyncDir(_) => {}
            }
        }
        let mut disk = Disk::new();
        let mut left = vec![(PathBuf::from("/"), 0)];
        while let Some((path, dir)) = left.pop() {
            for (name, node) in &dirs[dir] {
                let path = path.join(name);
                if let Node::Dir(_) = inner.nodes[*node] {
                    disk.insert(path.clone(), None);
                    left.push((path, *node));
                } else {
                    disk.insert(path, Some(content_of(*node, events, content)));
                }
            }
        }
        disk
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic")
    }
}

/// Whether these events make durable what was changed in the directory before.
fn is_synced(dir: usize, events: &[Event]) -> bool {
    let mut forgotten = false;
    for event in events {
        match event {
            Event::SyncDir(synced) if *synced == dir && !forgotten => return true,
            Event::FailedSyncDir(failed) if *failed == dir => forgotten = true,
            event if event.dirs().contains(&dir) => forgotten = false,
            _ => {}
        }
    }
    false
}

fn unlink(dir: &mut BTreeMap<String, usize>, name: &str, node: usize) {
    if dir.get(name) == Some(&node) {
        dir.remove(name);
    }
}

fn content_of(file: usize, events: &[Event], unsynced: Unsynced) -> Vec<u8> {
    let (mut newest, mut synced) = (&[][..], &[][..]);
    for event in events {
        match event {
            Event::Write(node, content) if *node == file => newest = content,
            Event::SyncFile(node) if *node == file => synced = newest,
            _ => {}
        }
    }
    match unsynced {
        Unsynced::Kept => newest.to_vec(),
        Unsynced::Lost => synced.to_vec(),
        // Files here only ever grow or are cut, so what lies between two contents is a part of the longer one.
        Unsynced::Half => {
            let longer = if newest.len() > synced.len() { newest } else { synced };
            longer[..newest.len().midpoint(synced.len())].to_vec()
        }
    }
}

impl Inner {
    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut node = 0;
        for component in path.components() {
            if let Component::Normal(name) = component {
                let name = name.to_str().expect("ASCII");
                node = *self.dir(node)?.get(name).ok_or_else(missing)?;
            }
        }
        Ok(node)
    }

    fn dir(&self, node: usize) -> io::Result<&BTreeMap<String, usize>> {
        match &self.nodes[node] {
            Node::Dir(names) => Ok(names),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The directory a path lies in, and its name there.
    fn slot(&self, path: &Path) -> io::Result<Slot> {
        let name = path.file_name().expect("a name").to_str().expect("ASCII");
        Ok((self.find(path.parent().expect("a directory"))?, name.to_owned()))
    }

    fn names(&mut self, dir: usize) -> &mut BTreeMap<String, usize> {
        match &mut self.nodes[dir] {
            Node::Dir(names) => names,
            Node::File(_) => panic!("a directory"),
        }
    }

    fn link(&mut self, path: &Path, new: Node) -> io::Result<usize> {
        let slot = self.slot(path)?;
        if self.dir(slot.0)?.contains_key(&slot.1) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = self.nodes.len();
        self.nodes.push(new);
        self.names(slot.0).insert(slot.1.clone(), node);
        self.log.push(Event::Link(slot, node));
        Ok(node)
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        let slot = self.slot(path)?;
        self.names(slot.0).remove(&slot.1);
        self.log.push(Event::Unlink(slot, node));
        Ok(())
    }

    fn write(&mut self, file: usize, content: Vec<u8>) {
        self.log.push(Event::Write(file, content.clone()));
        self.nodes[file] = Node::File(content);
    }

    fn content(&self, file: usize) -> io::Result<Vec<u8>> {
        match &self.nodes[file] {
            Node::File(content) => Ok(content.clone()),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn lock_path(&self, path: &Path) -> PathBuf {
        self.locks.path().join(path.file_name().expect("a name"))
    }
}

impl Fs for Machine {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let node = self.inner().link(path, Node::File(Vec::new()))?;
        let machine = self.clone();
        Ok(Box::new(OpenFile { machine, node }))
    }

    fn append_new(&self, _: &Path) -> io::Result<Box<dyn FsFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let inner = self.inner();
        inner.content(inner.find(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        let node = inner.find(from)?;
        let (from, to) = (inner.slot(from)?, inner.slot(to)?);
        inner.names(from.0).remove(&from.1);
        inner.names(to.0).insert(to.1.clone(), node);
        inner.log.push(Event::Rename(from, to, node));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner().unlink(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        let node = inner.find(path)?;
        if !inner.dir(node)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        inner.unlink(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let files = self.read_dir(path)?;
        let mut inner = self.inner();
        for file in files {
            inner.unlink(&file)?;
        }
        inner.unlink(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match self.inner().link(path, Node::Dir(BTreeMap::new())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result.map(drop),
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.inner().find(path).is_ok())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let inner = self.inner();
        let names = inner.dir(inner.find(path)?)?;
        Ok(names.keys().map(|name| path.join(name)).collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        let dir = inner.find(path)?;
        if inner.syncs_fail {
            inner.log.push(Event::FailedSyncDir(dir));
            return Err(io::Error::other("as the test wants it"));
        }
        inner.log.push(Event::SyncDir(dir));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<LockFile> {
        let mut inner = self.inner();
        if inner.find(path).is_err() {
            inner.link(path, Node::File(Vec::new()))?;
        }
        RealFs.lock(&inner.lock_path(path))
    }

    fn try_lock_existing(&self, path: &Path) -> io::Result<LockFile> {
        self.inner().find(path)?;
        self.lock(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockFile>> {
        self.lock(path).map(Some)
    }

    fn lock_again(&self, kept: KeptLock, path: &Path) -> io::Result<Option<LockFile>> {
        let inner = self.inner();
        match inner.find(path) {
            Ok(_) => kept.lock(&inner.lock_path(path)),
            Err(_) => Ok(None),
        }
    }
}

#[derive(Debug)]
struct OpenFile {
    machine: Machine,
    node: usize,
}

impl FsFile for OpenFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.machine.inner();
        let mut content = inner.content(self.node)?;
        content.extend_from_slice(bytes);
        inner.write(self.node, content);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.machine.inner().log.push(Event::SyncFile(self.node));
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut inner = self.machine.inner();
        let mut content = inner.content(self.node)?;
        content.truncate(usize::try_from(len).expect("small"));
        inner.write(self.node, content);
        Ok(())
    }
}
