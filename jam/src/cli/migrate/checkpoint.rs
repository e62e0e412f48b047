//! How far a migration is, in a file that is whole at every moment.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jam_core::{IdFactory, UuidV4};
use serde_json::{Value, json};

use crate::cli::failure::{Code, Failure};
use crate::cli::place::Place;
use crate::config::shown;

const VERSION: u64 = 1;

/// Which migration it is, and how many pages went over. It does not say where to go on: what TO acknowledged last it may have lost
/// since, where it was its server or its machine that went down, so that whoever goes on walks over all of FROM again.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) migration: String,
    from: Place,
    to: Place,
    pages: u64,
    pub(super) sessions: u64,
    pub(super) notes: u64,
    pub(super) expired: u64,
}

impl Checkpoint {
    pub(super) fn new(migration: String, (from, to): &(Place, Place)) -> Self {
        Self {
            migration,
            from: from.clone(),
            to: to.clone(),
            pages: 0,
            sessions: 0,
            notes: 0,
            expired: 0,
        }
    }

    /// Whether a record may be in the target already.
    pub(super) fn has_begun(&self) -> bool {
        self.pages > 0
    }

    /// Whether the source held nothing, as far as it was walked over.
    pub(super) fn has_met_none(&self) -> bool {
        self.sessions + self.notes + self.expired == 0
    }

    /// The same migration before its first page.
    pub(super) fn again(self) -> Self {
        Self::new(self.migration, &(self.from, self.to))
    }

    /// One page more, with so many records.
    pub(super) fn add(&mut self, sessions: u64, notes: u64, expired: u64) {
        self.pages += 1;
        self.sessions += sessions;
        self.notes += notes;
        self.expired += expired;
    }

    /// The checkpoint in this file, if there is one.
    ///
    /// # Errors
    /// `Refused` if it is of another migration or no checkpoint at all.
    pub(super) fn read(path: &Path, (from, to): &(Place, Place)) -> Result<Option<Self>, Failure> {
        let shown = shown(path);
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::refused(format!("{shown} cannot be read\n  because: {error}"))),
        };
        let Some(checkpoint) = Self::parse(&text) else {
            return Err(Failure::refused(format!(
                "{shown} is no checkpoint of this version of jam; name another file with --checkpoint"
            )));
        };
        if (&checkpoint.from, &checkpoint.to) == (from, to) {
            return Ok(Some(checkpoint));
        }
        let this = if (&checkpoint.from.text, &checkpoint.to.text) == (&from.text, &to.text) {
            "has other settings".to_owned()
        } else {
            format!("is from {from} to {to}")
        };
        Err(Failure::refused(format!(
            "{shown} is the checkpoint of a migration from {} to {}; this one {this}. Name another file with --checkpoint",
            checkpoint.from, checkpoint.to
        )))
    }

    fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let number = |name: &str| value.get(name)?.as_u64();
        let place = |name: &str| {
            Some(Place {
                text: text(name)?,
                settings: text(&format!("{name}_settings")),
            })
        };
        (number("jam_checkpoint")? == VERSION).then_some(())?;
        Some(Self {
            migration: text("migration")?,
            from: place("from")?,
            to: place("to")?,
            pages: number("pages")?,
            sessions: number("sessions")?,
            notes: number("grace_notes")?,
            expired: number("expired_meanwhile")?,
        })
    }

    /// Writes it, synced, in place of what was there.
    ///
    /// # Errors
    /// `Unforeseen` if the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let value = json!({
            "jam_checkpoint": VERSION,
            "migration": self.migration,
            "from": self.from.text,
            "from_settings": self.from.settings,
            "to": self.to.text,
            "to_settings": self.to.settings,
            "pages": self.pages,
            "sessions": self.sessions,
            "grace_notes": self.notes,
            "expired_meanwhile": self.expired,
        });
        replace(path, &format!("{value}\n")).map_err(|error| {
            Failure::new(
                Code::Unforeseen,
                format!("the checkpoint {} cannot be written\n  because: {error}", shown(path)),
            )
        })
    }

    /// Removes the file: there is nothing left to go on with.
    pub(super) fn remove(path: &Path) -> Result<(), Failure> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::unforeseen(format!(
                "the migration is finished, but its checkpoint {} cannot be removed\n  because: {error}",
                shown(path)
            ))),
            _ => Ok(()),
        }
    }
}

