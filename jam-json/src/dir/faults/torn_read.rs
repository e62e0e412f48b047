//! A read that meets a write half-way.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use jam_core::{Load, SessionStore, Timestamp};

use super::scenario::{id, open, set_up};
use crate::fs::{Fs, FsFile, LockFile, RealFs};

/// A file system on which a read gives half of the file, once, after so many reads: as if the file had been cut just
/// then.
#[derive(Debug)]
struct TornRead(AtomicI64);

impl Fs for TornRead {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = RealFs.read(path)?;
        if self.0.fetch_sub(1, Ordering::SeqCst) == 0 {
            bytes.truncate(bytes.len() / 2);
        }
        Ok(bytes)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        RealFs.create_new(path)
    }

    fn append_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        RealFs.append_new(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_dir_all(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.create_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealFs.exists(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        RealFs.read_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<LockFile> {
        RealFs.lock(path)
    }

    fn try_lock_existing(&self, path: &Path) -> io::Result<LockFile> {
        RealFs.try_lock_existing(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockFile>> {
        RealFs.try_lock(path)
    }
}

#[tokio::test]
async fn a_read_that_meets_a_file_just_being_cut_looks_again_under_the_lock() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
    for at in 0..4 {
        let store = open(directory.path(), TornRead(AtomicI64::new(at)))
            .await
            .expect("opened");
        let page = store.scan(None, 9).await.expect("not damaged");
        assert_eq!(page.entries.len(), 3);
    }
    let store = open(directory.path(), TornRead(AtomicI64::new(0)))
        .await
        .expect("opened");
    let loaded = store.load(&id("user1", "a"), Load::new()).await.expect("not damaged");
    assert!(loaded.is_some());
    let store = open(directory.path(), TornRead(AtomicI64::new(0)))
        .await
        .expect("opened");
    assert_eq!(
        store
            .remove_expired(Timestamp::from_secs(1_000))
            .await
            .expect("not damaged"),
        1
    );
}
