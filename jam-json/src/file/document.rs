//! The document: one JSON file, a session on each line, checked as a whole.
//!
//! ```text
//! {"jam":{"format":1,"generation":3,"sequence":120,"journal":false},
//! "sessions":[
//! {"key":"user1","id":"…","expires_at":1700000000000,"data":{"role":"admin"}}
//! ],
//! "count":1,
//! "crc32":"89abcdef"}
//! ```
//!
//! `crc32` is the CRC-32 of every byte before its eight digits. `sequence` is the number of the last change that is in
//! the document for sure; later ones may be, and are in the journal of the same `generation`. `journal` says that there
//! was such a journal when the document was written.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use jam_core::memory::Table;
use jam_core::{Error, ErrorKind, Record, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::errors::{corrupt, newer, torn_apart, unavailable, unwritable};
use super::journal_text::FORMAT;
use super::paths::Paths;
use super::session_text::{Put, SessionText};
use crate::fs::{Fs, FsFile};

/// How every document of ours begins, in every format.
pub(super) const MAGIC: &[u8] = b"{\"jam\":{\"format\":";

/// No file gets here by counting; and up to here every JSON reader is exact.
const MOST: u64 = 1 << 53;

const END: &[u8] = b"\"}\n";
const DIGITS: usize = 8;

/// What the head of a document says.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    format: u64,
    pub(super) generation: u64,
    pub(super) sequence: u64,
    pub(super) journal: bool,
}

