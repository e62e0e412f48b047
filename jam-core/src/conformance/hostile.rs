//! Keys and ids that somebody chose with care: they name records, and nothing else.

use super::case::group;
use super::check::{equal, gone, holds, that};
use super::report::Verdict;
use super::trial::Trial;
use crate::{Record, RecordId, Rename, SessionKey};

group! { "hostile", Nothing,
    0 => hostile_keys_are_kept_apart,
    0 => hostile_ids_are_kept_apart,
    0 => key_and_id_do_not_run_together,
    0 => the_longest_key_and_id_work,
    0 => a_key_of_one_byte_works,
}

const NASTY: &[&str] = &[
    "a",
    "A",
    "\u{e4}",
    "\u{c4}",
    "e\u{301}",
    "\u{e9}",
    "\u{fb01}",
    "fi",
    "\u{df}",
    "ss",
    "\u{130}",
    "i",
    "I",
    "\u{131}",
    "\u{212a}",
    "k",
    "\0",
    "\0\0",
    "a\0",
    "a\0b",
    "\n",
    "a\nb",
    "a\r\nb",
    "\t",
    " ",
    "a ",
    " a",
    "a.",
    ".",
    "..",
    "../..",
    "../../etc/passwd",
    "/",
    "//",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\a",
    "CON",
    "nul.json",
    "~",
    "~a",
    "a~b",
    ":",
    "a:b",
    "a:b:c",
    "a::b",
    "*",
    "a*",
    "?",
    "[a]",
    "[^a]",
    "{a}",
    "{a}b",
    "%",
    "%00",
    "%2e%2e%2f",
    "a%",
    "_",
    "a_",
    "'",
    "''",
    "\"",
    "`",
    "' OR '1'='1",
    "'; DROP TABLE sessions; --",
    "$1",
    "${HOME}",
    "$(id)",
    "{\"a\":1}",
    "\\u0061",
    "\\n",
    "&#97;",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{1f511}",
    "\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "\u{627}\u{644}\u{633}\u{644}\u{627}\u{645}",
    "\u{200b}",
    "a\u{200b}",
    "\u{feff}",
    "\u{2028}",
    "\u{7f}",
    "\u{1b}[31m",
    "\u{10ffff}",
    "\u{fffd}",
    "\u{ff0e}\u{ff0e}\u{ff0f}",
    "null",
    "0",
    "00",
    "-1",
    "1e9",
];

async fn hostile_keys_are_kept_apart(t: &Trial) -> Verdict {
    let mut ids = Vec::new();
    for name in NASTY {
        ids.push(RecordId::new(t.key(name)?, "id")?);
    }
    live_apart(t, &ids).await?;
    for (done, id) in ids.iter().enumerate() {
        equal(
            "clear of a hostile key with one record",
            &t.store.clear(id.key()).await?,
            &1,
        )?;
        if let Some(next) = ids.get(done + 1) {
            that(
                t.load(next).await?.is_some(),
                "a clear leaves the next key alone",
                "its record is gone",
            )?;
        }
    }
    Ok(())
}

async fn hostile_ids_are_kept_apart(t: &Trial) -> Verdict {
    let mut ids = Vec::new();
    for name in NASTY {
        ids.push(t.id(name)?);
    }
    live_apart(t, &ids).await?;
    equal(
        "records of the key",
        &t.store.list(&t.key("main")?).await?.len(),
        &NASTY.len(),
    )?;
    for (done, id) in ids.iter().enumerate() {
        equal("remove of a hostile id", &t.store.remove(id).await?, &true)?;
        gone("a removed record", t.load(id).await?.as_ref())?;
        if let Some(next) = ids.get(done + 1) {
            that(
                t.load(next).await?.is_some(),
                "a remove leaves the next id alone",
                "its record is gone",
            )?;
        }
    }
    Ok(())
}

