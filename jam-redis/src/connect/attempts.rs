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
    failure: Option<Arc<Failure>>,
}

struct UnderWay {
    since: Instant,
    over: watch::Receiver<Option<Outcome>>,
}

type Outcome = Result<(), Arc<Failure>>;

/// An attempt that failed: for a while, whoever asks hears of it again.
struct Failure {
    at: Instant,
    kind: ErrorKind,
    message: String,
    /// The error itself, for whoever began the attempt; the others hear its words.
    original: Mutex<Option<Error>>,
}

impl Failure {
    fn of(error: Error) -> Self {
        Self {
            at: Instant::now(),
            kind: error.kind(),
            message: error.message().to_owned(),
            original: Mutex::new(Some(error)),
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
    /// after one that failed there is no other. One that ends with the runtime of whoever began it, or is not driven there any
    /// more, says nothing, so whoever waited for it makes their own.
    ///
    /// # Errors
    /// That of the attempt.
    pub(crate) async fn join<F>(
        &self,
        limit: Duration,
        pause: Duration,
        needless: impl Fn() -> bool,
        attempt: impl Fn() -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        loop {
            let time = limit.saturating_add(Self::SLACK);
            let (begun, since, mut over) = {
                let mut state = lock(&self.0);
                if needless() {
                    return Ok(());
                }
                match &state.under_way {
                    Some(other) if other.since.elapsed() < time => (None, other.since, other.over.clone()),
                    _ => {
                        if let Some(failure) = state.failure.as_ref().filter(|failure| failure.at.elapsed() < pause) {
                            return Err(failure.error());
                        }
                        let (end, over) = self.begin(&mut state);
                        (Some(end), Instant::now(), over)
                    }
                }
            };
            let is_own = begun.is_some();
            // Not under the lock: a runtime that has ended drops the task at once.
            if let Some(end) = begun {
                tokio::spawn(run(end, limit, attempt()));
            }
            let left = time.saturating_sub(since.elapsed());
            let Ok(ended) = tokio::time::timeout(left, over.wait_for(Option::is_some)).await else {
                if is_own {
                    return Err(error::no_connection_within(limit));
                }
                continue;
            };
            match ended.as_deref() {
                // One that was taken for ended may fail after its successor has succeeded.
                Ok(Some(Err(_))) if needless() => return Ok(()),
                Ok(Some(Err(failure))) => {
                    let original = is_own.then(|| lock(&failure.original).take()).flatten();
                    return Err(original.unwrap_or_else(|| failure.error()));
                }
                Ok(_) => return Ok(()),
                Err(_) if is_own => return Err(error::no_connection_within(limit)),
                Err(_) => {}
            }
        }
    }

    fn begin(&self, state: &mut State) -> (End, watch::Receiver<Option<Outcome>>) {
        let (tell, over) = watch::channel(None);
        state.begun += 1;
        state.under_way = Some(UnderWay {
            since: Instant::now(),
            over: over.clone(),
        });
        let end = End {
            attempts: Arc::clone(&self.0),
            number: state.begun,
            outcome: None,
            tell,
        };
        (end, over)
    }
}

async fn run(mut end: End, limit: Duration, attempt: impl Future<Output = Result<()>>) {
    let outcome = tokio::time::timeout(limit, attempt).await;
    let outcome = outcome.unwrap_or_else(|_| Err(error::no_connection_within(limit)));
    end.outcome = Some(outcome.map_err(|error| Arc::new(Failure::of(error))));
}

/// The end of an attempt, whichever way it comes.
struct End {
    attempts: Arc<Mutex<State>>,
    number: u64,
    /// None if the runtime ended first, or the attempt panicked.
    outcome: Option<Outcome>,
    tell: watch::Sender<Option<Outcome>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        {
            let mut state = lock(&self.attempts);
            // One that was taken for ended has a successor.
            if state.begun == self.number {
                state.under_way = None;
                state.failure = outcome.as_ref().and_then(|outcome| outcome.as_ref().err().cloned());
            }
        }
        if outcome.is_some() {
            self.tell.send_replace(outcome);
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
    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::Notify;

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    /// Another runtime, which nobody drives.
    fn elsewhere() -> Runtime {
        Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[tokio::test]
    async fn an_attempt_goes_on_when_whoever_began_it_has_left() {
        let (attempts, gate) = (Attempts::default(), Arc::new(Notify::new()));
        let done = Arc::new(AtomicU32::new(0));
        let join = || {
            let attempt = || {
                let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
                async move {
                    gate.notified().await;
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
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
        let other = elsewhere();
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

    #[tokio::test]
    async fn whoever_waits_for_an_attempt_whose_runtime_ends_makes_their_own() {
        let attempts = Attempts::default();
        let done = Arc::new(AtomicU32::new(0));
        let join = || {
            let attempt = || {
                let done = Arc::clone(&done);
                async move {
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
            };
            attempts.join(LIMIT, LIMIT, || false, attempt)
        };
        let other = elsewhere();
        {
            let _elsewhere = other.enter();
            assert!(join().now_or_never().is_none());
        }
        let end = async { other.shutdown_background() };
        let (first, second, ()) = tokio::join!(join(), join(), end);
        first.unwrap();
        second.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn whoever_waits_for_an_attempt_that_nobody_drives_makes_their_own_when_its_time_is_over() {
        let attempts = Attempts::default();
        let join = || attempts.join(Duration::from_millis(10), LIMIT, || false, || async { Ok(()) });
        let other = elsewhere();
        {
            let _elsewhere = other.enter();
            assert!(join().now_or_never().is_none());
        }
        let joined = tokio::time::timeout(LIMIT, join()).await;
        joined.expect("it does not wait for ever").unwrap();
        other.shutdown_background();
    }

    #[tokio::test]
    async fn an_attempt_that_fails_after_another_has_succeeded_is_no_failure() {
        let attempts = Attempts::default();
        let gate = Arc::new(Notify::new());
        let done = Arc::new(AtomicU32::new(0));
        let is_done = || done.load(Ordering::SeqCst) > 0;
        // It was taken for ended, say, since nobody drove its runtime.
        let late = attempts.join(LIMIT, LIMIT, is_done, || {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                Err(ErrorKind::Unavailable.into())
            }
        });
        let other = async {
            tokio::task::yield_now().await;
            done.fetch_add(1, Ordering::SeqCst);
            gate.notify_one();
        };
        let (late, ()) = tokio::join!(late, other);
        late.unwrap();
    }
}
