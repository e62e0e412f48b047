//! Walking through every session in pages: key after key, and within a key name after name.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jam_core::{Cursor, Error, ErrorKind, Page, Result};

use super::disk::Disk;
use super::document::Session;
use super::names::{Item, Name, session_name};

/// The next live sessions behind the cursor, about `limit` of them.
pub(super) fn page(disk: &Disk, cursor: Option<&Cursor>, limit: usize) -> Result<Page> {
    let from = cursor.map(Position::parse).transpose()?;
    let (listing, keys) = match from.and_then(|from| disk.listings.find(from.listing)) {
        Some(found) => found,
        None => disk.listings.keep(keys(disk)?),
    };
    let first = from.map_or(0, |from| keys.partition_point(|key| *key < from.key));
    let mut entries = Vec::new();
    for key in keys.iter().copied().skip(first) {
        disk.open()?;
        let dir = disk.layout.key_dir(key);
        let after = from.filter(|from| from.key == key).map(|from| from.after);
        for name in sessions(disk, &dir)? {
            if after.is_some_and(|after| name <= after) {
                continue;
            }
            // Before the file is read: what is extended in between is not left out for how it was.
            let now = disk.now();
            let Some(session) = read(disk, &dir, key, name)?.filter(|session| session.is_live(now)) else {
                continue;
            };
            entries.push(session.entry());
            if entries.len() >= limit {
                let next = Position {
                    listing,
                    key,
                    after: name,
                };
                return Ok(Page::new(entries, Some(next.to_cursor())));
            }
        }
    }
    disk.listings.forget(listing);
    Ok(Page::new(entries, None))
}

fn keys(disk: &Disk) -> Result<Vec<Name>> {
    let mut keys: Vec<_> = disk
        .items()?
        .into_iter()
        .filter_map(|item| match item {
            Item::Key(key) => Some(key),
            _ => None,
        })
        .collect();
    keys.sort_unstable();
    Ok(keys)
}

fn sessions(disk: &Disk, dir: &Path) -> Result<Vec<Name>> {
    let mut names: Vec<_> = disk
        .names_in(dir)?
        .iter()
        .filter_map(|path| session_name(path))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Reads a session; one that looks damaged was perhaps just moving, and is read again under the lock.
fn read(disk: &Disk, dir: &Path, key: Name, name: Name) -> Result<Option<Session>> {
    match disk.read_named(dir, key, name) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let _folder = disk.lock(key)?;
            disk.read_named(dir, key, name)
        }
        result => result,
    }
}

/// Where a scan goes on: behind this session of this key. In writing `<listing>:<key>/<id>`. The listing is only a
/// shortcut in the process that made it; the rest means the same in every process and for ever.
#[derive(Clone, Copy, Debug)]
struct Position {
    listing: u64,
    key: Name,
    after: Name,
}

impl Position {
    fn parse(cursor: &Cursor) -> Result<Self> {
        let parse = || {
            let (listing, place) = str::from_utf8(cursor.as_bytes()).ok()?.split_once(':')?;
            let (key, after) = place.split_once('/')?;
            Some(Self {
                listing: u64::from_str_radix(listing, 16).ok()?,
                key: Name::parse(key)?,
                after: Name::parse(after)?,
            })
        };
        parse().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "that is not a cursor of a json-dir store"))
    }

    fn to_cursor(self) -> Cursor {
        let Self { listing, key, after } = self;
        Cursor::new(format!("{listing:x}:{key}/{after}").into_bytes())
    }
}

/// The keys there were when a scan began, sorted, so that its pages need not list the storage directory again and
/// again. A key that came later may be left out of that scan.
#[derive(Debug)]
pub(super) struct Listings(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    next: u64,
    lists: VecDeque<(u64, Arc<[Name]>)>,
}

impl Listings {
    /// Scans that can go on side by side and be fast; one more, and the oldest has to list again.
    const KEPT: usize = 4;

    pub(super) fn new() -> Self {
        Self(Mutex::new(Kept {
            // Starts by chance, so that no other process's cursor is taken for one of ours.
            next: RandomState::new().hash_one("listing"),
            lists: VecDeque::new(),
        }))
    }

    fn find(&self, listing: u64) -> Option<(u64, Arc<[Name]>)> {
        let kept = self.lock();
        kept.lists.iter().find(|(number, _)| *number == listing).cloned()
    }

    fn keep(&self, keys: Vec<Name>) -> (u64, Arc<[Name]>) {
        let mut kept = self.lock();
        let new = (kept.next, keys.into());
        kept.next = kept.next.wrapping_add(1);
        kept.lists.push_back(new.clone());
        if kept.lists.len() > Self::KEPT {
            kept.lists.pop_front();
        }
        new
    }

    fn forget(&self, listing: u64) {
        self.lock().lists.retain(|(number, _)| *number != listing);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_listings_are_kept_and_the_oldest_goes_first() {
        let listings = Listings::new();
        let numbers: Vec<_> = (0..Listings::KEPT).map(|_| listings.keep(Vec::new()).0).collect();
        assert!(numbers.iter().all(|number| listings.find(*number).is_some()));
        let newest = listings.keep(Vec::new()).0;
        assert!(listings.find(numbers[0]).is_none());
        assert!(numbers[1..].iter().all(|number| listings.find(*number).is_some()));
        listings.forget(newest);
        assert!(listings.find(newest).is_none());
        assert!(listings.find(numbers[1]).is_some());
    }
}
