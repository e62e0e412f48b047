//! Sweeping expired sessions on tokio.

use std::time::Duration;

use jam_core::Sessions;
use tokio::task::JoinHandle;

/// Spawns a task that removes expired sessions now and after every interval. It runs until it is aborted, the runtime ends, or
/// the last clone of the manager is dropped (at the next interval); dropping the handle does not stop it.
///
/// # Panics
/// Outside a tokio runtime, as `tokio::spawn` does.
pub fn spawn_sweeper(sessions: &Sessions, interval: Duration) -> JoinHandle<()> {
    tokio::spawn(sessions.sweep_every(interval, tokio::time::sleep))
}
