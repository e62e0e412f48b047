//! Where blocking work is done: on threads of the `blocking` pool that stay with this store while it has work.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use async_task::{Runnable, Task};

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
    /// More threads than this machine can use: some wait for a directory that others change, or for what is not in the page cache.
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            threads: isize::try_from(cores.clamp(2, 32) * 4).unwrap_or(8),
        }))
    }

    /// Does blocking work. Dropped before the work has begun, it is not done; dropped later, it is done to its end.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.queue(work).await
    }

    /// Does work that nobody waits for.
    pub(super) fn start(&self, work: impl FnOnce() + Send + 'static) {
        self.queue(work).detach();
    }

    fn queue<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        let shared = Arc::clone(&self.0);
        let schedule = move |runnable| {
            let mut queue = shared.lock();
            queue.waiting.push_back(runnable);
            shared.start(queue);
        };
        let (runnable, task) = async_task::Builder::new()
            .propagate_panic(true)
            .spawn(move |()| async move { work() }, schedule);
        runnable.schedule();
        task
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

    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_work_is_one_of_who_awaits_it_and_the_pool_goes_on() {
        let pool = Pool::new();
        for _ in 0..100 {
            let work = pool.clone();
            let failed = tokio::spawn(async move { work.run(|| panic!("as the test wants it")).await }).await;
            assert!(failed.is_err_and(|error| error.is_panic()));
        }
        assert_eq!(pool.run(|| 7).await, 7);
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
            assert_eq!(pool.run(move || number).await, number);
        }
        drop(stops);
        for task in waiting {
            assert!(task.await.expect("no panic").is_err());
        }
    }

    #[tokio::test]
    async fn work_that_has_waited_counts_as_running_again() {
        let pool = Pool::new();
        let inner = pool.clone();
        let running = move || inner.0.lock().running;
        let waits = pool.clone();
        let (meanwhile, after) = pool.run(move || (waits.wait(&running), running())).await;
        assert_eq!((meanwhile, after), (0, 1));
    }

    #[tokio::test]
    async fn work_that_was_given_up_before_it_began_is_not_done() {
        let pool = Pool::new();
        let mut run = Box::pin(pool.run(|| ()));
        let (sender, receiver) = mpsc::channel();
        // As many as there can be threads wait, so that nothing else begins.
        let (stop, hold) = mpsc::channel::<()>();
        let hold = Arc::new(Mutex::new(hold));
        for _ in 0..pool.0.threads {
            let (pool, hold) = (pool.clone(), Arc::clone(&hold));
            tokio::spawn(async move { pool.run(move || hold.lock().expect("no panic").recv().is_err()).await });
        }
        while pool.0.lock().running < pool.0.threads || !pool.0.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        let mut given_up = Box::pin(pool.run(move || sender.send(()).expect("listened to")));
        std::future::poll_fn(|context| {
            assert!(given_up.as_mut().poll(context).is_pending());
            assert!(run.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(given_up);
        drop(stop);
        run.await;
        assert!(receiver.recv().is_err(), "never done, and its closure is gone");
    }
}
