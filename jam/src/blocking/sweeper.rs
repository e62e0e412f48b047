//! Sweeping expired sessions in the background of a blocking manager.

use std::time::Duration;

use tokio::task::AbortHandle;

use super::Sessions;

/// A sweep that goes on in the background; from [`Sessions::sweep_every`].
#[derive(Clone, Debug)]
pub struct Sweeper(AbortHandle);

impl Sweeper {
    /// Ends it. A sweep that is under way stops at the next step.
    pub fn stop(&self) {
        self.0.abort();
    }
}

impl Sessions {
    /// Removes expired sessions now and after every interval, on the thread `jam-blocking`, until it is
    /// [stopped](Sweeper::stop) or the last clone of the manager is dropped; dropping what it gives does not stop it. A sweep that fails
    /// is logged (level WARN), and the next one comes in its turn. May be called anywhere.
    pub fn sweep_every(&self, interval: Duration) -> Sweeper {
        let sweeping = self.inner.sessions.sweep_every(interval, tokio::time::sleep);
        Sweeper(self.inner.runtime.handle().spawn(sweeping).abort_handle())
    }
}
