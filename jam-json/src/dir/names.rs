//! File names that no session key or id can escape from, and where each file lies.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The SHA-256 of a session key or a record id, and as 64 lowercase hex digits the name of what is kept for it.
///
/// No name holds a byte of the text it stands for: nothing can traverse or be over-long, and two texts that differ in
/// case or Unicode form alone get names that differ on every file system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name([u8; 32]);

impl Name {
    /// How many locks there are.
    pub(super) const SLOTS: usize = 256;

    /// The name for a session key or a record id.
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// From 64 lowercase hex digits.
    pub(super) fn parse(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// Which of the locks writers of that key take: its first byte, so that names in order have slots in order.
    pub(super) fn slot(self) -> u8 {
        self.0[0]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        f.write_str(&hex)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an entry of the storage directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The directory with the sessions of a key.
    Key(Name),
    /// What is left of a cleared key's directory.
    Trash(Name),
    /// What is created and removed to change the storage directory before it is synced once more.
    Dirt,
}

const SESSION: &str = ".json";
const LOCK: &str = ".lock";
const TRASH: &str = ".trash";
const DIRT: &str = "sync.tmp";

/// Where everything lies: `<root>/<prefix><key>/<id>.json`, `<root>/<prefix><slot of the key>.lock` and, while a key is
/// cleared, `<root>/<prefix><key>.trash`.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
    prefix: String,
}

impl Layout {
    pub(super) fn new(root: PathBuf, prefix: String) -> Self {
        Self { root, prefix }
    }

    /// The storage directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory with the sessions of a key.
    pub(super) fn key_dir(&self, key: Name) -> PathBuf {
        self.root.join(format!("{}{key}", self.prefix))
    }

    /// The file whose lock every writer of a key of that slot holds.
    pub(super) fn lock(&self, slot: u8) -> PathBuf {
        self.root.join(format!("{}{slot:02x}{LOCK}", self.prefix))
    }

    /// Where a cleared key's directory goes.
    pub(super) fn trash(&self, key: Name) -> PathBuf {
        self.root.join(format!("{}{key}{TRASH}", self.prefix))
    }

    /// A file in one of the store's directories that may come and go at any time.
    pub(super) fn dirt(&self, dir: &Path) -> PathBuf {
        if dir == self.root {
            self.root.join(format!("{}{DIRT}", self.prefix))
        } else {
            temp_file(dir)
        }
    }

    /// What an entry of the storage directory is, if it is one that matters.
    pub(super) fn item(&self, path: &Path) -> Option<Item> {
        let rest = path.file_name()?.to_str()?.strip_prefix(&self.prefix)?;
        if rest == DIRT {
            return Some(Item::Dirt);
        }
        match rest.strip_suffix(TRASH) {
            Some(hex) => Name::parse(hex).map(Item::Trash),
            None => Name::parse(rest).map(Item::Key),
        }
    }
}

/// The file of a session in the directory of its key.
pub(super) fn session_file(key_dir: &Path, id: Name) -> PathBuf {
    key_dir.join(format!("{id}{SESSION}"))
}

/// The name of the session that is kept in this file, if it is a session's.
pub(super) fn session_name(path: &Path) -> Option<Name> {
    Name::parse(path.file_name()?.to_str()?.strip_suffix(SESSION)?)
}

/// What a writer fills before it takes a session's place. One is enough: its writer holds the key's lock, so what is
/// found there by the next one is left over from a crash.
pub(super) fn temp_file(key_dir: &Path) -> PathBuf {
    key_dir.join("next.tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_sha_256_in_hex_and_reads_back() {
        let name = Name::of("abc");
        let hex = name.to_string();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(format!("{name:?}"), hex);
        assert_eq!(name.slot(), 0xba);
        assert_eq!(Name::parse(&hex), Some(name));
        assert_eq!(Name::parse(&hex.to_uppercase()), None);
        assert_eq!(Name::parse(&hex[1..]), None);
    }

    #[test]
    fn only_names_of_this_store_are_taken_for_its_own() {
        let layout = Layout::new("/s".into(), "jam_".to_owned());
        let key = Name::of("user1");
        assert_eq!(layout.item(&layout.key_dir(key)), Some(Item::Key(key)));
        assert_eq!(layout.item(&layout.trash(key)), Some(Item::Trash(key)));
        assert_eq!(layout.item(&layout.dirt(Path::new("/s"))), Some(Item::Dirt));
        assert_eq!(layout.item(&layout.lock(key.slot())), None);
        assert_eq!(layout.item(Path::new("/s/jam_notes")), None);
        let other = Layout::new("/s".into(), "jam_a".to_owned());
        assert_eq!(other.item(&layout.key_dir(key)), None);
        assert_eq!(layout.item(&other.key_dir(key)), None);
    }
}
