//! Many tasks on one session: each write happens as a whole, one after the other, and none is undone by another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::case::group;
use super::check::{equal, holds, that, won};
use super::hand::Hand;
use super::report::{Failure, Verdict};
use super::tasks::{Pulse, give_way};
use super::trial::{HOUR, Trial};
use crate::ErrorKind::{AlreadyExists, Conflict};
use crate::{Load, Record, RecordId, Renewal};

group! { "races", Nothing,
    1 => racing_inserts_have_one_winner,
    1 => racing_inserts_over_an_expired_record_have_one_winner,
    2 => racing_swaps_have_one_winner,
    2 => racing_swaps_lose_no_increment,
    1 => racing_replaces_are_whole,
    2 => touch_and_renewal_racing_replace_undo_no_write,
    2 => racing_touches_keep_the_latest_expiry,
    1 => writes_of_different_records_all_land,
}

/// How many tasks meet at one session.
pub(super) const TASKS: usize = 8;

/// How many records they go through in one round, where they go through a row.
pub(super) const ROW: usize = 10;

async fn racing_inserts_have_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        inserts(t, round, &t.id(format!("{round}"))?).await?;
    }
    Ok(())
}

async fn racing_inserts_over_an_expired_record_have_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(20) {
        for &way in t.ways() {
            let id = t.id(format!("{round} {way:?}"))?;
            t.put(&id, "old").await?;
            t.expire(&id, way).await?;
            inserts(t, round, &id).await?;
        }
    }
    Ok(())
}

async fn inserts(t: &Trial, round: usize, id: &RecordId) -> Verdict {
    let calls = (0..TASKS).map(|task| t.hand(task).insert(id, &t.record(format!("task {task}"))));
    let mut winners = Vec::new();
    for (task, result) in t.together(round, calls).await?.into_iter().enumerate() {
        if won("a racing insert", result, &[AlreadyExists])? {
            winners.push(task);
        }
    }
    equal("winners", &winners.len(), &1)?;
    let payload = format!("task {}", winners.first().unwrap_or(&0));
    holds(
        "the record of the winner",
        t.load(id).await?.as_ref(),
        payload.as_bytes(),
    )
}

/// Every task swaps through the same row of records: they catch up with each other and meet where one crossing would
/// not.
async fn racing_swaps_have_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(5) {
        let row = t.row(round, ROW).await?;
        let swaps = (0..TASKS).map(|task| {
            let (hand, row, record) = (t.hand(task), row.clone(), t.record(format!("task {task}")));
            async move {
                let mut results = Vec::new();
                for (id, version) in &row {
                    results.push(hand.replace(id, Some(version), &record).await);
                }
                results
            }
        });
        let mut winners = vec![Vec::new(); ROW];
        for (task, results) in t.together(round, swaps).await?.into_iter().enumerate() {
            for (winners, result) in winners.iter_mut().zip(results) {
                winners.extend(won("a racing swap", result, &[Conflict])?.then_some(task));
            }
        }
        for ((id, _), winners) in row.iter().zip(winners) {
            equal("winners of swaps with one version", &winners.len(), &1)?;
            let payload = format!("task {}", winners.first().unwrap_or(&0));
            holds(
                "the record of the winner",
                t.load(id).await?.as_ref(),
                payload.as_bytes(),
            )?;
        }
    }
    Ok(())
}

async fn racing_swaps_lose_no_increment(t: &Trial) -> Verdict {
    const EACH: usize = 8;
    let id = t.id("counter")?;
    t.put(&id, "0").await?;
    for round in t.rounds(3) {
        let tasks = (0..TASKS).map(|task| increments(t.hand(task), id.clone(), EACH, t.record("")));
        t.together(round, tasks).await?.into_iter().collect::<Verdict>()?;
        let count = format!("{}", (round + 1) * TASKS * EACH);
        holds(
            "the counter after so many increments",
            t.load(&id).await?.as_ref(),
            count.as_bytes(),
        )?;
    }
    Ok(())
}

/// Adds one, so many times, each by load and swap until it succeeds.
pub(super) async fn increments(hand: Hand, id: RecordId, times: usize, mut record: Record) -> Verdict {
    for round in 0..times {
        loop {
            let loaded = hand.look(&id).await?;
            let loaded = loaded.ok_or_else(|| Failure::new("a record that is only replaced stays", "it is gone"))?;
            let count: Option<usize> = str::from_utf8(&loaded.payload).ok().and_then(|text| text.parse().ok());
            let count = count.ok_or_else(|| Failure::new("a counter", "something else"))?;
            record.payload = format!("{}", count + 1).into();
            if round % 2 == 0 {
                // Somebody else may well come in between now.
                give_way().await;
            }
            let swapped = hand.replace(&id, Some(&loaded.version), &record).await;
            if won("a swap", swapped, &[Conflict])? {
                break;
            }
            give_way().await;
        }
    }
    Ok(())
}

