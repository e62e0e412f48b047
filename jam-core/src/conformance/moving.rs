//! Renames that meet other calls: the session is at one id, at the other, or gone; never twice, never lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::case::group;
use super::check::{any_won, equal, gone, holds, that, won};
use super::hand::Hand;
use super::races::renewal;
use super::report::{Failure, Verdict};
use super::tasks::give_way;
use super::trial::{HOUR, Trial};
use crate::ErrorKind::{AlreadyExists, Conflict, NotFound};
use crate::{Load, Record, RecordId, SessionKey};

group! { "moving", Nothing,
    3 => racing_renames_have_one_winner,
    3 => renames_racing_for_one_id_have_one_winner,
    3 => rename_racing_insert_has_one_winner,
    3 => replace_racing_rename_does_not_revive,
    3 => rename_racing_remove_has_one_winner,
    3 => rename_racing_clear_leaves_nothing_behind,
    3 => rename_to_another_key_racing_clear_is_moved_or_cleared,
    2 => renewal_racing_rename_neither_hinders_nor_revives,
    2 => touch_racing_rename_neither_hinders_nor_revives,
    3 => a_listing_never_misses_a_record_being_renamed,
    3 => a_reader_finds_a_record_being_renamed,
    1 => revoking_catches_a_record_being_renamed,
}

/// Ids for a round: within one key, and from one key to another.
fn moves(t: &Trial, round: usize) -> Verdict<[(RecordId, RecordId); 2]> {
    Ok(t.moves()?.map(|(from, to)| {
        let numbered = |id: &RecordId| RecordId::new(id.key().clone(), format!("{} {round}", id.id()));
        numbered(&from).and_then(|from| Ok((from, numbered(&to)?)))
    }))
    .and_then(|[one, two]| Ok([one?, two?]))
}

/// That the record is at `to` if it was renamed, and at `from` otherwise.
async fn moved(t: &Trial, from: &RecordId, to: &RecordId, renamed: bool) -> Verdict {
    let (old, new) = (t.load(from).await?.is_some(), t.load(to).await?.is_some());
    equal(
        "is there a record at the old id, and at the new one",
        &(old, new),
        &(!renamed, renamed),
    )
}

async fn racing_renames_have_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        let from = t.id(format!("from {round}"))?;
        let version = t.put(&from, "one").await?;
        let mut targets = Vec::new();
        for task in 0..6 {
            let key = if task % 3 == 2 { t.key("other")? } else { t.key("main")? };
            targets.push(RecordId::new(key, format!("to {round} {task}"))?);
        }
        let calls = targets
            .iter()
            .enumerate()
            .map(|(task, to)| t.hand(task).rename(&from, &version, to, &t.record("two")));
        let mut winners = 0;
        for (to, result) in targets.iter().zip(t.together(round, calls).await?) {
            let renamed = won("a racing rename", result, &[NotFound, Conflict])?;
            winners += usize::from(renamed);
            equal(
                "is there a record where it was renamed to?",
                &t.load(to).await?.is_some(),
                &renamed,
            )?;
        }
        equal("winners of racing renames", &winners, &1)?;
        gone("the old id", t.load(&from).await?.as_ref())?;
    }
    Ok(())
}

async fn renames_racing_for_one_id_have_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        let to = t.id(format!("to {round}"))?;
        let mut sources = Vec::new();
        for task in 0..4 {
            let from = t.id(format!("from {round} {task}"))?;
            let version = t.put(&from, "one").await?;
            sources.push((from, version));
        }
        let calls = sources.iter().enumerate().map(|(task, (from, version))| {
            t.hand(task)
                .rename(from, version, &to, &t.record(format!("task {task}")))
        });
        let mut winners = Vec::new();
        for (task, result) in t.together(round, calls).await?.into_iter().enumerate() {
            let renamed = won("a rename to a contested id", result, &[AlreadyExists])?;
            let (from, _) = &sources[task];
            equal(
                "is there a record at its old id?",
                &t.load(from).await?.is_some(),
                &!renamed,
            )?;
            winners.extend(renamed.then_some(task));
        }
        equal("winners of the contested id", &winners.len(), &1)?;
        let payload = format!("task {}", winners.first().unwrap_or(&0));
        holds(
            "the record of the winner",
            t.load(&to).await?.as_ref(),
            payload.as_bytes(),
        )?;
    }
    Ok(())
}

async fn rename_racing_insert_has_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        for (from, to) in moves(t, round)? {
            let version = t.put(&from, "one").await?;
            let rename = t.hand(0).rename(&from, &version, &to, &t.record("renamed"));
            let insert = t.hand(1).insert(&to, &t.record("inserted"));
            let (ones, others) = t.race(round, [rename], [insert]).await?;
            let renamed = any_won("rename racing insert", ones, &[AlreadyExists])?;
            let inserted = any_won("insert racing rename", others, &[AlreadyExists])?;
            that(
                renamed != inserted,
                "rename and insert of one new id have one winner",
                "they have none, or two",
            )?;
            let payload: &[u8] = if renamed { b"renamed" } else { b"inserted" };
            holds("the contested id", t.load(&to).await?.as_ref(), payload)?;
            equal(
                "is there a record at the old id?",
                &t.load(&from).await?.is_some(),
                &!renamed,
            )?;
        }
    }
    Ok(())
}

