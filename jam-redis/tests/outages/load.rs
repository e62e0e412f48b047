//! 64 tasks that work on sessions of their own all the time, and know what has to be there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jam_core::{
    Error, ErrorKind, Load, Record, RecordId, Rename, Result, SessionKey, SessionStore, Timestamp, Version,
};
use jam_redis::{RedisOptions, RedisStore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const TASKS: usize = 64;
/// Sessions that nobody touches.
const STILL: usize = 100;

/// How long connecting and answering may take each.
pub(crate) const LIMIT: Duration = Duration::from_millis(300);
/// What errors say of a server that is silent: with a connection, and without one.
pub(crate) const SILENCE: [&str; 2] = [
    "did not answer within the response timeout",
    "no connection to the Redis server within",
];
/// A call that takes longer hangs. Far more than the limits, since the machine may be busy.
const HANGS: Duration = Duration::from_secs(20);
/// Later than any test ends.
const EXPIRY: Timestamp = Timestamp::from_secs(9_000_000_000);

/// Opens a store with short limits.
pub(crate) fn options(url: &str) -> RedisOptions {
    RedisStore::options(url).connect_timeout(LIMIT).response_timeout(LIMIT)
}

/// A record of a number.
pub(crate) fn record(number: u64) -> Record {
    Record::new(number.to_string(), Some(EXPIRY))
}

/// A call that has to come back.
pub(crate) async fn soon<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(HANGS, call).await.expect("a call hangs")
}

/// What a user's sessions are: an id and a number each.
type State = BTreeSet<(String, u64)>;

/// The sessions of one user, as far as is known.
struct User {
    key: SessionKey,
    possible: Vec<State>,
}

/// The tasks, and what they have seen.
pub(crate) struct Traffic {
    store: Arc<RedisStore>,
    stop: AtomicBool,
    /// Calls that were answered.
    answered: AtomicU64,
    unknown: AtomicU64,
    messages: Mutex<BTreeSet<String>>,
    users: Mutex<Vec<User>>,
}

/// Why a task stops working on a user: a write whose outcome nobody knows may still come about at any time.
struct Unsure;

impl Traffic {
    /// Lets the tasks work while `outage` happens and until each has seen the store work again. Then everything has to
    /// be as it was acknowledged.
    pub(crate) async fn during(store: RedisStore, outage: impl Future<Output = ()>) -> Seen {
        Self::listening(store, async |_| outage.await).await
    }

