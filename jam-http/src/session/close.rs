//! When the handler has answered.

use std::sync::atomic::Ordering;

use http::HeaderValue;
use jam_core::{ErrorKind, Result, Session as Loaded, SessionId};

use super::Session;
use super::state::{Changes, News, Renewal, Seat, State, apart};
use crate::closing::Word;
use crate::config::{Carrier, Inner};
use crate::exchange::End;
use crate::{Closing, Error, wire};

impl Session {
    /// Lets no more changes in, and tells whether anybody has looked at the session.
    pub(crate) fn shut(&self) -> bool {
        // A task that looks at this moment either sees that it is too late, or is seen.
        self.shared.closed.store(true, Ordering::SeqCst);
        let looked_at = self.shared.looked_at.load(Ordering::SeqCst);
        if !looked_at {
            self.shared.unseen.store(true, Ordering::SeqCst);
        }
        looked_at
    }

    /// Whether anybody has looked at the session.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.shared.looked_at.load(Ordering::SeqCst)
    }

    /// Counts as looked at from here on.
    pub(crate) fn will_be_seen(&self) {
        self.shared.looked_at.store(true, Ordering::SeqCst);
    }

    /// Writes what was changed, and says what the response has to carry.
    pub(crate) async fn close(&self, end: End) -> Closing {
        let config = self.shared.config.inner();
        let mut state = self.shared.state.lock().await;
        if !self.shut() {
            return Closing::untouched();
        }
        let mut error = None;
        // A session that begins where there is no response is nobody's.
        let begins_unheard = !end.heard && matches!(state.seat, Seat::Empty);
        if end.failed && !config.keep_changes_of_failures || begins_unheard {
            state.changes.clear();
        } else if let Err(failure) = commit(config, &mut state).await {
            tracing::error!(
                error = &failure as &dyn std::error::Error,
                "the changes of a session could not be written"
            );
            error = Some(self.error(failure));
        }
        if end.heard {
            if error.is_none() {
                rotate(config, &mut state).await;
            }
            confirm(config, &mut state).await;
        }
        closing(config, &state, end, error)
    }

    /// The same at once, if there is nothing to write and nobody is at work on the session.
    pub(crate) fn close_unchanged(&self, end: End) -> Option<Closing> {
        let config = self.shared.config.inner();
        let state = self.shared.state.try_lock()?;
        let settled = !end.heard || state.due.is_none() && unconfirmed(config, &state).is_none();
        let unchanged = state.changes.is_empty() && settled;
        unchanged.then(|| closing(config, &state, end, None))
    }
}

/// What the response has to carry.
fn closing(config: &Inner, state: &State, end: End, mut error: Option<Error>) -> Closing {
    let news = news(config, state).unwrap_or_else(|failure| {
        error = Some(Error::Sessions(failure));
        None
    });
    Closing {
        error,
        word: Some(Word {
            news,
            bearer: matches!(config.carrier, Carrier::Bearer),
        }),
        challenge: end.challenge,
    }
}

/// Writes the recorded changes; on top of others' if those were faster. A session that has ended stays ended.
async fn commit(config: &Inner, state: &mut State) -> Result<()> {
    if state.changes.is_empty() {
        return Ok(());
    }
    let changes = std::mem::take(&mut state.changes);
    let written = match std::mem::replace(&mut state.seat, Seat::Empty) {
        Seat::Taken(id, loaded) => {
            // A client that hangs up during the write ends nothing: who reads on loads what there is then.
            state.seat = Seat::Taken(id.clone(), None);
            let written = match loaded {
                Some(loaded) => commit_loaded(config, state, &id, loaded, &changes).await,
                None => apart(config.sessions.modify(&id, |data| changes.apply(data))).await,
            };
            if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                state.seat = Seat::Ended;
            }
            if written.is_ok() {
                state.renew();
            }
            written
        }
        Seat::Empty if changes.sets_something() => {
            if !state.may_begin(config).await? {
                tracing::info!(
                    "a session went on under a new id while a request with the old one changed it; the changes are dropped"
                );
                return Ok(());
            }
            let created = config
                .sessions
                .create_visitor(&config.visitor_prefix, changes.as_data());
            let created = apart(created).await;
            created.map(|id| state.begin(id))
        }
        seat => {
            state.seat = seat;
            Ok(())
        }
    };
    match written {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            tracing::info!("a session ended while a request changed it; the changes are dropped");
            Ok(())
        }
        written => written,
    }
}

