//! Close: afterwards nothing works, and says so.

use super::case::group;
use super::check::{fails, that, won};
use super::report::Verdict;
use super::trial::Trial;
use crate::ErrorKind::Unavailable;
use crate::{Cursor, Load, Renewal};

group! { "closing", Nothing,
    0 => after_close_every_call_is_unavailable,
    0 => close_may_be_called_again,
    6 => close_during_writes_leaves_each_written_or_refused,
}

async fn after_close_every_call_is_unavailable(t: &Trial) -> Verdict {
    let (id, to) = (t.id("id")?, t.id("to")?);
    let version = t.put(&id, "one").await?;
    let cursor = t.store.scan(None, 1).await?.next;
    t.store.close().await?;
    let (record, to_time) = (t.record("two"), t.later());
    let renewal = Renewal {
        to: to_time,
        when_before: to_time,
    };
    fails("insert after close", t.store.insert(&to, &record).await, Unavailable)?;
    fails("load after close", t.store.load(&id, Load::new()).await, Unavailable)?;
    fails(
        "load with a renewal after close",
        t.store.load(&id, Load::new().renew(renewal)).await,
        Unavailable,
    )?;
    fails(
        "load of nothing after close",
        t.store.load(&to, Load::new()).await,
        Unavailable,
    )?;
    fails(
        "replace after close",
        t.store.replace(&id, None, &record).await,
        Unavailable,
    )?;
    fails(
        "swap after close",
        t.store.replace(&id, Some(&version), &record).await,
        Unavailable,
    )?;
    fails("touch after close", t.store.touch(&id, to_time).await, Unavailable)?;
    fails(
        "rename after close",
        t.rename(&id, &version, &to, "two").await,
        Unavailable,
    )?;
    fails("remove after close", t.store.remove(&id).await, Unavailable)?;
    fails("list after close", t.store.list(id.key()).await, Unavailable)?;
    fails("clear after close", t.store.clear(id.key()).await, Unavailable)?;
    fails(
        "remove_expired after close",
        t.store.remove_expired(t.now()).await,
        Unavailable,
    )?;
    fails("scan after close", t.store.scan(None, 1).await, Unavailable)?;
    let cursor = cursor.unwrap_or_else(|| Cursor::new(&b"?"[..]));
    that(
        t.store.scan(Some(cursor), 1).await.is_err(),
        "a scan that goes on after close fails",
        "it succeeds",
    )
}

async fn close_may_be_called_again(t: &Trial) -> Verdict {
    t.put(&t.id("id")?, "one").await?;
    for _ in 0..3 {
        t.store.close().await?;
    }
    let (one, other) = (t.hand(0), t.hand(0));
    let closes = [one, other].map(|hand| async move { hand.store.close().await });
    for closed in t.together(0, closes).await? {
        closed?;
    }
    Ok(())
}

async fn close_during_writes_leaves_each_written_or_refused(t: &Trial) -> Verdict {
    let mut ids = Vec::new();
    for number in 0..16 {
        ids.push(t.id(format!("{number}"))?);
    }
    let inserts = ids.iter().map(|id| t.hand(0).insert(id, &t.record("one")));
    let hand = t.hand(0);
    let (inserted, closed) = t.race(5, inserts, [async move { hand.store.close().await }]).await?;
    for result in inserted {
        won("an insert during close", result, &[Unavailable])?;
    }
    for result in closed {
        result?;
    }
    fails(
        "insert after close",
        t.store.insert(&t.id("late")?, &t.record("one")).await,
        Unavailable,
    )
}
