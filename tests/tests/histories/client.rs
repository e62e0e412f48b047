//! Clients that call at random and note what they see.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use jam::{ErrorKind, Handle, Session, SessionId, Sessions};
use jam_test_trials::Dice;
use serde_json::json;

use crate::history::{End, History};
use crate::spec::{Call, Outcome};

/// What the clients of one session have in common.
pub(crate) struct Scene {
    pub(crate) key: String,
    pub(crate) handle: Handle,
    /// Those that somebody was given, by number.
    pub(crate) ids: Mutex<Vec<(usize, SessionId)>>,
    pub(crate) history: History,
    pub(crate) numbers: AtomicU64,
    /// How many calls were to be dropped.
    drops: AtomicU64,
}

impl Scene {
    pub(crate) const FIRST_VALUE: u64 = 0;
    /// So many calls of one history are dropped. Each more multiplies what the checker may have to try, which remembers nothing of
    /// what it has tried: with six and eight that nobody knew the outcome of, single histories took it minutes.
    const MOST_DROPS: u64 = 4;

    /// Begins a session for a key of its own.
    pub(crate) async fn begin(sessions: &Sessions, key: String) -> Arc<Self> {
        let id = sessions.create(&key, json!({"n": Self::FIRST_VALUE})).await.unwrap();
        let handle = sessions.list(&key).await.unwrap().remove(0).handle().clone();
        Arc::new(Self {
            key,
            handle,
            ids: Mutex::new(vec![(0, id)]),
            history: History::default(),
            numbers: AtomicU64::new(1),
            drops: AtomicU64::new(0),
        })
    }

    /// Whether one more call may be dropped.
    fn may_drop(&self) -> bool {
        self.drops.fetch_add(1, Ordering::Relaxed) < Self::MOST_DROPS
    }

    /// A number that was not used yet.
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// An id: mostly the newest.
    fn some_id(&self, dice: &mut Dice) -> (usize, SessionId) {
        let ids = self.ids.lock().unwrap();
        let back = if dice.roll(4) == 0 {
            dice.roll(ids.len() as u64)
        } else {
            0
        };
        ids[ids.len() - 1 - usize::try_from(back).unwrap()].clone()
    }
}

/// Makes a number of calls.
pub(crate) async fn calls(scene: Arc<Scene>, sessions: Sessions, mut dice: Dice, count: usize) {
    let mut loaded: Option<(usize, u64, Session)> = None;
    for _ in 0..count {
        if dice.roll(3) == 0 {
            tokio::task::yield_now().await;
        }
        let (number, id) = scene.some_id(&mut dice);
        let new = scene.number();
        let mut session = None;
        let call = match dice.roll(24) {
            0..=5 => Call::Get(number),
            6..=8 => Call::Update(number, new),
            9..=11 => Call::Modify(number, new),
            12..=14 => match loaded.take() {
                Some((number, seen, mut loaded)) => {
                    loaded.insert("n", new).unwrap();
                    session = Some(loaded);
                    Call::Commit(number, seen, new)
                }
                None => Call::Get(number),
            },
            15..=16 => Call::Touch(number),
            17..=19 => Call::Rework(number, usize::try_from(new).unwrap()),
            20 => Call::Delete(number),
            21 => Call::Revoke,
            22 => Call::Clear,
            _ => Call::List,
        };
        let patience = (dice.roll(6) == 0).then(|| dice.roll(4));
        let patience = patience.filter(|_| scene.may_drop()).unwrap_or(u64::MAX);
        let noted = scene.history.called(call);
        let answered = polled(patience, answer(&scene, &sessions, call, &id, session, &mut loaded)).await;
        let end = match answered {
            Some(Ok(outcome)) => End::Answered(outcome),
            Some(Err(error)) => match error.kind() {
                // It lost against the others in every round, and wrote nothing.
                ErrorKind::Conflict | ErrorKind::Unavailable if !error.outcome_unknown() => End::Nothing,
                ErrorKind::Conflict | ErrorKind::Unavailable => End::Unknown,
                kind => panic!("{call:?}: {kind:?}: {error}"),
            },
            None => End::Unknown,
        };
        scene.history.ended(noted, end);
    }
}

async fn answer(
    scene: &Scene,
    sessions: &Sessions,
    call: Call,
    id: &SessionId,
    session: Option<Session>,
    loaded: &mut Option<(usize, u64, Session)>,
) -> jam::Result<Outcome> {
    let written = |result: jam::Result<Outcome>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Outcome::NotFound),
        other => other,
    };
    match call {
        Call::Get(number) => {
            let found = sessions.get(id).await?;
            let value = found.as_ref().map(value_of);
            *loaded = found.map(|session| (number, value_of(&session), session));
            Ok(Outcome::Value(value))
        }
        Call::Update(_, value) => written(sessions.update(id, json!({"n": value})).await.map(|()| Outcome::Done)),
        Call::Modify(_, value) => {
            let swap = |data: &mut jam::Data| data.insert("n".into(), value.into());
            let before = sessions.modify(id, swap).await;
            written(before.map(|before| Outcome::Value(before.and_then(|before| before.as_u64()))))
        }
        Call::Commit(..) => match sessions.commit(session.unwrap()).await {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Outcome::Conflict),
            result => written(result.map(|()| Outcome::Done)),
        },
        Call::Touch(_) => sessions.touch(id).await.map(Outcome::Told),
        Call::Rework(_, number) => {
            let new = sessions.rework(id).await;
            written(new.map(|id| {
                scene.ids.lock().unwrap().push((number, id));
                Outcome::Done
            }))
        }
        Call::Delete(_) => sessions.delete(id).await.map(Outcome::Told),
        Call::Revoke => sessions.revoke(&scene.key, &scene.handle).await.map(Outcome::Told),
        Call::Clear => sessions.clear(&scene.key).await.map(Outcome::Count),
        Call::List => Ok(Outcome::Told(!sessions.list(&scene.key).await?.is_empty())),
    }
}

fn value_of(session: &Session) -> u64 {
    session.get("n").unwrap().unwrap()
}

/// Polls a call that often and then drops it.
async fn polled<F: Future>(mut times: u64, call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    poll_fn(|context| {
        if times == 0 {
            return Poll::Ready(None);
        }
        times -= 1;
        call.as_mut().poll(context).map(Some)
    })
    .await
}
