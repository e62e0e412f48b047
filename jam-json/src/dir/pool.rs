//! Where blocking work is done: on threads of the `blocking` pool that stay with this store while it has work.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use async_task::{Runnable, Task};
use jam_core::Result;

use super::trouble;

/// A queue of work and the threads that take from it.
///
/// Waking a thread costs more than reading a session from the page cache. Here a thread that has finished one piece of
/// work takes the next from the queue, so that under load nobody is woken, and no more threads run than can do
/// something at the same time. One that [waits](Self::wait) for a device or another process is not counted while it
/// does.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    threads: isize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Runnable>,
    running: isize,
}

impl Pool {
    /// So much work waits at most. Callers that gave up leave theirs behind, and while a device hangs it would fill the
    /// memory. Its bytes need not be counted: whoever writes has the turn of a slot, so that no more than 256 of these do.
    const MOST_WAITING: usize = 64 * 1024;

    /// More threads than this machine can use: some wait for a directory that others change, or for what is not in the page cache.
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            threads: isize::try_from(cores.clamp(2, 32) * 4).unwrap_or(8),
        }))
    }

    /// Does blocking work. Dropped before the work has begun, it is not done; dropped later, it is done to its end.
    ///
    /// # Errors
    /// [`Unavailable`](jam_core::ErrorKind::Unavailable) if too much waits; nothing was done.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (runnable, task) = self.task(work);
        self.queue(runnable)?;
        Ok(task.await)
    }

    /// Does work that nobody waits for, however much waits: who starts it has just had work done.
    pub(super) fn start(&self, work: impl FnOnce() + Send + 'static) {
        let (runnable, task) = self.task(work);
        runnable.schedule();
        task.detach();
    }

    fn task<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> (Runnable, Task<T>) {
        let shared = Arc::clone(&self.0);
        async_task::Builder::new().propagate_panic(true).spawn(
            move |()| async move { work() },
            move |runnable| {
                shared.push(shared.lock(), runnable);
            },
        )
    }

    fn queue(&self, runnable: Runnable) -> Result<()> {
        let queue = self.0.lock();
        if queue.waiting.len() >= Self::MOST_WAITING {
            return Err(trouble::crowded());
        }
        self.0.push(queue, runnable);
        Ok(())
    }

    /// Waits, inside of such work, for something that takes no computing: another thread may run meanwhile. (Outside of
    /// it, one thread more than needed may.)
    pub(super) fn wait<T>(&self, waiting: impl FnOnce() -> T) -> T {
        let mut queue = self.0.lock();
        queue.running -= 1;
        self.0.start(queue);
        let result = waiting();
        self.0.lock().running += 1;
        result
    }
}

impl Shared {
    fn push(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>, runnable: Runnable) {
        queue.waiting.push_back(runnable);
        self.start(queue);
    }

    /// Starts one more thread if there is work for it and room.
    fn start(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if queue.waiting.is_empty() || queue.running >= self.threads {
            return;
        }
        queue.running += 1;
        drop(queue);
        let shared = Arc::clone(self);
        blocking::unblock(move || shared.drain()).detach();
    }

