//! Whether a connection still leads to the primary: an old one that was cut off, or stood still, goes on answering until
//! the sentinels make it a replica, and nothing that it says shows that there is another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join;

use super::live::Live;
use super::node::{Node, Target};

impl Node {
    /// While calls are made, the sentinels are asked so often, in the background.
    pub(crate) const EVERY: Duration = Duration::from_secs(2);
    /// After so long without a question, as in a process that makes few calls, the next call waits for one.
    const LONG: Duration = Duration::from_secs(4);
    /// Between two questions that refusals give rise to.
    const BREATH: Duration = Duration::from_millis(100);

    /// Whether a connection is to be [checked](Self::check) before it is used.
    pub(super) fn is_doubtful(self: &Arc<Self>, live: &Arc<Live>) -> bool {
        let idle = live.was_idle(self.timeouts.idle);
        if live.led_to().is_none() {
            return idle;
        }
        let unasked = live.unasked();
        if idle || unasked > Self::LONG {
            return true;
        }
        if unasked > Self::EVERY {
            self.reconsider(live);
        }
        false
    }

    /// Whether a connection may be used: somebody is there, and as far as the sentinels say it is the primary.
    pub(super) async fn check(self: &Arc<Self>, live: &Arc<Live>) -> bool {
        let (is_there, ()) = join(Live::check(live), self.ask_first(live)).await;
        is_there && !live.is_broken()
    }

    /// Has the sentinels asked, once for all who wait for it, unless they were a moment ago. Those that were silent the last time
    /// are asked in the background for a while, so that not every call waits for them.
    async fn ask_first(self: &Arc<Self>, live: &Arc<Live>) {
        if live.led_to().is_none() {
            return;
        }
        if live.asked_in_vain(Self::LONG) {
            self.reconsider(live);
            return;
        }
        let needless = || live.is_broken() || live.unasked() <= Self::LONG.min(self.timeouts.idle);
        let attempt = || {
            let (node, live) = (Arc::clone(self), Arc::clone(live));
            async move {
                node.question(&live).await;
                Ok(())
            }
        };
        let limit = self.timeouts.connect;
        let asked = self.asking.join(limit, Duration::ZERO, needless, attempt);
        // What came of it the connection says. One that was begun where nobody drives it any more takes longer than it may.
        drop(tokio::time::timeout(limit, asked).await);
    }

    /// Has the sentinels say, in the background, whether a server is still the primary that behaves as if it were not, or
    /// that they were not asked about for a while.
    pub(crate) fn reconsider(self: &Arc<Self>, main: &Arc<Live>) {
        let needless = main.is_broken() || !matches!(self.target, Target::Sentinel(_));
        // The first look costs less, and while a question is under way every call comes by here.
        let under_way =
            || self.reconsidering.load(Ordering::Relaxed) || self.reconsidering.swap(true, Ordering::AcqRel);
        if needless || under_way() {
            return;
        }
        let question = Reconsidering(Arc::clone(self));
        let main = Arc::clone(main);
        tokio::spawn(async move {
            question.0.question(&main).await;
            tokio::time::sleep(Self::BREATH).await;
        });
    }

    /// The same at once. If they name another server, the connection is given up, and that of the near cache.
    pub(super) async fn question(&self, main: &Live) {
        let (Target::Sentinel(sentinels), Some(at)) = (&self.target, main.led_to()) else {
            return;
        };
        let asked = main.age();
        let said = sentinels.prefer_another(at, &self.config(), self.late()).await;
        if said == Some(true) {
            tracing::debug!("the sentinels name another primary");
            main.give_up();
            self.untrack();
        }
        main.asked_at(asked, said.is_none());
    }

    /// Whether what was read near is still to be trusted, as far as the sentinels say.
    #[cfg(feature = "near-cache")]
    pub(crate) async fn leads(self: &Arc<Self>) -> bool {
        if !matches!(self.target, Target::Sentinel(_)) {
            return true;
        }
        let Some(live) = self.open() else { return false };
        !self.is_doubtful(&live) || self.check(&live).await
    }

    /// For sentinels that have not answered by then nobody waits who can do without.
    pub(super) fn late(&self) -> Duration {
        self.timeouts.connect / 4
    }
}

/// A question to the sentinels, until it is over, whichever way.
struct Reconsidering(Arc<Node>);

impl Drop for Reconsidering {
    fn drop(&mut self) {
        self.0.reconsidering.store(false, Ordering::Release);
    }
}
