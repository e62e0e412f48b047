//! Calls that are dropped half-way, as a web server does when a client goes away: done as a whole, now or a little
//! later, or not at all; and nothing stays locked.

use super::case::group;
use super::check::{equal, gone, holds, that};
use super::hand::Hand;
use super::report::{Failure, Verdict};
use super::tasks::{drop_after, give_way};
use super::trial::{HOUR, Trial};
use crate::{Load, Record, RecordId, Renewal};

group! { "dropping", Nothing,
    8 => a_dropped_insert_is_whole_or_did_not_happen,
    8 => a_dropped_replace_is_whole_or_did_not_happen,
    8 => a_dropped_rename_is_whole_or_did_not_happen,
    8 => a_dropped_remove_or_clear_is_whole_or_did_not_happen,
    8 => a_dropped_touch_or_renewal_is_whole_or_did_not_happen,
    8 => a_dropped_call_leaves_nothing_locked,
    8 => a_dropped_read_gives_its_reply_to_nobody_else,
    8 => many_calls_dropped_at_once_leave_the_store_working,
}

/// After how many polls a call is dropped.
const POLLS: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 20, 50, 200, 1000];

async fn a_dropped_insert_is_whole_or_did_not_happen(t: &Trial) -> Verdict {
    for &polls in POLLS {
        let id = t.id(format!("{polls}"))?;
        let record = Record::new("payload ".repeat(1000), Some(t.later().plus(HOUR)));
        let done = drop_after(polls, t.store.insert(&id, &record)).await;
        let ended = done.transpose()?.is_some();
        let entry = t.entry(&id).await?;
        that(
            entry.is_some() || !ended,
            "an insert that succeeded is there",
            "it is not",
        )?;
        if let Some(entry) = entry {
            holds("a dropped insert", Some(&entry.stored), &record.payload)?;
            equal("its expiry", &entry.expires_at, &record.expires_at)?;
        }
    }
    Ok(())
}

async fn a_dropped_replace_is_whole_or_did_not_happen(t: &Trial) -> Verdict {
    for &polls in POLLS {
        let id = t.id(format!("{polls}"))?;
        let old = t.record("old");
        t.store.insert(&id, &old).await?;
        let version = t.version(&id).await?;
        let new = Record::new("new ".repeat(1000), Some(t.later().plus(HOUR)));
        let done = drop_after(polls, t.store.replace(&id, Some(&version), &new)).await;
        let ended = done.transpose()?.is_some();
        let entry = t.entry(&id).await?;
        let entry = entry.ok_or_else(|| Failure::new("a record whose replace was dropped is there", "it is gone"))?;
        let is = |record: &Record| entry.stored.payload == record.payload && entry.expires_at == record.expires_at;
        that(
            is(&new) || (is(&old) && !ended),
            "the old payload with the old expiry or the new with the new",
            "something else",
        )?;
    }
    Ok(())
}

async fn a_dropped_rename_is_whole_or_did_not_happen(t: &Trial) -> Verdict {
    for &polls in POLLS {
        for (number, (from, to)) in t.moves()?.into_iter().enumerate() {
            let numbered = |id: &RecordId| RecordId::new(id.key().clone(), format!("{} {polls}", id.id()));
            let (from, to) = (numbered(&from)?, numbered(&to)?);
            let version = t.put(&from, "old").await?;
            let done = drop_after(polls, t.rename(&from, &version, &to, "new")).await;
            let ended = done.transpose()?.is_some();
            // The old id first: the rename may still happen between the two looks.
            let old = t.load(&from).await?;
            let new = t.load(&to).await?;
            that(
                old.is_some() || new.is_some(),
                "the record is at one of the two ids",
                "it is at neither",
            )?;
            that(
                new.is_some() || !ended,
                "a rename that succeeded has moved the record",
                "it has not",
            )?;
            if new.is_some() {
                holds("the new id", new.as_ref(), b"new")?;
                // From one key to another a store may insert first and remove then, and be dropped between.
                if number == 0 || ended {
                    gone(
                        "the old id, once the record is at the new",
                        t.load(&from).await?.as_ref(),
                    )?;
                }
            } else {
                holds("the old id", old.as_ref(), b"old")?;
            }
        }
    }
    Ok(())
}

