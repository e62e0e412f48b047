//! The end of a record, and what moves it: touch and renewal.

use super::case::group;
use super::check::{equal, fails, gone, holds, that};
use super::report::Verdict;
use super::trial::{HOUR, MINUTE, Trial, unchanged};
use crate::{Ends, Error, ErrorKind, Load, Record, RecordId, Renewal, Timestamp};

group! { "expiry", Nothing,
    5 => an_expired_record_is_never_returned,
    5 => a_record_inserted_expired_is_never_returned,
    5 => a_record_renamed_to_an_expired_one_is_gone,
    5 => an_expiry_in_the_far_future_is_kept,
    2 => touch_prolongs_a_life,
    2 => touch_never_shortens_a_life,
    2 => touch_gives_no_expiry_to_an_endless_record,
    2 => touch_changes_neither_version_nor_payload,
    2 => touch_of_an_expired_record_is_false,
    2 => a_renewal_that_is_due_moves_the_expiry,
    2 => a_renewal_that_is_not_due_changes_nothing,
    2 => a_renewal_gives_no_expiry_to_an_endless_record,
    2 => a_renewal_changes_neither_version_nor_payload,
    5 => a_renewal_of_what_is_gone_is_none,
    2 => a_read_that_asks_for_the_expiry_is_told_it,
}

async fn an_expired_record_is_never_returned(t: &Trial) -> Verdict {
    for &way in t.ways() {
        let (id, to) = (t.id(format!("expired {way:?}"))?, t.id(format!("to {way:?}"))?);
        let version = t.put(&id, "one").await?;
        t.expire(&id, way).await?;
        gone("load of an expired record", t.load(&id).await?.as_ref())?;
        equal("expired records in a listing", &t.store.list(id.key()).await?.len(), &0)?;
        fails(
            "replace of an expired record",
            t.store.replace(&id, None, &t.record("two")).await,
            ErrorKind::NotFound,
        )?;
        fails(
            "rename of an expired record",
            t.rename(&id, &version, &to, "two").await,
            ErrorKind::NotFound,
        )?;
        equal("clear of expired records", &t.store.clear(id.key()).await?, &0)?;
    }
    Ok(())
}

async fn a_record_inserted_expired_is_never_returned(t: &Trial) -> Verdict {
    for (name, expires_at) in [("past", t.past()), ("epoch", Timestamp::ZERO)] {
        let id = t.id(name)?;
        // A store may take it or not; what it may not is give it back.
        let _ = t.store.insert(&id, &Record::new("one", Some(expires_at))).await;
        gone("a record that was expired when inserted", t.load(&id).await?.as_ref())?;
        equal("such records in a listing", &t.store.list(id.key()).await?.len(), &0)?;
        t.store.insert(&id, &t.record("two")).await?;
        holds("an insert after it", t.load(&id).await?.as_ref(), b"two")?;
        t.store.remove(&id).await?;
    }
    Ok(())
}

async fn a_record_renamed_to_an_expired_one_is_gone(t: &Trial) -> Verdict {
    for (from, to) in t.moves()? {
        let version = t.put(&from, "one").await?;
        let record = &Record::new("two", Some(t.past()));
        t.store
            .rename(crate::Rename {
                from: &from,
                expected: &version,
                to: &to,
                record,
            })
            .await?;
        gone("the old id", t.load(&from).await?.as_ref())?;
        gone(
            "the new id of a record renamed with an expiry in the past",
            t.load(&to).await?.as_ref(),
        )?;
    }
    Ok(())
}

async fn an_expiry_in_the_far_future_is_kept(t: &Trial) -> Verdict {
    let year_9999 = Timestamp::from_secs(253_402_300_799);
    let id = t.id("year 9999")?;
    t.store.insert(&id, &Record::new("one", Some(year_9999))).await?;
    holds("a record until the year 9999", t.load(&id).await?.as_ref(), b"one")?;
    equal("its expiry", &t.expiry(&id).await?, &Some(year_9999))?;
    equal("touch of it", &t.store.touch(&id, t.later()).await?, &true)?;
    equal("its expiry after a touch", &t.expiry(&id).await?, &Some(year_9999))?;

    let (id, last) = (t.id("the last time there is")?, Timestamp::MAX);
    t.store.insert(&id, &Record::new("one", Some(last))).await?;
    holds(
        "a record until the last time there is",
        t.load(&id).await?.as_ref(),
        b"one",
    )?;
    equal("its expiry", &t.expiry(&id).await?, &Some(last))
}

