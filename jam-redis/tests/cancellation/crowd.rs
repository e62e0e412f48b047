//! Tasks that call and go away, on sessions that say whose they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jam_core::{Error, ErrorKind, Load, Record, RecordId, Rename, SessionStore, Timestamp, Version};
use jam_redis::RedisStore;
use jam_test_trials::Dice;
use tokio::task::JoinSet;

const TASKS: u64 = 64;
const USERS: u64 = 16;
/// Sessions of each user that are there all the time.
const SESSIONS: u64 = 4;
const EXPIRY: Timestamp = Timestamp::from_secs(9_000_000_000);

/// When a caller goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// At any moment, mostly before the answer.
    Short,
    /// Never: the store itself gives up.
    UntilToldOtherwise,
}

/// What came of the calls.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) dropped: u64,
    pub(crate) right: u64,
    pub(crate) unavailable: u64,
}

/// A store with sessions whose payloads begin with their key and id.
pub(crate) struct Crowd {
    store: RedisStore,
    dropped: AtomicU64,
    right: AtomicU64,
    unavailable: AtomicU64,
}

fn id(user: u64, name: &str) -> RecordId {
    RecordId::new(format!("user{user}").parse().unwrap(), name).unwrap()
}

fn payload(id: &RecordId, more: u64) -> String {
    format!("{}/{}/{more}", id.key().as_str(), id.id())
}

fn is_of(id: &RecordId, payload: &[u8]) -> bool {
    payload.starts_with(format!("{}/{}/", id.key().as_str(), id.id()).as_bytes())
}

fn record(id: &RecordId, more: u64) -> Record {
    Record::new(payload(id, more), Some(EXPIRY))
}

impl Crowd {
    pub(crate) async fn gather(store: RedisStore) -> Arc<Self> {
        Self::fill(&store).await;
        Self::around(store)
    }

    /// Makes the sessions, through a store that has the patience for it.
    pub(crate) async fn fill(store: &RedisStore) {
        for user in 0..USERS {
            for number in 0..SESSIONS {
                let id = id(user, &format!("session{number}"));
                store.insert(&id, &record(&id, 0)).await.unwrap();
            }
        }
    }

    /// The crowd around a store on the same server, where they have been made.
    pub(crate) fn around(store: RedisStore) -> Arc<Self> {
        Arc::new(Self {
            store,
            dropped: AtomicU64::new(0),
            right: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
        })
    }

    /// Goes on until so many calls were dropped, or made if nobody goes away. What is called follows from the turn.
    pub(crate) async fn call(self: &Arc<Self>, turn: u64, calls: u64, patience: Patience) -> Seen {
        for counter in [&self.dropped, &self.right, &self.unavailable] {
            counter.store(0, Ordering::Relaxed);
        }
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let crowd = Arc::clone(self);
            tasks.spawn(async move {
                let mut dice = Dice::new((turn << 32) + task);
                while match patience {
                    Patience::Short => crowd.dropped.load(Ordering::Relaxed) < calls,
                    Patience::UntilToldOtherwise => {
                        let answers = crowd.right.load(Ordering::Relaxed);
                        answers < calls || crowd.unavailable.load(Ordering::Relaxed) == 0
                    }
                } {
                    crowd.one(&mut dice, patience).await;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        Seen {
            dropped: self.dropped.load(Ordering::Relaxed),
            right: self.right.load(Ordering::Relaxed),
            unavailable: self.unavailable.load(Ordering::Relaxed),
        }
    }

    async fn one(&self, dice: &mut Dice, patience: Patience) {
        let (user, session, what, more) = (dice.roll(USERS), dice.roll(SESSIONS), dice.roll(12), dice.number());
        let call = self.ask(user, session, what, more);
        let answer = match patience {
            Patience::UntilToldOtherwise => call.await,
            Patience::Short => tokio::select! {
                biased;
                () = leave(dice) => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                answer = call => answer,
            },
        };
        match answer {
            Ok(right) => {
                assert!(right, "call {what} got the reply to another one");
                self.right.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                self.unavailable.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("call {what} got the reply to another one: {error}"),
        }
    }

    /// Asks something to which there is one right answer, and tells whether it came.
    async fn ask(&self, user: u64, session: u64, what: u64, more: u64) -> Result<bool, Error> {
        let there = id(user, &format!("session{session}"));
        let absent = id(user, &format!("absent{session}"));
        let store = &self.store;
        let failed_as = |kind: ErrorKind, result: Result<(), Error>| match result {
            Ok(()) => Ok(false),
            Err(error) if error.kind() == kind => Ok(true),
            Err(error) => Err(error),
        };
        Ok(match what {
            0..=2 => {
                let stored = store.load(&there, Load::new()).await?;
                stored.is_some_and(|stored| is_of(&there, &stored.payload))
            }
            3 => store.load(&absent, Load::new()).await?.is_none(),
            4 => {
                let list = store.list(there.key()).await?;
                let own = list
                    .iter()
                    .all(|entry| is_of(&entry.id, &entry.stored.payload) && entry.id.key() == there.key());
                own && list.len() as u64 == SESSIONS
            }
            5 => store
                .replace(&there, None, &record(&there, more))
                .await
                .map(|()| true)?,
            6 => failed_as(
                ErrorKind::NotFound,
                store.replace(&absent, None, &record(&absent, more)).await,
            )?,
            7 => failed_as(
                ErrorKind::AlreadyExists,
                store.insert(&there, &record(&there, more)).await,
            )?,
            8 => store.touch(&there, EXPIRY).await?,
            9 => !store.remove(&absent).await?,
            10 => {
                let version = Version::from_content("no such payload");
                let next = record(&absent, more);
                let rename = Rename::new(&there, &version, &absent, &next);
                failed_as(ErrorKind::Conflict, store.rename(rename).await)?
            }
            _ => store.clear(&"nobody".parse().unwrap()).await? == 0,
        })
    }
}

/// Ends at some moment: at once, after some turns of the runtime, after some time, or never.
async fn leave(dice: &mut Dice) {
    match dice.roll(8) {
        0 => {}
        1..=4 => {
            for _ in 0..dice.roll(40) {
                tokio::task::yield_now().await;
            }
        }
        5 => tokio::time::sleep(Duration::from_micros(dice.roll(3_000))).await,
        _ => std::future::pending().await,
    }
}
