//! Reclaiming the space of expired sessions.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use super::facts::note;
use crate::Result;

impl Sessions {
    /// Reclaims the space of expired sessions and tells how many records that were: those that jam itself leaves for a while at ids
    /// that were replaced, by a login or a rotation with grace, are among them. Expired sessions are never returned anyway.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable).
    pub async fn remove_expired(&self) -> Result<u64> {
        self.run("remove_expired", async {
            let removed = self.inner.store().remove_expired(self.inner.clock.now()).await?;
            note(|facts| facts.expired += removed);
            Ok(removed)
        })
        .await
    }

    /// A future that removes expired sessions now and after every interval, for the application to spawn; it ends when
    /// it is dropped, and after the last clone of the manager was: it keeps no store open by itself. A sweep that fails is logged
    /// (level WARN), and the next one comes in its turn.
    ///
    /// `sleep` comes from the runtime, such as `tokio::time::sleep`.
    ///
    /// ```
    /// # use jam_core::{MemoryStore, Sessions};
    /// # use std::time::Duration;
    /// # let sessions = Sessions::new(MemoryStore::new());
    /// # async fn sleep(_: Duration) {}
    /// let sweeper = sessions.sweep_every(Duration::from_secs(60), sleep);
    /// # fn spawn(_: impl Future<Output = ()> + Send + 'static) {}
    /// spawn(sweeper);
    /// ```
    pub fn sweep_every<S, F>(&self, interval: Duration, mut sleep: S) -> impl Future<Output = ()> + Send + use<S, F>
    where
        S: FnMut(Duration) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let manager = Arc::downgrade(&self.inner);
        async move {
            while let Some(inner) = manager.upgrade() {
                let sessions = Self { inner };
                if let Err(error) = sessions.remove_expired().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "expired sessions could not be removed"
                    );
                }
                drop(sessions);
                sleep(interval).await;
            }
        }
    }
}
