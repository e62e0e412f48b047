//! Clear and `remove_expired`: everything of one key, everything that has ended, and nothing more.

use super::case::group;
use super::check::{equal, fails, gone, holds};
use super::report::Verdict;
use super::trial::Trial;
use crate::{ErrorKind, Record, RecordId};

group! { "clearing", Nothing,
    1 => clear_removes_every_record_of_a_key_and_counts_them,
    0 => clear_leaves_keys_that_look_alike,
    7 => clear_takes_reserved_records_but_does_not_count_them,
    5 => clear_does_not_count_what_has_expired,
    0 => a_cleared_key_can_be_used_again,
    5 => remove_expired_keeps_live_records,
}

async fn clear_removes_every_record_of_a_key_and_counts_them(t: &Trial) -> Verdict {
    let key = t.key("main")?;
    for many in [1, 2, 100] {
        let mut ids = Vec::new();
        for number in 0..many {
            let id = t.id(format!("{number}"))?;
            t.put(&id, "one").await?;
            ids.push(id);
        }
        equal(
            "clear counts the records",
            &t.store.clear(&key).await?,
            &(ids.len() as u64),
        )?;
        for id in &ids {
            gone("a cleared record", t.load(id).await?.as_ref())?;
            fails(
                "replace of a cleared record",
                t.store.replace(id, None, &t.record("two")).await,
                ErrorKind::NotFound,
            )?;
        }
        equal("listed after a clear", &t.store.list(&key).await?.len(), &0)?;
        equal("a second clear", &t.store.clear(&key).await?, &0)?;
    }
    Ok(())
}

async fn clear_leaves_keys_that_look_alike(t: &Trial) -> Verdict {
    let names = [
        "a", "a:", "a:b", "ab", "A", "a/", "a/b", "a*", "*", "a%", "a_", "_", "a?", "a[a]", "a ", "a\0",
    ];
    for name in names {
        t.put(&RecordId::new(t.key(name)?, "id")?, name).await?;
    }
    for (done, name) in names.iter().enumerate() {
        equal(
            "clear of a key with one record",
            &t.store.clear(&t.key(name)?).await?,
            &1,
        )?;
        for (number, name) in names.iter().enumerate() {
            let id = RecordId::new(t.key(name)?, "id")?;
            let stored = t.load(&id).await?;
            if number <= done {
                gone("a cleared record", stored.as_ref())?;
            } else {
                holds("a record of another key", stored.as_ref(), name.as_bytes())?;
            }
        }
    }
    Ok(())
}

async fn clear_takes_reserved_records_but_does_not_count_them(t: &Trial) -> Verdict {
    let (id, note) = (t.id("x")?, t.id("x~")?);
    t.put(&id, "session").await?;
    t.put(&note, "note").await?;
    equal("clear of one session and its note", &t.store.clear(id.key()).await?, &1)?;
    gone("the session", t.load(&id).await?.as_ref())?;
    gone("the note", t.load(&note).await?.as_ref())?;
    t.put(&note, "note").await?;
    equal("clear of a note alone", &t.store.clear(id.key()).await?, &0)?;
    gone("the note", t.load(&note).await?.as_ref())
}

async fn clear_does_not_count_what_has_expired(t: &Trial) -> Verdict {
    for &way in t.ways() {
        let (ends, lives) = (t.id("ends")?, t.id("lives")?);
        t.put(&ends, "one").await?;
        t.put(&lives, "two").await?;
        t.expire(&ends, way).await?;
        equal(
            "clear of one live and one expired record",
            &t.store.clear(lives.key()).await?,
            &1,
        )?;
    }
    Ok(())
}

async fn a_cleared_key_can_be_used_again(t: &Trial) -> Verdict {
    let id = t.id("again")?;
    for _ in 0..3 {
        t.put(&id, "one").await?;
        t.put(&t.id("other")?, "two").await?;
        equal("records of the key", &t.store.list(id.key()).await?.len(), &2)?;
        equal("clear", &t.store.clear(id.key()).await?, &2)?;
    }
    Ok(())
}

async fn remove_expired_keeps_live_records(t: &Trial) -> Verdict {
    let (ends, lives, endless) = (t.id("ends")?, t.id("lives")?, t.id("endless")?);
    for &way in t.ways() {
        t.put(&ends, "one").await?;
        t.put(&lives, "two").await?;
        t.store.insert(&endless, &Record::new("three", None)).await?;
        t.expire(&ends, way).await?;
        t.store.remove_expired(t.now()).await?;
        gone("an expired record", t.load(&ends).await?.as_ref())?;
        holds("a live record", t.load(&lives).await?.as_ref(), b"two")?;
        holds("an endless record", t.load(&endless).await?.as_ref(), b"three")?;
        equal("listed", &t.store.list(lives.key()).await?.len(), &2)?;
        t.store.clear(lives.key()).await?;
    }
    Ok(())
}
