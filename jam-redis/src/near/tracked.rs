//! A connection on which the server says what was changed of what was read over it.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jam_core::cache::{Lease, Moment};
use jam_core::{Error, ErrorKind, Result};
use redis::{Pipeline, PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::{Near, tracks};
use crate::connect::{Live, Node, Served};
use crate::error;

/// The connection, and for how long it is to be trusted.
pub(crate) struct Tracked {
    pub(crate) live: Live,
    lease: Arc<Lease>,
    /// A hash that this server serves. Whoever does not serve it any more is not to be trusted either.
    probe: Box<[u8]>,
    /// Of a node of a cluster, what it serves, as it said last.
    served: Option<Mutex<Served>>,
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
        let in_cluster = node.is_in_cluster();
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("CLIENT").arg("TRACKING").arg("ON");
        if in_cluster {
            pipeline.cmd("CLUSTER").arg("SLOTS");
        }
        let sent = near.now();
        let replies = live.pipeline(&pipeline, 1 + usize::from(in_cluster)).await;
        let mut replies = replies.map_err(error::unconnected)?;
        let slots = if in_cluster { replies.pop() } else { None };
        tracks(replies.pop().unwrap_or(Value::Nil))?;
        let served = slots.map(|slots| Served::with(probe, &slots).ok_or_else(serves_it_no_more));
        lease.confirm(sent);
        Ok(Self {
            live,
            lease,
            probe: probe.into(),
            served: served.transpose()?.map(Mutex::new),
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
        let mut question = Pipeline::with_capacity(2);
        // No session has that field. A node that serves the hash no more says so, and so does one that serves nothing.
        question.cmd("HGET").arg(&*self.probe).arg("");
        if self.served.is_some() {
            question.cmd("CLUSTER").arg("SLOTS");
        }
        let sent = near.now();
        let replies = self
            .live
            .pipeline(&question, 1 + usize::from(self.served.is_some()))
            .await;
        let mut replies = replies.ok()?;
        if let Some(before) = &self.served {
            let served = Served::with(&self.probe, &replies.pop()?)?;
            let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
            // A slot may go with its keys in one step, and what happens to them elsewhere is told here to nobody.
            if served.lacks_any_of(&before) {
                return None;
            }
            *before = served;
        }
        matches!(replies[..], [Value::Nil | Value::BulkString(_)]).then_some(sent)
    }
}

fn serves_it_no_more() -> Error {
    let message = "a node of the Redis cluster does not say (any more) that it serves what it was asked for";
    Error::new(ErrorKind::Unavailable, message)
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

    pub(super) fn start(tracked: &Arc<Tracked>, node: &Arc<Node>, near: &Arc<Near>) -> Self {
        let beating = Beating {
            tracked: Arc::clone(tracked),
            node: Arc::downgrade(node),
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
    /// Which keeps this.
    node: Weak<Node>,
    near: Arc<Near>,
}

impl Beating {
    async fn run(self) {
        let step = self.near.bound / 4;
        let mut asked = self.near.now();
        loop {
            tokio::time::sleep(step.min(Node::EVERY)).await;
            let now = self.near.now();
            let rested = self.near.idle(now) > Heart::REST;
            if rested {
                self.tracked.wanted.notified().await;
            }
            // The answer of a primary of yesterday is worth nothing.
            let Some(node) = self.node.upgrade() else { break };
            if !node.leads().await {
                break;
            }
            drop(node);
            // Reads show that it is there, and not what it still serves.
            let by_reads = self.tracked.served.is_none() || now.since(asked) < self.near.bound / 2;
            if by_reads && !rested && self.tracked.lease.age(now) < step {
                continue;
            }
            match self.tracked.ask(&self.near).await {
                Some(sent) => {
                    asked = sent;
                    self.tracked.confirm(sent);
                }
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