async fn replace_racing_rename_does_not_revive(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        for (from, to) in moves(t, round)? {
            let version = t.put(&from, "one").await?;
            let expected = (round / 2).is_multiple_of(2).then_some(&version);
            let replace = t.hand(0).replace(&from, expected, &t.record("replaced"));
            let rename = t.hand(1).rename(&from, &version, &to, &t.record("renamed"));
            let (ones, others) = t.race(round, [replace], [rename]).await?;
            let replaced = any_won("replace racing rename", ones, &[NotFound])?;
            let renamed = any_won("rename racing replace", others, &[Conflict])?;
            that(
                replaced != renamed,
                "of a replace and a rename of one version one succeeds",
                "both do, or neither",
            )?;
            moved(t, &from, &to, renamed).await?;
        }
    }
    Ok(())
}

async fn rename_racing_remove_has_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        for (from, to) in moves(t, round)? {
            let version = t.put(&from, "one").await?;
            let rename = t.hand(0).rename(&from, &version, &to, &t.record("two"));
            let (ones, others) = t.race(round, [rename], [t.hand(1).remove(&from)]).await?;
            let renamed = any_won("rename racing remove", ones, &[NotFound])?;
            let removed = others.into_iter().collect::<Result<Vec<_>, _>>()?.contains(&true);
            that(
                renamed != removed,
                "of a rename and a remove of one record one succeeds",
                "both do, or neither",
            )?;
            gone("the old id", t.load(&from).await?.as_ref())?;
            equal(
                "is there a record at the new id?",
                &t.load(&to).await?.is_some(),
                &renamed,
            )?;
        }
    }
    Ok(())
}

/// Within one key, a clear takes the record under whichever id it meets it.
async fn rename_racing_clear_leaves_nothing_behind(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let (from, to) = (t.id(format!("from {round}"))?, t.id(format!("to {round}"))?);
        let version = t.put(&from, "one").await?;
        let rename = t.hand(0).rename(&from, &version, &to, &t.record("two"));
        let (ones, others) = t.race(round, [rename], [t.hand(1).clear(from.key())]).await?;
        for result in ones {
            won("rename racing clear", result, &[NotFound])?;
        }
        for result in others {
            equal("clear racing rename", &result?, &1)?;
        }
        gone("the old id", t.load(&from).await?.as_ref())?;
        gone("the new id", t.load(&to).await?.as_ref())?;
    }
    equal("records left", &t.store.list(&t.key("main")?).await?.len(), &0)
}

/// From one key to another, a clear of the old key or of the new one takes the record, or comes before it or after it.
async fn rename_to_another_key_racing_clear_is_moved_or_cleared(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let from = t.id(format!("from {round}"))?;
        let to = RecordId::new(t.key("other")?, format!("to {round}"))?;
        let version = t.put(&from, "one").await?;
        let clears_old = (round / 2).is_multiple_of(2);
        let key = if clears_old { from.key() } else { to.key() };
        let rename = t.hand(0).rename(&from, &version, &to, &t.record("two"));
        let (ones, others) = t.race(round, [rename], [t.hand(1).clear(key)]).await?;
        let renamed = any_won("rename racing clear", ones, &[NotFound])?;
        that(
            renamed || clears_old,
            "a clear of the new key leaves the record at the old one alone",
            "the rename did not find it",
        )?;
        gone("the old id", t.load(&from).await?.as_ref())?;
        let left = u64::from(t.load(&to).await?.is_some());
        for result in others {
            equal("records cleared and records left", &(result? + left), &1)?;
        }
        that(
            renamed || left == 0,
            "a rename that failed leaves nothing at the new id",
            "there is a record",
        )?;
        t.store.remove(&to).await?;
    }
    Ok(())
}

async fn renewal_racing_rename_neither_hinders_nor_revives(t: &Trial) -> Verdict {
    for round in t.rounds(30) {
        for (from, to) in moves(t, round)? {
            let version = t.put(&from, "one").await?;
            let calls = (0..3).map(|task| t.hand(task).load(&from, Load::new().renew(renewal(t))));
            let rename = t.hand(1).rename(&from, &version, &to, &t.record("two"));
            let (ones, others) = t.race(round, calls, [rename]).await?;
            for result in ones {
                result?;
            }
            for result in others {
                result?;
            }
            moved(t, &from, &to, true).await?;
        }
    }
    Ok(())
}

async fn touch_racing_rename_neither_hinders_nor_revives(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        for (from, to) in moves(t, round)? {
            let version = t.put(&from, "one").await?;
            let calls = (0..3).map(|task| t.hand(task).touch(&from, t.later().plus(HOUR)));
            let rename = t.hand(1).rename(&from, &version, &to, &t.record("two"));
            let (touched, renamed) = t.race(round, calls, [rename]).await?;
            for result in touched {
                result?;
            }
            for result in renamed {
                // A touch keeps the version, so it cannot come in between.
                result?;
            }
            moved(t, &from, &to, true).await?;
        }
    }
    Ok(())
}

