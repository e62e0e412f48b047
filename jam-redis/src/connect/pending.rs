//! Callers who leave without a reply: if all of them do, nobody else would find out that a connection is dead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;

use super::live::Live;

impl Live {
    /// The same question as [`is_there`](Self::is_there), which goes on when whoever asks has no time for the answer.
    pub(crate) async fn check(live: &Arc<Self>) -> bool {
        let pending = Pending::on(live);
        let there = live.is_there().await;
        pending.over();
        there
    }

    /// Asks in the background whether anybody is there, for a caller that left without a reply. If all of them leave before the
    /// response timeout, nobody else would find out.
    fn doubt(live: &Arc<Self>) {
        const RECENTLY: Duration = Duration::from_millis(100);
        let needless = live.is_lent() || live.is_broken() || !live.was_silent(live.age(), RECENTLY);
        if needless || live.doubted.swap(true, Ordering::AcqRel) {
            return;
        }
        let doubt = Doubt(Arc::clone(live));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { doubt.0.is_there().await });
        }
    }
}

/// A call that waits for its reply. If it is dropped before, the connection may be dead.
pub(crate) struct Pending<'a>(Option<&'a Arc<Live>>);

impl<'a> Pending<'a> {
    pub(crate) fn on(live: &'a Arc<Live>) -> Self {
        Self(Some(live))
    }

    /// There is a reply, or an error in its place.
    pub(crate) fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(live) = self.0 {
            Live::doubt(live);
        }
    }
}

/// A question in the background, until it is over, whichever way.
struct Doubt(Arc<Live>);

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.doubted.store(false, Ordering::Release);
    }
}