async fn touch_prolongs_a_life(t: &Trial) -> Verdict {
    let id = t.id("touched")?;
    t.put(&id, "one").await?;
    let later = t.later().plus(HOUR);
    equal("touch of a live record", &t.store.touch(&id, later).await?, &true)?;
    equal("its expiry", &t.expiry(&id).await?, &Some(later))
}

async fn touch_never_shortens_a_life(t: &Trial) -> Verdict {
    let id = t.id("touched")?;
    t.put(&id, "one").await?;
    let before = t.look(&[&id]).await?;
    for expires_at in [t.later().minus(MINUTE), t.now(), t.past(), Timestamp::ZERO] {
        equal("touch of a live record", &t.store.touch(&id, expires_at).await?, &true)?;
        unchanged("after a touch with an earlier expiry", &before, &t.look(&[&id]).await?)?;
    }
    Ok(())
}

async fn touch_gives_no_expiry_to_an_endless_record(t: &Trial) -> Verdict {
    let id = t.id("endless")?;
    t.store.insert(&id, &Record::new("one", None)).await?;
    equal(
        "touch of an endless record",
        &t.store.touch(&id, t.later()).await?,
        &true,
    )?;
    equal("its expiry", &t.expiry(&id).await?, &None)
}

async fn touch_changes_neither_version_nor_payload(t: &Trial) -> Verdict {
    let id = t.id("touched")?;
    let version = t.put(&id, "one").await?;
    t.store.touch(&id, t.later().plus(HOUR)).await?;
    holds("after a touch", t.load(&id).await?.as_ref(), b"one")?;
    that(
        t.version(&id).await? == version,
        "touch keeps the version",
        "it is another one",
    )?;
    t.store.replace(&id, Some(&version), &t.record("two")).await?;
    holds(
        "after a replace with the version from before the touch",
        t.load(&id).await?.as_ref(),
        b"two",
    )
}

async fn touch_of_an_expired_record_is_false(t: &Trial) -> Verdict {
    for &way in t.ways() {
        let id = t.id(format!("expired {way:?}"))?;
        t.put(&id, "one").await?;
        t.expire(&id, way).await?;
        equal(
            "touch of an expired record",
            &t.store.touch(&id, t.later()).await?,
            &false,
        )?;
        gone("after the touch", t.load(&id).await?.as_ref())?;
    }
    Ok(())
}

/// A record that expires in an hour, and a renewal that is due.
async fn due(t: &Trial, id: &RecordId) -> Result<Renewal, Error> {
    t.store.insert(id, &t.record("one")).await?;
    Ok(Renewal {
        to: t.later().plus(2 * HOUR),
        when_before: t.later().plus(HOUR),
    })
}

async fn a_renewal_that_is_due_moves_the_expiry(t: &Trial) -> Verdict {
    let id = t.id("renewed")?;
    let renewal = due(t, &id).await?;
    let loaded = t.store.load(&id, Load::new().renew(renewal)).await?;
    holds("a load with a renewal", loaded.as_ref(), b"one")?;
    equal("the expiry after a renewal", &t.expiry(&id).await?, &Some(renewal.to))
}

async fn a_renewal_that_is_not_due_changes_nothing(t: &Trial) -> Verdict {
    let id = t.id("not due")?;
    let ends = t.later();
    t.store.insert(&id, &Record::new("one", Some(ends))).await?;
    let before = t.look(&[&id]).await?;
    let renewals = [
        // Not before its time, although it would prolong the life.
        (ends.plus(HOUR), ends.minus(MINUTE)),
        (ends.plus(HOUR), ends),
        // It would shorten the life.
        (ends.minus(MINUTE), ends.minus(MINUTE)),
        (ends.minus(MINUTE), ends.minus(2 * MINUTE)),
    ];
    for (to, when_before) in renewals {
        let loaded = t
            .store
            .load(&id, Load::new().renew(Renewal { to, when_before }))
            .await?;
        holds("a load with a renewal", loaded.as_ref(), b"one")?;
        unchanged("after a renewal that is not due", &before, &t.look(&[&id]).await?)?;
    }
    Ok(())
}

