//! The file system as this crate uses it: a seam, so that tests can make each single operation fail, tear or get lost.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The operations both stores are made of. Files are created with mode 0600, directories with 0700; what root creates in a
/// directory of another user is that user's.
pub(crate) trait Fs: fmt::Debug + Send + Sync + 'static {
    /// Creates a file that must not exist, for writing.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// The same in a directory that is known to be root's, if this is root: there is no other owner to give it to.
    fn create_new_own(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        self.create_new(path)
    }
    /// Creates a file that must not exist, for appending.
    fn append_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Moves a file or directory over another name, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory; its parent must exist. One that is there already is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether a file or directory of that name is there.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Names in a directory, in no order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// The same one after another, for directories of which there may be a million.
    fn each_in_dir(&self, path: &Path, each: &mut dyn FnMut(PathBuf)) -> io::Result<()> {
        self.read_dir(path)?.into_iter().for_each(each);
        Ok(())
    }
    /// Makes the content of a file durable, whoever wrote it (`fdatasync`).
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Makes the names in a directory durable, on Unix. Elsewhere it only has to be there.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens (creating it if needed) a lock file and takes an exclusive lock, waiting for it. Dropping the guard lets
    /// go.
    fn lock(&self, path: &Path) -> io::Result<LockFile>;
    /// Like [`try_lock`](Self::try_lock), but a lock file that is not there is not created: `NotFound`. If somebody
    /// else has the lock: `WouldBlock`.
    fn try_lock_existing(&self, path: &Path) -> io::Result<LockFile>;
    /// Like [`lock`](Self::lock), but without waiting: `None` if somebody else has the lock.
    fn try_lock(&self, path: &Path) -> io::Result<Option<LockFile>>;
    /// Takes the lock of a file that was kept open, without waiting. `None` if somebody else has it, or if that is no
    /// longer the file of this name.
    fn lock_again(&self, kept: KeptLock, path: &Path) -> io::Result<Option<LockFile>> {
        kept.lock(path)
    }
}

/// A file that is written to.
pub(crate) trait FsFile: fmt::Debug + Send {
    /// Writes all of it.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to this length.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Gives it to the owner of another file, whose place it shall take, where this process may do so: as root.
    fn give_to_owner_of(&self, other: &Path) {
        let _ = other;
    }
    /// Whether it is still the file of this name; `true` where the system does not tell.
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Ok(true)
    }
}

/// An exclusive lock between processes (and between handles of one process). Let go on drop, and by the system when the
/// process dies.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: Option<File>,
    identity: Option<Identity>,
    /// It was seen to be root's.
    is_roots: bool,
}

impl LockFile {
    fn held(file: File, identity: Option<Identity>) -> Self {
        Self {
            file: Some(file),
            identity,
            is_roots: false,
        }
    }

    /// Whether it is still the file of this name, so that nobody else can have this lock; `true` where the system does not tell.
    pub(crate) fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.file.as_ref().map_or(Ok(true), |file| FsFile::is_at(file, path))
    }

    /// Whether it is known to be root's.
    pub(crate) const fn is_roots(&self) -> bool {
        self.is_roots
    }

    /// Lets go of the lock, and keeps the file open for the next time. `None` where that cannot be, or where nobody could
    /// tell later whether it is still the file of its name.
    pub(crate) fn keep(mut self) -> Option<KeptLock> {
        let file = self.file.take()?;
        file.unlock().ok()?;
        let identity = match self.identity {
            Some(identity) => identity,
            None => identity(&file.metadata().ok()?)?,
        };
        Some(KeptLock {
            file,
            identity,
            process: std::process::id(),
        })
    }
}

/// Closing the file is not enough: a child process that is just being started, by any thread, holds a copy of it for a moment,
/// and the lock with it.
impl Drop for LockFile {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Where this fails, the closing that follows does it, a little later.
            drop(file.unlock());
        }
    }
}

