//! Removing, clearing and reclaiming while others write: what has ended stays ended, and each ending counts once.

use super::case::group;
use super::check::{equal, gone, holds, same_bytes, that, won};
use super::races::{ROW, TASKS, renewal};
use super::report::{Failure, Verdict};
use super::tasks::give_way;
use super::trial::{HOUR, Trial, Way};
use crate::ErrorKind::{Conflict, NotFound};
use crate::Load;

group! { "endings", Nothing,
    1 => replace_racing_remove_does_not_revive,
    1 => replace_racing_clear_does_not_revive,
    1 => touch_racing_remove_does_not_revive,
    1 => touch_racing_clear_does_not_revive,
    1 => renewal_racing_remove_does_not_revive,
    1 => renewal_racing_clear_does_not_revive,
    1 => racing_removes_have_one_winner,
    1 => remove_racing_clear_meets_each_record_once,
    1 => racing_clears_count_each_record_once,
    1 => a_clear_is_one_step_to_a_reader,
    1 => insert_racing_clear_is_there_or_counted,
    1 => insert_racing_remove_is_there_or_removed,
    5 => remove_expired_racing_writes_takes_no_live_record,
}

/// After both have gone through a row of records they are all gone, whoever came first at each.
async fn replace_racing_remove_does_not_revive(t: &Trial) -> Verdict {
    for round in t.rounds(8) {
        let row = t.row(round, ROW).await?;
        let replaces = (0..4).map(|task| {
            let (hand, row, record) = (t.hand(task), row.clone(), t.record(format!("late {task}")));
            async move {
                for (id, version) in &row {
                    let expected = (task % 2 == 0).then_some(version);
                    let replaced = hand.replace(id, expected, &record).await;
                    won("replace racing remove", replaced, &[NotFound, Conflict])?;
                }
                Ok::<_, Failure>(())
            }
        });
        let remove = {
            let (hand, row) = (t.hand(1), row.clone());
            async move {
                for (id, _) in &row {
                    equal("remove racing replace", &hand.remove(id).await?, &true)?;
                }
                Ok::<_, Failure>(())
            }
        };
        let (ones, others) = t.race(round, replaces, [remove]).await?;
        ones.into_iter().chain(others).collect::<Verdict>()?;
        for (id, _) in &row {
            gone("after replaces and a remove", t.load(id).await?.as_ref())?;
        }
    }
    equal("records left", &t.store.list(&t.key("main")?).await?.len(), &0)
}

async fn replace_racing_clear_does_not_revive(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let id = t.id(format!("{round}"))?;
        t.put(&id, "one").await?;
        let calls = (0..4).map(|task| t.hand(task).replace(&id, None, &t.record("late")));
        let (replaced, cleared) = t.race(round, calls, [t.hand(1).clear(id.key())]).await?;
        for result in replaced {
            won("replace racing clear", result, &[NotFound])?;
        }
        for result in cleared {
            equal("clear racing replace", &result?, &1)?;
        }
        gone("after replaces and a clear", t.load(&id).await?.as_ref())?;
    }
    equal("records left", &t.store.list(&t.key("main")?).await?.len(), &0)
}

async fn touch_racing_remove_does_not_revive(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let id = t.id(format!("{round}"))?;
        t.put(&id, "one").await?;
        let calls = (0..4).map(|task| t.hand(task).touch(&id, t.later().plus(HOUR)));
        let (touched, removed) = t.race(round, calls, [t.hand(1).remove(&id)]).await?;
        for result in touched {
            result?;
        }
        for result in removed {
            equal("remove racing touch", &result?, &true)?;
        }
        gone("after touches and a remove", t.load(&id).await?.as_ref())?;
    }
    equal("records left", &t.store.list(&t.key("main")?).await?.len(), &0)
}

async fn touch_racing_clear_does_not_revive(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let id = t.id(format!("{round}"))?;
        t.put(&id, "one").await?;
        let calls = (0..4).map(|task| t.hand(task).touch(&id, t.later().plus(HOUR)));
        let (touched, cleared) = t.race(round, calls, [t.hand(1).clear(id.key())]).await?;
        for result in touched {
            result?;
        }
        for result in cleared {
            equal("clear racing touch", &result?, &1)?;
        }
        gone("after touches and a clear", t.load(&id).await?.as_ref())?;
    }
    equal("records left", &t.store.list(&t.key("main")?).await?.len(), &0)
}

async fn renewal_racing_remove_does_not_revive(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let id = t.id(format!("{round}"))?;
        t.put(&id, "one").await?;
        let calls = (0..4).map(|task| t.hand(task).load(&id, Load::new().renew(renewal(t))));
        let (loaded, removed) = t.race(round, calls, [t.hand(1).remove(&id)]).await?;
        for result in loaded {
            if let Some(stored) = result? {
                same_bytes("a load with renewal racing remove", &stored.payload, b"one")?;
            }
        }
        for result in removed {
            equal("remove racing renewal", &result?, &true)?;
        }
        gone("after renewals and a remove", t.load(&id).await?.as_ref())?;
    }
    equal("records left", &t.store.list(&t.key("main")?).await?.len(), &0)
}

async fn renewal_racing_clear_does_not_revive(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let id = t.id(format!("{round}"))?;
        t.put(&id, "one").await?;
        let calls = (0..4).map(|task| t.hand(task).load(&id, Load::new().renew(renewal(t))));
        let (loaded, cleared) = t.race(round, calls, [t.hand(1).clear(id.key())]).await?;
        for result in loaded {
            if let Some(stored) = result? {
                same_bytes("a load with renewal racing clear", &stored.payload, b"one")?;
            }
        }
        for result in cleared {
            equal("clear racing renewal", &result?, &1)?;
        }
        gone("after renewals and a clear", t.load(&id).await?.as_ref())?;
    }
    equal("records left", &t.store.list(&t.key("main")?).await?.len(), &0)
}