/// Held by the one run that goes on with a checkpoint, until it is dropped or the process ends. Its file stays: whoever removed it
/// might take it from somebody who has just opened it.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "held for its lock")] File);

impl Turn {
    /// Takes the turn, without waiting for it.
    ///
    /// # Errors
    /// `Refused` if another run has it, `Unforeseen` if there can be no such file.
    pub(super) fn take(checkpoint: &Path) -> Result<Self, Failure> {
        let path = beside(checkpoint, "lock");
        let cannot = |error: io::Error| {
            Failure::unforeseen(format!(
                "the lock beside the checkpoint {}, which keeps runs of one migration apart, cannot be taken; --checkpoint FILE \
                 chooses another place\n  because: {error}",
                shown(checkpoint)
            ))
        };
        let file = open_lock(&path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Failure::refused(format!(
                "another run goes on with {} at this moment; wait for its end",
                shown(checkpoint)
            ))),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }
}

/// Opens what is there, or creates it, and creates nothing that a link leads to: whoever put the link there could have root create
/// any file.
fn open_lock(path: &Path) -> io::Result<File> {
    let dangling = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            let words = format!("{} is a link that leads nowhere; remove it", shown(path));
            io::Error::new(io::ErrorKind::NotFound, words)
        }
        _ => error,
    };
    let mut options = OpenOptions::new();
    owners_alone(options.write(true));
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match options.clone().create_new(true).open(path) {
        // Another run was faster, or it is a link that leads nowhere.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path).map_err(dangling),
        created => created,
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".");
    beside.push(ending);
    PathBuf::from(beside)
}

fn owners_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A name that nobody can foresee, and a new file: in a directory that others write to, nothing of theirs is written through.
    let temporary = beside(path, &format!("{}.tmp", UuidV4.next_id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = owners_alone(&mut options).open(&temporary)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(path)
}

/// Makes the file's own name durable, where a directory can be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, settings: Option<&str>) -> Place {
        Place {
            text: text.to_owned(),
            settings: settings.map(str::to_owned),
        }
    }

    #[test]
    fn a_checkpoint_comes_back_from_its_file_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let places = (place("json:/a", None), place("x:", Some("hash")));
        assert!(Checkpoint::read(&path, &places).unwrap().is_none());
        let mut checkpoint = Checkpoint::new("m".to_owned(), &places);
        checkpoint.add(7, 2, 1);
        checkpoint.write(&path).unwrap();
        let read = Checkpoint::read(&path, &places).unwrap().unwrap();
        assert_eq!((read.migration.as_str(), read.has_begun()), ("m", true));
        assert_eq!((read.sessions, read.notes, read.expired), (7, 2, 1));
        let again = read.again();
        assert_eq!(
            (again.migration.as_str(), again.has_begun(), again.sessions),
            ("m", false, 0)
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        for other in [place("y:", Some("hash")), place("x:", Some("other")), place("x:", None)] {
            let others = (place("json:/a", None), other);
            assert_eq!(Checkpoint::read(&path, &others).unwrap_err().code(), Code::Refused);
        }
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_beside_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("checkpoint"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "as it was").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("checkpoint.tmp")).unwrap();
        let places = (place("json:/a", None), place("x:", Some("hash")));
        Checkpoint::new("m".to_owned(), &places).write(&path).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "as it was");
        assert!(Checkpoint::read(&path, &places).unwrap().is_some());
        let names = folder.path().read_dir().unwrap().count();
        assert_eq!(names, 3, "nothing is left beside it");
    }

    /// Root would create whatever file somebody had it lead to.
    #[cfg(unix)]
    #[test]
    fn a_lock_that_is_a_link_to_nowhere_is_refused_and_creates_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("checkpoint"), folder.path().join("elsewhere"));
        let link = folder.path().join("checkpoint.lock");
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let refused = Turn::take(&path).unwrap_err();
        assert_eq!(refused.code(), Code::Unforeseen);
        let said = format!("{refused:?}");
        assert!(
            said.contains("checkpoint.lock") && said.contains("a link that leads nowhere"),
            "{said}"
        );
        assert!(elsewhere.symlink_metadata().is_err(), "nothing was created there");
        fs::remove_file(&link).unwrap();
        let turn = Turn::take(&path).unwrap();
        assert!(link.metadata().unwrap().is_file());
        assert_eq!(Turn::take(&path).unwrap_err().code(), Code::Refused);
        drop(turn);
        Turn::take(&path).unwrap();
    }
}
