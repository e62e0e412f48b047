//! List: exactly the live records of one key.

use std::collections::BTreeMap;

use super::case::group;
use super::check::{equal, holds, same_bytes, that};
use super::report::{Failure, Verdict};
use super::trial::{HOUR, Trial};
use crate::{Bytes, Entry, Record, RecordId, SessionKey, Timestamp};

group! { "listing", Nothing,
    0 => list_gives_exactly_the_live_records_of_a_key,
    4 => list_gives_payloads_and_expiries,
    2 => listed_versions_work_in_replace_and_rename,
    0 => list_leaves_out_keys_that_look_alike,
    5 => list_leaves_out_what_has_expired,
    0 => list_gives_every_one_of_many_records,
    7 => reserved_records_are_kept_and_listed_like_others,
}

/// The listing by id; an id given twice is a failure.
async fn listed(t: &Trial, key: &SessionKey) -> Verdict<BTreeMap<RecordId, Entry>> {
    let mut entries = BTreeMap::new();
    for entry in t.store.list(key).await? {
        that(
            entry.id.key() == key,
            "a listing of one key",
            "it gives a record of another key",
        )?;
        if entries.insert(entry.id.clone(), entry).is_some() {
            return Err(Failure::new("a record is listed once", "it is listed twice"));
        }
    }
    Ok(entries)
}

fn ids(entries: &BTreeMap<RecordId, Entry>) -> Vec<&str> {
    entries.keys().map(RecordId::id).collect()
}

async fn list_gives_exactly_the_live_records_of_a_key(t: &Trial) -> Verdict {
    let key = t.key("main")?;
    equal("a key without records", &listed(t, &key).await?.len(), &0)?;
    let (a, b, c) = (t.id("a")?, t.id("b")?, t.id("c")?);
    for id in [&a, &b, &c] {
        t.put(id, "one").await?;
    }
    equal("three records", &ids(&listed(t, &key).await?), &vec!["a", "b", "c"])?;
    t.store.remove(&b).await?;
    equal("after a remove", &ids(&listed(t, &key).await?), &vec!["a", "c"])?;
    let version = t.version(&c).await?;
    t.rename(&c, &version, &t.id("d")?, "two").await?;
    equal("after a rename", &ids(&listed(t, &key).await?), &vec!["a", "d"])?;
    let version = t.version(&a).await?;
    t.rename(&a, &version, &RecordId::new(t.key("other")?, "a")?, "two")
        .await?;
    equal(
        "after a rename to another key",
        &ids(&listed(t, &key).await?),
        &vec!["d"],
    )?;
    equal("the other key", &ids(&listed(t, &t.key("other")?).await?), &vec!["a"])
}

async fn list_gives_payloads_and_expiries(t: &Trial) -> Verdict {
    let records: [(&str, Bytes, Option<Timestamp>); 4] = [
        ("json", Bytes::from_static(b"{\"a\": 1}"), Some(t.later())),
        ("bytes", Bytes::from_static(b"\xff\x00\xfe"), Some(t.later().plus(HOUR))),
        ("empty", Bytes::new(), None),
        ("endless", Bytes::from_static(b"text"), None),
    ];
    for (id, payload, expires_at) in &records {
        t.store
            .insert(&t.id(id)?, &Record::new(payload.clone(), *expires_at))
            .await?;
    }
    let entries = listed(t, &t.key("main")?).await?;
    equal("how many are listed", &entries.len(), &records.len())?;
    for (id, payload, expires_at) in &records {
        let entry = entries.get(&t.id(id)?);
        holds("a listed record", entry.map(|entry| &entry.stored), payload)?;
        equal(
            "its listed expiry",
            &entry.and_then(|entry| entry.expires_at),
            expires_at,
        )?;
    }
    Ok(())
}

async fn listed_versions_work_in_replace_and_rename(t: &Trial) -> Verdict {
    let (id, to) = (t.id("listed")?, t.id("to")?);
    t.put(&id, "one").await?;
    let version = async || {
        let entry = t.entry(&id).await?;
        entry
            .map(|entry| entry.stored.version)
            .ok_or_else(|| Failure::new("a live record is listed", "it is not"))
    };
    t.store.replace(&id, Some(&version().await?), &t.record("two")).await?;
    t.rename(&id, &version().await?, &to, "three").await?;
    holds("after both", t.load(&to).await?.as_ref(), b"three")
}

async fn list_leaves_out_keys_that_look_alike(t: &Trial) -> Verdict {
    let names = ["a", "a:", "a:b", "ab", "A", "a/", "a*", "a%", "a_", "a?", "a ", "a\0"];
    for name in names {
        t.put(&RecordId::new(t.key(name)?, "id")?, name).await?;
    }
    for name in names {
        let entries = listed(t, &t.key(name)?).await?;
        equal("records of each of the keys", &entries.len(), &1)?;
        for entry in entries.values() {
            same_bytes("the record of that key", &entry.stored.payload, name.as_bytes())?;
        }
    }
    Ok(())
}

async fn list_leaves_out_what_has_expired(t: &Trial) -> Verdict {
    for &way in t.ways() {
        let (ends, lives) = (t.id("ends")?, t.id("lives")?);
        t.put(&ends, "one").await?;
        t.put(&lives, "two").await?;
        t.expire(&ends, way).await?;
        equal("live records", &ids(&listed(t, &t.key("main")?).await?), &vec!["lives"])?;
        t.store.clear(&t.key("main")?).await?;
    }
    Ok(())
}

async fn list_gives_every_one_of_many_records(t: &Trial) -> Verdict {
    let many = 300;
    for number in 0..many {
        t.store
            .insert(&t.id(format!("{number}"))?, &t.record(format!("{number}")))
            .await?;
    }
    let entries = listed(t, &t.key("main")?).await?;
    equal("how many of many records are listed", &entries.len(), &many)?;
    for entry in entries.values() {
        same_bytes("one of many records", &entry.stored.payload, entry.id.id().as_bytes())?;
    }
    Ok(())
}

async fn reserved_records_are_kept_and_listed_like_others(t: &Trial) -> Verdict {
    let (id, note) = (t.id("x")?, t.id("x~")?);
    t.put(&id, "session").await?;
    let version = t.put(&note, "note").await?;
    holds("a reserved record", t.load(&note).await?.as_ref(), b"note")?;
    equal(
        "the listing with it",
        &ids(&listed(t, &t.key("main")?).await?),
        &vec!["x", "x~"],
    )?;
    t.store.replace(&note, Some(&version), &t.record("note 2")).await?;
    holds("the record beside it", t.load(&id).await?.as_ref(), b"session")?;
    let version = t.version(&note).await?;
    t.rename(&note, &version, &t.id("y~")?, "note 3").await?;
    equal(
        "the listing after a rename",
        &ids(&listed(t, &t.key("main")?).await?),
        &vec!["x", "y~"],
    )?;
    equal(
        "remove of a reserved record",
        &t.store.remove(&t.id("y~")?).await?,
        &true,
    )
}