async fn remove_racing_clear_meets_each_record_once(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        let row = t.row(round, 4).await?;
        let calls = row.iter().map(|(id, _)| t.hand(0).remove(id));
        let key = t.key("main")?;
        let (removed, cleared) = t.race(round, calls, [t.hand(1).clear(&key)]).await?;
        let mut met = 0;
        for result in removed {
            met += u64::from(result?);
        }
        for result in cleared {
            met += result?;
        }
        equal("records met by removes and a clear", &met, &(row.len() as u64))?;
        equal("records left", &t.store.list(&key).await?.len(), &0)?;
    }
    Ok(())
}

async fn racing_removes_have_one_winner(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        let id = t.id(format!("{round}"))?;
        t.put(&id, "one").await?;
        let mut winners = 0;
        for result in t
            .together(round, (0..TASKS).map(|task| t.hand(task).remove(&id)))
            .await?
        {
            winners += usize::from(result?);
        }
        equal("removes that met the record", &winners, &1)?;
    }
    Ok(())
}

async fn racing_clears_count_each_record_once(t: &Trial) -> Verdict {
    for round in t.rounds(20) {
        let many = 10;
        for number in 0..many {
            t.put(&t.id(format!("{round} {number}"))?, "one").await?;
        }
        let (key, mut count) = (t.key("main")?, 0);
        for result in t
            .together(round, (0..TASKS).map(|task| t.hand(task).clear(&key)))
            .await?
        {
            count += result?;
        }
        equal("records counted by racing clears", &count, &many)?;
        equal("records left", &t.store.list(&key).await?.len(), &0)?;
    }
    Ok(())
}

/// Who misses one record of a cleared key misses all others from then on.
async fn a_clear_is_one_step_to_a_reader(t: &Trial) -> Verdict {
    for round in t.rounds(40) {
        let mut ids = Vec::new();
        for number in 0..6 {
            let id = t.id(format!("{round} {number}"))?;
            t.put(&id, "one").await?;
            ids.push(id);
        }
        let key = t.key("main")?;
        let readers = (0..4).map(|task| {
            let (hand, mut ids) = (t.hand(task), ids.clone());
            if task % 2 == 0 {
                ids.reverse();
            }
            async move {
                let mut missed = false;
                for id in &ids {
                    let there = hand.look(id).await?.is_some();
                    that(
                        !(missed && there),
                        "once one record of a cleared key is gone, all are",
                        "another is still there",
                    )?;
                    missed |= !there;
                    if !missed {
                        give_way().await;
                    }
                }
                Ok::<_, Failure>(())
            }
        });
        let (read, cleared) = t.race(round, readers, [t.hand(1).clear(&key)]).await?;
        read.into_iter().collect::<Verdict>()?;
        for result in cleared {
            equal("clear between reads", &result?, &(ids.len() as u64))?;
        }
    }
    Ok(())
}

async fn insert_racing_clear_is_there_or_counted(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let ids: Vec<_> = (0..4)
            .map(|task| t.id(format!("{round} {task}")))
            .collect::<Result<_, _>>()?;
        let calls = ids
            .iter()
            .enumerate()
            .map(|(task, id)| t.hand(task).insert(id, &t.record("one")));
        let key = t.key("main")?;
        let (inserted, cleared) = t.race(round, calls, [t.hand(1).clear(&key)]).await?;
        for result in inserted {
            result?;
        }
        let mut counted = 0;
        for result in cleared {
            counted += usize::try_from(result?).unwrap_or(usize::MAX);
        }
        let left = t.store.list(&key).await?.len();
        equal("records cleared and records left", &(counted + left), &ids.len())?;
        equal("a second clear", &t.store.clear(&key).await?, &(left as u64))?;
    }
    Ok(())
}

async fn insert_racing_remove_is_there_or_removed(t: &Trial) -> Verdict {
    for round in t.rounds(60) {
        let id = t.id(format!("{round}"))?;
        let calls = (0..3).map(|task| t.hand(task).remove(&id));
        let (removed, inserted) = t.race(round, calls, [t.hand(1).insert(&id, &t.record("one"))]).await?;
        for result in inserted {
            result?;
        }
        let mut met = 0;
        for result in removed {
            met += usize::from(result?);
        }
        let left = usize::from(t.load(&id).await?.is_some());
        equal("removes that met the record, and records left", &(met + left), &1)?;
    }
    Ok(())
}

async fn remove_expired_racing_writes_takes_no_live_record(t: &Trial) -> Verdict {
    for round in t.rounds(30) {
        let (id, fresh) = (t.id(format!("old {round}"))?, t.id(format!("fresh {round}"))?);
        t.put(&id, "old").await?;
        t.expire(&id, *t.ways().last().unwrap_or(&Way::Past)).await?;
        // New life at an id whose old record is just being reclaimed.
        let calls = [&id, &fresh].map(|id| t.hand(0).insert(id, &t.record("new")));
        let reclaim = (0..2).map(|task| t.hand(task).remove_expired(t.now()));
        let (inserted, reclaimed) = t.race(round, calls, reclaim).await?;
        for result in inserted {
            result?;
        }
        for result in reclaimed {
            result?;
        }
        holds(
            "a new record where one had expired",
            t.load(&id).await?.as_ref(),
            b"new",
        )?;
        holds("a new record", t.load(&fresh).await?.as_ref(), b"new")?;
    }
    Ok(())
}
