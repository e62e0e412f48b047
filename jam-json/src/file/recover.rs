//! Opening: the document, then the journals over it, and every reason not to trust them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use jam_core::memory::Table;
use jam_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::document::{self, Head};
use super::errors::{corrupt, not_imported, torn_apart, unavailable};
use super::jamlib;
use super::paths::{Beside, Paths};
use super::replay::{Place, Position, holds_records, replay};
use super::report::{Import, RecoveryReport};
use crate::fs::Fs;

/// What was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) table: Table,
    /// The newest generation in use; 0 if there is none.
    pub(super) generation: u64,
    /// The number of the last change.
    pub(super) sequence: u64,
    pub(super) start: Start,
    /// Journals that are there, to be removed once the document has what is in them.
    pub(super) journals: BTreeSet<u64>,
    pub(super) report: RecoveryReport,
}

/// What has to be done before the first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing is there: the first journal is all it takes.
    New,
    /// The document, of this length, is all there is: its journal is all it takes.
    AtRest(u64),
    /// There is more than a document, or damage: all of it goes into a new document.
    Anew,
}

/// What may be there in place of a document as jam wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    /// One that was edited, or that is without its journal.
    pub(super) edited_document: bool,
    /// One of Python's jamlib, to be imported.
    pub(super) jamlib: bool,
    /// An empty file: no lock was beside it, so it was never a store.
    pub(super) empty: bool,
}

/// Reads what is there. Changes nothing but for temporary files, which it removes, and the original of an import, which it keeps.
pub(super) fn recover(fs: &dyn Fs, paths: &Paths, accepted: Accepted) -> Result<Recovered> {
    let journals = sweep(fs, paths)?;
    let mut found = Recovered {
        table: Table::new(),
        generation: 0,
        sequence: 0,
        start: Start::Anew,
        journals,
        report: RecoveryReport::default(),
    };
    let bytes = read_if_there(fs, paths.document())?;
    let head = match bytes.as_deref() {
        None => None,
        Some([]) if accepted.empty && found.journals.is_empty() => None,
        Some([]) => {
            let why = "it is empty, which no document of jam is; restore a backup, or remove it to begin anew";
            return Err(corrupt(paths.document(), 0, why));
        }
        Some(bytes) => found.read_document(fs, paths, bytes, accepted)?,
    };
    found.read_journals(fs, paths, head.as_ref(), accepted.edited_document)?;
    if found.journals.is_empty() && found.report == RecoveryReport::default() {
        found.start = match (&bytes, &head) {
            (None, _) => Start::New,
            (Some(bytes), Some(_)) => Start::AtRest(bytes.len() as u64),
            (Some(_), None) => Start::Anew,
        };
    }
    Ok(found)
}

impl Recovered {
    /// Gives the head of a document of ours, `None` after an import.
    fn read_document(&mut self, fs: &dyn Fs, paths: &Paths, bytes: &[u8], accepted: Accepted) -> Result<Option<Head>> {
        let file = paths.document();
        match kind(bytes) {
            DocumentKind::Jam => {
                let (head, edited) = document::read(file, bytes, accepted.edited_document, &self.table)?;
                self.generation = head.generation;
                self.sequence = head.sequence;
                self.report.edited_document = edited;
                Ok(Some(head))
            }
            DocumentKind::Jamlib if self.journals.is_empty() && !accepted.jamlib => Err(not_imported(file)),
            DocumentKind::Jamlib if self.journals.is_empty() => {
                let sessions = jamlib::read(file, bytes, &self.table)?;
                keep_original(fs, paths, bytes)?;
                let original = paths.imported();
                self.report.imported = Some(Import { sessions, original });
                Ok(None)
            }
            DocumentKind::Jamlib => {
                let why = "it is a document of Python's jamlib, but there are journals of jam beside it; move one or the other away";
                Err(torn_apart(file, why))
            }
            DocumentKind::Foreign => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{} is JSON, but no sessions file of jam or of Python's jamlib; choose another path; nothing was changed",
                    file.display()
                ),
            )),
            DocumentKind::NoJson => Err(corrupt(
                file,
                0,
                "it is no sessions file of jam; restore a backup or choose another path",
            )),
        }
    }

    fn read_journals(&mut self, fs: &dyn Fs, paths: &Paths, head: Option<&Head>, accept_edited: bool) -> Result<()> {
        // Older ones are in the document; an import begins with generation 0, and has none.
        let first = head.map_or(1, |head| head.generation);
        let relevant = self.journals.range(first..).copied().collect::<Vec<_>>();
        let vouched = head.is_some_and(|head| head.journal);
        if vouched && relevant.first() != Some(&first) {
            if !(accept_edited && relevant.is_empty()) {
                let why = format!(
                    "the journal that belongs to the document is missing; {}",
                    help(paths, &relevant)
                );
                return Err(torn_apart(&paths.journal(first), &why));
            }
            self.report.edited_document = true;
        }
        let mut position = Position {
            sequence: self.sequence,
            replayed: 0,
        };
        let contents = relevant.iter().map(|generation| {
            let file = paths.journal(*generation);
            let bytes = fs.read(&file).map_err(|error| unavailable("reading", &file, error))?;
            Ok((*generation, file, bytes))
        });
        let contents: Vec<_> = contents.collect::<Result<_>>()?;
        // One that was begun in vain may come after the last one that was written to.
        let last = contents.iter().rposition(|(_, _, bytes)| holds_records(bytes));
        for (index, ((generation, file, bytes), expected)) in contents.iter().zip(first..).enumerate() {
            if *generation != expected {
                let why = match head {
                    None if index == 0 => "the document before this journal is missing".to_owned(),
                    Some(_) if index == 0 => {
                        let help = help(paths, &relevant);
                        format!("the journal of generation {expected}, before this one, is missing; {help}")
                    }
                    _ => format!("the journal of generation {expected}, before this one, is missing"),
                };
                return Err(torn_apart(file, &why));
            }
            let place = Place {
                generation: *generation,
                last: last.is_none_or(|last| index >= last),
                vouched: vouched && *generation == first,
            };
            let damage = replay(file, bytes, place, &mut position, &self.table)?;
            self.report.damage.extend(damage);
            self.generation = *generation;
        }
        self.sequence = position.sequence;
        self.report.replayed = position.replayed;
        Ok(())
    }
}

