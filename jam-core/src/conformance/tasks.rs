//! Tasks on the caller's runtime: spawning, joining, giving way, dropping half-way, waiting no longer than a patience.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::Duration;

use super::report::{Failure, Verdict};

/// A piece of work for the spawn function given to [`Suite::new`](super::Suite::new).
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) type Spawner = Arc<dyn Fn(Task) + Send + Sync>;

/// A spawn function for stores that need no runtime: every task gets a thread of its own.
pub fn on_threads(task: Task) {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    thread::spawn(move || {
        let mut task = task;
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
            // One that only gives way is awake again at once; let the other threads have the core.
            thread::yield_now();
        }
    });
}

/// Runs `work` as a task of its own. A panic in it, or a runtime that drops it, is a failure of whoever awaits it; once
/// nobody awaits it any more, it ends at its next step.
pub(super) fn spawn<T: Send + 'static>(
    spawner: &Spawner,
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Verdict<T>> + Send + 'static {
    let joint = Arc::new(Mutex::new(Joint::Running(Waker::noop().clone())));
    let end = End(Arc::clone(&joint));
    spawner(Box::pin(async move {
        let mut work = pin!(guarded(work));
        let ended = poll_fn(|cx| {
            if end.is_awaited() {
                work.as_mut().poll(cx).map(Some)
            } else {
                Poll::Ready(None)
            }
        });
        if let Some(result) = ended.await {
            end.set(result);
        }
    }));
    poll_fn(move |cx| {
        let mut joint = joint.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *joint, Joint::Running(cx.waker().clone())) {
            Joint::Running(_) => Poll::Pending,
            Joint::Ended(result) => Poll::Ready(result),
        }
    })
}

enum Joint<T> {
    Running(Waker),
    Ended(Verdict<T>),
}

/// The task's side of a [`Joint`]; dropped unset, it tells that too.
struct End<T>(Arc<Mutex<Joint<T>>>);

impl<T> End<T> {
    fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn set(&self, result: Verdict<T>) {
        let mut joint = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Joint::Running(waker) = std::mem::replace(&mut *joint, Joint::Ended(result)) {
            drop(joint);
            waker.wake();
        }
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        let mut joint = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // After `set` there is either a result, or a joiner that has taken it and will not poll again.
        if let Joint::Running(waker) = &mut *joint {
            let waker = waker.clone();
            *joint = Joint::Ended(Err(Failure::new(
                "a spawned task runs to its end",
                "the runtime dropped it before",
            )));
            drop(joint);
            waker.wake();
        }
    }
}

/// Turns a panic of `work` into a failure.
pub(super) async fn guarded<T>(work: impl Future<Output = T>) -> Verdict<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(Failure::new(
            "no panic",
            format!("a panic: {}", message_of(&*panic)),
        ))),
    })
    .await
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(without a message)")
}

/// The result of `work`, or `None` if it takes longer than `patience`. Needs no timer of a runtime: a thread watches.
pub(super) async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    let over = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Mutex::new(Waker::noop().clone()));
    let (working, watch) = channel::<()>();
    thread::spawn({
        let (over, waker) = (Arc::clone(&over), Arc::clone(&waker));
        move || {
            if watch.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                over.store(true, Ordering::SeqCst);
                waker.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
            }
        }
    });
    let mut work = pin!(work);
    let result = poll_fn(|cx| {
        waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(cx.waker());
        match work.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if over.load(Ordering::SeqCst) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    drop(working);
    result
}

/// Lets other tasks run.
pub(super) async fn give_way() {
    let mut gave = false;
    poll_fn(|cx| {
        if gave {
            return Poll::Ready(());
        }
        gave = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls `work` at most `polls` times and drops it; its result if it ended before.
pub(super) async fn drop_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..polls {
        if let Poll::Ready(result) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
            return Some(result);
        }
        give_way().await;
    }
    None
}

/// Holds tasks back until all have come, so that they start together.
#[derive(Debug)]
pub(super) struct Gate {
    missing: AtomicUsize,
    threads: Mutex<Vec<ThreadId>>,
}

impl Gate {
    /// How often a task gives way for a second thread of the runtime to wake up and take over some of the others.
    const WAKING: usize = 50;

    pub(super) fn of(tasks: usize) -> Arc<Self> {
        Arc::new(Self {
            missing: AtomicUsize::new(tasks),
            threads: Mutex::default(),
        })
    }

    pub(super) async fn pass(&self) {
        self.missing.fetch_sub(1, Ordering::SeqCst);
        let mut waking = Self::WAKING;
        while self.missing.load(Ordering::SeqCst) > 0 || (waking > 0 && self.on_one_thread()) {
            give_way().await;
            waking = waking.saturating_sub(1);
        }
    }

    fn on_one_thread(&self) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let this = thread::current().id();
        if !threads.contains(&this) {
            threads.push(this);
        }
        threads.len() == 1
    }
}

/// Lets one task wait for another to get on, so that the two surely meet, however the runtime shares out its threads.
#[derive(Debug)]
pub(super) struct Pulse(Arc<AtomicUsize>);

/// The side that waits.
#[derive(Debug)]
pub(super) struct Listener {
    beats: Arc<AtomicUsize>,
    last: usize,
}

impl Pulse {
    pub(super) fn new() -> (Self, Listener) {
        let beats = Arc::new(AtomicUsize::new(0));
        (Self(Arc::clone(&beats)), Listener { beats, last: 0 })
    }

    pub(super) fn beat(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Pulse {
    /// Nobody waits for a task that has ended.
    fn drop(&mut self) {
        self.0.store(usize::MAX, Ordering::SeqCst);
    }
}

impl Listener {
    /// Waits for a beat since the last one.
    pub(super) async fn wait(&mut self) {
        loop {
            let beats = self.beats.load(Ordering::SeqCst);
            if beats != self.last || beats == usize::MAX {
                self.last = beats;
                return;
            }
            give_way().await;
        }
    }
}
