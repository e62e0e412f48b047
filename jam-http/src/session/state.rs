//! Where a request's session stands.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use jam_core::{Data, ErrorKind, Result, Session as Loaded, SessionId, SessionKey};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::config::{Inner, Undecodable};
use crate::wire::Arrived;

/// How long requests that left with an old id may be on their way.
pub(super) const ON_THEIR_WAY: Duration = Duration::from_secs(30);

/// Everything that changes while a request runs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) seat: Seat,
    /// Fields set and removed since the last write.
    pub(super) changes: Changes,
    pub(super) news: News,
    pub(super) renewal: Renewal,
    /// Whether the session has a ttl of its own; `None`: nobody asked its id.
    pub(super) remembered: Option<bool>,
    /// The id of a session that cannot be read, and that counts as none.
    pub(super) unreadable: Option<SessionId>,
    /// The session as it was found last, if the seat has it no more: a logout ends it wherever it has gone since.
    last: Option<Box<Loaded>>,
    /// The id that the client came with, if it led nowhere.
    pub(super) dead: Option<SessionId>,
    /// Whether that one was superseded was asked.
    asked: bool,
    /// The session as it was found, if its id has had its time.
    pub(super) due: Option<Loaded>,
    /// That the session cannot be read was logged.
    complained: bool,
}

/// Who sits there.
#[derive(Debug)]
pub(super) enum Seat {
    /// An id that nobody looked up yet.
    Unknown(SessionId),
    /// Nobody.
    Empty,
    /// A session; loaded, or known to be there because this request made it or gave it a new id.
    Taken(SessionId, Option<Loaded>),
    /// A session that ended while this request worked with it.
    Ended,
}

/// What the response tells the client about its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// The seat's id is a new one.
    NewId,
    /// There is none any more.
    Gone,
}

/// Whether a cookie that follows its session goes out anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    None,
    /// The ttl was counted anew, some time ago: the session may have got another id since.
    Due,
    /// The session was written under this id just now.
    Sure,
    /// Not from here: another response carries a newer id than the one this request came with.
    Outdated,
}

/// What a request did to the fields.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<String, Change>);

pub(super) enum Change {
    Set(Value),
    Removed,
}

struct AsData<'a>(&'a Changes);

impl Serialize for AsData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let fields = self.0.0.iter().filter_map(|(field, change)| match change {
            Change::Set(value) => Some((field, value)),
            Change::Removed => None,
        });
        serializer.collect_map(fields)
    }
}

/// Shows no data.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set(_) => "Set",
            Self::Removed => "Removed",
        })
    }
}

impl State {
    pub(super) fn new(arrived: Arrived) -> Self {
        Self {
            seat: match arrived {
                Arrived::Id(id) => Seat::Unknown(id),
                _ => Seat::Empty,
            },
            changes: Changes::default(),
            news: News::None,
            renewal: Renewal::None,
            remembered: None,
            unreadable: None,
            last: None,
            dead: None,
            asked: false,
            due: None,
            complained: false,
        }
    }

    /// The session, loaded if that was not done yet; `None` if there is none.
    pub(super) async fn load(&mut self, config: &Inner) -> Result<Option<&Loaded>> {
        if matches!(self.seat, Seat::Unknown(_) | Seat::Taken(_, None)) {
            self.look_up(config, false).await?;
        }
        Ok(self.loaded())
    }

    /// Has the session as the store has it, not as a cache does: for what is decided without a write.
    pub(super) async fn load_surely(&mut self, config: &Inner) -> Result<Option<&Loaded>> {
        if self.is_cached() {
            self.unload();
        }
        if matches!(self.seat, Seat::Unknown(_) | Seat::Taken(_, None)) {
            self.look_up(config, true).await?;
        }
        Ok(self.loaded())
    }

