//! Insert, load, replace, remove: what each does, and what it leaves alone when it fails.

use super::case::group;
use super::check::{equal, fails, gone, holds, that};
use super::report::Verdict;
use super::trial::{HOUR, Trial, unchanged};
use crate::{ErrorKind, Record, Timestamp};

group! { "writing", Nothing,
    4 => a_new_record_is_there_as_it_was_written,
    0 => what_was_never_there_is_not_there,
    0 => insert_at_a_live_record_is_already_exists_and_changes_nothing,
    5 => insert_takes_the_place_of_an_expired_record,
    2 => replace_changes_payload_and_expiry,
    2 => replace_may_shorten_a_life_or_make_it_endless,
    2 => replace_with_the_loaded_version_succeeds_once,
    2 => replace_with_another_version_is_conflict_and_changes_nothing,
    1 => replace_of_nothing_is_not_found_and_leaves_nothing,
    2 => a_write_of_other_content_changes_the_version,
    2 => a_version_does_not_fit_the_successor_of_its_record,
    0 => remove_tells_whether_a_live_record_was_there,
    0 => records_do_not_touch_each_other,
}

async fn a_new_record_is_there_as_it_was_written(t: &Trial) -> Verdict {
    let (ends, endless) = (t.id("ends")?, t.id("endless")?);
    t.store.insert(&ends, &t.record("one")).await?;
    t.store.insert(&endless, &Record::new("two", None)).await?;
    holds("a new record", t.load(&ends).await?.as_ref(), b"one")?;
    holds("a new record", t.load(&endless).await?.as_ref(), b"two")?;
    let precise = Timestamp::from_millis(t.later().as_secs() * 1000 + 7);
    let odd = t.id("odd")?;
    t.store.insert(&odd, &Record::new("three", Some(precise))).await?;
    equal("its expiry, to the millisecond", &t.expiry(&odd).await?, &Some(precise))?;
    equal("no expiry", &t.expiry(&endless).await?, &None)
}

async fn what_was_never_there_is_not_there(t: &Trial) -> Verdict {
    let (there, not) = (t.id("there")?, t.id("not")?);
    t.put(&there, "one").await?;
    gone("an id without record", t.load(&not).await?.as_ref())?;
    equal("touch of nothing", &t.store.touch(&not, t.later()).await?, &false)?;
    equal("remove of nothing", &t.store.remove(&not).await?, &false)?;
    equal(
        "records of a key without any",
        &t.store.list(&t.key("nobody")?).await?.len(),
        &0,
    )?;
    equal(
        "clear of a key without any",
        &t.store.clear(&t.key("nobody")?).await?,
        &0,
    )
}

async fn insert_at_a_live_record_is_already_exists_and_changes_nothing(t: &Trial) -> Verdict {
    let id = t.id("taken")?;
    t.put(&id, "first").await?;
    let before = t.look(&[&id]).await?;
    let other = Record::new("second", Some(t.later().plus(HOUR)));
    fails(
        "an insert at a live record",
        t.store.insert(&id, &other).await,
        ErrorKind::AlreadyExists,
    )?;
    fails(
        "an insert at a live record of the same content",
        t.store.insert(&id, &t.record("first")).await,
        ErrorKind::AlreadyExists,
    )?;
    unchanged("after an insert that failed", &before, &t.look(&[&id]).await?)
}

async fn insert_takes_the_place_of_an_expired_record(t: &Trial) -> Verdict {
    for &way in t.ways() {
        let id = t.id(format!("expired {way:?}"))?;
        t.put(&id, "first").await?;
        t.expire(&id, way).await?;
        let record = t.record("second");
        t.store.insert(&id, &record).await?;
        holds(
            "after an insert over an expired record",
            t.load(&id).await?.as_ref(),
            b"second",
        )?;
        equal("its expiry", &t.expiry(&id).await?, &record.expires_at)?;
    }
    Ok(())
}

async fn replace_changes_payload_and_expiry(t: &Trial) -> Verdict {
    let id = t.id("changed")?;
    let version = t.put(&id, "one").await?;
    let later = t.later().plus(HOUR);
    t.store.replace(&id, None, &Record::new("two", Some(later))).await?;
    holds("after a replace", t.load(&id).await?.as_ref(), b"two")?;
    equal("its expiry", &t.expiry(&id).await?, &Some(later))?;
    that(
        version != t.version(&id).await?,
        "a replace with other content gives another version",
        "it is the same",
    )?;
    let (version, later) = (t.version(&id).await?, later.plus(HOUR));
    t.store
        .replace(&id, Some(&version), &Record::new("three", Some(later)))
        .await?;
    holds("after a replace with a version", t.load(&id).await?.as_ref(), b"three")?;
    equal("its expiry", &t.expiry(&id).await?, &Some(later))
}

async fn replace_may_shorten_a_life_or_make_it_endless(t: &Trial) -> Verdict {
    let id = t.id("shortened")?;
    t.put(&id, "one").await?;
    let sooner = t.later().minus(HOUR / 2);
    t.store.replace(&id, None, &Record::new("two", Some(sooner))).await?;
    equal("an earlier expiry", &t.expiry(&id).await?, &Some(sooner))?;
    t.store.replace(&id, None, &Record::new("three", None)).await?;
    equal("no expiry", &t.expiry(&id).await?, &None)?;
    t.store.replace(&id, None, &Record::new("four", Some(sooner))).await?;
    equal("an expiry again", &t.expiry(&id).await?, &Some(sooner))?;
    t.store.replace(&id, None, &Record::new("five", Some(t.past()))).await?;
    gone(
        "after a replace with an expiry in the past",
        t.load(&id).await?.as_ref(),
    )
}

