//! One attempt at a time at what many wait for. It is a task of its own: whoever leaves takes nothing with them, and who comes
//! late does not begin with the little time that they have left.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jam_core::{Error, ErrorKind, Result};
use tokio::sync::watch;

use crate::error;

/// The attempts at one thing.
#[derive(Default)]
pub(crate) struct Attempts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// How many were begun.
    begun: u64,
    under_way: Option<UnderWay>,
    failure: Option<Failure>,
}

struct UnderWay {
    since: Instant,
    /// Closed when it is over.
    over: watch::Receiver<()>,
}

/// An attempt that failed: for a while, whoever asks hears of it again.
struct Failure {
    at: Instant,
    kind: ErrorKind,
    message: String,
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self {
            at: Instant::now(),
            kind: error.kind(),
            message: error.message().to_owned(),
        }
    }

    fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

impl Attempts {
    /// A runtime that nobody drives any more does not end what it has begun; so long after its time it counts as ended.
    const SLACK: Duration = Duration::from_secs(1);

    /// Waits for the attempt that is under way, or begins one that may take until `limit`, unless it is `needless`. For a `pause`
    /// after one that failed there is no other.
    ///
    /// # Errors
    /// That of the attempt.
    pub(crate) async fn join<F>(
        &self,
        limit: Duration,
        pause: Duration,
        needless: impl Fn() -> bool,
        attempt: impl FnOnce() -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let original = Arc::new(Mutex::new(None));
        let (begun, mut over) = {
            let mut state = lock(&self.0);
            if needless() {
                return Ok(());
            }
            match &state.under_way {
                Some(other) if other.since.elapsed() <= limit.saturating_add(Self::SLACK) => (None, other.over.clone()),
                _ => {
                    if let Some(failure) = state.failure.as_ref().filter(|failure| failure.at.elapsed() < pause) {
                        return Err(failure.error());
                    }
                    let (tell, over) = watch::channel(());
                    state.begun += 1;
                    state.under_way = Some(UnderWay {
                        since: Instant::now(),
                        over: over.clone(),
                    });
                    let end = End {
                        attempts: Arc::clone(&self.0),
                        number: state.begun,
                        outcome: Err(error::no_connection_within(limit)),
                        original: Arc::clone(&original),
                        _tell: tell,
                    };
                    (Some(end), over)
                }
            }
        };
        // Not under the lock: a runtime that has ended drops the task at once.
        if let Some(end) = begun {
            tokio::spawn(run(end, limit, attempt()));
        }
        // Nothing is ever sent: it ends with the sender.
        drop(over.changed().await);
        // Whoever began it hears the error itself, the others its words.
        if let Some(error) = lock(&original).take() {
            return Err(error);
        }
        lock(&self.0)
            .failure
            .as_ref()
            .map_or(Ok(()), |failure| Err(failure.error()))
    }
}

async fn run(mut end: End, limit: Duration, attempt: impl Future<Output = Result<()>>) {
    if let Ok(outcome) = tokio::time::timeout(limit, attempt).await {
        end.outcome = outcome;
    }
}

/// The end of an attempt, whichever way it comes.
struct End {
    attempts: Arc<Mutex<State>>,
    number: u64,
    outcome: Result<()>,
    original: Arc<Mutex<Option<Error>>>,
    /// Dropped last, when the outcome is there.
    _tell: watch::Sender<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut state = lock(&self.attempts);
        // One that was taken for ended has a successor.
        if state.begun != self.number {
            return;
        }
        state.under_way = None;
        state.failure = self.outcome.as_ref().err().map(Failure::of);
        if let Err(error) = std::mem::replace(&mut self.outcome, Ok(())) {
            *lock(&self.original) = Some(error);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::{FutureExt, join_all};
    use tokio::sync::Notify;

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn an_attempt_goes_on_when_whoever_began_it_has_left() {
        let (attempts, gate) = (Attempts::default(), Arc::new(Notify::new()));
        let done = Arc::new(AtomicU32::new(0));
        let join = || {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            let attempt = move || async move {
                gate.notified().await;
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            attempts.join(LIMIT, Duration::ZERO, || false, attempt)
        };
        for _ in 0..4 {
            assert!(join().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        join().await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn everybody_hears_of_a_failure_and_for_a_pause_those_who_come_later() {
        let attempts = Attempts::default();
        let fails = || {
            attempts.join(
                LIMIT,
                Duration::ZERO,
                || false,
                || async { Err(ErrorKind::Config.into()) },
            )
        };
        for outcome in join_all((0..3).map(|_| fails())).await {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Config);
        }
        let later = |pause| attempts.join(LIMIT, pause, || false, || async { Ok(()) });
        assert_eq!(later(LIMIT).await.unwrap_err().kind(), ErrorKind::Config);
        assert!(later(Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn an_attempt_whose_runtime_ends_keeps_nobody_from_another() {
        let attempts = Attempts::default();
        let join = || attempts.join(LIMIT, Duration::ZERO, || false, || async { Ok(()) });
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        {
            let _elsewhere = other.enter();
            assert!(join().now_or_never().is_none());
        }
        assert!(join().now_or_never().is_none(), "it may yet end");
        let ended = other.handle().clone();
        other.shutdown_background();
        {
            let _elsewhere = ended.enter();
            assert!(join().now_or_never().expect("it is over at once").is_err());
        }
        assert!(join().await.is_ok());
    }
}
