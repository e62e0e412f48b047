//! What a handler sees of its session.

mod change;
mod close;
mod devices;
mod identity;
mod read;
mod state;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_lock::{Mutex, MutexGuard};

pub use self::devices::Device;
use self::state::State;
use crate::wire::Arrived;
use crate::{Error, Result, SessionConfig};

/// The session of one request, as its handler sees it. Cloning is cheap and gives the same session.
///
/// **It is lazy.** Nothing is asked of the store until a method needs it: a handler that never looks costs no call and
/// sends no cookie, one that reads costs one load, and a session that is not changed is not written. A visitor has a
/// session as soon as a handler writes to it, and not before.
///
/// **Field changes** ([`insert`](Self::insert), [`remove`](Self::remove), [`merge`](Self::merge)) are recorded, seen by
/// later reads of the same request, and written when the handler has answered, before the response leaves: by
/// compare-and-swap, and if somebody else was faster, on top of what they wrote. So two requests at once that change
/// different fields both win, and of two that change the same field the last one does. Where the new value depends on
/// the old one, use [`modify`](Self::modify). The changes of a handler that fails (5xx, panic, 408, with which timeouts
/// answer for a handler that they stopped half-way, or a `grpc-status` that stands for a 5xx among the headers, not in
/// trailers) are dropped, unless [configured](crate::SessionConfigBuilder::keep_changes_of_failures) otherwise.
///
/// **Everything else reaches the store when it is called**: [`modify`](Self::modify), [`login`](Self::login),
/// [`rework`](Self::rework), [`logout`](Self::logout), [`revoke`](Self::revoke) and the like; and a new id goes out with the
/// response whatever becomes of the handler, a 500 included.
///
/// **What has ended stays ended.** If the session is logged out, revoked or reworked elsewhere after the handler has looked at
/// it, its field changes go nowhere, the response leaves as it is, and the client's cookie is left alone: it may be that of
/// a new login already. A handler that first looks afterwards finds no session. For half a minute after a login or a rework
/// that took the id's session along it begins none either. After any other end (a logout, a revocation, the ttl) what it writes
/// begins a visitor's, since nobody can tell such a request from a visitor with an old cookie: if the user has logged in again by
/// then, the visitor's cookie displaces the login's, and they log in once more.
///
/// **Once the headers have left, or the client has hung up** (a streaming body, a spawned task), the session can be read if
/// the handler has looked at it (an extractor such as `User` is enough): else the headers have left without saying that the
/// page is for this client alone, and the first look is [`Error::Late`]. Changing it is `Late` in any case. A connection
/// that went over to another protocol (a WebSocket, over HTTP/2 as well) may be the first to look. What is read is the session
/// as it was when it was first looked at. Only after this request wrote to it or gave it a new id is it loaded once more, which
/// may give newer data, none, or [`Error::Unavailable`]. Whether a connection that stays open for long still belongs to anybody
/// is for the manager to say, such as by whether [`list`](jam_core::Sessions::list) still has the [`handle`](Self::handle), which
/// stays through every rework.
///
/// **Calls take turns.** The calls of one request wait for each other, to the store and back, and what is written after the
/// handler waits for them. So a call that was begun is to be awaited to its end, or dropped: one that is kept half-way, such as
/// a `&mut` future that lost a `select!`, keeps every later call of this request waiting, and the response.
///
/// # Errors
/// Those all methods share: [`Error::Ambiguous`] if the request carries two session ids; [`Error::Unavailable`] if the store
/// cannot be reached (never an empty session in its place); [`Error::Sessions`] of kind `Corrupt` or `Crypto` for a
/// session that cannot be read, unless [configured](crate::Undecodable) otherwise. Changing methods also give
/// [`Error::Late`].
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    config: SessionConfig,
    /// Whether a method was called, so that the response depends on the session.
    looked_at: AtomicBool,
    /// Whether the request named a session, if only by a text that is no id.
    brought: bool,
    ambiguous: bool,
    /// Whether the response has left, or the client.
    closed: AtomicBool,
    /// Whether it left before anybody looked at the session, and so without a word to caches.
    unseen: AtomicBool,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn new(config: SessionConfig, arrived: Arrived) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                looked_at: AtomicBool::new(false),
                brought: !matches!(arrived, Arrived::Nothing),
                ambiguous: matches!(arrived, Arrived::Ambiguous),
                closed: AtomicBool::new(false),
                unseen: AtomicBool::new(false),
                state: Mutex::new(State::new(arrived)),
            }),
        }
    }

    /// The choices this session goes by; its manager is
    /// [`config().sessions()`](SessionConfig::sessions).
    pub fn config(&self) -> &SessionConfig {
        &self.shared.config
    }

    /// The state, for reading. The lock is held across calls to the store, so that two first looks at once are one load. A
    /// handler that keeps such a call half-way keeps the lock.
    async fn look(&self) -> Result<MutexGuard<'_, State>> {
        let shared = &self.shared;
        if !shared.looked_at.swap(true, Ordering::SeqCst) && shared.closed.load(Ordering::SeqCst) {
            shared.unseen.store(true, Ordering::SeqCst);
        }
        if shared.unseen.load(Ordering::SeqCst) {
            return Err(Error::Late);
        }
        if shared.ambiguous {
            return Err(Error::Ambiguous);
        }
        Ok(self.shared.state.lock().await)
    }

    /// The state, for changing.
    async fn change(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.look().await?;
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::Late);
        }
        Ok(state)
    }

    fn error(&self, error: jam_core::Error) -> Error {
        Error::of(error, self.shared.config.inner().retry_after)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("looked_at", &self.shared.looked_at)
            .finish_non_exhaustive()
    }
}
