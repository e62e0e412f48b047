//! Sessions for callers without async: the same manager, whose calls wait.
//!
//! ```
//! use jam::blocking::Sessions;
//! use serde_json::json;
//!
//! # fn main() -> jam::Result<()> {
//! let sessions = jam::blocking::open("memory:")?; // or "json:sessions.json", "redis://localhost", "jam.toml"
//!
//! let id = sessions.create("user1", json!({"role": "admin"}))?;
//! let session = sessions.get(&id)?.expect("just created");
//! assert_eq!(session.get::<String>("role")?.as_deref(), Some("admin"));
//!
//! sessions.modify(&id, |data| data.insert("visits".into(), 1.into()))?;
//! let id = sessions.rework(&id)?;
//! assert!(sessions.delete(&id)?);
//! # sessions.close()
//! # }
//! ```
//!
//! Every method of [`jam::Sessions`](crate::Sessions) is here, with the same name, arguments, results and errors. Clones
//! share one manager and may be used from any number of threads at once; threads may come and go.
//!
//! # Where to call it
//!
//! | from | a call |
//! |---|---|
//! | a thread of your own | works |
//! | `tokio::task::spawn_blocking`, `tokio::task::block_in_place` | works |
//! | async code on tokio, of either flavor, or inside `block_on` | gives [`Unsupported`](crate::ErrorKind::Unsupported), before anything has happened |
//! | the closure of [`modify`](Sessions::modify), or other code that a call runs | the same |
//!
//! A call that waited inside async code would hold up every task of its thread, and could wait for one of them for ever;
//! use the async [`Sessions`](crate::Sessions) there, or `spawn_blocking`. Of other executors, and of futures inside tokio's
//! `unconstrained`, jam cannot tell that they are async code: there a call is not refused, and holds up its thread. It never
//! comes back if it waits for a task of that thread, such as one that is about to change the same session through
//! [`as_async`](Sessions::as_async), and whose turn it is.
//!
//! # What it runs on
//!
//! Each manager that is opened has one thread, `jam-blocking`, with a tokio runtime for stores that need one; what can be
//! done without it happens on the calling thread. The thread ends when the last clone is dropped, which waits for nothing but
//! the syncs of a JSON file, and may happen anywhere, async code included. [`close`](Sessions::close) before that brings the files of a store into their
//! resting form; nothing acknowledged depends on it.
//!
//! A panic in the closure of [`modify`](Sessions::modify) goes up to the caller; nothing was written, and the manager works on.

mod builder;
mod operations;
mod runtime;
mod sweeper;

use std::fmt;
use std::sync::Arc;

pub use self::builder::SessionsBuilder;
use self::runtime::Runtime;
pub use self::sweeper::Sweeper;
use crate::{Config, Result, SessionStore};

/// The session manager for callers without async. See the [module](self) for where it may be called.
///
/// ```
/// use jam::MemoryStore;
/// use jam::blocking::Sessions;
/// use std::time::Duration;
///
/// let sessions = Sessions::builder(MemoryStore::new())
///     .ttl(Duration::from_secs(1800))
///     .build()?;
/// let id = sessions.create("user1", serde_json::json!({"visits": 0}))?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             sessions.modify(&id, |data| data["visits"] = (data["visits"].as_u64().unwrap_or(0) + 1).into())
///         });
///     }
/// });
/// assert_eq!(sessions.get(&id)?.expect("alive").get::<u64>("visits")?, Some(4));
/// # Ok::<(), jam::Error>(())
/// ```
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    // Dropped first, so that a store finds its runtime at work.
    sessions: crate::Sessions,
    runtime: Runtime,
}

/// Opens sessions from a URL or the path of a config file, as [`jam::open`](crate::open) does.
///
/// # Errors
/// As [`Sessions::open_with`] and [`Config::open`].
pub fn open(url_or_path: impl AsRef<str>) -> Result<Sessions> {
    Sessions::open_with(crate::open(url_or_path))
}

impl Sessions {
    /// A manager with the default settings.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the system gives no thread.
    pub fn new(store: impl SessionStore) -> Result<Self> {
        Self::builder(store).build()
    }

    /// A manager with settings of your own. For a store that is opened by an async function there is
    /// [`open_with`](Self::open_with).
    pub fn builder(store: impl SessionStore) -> SessionsBuilder {
        Self::builder_on(Arc::new(store))
    }

    /// The same on a store that is shared already.
    pub fn builder_on(store: Arc<dyn SessionStore>) -> SessionsBuilder {
        SessionsBuilder::new(store)
    }

    /// Opens what the config says.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with) and [`Config::open`].
    pub fn from_config(config: Config) -> Result<Self> {
        Self::open_with(config.open())
    }

    /// Opens a manager with code that needs async, on the runtime that it is going to have.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("sessions.json");
    /// use jam::json::JsonFile;
    /// use std::time::Duration;
    ///
    /// let sessions = jam::blocking::Sessions::open_with(async {
    ///     let store = JsonFile::options(path).open().await?;
    ///     jam::Sessions::builder(store).ttl(Duration::from_secs(1800)).build()
    /// })?;
    /// # sessions.close()?;
    /// # Ok::<(), jam::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the code gives; [`Unsupported`](crate::ErrorKind::Unsupported) inside async code;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the system gives no thread.
    pub fn open_with(open: impl Future<Output = Result<crate::Sessions>>) -> Result<Self> {
        let runtime = Runtime::start()?;
        let sessions = runtime.wait("open", open)?;
        Ok(Self::on(sessions, runtime))
    }

    /// The async face of the same manager, such as for a task on a runtime of the application's own. A SQLite store works as
    /// long as there is a clone of this one.
    pub fn as_async(&self) -> &crate::Sessions {
        &self.inner.sessions
    }

    fn on(sessions: crate::Sessions, runtime: Runtime) -> Self {
        Self {
            inner: Arc::new(Inner { sessions, runtime }),
        }
    }

    fn wait<T>(&self, operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.inner.runtime.wait(operation, work)
    }
}

/// A blocking face for a manager that there is already, such as for the threads of an application that is otherwise async.
///
/// A SQLite store goes on working on the runtime that it was opened on, so that has to be running.
///
/// # Errors
/// [`Unavailable`](crate::ErrorKind::Unavailable) if the system gives no thread.
impl TryFrom<crate::Sessions> for Sessions {
    type Error = crate::Error;

    fn try_from(sessions: crate::Sessions) -> Result<Self> {
        Ok(Self::on(sessions, Runtime::start()?))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::Sessions").field(&self.inner.sessions).finish()
    }
}
