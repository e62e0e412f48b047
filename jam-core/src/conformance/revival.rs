//! What has ended stays ended, whatever late write comes.

use super::case::group;
use super::check::{equal, fails, gone, holds};
use super::report::Verdict;
use super::trial::{Trial, Way};
use crate::{ErrorKind, Load, Record, RecordId, Renewal, Version};

group! { "revival", Nothing,
    1 => late_replace_does_not_revive_a_removed_record,
    1 => late_replace_does_not_revive_a_cleared_record,
    1 => late_replace_does_not_revive_a_renamed_record,
    1 => late_replace_does_not_revive_an_expired_record,
    1 => late_touch_does_not_revive_what_has_ended,
    1 => late_renewal_does_not_revive_what_has_ended,
    1 => late_rename_does_not_revive_what_has_ended,
}

/// How a record ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Removed,
    Cleared,
    Renamed,
    RenamedAway,
    Expired(Way),
}

/// The ends there are, each with a name for the report.
fn ends(t: &Trial) -> Vec<(End, String)> {
    let mut ends = vec![End::Removed, End::Cleared, End::Renamed, End::RenamedAway];
    ends.extend(t.ways().iter().map(|&way| End::Expired(way)));
    ends.into_iter().map(|end| (end, format!("{end:?}"))).collect()
}

/// A record that has come to this end, and the version it had.
async fn ended(t: &Trial, end: End) -> Verdict<(RecordId, Version)> {
    let id = t.id(format!("{end:?}"))?;
    let version = t.put(&id, "one").await?;
    match end {
        End::Removed => {
            t.store.remove(&id).await?;
        }
        End::Cleared => {
            t.store.clear(id.key()).await?;
        }
        End::Renamed => t.rename(&id, &version, &t.id("the new one")?, "moved").await?,
        End::RenamedAway => {
            let to = RecordId::new(t.key("other")?, "the new one")?;
            t.rename(&id, &version, &to, "moved").await?;
        }
        End::Expired(way) => t.expire(&id, way).await?,
    }
    gone(&format!("a record that is {end:?}"), t.load(&id).await?.as_ref())?;
    Ok((id, version))
}

async fn stays_gone(t: &Trial, id: &RecordId, what: &str) -> Verdict {
    gone(what, t.load(id).await?.as_ref())?;
    equal(&format!("{what}: is it listed?"), &t.entry(id).await?.is_some(), &false)
}

async fn late_replace(t: &Trial, end: End) -> Verdict {
    let (id, version) = ended(t, end).await?;
    let what = format!("late replace, record {end:?}");
    for expected in [None, Some(&version)] {
        let record = Record::new("late", None);
        fails(
            &what,
            t.store.replace(&id, expected, &record).await,
            ErrorKind::NotFound,
        )?;
        stays_gone(t, &id, &what).await?;
    }
    // And nothing of it lies in wait: the id can be used again.
    t.store.insert(&id, &t.record("two")).await?;
    holds(&what, t.load(&id).await?.as_ref(), b"two")
}

async fn late_replace_does_not_revive_a_removed_record(t: &Trial) -> Verdict {
    late_replace(t, End::Removed).await
}

async fn late_replace_does_not_revive_a_cleared_record(t: &Trial) -> Verdict {
    late_replace(t, End::Cleared).await
}

async fn late_replace_does_not_revive_a_renamed_record(t: &Trial) -> Verdict {
    late_replace(t, End::Renamed).await?;
    late_replace(t, End::RenamedAway).await
}

async fn late_replace_does_not_revive_an_expired_record(t: &Trial) -> Verdict {
    for &way in t.ways() {
        late_replace(t, End::Expired(way)).await?;
        t.store.clear(&t.key("main")?).await?;
    }
    Ok(())
}

async fn late_touch_does_not_revive_what_has_ended(t: &Trial) -> Verdict {
    for (end, name) in ends(t) {
        let (id, _) = ended(t, end).await?;
        let what = format!("late touch, record {name}");
        equal(&what, &t.store.touch(&id, t.later()).await?, &false)?;
        stays_gone(t, &id, &what).await?;
        t.store.clear(id.key()).await?;
        t.store.clear(&t.key("other")?).await?;
    }
    Ok(())
}

async fn late_renewal_does_not_revive_what_has_ended(t: &Trial) -> Verdict {
    for (end, name) in ends(t) {
        let (id, _) = ended(t, end).await?;
        let what = format!("late renewal, record {name}");
        let to = t.later();
        gone(
            &what,
            t.store
                .load(&id, Load::new().renew(Renewal { to, when_before: to }))
                .await?
                .as_ref(),
        )?;
        stays_gone(t, &id, &what).await?;
        t.store.clear(id.key()).await?;
        t.store.clear(&t.key("other")?).await?;
    }
    Ok(())
}

async fn late_rename_does_not_revive_what_has_ended(t: &Trial) -> Verdict {
    for (end, name) in ends(t) {
        let (id, version) = ended(t, end).await?;
        let what = format!("late rename, record {name}");
        for to in [t.id("to")?, RecordId::new(t.key("third")?, "to")?] {
            fails(&what, t.rename(&id, &version, &to, "late").await, ErrorKind::NotFound)?;
            stays_gone(t, &id, &what).await?;
            stays_gone(t, &to, &what).await?;
        }
        t.store.clear(id.key()).await?;
        t.store.clear(&t.key("other")?).await?;
    }
    Ok(())
}
