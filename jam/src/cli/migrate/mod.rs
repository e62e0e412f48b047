//! `jam migrate`: every record of one store into another, as it is.
//!
//! The bytes of a record say nothing about where they are kept: ids, payloads and expiries go over unchanged, grace
//! notes too. So the two configurations must agree on the form of ids and payloads, and nothing else.
//!
//! What must not happen is that a session which ended in the target comes back by a second run. The target is marked
//! before the first record goes in, and only the checkpoint that belongs to the mark may go on. Until the mark says that the
//! migration is finished, the target is its own: a run that goes on makes it as the source is by then.

mod checkpoint;
mod copy;
mod ended;
mod mark;
mod signal;
mod verify;

use std::path::Path;
use std::sync::Arc;

use jam_core::{Clock, Cursor, ErrorKind, IdFactory, Page, RecordId, SessionStore, SystemClock, UuidV4};
use serde_json::json;

use self::checkpoint::{Checkpoint, Turn};
use self::copy::Begun;
pub(super) use self::mark::is_mark;
use self::mark::{Mark, State};
use self::signal::Signals;
use super::failure::{Code, Failure};
use super::output::{Output, count};
use super::place::{self, Place};
use super::store::Chosen;
use super::{Done, args, rfc3339};
use crate::Config;
use crate::config::{Access, Survey, shown};

/// Records in memory at a time are two pages.
const PAGE: usize = 500;

type Store = Arc<dyn SessionStore>;

pub(super) async fn run(wanted: args::Migrate, chosen: Chosen, output: Output) -> Done {
    let (from, to) = surveys(&wanted, &chosen)?;
    let places = (Place::of(&from), Place::of(&to));
    if places.0 == places.1 {
        return Err(Failure::usage("FROM and TO are the same store"));
    }
    if let Some(reason) = from.form.unreadable_under(&to.form) {
        return Err(Failure::config(format!(
            "the sessions would not be readable in TO: {reason} (a URL has fields too: ?layout=jamlib)"
        )));
    }
    place::refuse_missing(&from).await?;
    if wanted.dry_run && wanted.verify {
        let there = place::refuse_missing(&to).await;
        there.map_err(|failure| failure.about("TO"))?;
    }
    // A rehearsal writes nothing, so it waits for nobody.
    let _turn = if wanted.dry_run {
        None
    } else {
        Some(Turn::take(&wanted.checkpoint)?)
    };
    let checkpoint = Checkpoint::read(&wanted.checkpoint, &places)?;
    let opened = from.open().await;
    let source = opened.map_err(|error| Failure::of_opening(error).about("FROM"))?;
    let target = open_target(&to, &wanted).await?;
    let stores = Stores { source, target };
    let mut signals = Signals::listen()
        .map_err(|error| Failure::unforeseen(format!("signals cannot be listened to\n  because: {error}")))?;
    let work = async {
        if wanted.dry_run {
            rehearse(&stores, &wanted, checkpoint, output).await
        } else {
            migrate(&stores, &wanted, checkpoint, &places, output).await
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = signals.any() => Err(interrupted(&wanted)),
    };
    let closed = stores.close().await;
    done?;
    closed
}

fn interrupted(wanted: &args::Migrate) -> Failure {
    let failure = Failure::new(Code::Interrupted, "interrupted");
    if wanted.dry_run {
        failure
    } else {
        failure.hint(&copy::go_on(&wanted.checkpoint))
    }
}

/// A rehearsal makes no target, and only needs one if it is to compare.
async fn open_target(to: &Survey, wanted: &args::Migrate) -> Result<Option<Store>, Failure> {
    let may_be_none = wanted.dry_run && !wanted.verify;
    if may_be_none && place::is_missing(to).is_some() {
        return Ok(None);
    }
    match to.open().await {
        Err(error) if may_be_none && error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|error| Failure::of_opening(error).about("TO")),
    }
}

