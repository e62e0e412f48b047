//! Scan: every record of every key, page by page, whatever is written meanwhile. Only own records are looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::case::group;
use super::check::{equal, fails, holds, that};
use super::hand::Hand;
use super::report::{Failure, Verdict};
use super::tasks::{Listener, Pulse, give_way};
use super::trial::Trial;
use crate::{Cursor, Entry, ErrorKind, Record, RecordId, SessionStore};

group! { "scanning", Nothing,
    0 => scan_gives_every_record_with_any_limit,
    4 => scan_gives_payloads_expiries_and_versions,
    5 => scan_leaves_out_what_has_expired,
    0 => scan_goes_on_after_records_were_removed,
    0 => scan_misses_no_record_while_others_come_and_go,
    0 => scan_misses_no_record_while_others_are_renamed,
    0 => a_cursor_can_be_used_again,
    0 => a_foreign_cursor_is_invalid_input,
}

/// More pages than any store of a test has; a scan that gives more never ends.
const MANY_PAGES: usize = 1_000_000;

/// Follows the pages to the end and keeps what `mine` wants.
async fn scan(
    store: &dyn SessionStore,
    limit: usize,
    mine: impl Fn(&RecordId) -> bool,
) -> Verdict<BTreeMap<RecordId, Entry>> {
    scan_from(store, None, limit, mine, None).await
}