async fn a_dropped_remove_or_clear_is_whole_or_did_not_happen(t: &Trial) -> Verdict {
    for &polls in POLLS {
        let id = t.id(format!("{polls}"))?;
        t.put(&id, "one").await?;
        let done = drop_after(polls, t.store.remove(&id)).await.transpose()?;
        if let Some(removed) = done {
            equal("a remove that ended", &removed, &true)?;
        }
        let left = t.load(&id).await?;
        that(
            left.is_none() || done.is_none(),
            "a removed record is gone",
            "it is there",
        )?;
        if left.is_some() {
            holds("a record whose remove did not happen", left.as_ref(), b"one")?;
        }
    }
    for &polls in POLLS {
        let key = t.key(&format!("cleared {polls}"))?;
        let many = 5;
        for number in 0..many {
            t.put(&RecordId::new(key.clone(), format!("{number}"))?, "one").await?;
        }
        let done = drop_after(polls, t.store.clear(&key)).await.transpose()?;
        let mut left = t.store.list(&key).await?.len();
        if left != 0 && left != many {
            // The clear may have happened during the listing; then it is over now.
            left = t.store.list(&key).await?.len();
        }
        that(
            left == 0 || (left == many && done.is_none()),
            "a clear removes all of the records or none",
            "some are left",
        )?;
    }
    Ok(())
}

async fn a_dropped_touch_or_renewal_is_whole_or_did_not_happen(t: &Trial) -> Verdict {
    let later = t.later().plus(HOUR);
    for &polls in POLLS {
        let (touched, renewed) = (t.id(format!("touched {polls}"))?, t.id(format!("renewed {polls}"))?);
        for id in [&touched, &renewed] {
            t.put(id, "one").await?;
        }
        drop_after(polls, t.store.touch(&touched, later)).await.transpose()?;
        let renewal = Renewal {
            to: later,
            when_before: later,
        };
        drop_after(polls, t.store.load(&renewed, Load::new().renew(renewal)))
            .await
            .transpose()?;
        for id in [&touched, &renewed] {
            holds(
                "a record whose touch or renewal was dropped",
                t.load(id).await?.as_ref(),
                b"one",
            )?;
            let ends = t.expiry(id).await?;
            that(
                ends == Some(later) || ends == Some(t.later()),
                "the expiry from before or the new one",
                "another",
            )?;
        }
    }
    Ok(())
}

/// Every call, dropped after each number of polls, and after each the same record is written again.
async fn a_dropped_call_leaves_nothing_locked(t: &Trial) -> Verdict {
    let hand = t.hand(0);
    for &polls in POLLS {
        for call in 0..CALLS {
            let key = t.key(&format!("{polls} {call}"))?;
            let id = RecordId::new(key, "id")?;
            t.put(&id, "one").await?;
            dropped(t, &hand, &id, call, polls).await?;
            works(t, &RecordId::new(id.key().clone(), "another")?).await?;
        }
    }
    Ok(())
}

const CALLS: usize = 9;

/// One of the calls on a record, dropped after so many polls. Whatever it gives is fine but for a failing store.
async fn dropped(t: &Trial, hand: &Hand, id: &RecordId, call: usize, polls: usize) -> Verdict {
    let to = RecordId::new(id.key().clone(), format!("{}, renamed", id.id()))?;
    let record = t.record("two");
    let later = t.later().plus(HOUR);
    match call {
        0 => drop(drop_after(polls, hand.insert(&to, &record)).await),
        1 => drop(drop_after(polls, hand.load(id, Load::new())).await),
        2 => drop(drop_after(polls, hand.replace(id, None, &record)).await),
        3 => drop(drop_after(polls, hand.touch(id, later)).await),
        4 => drop(drop_after(polls, hand.remove(id)).await),
        5 => drop(drop_after(polls, hand.list(id.key())).await),
        6 => drop(drop_after(polls, hand.remove_expired(t.now())).await),
        7 => {
            if let Some(loaded) = hand.look(id).await? {
                drop(drop_after(polls, hand.rename(id, &loaded.version, &to, &record)).await);
            }
        }
        _ => drop(drop_after(polls, hand.clear(id.key())).await),
    }
    Ok(())
}