/// A lock file that is open and that nobody has locked through this handle.
#[derive(Debug)]
pub(crate) struct KeptLock {
    file: File,
    identity: Identity,
    /// Whose it is. A process that was forked off shares the open file, and to the system its lock is the same one.
    process: u32,
}

/// What tells a file from another one that got its name later: its device and number, which no other file has while it is open.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = std::convert::Infallible;

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems do not tell")]
fn identity(meta: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Option<Identity> {
    None
}

#[cfg(unix)]
fn is_roots(meta: &fs::Metadata) -> bool {
    crate::owner::is_roots(meta)
}

#[cfg(not(unix))]
fn is_roots(_: &fs::Metadata) -> bool {
    false
}

impl KeptLock {
    /// [`Fs::lock_again`].
    pub(crate) fn lock(self, path: &Path) -> io::Result<Option<LockFile>> {
        // Before anything is locked, since to let go of that would be to let go of the other process's lock.
        if self.process != std::process::id() {
            return Ok(None);
        }
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut lock = LockFile::held(self.file, Some(self.identity));
        // Under the lock, so that who removes the file and makes it anew is noticed if that was before.
        match fs::metadata(path) {
            Ok(meta) if identity(&meta) == Some(self.identity) => {
                lock.is_roots = is_roots(&meta);
                Ok(Some(lock))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The real thing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealFs;

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Creates a file that must not exist. One that root creates is the directory's owner's.
fn create(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.create_new(true).open(path)?;
    #[cfg(unix)]
    crate::owner::hand_over_file(&file, path);
    Ok(file)
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = private();
    options.read(true).write(true).truncate(false);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    match create(&mut options.clone(), path) {
        // Somebody else was faster, or it is a link that leads nowhere: whoever put it there could have root create any file.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path).map_err(name_dangling_link),
        result => result,
    }
}

fn name_dangling_link(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let words = "it is a link that leads nowhere; remove it, or create the file that it leads to";
            io::Error::new(io::ErrorKind::NotFound, words)
        }
        _ => error,
    }
}

fn wait_for(file: File) -> io::Result<LockFile> {
    loop {
        match file.lock() {
            Ok(()) => return Ok(LockFile::held(file, None)),
            // A signal came while waiting; that is no answer.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Fs for RealFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(create(private().write(true), path)?))
    }

    fn create_new_own(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(private().write(true).create_new(true).open(path)?))
    }

    fn append_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(create(private().append(true), path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // A session mostly comes in one piece, and then nobody need ask how long the file is.
        let mut file = File::open(path)?;
        let mut piece = [0; 4096];
        let read = loop {
            match file.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        let mut bytes = piece[..read].to_vec();
        if read == piece.len() {
            file.read_to_end(&mut bytes)?;
        } else {
            // To its end all the same: a read may give less than there is.
            file.take(u64::MAX).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        match builder.create(path) {
            #[cfg(unix)]
            Ok(()) => {
                crate::owner::hand_over_dir(path);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        self.each_in_dir(path, &mut |path| paths.push(path))?;
        Ok(paths)
    }

    fn each_in_dir(&self, path: &Path, each: &mut dyn FnMut(PathBuf)) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            each(entry?.path());
        }
        Ok(())
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        // Windows syncs no file that is not open for writing.
        OpenOptions::new().append(true).open(path)?.sync_data()
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    // Windows opens no directory as a file, and has no sync of one.
    #[cfg(not(unix))]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if fs::metadata(path)?.is_dir() {
            Ok(())
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn lock(&self, path: &Path) -> io::Result<LockFile> {
        wait_for(open_lock(path)?)
    }

    fn try_lock_existing(&self, path: &Path) -> io::Result<LockFile> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        file.try_lock()?;
        Ok(LockFile::held(file, None))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockFile>> {
        let file = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(LockFile::held(file, None))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl FsFile for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    #[cfg(unix)]
    fn give_to_owner_of(&self, other: &Path) {
        crate::owner::hand_over_like(self, other);
    }

    #[cfg(unix)]
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        match path.metadata() {
            Ok(there) => Ok(identity(&there) == identity(&self.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
