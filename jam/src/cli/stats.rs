//! `jam stats`: how many sessions, users and bytes, and when sessions expire.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use jam_core::{Clock, Entry, Sessions, SystemClock, Timestamp};
use serde_json::{Map, Value, json};

use super::Done;
use super::output::{self, Output, grouped};
use super::progress::Progress;

const PAGE: usize = 500;
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// Spans of time to the expiry, each beginning where the one before ends: the name for machines, for people, seconds.
const SPANS: [(&str, &str, u64); 5] = [
    ("within_a_minute", "within a minute", MINUTE),
    ("within_an_hour", "within an hour", 60 * MINUTE),
    ("within_a_day", "within a day", DAY),
    ("within_a_week", "within a week", 7 * DAY),
    ("within_30_days", "within 30 days", 30 * DAY),
];

/// What was counted so far. A walk may meet a record twice, so each is remembered by 8 bytes.
#[derive(Default)]
struct Counts {
    hasher: RandomState,
    met: HashSet<u64>,
    users: HashSet<u64>,
    sessions: u64,
    notes: u64,
    bytes: u64,
    spans: [u64; SPANS.len()],
    later: u64,
    never: u64,
}

pub(super) async fn run(sessions: &Sessions, output: Output) -> Done {
    let store = sessions.store();
    let now = SystemClock.now();
    let mut counts = Counts::default();
    let mut progress = Progress::new("counting", 0, None);
    let mut cursor = None;
    loop {
        let page = store.scan(cursor, PAGE).await?;
        for entry in &page.entries {
            counts.add(entry, now);
        }
        progress.at(counts.sessions);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    drop(progress);
    counts.print(output)
}

impl Counts {
    fn add(&mut self, entry: &Entry, now: Timestamp) {
        if super::is_mark(&entry.id) || !self.met.insert(self.hasher.hash_one(&entry.id)) {
            return;
        }
        self.bytes += entry.stored.payload.len() as u64;
        if entry.id.is_reserved() {
            self.notes += 1;
            return;
        }
        self.sessions += 1;
        self.users.insert(self.hasher.hash_one(entry.id.key()));
        let Some(expires_at) = entry.expires_at else {
            self.never += 1;
            return;
        };
        let left = expires_at.since(now).as_secs();
        match SPANS.iter().position(|(_, _, seconds)| left < *seconds) {
            Some(span) => self.spans[span] += 1,
            None => self.later += 1,
        }
    }

    fn print(&self, output: Output) -> Done {
        let users = self.users.len() as u64;
        if output.is_json() {
            let spans = SPANS
                .iter()
                .zip(self.spans)
                .map(|((name, ..), number)| ((*name).to_owned(), number.into()));
            let mut expiring: Map<String, Value> = spans.collect();
            expiring.insert("later".to_owned(), self.later.into());
            expiring.insert("never".to_owned(), self.never.into());
            return output::print(
                &json!({
                    "sessions": self.sessions,
                    "users": users,
                    "bytes": self.bytes,
                    "grace_notes": self.notes,
                    "expiring": expiring,
                })
                .to_string(),
            );
        }
        let mut lines = vec![
            ("sessions", self.sessions),
            ("users", users),
            ("bytes of data", self.bytes),
            ("grace notes", self.notes),
        ];
        let spans = SPANS
            .iter()
            .zip(self.spans)
            .map(|((_, words, _), number)| (*words, number));
        let mut expiring: Vec<_> = spans.collect();
        expiring.extend([("later", self.later), ("never", self.never)]);
        lines.push(("expiring", self.sessions - self.never));
        let mut rows: Vec<_> = lines
            .into_iter()
            .map(|(words, number)| vec![words.to_owned(), grouped(number)])
            .collect();
        rows.extend(
            expiring
                .into_iter()
                .map(|(words, number)| vec![format!("  {words}"), grouped(number)]),
        );
        output::print(&output::table(&["WHAT", "NUMBER"], &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jam_core::{RecordId, SessionKey, Stored, Version};

    fn entry(key: &str, id: &str, expires_at: Option<u64>) -> Entry {
        let id = RecordId::new(SessionKey::new(key).unwrap(), id).unwrap();
        let stored = Stored::new("{}".into(), Version::from_counter(1));
        Entry::new(id, stored, expires_at.map(Timestamp::from_secs))
    }

    #[test]
    fn a_record_that_a_walk_meets_twice_counts_once() {
        let mut counts = Counts::default();
        for entry in [
            entry("a", "1", Some(100)),
            entry("a", "1", Some(100)),
            entry("a", "2", Some(3600)),
            entry("b", "1", None),
            entry("a", "1~", Some(100)),
        ] {
            counts.add(&entry, Timestamp::from_secs(90));
        }
        assert_eq!(
            (counts.sessions, counts.users.len(), counts.bytes, counts.notes),
            (3, 2, 8, 1)
        );
        assert_eq!((counts.spans, counts.later, counts.never), ([1, 1, 0, 0, 0], 0, 1));
    }
}
