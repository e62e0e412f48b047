//! The same steps on the real thing.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jam::{Clock, ManualClock, MemoryStore, SessionId, SessionOptions, SessionStore, Sessions, SessionsBuilder};
use jam_core::Durability;
use jam_crypto::{AesIds, AesSealer, KeyRing};
use jam_json::{JsonDir, JsonFile};
use jam_redis::RedisStore;
use jam_sqlite::SqliteStore;
use jam_test_servers::{Kind, Server};
use jam_tests::{Stage, Turned};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::step::{Pick, Settings, Step, TTL, USERS};

/// What sessions are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Encrypted,
    JsonFile,
    JsonDir,
    Sqlite,
    Redis(Kind),
}

/// A manager with a store to crash.
pub(crate) struct World {
    backend: Backend,
    settings: Settings,
    clock: Arc<ManualClock>,
    ring: Option<KeyRing>,
    /// Of a server, whose clock no test can turn.
    turned: Option<Arc<Turned>>,
    place: TempDir,
    path: String,
    sessions: Sessions,
    /// All that were given out.
    ids: Vec<SessionId>,
    handles: Vec<String>,
}

impl World {
    pub(crate) async fn begin(backend: Backend, settings: Settings) -> Self {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        let clock = Arc::new(ManualClock::new(Stage::START));
        let path = format!("world{}", WORLDS.fetch_add(1, Ordering::Relaxed));
        let place = TempDir::new().unwrap();
        let ring = (backend == Backend::Encrypted).then(|| jam_crypto::generate_aes_key().unwrap().parse().unwrap());
        let mut store = open(backend, place.path(), &path, &clock).await;
        let mut turned = None;
        if matches!(backend, Backend::Redis(_)) {
            let tied = Arc::new(Turned::new(store, Arc::clone(&clock) as Arc<dyn Clock>));
            store = Arc::clone(&tied) as Arc<dyn SessionStore>;
            turned = Some(tied);
        }
        let sessions = manager(store, settings, &clock, ring.as_ref());
        let (ids, handles) = (Vec::new(), Vec::new());
        Self {
            backend,
            settings,
            clock,
            ring,
            turned,
            place,
            path,
            sessions,
            ids,
            handles,
        }
    }

    /// How many ids were given out.
    pub(crate) fn ids(&self) -> usize {
        self.ids.len()
    }

    /// Which id a step means; one that was never given out if there is none yet. Later ones are more likely.
    pub(crate) fn pick(&self, pick: Pick) -> usize {
        match self.ids.len() {
            0 => 0,
            len => len - 1 - (pick as usize % len).min(pick as usize / 7 % 4),
        }
    }

    /// The handle of the session that has this id.
    pub(crate) fn handle(&self, id: usize) -> &str {
        self.handles.get(id).map_or("none", String::as_str)
    }

    /// Takes a step and tells what came of it.
    pub(crate) async fn take(&mut self, step: &Step, id: usize) -> Value {
        let unknown = SessionId::from("never given out".to_owned());
        let name = self.ids.get(id).unwrap_or(&unknown).clone();
        let handle = self.handle(id).to_owned();
        let sessions = self.sessions.clone();
        match step {
            Step::Create(user, ttl, data) => {
                let id = sessions.create_with(USERS[*user], data, options(*ttl)).await;
                self.given(id).await
            }
            Step::Get(_) => {
                let session = sessions.get(&name).await.unwrap();
                session.map_or(Value::Null, |session| {
                    json!([session.issued().map(since_start), session.data().unwrap()])
                })
            }
            Step::Exists(_) => json!(sessions.exists(&name).await.unwrap()),
            Step::Update(_, data) => told(sessions.update(&name, data).await.map(|()| "done")),
            Step::Modify(_) => {
                let raised = sessions.modify(&name, |data| {
                    let count = data.get("count").and_then(Value::as_u64).unwrap_or(0) + 1;
                    data.insert("count".to_owned(), count.into());
                    count
                });
                told(raised.await)
            }
            Step::Commit(_, value) => match sessions.get(&name).await.unwrap() {
                None => Value::Null,
                Some(mut session) => {
                    session.insert("value", value).unwrap();
                    told(sessions.commit(session).await.map(|()| "done"))
                }
            },
            Step::Touch(_) => json!(sessions.touch(&name).await.unwrap()),
            Step::Delete(_) => json!(sessions.delete(&name).await.unwrap()),
            Step::Rework(_) => {
                let id = sessions.rework(&name).await;
                self.given(id).await
            }
            Step::ReworkWithGrace(_) => {
                let id = sessions.rework_with_grace(&name).await;
                self.given(id).await
            }
            Step::ReworkAs(_, user, ttl) => {
                let id = sessions.rework_as(&name, USERS[*user], options(*ttl)).await;
                self.given(id).await
            }
            Step::List(user) => {
                let infos = sessions.list(USERS[*user]).await.unwrap();
                let show = |info: &jam::SessionInfo| {
                    let times = (info.created().map(since_start), info.expires_at().map(since_start));
                    json!([info.handle().as_str(), times.0, times.1, info.data().unwrap()])
                };
                infos.iter().map(show).collect()
            }
            Step::Revoke(user, _) => json!(sessions.revoke(USERS[*user], handle).await.unwrap()),
            Step::Clear(user) => json!(sessions.clear(USERS[*user]).await.unwrap()),
            Step::ClearOthers(_) => told(sessions.clear_others(&name).await),
            Step::RemoveExpired => {
                sessions.remove_expired().await.unwrap();
                Value::Null
            }
            Step::Wait(millis) => {
                self.clock.advance(Duration::from_millis(*millis));
                Value::Null
            }
            Step::Crash => {
                self.crash().await;
                Value::Null
            }
        }
    }