/// Both configurations, which the environment must not make the same.
fn surveys(wanted: &args::Migrate, chosen: &Chosen) -> Result<(Survey, Survey), Failure> {
    if let Some(option) = chosen.option() {
        return Err(Failure::usage(format!(
            "{option} has no meaning here: FROM and TO name both stores (with --from-pointer and --to-pointer)"
        )));
    }
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("JAM_SESSION_") && !name.ends_with("AES_SECRET") {
            return Err(Failure::config(format!(
                "{name} is set and would change FROM and TO alike; unset it, and say what it says in their configurations"
            )));
        }
    }
    let survey = |text: &str, pointer: &Option<String>, access: Access| {
        let config = Config::from_given(text)?;
        let config = match pointer {
            Some(pointer) => config.pointer(pointer),
            None => config,
        };
        config.access(access).registry(chosen.registry().clone()).survey()
    };
    let (from, to) = if wanted.dry_run {
        (Access::Look, Access::Look)
    } else {
        (Access::Change, Access::Fill)
    };
    Ok((
        survey(&wanted.from, &wanted.from_pointer, from)?,
        survey(&wanted.to, &wanted.to_pointer, to)?,
    ))
}

struct Stores {
    source: Store,
    target: Option<Store>,
}

impl Stores {
    async fn close(&self) -> Done {
        let source = self.source.close().await;
        if let Some(target) = &self.target {
            target.close().await?;
        }
        Ok(source?)
    }
}

async fn rehearse(stores: &Stores, wanted: &args::Migrate, checkpoint: Option<Checkpoint>, output: Output) -> Done {
    if let Some(target) = stores.target.as_ref().filter(|_| wanted.verify) {
        return report(verify::run(&stores.source, target).await?, output);
    }
    Mark::refuse_half_filled_source(&stores.source).await?;
    if let Some(target) = &stores.target {
        may_begin(target, checkpoint.as_ref(), &wanted.checkpoint).await?;
    }
    let tally = copy::tally(&stores.source).await?;
    output.told(
        &format!(
            "{} and {} would be copied",
            count(tally.sessions, "session"),
            count(tally.notes, "grace note")
        ),
        &json!({"dry_run": true, "sessions": tally.sessions, "grace_notes": tally.notes}),
    )
}

async fn migrate(
    stores: &Stores,
    wanted: &args::Migrate,
    checkpoint: Option<Checkpoint>,
    places: &(Place, Place),
    output: Output,
) -> Done {
    let Some(target) = &stores.target else { return Ok(()) };
    Mark::refuse_half_filled_source(&stores.source).await?;
    let mark = may_begin(target, checkpoint.as_ref(), &wanted.checkpoint).await?;
    let (mut checkpoint, mark, begun) = match (checkpoint, mark) {
        (Some(checkpoint), Some(mark)) if mark.state() == State::Running => (checkpoint.again(), mark, Begun::Earlier),
        (Some(checkpoint), Some(mark)) => (checkpoint, mark, Begun::Earlier),
        (checkpoint, _) => {
            let checkpoint = checkpoint.unwrap_or_else(|| Checkpoint::new(UuidV4.next_id(), places));
            // First the checkpoint: a mark without one could only be refused.
            checkpoint.write(&wanted.checkpoint)?;
            let mark = Mark::set(target, &checkpoint.migration, SystemClock.now()).await?;
            (checkpoint, mark, Begun::Now)
        }
    };
    let mut removed = 0;
    if mark.state() == State::Running {
        copy::run(&stores.source, target, &mut checkpoint, begun, &wanted.checkpoint).await?;
        if begun == Begun::Earlier {
            refuse_emptied(&checkpoint, target).await?;
            removed = ended::remove(&stores.source, target, &wanted.checkpoint).await?;
        }
        let finished = mark.finish(target, SystemClock.now()).await;
        finished.map_err(|error| Failure::from(error).about("TO"))?;
    }
    let differences = if wanted.verify {
        Some(verify::run(&stores.source, target).await?)
    } else {
        None
    };
    Checkpoint::remove(&wanted.checkpoint)?;
    let Checkpoint {
        sessions,
        notes,
        expired,
        ..
    } = checkpoint;
    let copied =
        json!({"sessions": sessions, "grace_notes": notes, "expired_meanwhile": expired, "ended_meanwhile": removed});
    let ended = match removed {
        0 => String::new(),
        removed => format!(", {removed} removed again that ended meanwhile"),
    };
    let sentence = format!(
        "{} and {} copied, {expired} expired meanwhile{ended}",
        count(sessions, "session"),
        count(notes, "grace note")
    );
    match differences {
        Some(differences) if output.is_json() => {
            let (done, verified) = (differences.is_none(), differences.to_json());
            output.quietly(&json!({"copied": copied, "verified": verified}))?;
            if done { Ok(()) } else { Err(differ()) }
        }
        Some(differences) => {
            output.told(&sentence, &copied)?;
            report(differences, output)
        }
        None => output.told(&sentence, &json!({ "copied": copied })),
    }
}

