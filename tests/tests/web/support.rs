//! What these tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, Response};
use jam::cache::CachingStore;
use jam::{
    Bytes, Clock, Entry, Error, ErrorKind, ManualClock, MemoryStore, Record, SessionKey, SessionStore, Sessions,
    SessionsBuilder,
};
use jam_http::{Session, SessionConfig};
use jam_tests::web::{Framework, Site};
use jam_tests::{Hooked, Stage};
use tokio::sync::{Mutex, MutexGuard};

/// A manager in memory on a clock to turn.
pub(crate) fn builder() -> (SessionsBuilder, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Stage::START));
    let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let builder = Sessions::builder(store).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (builder, clock)
}

/// The same with the default settings.
pub(crate) fn sessions() -> Sessions {
    builder().0.build().unwrap()
}

/// Two managers of one store, the first perhaps with a cache that hears nothing of the second.
pub(crate) fn two_processes(cached: bool) -> (Sessions, Sessions) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Stage::START));
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock)));
    let sessions = |store: Arc<dyn SessionStore>| {
        let builder = Sessions::builder_on(store).clock(Arc::clone(&clock));
        builder.renew_on_read(true).grace(secs(30)).build().unwrap()
    };
    let elsewhere = sessions(Arc::clone(&store) as Arc<_>);
    if cached {
        let cache = CachingStore::with_clock(store, secs(3600), 100, Arc::clone(&clock));
        (sessions(Arc::new(cache)), elsewhere)
    } else {
        (sessions(store), elsewhere)
    }
}

/// The pages most tests need, with the default choices.
pub(crate) async fn serve<F: Framework>(sessions: &Sessions) -> F {
    serve_with(SessionConfig::new(sessions.clone())).await
}

/// The same with choices of one's own.
pub(crate) async fn serve_with<F: Framework>(config: SessionConfig) -> F {
    F::serve(pages(config)).await
}

/// The pages most tests need.
pub(crate) fn pages(config: SessionConfig) -> Site {
    Site::new(config)
        .on("/static", |_| async { Ok("nothing of the session") })
        .on("/read", |session: Session| async move {
            Ok(session
                .get::<u64>("n")
                .await?
                .map_or("none".to_owned(), |n| n.to_string()))
        })
        .on("/write", |session: Session| async move {
            let n = session.get::<u64>("n").await?.unwrap_or(0) + 1;
            session.insert("n", n).await?;
            Ok(n)
        })
        .on("/login", |session: Session| async move {
            session.login("user1").await?;
            Ok("in")
        })
        .on("/logout", |session: Session| async move {
            session.logout().await?;
            Ok("out")
        })
        .on("/rework", |session: Session| async move {
            session.rework().await?;
            Ok("reworked")
        })
        .on("/user", |session: Session| async move {
            Ok(session.require_user().await?.as_str().to_owned())
        })
        .on("/id", |session: Session| async move {
            let id = session.id().await?;
            Ok(id.map_or("none".to_owned(), |id| id.as_str().to_owned()))
        })
}

/// The only value of a header, if there is one.
pub(crate) fn header<B>(response: &Response<B>, name: &HeaderName) -> Option<String> {
    only(response.headers(), name)
}

fn only(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap().to_owned());
    assert!(values.next().is_none(), "{name} once");
    value
}

/// An id as it travels.
pub(crate) fn encoded(id: impl AsRef<str>) -> String {
    URL_SAFE_NO_PAD.encode(id.as_ref())
}

/// The default cookie with this id, as a request has it.
pub(crate) fn cookie_of(id: impl AsRef<str>) -> String {
    format!("__Host-session={}", encoded(id))
}

/// A store that counts its calls, and that can be switched off.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    calls: AtomicU64,
    down: AtomicBool,
    write_down: AtomicBool,
}

impl Switch {
    /// Puts a switch before a store.
    pub(crate) fn before(store: Arc<dyn SessionStore>) -> (Arc<Self>, Hooked) {
        let switch = Arc::new(Self::default());
        let held = Arc::clone(&switch);
        let hooked = Hooked::new(store, move |method| {
            held.calls.fetch_add(1, Ordering::SeqCst);
            let write = method != "load";
            let down = held.down.load(Ordering::SeqCst) || write && held.write_down.load(Ordering::SeqCst);
            async move {
                if down {
                    return Err(Error::new(ErrorKind::Unavailable, "switched off"));
                }
                Ok(())
            }
        });
        (switch, hooked)
    }

    /// Before a store in memory, with a manager of default settings on top.
    pub(crate) fn sessions() -> (Arc<Self>, Sessions) {
        let (switch, store) = Self::before(Arc::new(MemoryStore::new()));
        (switch, Sessions::new(store))
    }

    /// The calls since it was last asked.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.swap(0, Ordering::SeqCst)
    }

    /// Switches the store off, or on again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The same for writes alone.
    pub(crate) fn set_write_down(&self, down: bool) {
        self.write_down.store(down, Ordering::SeqCst);
    }
}

/// All that the store holds, notes included.
pub(crate) async fn everything_in(sessions: &Sessions) -> Vec<Entry> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = sessions.store().scan(cursor, 1_000).await.unwrap();
        found.extend(page.entries);
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

/// Seconds as a duration.
pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Damages the bytes of the only session of `user1`. One test at a time does, while it keeps what this gives: one of them counts
/// what the whole process logs of such sessions.
pub(crate) async fn damage(sessions: &Sessions) -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    let store = sessions.store();
    let entry = store.list(&SessionKey::new("user1").unwrap()).await.unwrap().remove(0);
    let record = Record::new(Bytes::from_static(b"not JSON, and secret"), None);
    store.replace(&entry.id, None, &record).await.unwrap();
    alone
}