/// The store does its work at an id that no dropped call has to do with. A dropped clear of its key may still come, so
/// the record itself may go.
async fn works(t: &Trial, id: &RecordId) -> Verdict {
    t.store.insert(id, &t.record("one")).await?;
    for _ in 0..3 {
        t.load(id).await?;
        t.store.touch(id, t.later()).await?;
        t.store.list(id.key()).await?;
    }
    t.store.remove(id).await?;
    t.store.insert(id, &t.record("two")).await?;
    t.store.clear(id.key()).await?;
    Ok(())
}

async fn a_dropped_read_gives_its_reply_to_nobody_else(t: &Trial) -> Verdict {
    let mut ids = Vec::new();
    for number in 0..8 {
        let id = RecordId::new(t.key(&format!("{number}"))?, "id")?;
        t.store.insert(&id, &t.record(format!("record {number}"))).await?;
        ids.push(id);
    }
    for round in t.rounds(30) {
        for (number, id) in ids.iter().enumerate() {
            let polls = POLLS.get(round % 8).copied().unwrap_or(1);
            let next = &ids[(number + 1) % ids.len()];
            drop(drop_after(polls, t.store.load(next, Load::new())).await);
            drop(drop_after(polls, t.store.list(next.key())).await);
            let payload = format!("record {number}");
            holds("the own reply", t.load(id).await?.as_ref(), payload.as_bytes())?;
            for entry in t.store.list(id.key()).await? {
                that(entry.id == *id, "the own listing", "that of another key")?;
            }
        }
    }
    Ok(())
}

/// Many tasks drop calls on the same few records, while others do their work and must be served.
async fn many_calls_dropped_at_once_leave_the_store_working(t: &Trial) -> Verdict {
    let rounds = t.times(40);
    let (key, id) = (t.key("main")?, t.id("counter")?);
    t.put(&id, "0").await?;
    let targets: Vec<_> = (0..4)
        .map(|number| RecordId::new(key.clone(), format!("target {number}")))
        .collect::<Result<_, _>>()?;
    let droppers: Vec<_> = (0..6)
        .map(|task| {
            let (hand, targets, record) = (t.hand(task), targets.clone(), t.record("target"));
            let other = t.record("other");
            async move {
                for round in 0..rounds {
                    let polls = (round * 7 + task) % 5;
                    let target = &targets[(round + task) % targets.len()];
                    match (round + task) % 5 {
                        0 | 1 => drop(drop_after(polls, hand.insert(target, &record)).await),
                        2 => drop(drop_after(polls, hand.replace(target, None, &other)).await),
                        3 => drop(drop_after(polls, hand.load(target, Load::new())).await),
                        _ => drop(drop_after(polls, hand.remove(target)).await),
                    }
                    give_way().await;
                }
            }
        })
        .collect();
    let each = t.times(10);
    let workers: Vec<_> = (0..2)
        .map(|task| super::races::increments(t.hand(task), id.clone(), each, t.record("")))
        .collect();
    let (_, worked) = t
        .race(0, workers, droppers)
        .await
        .map(|(worked, dropped)| (dropped, worked))?;
    worked.into_iter().collect::<Verdict>()?;
    let count = format!("{}", 2 * each);
    holds(
        "the counter of those who were served",
        t.load(&id).await?.as_ref(),
        count.as_bytes(),
    )?;
    for target in &targets {
        if let Some(stored) = t.load(target).await? {
            let whole = stored.payload == b"target"[..] || stored.payload == b"other"[..];
            that(whole, "a record that was written as a whole", "something else")?;
        }
    }
    Ok(())
}
