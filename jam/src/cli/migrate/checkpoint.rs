//! How far a migration is, in a file that is whole at every moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jam_core::Cursor;
use serde_json::{Value, json};

use crate::cli::failure::{Code, Failure};

const VERSION: u64 = 1;

/// Where the next page begins, and what went before. Its file is for its owner alone: a cursor may hold a record id.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) migration: String,
    from: String,
    to: String,
    pub(super) cursor: Option<Cursor>,
    /// Every page was copied.
    pub(super) at_end: bool,
    pub(super) sessions: u64,
    pub(super) notes: u64,
    pub(super) expired: u64,
}

impl Checkpoint {
    pub(super) fn new(migration: String, (from, to): &(String, String)) -> Self {
        Self {
            migration,
            from: from.clone(),
            to: to.clone(),
            cursor: None,
            at_end: false,
            sessions: 0,
            notes: 0,
            expired: 0,
        }
    }

    /// Whether a record may be in the target already.
    pub(super) fn has_begun(&self) -> bool {
        self.cursor.is_some() || self.at_end
    }

    /// The checkpoint in this file, if there is one.
    ///
    /// # Errors
    /// `Refused` if it is of another migration or no checkpoint at all.
    pub(super) fn read(path: &Path, (from, to): &(String, String)) -> Result<Option<Self>, Failure> {
        let shown = path.display();
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
        if (&checkpoint.from, &checkpoint.to) != (from, to) {
            return Err(Failure::refused(format!(
                "{shown} is the checkpoint of a migration from {} to {}; this one is from {from} to {to}. Name another file \
                 with --checkpoint",
                checkpoint.from, checkpoint.to
            )));
        }
        Ok(Some(checkpoint))
    }

    fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let number = |name: &str| value.get(name)?.as_u64();
        let cursor = match value.get("cursor")? {
            Value::Null => None,
            cursor => Some(Cursor::new(URL_SAFE_NO_PAD.decode(cursor.as_str()?).ok()?)),
        };
        (number("jam_checkpoint")? == VERSION).then_some(())?;
        Some(Self {
            migration: text("migration")?,
            from: text("from")?,
            to: text("to")?,
            cursor,
            at_end: value.get("at_end")?.as_bool()?,
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
            "from": self.from,
            "to": self.to,
            "cursor": self.cursor.as_ref().map(|cursor| URL_SAFE_NO_PAD.encode(cursor.as_bytes())),
            "at_end": self.at_end,
            "sessions": self.sessions,
            "grace_notes": self.notes,
            "expired_meanwhile": self.expired,
        });
        replace(path, &format!("{value}\n")).map_err(|error| {
            Failure::new(
                Code::Unforeseen,
                format!(
                    "the checkpoint {} cannot be written\n  because: {error}",
                    path.display()
                ),
            )
        })
    }

    /// Removes the file: there is nothing left to go on with.
    pub(super) fn remove(path: &Path) -> Result<(), Failure> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::unforeseen(format!(
                "the migration is finished, but its checkpoint {} cannot be removed\n  because: {error}",
                path.display()
            ))),
            _ => Ok(()),
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_from_its_file_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let places = ("json:/a".to_owned(), "json:/b".to_owned());
        assert!(Checkpoint::read(&path, &places).unwrap().is_none());
        let mut checkpoint = Checkpoint::new("m".to_owned(), &places);
        checkpoint.cursor = Some(Cursor::new(vec![0, 255, b'~']));
        checkpoint.sessions = 7;
        checkpoint.write(&path).unwrap();
        let read = Checkpoint::read(&path, &places).unwrap().unwrap();
        assert_eq!(read.cursor, checkpoint.cursor);
        assert_eq!(
            (read.migration.as_str(), read.sessions, read.has_begun()),
            ("m", 7, true)
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let others = ("json:/a".to_owned(), "json:/c".to_owned());
        assert_eq!(Checkpoint::read(&path, &others).unwrap_err().code(), Code::Refused);
    }
}