/// Renames a record within its key again and again; gives up when it is gone. Tells how often it succeeded.
async fn wander(hand: Hand, key: SessionKey, name: String, rounds: usize, record: Record) -> Verdict<usize> {
    let mut at = RecordId::new(key.clone(), format!("{name} 0"))?;
    for round in 1..=rounds {
        let Some(loaded) = hand.look(&at).await? else {
            return Ok(round - 1);
        };
        let to = RecordId::new(key.clone(), format!("{name} {round}"))?;
        let renamed = hand.rename(&at, &loaded.version, &to, &record).await;
        if !won("a rename", renamed, &[NotFound])? {
            return Ok(round - 1);
        }
        at = to;
    }
    Ok(rounds)
}

async fn a_listing_never_misses_a_record_being_renamed(t: &Trial) -> Verdict {
    let (key, rounds) = (t.key("main")?, t.times(60));
    let names = ["one", "two", "three"];
    for name in names {
        t.put(&t.id(format!("{name} 0"))?, name).await?;
        t.put(&t.id(format!("beside {name}"))?, "beside").await?;
    }
    let wanderings: Vec<_> = (names.iter().enumerate())
        .map(|(task, name)| wander(t.hand(task), key.clone(), (*name).to_owned(), rounds, t.record(*name)))
        .collect();
    let listing = {
        let hand = t.hand(1);
        let rounds = t.times(100);
        async move {
            for _ in 0..rounds {
                let entries = hand.list(&key).await?;
                for name in names {
                    let seen = entries.iter().any(|entry| entry.stored.payload == name.as_bytes());
                    that(seen, "a listing gives a record that is being renamed", "it misses it")?;
                    let beside = format!("beside {name}");
                    let seen = entries.iter().filter(|entry| entry.id.id() == beside).count();
                    equal("how often a listing gives a record that stays", &seen, &1)?;
                }
                give_way().await;
            }
            Ok(())
        }
    };
    let (wandered, listed) = t.race(0, wanderings, [listing]).await?;
    for result in wandered {
        equal("renames that succeeded", &result?, &rounds)?;
    }
    listed.into_iter().collect()
}

/// A record renamed within its key is at the old id until it is at the new one: whoever misses it at the old finds it
/// at the new, and whoever found it at the new does not find it at the old again.
async fn a_reader_finds_a_record_being_renamed(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        for (from, to) in moves(t, round)? {
            let version = t.put(&from, "one").await?;
            let readers = (0..3).map(|task| {
                let (hand, from, to) = (t.hand(task), from.clone(), to.clone());
                async move {
                    loop {
                        let old = hand.look(&from).await?;
                        let new = hand.look(&to).await?;
                        if new.is_some() {
                            // Between two keys a store may write the new one before it removes the old.
                            if from.key() == to.key() {
                                gone(
                                    "the old id, once the new one was found",
                                    hand.look(&from).await?.as_ref(),
                                )?;
                            }
                            return Ok::<_, Failure>(());
                        }
                        that(
                            old.is_some(),
                            "a record missed at its old id is found at its new one",
                            "it is at neither",
                        )?;
                        give_way().await;
                    }
                }
            });
            let rename = t.hand(1).rename(&from, &version, &to, &t.record("two"));
            let (read, renamed) = t.race(round, readers, [rename]).await?;
            for result in renamed {
                result?;
            }
            read.into_iter().collect::<Verdict>()?;
            moved(t, &from, &to, true).await?;
        }
    }
    Ok(())
}

/// What `revoke` of the manager does: list and remove what matches, until nothing does.
async fn revoking_catches_a_record_being_renamed(t: &Trial) -> Verdict {
    let key = t.key("main")?;
    for round in t.rounds(12) {
        let name = format!("session {round}");
        t.put(&t.id(format!("{name} 0"))?, "one").await?;
        let revoked = Arc::new(AtomicBool::new(false));
        let wandering = wander(t.hand(0), key.clone(), name, 1_000, t.record("one"));
        let revoking = {
            let (hand, key, revoked) = (t.hand(1), key.clone(), Arc::clone(&revoked));
            async move {
                loop {
                    let entries = hand.list(&key).await?;
                    if entries.is_empty() {
                        revoked.store(true, Ordering::SeqCst);
                        return Ok(());
                    }
                    for entry in entries {
                        hand.remove(&entry.id).await?;
                    }
                    give_way().await;
                }
            }
        };
        let (wandered, ended): (_, Vec<Verdict>) = t.race(round, [wandering], [revoking]).await?;
        ended.into_iter().collect::<Verdict>()?;
        for result in wandered {
            result?;
        }
        equal(
            "records after the last listing was empty",
            &t.store.list(&key).await?.len(),
            &0,
        )?;
    }
    Ok(())
}