async fn scan_from(
    store: &dyn SessionStore,
    from: Option<Cursor>,
    limit: usize,
    mine: impl Fn(&RecordId) -> bool,
    mut others: Option<&mut Listener>,
) -> Verdict<BTreeMap<RecordId, Entry>> {
    let mut found = BTreeMap::new();
    let mut cursor = from;
    for _ in 0..MANY_PAGES {
        let page = store.scan(cursor, limit).await?;
        let own = page.entries.into_iter().filter(|entry| mine(&entry.id));
        found.extend(own.map(|entry| (entry.id.clone(), entry)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
        if let Some(others) = others.as_deref_mut() {
            others.wait().await;
        }
    }
    Err(Failure::new(
        "a scan comes to an end",
        format!("it has more than {MANY_PAGES} pages"),
    ))
}

/// Records under several keys, `per_key` each.
async fn spread(t: &Trial, keys: usize, per_key: usize) -> Verdict<Vec<RecordId>> {
    let mut ids = Vec::new();
    for key in 0..keys {
        for number in 0..per_key {
            let id = RecordId::new(t.key(&format!("scanned {key}"))?, format!("{number}"))?;
            t.store.insert(&id, &t.record(format!("{key}/{number}"))).await?;
            ids.push(id);
        }
    }
    Ok(ids)
}

#[track_caller]
fn found_all(what: &str, found: &BTreeMap<RecordId, Entry>, ids: &[RecordId]) -> Verdict {
    let missed = ids.iter().filter(|id| !found.contains_key(id)).count();
    that(
        missed == 0,
        &format!("{what}: each of {} records", ids.len()),
        &format!("{missed} are missing"),
    )
}

async fn scan_gives_every_record_with_any_limit(t: &Trial) -> Verdict {
    let ids = spread(t, 12, 5).await?;
    for limit in [1, 2, 7, 60, 10_000] {
        let found = scan(&t.store, limit, |id| ids.contains(id)).await?;
        found_all(&format!("a scan with limit {limit}"), &found, &ids)?;
    }
    Ok(())
}

async fn scan_gives_payloads_expiries_and_versions(t: &Trial) -> Verdict {
    let (ends, endless, to) = (t.id("ends")?, t.id("endless~")?, t.id("to")?);
    let later = t.later();
    t.store
        .insert(&ends, &Record::new("\u{1f511} one", Some(later)))
        .await?;
    t.store.insert(&endless, &Record::new(&b"\xff\x00"[..], None)).await?;
    let found = scan(&t.store, 10, |id| *id == ends || *id == endless).await?;
    found_all("a scan", &found, &[ends.clone(), endless.clone()])?;
    for (id, payload, expires_at) in [
        (&ends, "\u{1f511} one".as_bytes(), Some(later)),
        (&endless, b"\xff\x00", None),
    ] {
        let entry = found.get(id);
        holds("a scanned record", entry.map(|entry| &entry.stored), payload)?;
        equal("its expiry", &entry.and_then(|entry| entry.expires_at), &expires_at)?;
    }
    let version = found.get(&ends).map(|entry| entry.stored.version.clone());
    t.store.replace(&ends, version.as_ref(), &t.record("two")).await?;
    if let Some(entry) = found.get(&endless) {
        t.rename(&endless, &entry.stored.version, &to, "three").await?;
    }
    Ok(())
}

async fn scan_leaves_out_what_has_expired(t: &Trial) -> Verdict {
    for &way in t.ways() {
        let (ends, lives) = (t.id("ends")?, t.id("lives")?);
        t.put(&ends, "one").await?;
        t.put(&lives, "two").await?;
        t.expire(&ends, way).await?;
        let found = scan(&t.store, 100, |id| *id == ends || *id == lives).await?;
        that(
            found.contains_key(&lives),
            "a scan gives the live record",
            "it does not",
        )?;
        that(
            !found.contains_key(&ends),
            "a scan leaves out the expired record",
            "it gives it",
        )?;
        t.store.clear(lives.key()).await?;
    }
    Ok(())
}

/// After each page, what was given so far is removed: nothing of the rest may be skipped.
async fn scan_goes_on_after_records_were_removed(t: &Trial) -> Verdict {
    for limit in [1, 4] {
        let ids = spread(t, 6, 8).await?;
        let (mut cursor, mut given) = (None, 0);
        for _ in 0..MANY_PAGES {
            let page = t.store.scan(cursor, limit).await?;
            for entry in page.entries.iter().filter(|entry| ids.contains(&entry.id)) {
                given += usize::from(t.store.remove(&entry.id).await?);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        equal(
            "records given by a scan whose records are removed page by page",
            &given,
            &ids.len(),
        )?;
    }
    Ok(())
}

/// Scans so many times while `work`, which must leave `ids` alone, is done again and again with a growing number, at
/// least once between any two pages.
async fn scan_during<W>(t: &Trial, ids: &[RecordId], mut work: impl FnMut(usize) -> W + Send + 'static) -> Verdict
where
    W: Future<Output = Verdict> + Send,
{
    let (pulse, mut listener) = Pulse::new();
    let done = Arc::new(AtomicBool::new(false));
    let (store, ids) = (Arc::clone(&t.store), Arc::<[RecordId]>::from(ids));
    let scans = t.times(8);
    let scanning = {
        let done = Arc::clone(&done);
        async move {
            let mut verdict = Ok(());
            for limit in [1, 2, 5, 50].into_iter().cycle().take(scans) {
                let found = scan_from(&store, None, limit, |id| ids.contains(id), Some(&mut listener)).await;
                verdict = found.and_then(|found| found_all("a scan while others write", &found, &ids));
                if verdict.is_err() {
                    break;
                }
            }
            done.store(true, Ordering::SeqCst);
            verdict
        }
    };
    let writing = async move {
        let mut round = 0;
        while !done.load(Ordering::SeqCst) {
            round += 1;
            work(round).await?;
            pulse.beat();
            give_way().await;
        }
        Ok(())
    };
    let (scanned, written) = t.race(0, [scanning], [writing]).await?;
    scanned.into_iter().chain(written).collect()
}

async fn scan_misses_no_record_while_others_come_and_go(t: &Trial) -> Verdict {
    let ids = spread(t, 6, 4).await?;
    let mut churn = Vec::new();
    for key in 0..6 {
        for number in 0..4 {
            churn.push(RecordId::new(
                t.key(&format!("scanned {key}"))?,
                format!("churn {number}"),
            )?);
        }
    }
    let (hand, record) = (t.hand(1), t.record("churn"));
    scan_during(t, &ids, move |round| {
        // Scattered over the keys; each comes when it is its turn, and goes when it is its turn again.
        let (id, comes) = (
            &churn[round * 7 % churn.len()],
            (round / churn.len()).is_multiple_of(2) ^ (round % 2 == 0),
        );
        let (insert, remove) = (hand.insert(id, &record), hand.remove(id));
        async move {
            if comes {
                insert.await?;
            } else {
                remove.await?;
            }
            Ok(())
        }
    })
    .await
}

async fn scan_misses_no_record_while_others_are_renamed(t: &Trial) -> Verdict {
    let ids = spread(t, 6, 4).await?;
    let mut moving = Vec::new();
    for key in 0..6 {
        let id = RecordId::new(t.key(&format!("scanned {key}"))?, "a moving 0")?;
        t.put(&id, "moving").await?;
        moving.push(id);
    }
    let (hand, record) = (t.hand(1), t.record("moving"));
    scan_during(t, &ids, move |round| {
        let number = round % moving.len();
        let key = moving[number].key().clone();
        let from = moving[number].clone();
        // In front of the others, then behind them.
        let place = if (round / moving.len()).is_multiple_of(2) {
            "z"
        } else {
            "a"
        };
        let to = RecordId::new(key, format!("{place} moving {round}"));
        if let Ok(to) = &to {
            moving[number] = to.clone();
        }
        let (hand, record) = (hand.clone(), record.clone());
        async move { renamed(&hand, &from, &to?, &record).await }
    })
    .await
}

/// Moves a record that has to be there.
async fn renamed(hand: &Hand, from: &RecordId, to: &RecordId, record: &Record) -> Verdict {
    let loaded = hand.look(from).await?;
    let loaded = loaded.ok_or_else(|| Failure::new("a record that was just renamed is there", "there is none"))?;
    hand.rename(from, &loaded.version, to, record).await?;
    Ok(())
}

async fn a_cursor_can_be_used_again(t: &Trial) -> Verdict {
    let ids = spread(t, 8, 3).await?;
    let mine = |id: &RecordId| ids.contains(id);
    let mut cursor = None;
    let mut before = BTreeMap::new();
    for _ in 0..MANY_PAGES {
        let page = t.store.scan(cursor, 2).await?;
        before.extend(
            page.entries
                .into_iter()
                .filter(|entry| mine(&entry.id))
                .map(|entry| (entry.id.clone(), entry)),
        );
        cursor = page.next;
        if cursor.is_none() || before.len() >= ids.len() / 2 {
            break;
        }
    }
    // Written down and read again, as a tool that goes on in another process does.
    let Some(cursor) = cursor.map(|cursor| Cursor::new(cursor.as_bytes().to_vec())) else {
        return found_all("a scan that ended at once", &before, &ids);
    };
    for _ in 0..2 {
        let mut found = scan_from(&t.store, Some(cursor.clone()), 5, mine, None).await?;
        found.extend(before.clone());
        found_all("a scan that goes on from a cursor kept", &found, &ids)?;
    }
    Ok(())
}

async fn a_foreign_cursor_is_invalid_input(t: &Trial) -> Verdict {
    t.put(&t.id("some")?, "one").await?;
    let long = [b'?'; 5000];
    for bytes in [
        &b"\xff\xfe no cursor of any store \x00"[..],
        b"no cursor of any store",
        &long,
    ] {
        fails(
            "a scan from a cursor of no store",
            t.store.scan(Some(Cursor::new(bytes.to_vec())), 10).await,
            ErrorKind::InvalidInput,
        )?;
    }
    Ok(())
}
