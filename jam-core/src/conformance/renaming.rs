//! Rename, within one session key and from one to another: one step, or nothing at all.

use super::case::group;
use super::check::{equal, fails, gone, holds, that};
use super::report::Verdict;
use super::trial::{HOUR, Trial, unchanged};
use crate::{ErrorKind, Record, Rename};

group! { "renaming", Nothing,
    3 => rename_moves_a_record_and_ends_the_old_id,
    3 => rename_sets_payload_and_expiry,
    3 => a_renamed_record_can_be_changed_and_renamed_again,
    3 => an_old_id_is_free_after_a_rename,
    3 => rename_with_a_stale_version_is_conflict_and_changes_nothing,
    3 => rename_of_nothing_is_not_found_and_leaves_nothing,
    3 => rename_onto_a_live_record_is_already_exists_and_changes_nothing,
    3 => rename_onto_itself_is_already_exists_and_changes_nothing,
    3 => rename_onto_an_expired_record_succeeds,
    3 => rename_of_an_expired_record_is_not_found,
    3 => rename_leaves_other_records_alone,
}

async fn rename_moves_a_record_and_ends_the_old_id(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        let version = t.put(&from, "one").await?;
        t.rename(&from, &version, &to, "two").await?;
        gone("the old id", t.load(&from).await?.as_ref())?;
        holds("the new id", t.load(&to).await?.as_ref(), b"two")?;
        that(t.entry(&from).await?.is_none(), "the old id is not listed", "it is")?;
        that(t.entry(&to).await?.is_some(), "the new id is listed", "it is not")?;
        equal("touch of the old id", &t.store.touch(&from, t.later()).await?, &false)?;
        equal("remove of the old id", &t.store.remove(&from).await?, &false)?;
        equal("remove of the new id", &t.store.remove(&to).await?, &true)?;
    }
    Ok(())
}

async fn rename_sets_payload_and_expiry(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        for expires_at in [Some(t.later().minus(HOUR / 2)), Some(t.later().plus(HOUR)), None] {
            let version = t.put(&from, "one").await?;
            let record = &Record::new("the new one", expires_at);
            let rename = Rename {
                from: &from,
                expected: &version,
                to: &to,
                record,
            };
            t.store.rename(rename).await?;
            holds("the new id", t.load(&to).await?.as_ref(), b"the new one")?;
            equal("its expiry", &t.expiry(&to).await?, &expires_at)?;
            t.store.remove(&to).await?;
        }
    }
    Ok(())
}

async fn a_renamed_record_can_be_changed_and_renamed_again(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        let mut version = t.put(&from, "one").await?;
        for _ in 0..3 {
            t.rename(&from, &version, &to, "two").await?;
            version = t.version(&to).await?;
            t.store.replace(&to, Some(&version), &t.record("three")).await?;
            version = t.version(&to).await?;
            t.rename(&to, &version, &from, "four").await?;
            version = t.version(&from).await?;
        }
        holds("a record renamed to and fro", t.load(&from).await?.as_ref(), b"four")?;
        gone("the other id", t.load(&to).await?.as_ref())?;
    }
    Ok(())
}

async fn an_old_id_is_free_after_a_rename(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        let version = t.put(&from, "one").await?;
        t.rename(&from, &version, &to, "two").await?;
        t.store.insert(&from, &t.record("three")).await?;
        holds("the successor at the old id", t.load(&from).await?.as_ref(), b"three")?;
        holds("the new id", t.load(&to).await?.as_ref(), b"two")?;
        fails(
            "a late replace at the old id",
            t.store.replace(&from, Some(&version), &t.record("four")).await,
            ErrorKind::Conflict,
        )?;
        holds("after it", t.load(&from).await?.as_ref(), b"three")?;
    }
    Ok(())
}

async fn rename_with_a_stale_version_is_conflict_and_changes_nothing(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        let stale = t.put(&from, "one").await?;
        t.store.replace(&from, None, &t.record("two")).await?;
        let before = t.look(&[&from, &to]).await?;
        fails(
            "rename with a stale version",
            t.rename(&from, &stale, &to, "three").await,
            ErrorKind::Conflict,
        )?;
        unchanged("after a conflict", &before, &t.look(&[&from, &to]).await?)?;
    }
    Ok(())
}

async fn rename_of_nothing_is_not_found_and_leaves_nothing(t: &Trial) -> Verdict {
    let some = t.id("some")?;
    let version = t.put(&some, "one").await?;
    for (from, to) in t.moves()? {
        fails(
            "rename of nothing",
            t.rename(&from, &version, &to, "two").await,
            ErrorKind::NotFound,
        )?;
        unchanged("after it", &[None, None], &t.look(&[&from, &to]).await?)?;
    }
    Ok(())
}

async fn rename_onto_a_live_record_is_already_exists_and_changes_nothing(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        let version = t.put(&from, "one").await?;
        t.put(&to, "two").await?;
        let before = t.look(&[&from, &to]).await?;
        fails(
            "rename onto a live record",
            t.rename(&from, &version, &to, "three").await,
            ErrorKind::AlreadyExists,
        )?;
        unchanged("after it", &before, &t.look(&[&from, &to]).await?)?;
    }
    Ok(())
}

async fn rename_onto_itself_is_already_exists_and_changes_nothing(t: &Trial) -> Verdict {
    let id = t.id("itself")?;
    let version = t.put(&id, "one").await?;
    let before = t.look(&[&id]).await?;
    fails(
        "rename onto itself",
        t.rename(&id, &version, &id, "two").await,
        ErrorKind::AlreadyExists,
    )?;
    unchanged("after it", &before, &t.look(&[&id]).await?)
}

async fn rename_onto_an_expired_record_succeeds(t: &Trial) -> Verdict {
    for &way in t.ways() {
        for (from, to) in t.moves()? {
            t.put(&to, "old").await?;
            t.expire(&to, way).await?;
            let version = t.put(&from, "one").await?;
            t.rename(&from, &version, &to, "two").await?;
            gone("the old id", t.load(&from).await?.as_ref())?;
            holds("the new id", t.load(&to).await?.as_ref(), b"two")?;
            t.store.remove(&to).await?;
        }
    }
    Ok(())
}

async fn rename_of_an_expired_record_is_not_found(t: &Trial) -> Verdict {
    for &way in t.ways() {
        for (from, to) in t.moves()? {
            let version = t.put(&from, "one").await?;
            t.expire(&from, way).await?;
            fails(
                "rename of an expired record",
                t.rename(&from, &version, &to, "two").await,
                ErrorKind::NotFound,
            )?;
            unchanged("after it", &[None, None], &t.look(&[&from, &to]).await?)?;
        }
    }
    Ok(())
}

async fn rename_leaves_other_records_alone(t: &Trial) -> Verdict {
    let ids = [t.id("beside")?, crate::RecordId::new(t.key("other")?, "beside")?];
    for id in &ids {
        t.put(id, "beside").await?;
    }
    let before = t.look(&[&ids[0], &ids[1]]).await?;
    for (from, to) in t.moves()? {
        let version = t.put(&from, "one").await?;
        t.rename(&from, &version, &to, "two").await?;
        unchanged("beside a rename", &before, &t.look(&[&ids[0], &ids[1]]).await?)?;
    }
    Ok(())
}