    /// The same for an outage that lasts until the tasks have [heard](Self::hears) of it.
    pub(crate) async fn listening(store: RedisStore, outage: impl AsyncFnOnce(&Self)) -> Seen {
        let traffic = Arc::new(Self {
            store: Arc::new(store),
            stop: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            messages: Mutex::default(),
            users: Mutex::default(),
        });
        for number in 0..STILL {
            traffic.store.insert(&still(number), &record(0)).await.unwrap();
        }
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            tasks.spawn(Arc::clone(&traffic).work(task));
        }
        tasks.spawn(Arc::clone(&traffic).walk());
        traffic.wait_for_answers(&tasks).await;
        // On a busy machine an answer may take too long by itself.
        traffic.messages.lock().unwrap().clear();
        outage(&traffic).await;
        traffic.wait_for_answers(&tasks).await;
        traffic.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        traffic.compare().await;
        Seen {
            unknown: traffic.unknown.load(Ordering::Relaxed),
            messages: std::mem::take(&mut traffic.messages.lock().unwrap()),
        }
    }

    /// Waits until errors have said each of this: on a busy machine that may take a while.
    pub(crate) async fn hears(&self, parts: &[&str]) {
        let start = Instant::now();
        let heard = || {
            let messages = self.messages.lock().unwrap();
            let said = |part: &&str| messages.iter().any(|message| message.contains(*part));
            parts.iter().all(said)
        };
        while !heard() {
            let messages = || self.messages.lock().unwrap().clone();
            assert!(start.elapsed() < HANGS, "{parts:?} is not among {:?}", messages());
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn wait_for_answers(&self, tasks: &JoinSet<()>) {
        let enough = self.answered.load(Ordering::Relaxed) + 10 * TASKS as u64;
        let start = Instant::now();
        while self.answered.load(Ordering::Relaxed) < enough {
            assert!(start.elapsed() < HANGS, "the store does not work again");
            assert!(tasks.len() > TASKS, "a task has failed");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// An answer, or an error as it has to be. Gives up on the user if a write may have been made.
    fn judge<T>(&self, result: Result<T>) -> Result<Option<T>, Unsure> {
        match result {
            Ok(answer) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                Ok(Some(answer))
            }
            Err(error) => {
                self.note(&error);
                if error.outcome_unknown() { Err(Unsure) } else { Ok(None) }
            }
        }
    }

    fn note(&self, error: &Error) {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        self.unknown
            .fetch_add(u64::from(error.outcome_unknown()), Ordering::Relaxed);
        self.messages.lock().unwrap().insert(error.message().to_owned());
    }

    async fn work(self: Arc<Self>, task: usize) {
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let key: SessionKey = format!("user{task}-{number}").parse().unwrap();
            let mut user = User {
                key,
                possible: vec![State::new()],
            };
            // Whether it ended well or not, what is possible has been written down.
            let _ = self.live(&mut user).await;
            self.users.lock().unwrap().push(user);
        }
    }

    /// A session's life, from the login to the logout.
    async fn live(&self, user: &mut User) -> Result<(), Unsure> {
        let id = |name: &str| RecordId::new(user.key.clone(), name).unwrap();
        let (mut id, other) = (id("first"), id("second"));
        let state = |id: &RecordId, number| State::from([(id.id().to_owned(), number)]);
        user.possible.push(state(&id, 0));
        while self.judge(soon(self.store.insert(&id, &record(0))).await)?.is_none() {
            self.pause().await;
        }
        user.possible = vec![state(&id, 0)];
        for number in 0..4 {
            self.pause().await;
            let loaded = self.judge(soon(self.store.load(&id, Load::new())).await)?;
            let version = Version::from_content(number.to_string());
            if let Some(loaded) = loaded {
                assert_eq!(loaded.expect("the session is there").version, version);
            }
            self.pause().await;
            if let Some(touched) = self.judge(soon(self.store.touch(&id, EXPIRY)).await)? {
                assert!(touched, "the session is there");
            }
            if let Some(list) = self.judge(soon(self.store.list(&user.key)).await)? {
                assert_eq!(list.len(), 1, "the session is there");
            }
            self.pause().await;
            user.possible.push(state(&id, number + 1));
            let expected = Some(&version).filter(|_| number % 2 == 0);
            let next = record(number + 1);
            while self
                .judge(soon(self.store.replace(&id, expected, &next)).await)?
                .is_none()
            {
                self.pause().await;
            }
            user.possible.remove(0);
        }
        let version = Version::from_content("4");
        user.possible.push(state(&other, 5));
        let next = record(5);
        let rename = || Rename::new(&id, &version, &other, &next);
        while self.judge(soon(self.store.rename(rename())).await)?.is_none() {
            self.pause().await;
        }
        user.possible.remove(0);
        id = other;
        user.possible.push(State::new());
        if user.key.as_str().ends_with('0') {
            while self
                .judge(soon(self.store.clear(&user.key)).await)?
                .is_none_or(|count| {
                    assert_eq!(count, 1, "the session is there");
                    false
                })
            {
                self.pause().await;
            }
        } else {
            while self.judge(soon(self.store.remove(&id)).await)?.is_none_or(|removed| {
                assert!(removed, "the session is there");
                false
            }) {
                self.pause().await;
            }
        }
        user.possible.remove(0);
        Ok(())
    }

    /// So that the machine is not all the tests', and an outage meets reads and writes alike.
    async fn pause(&self) {
        sleep(Duration::from_millis(2)).await;
    }

    /// Walks over all sessions again and again: it is an error, or all that nobody touches are there.
    async fn walk(self: Arc<Self>) {
        while !self.stop.load(Ordering::Relaxed) {
            match soon(self.scan()).await {
                Ok(seen) => assert!((0..STILL).all(|number| seen.contains(still(number).key().as_str()))),
                Err(error) => self.note(&error),
            }
            if let Err(error) = soon(self.store.remove_expired(EXPIRY)).await {
                self.note(&error);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn scan(&self) -> Result<BTreeSet<String>> {
        let mut seen = BTreeSet::new();
        let mut cursor = None;
        loop {
            let page = self.store.scan(cursor, 100).await?;
            seen.extend(page.entries.iter().map(|entry| entry.id.key().as_str().to_owned()));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(seen);
            }
        }
    }

    /// Nothing acknowledged is lost, and nothing is there that nobody wrote.
    async fn compare(&self) {
        for number in 0..STILL {
            let list = self.store.list(still(number).key()).await.unwrap();
            assert_eq!(list.len(), 1, "session {number}, which nobody touched");
        }
        let users = std::mem::take(&mut *self.users.lock().unwrap());
        for User { key, possible } in users {
            let list = self.store.list(&key).await.unwrap();
            let number = |payload: &[u8]| str::from_utf8(payload).unwrap().parse().unwrap();
            let state: State = list
                .iter()
                .map(|entry| (entry.id.id().to_owned(), number(&entry.stored.payload)))
                .collect();
            assert!(
                possible.contains(&state),
                "{}: {state:?} instead of one of {possible:?}",
                key.as_str()
            );
        }
    }
}

/// What the tasks saw of an outage.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Writes of which nobody knows whether they were made.
    pub(crate) unknown: u64,
    pub(crate) messages: BTreeSet<String>,
}

impl Seen {
    pub(crate) fn said(&self, part: &str) -> bool {
        self.messages.iter().any(|message| message.contains(part))
    }
}

fn still(number: usize) -> RecordId {
    RecordId::new(format!("still{number}").parse().unwrap(), "still").unwrap()
}