impl Head {
    pub(super) fn new(generation: u64, sequence: u64, journal: bool) -> Self {
        Self {
            format: FORMAT,
            generation,
            sequence,
            journal,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentText<'a> {
    jam: Head,
    #[serde(borrow)]
    sessions: Vec<SessionText<'a>>,
    count: u64,
    // Checked before, over the bytes.
    #[serde(rename = "crc32")]
    _crc32: IgnoredAny,
}

/// Reads a document into the table. Gives its head, and whether it was edited by hand.
///
/// # Errors
/// [`Corrupt`](jam_core::ErrorKind::Corrupt) if any bit is not what was written, unless `accept_edited`; then only if
/// it is not JSON of this shape. [`Unsupported`](jam_core::ErrorKind::Unsupported) for a later format.
pub(super) fn read(file: &Path, bytes: &[u8], accept_edited: bool, table: &Table) -> Result<(Head, bool)> {
    let intact = checksum_is_right(bytes);
    if intact && format_digits(bytes).is_some_and(|digits| digits != FORMAT.to_string().as_bytes()) {
        return Err(newer(file));
    }
    if !intact && !accept_edited {
        return Err(torn_apart(
            file,
            "its checksum does not match its content; restore a backup or, if somebody edited it on purpose, open it once \
             with `accept_edited_document`",
        ));
    }
    let text: DocumentText<'_> = serde_json::from_slice(bytes).map_err(|error| misread(file, bytes, &error))?;
    if text.jam.format != FORMAT {
        return Err(newer(file));
    }
    if text.jam.generation > MOST || text.jam.sequence > MOST {
        return Err(torn_apart(file, "generation or sequence is out of bounds"));
    }
    if intact && text.count != text.sessions.len() as u64 {
        return Err(torn_apart(file, "it counts another number of sessions than it holds"));
    }
    for (index, session) in text.sessions.iter().enumerate() {
        let put = session.read().ok_or_else(|| {
            let why = format!("session {index} has a key, id or data out of bounds");
            torn_apart(file, &why)
        })?;
        if !table.write(put.id.key(), |shard| {
            let new = shard.get(&put.id).is_none();
            shard.put(&put.id, put.slot(text.jam.sequence));
            new
        }) {
            return Err(torn_apart(file, &format!("session {index} is there twice")));
        }
    }
    Ok((text.jam, !intact))
}

/// What stands where every format has its number.
fn format_digits(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(MAGIC)?;
    rest.split(|byte| !byte.is_ascii_digit()).next()
}

fn checksum_is_right(bytes: &[u8]) -> bool {
    let split = || {
        let body = bytes.strip_suffix(END)?;
        body.split_at_checked(body.len().checked_sub(DIGITS)?)
    };
    split().is_some_and(|(body, digits)| digits == format!("{:08x}", crc32fast::hash(body)).as_bytes())
}

// The parser's own message could quote a session.
fn misread(file: &Path, bytes: &[u8], error: &serde_json::Error) -> Error {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let offset = (before + error.column()).min(bytes.len());
    corrupt(
        file,
        offset,
        &format!(
            "line {}, column {} is not what a document of jam holds there",
            error.line(),
            error.column()
        ),
    )
}

/// Writes a document of what is in the table, which nobody changes meanwhile, and puts it in the place of the one
/// before, in one step. Gives its length.
///
/// # Errors
/// [`Unavailable`](jam_core::ErrorKind::Unavailable) if a file operation fails. The old document is in place then, or
/// the new.
pub(super) fn write(fs: &dyn Fs, paths: &Paths, table: &Table, head: Head) -> Result<u64> {
    let never = AtomicBool::new(false);
    match write_unless_stopped(fs, paths, table, head, &never, || Ok(()))? {
        Some(len) => Ok(len),
        None => Err(Error::new(
            ErrorKind::Unexpected,
            "a document was given up that nobody stopped",
        )),
    }
}

/// As [`write`], but gives `None` if `stop` was raised meanwhile, and calls `before_in_place` when all of the document
/// is durable and not in place yet.
///
/// Other threads may change the table meanwhile: no shard is locked for longer than it takes to copy references out of
/// it. So the document may have a part of those changes, and needs the journal that has them all.
///
/// # Errors
/// As [`write`], and what `before_in_place` gives.
pub(super) fn write_unless_stopped(
    fs: &dyn Fs,
    paths: &Paths,
    table: &Table,
    head: Head,
    stop: &AtomicBool,
    before_in_place: impl FnOnce() -> Result<()>,
) -> Result<Option<u64>> {
    let temporary = paths.temporary();
    let failed = |error| unavailable("writing", &temporary, error);
    match fs.remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let written = write_temporary(fs, paths, table, head, stop).and_then(|written| {
        if written.is_some() {
            before_in_place()?;
        }
        Ok(written)
    });
    if !matches!(written, Ok(Some(_))) {
        // What is left is swept away at the next open at the latest.
        let _ = fs.remove_file(&temporary);
        return written;
    }
    fs.rename(&temporary, paths.document())
        .map_err(|error| unavailable("replacing", paths.document(), error))?;
    fs.sync_dir(paths.directory())
        .map_err(|error| unavailable("syncing", paths.directory(), error))?;
    written
}

fn write_temporary(fs: &dyn Fs, paths: &Paths, table: &Table, head: Head, stop: &AtomicBool) -> Result<Option<u64>> {
    let temporary = &paths.temporary();
    let failed = |error| unavailable("writing", temporary, error);
    let file = fs.create_new(temporary).map_err(failed)?;
    file.give_to_owner_of(paths.document());
    let mut out = Output::new(file);
    let Head {
        format,
        generation,
        sequence,
        journal,
    } = head;
    write!(
        out.buffer,
        "{{\"jam\":{{\"format\":{format},\"generation\":{generation},\"sequence\":{sequence},\"journal\":{journal}}},\n\"sessions\":["
    )
    .map_err(unwritable)?;
    let mut count = 0_u64;
    for shard in 0..Table::SHARDS {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut sessions = table.copy_shard(shard);
        // An order of its own, so that two documents differ where their sessions do.
        sessions.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (id, slot) in &sessions {
            out.buffer.extend_from_slice(if count == 0 { b"\n" } else { b",\n" });
            let record = Record::new(slot.payload.clone(), slot.expires_at);
            Put::new(id, &record).write(&mut out.buffer).map_err(unwritable)?;
            count += 1;
            out.flush_if_full().map_err(failed)?;
            // A shard may take long, and whoever closes or drops the store waits for this.
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
    }
    write!(out.buffer, "\n],\n\"count\":{count},\n\"crc32\":\"").map_err(unwritable)?;
    out.finish().map(Some).map_err(failed)
}

/// A file, what waits to be written to it, and the checksum of what was.
struct Output {
    file: Box<dyn FsFile>,
    buffer: Vec<u8>,
    checksum: crc32fast::Hasher,
    len: u64,
}

impl Output {
    const FULL: usize = 256 * 1024;

    fn new(file: Box<dyn FsFile>) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            checksum: crc32fast::Hasher::new(),
            len: 0,
        }
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= Self::FULL {
            self.checksum.update(&self.buffer);
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.len += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the checksum and the end, and makes it all durable: whatever the durability, a document is never lost.
    fn finish(mut self) -> io::Result<u64> {
        self.checksum.update(&self.buffer);
        write!(self.buffer, "{:08x}", self.checksum.clone().finalize())?;
        self.buffer.extend_from_slice(END);
        self.flush()?;
        self.file.sync()?;
        Ok(self.len)
    }
}
