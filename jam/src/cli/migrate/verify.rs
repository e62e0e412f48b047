//! Comparing two stores, record by record, with no more in memory than a page and the sessions of its users.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jam_core::{Entry, Load, RecordId, SessionKey};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Store, is_mark, is_session, scan};
use crate::cli::failure::Failure;
use crate::cli::output::count;
use crate::cli::progress::Progress;

/// How the target differs from the source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Differences {
    in_source: u64,
    in_target: u64,
    missing: u64,
    changed: u64,
    other_expiry: u64,
    added: u64,
}

impl Differences {
    pub(super) fn is_none(self) -> bool {
        (self.missing, self.changed, self.other_expiry, self.added) == (0, 0, 0, 0)
    }

    pub(super) fn sentence(self) -> String {
        let found = format!(
            "{} in FROM, {} in TO",
            count(self.in_source, "session"),
            count(self.in_target, "session")
        );
        if self.is_none() {
            return format!("{found}: the same");
        }
        format!(
            "{found}: {} missing, {} with other data, {} with another expiry, {} that FROM does not have",
            self.missing, self.changed, self.other_expiry, self.added
        )
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "same": self.is_none(),
            "from": self.in_source,
            "to": self.in_target,
            "missing": self.missing,
            "changed": self.changed,
            "other_expiry": self.other_expiry,
            "added": self.added,
        })
    }
}

/// By so much the clocks of two stores may differ before it shows.
const CLOCKS: Duration = Duration::from_secs(1);

/// Compares both ways: what the source holds, and what only the target does.
pub(super) async fn run(source: &Store, target: &Store) -> Result<Differences, Failure> {
    let mut differences = Differences::default();
    differences.in_source = walk("verifying", source, target, |entry, other| match other {
        None => differences.missing += 1,
        Some(other) if other.stored.payload != entry.stored.payload => differences.changed += 1,
        Some(other) if other.expires_at != entry.expires_at => differences.other_expiry += 1,
        Some(_) => {}
    })
    .await?;
    differences.in_target = walk("verifying the other way", target, source, |_, other| {
        differences.added += u64::from(other.is_none());
    })
    .await?;
    Ok(differences)
}

/// The sessions of some users.
pub(super) type Listed = HashMap<SessionKey, HashMap<RecordId, Entry>>;

/// Shows each record of one store beside that of the other, if it is not over by the word of the one, and counts the sessions.
async fn walk(
    what: &'static str,
    these: &Store,
    those: &Store,
    mut look: impl FnMut(&Entry, Option<&Entry>),
) -> Result<u64, Failure> {
    let (mut sessions, mut cursor) = (0, None);
    let mut progress = Progress::new(what, 0, None);
    let (mut listed, mut patience) = (Listed::new(), CLOCKS);
    loop {
        let page = scan(these, cursor).await?;
        listed = list(those, &page.entries, listed).await?;
        for entry in page.entries.iter().filter(|entry| !is_mark(&entry.id)) {
            let other = listed.get(entry.id.key()).and_then(|listed| listed.get(&entry.id));
            if other.is_some() || !is_over(these, entry, patience).await? {
                if other.is_none() {
                    // It is no matter of a moment, and the rest need not wait for that.
                    patience = Duration::ZERO;
                }
                look(entry, other);
            }
            sessions += u64::from(is_session(&entry.id));
        }
        progress.at(sessions);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(sessions);
        }
    }
}

/// Whether a record that only this store gave has ended since, by its own word: the clock of this machine may be another one. A store
/// whose clock is a little behind says so a moment later.
async fn is_over(store: &Store, entry: &Entry, patience: Duration) -> Result<bool, Failure> {
    if store.load(&entry.id, Load::new().fresh()).await?.is_none() {
        return Ok(true);
    }
    if entry.expires_at.is_none() || patience.is_zero() {
        return Ok(false);
    }
    tokio::time::sleep(patience).await;
    Ok(store.load(&entry.id, Load::new().fresh()).await?.is_none())
}

/// The sessions of the users on this page. A user's sessions may be spread over pages, so what the page before needed is
/// taken over.
pub(super) async fn list(store: &Store, page: &[Entry], mut before: Listed) -> Result<Listed, Failure> {
    let mut listed = Listed::new();
    let mut under_way = JoinSet::new();
    let keys: HashSet<_> = page.iter().map(|entry| entry.id.key()).collect();
    for key in keys {
        if let Some(entries) = before.remove(key) {
            listed.insert(key.clone(), entries);
            continue;
        }
        let (store, key) = (Arc::clone(store), key.clone());
        under_way.spawn(async move { store.list(&key).await.map(|entries| (key, entries)) });
    }
    while let Some(one) = under_way.join_next().await {
        let (key, entries) =
            one.map_err(|_| Failure::unforeseen("a listing was broken off by a fault of the store"))??;
        let entries = entries.into_iter().map(|entry| (entry.id.clone(), entry));
        listed.insert(key, entries.collect());
    }
    Ok(listed)
}
