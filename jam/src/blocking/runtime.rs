//! The runtime of one blocking manager: a thread for what stores leave to a runtime, and the waiting of those who call.

use std::cell::Cell;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::{io, thread};

use jam_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle};
use tokio::task::{AbortHandle, JoinHandle, coop};

pub(super) struct Runtime {
    handle: Handle,
    /// Of the task whose end is that of the thread.
    last: AbortHandle,
}

impl Runtime {
    pub(super) fn start() -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                "the thread of blocking sessions could not be started",
            )
            .with_source(error)
        };
        // A thread of our own, for tokio panics where the system gives it none. It comes first, since a runtime that there is
        // no thread for could not be dropped in async code.
        let (give, take) = mpsc::channel::<(tokio::runtime::Runtime, JoinHandle<()>)>();
        let work = move || {
            let Ok((tokio, last)) = take.recv() else { return };
            drop(tokio.block_on(last));
            // The way to end one that waits for nothing.
            tokio.shutdown_background();
        };
        let thread = thread::Builder::new().name("jam-blocking".to_owned());
        thread.spawn(work).map_err(failed)?;
        let tokio = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = tokio.handle().clone();
        let task = handle.spawn(std::future::pending());
        let last = task.abort_handle();
        give.send((tokio, task)).map_err(|_| ErrorKind::Unexpected)?;
        Ok(Self { handle, last })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Does the work on this thread, in the context of the runtime, and refuses where waiting could wait for itself.
    pub(super) fn wait<T>(&self, operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let refused = |why| Err(Error::new(ErrorKind::Unsupported, why).with("operation", operation));
        if is_async() {
            return refused(
                "a blocking call inside async code would hold up its thread; call it in `tokio::task::spawn_blocking`, \
                 or use the async `jam::Sessions`",
            );
        }
        let Some(_call) = Call::begin() else {
            return refused(
                "a blocking call from inside another one, such as from the closure of `modify`, could wait for itself; \
                 make it before or after",
            );
        };
        let _context = self.handle.enter();
        // Not tokio's own `block_on`: it panics where it sees async code that `is_async` cannot tell.
        futures_lite::future::block_on(work)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.last.abort();
    }
}

/// A blocking call that this thread is in.
struct Call;

impl Call {
    fn begin() -> Option<Self> {
        (!IN_A_CALL.replace(true)).then_some(Self)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        IN_A_CALL.set(false);
    }
}

thread_local! {
    static IN_A_CALL: Cell<bool> = const { Cell::new(false) };
}

/// More than tokio gives to any poll.
const MAX_BUDGET: u32 = 1024;

/// Whether this thread runs async code of tokio's right now.
///
/// tokio has no question for it that does not panic. But async code has a budget of steps, and a thread that may block has
/// none, so the budget is used up, if there is one, and then put back.
fn is_async() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(_puts_back) = coop::poll_proceed(&mut context) else {
        return true;
    };
    (0..MAX_BUDGET).any(|_| match coop::poll_proceed(&mut context) {
        Poll::Ready(step) => {
            step.made_progress();
            false
        }
        Poll::Pending => true,
    })
}