fn report(differences: verify::Differences, output: Output) -> Done {
    output.told(&differences.sentence(), &json!({ "verified": differences.to_json() }))?;
    if differences.is_none() { Ok(()) } else { Err(differ()) }
}

fn differ() -> Failure {
    Failure::new(Code::CheckFailed, "the two stores differ")
}

/// Whether a migration may write to this target: its own one that was interrupted, or none ever and nothing else.
/// Gives the mark, if there is one.
async fn may_begin(target: &Store, checkpoint: Option<&Checkpoint>, path: &Path) -> Result<Option<Mark>, Failure> {
    let mark = Mark::find(target)
        .await
        .map_err(|error| Failure::from(error).about("TO"))?;
    let path = shown(path);
    match (&mark, checkpoint) {
        (Some(mark), Some(checkpoint)) if mark.is_of(&checkpoint.migration) => return Ok(Some(mark.clone())),
        (Some(mark), _) if mark.state() == State::Finished => {
            return Err(Failure::refused(format!(
                "a migration that ended at {} has filled TO; running it again would bring back sessions that have ended \
                 since. To fill this store anew, empty it",
                rfc3339::readable(mark.at())
            )));
        }
        (Some(mark), _) => {
            return Err(Failure::refused(format!(
                "a migration that began at {} has not filled TO to the end, and {path} is not its checkpoint. Go on with \
                 --checkpoint FILE, or empty TO and begin anew",
                rfc3339::readable(mark.at())
            )));
        }
        (None, Some(checkpoint)) if checkpoint.has_begun() => {
            return Err(Failure::refused(format!(
                "{path} is of a migration that TO knows nothing of: it was emptied, or is another store. Remove {path} to \
                 begin anew"
            )));
        }
        (None, _) => {}
    }
    if is_filled(target).await.map_err(|failure| failure.about("TO"))? {
        return Err(Failure::refused(
            "TO holds sessions already, and a migration only fills an empty store: it could not tell their ids from its own",
        ));
    }
    Ok(None)
}

/// A source that came back empty, from a server that keeps nothing on a disk, say, is not one whose sessions have all ended: what
/// went over before may be all there is left of them.
async fn refuse_emptied(checkpoint: &Checkpoint, target: &Store) -> Done {
    if !checkpoint.has_met_none() || !is_filled(target).await.map_err(|failure| failure.about("TO"))? {
        return Ok(());
    }
    Err(Failure::refused(
        "FROM is empty, and TO holds what an earlier run copied from it: this run would remove all of that. If FROM lost its \
         sessions, TO is what is left of them. If they have all ended, empty TO, remove the checkpoint, and there is nothing to \
         migrate",
    ))
}

async fn is_filled(store: &Store) -> Result<bool, Failure> {
    let mut cursor = None;
    loop {
        let Page { entries, next, .. } = scan(store, cursor).await?;
        if entries.iter().any(|entry| !is_mark(&entry.id)) {
            return Ok(true);
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(false);
        }
    }
}

async fn scan(store: &Store, cursor: Option<Cursor>) -> Result<Page, Failure> {
    Ok(store.scan(cursor, PAGE).await?)
}

/// Whether a record is a session, rather than a note or a mark.
fn is_session(id: &RecordId) -> bool {
    !id.is_reserved()
}
