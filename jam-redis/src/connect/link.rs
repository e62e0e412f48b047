//! How a call gets to the server that is to make it.

use std::sync::Arc;
use std::time::Duration;

use jam_core::{Error, ErrorKind, Result};
use redis::Value;

use super::cluster::Cluster;
use super::live::Live;
use super::node::Node;
use super::slots::Address;
use crate::error::Trouble;
use crate::script::Call;

/// The way to the servers.
#[derive(Debug)]
pub(crate) enum Link {
    /// One server at a time.
    One(Arc<Node>),
    /// A cluster.
    Many(Box<Cluster>),
}

/// How many replicas a write shall have reached before it is acknowledged, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) within: Duration,
}

impl Link {
    /// So many redirections, changes of generation and moves under way are followed in one call. Each says that the call
    /// was not carried out.
    const HOPS: usize = 12;

    /// Makes a call on the server that holds `key`. What the call is depends on what that server can do.
    ///
    /// # Errors
    /// Those of the server and the connection; [`outcome_unknown`](Error::outcome_unknown) if the call `writes` and may
    /// have been carried out. It is not made twice.
    pub(crate) async fn run<'a>(
        &self,
        key: &[u8],
        writes: bool,
        replicas: Option<Replicas>,
        call: impl Fn(&Live) -> Result<Call<'a>>,
    ) -> Result<(Value, Arc<Live>)> {
        let (mut at, mut node) = self.route(key).await?;
        let mut asking = false;
        let mut hops = 0;
        loop {
            let live = node.live().await.inspect_err(|_| self.hint())?;
            let made = call(&live)?;
            let answer = match replicas {
                None => live.call(&made, asking).await,
                Some(replicas) => Box::pin(in_time(&node, &live, &made, replicas, asking)).await?,
            };
            let trouble = match answer {
                Ok(value) => return Ok((value, live)),
                Err(trouble) => trouble,
            };
            hops += 1;
            asking = false;
            match (&trouble, self) {
                _ if hops > Self::HOPS => return Err(trouble.into_error(writes)),
                (Trouble::OtherGeneration, _) => Box::pin(live.probe(key)).await?,
                (Trouble::Moved(to), Self::Many(cluster)) => {
                    cluster.hint();
                    (at, node) = cluster.redirected(to, &at)?;
                }
                (Trouble::Ask(to), Self::Many(cluster)) => {
                    (at, node) = cluster.redirected(to, &at)?;
                    asking = true;
                }
                (Trouble::TryAgain, Self::Many(_)) => {
                    Box::pin(tokio::time::sleep(Duration::from_millis(10))).await;
                }
                _ => {
                    self.hint();
                    return Err(trouble.into_error(writes));
                }
            }
        }
    }

    pub(crate) async fn route(&self, key: &[u8]) -> Result<(Address, Arc<Node>)> {
        match self {
            Self::One(node) => Ok((Address::default(), Arc::clone(node))),
            Self::Many(cluster) => Box::pin(cluster.route(key)).await,
        }
    }

    fn hint(&self) {
        if let Self::Many(cluster) = self {
            cluster.hint();
        }
    }

    /// Every server that holds a part of the sessions.
    pub(crate) async fn primaries(&self) -> Result<Vec<(Address, Arc<Node>)>> {
        match self {
            Self::One(node) => Ok(vec![(Address::default(), Arc::clone(node))]),
            Self::Many(cluster) => cluster.primaries().await,
        }
    }

    /// Whether two keys may lie on different servers.
    pub(crate) fn parts(&self, one: &[u8], other: &[u8]) -> bool {
        matches!(self, Self::Many(_)) && super::slots::slot_of(one) != super::slots::slot_of(other)
    }

    pub(crate) fn close(&self) {
        match self {
            Self::One(node) => node.close(),
            Self::Many(cluster) => cluster.close(),
        }
    }
}

/// Makes a call and waits until so many replicas have what it wrote.
async fn in_time(
    node: &Node,
    live: &Live,
    call: &Call<'_>,
    replicas: Replicas,
    asking: bool,
) -> Result<Result<Value, Trouble>> {
    let Replicas { count, within } = replicas;
    let (value, reached) = match node.call_and_wait(call, count, within, asking).await? {
        Ok(answer) => answer,
        Err(error) => {
            let trouble = Trouble::of(error);
            if matches!(trouble, Trouble::Lost(_) | Trouble::ReadOnly) {
                live.give_up();
            }
            return Ok(Err(trouble));
        }
    };
    // The write was made, whatever became of the wait.
    let reached = reached.map_err(|error| Trouble::of(error).into_error(true).with_outcome_unknown())?;
    if reached < u64::from(count) {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "the write was made, but too few replicas confirmed it in time; a failover now could undo it",
        )
        .with("replicas", reached.to_string())
        .with("wanted", count.to_string())
        .with_outcome_unknown());
    }
    Ok(Ok(value))
}
