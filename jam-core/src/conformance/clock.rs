//! What shows only when time goes by: the suite turns the clock the store was given.

use std::time::Duration;

use super::case::group;
use super::check::{equal, gone, holds};
use super::report::Verdict;
use super::trial::{HOUR, MINUTE, Trial};
use crate::{Load, Record, Renewal};

const MILLISECOND: Duration = Duration::from_millis(1);

group! { "clock", Clock,
    5 => a_record_lives_until_its_expiry_and_no_longer,
    5 => a_touched_record_outlives_its_first_expiry,
    5 => a_renewed_record_outlives_its_first_expiry,
    5 => a_replaced_record_ends_at_its_new_expiry,
    5 => a_renamed_record_ends_at_its_new_expiry,
    5 => an_endless_record_never_ends,
    5 => a_clock_that_jumps_back_ends_no_life,
    5 => remove_expired_takes_what_has_expired_and_nothing_else,
    5 => remove_expired_keeps_what_was_prolonged,
}

async fn a_record_lives_until_its_expiry_and_no_longer(t: &Trial) -> Verdict {
    let (id, ends) = (t.id("ends")?, t.now().plus(MINUTE));
    t.store.insert(&id, &Record::new("one", Some(ends))).await?;
    t.turn(ends.minus(MILLISECOND));
    holds("a millisecond before the expiry", t.load(&id).await?.as_ref(), b"one")?;
    equal("records listed then", &t.store.list(id.key()).await?.len(), &1)?;
    t.turn(ends);
    gone("at the expiry", t.load(&id).await?.as_ref())?;
    equal("records listed then", &t.store.list(id.key()).await?.len(), &0)?;
    t.turn(ends.plus(HOUR));
    gone("an hour after the expiry", t.load(&id).await?.as_ref())
}

async fn a_touched_record_outlives_its_first_expiry(t: &Trial) -> Verdict {
    let (id, first, ends) = (t.id("touched")?, t.now().plus(MINUTE), t.later());
    t.store.insert(&id, &Record::new("one", Some(first))).await?;
    t.store.touch(&id, ends).await?;
    t.turn(first);
    holds("after the first expiry", t.load(&id).await?.as_ref(), b"one")?;
    t.turn(ends);
    gone("after the expiry of the touch", t.load(&id).await?.as_ref())
}

async fn a_renewed_record_outlives_its_first_expiry(t: &Trial) -> Verdict {
    let (id, first, to) = (t.id("renewed")?, t.now().plus(MINUTE), t.later());
    t.store.insert(&id, &Record::new("one", Some(first))).await?;
    let renewal = Renewal { to, when_before: to };
    holds(
        "a load with a renewal",
        t.store.load(&id, Load::new().renew(renewal)).await?.as_ref(),
        b"one",
    )?;
    t.turn(first);
    holds("after the first expiry", t.load(&id).await?.as_ref(), b"one")?;
    t.turn(to);
    gone("after the expiry of the renewal", t.load(&id).await?.as_ref())
}

async fn a_replaced_record_ends_at_its_new_expiry(t: &Trial) -> Verdict {
    let (shortened, prolonged) = (t.id("shortened")?, t.id("prolonged")?);
    let (sooner, later) = (t.now().plus(MINUTE), t.later().plus(HOUR));
    for (id, ends) in [(&shortened, sooner), (&prolonged, later)] {
        t.put(id, "one").await?;
        t.store.replace(id, None, &Record::new("two", Some(ends))).await?;
    }
    t.turn(sooner);
    gone(
        "a record replaced by a shorter life",
        t.load(&shortened).await?.as_ref(),
    )?;
    t.turn(later.minus(MILLISECOND));
    holds(
        "a record replaced by a longer life",
        t.load(&prolonged).await?.as_ref(),
        b"two",
    )?;
    t.turn(later);
    gone("and at its end", t.load(&prolonged).await?.as_ref())
}

async fn a_renamed_record_ends_at_its_new_expiry(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        t.store
            .insert(&from, &Record::new("one", Some(t.now().plus(MINUTE))))
            .await?;
        let (version, ends) = (t.version(&from).await?, t.later());
        t.rename(&from, &version, &to, "two").await?;
        t.turn(ends.minus(MILLISECOND));
        holds(
            "a millisecond before the new expiry",
            t.load(&to).await?.as_ref(),
            b"two",
        )?;
        t.turn(ends);
        gone("at the new expiry", t.load(&to).await?.as_ref())?;
    }
    Ok(())
}

async fn an_endless_record_never_ends(t: &Trial) -> Verdict {
    let id = t.id("endless")?;
    t.store.insert(&id, &Record::new("one", None)).await?;
    t.turn(t.now().plus(1_000_000 * HOUR));
    t.store.remove_expired(t.now()).await?;
    holds("a record without expiry", t.load(&id).await?.as_ref(), b"one")
}

async fn a_clock_that_jumps_back_ends_no_life(t: &Trial) -> Verdict {
    let (id, start) = (t.id("live")?, t.now());
    t.put(&id, "one").await?;
    for now in [start.plus(HOUR / 2), start.minus(10 * HOUR)] {
        t.turn(now);
        holds("after the clock jumped", t.load(&id).await?.as_ref(), b"one")?;
        t.store.remove_expired(t.now()).await?;
        holds("after reclaiming", t.load(&id).await?.as_ref(), b"one")?;
    }
    Ok(())
}

async fn remove_expired_takes_what_has_expired_and_nothing_else(t: &Trial) -> Verdict {
    let (ends, lives, endless) = (t.id("ends")?, t.id("lives")?, t.id("endless")?);
    let first = t.now().plus(MINUTE);
    t.store.insert(&ends, &Record::new("one", Some(first))).await?;
    t.store
        .insert(&lives, &Record::new("two", Some(first.plus(MILLISECOND))))
        .await?;
    t.store.insert(&endless, &Record::new("three", None)).await?;
    t.turn(first);
    t.store.remove_expired(t.now()).await?;
    gone("an expired record", t.load(&ends).await?.as_ref())?;
    holds("a live record", t.load(&lives).await?.as_ref(), b"two")?;
    holds("an endless record", t.load(&endless).await?.as_ref(), b"three")?;
    // The space is free: nothing is left to remove.
    equal("a second remove_expired", &t.store.remove_expired(t.now()).await?, &0)
}

async fn remove_expired_keeps_what_was_prolonged(t: &Trial) -> Verdict {
    let ids = [t.id("touched")?, t.id("renewed")?, t.id("replaced")?, t.id("renamed")?];
    let [touched, renewed, replaced, renamed] = &ids;
    let (first, to) = (t.now().plus(MINUTE), t.later());
    for id in &ids {
        t.store.insert(id, &Record::new("one", Some(first))).await?;
    }
    t.store.touch(touched, to).await?;
    t.store
        .load(renewed, Load::new().renew(Renewal { to, when_before: to }))
        .await?;
    t.store.replace(replaced, None, &t.record("one")).await?;
    let (version, moved) = (t.version(renamed).await?, t.id("moved")?);
    t.rename(renamed, &version, &moved, "one").await?;
    t.turn(first.plus(MINUTE));
    t.store.remove_expired(t.now()).await?;
    for id in [touched, renewed, replaced, &moved] {
        holds("a record whose life was prolonged", t.load(id).await?.as_ref(), b"one")?;
    }
    Ok(())
}