/// Writes changes to a session as it was loaded, or on top of what others made of it since.
async fn commit_loaded(
    config: &Inner,
    state: &mut State,
    id: &SessionId,
    mut loaded: Loaded,
    changes: &Changes,
) -> Result<()> {
    changes.apply_to(&mut loaded)?;
    match apart(config.sessions.commit(loaded)).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            // It may have been rotated.
            state.renewal = Renewal::Outdated;
            apart(config.sessions.modify(id, |data| changes.apply(data))).await
        }
        Ok(()) => {
            if state.renewal != Renewal::Outdated {
                state.renewal = Renewal::Sure;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Gives the session a new id if the old one has had its time. A rotation that fails is made up for by a later request.
async fn rotate(config: &Inner, state: &mut State) {
    let (News::None, Seat::Taken(..), Some(session)) = (state.news, &state.seat, state.due.take()) else {
        return;
    };
    match apart(config.sessions.rework_loaded_with_grace(&session)).await {
        Ok(Some(id)) => state.sit_down(id),
        Ok(None) => state.renewal = Renewal::Outdated,
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a session could not be given its new id"
        ),
    }
}

/// The id that a cookie would go out with again, if nobody knows whether the session still has it.
fn unconfirmed<'a>(config: &Inner, state: &'a State) -> Option<&'a SessionId> {
    match (&config.carrier, state.news, state.renewal, &state.seat) {
        (Carrier::Cookie(cookie), News::None, Renewal::Due, Seat::Taken(id, _)) => {
            cookie.follows(&config.sessions, id, state.remembered).then_some(id)
        }
        _ => None,
    }
}

/// Asks whether the session still has the id that a cookie is to go out with again, past any cache. The handler may have worked
/// for long, and the browser may hold the id of a new login already, which the old one would displace.
async fn confirm(config: &Inner, state: &mut State) {
    let Some(id) = unconfirmed(config, state) else {
        return;
    };
    let found = apart(config.sessions.get_fresh(id)).await;
    state.renewal = match found {
        Ok(Some(session)) if !session.through_grace() => Renewal::Sure,
        // Who cannot be asked leaves the cookie as it is; a later request sends it.
        _ => Renewal::Outdated,
    };
}

/// What the client is told about its id.
fn news(config: &Inner, state: &State) -> Result<Option<HeaderValue>> {
    match (&config.carrier, state.news, &state.seat) {
        (Carrier::Cookie(cookie), News::NewId, Seat::Taken(id, _)) => {
            let max_age = cookie.max_age(&config.sessions, id, state.remembered);
            cookie.write(id, max_age).map(Some)
        }
        (Carrier::Cookie(cookie), News::None, Seat::Taken(id, _))
            if state.renewal == Renewal::Sure && cookie.follows(&config.sessions, id, state.remembered) =>
        {
            let max_age = cookie.max_age(&config.sessions, id, state.remembered);
            cookie.write(id, max_age).map(Some)
        }
        (Carrier::Cookie(cookie), News::Gone, _) => cookie.write_removal().map(Some),
        (Carrier::Bearer, News::NewId, Seat::Taken(id, _)) => wire::to_header(wire::encode(id)).map(Some),
        (Carrier::Bearer, News::Gone, _) => wire::to_header("").map(Some),
        _ => Ok(None),
    }
}
