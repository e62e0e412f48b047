//! A connection on which the server says what was changed of what was read over it.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jam_core::Result;
use jam_core::cache::{Lease, Moment};
use redis::{Pipeline, PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::{Near, tracks};
use crate::connect::{Live, Node};
use crate::error;

/// The connection, and for how long it is to be trusted.
pub(crate) struct Tracked {
    pub(crate) live: Live,
    lease: Arc<Lease>,
    /// A hash that this server serves. Whoever does not serve it any more is not to be trusted either.
    probe: Box<[u8]>,
    wanted: Notify,
}

impl Tracked {
    /// Opens one to the server of a node, beside the node's own.
    pub(super) async fn open(node: &Node, near: &Arc<Near>, probe: &[u8]) -> Result<Self> {
        let lease = Arc::new(Lease::new(near.bound, near.now()));
        let hears = {
            let (lease, near) = (Arc::clone(&lease), Arc::clone(near));
            move |push| {
                hear(push, &near, &lease);
                Ok::<(), Infallible>(())
            }
        };
        let live = node.greet_tracked(hears).await?;
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.cmd("CLIENT").arg("TRACKING").arg("ON");
        let sent = near.now();
        let mut replies = live.pipeline(&pipeline, 1).await.map_err(error::unconnected)?;
        tracks(replies.pop().unwrap_or(Value::Nil))?;
        lease.confirm(sent);
        Ok(Self {
            live,
            lease,
            probe: probe.into(),
            wanted: Notify::new(),
        })
    }

    pub(super) fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// Notes that a read was answered that was sent then.
    pub(crate) fn confirm(&self, sent: Moment) {
        self.lease.confirm(sent);
    }

    /// Whether reads may be made over it and kept.
    pub(super) fn holds(&self, now: Moment) -> bool {
        self.lease.holds(now)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lease.has_ended()
    }

    /// Says that somebody would read over it.
    pub(super) fn wake(&self) {
        self.wanted.notify_one();
    }

    /// Gives the connection up, and everything that was read over it.
    pub(crate) fn end(&self, near: &Near) {
        self.lease.end();
        near.forget_all();
    }

    /// Asks the server, so that whatever it said before has arrived; when it was asked.
    async fn ask(&self, near: &Near) -> Option<Moment> {
        let mut question = Pipeline::with_capacity(1);
        // No session has that field. A node that serves the hash no more says so, and so does one that serves nothing.
        question.cmd("HGET").arg(&*self.probe).arg("");
        let sent = near.now();
        let replies = self.live.pipeline(&question, 1).await.ok()?;
        matches!(replies[..], [Value::Nil | Value::BulkString(_)]).then_some(sent)
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// What the server pushes. The driver calls this before it hands out any reply that came later.
fn hear(push: PushInfo, near: &Near, lease: &Lease) {
    match push.kind {
        PushKind::Invalidate => match push.data.into_iter().next() {
            Some(Value::Array(hashes)) => {
                for hash in hashes {
                    match hash {
                        Value::BulkString(name) => near.changed(&name),
                        _ => near.forget_all(),
                    }
                }
            }
            // Of everything: the server was emptied.
            _ => near.forget_all(),
        },
        PushKind::Disconnection => {
            lease.end();
            near.forget_all();
        }
        _ => {}
    }
}

/// Asks the server again and again while somebody reads. The connection lives as long as this is kept.
#[derive(Debug)]
pub(super) struct Heart(AbortHandle);

impl Heart {
    /// After so long without readers nobody is asked.
    const REST: Duration = Duration::from_secs(10);

    pub(super) fn start(tracked: &Arc<Tracked>, near: &Arc<Near>) -> Self {
        let beating = Beating {
            tracked: Arc::clone(tracked),
            near: Arc::clone(near),
        };
        Self(tokio::spawn(beating.run()).abort_handle())
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The task. With it ends the trust in the connection, whichever way it ends.
struct Beating {
    tracked: Arc<Tracked>,
    near: Arc<Near>,
}

impl Beating {
    async fn run(self) {
        let step = self.near.bound / 4;
        loop {
            tokio::time::sleep(step).await;
            let now = self.near.now();
            if self.near.idle(now) > Heart::REST {
                self.tracked.wanted.notified().await;
            } else if self.tracked.lease.age(now) < step {
                // A read has shown it just now.
                continue;
            }
            match self.tracked.ask(&self.near).await {
                Some(sent) => self.tracked.confirm(sent),
                None => break,
            }
        }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.tracked.end(&self.near);
    }
}
