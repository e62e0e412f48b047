//! Files of the JSON stores.

use std::fs;
use std::path::{Path, PathBuf};

use futures_lite::future::block_on;
use jam_core::{Error, ErrorKind, Load, Record, RecordId, SessionKey, SessionStore, Timestamp};
use jam_json::{Durability, JsonDir, JsonFile};
use tempfile::TempDir;

/// A document that a journal may follow on.
const DOCUMENT: &[u8] = include_bytes!("../../jam-json/tests/golden/file_v1.json");

thread_local! {
    static DIRECTORY: TempDir = tempfile::tempdir().unwrap();
}

/// A path in a directory that is emptied first, and goes at the end.
pub(crate) fn in_empty_place(name: &str) -> PathBuf {
    DIRECTORY.with(|directory| {
        clear(directory.path());
        directory.path().join(name)
    })
}

fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            clear(&path);
            fs::remove_dir(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
}

/// What damage may be called.
fn typed(error: &Error) {
    // Config: a file of Python's jamlib that cannot be imported.
    let kinds = [
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::Unavailable,
        ErrorKind::Config,
    ];
    assert!(kinds.contains(&error.kind()), "{error}");
}

/// Opens the store, reads all there is, closes it, and opens what it left: whatever it made of the file the first time is what it
/// makes of it from then on.
fn open_twice(path: &Path) {
    let read = || {
        let options = JsonFile::options(path).durability(Durability::Os);
        let store = block_on(options.open())?;
        let page = block_on(store.scan(None, 100_000))?;
        for entry in &page.entries {
            drop(block_on(store.load(&entry.id, Load::new()))?);
            drop(block_on(store.list(entry.id.key()))?);
        }
        block_on(store.close())?;
        let mut found: Vec<_> = page
            .entries
            .into_iter()
            .map(|entry| (entry.id, entry.stored.payload))
            .collect();
        found.sort();
        Ok(found)
    };
    match read() {
        Err(error) => typed(&error),
        Ok(found) => assert!(
            found == read().unwrap(),
            "a file that was read once reads the same again"
        ),
    }
}

/// A document as it is, and one whose checksum is right.
pub fn document(bytes: &[u8]) {
    let path = in_empty_place("sessions.json");
    fs::write(&path, bytes).unwrap();
    open_twice(&path);
    let checksum = format!("{:08x}\"}}\n", crc32fast::hash(bytes));
    fs::write(in_empty_place("sessions.json"), [bytes, checksum.as_bytes()].concat()).unwrap();
    open_twice(&path);
}

/// A journal as it is, and one in which every line has its checksum.
pub fn journal(bytes: &[u8]) {
    for checked in [false, true] {
        let path = in_empty_place("sessions.json");
        fs::write(&path, DOCUMENT).unwrap();
        let journal = if checked {
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .flat_map(with_checksum)
                .collect()
        } else {
            bytes.to_vec()
        };
        fs::write(path.with_file_name("sessions.json.journal-2"), journal).unwrap();
        open_twice(&path);
    }
}

fn with_checksum(line: &[u8]) -> Vec<u8> {
    let content = line.strip_suffix(b"\n").unwrap_or(line);
    let mut checked = format!("{:08x} ", crc32fast::hash(content)).into_bytes();
    checked.extend_from_slice(line);
    checked
}

/// The file of one session, in place of one that was there.
pub fn session_file(bytes: &[u8]) {
    let directory = in_empty_place("sessions");
    let options = JsonDir::options().storage_path(&directory).durability(Durability::Os);
    let store = block_on(options.open()).unwrap();
    let id = RecordId::new(SessionKey::new("user1").unwrap(), "user1:a").unwrap();
    block_on(store.insert(&id, &Record::new("{}", None))).unwrap();
    for path in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|ending| ending == "json") {
            fs::write(path, bytes).unwrap();
        }
    }
    let outcomes = [
        block_on(store.load(&id, Load::new())).map(drop),
        block_on(store.list(id.key())).map(drop),
        block_on(store.scan(None, 1_000)).map(drop),
        block_on(store.remove_expired(Timestamp::from_secs(1_800_000_000))).map(drop),
        block_on(store.replace(&id, None, &Record::new("{\"n\":1}", None))),
        // Whatever it holds, its session can be ended.
        block_on(store.clear(id.key())).map(drop),
    ];
    for error in outcomes.into_iter().filter_map(Result::err) {
        if error.kind() != ErrorKind::NotFound {
            typed(&error);
        }
    }
    assert!(
        block_on(store.load(&id, Load::new())).unwrap().is_none(),
        "a session that was ended is gone"
    );
    block_on(store.close()).unwrap();
}