    fn drain(&self) {
        loop {
            let mut queue = self.lock();
            let Some(runnable) = queue.waiting.pop_front() else {
                queue.running -= 1;
                return;
            };
            drop(queue);
            // A panic of the work becomes one of whoever awaits it, and none gets here.
            runnable.run();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use jam_core::{ErrorKind, Load, Record, RecordId, SessionKey, SessionStore};

    use super::*;
    use crate::JsonDir;

    /// Has as much work as there can be threads wait until what this gives is dropped, so that nothing else begins.
    async fn hold_up(pool: &Pool) -> mpsc::Sender<()> {
        let (stop, hold) = mpsc::channel::<()>();
        let hold = Arc::new(Mutex::new(hold));
        for _ in 0..pool.0.threads {
            let (pool, hold) = (pool.clone(), Arc::clone(&hold));
            tokio::spawn(async move { pool.run(move || hold.lock().expect("no panic").recv().is_err()).await });
        }
        while pool.0.lock().running < pool.0.threads || !pool.0.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        stop
    }

    /// Begins it, and gives it up where it waits.
    fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
        std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_panic_of_the_work_is_one_of_who_awaits_it_and_the_pool_goes_on() {
        let pool = Pool::new();
        for _ in 0..100 {
            let work = pool.clone();
            let failed = tokio::spawn(async move { work.run(|| panic!("as the test wants it")).await }).await;
            assert!(failed.is_err_and(|error| error.is_panic()));
        }
        assert_eq!(pool.run(|| 7).await.expect("room"), 7);
    }

    #[tokio::test]
    async fn work_that_waits_holds_up_no_other_work() {
        let pool = Pool::new();
        let (stops, hold): (Vec<_>, Vec<_>) = (0..100).map(|_| mpsc::channel::<()>()).unzip();
        let waiting: Vec<_> = hold
            .into_iter()
            .map(|hold| {
                let pool = pool.clone();
                let inner = pool.clone();
                tokio::spawn(async move { pool.run(move || inner.wait(|| hold.recv())).await })
            })
            .collect();
        for number in 0..100 {
            assert_eq!(pool.run(move || number).await.expect("room"), number);
        }
        drop(stops);
        for task in waiting {
            assert!(task.await.expect("no panic").expect("room").is_err());
        }
    }

    #[tokio::test]
    async fn work_that_has_waited_counts_as_running_again() {
        let pool = Pool::new();
        let inner = pool.clone();
        let running = move || inner.0.lock().running;
        let waits = pool.clone();
        let counted = pool.run(move || (waits.wait(&running), running())).await;
        assert_eq!(counted.expect("room"), (0, 1));
    }

    #[tokio::test]
    async fn work_that_was_given_up_before_it_began_is_not_done() {
        let pool = Pool::new();
        let mut run = Box::pin(pool.run(|| ()));
        let (sender, receiver) = mpsc::channel();
        let stop = hold_up(&pool).await;
        let mut given_up = Box::pin(pool.run(move || sender.send(()).expect("listened to")));
        std::future::poll_fn(|context| {
            assert!(given_up.as_mut().poll(context).is_pending());
            assert!(run.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(given_up);
        drop(stop);
        run.await.expect("room");
        assert!(receiver.recv().is_err(), "never done, and its closure is gone");
    }

    #[tokio::test]
    async fn so_many_calls_wait_behind_a_device_that_hangs_and_no_more() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = JsonDir::open(directory.path()).await.expect("opened");
        let pool = &store.disk.pool;
        let id = RecordId::new(SessionKey::new("user1").expect("a key"), "a").expect("an id");
        let record = Record::new("{}", None);
        let stop = hold_up(pool).await;
        let given_up = |_: &usize| poll_once(store.load(&id, Load::new())).is_pending();
        assert_eq!((0..64 * 1024).filter(given_up).count(), 64 * 1024);
        for _ in 0..2 {
            let refused = [
                poll_once(store.load(&id, Load::new())).map(|loaded| loaded.map(drop)),
                poll_once(store.list(id.key())).map(|listed| listed.map(drop)),
                poll_once(store.insert(&id, &record)),
            ];
            for refused in refused {
                let Poll::Ready(Err(error)) = refused else {
                    panic!("it waits, too");
                };
                assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
            }
        }
        let (sender, receiver) = mpsc::channel();
        pool.start(move || sender.send(()).expect("listened to"));
        drop(stop);
        receiver
            .recv()
            .expect("what a store starts by itself is done, as the last");
        assert!(
            store
                .load(&id, Load::new())
                .await
                .expect("there is room again")
                .is_none()
        );
        store.insert(&id, &record).await.expect("there is room again");
    }
}