    async fn given(&mut self, id: jam::Result<SessionId>) -> Value {
        match id {
            Err(error) => told::<()>(Err(error)),
            Ok(id) => {
                let session = self
                    .sessions
                    .get(&id)
                    .await
                    .unwrap()
                    .expect("the session that was just given out");
                self.handles.push(session.handle().as_str().to_owned());
                self.ids.push(id);
                json!("id")
            }
        }
    }

    /// What a process leaves behind that is killed here: the files as they are, while the store is still open. A server stays; what
    /// only the process knew is gone.
    async fn crash(&mut self) {
        match self.backend {
            Backend::Memory | Backend::Encrypted => return,
            Backend::Redis(_) => {}
            Backend::JsonFile | Backend::JsonDir | Backend::Sqlite => {
                let left = TempDir::new().unwrap();
                copy(self.place.path(), left.path());
                self.place = left;
            }
        }
        let mut store = open(self.backend, self.place.path(), &self.path, &self.clock).await;
        if let Some(turned) = &mut self.turned {
            *turned = Arc::new(turned.over(store).await);
            store = Arc::clone(turned) as Arc<dyn SessionStore>;
        }
        self.sessions = manager(store, self.settings, &self.clock, self.ring.as_ref());
    }
}

fn since_start(at: jam::Timestamp) -> u64 {
    at.as_millis() - Stage::START.as_millis()
}

fn options(ttl: Option<u64>) -> SessionOptions {
    ttl.map_or_else(SessionOptions::new, |ttl| {
        SessionOptions::new().ttl(Duration::from_secs(ttl))
    })
}

fn told<T: serde::Serialize>(outcome: jam::Result<T>) -> Value {
    match outcome {
        Ok(outcome) => json!(outcome),
        Err(error) => json!(format!("{:?}", error.kind())),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn manager(
    store: Arc<dyn SessionStore>,
    settings: Settings,
    clock: &Arc<ManualClock>,
    ring: Option<&KeyRing>,
) -> Sessions {
    let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    let builder: SessionsBuilder = Sessions::builder_on(store)
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
        .ttl(Duration::from_secs(TTL))
        .renew_on_read(settings.renew_on_read)
        .max_lifetime(seconds(settings.max_lifetime))
        .grace(seconds(settings.grace));
    let builder = match settings.max_sessions {
        Some(max) => builder.max_sessions(max, jam::WhenFull::EvictOldest),
        None => builder,
    };
    let builder = match ring {
        Some(ring) => builder
            .ids(AesIds::new(ring.clone()))
            .sealer(AesSealer::new(ring.clone())),
        None => builder,
    };
    builder.build().unwrap()
}

async fn open(backend: Backend, place: &Path, path: &str, clock: &Arc<ManualClock>) -> Arc<dyn SessionStore> {
    static OLD: LazyLock<Server> = LazyLock::new(|| Server::start(Kind::Old));
    static NEW: LazyLock<Server> = LazyLock::new(|| Server::start(Kind::New));
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    match backend {
        Backend::Memory | Backend::Encrypted => Arc::new(MemoryStore::with_clock(clock)),
        Backend::JsonFile => {
            let options = JsonFile::options(place.join("sessions.json"));
            Arc::new(options.durability(Durability::Os).clock(clock).open().await.unwrap())
        }
        Backend::JsonDir => {
            let options = JsonDir::options().storage_path(place.join("sessions"));
            Arc::new(options.durability(Durability::Os).clock(clock).open().await.unwrap())
        }
        Backend::Sqlite => {
            let options = SqliteStore::options(place.join("sessions.db"));
            Arc::new(options.durability(Durability::Os).clock(clock).open().await.unwrap())
        }
        Backend::Redis(kind) => {
            let server = if kind == Kind::Old { &*OLD } else { &*NEW };
            Arc::new(
                RedisStore::options(server.url())
                    .session_path(path)
                    .open()
                    .await
                    .unwrap(),
            )
        }
    }
}