/// Every operation works at each of these ids, and none meets another record than its own.
async fn live_apart(t: &Trial, ids: &[RecordId]) -> Verdict {
    let payload = |number: usize, step: &str| format!("record {number} {step}");
    for (number, id) in ids.iter().enumerate() {
        t.store.insert(id, &t.record(payload(number, "inserted"))).await?;
    }
    for (number, id) in ids.iter().enumerate() {
        holds(
            "an own record",
            t.load(id).await?.as_ref(),
            payload(number, "inserted").as_bytes(),
        )?;
        let record = t.record(payload(number, "replaced"));
        t.store.replace(id, Some(&t.version(id).await?), &record).await?;
        equal("touch", &t.store.touch(id, t.later()).await?, &true)?;
    }
    for (number, id) in ids.iter().enumerate() {
        let expected = payload(number, "replaced");
        holds(
            "an own record, changed",
            t.load(id).await?.as_ref(),
            expected.as_bytes(),
        )?;
        let listed = t.entry(id).await?.map(|entry| entry.stored);
        holds("an own record, listed", listed.as_ref(), expected.as_bytes())?;
        there_and_back(t, id, &t.record(expected)).await?;
    }
    let mut cursor = None;
    let mut scanned = std::collections::BTreeSet::new();
    loop {
        let page = t.store.scan(cursor, 50).await?;
        scanned.extend(
            page.entries
                .into_iter()
                .map(|entry| entry.id)
                .filter(|id| ids.contains(id)),
        );
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    equal("how many of them a scan gives", &scanned.len(), &ids.len())
}

async fn there_and_back(t: &Trial, id: &RecordId, record: &Record) -> Verdict {
    let aside = RecordId::new(id.key().clone(), "aside")?;
    for (from, to) in [(id, &aside), (&aside, id)] {
        let expected = &t.version(from).await?;
        t.store
            .rename(Rename {
                from,
                expected,
                to,
                record,
            })
            .await?;
    }
    holds("renamed there and back", t.load(id).await?.as_ref(), &record.payload)
}

/// `a` + `b:c` is not `a:b` + `c`.
async fn key_and_id_do_not_run_together(t: &Trial) -> Verdict {
    let parts = [
        ("a", "b:c"),
        ("a:b", "c"),
        ("a:b:c", "d"),
        ("a", "b:c:d"),
        ("b", "/c"),
        ("b/", "c"),
        ("b", "\0c"),
        ("b\0", "c"),
        ("b", "c"),
        ("", "bc"),
        ("bc", "bc"),
    ];
    let mut ids = Vec::new();
    for (key, id) in parts {
        ids.push(RecordId::new(t.key(key)?, id)?);
    }
    live_apart(t, &ids).await
}

async fn the_longest_key_and_id_work(t: &Trial) -> Verdict {
    let mut ids = Vec::new();
    for filling in ["x", "/", "\u{1f511}", "\0", "%", "\""] {
        let key = filled(filling, SessionKey::MAX_LEN - t.prefix_len());
        let id = filled(filling, RecordId::MAX_ID_LEN);
        ids.push(RecordId::new(t.key(&key)?, &id)?);
        // One that differs only in its last byte.
        let last = format!(
            "{}y",
            &id[..id.len() - id.chars().next_back().map_or(0, char::len_utf8)]
        );
        ids.push(RecordId::new(t.key(&key)?, last)?);
    }
    live_apart(t, &ids).await
}

/// As many of `filling` as fit, then `z` up to exactly `len` bytes.
fn filled(filling: &str, len: usize) -> String {
    let mut text = filling.repeat(len / filling.len());
    text.push_str(&"z".repeat(len - text.len()));
    text
}

/// Such a key cannot be this trial's alone, so only an id of its own is looked at, and it is removed in the end.
async fn a_key_of_one_byte_works(t: &Trial) -> Verdict {
    let mark = t.key("one byte")?;
    for key in ["a", "/", ".", "\0", ":", "*", "~"] {
        let id = RecordId::new(SessionKey::new(key)?, mark.as_str())?;
        t.put(&id, "one").await?;
        let seen = async {
            holds("under a key of one byte", t.load(&id).await?.as_ref(), b"one")?;
            t.store.replace(&id, None, &t.record("two")).await?;
            let listed = t.entry(&id).await?.map(|entry| entry.stored);
            holds("under a key of one byte, listed", listed.as_ref(), b"two")
        };
        let verdict = seen.await;
        let removed = t.store.remove(&id).await?;
        verdict?;
        equal("remove", &removed, &true)?;
    }
    let tiny = t.id("x")?;
    t.put(&tiny, "one").await?;
    holds("an id of one byte", t.load(&tiny).await?.as_ref(), b"one")
}
