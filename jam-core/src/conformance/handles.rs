//! Two handles on the same sessions, such as two processes have: what one writes, the other sees.

use std::sync::Arc;

use super::case::group;
use super::check::{equal, fails, gone, holds};
use super::report::{Failure, Verdict};
use super::trial::{HOUR, Trial};
use crate::{ErrorKind, Load, RecordId, Renewal, SessionStore};

group! { "handles", SecondHandle,
    1 => what_one_handle_writes_the_other_sees,
    2 => a_version_loaded_through_one_handle_fits_in_the_other,
    1 => what_one_handle_ends_the_other_does_not_revive,
    3 => a_rename_through_one_handle_ends_the_old_id_in_the_other,
    1 => a_fresh_read_shows_what_another_handle_wrote,
}

fn second(t: &Trial) -> Verdict<Arc<dyn SessionStore>> {
    let second = t.second.as_ref().map(Arc::clone);
    second.ok_or_else(|| Failure::new("a second handle", "there is none"))
}

async fn what_one_handle_writes_the_other_sees(t: &Trial) -> Verdict {
    let second = second(t)?;
    let (one, other) = (t.id("one")?, t.id("other")?);
    t.put(&one, "one").await?;
    holds(
        "inserted through the first",
        second.load(&one, t.look).await?.as_ref(),
        b"one",
    )?;
    second.insert(&other, &t.record("two")).await?;
    holds("inserted through the second", t.load(&other).await?.as_ref(), b"two")?;
    t.store.replace(&other, None, &t.record("three")).await?;
    holds(
        "replaced through the first",
        second.load(&other, t.look).await?.as_ref(),
        b"three",
    )?;
    second.replace(&one, None, &t.record("four")).await?;
    holds("replaced through the second", t.load(&one).await?.as_ref(), b"four")?;
    let later = t.later().plus(HOUR);
    second.touch(&one, later).await?;
    equal(
        "the expiry touched through the second",
        &t.expiry(&one).await?,
        &Some(later),
    )?;
    equal("listed by the second", &second.list(one.key()).await?.len(), &2)?;
    fails(
        "an insert through the second at a live record",
        second.insert(&one, &t.record("five")).await,
        ErrorKind::AlreadyExists,
    )?;
    second.remove(&one).await?;
    gone("removed through the second", t.load(&one).await?.as_ref())?;
    t.store.clear(other.key()).await?;
    gone("cleared through the first", second.load(&other, t.look).await?.as_ref())
}

async fn a_version_loaded_through_one_handle_fits_in_the_other(t: &Trial) -> Verdict {
    let second = second(t)?;
    let id = t.id("shared")?;
    let stale = t.put(&id, "one").await?;
    second.replace(&id, Some(&stale), &t.record("two")).await?;
    fails(
        "a stale version through the first",
        t.store.replace(&id, Some(&stale), &t.record("three")).await,
        ErrorKind::Conflict,
    )?;
    let loaded = second.load(&id, t.look).await?.map(|stored| stored.version);
    t.store.replace(&id, loaded.as_ref(), &t.record("four")).await?;
    holds("after it", second.load(&id, t.look).await?.as_ref(), b"four")
}

async fn what_one_handle_ends_the_other_does_not_revive(t: &Trial) -> Verdict {
    let second = second(t)?;
    let (removed, cleared) = (t.id("removed")?, t.id("cleared")?);
    for id in [&removed, &cleared] {
        t.put(id, "one").await?;
        // So that each handle has seen the record, and could have kept it.
        second.load(id, t.look).await?;
    }
    second.remove(&removed).await?;
    second.clear(cleared.key()).await?;
    for id in [&removed, &cleared] {
        gone("through the first", t.load(id).await?.as_ref())?;
        fails(
            "a late replace through the first",
            t.store.replace(id, None, &t.record("late")).await,
            ErrorKind::NotFound,
        )?;
        equal(
            "a late touch through the first",
            &t.store.touch(id, t.later()).await?,
            &false,
        )?;
        gone("through the first", t.load(id).await?.as_ref())?;
        gone("through the second", second.load(id, t.look).await?.as_ref())?;
    }
    Ok(())
}

async fn a_rename_through_one_handle_ends_the_old_id_in_the_other(t: &Trial) -> Verdict {
    let second = second(t)?;
    for (from, to) in t.moves()? {
        let version = t.put(&from, "one").await?;
        second.load(&from, t.look).await?;
        t.rename(&from, &version, &to, "two").await?;
        gone("the old id", second.load(&from, t.look).await?.as_ref())?;
        holds("the new id", second.load(&to, t.look).await?.as_ref(), b"two")?;
        fails(
            "a late replace through the second",
            second.replace(&from, None, &t.record("late")).await,
            ErrorKind::NotFound,
        )?;
        let back = RecordId::new(from.key().clone(), "back")?;
        fails(
            "a late rename through the second",
            second
                .rename(crate::Rename {
                    from: &from,
                    expected: &version,
                    to: &back,
                    record: &t.record("late"),
                })
                .await,
            ErrorKind::NotFound,
        )?;
        gone("where it would have gone", t.load(&back).await?.as_ref())?;
    }
    Ok(())
}

/// Whatever a handle keeps of what it read: what decides about a write, or about who may do what, asks past it.
async fn a_fresh_read_shows_what_another_handle_wrote(t: &Trial) -> Verdict {
    let second = second(t)?;
    let (changed, removed, cleared) = (
        t.id("changed")?,
        t.id("removed")?,
        RecordId::new(t.key("other")?, "cleared")?,
    );
    for id in [&changed, &removed, &cleared] {
        t.put(id, "one").await?;
        second.load(id, Load::new()).await?;
    }
    t.store.replace(&changed, None, &t.record("two")).await?;
    t.store.remove(&removed).await?;
    t.store.clear(cleared.key()).await?;
    let due = Renewal::new(t.later().plus(HOUR), t.later().plus(HOUR));
    for how in [
        Load::new().fresh(),
        Load::new().fresh().renew(due),
        Load::new().fresh().with_expiry(),
    ] {
        holds(
            "a fresh read after a replace",
            second.load(&changed, how).await?.as_ref(),
            b"two",
        )?;
        gone(
            "a fresh read after a remove",
            second.load(&removed, how).await?.as_ref(),
        )?;
        gone("a fresh read after a clear", second.load(&cleared, how).await?.as_ref())?;
    }
    Ok(())
}