    /// Finds out who sits there.
    async fn look_up(&mut self, config: &Inner, surely: bool) -> Result<()> {
        let (Seat::Unknown(id) | Seat::Taken(id, _)) = &self.seat else {
            return Ok(());
        };
        let found = if surely {
            apart(config.sessions.get_fresh(id)).await
        } else {
            apart(config.sessions.get(id)).await
        };
        let found = match found {
            Ok(Some(loaded)) => loaded.check().map(|()| Some(loaded)),
            other => other,
        };
        let found = match found {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Crypto) => {
                if !std::mem::replace(&mut self.complained, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "a session is there and cannot be read");
                }
                match config.undecodable {
                    Undecodable::Fail => return Err(error),
                    Undecodable::StartFresh => {
                        self.unreadable = Some(id.clone());
                        None
                    }
                }
            }
            found => found?,
        };
        if let Some(loaded) = &found {
            self.remembered = Some(loaded.life().is_some_and(|life| life.ttl().is_some()));
            if loaded.through_grace() {
                self.renewal = Renewal::Outdated;
            } else if config.sessions.renews_on_read() {
                self.renew();
            }
            if is_due(config, loaded) {
                self.due = Some(loaded.clone());
            }
        }
        self.seat = match (std::mem::replace(&mut self.seat, Seat::Empty), found) {
            (Seat::Unknown(id) | Seat::Taken(id, _), Some(loaded)) => Seat::Taken(id, Some(loaded)),
            (Seat::Taken(..), None) => Seat::Ended,
            (Seat::Unknown(id), None) => {
                self.dead = Some(id);
                Seat::Empty
            }
            _ => Seat::Empty,
        };
        Ok(())
    }

    /// The session, if it is loaded.
    pub(super) fn loaded(&self) -> Option<&Loaded> {
        match &self.seat {
            Seat::Taken(_, loaded) => loaded.as_ref(),
            _ => None,
        }
    }

    /// The session as it was found last, whatever became of it since.
    pub(super) fn last_seen(&self) -> Option<&Loaded> {
        self.loaded().or(self.last.as_deref())
    }

    /// Has the session loaded anew when it is needed.
    pub(super) fn unload(&mut self) {
        if let Seat::Taken(_, loaded) = &mut self.seat
            && let Some(loaded) = loaded.take()
        {
            self.last = Some(Box::new(loaded));
        }
    }

    /// Notes that the session has ended, or gone on under another id.
    pub(super) fn vanish(&mut self) {
        self.unload();
        self.seat = Seat::Ended;
    }

    /// Whether the session is as a cache had it.
    pub(super) fn is_cached(&self) -> bool {
        self.loaded().is_some_and(Loaded::is_cached)
    }

    /// A field, as this request has left it or as it was found.
    pub(super) fn value(&self, field: &str) -> Result<Option<Value>> {
        match (self.changes.of(field), self.loaded()) {
            (Some(Change::Set(value)), _) => Ok(Some(value.clone())),
            (None, Some(loaded)) => loaded.get(field),
            (Some(Change::Removed), _) | (None, None) => Ok(None),
        }
    }

    /// The id of the session, if there is one; looked up if that was not done yet.
    pub(super) async fn id(&mut self, config: &Inner) -> Result<Option<SessionId>> {
        if matches!(self.seat, Seat::Unknown(_)) {
            self.load(config).await?;
        }
        Ok(match &self.seat {
            Seat::Taken(id, _) => Some(id.clone()),
            _ => None,
        })
    }

    /// The id of the session, if there is one, or may be one that nobody looked up.
    pub(super) fn id_unseen(&self) -> Option<SessionId> {
        match &self.seat {
            Seat::Unknown(id) | Seat::Taken(id, _) => Some(id.clone()),
            Seat::Empty | Seat::Ended => self.unreadable.clone(),
        }
    }

    /// Notes that the ttl was counted anew.
    pub(super) fn renew(&mut self) {
        if self.renewal == Renewal::None {
            self.renewal = Renewal::Due;
        }
    }

    /// Whether a session may begin here. Not if the client came with an id that a login or a rework has just replaced: the
    /// answer to that one is on its way, and ours would displace its id.
    pub(super) async fn may_begin(&mut self, config: &Inner) -> Result<bool> {
        if let Some(id) = &self.dead
            && !self.asked
        {
            if apart(config.sessions.was_superseded(id)).await? {
                self.seat = Seat::Ended;
            }
            self.asked = true;
        }
        Ok(!matches!(self.seat, Seat::Ended))
    }

    /// Leaves a note that the session goes on under another id than the one that requests may still be coming with.
    pub(super) async fn supersede(&self, config: &Inner) -> Result<()> {
        match self.loaded() {
            Some(loaded) => apart(config.sessions.mark_superseded(loaded, ON_THEIR_WAY)).await,
            None => Ok(()),
        }
    }

    /// Takes the seat under a new id.
    pub(super) fn sit_down(&mut self, id: SessionId) {
        self.seat = Seat::Taken(id, None);
        self.news = News::NewId;
        self.remembered = None;
        self.unreadable = None;
        self.last = None;
    }

    /// Takes the seat with a session that was made without options.
    pub(super) fn begin(&mut self, id: SessionId) {
        self.sit_down(id);
        self.remembered = Some(false);
    }

    /// Leaves the seat empty because the handler ended the session. The client is told if it `brought` an id; of one that
    /// it never heard of, it need not hear the end.
    pub(super) fn stand_up(&mut self, brought: bool) {
        self.seat = Seat::Empty;
        self.changes = Changes::default();
        self.unreadable = None;
        self.last = None;
        self.dead = None;
        self.news = if brought { News::Gone } else { News::None };
    }

    /// The data with this request's changes.
    pub(super) async fn view(&mut self, config: &Inner) -> Result<Option<Data>> {
        let unchanged = self.changes.is_empty();
        let mut data = match self.load(config).await? {
            Some(loaded) => loaded.data()?.clone(),
            None if unchanged => return Ok(None),
            None => Data::new(),
        };
        self.changes.apply(&mut data);
        Ok(Some(data))
    }
}