/// Writers that each have a payload and an expiry of their own; a listing must never mix them.
async fn racing_replaces_are_whole(t: &Trial) -> Verdict {
    let (id, later) = (t.id("whole")?, t.later());
    let versions = |task: usize| {
        let minutes = u32::try_from(task).unwrap_or(0);
        let size = 10 + task * 997;
        let payload = format!("{task}").repeat(size);
        Record::new(payload, Some(later.plus(HOUR * minutes)))
    };
    let all: Vec<_> = (0..TASKS).map(versions).collect();
    t.store.insert(&id, &versions(0)).await?;
    let (pulse, mut listener) = Pulse::new();
    let pulse = Arc::new(pulse);
    let read_enough = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..TASKS)
        .map(|task| {
            let (hand, id, record) = (t.hand(task), id.clone(), versions(task));
            let pulse = Arc::clone(&pulse);
            let read_enough = Arc::clone(&read_enough);
            async move {
                while !read_enough.load(Ordering::SeqCst) {
                    hand.replace(&id, None, &record).await?;
                    pulse.beat();
                    // Each at a pace of its own, so that they do not fall into step.
                    for _ in 0..=task % 3 {
                        give_way().await;
                    }
                }
                Ok::<_, crate::Error>(())
            }
        })
        .collect();
    let reader = {
        let (hand, key, rounds) = (t.hand(1), id.key().clone(), t.times(80));
        async move {
            let reading = async {
                for _ in 0..rounds {
                    let entries = hand.list(&key).await?;
                    equal("records of the key", &entries.len(), &1)?;
                    for entry in entries {
                        let one_of_them = |record: &Record| {
                            record.payload == entry.stored.payload && record.expires_at == entry.expires_at
                        };
                        let whole = all.iter().any(one_of_them);
                        that(whole, "payload and expiry of one write", "a mixture of several")?;
                    }
                    listener.wait().await;
                }
                Ok(())
            };
            let verdict = reading.await;
            read_enough.store(true, Ordering::SeqCst);
            verdict
        }
    };
    let (written, read) = t.race(0, writers, [reader]).await?;
    for result in written {
        result?;
    }
    read.into_iter().collect()
}

/// A renewal that is due for the records of a trial.
pub(super) fn renewal(t: &Trial) -> Renewal {
    Renewal {
        to: t.later().plus(HOUR),
        when_before: t.later().plus(HOUR),
    }
}

/// A swap between touches and renewals always succeeds, since they keep the version, and is never undone by them.
async fn touch_and_renewal_racing_replace_undo_no_write(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let id = t.id(format!("{round}"))?;
        let version = t.put(&id, "one").await?;
        let prolong = (0..4).map(|task| {
            let (touch, load) = (t.hand(task), t.hand(task));
            let (touch, load) = (
                touch.touch(&id, t.later().plus(2 * HOUR)),
                load.load(&id, Load::new().renew(renewal(t))),
            );
            async move {
                if task % 2 == 0 {
                    touch.await
                } else {
                    load.await.map(|stored| stored.is_some())
                }
            }
        });
        let swap = t.hand(1).replace(&id, Some(&version), &t.record("two"));
        let (prolonged, swapped) = t.race(round, prolong, [swap]).await?;
        for result in prolonged {
            equal("touch or renewal of a live record", &result?, &true)?;
        }
        for result in swapped {
            result?;
        }
        holds("after a swap between touches", t.load(&id).await?.as_ref(), b"two")?;
    }
    Ok(())
}

async fn racing_touches_keep_the_latest_expiry(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        let id = t.id(format!("{round}"))?;
        t.put(&id, "one").await?;
        let ends = |task: usize| t.later().plus(HOUR * u32::try_from(task).unwrap_or(0));
        for result in t
            .together(round, (0..TASKS).map(|task| t.hand(task).touch(&id, ends(task))))
            .await?
        {
            equal("touch of a live record", &result?, &true)?;
        }
        equal(
            "the expiry after racing touches",
            &t.expiry(&id).await?,
            &Some(ends(TASKS - 1)),
        )?;
    }
    Ok(())
}

async fn writes_of_different_records_all_land(t: &Trial) -> Verdict {
    let rounds = t.times(25);
    let mut ids = Vec::new();
    for task in 0..TASKS {
        // Half of them share one key.
        let key = if task % 2 == 0 {
            t.key("shared")?
        } else {
            t.key(&format!("{task}"))?
        };
        ids.push(RecordId::new(key, format!("{task}"))?);
    }
    let tasks: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(task, id)| {
            let (hand, id, mut record) = (t.hand(task), id.clone(), t.record("0"));
            async move {
                hand.insert(&id, &record).await?;
                for round in 0..rounds {
                    let loaded = hand.look(&id).await?;
                    holds("an own record", loaded.as_ref(), &record.payload)?;
                    record.payload = format!("task {task} round {round}").into();
                    hand.replace(&id, loaded.as_ref().map(|stored| &stored.version), &record)
                        .await?;
                }
                Ok(())
            }
        })
        .collect();
    t.together(0, tasks).await?.into_iter().collect::<Verdict>()?;
    for (task, id) in ids.iter().enumerate() {
        let payload = format!("task {task} round {}", rounds - 1);
        holds("the last write", t.load(id).await?.as_ref(), payload.as_bytes())?;
    }
    let listed: BTreeSet<_> = t
        .store
        .list(&t.key("shared")?)
        .await?
        .into_iter()
        .map(|entry| entry.id)
        .collect();
    equal("records of the shared key", &listed.len(), &(TASKS / 2))
}