async fn a_renewal_gives_no_expiry_to_an_endless_record(t: &Trial) -> Verdict {
    let id = t.id("endless")?;
    t.store.insert(&id, &Record::new("one", None)).await?;
    let renewal = Renewal {
        to: t.later(),
        when_before: t.later(),
    };
    let loaded = t.store.load(&id, Load::new().renew(renewal)).await?;
    holds("a load with a renewal", loaded.as_ref(), b"one")?;
    equal("its expiry", &t.expiry(&id).await?, &None)
}

async fn a_renewal_changes_neither_version_nor_payload(t: &Trial) -> Verdict {
    let id = t.id("renewed")?;
    let renewal = due(t, &id).await?;
    let version = t.version(&id).await?;
    let loaded = t.store.load(&id, Load::new().renew(renewal)).await?;
    that(
        loaded.is_some_and(|stored| stored.version == version),
        "a load with a renewal gives the version from before",
        "it is another one",
    )?;
    that(
        t.version(&id).await? == version,
        "a renewal keeps the version",
        "it is another one",
    )?;
    t.store.replace(&id, Some(&version), &t.record("two")).await?;
    holds(
        "after a replace with the version from before the renewal",
        t.load(&id).await?.as_ref(),
        b"two",
    )
}

async fn a_renewal_of_what_is_gone_is_none(t: &Trial) -> Verdict {
    let renewal = Renewal {
        to: t.later().plus(HOUR),
        when_before: t.later().plus(HOUR),
    };
    for &way in t.ways() {
        let id = t.id(format!("expired {way:?}"))?;
        t.put(&id, "one").await?;
        t.expire(&id, way).await?;
        gone(
            "a load with a renewal of an expired record",
            t.store.load(&id, Load::new().renew(renewal)).await?.as_ref(),
        )?;
        gone("after it", t.load(&id).await?.as_ref())?;
    }
    Ok(())
}

async fn a_read_that_asks_for_the_expiry_is_told_it(t: &Trial) -> Verdict {
    let (id, ends) = (t.id("ends")?, t.later());
    t.store.insert(&id, &Record::new("one", Some(ends))).await?;
    tells(t, &id, Load::new(), ends).await?;
    tells(t, &id, Load::new().fresh(), ends).await?;
    let not_due = Renewal::new(ends.plus(HOUR), ends.minus(MINUTE));
    tells(t, &id, Load::new().renew(not_due), ends).await?;
    let renewal = Renewal::new(ends.plus(2 * HOUR), ends.plus(HOUR));
    tells(t, &id, Load::new().renew(renewal), renewal.to).await?;
    t.store.replace(&id, None, &Record::new("two", Some(ends))).await?;
    tells(t, &id, Load::new(), ends).await?;

    let id = t.id("endless")?;
    t.store.insert(&id, &Record::new("one", None)).await?;
    for how in [Load::new(), Load::new().renew(renewal)] {
        let loaded = t.store.load(&id, how.with_expiry()).await?;
        equal(
            "the end of an endless record",
            &loaded.map(|stored| stored.ends),
            &Some(Ends::Never),
        )?;
    }
    let id = t.id("never there")?;
    gone(
        "what was never there",
        t.store.load(&id, Load::new().with_expiry()).await?.as_ref(),
    )
}

/// A read that asks says when the record ends.
async fn tells(t: &Trial, id: &RecordId, how: Load, expected: Timestamp) -> Verdict {
    let before = t.now();
    let loaded = t.store.load(id, how.with_expiry()).await?;
    let ends = loaded.map(|stored| stored.ends);
    equal("when a record ends", &ends.and_then(Ends::at), &Some(expected))?;
    let Some(Ends::OnServer { left, .. }) = ends else {
        return Ok(());
    };
    // The server's clock and this one agree within a minute.
    let most = expected.since(before).saturating_add(MINUTE);
    that(
        left <= most && left.saturating_add(2 * MINUTE) >= most,
        "a server says how much is left of a life",
        "it is more than a minute off",
    )
}