/// Whether a sessions file of Python's jamlib is there, and nothing of jam's: opening imports it.
pub(super) fn is_jamlibs(fs: &dyn Fs, paths: &Paths) -> Result<bool> {
    let failed = |error| unavailable("reading", paths.directory(), error);
    let beside = fs.read_dir(paths.directory()).map_err(failed)?;
    let has_journal = beside
        .iter()
        .any(|path| matches!(paths.classify(path), Some(Beside::Journal(_))));
    let bytes = read_if_there(fs, paths.document())?;
    Ok(!has_journal && bytes.is_some_and(|bytes| kind(&bytes) == DocumentKind::Jamlib))
}

/// What to do where journals are missing that these ones, if any, would follow.
fn help(paths: &Paths, later: &[u64]) -> String {
    let names = later.iter().map(|generation| paths.journal(*generation));
    let names: Vec<_> = names
        .filter_map(|file| Some(file.file_name()?.display().to_string()))
        .collect();
    let move_away = if names.is_empty() {
        String::new()
    } else {
        format!("move {} away and ", names.join(", "))
    };
    format!(
        "bring it back or, if the document alone shall count, {move_away}open it once with `accept_edited_document`"
    )
}

/// Removes temporary files, and gives the generations there are journals of.
fn sweep(fs: &dyn Fs, paths: &Paths) -> Result<BTreeSet<u64>> {
    let failed = |error| unavailable("reading", paths.directory(), error);
    let mut journals = BTreeSet::new();
    for path in fs.read_dir(paths.directory()).map_err(failed)? {
        match paths.classify(&path) {
            Some(Beside::Journal(generation)) => {
                journals.insert(generation);
            }
            Some(Beside::Temporary) => fs
                .remove_file(&path)
                .map_err(|error| unavailable("removing", &path, error))?,
            Some(Beside::Lock) | None => {}
        }
    }
    Ok(journals)
}

fn read_if_there(fs: &dyn Fs, file: &Path) -> Result<Option<Vec<u8>>> {
    match fs.read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable("reading", file, error)),
    }
}

/// Keeps the imported file beside the new document.
fn keep_original(fs: &dyn Fs, paths: &Paths, bytes: &[u8]) -> Result<()> {
    let original = paths.imported();
    match read_if_there(fs, &original)? {
        Some(kept) if kept == bytes => return Ok(()),
        Some(_) => {
            let why = "is there already, from another import; move it away, so that the original can be kept there";
            return Err(Error::new(ErrorKind::Config, format!("{} {why}", original.display())));
        }
        None => {}
    }
    let temporary = paths.temporary();
    let keep = || {
        let mut file = fs.create_new(&temporary)?;
        file.write_all(bytes)?;
        file.sync()?;
        fs.rename(&temporary, &original)?;
        fs.sync_dir(paths.directory())
    };
    keep().map_err(|error| unavailable("keeping the original in", &original, error))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentKind {
    Jam,
    Jamlib,
    Foreign,
    NoJson,
}

/// Just enough of a file to tell whose it is.
#[derive(Deserialize)]
struct Sniff {
    jam: Option<IgnoredAny>,
    sessions: Option<IgnoredAny>,
    #[serde(rename = "_default")]
    tiny_db: Option<IgnoredAny>,
}

fn kind(bytes: &[u8]) -> DocumentKind {
    if bytes.starts_with(document::MAGIC) {
        return DocumentKind::Jam;
    }
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return DocumentKind::NoJson;
    }
    let object = bytes.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice::<Sniff>(bytes) {
        // Ours after an editor laid it out anew.
        Ok(sniff) if object && sniff.jam.is_some() && sniff.sessions.is_some() => DocumentKind::Jam,
        Ok(sniff) if object && sniff.tiny_db.is_some() => DocumentKind::Jamlib,
        _ => DocumentKind::Foreign,
    }
}