impl Changes {
    pub(super) fn set(&mut self, field: String, value: Value) {
        self.0.insert(field, Change::Set(value));
    }

    pub(super) fn remove(&mut self, field: &str) {
        self.0.insert(field.to_owned(), Change::Removed);
    }

    /// What became of a field, if anything did.
    pub(super) fn of(&self, field: &str) -> Option<&Change> {
        self.0.get(field)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is anything to keep in a session that does not exist yet.
    pub(super) fn sets_something(&self) -> bool {
        self.0.values().any(|change| matches!(change, Change::Set(_)))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What they make of no data at all.
    pub(super) fn as_data(&self) -> impl Serialize {
        AsData(self)
    }

    /// The same on a session that was loaded.
    pub(super) fn apply_to(&self, loaded: &mut Loaded) -> Result<()> {
        for (field, change) in &self.0 {
            match change {
                Change::Set(value) => loaded.insert(field, value)?,
                Change::Removed => drop(loaded.remove(field)?),
            }
        }
        Ok(())
    }

    pub(super) fn apply(&self, data: &mut Data) {
        for (field, change) in &self.0 {
            match change {
                Change::Set(value) => drop(data.insert(field.clone(), value.clone())),
                Change::Removed => drop(data.remove(field)),
            }
        }
    }
}

/// Puts a call to the manager in a place of its own, or the future of every handler would carry the room for all of them, and
/// be copied from layer to layer with it.
pub(super) fn apart<F: Future>(call: F) -> Pin<Box<F>> {
    Box::pin(call)
}

/// Whether a session is to get a new id by routine.
fn is_due(config: &Inner, loaded: &Loaded) -> bool {
    let (Some(every), Some(grace)) = (config.rotate_every, config.sessions.grace()) else {
        return false;
    };
    // Who still comes with the old id so late has not heard of the new one: that answer was lost.
    let age = if loaded.through_grace() { grace / 2 } else { every };
    let now = config.sessions.clock().now();
    loaded.issued().is_some_and(|issued| now.since(issued) >= age)
}

/// Whether this is a visitor's key.
pub(super) fn is_visitor(config: &Inner, key: &SessionKey) -> bool {
    let begins = |prefix: &String| key.as_str().starts_with(prefix);
    begins(&config.visitor_prefix) || config.former_visitor_prefixes.iter().any(begins)
}