async fn replace_with_the_loaded_version_succeeds_once(t: &Trial) -> Verdict {
    let id = t.id("swapped")?;
    let version = t.put(&id, "one").await?;
    t.store.replace(&id, Some(&version), &t.record("two")).await?;
    fails(
        "a second replace with the same version",
        t.store.replace(&id, Some(&version), &t.record("three")).await,
        ErrorKind::Conflict,
    )?;
    holds("after the second replace failed", t.load(&id).await?.as_ref(), b"two")
}

async fn replace_with_another_version_is_conflict_and_changes_nothing(t: &Trial) -> Verdict {
    let (id, other) = (t.id("changed")?, t.id("other")?);
    let stale = t.put(&id, "one").await?;
    t.store.replace(&id, None, &t.record("two")).await?;
    t.put(&other, "other").await?;
    let before = t.look(&[&id]).await?;
    let late = Record::new("three", Some(t.later().plus(HOUR)));
    fails(
        "a replace with a stale version",
        t.store.replace(&id, Some(&stale), &late).await,
        ErrorKind::Conflict,
    )?;
    unchanged("after a conflict", &before, &t.look(&[&id]).await?)
}

async fn replace_of_nothing_is_not_found_and_leaves_nothing(t: &Trial) -> Verdict {
    let (id, other) = (t.id("never there")?, t.id("other")?);
    let version = t.put(&other, "one").await?;
    for expected in [None, Some(&version)] {
        let late = Record::new("two", None);
        fails(
            "a replace of nothing",
            t.store.replace(&id, expected, &late).await,
            ErrorKind::NotFound,
        )?;
        gone("after a replace of nothing", t.load(&id).await?.as_ref())?;
    }
    equal("records of the key", &t.store.list(id.key()).await?.len(), &1)
}

async fn a_write_of_other_content_changes_the_version(t: &Trial) -> Verdict {
    let id = t.id("watched")?;
    let mut versions = vec![t.put(&id, "0").await?];
    for payload in ["1", "22", "1 ", "", "{}"] {
        t.store.replace(&id, None, &t.record(payload)).await?;
        let version = t.version(&id).await?;
        that(
            !versions.contains(&version),
            "every write of other content gives a version of its own",
            "two have the same",
        )?;
        versions.push(version);
    }
    let (loaded, listed) = (t.load(&id).await?, t.entry(&id).await?);
    that(
        loaded.map(|stored| stored.version) == listed.map(|entry| entry.stored.version),
        "load and list give the same version",
        "they differ",
    )
}

async fn a_version_does_not_fit_the_successor_of_its_record(t: &Trial) -> Verdict {
    let id = t.id("succeeded")?;
    let old = t.put(&id, "one").await?;
    t.store.remove(&id).await?;
    t.put(&id, "two").await?;
    let before = t.look(&[&id]).await?;
    fails(
        "a late replace of the record before this one",
        t.store.replace(&id, Some(&old), &t.record("three")).await,
        ErrorKind::Conflict,
    )?;
    let to = t.id("elsewhere")?;
    fails(
        "a late rename of the record before this one",
        t.rename(&id, &old, &to, "three").await,
        ErrorKind::Conflict,
    )?;
    gone("where the rename would have gone", t.load(&to).await?.as_ref())?;
    unchanged("after late writes", &before, &t.look(&[&id]).await?)
}

async fn remove_tells_whether_a_live_record_was_there(t: &Trial) -> Verdict {
    let id = t.id("removed")?;
    t.put(&id, "one").await?;
    equal("remove of a live record", &t.store.remove(&id).await?, &true)?;
    gone("after the remove", t.load(&id).await?.as_ref())?;
    equal("a second remove", &t.store.remove(&id).await?, &false)?;
    for &way in t.ways() {
        let id = t.id(format!("expired {way:?}"))?;
        t.put(&id, "one").await?;
        t.expire(&id, way).await?;
        equal("remove of an expired record", &t.store.remove(&id).await?, &false)?;
    }
    t.store.insert(&id, &t.record("two")).await?;
    holds("an insert where one was removed", t.load(&id).await?.as_ref(), b"two")
}

async fn records_do_not_touch_each_other(t: &Trial) -> Verdict {
    let (id, beside) = (t.id("id")?, t.id("beside")?);
    let other = crate::RecordId::new(t.key("other")?, "id")?;
    t.put(&id, "one").await?;
    t.put(&beside, "two").await?;
    t.put(&other, "three").await?;
    let before = t.look(&[&beside, &other]).await?;
    t.store.replace(&id, None, &t.record("four")).await?;
    t.store.touch(&id, t.later().plus(HOUR)).await?;
    unchanged(
        "beside a replace and a touch",
        &before,
        &t.look(&[&beside, &other]).await?,
    )?;
    t.store.remove(&id).await?;
    unchanged("beside a remove", &before, &t.look(&[&beside, &other]).await?)
}
