//! Stores whose sessions outlive them: closed and opened again, everything is as it was.

use super::case::group;
use super::check::{equal, fails, gone, holds, won};
use super::report::Verdict;
use super::trial::{HOUR, Trial};
use crate::ErrorKind::{AlreadyExists, NotFound, Unavailable};
use crate::{Load, Record, SessionStore};

group! { "durable", Durability,
    6 => what_was_written_is_there_after_reopening,
    6 => what_has_ended_is_gone_after_reopening,
    6 => a_write_acknowledged_during_close_is_there_after_reopening,
}

async fn what_was_written_is_there_after_reopening(t: &Trial) -> Verdict {
    let (kept, changed, touched) = (t.id("kept\n")?, t.id("changed")?, t.id("touched")?);
    let (from, to) = (t.id("from")?, t.id("to")?);
    let later = t.later().plus(HOUR);
    t.store
        .insert(&kept, &Record::new(&b"\xff\x00 bytes"[..], None))
        .await?;
    for id in [&changed, &touched, &from] {
        t.put(id, "{\"a\": 1 }").await?;
    }
    t.store
        .replace(&changed, None, &Record::new("{ \"b\":2}", Some(later)))
        .await?;
    t.store.touch(&touched, later).await?;
    let version = t.version(&from).await?;
    t.rename(&from, &version, &to, "renamed").await?;
    let stale = t.version(&changed).await?;
    t.close().await?;

    let store = (t.reopen)().await?;
    let seen = async {
        holds(
            "an inserted record",
            store.load(&kept, Load::new()).await?.as_ref(),
            b"\xff\x00 bytes",
        )?;
        holds(
            "a replaced record",
            store.load(&changed, Load::new()).await?.as_ref(),
            b"{ \"b\":2}",
        )?;
        holds(
            "a touched record",
            store.load(&touched, Load::new()).await?.as_ref(),
            b"{\"a\": 1 }",
        )?;
        gone(
            "the old id of a renamed record",
            store.load(&from, Load::new()).await?.as_ref(),
        )?;
        holds(
            "a renamed record",
            store.load(&to, Load::new()).await?.as_ref(),
            b"renamed",
        )?;
        let entries = store.list(kept.key()).await?;
        equal("how many are listed", &entries.len(), &4)?;
        for (id, ends) in [
            (&kept, None),
            (&changed, Some(later)),
            (&touched, Some(later)),
            (&to, Some(t.later())),
        ] {
            let entry = entries.iter().find(|entry| entry.id == *id);
            equal("its expiry", &entry.and_then(|entry| entry.expires_at), &ends)?;
        }
        fails(
            "an insert at a record from before",
            store.insert(&kept, &t.record("two")).await,
            AlreadyExists,
        )?;
        // A version need not survive, but it must not fit another content.
        store.replace(&changed, None, &t.record("other")).await?;
        let swapped = store.replace(&changed, Some(&stale), &t.record("late")).await;
        equal(
            "does a version from before fit a later content?",
            &swapped.is_ok(),
            &false,
        )?;
        equal("records cleared", &store.clear(kept.key()).await?, &4)
    };
    closing(&*store, seen).await
}

async fn what_has_ended_is_gone_after_reopening(t: &Trial) -> Verdict {
    let (removed, from, to) = (t.id("removed")?, t.id("from")?, t.id("to")?);
    let cleared = crate::RecordId::new(t.key("cleared")?, "id")?;
    for id in [&removed, &from, &cleared] {
        t.put(id, "one").await?;
    }
    let mut ended = vec![removed.clone(), from.clone(), cleared.clone()];
    t.store.remove(&removed).await?;
    t.store.clear(cleared.key()).await?;
    let version = t.version(&from).await?;
    t.rename(&from, &version, &to, "two").await?;
    for &way in t.ways() {
        let id = t.id(format!("expired {way:?}"))?;
        t.put(&id, "one").await?;
        t.expire(&id, way).await?;
        ended.push(id);
    }
    t.close().await?;

    let store = (t.reopen)().await?;
    let seen = async {
        for id in &ended {
            gone("a record that had ended", store.load(id, Load::new()).await?.as_ref())?;
            fails(
                "replace of it",
                store.replace(id, None, &t.record("late")).await,
                NotFound,
            )?;
        }
        equal("listed", &store.list(to.key()).await?.len(), &1)?;
        equal("records cleared", &store.clear(to.key()).await?, &1)
    };
    closing(&*store, seen).await
}

async fn a_write_acknowledged_during_close_is_there_after_reopening(t: &Trial) -> Verdict {
    let mut ids = Vec::new();
    for number in 0..16 {
        ids.push(t.id(format!("{number}"))?);
    }
    let inserts = ids.iter().map(|id| t.hand(0).insert(id, &t.record("one")));
    let hand = t.hand(0);
    let (inserted, _) = t.race(5, inserts, [async move { hand.store.close().await }]).await?;
    t.close().await?;
    let store = (t.reopen)().await?;
    let seen = async {
        for (id, result) in ids.iter().zip(inserted) {
            if won("an insert during close", result, &[Unavailable])? {
                holds(
                    "an acknowledged insert",
                    store.load(id, Load::new()).await?.as_ref(),
                    b"one",
                )?;
            }
        }
        store.clear(&t.key("main")?).await?;
        Ok(())
    };
    closing(&*store, seen).await
}

/// The verdict of `seen`, after which the store is closed whatever it is.
async fn closing(store: &dyn SessionStore, seen: impl Future<Output = Verdict>) -> Verdict {
    let verdict = seen.await;
    let closed = store.close().await;
    verdict?;
    Ok(closed?)
}
