//! A Redis Cluster: a connection to each primary, and who serves which slot.
//!
//! The driver's own cluster connection sends a command again after a lost connection, writes among them, so it is not
//! used: jam follows redirections, which say that nothing was done, and nothing else.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use jam_core::{Error, ErrorKind, Result};
use redis::{Pipeline, RedisError, Value};

use super::Dial;
use super::attempts::Attempts;
use super::live::Live;
use super::node::{Node, Target, Timeouts};
use super::slots::{Address, SlotMap, redirection, slot_of};
use crate::error::{self, Trouble};
use crate::near::Near;

/// The nodes of a cluster.
pub(crate) struct Cluster {
    seeds: Vec<Address>,
    dial: Dial,
    timeouts: Timeouts,
    probe_key: Arc<[u8]>,
    near: Option<Arc<Near>>,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    map: RwLock<Arc<SlotMap>>,
    /// How many hints there were that the map is out of date, and how many the present one was read after.
    hints: AtomicU64,
    heeded: AtomicU64,
    reading: Attempts,
    /// When the map was read last.
    read: Mutex<Option<Instant>>,
    /// The store was closed.
    closed: AtomicBool,
}

/// What a node says about the cluster.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) is_well: bool,
    /// `CLUSTER NODES`; `None` if the user may not ask.
    pub(crate) nodes: Option<String>,
}

impl Cluster {
    /// The map is not read more often than this.
    const PAUSE: Duration = Duration::from_millis(50);

    pub(crate) fn new(
        seeds: Vec<Address>,
        dial: Dial,
        timeouts: Timeouts,
        probe_key: Arc<[u8]>,
        near: Option<Arc<Near>>,
    ) -> Self {
        Self {
            seeds,
            dial,
            timeouts,
            probe_key,
            near,
            nodes: Mutex::new(HashMap::new()),
            map: RwLock::new(Arc::default()),
            hints: AtomicU64::new(1),
            heeded: AtomicU64::new(0),
            reading: Attempts::default(),
            read: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// An open connection to the node that serves the slot of a key, as far as is known.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] within the connect timeout for the map, the response timeout for a connection that was idle, and the
    /// connect timeout for a new one; nothing was sent then.
    pub(crate) async fn reach(self: &Arc<Self>, key: &[u8]) -> Result<(Address, Arc<Node>, Arc<Live>)> {
        // Each has bounds of its own: a connection that was idle is asked first, and may have to be replaced.
        let reaching = async {
            let (at, node) = self.route(key).await?;
            let live = node.live().await?;
            Ok((at, node, live))
        };
        reaching.await.inspect_err(|_| self.hint())
    }

    /// The node that serves the slot of a key, as far as is known, and its address.
    async fn route(self: &Arc<Self>, key: &[u8]) -> Result<(Address, Arc<Node>)> {
        let map = self.map().await?;
        let address = map.primary(slot_of(key)).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "no node of the Redis Cluster serves this slot now",
            )
        })?;
        Ok((address.clone(), self.node(address)?))
    }

    /// How long what is on the move is waited for.
    pub(crate) const fn patience(&self) -> Duration {
        self.timeouts.response
    }

    /// The node a redirection points to.
    pub(crate) fn redirected(&self, to: &str, by: &Address) -> Result<(Address, Arc<Node>)> {
        let address = redirection(to, by)
            .ok_or_else(|| error::unexpected("the Redis Cluster redirected a call to an address that is none"))?;
        let node = self.node(&address)?;
        self.forget_all();
        Ok((address, node))
    }

    /// Who serves what has changed, or is about to: what was read near counts no more.
    fn forget_all(&self) {
        if let Some(near) = &self.near {
            near.forget_all();
        }
    }

    /// The connection of the near cache to the node that serves the slot of a key, as far as is known now.
    #[cfg(feature = "near-cache")]
    pub(crate) fn tracked(&self, key: &[u8]) -> Option<Arc<crate::near::Tracked>> {
        if self.is_stale() {
            return None;
        }
        let map = self.current();
        let address = map.primary(slot_of(key))?;
        let node = Arc::clone(self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(address)?);
        node.tracked(key)
    }

    /// Says that the map does not fit what a node said or did.
    pub(crate) fn hint(&self) {
        self.hints.fetch_add(1, Ordering::AcqRel);
    }

    fn is_stale(&self) -> bool {
        self.hints.load(Ordering::Acquire) > self.heeded.load(Ordering::Acquire)
    }

    /// Every primary that serves slots, in an order that stays as long as they do.
    pub(crate) async fn primaries(self: &Arc<Self>) -> Result<Vec<(Address, Arc<Node>)>> {
        let map = self.map().await?;
        let mut primaries = map.primaries().to_vec();
        primaries.sort();
        primaries
            .into_iter()
            .map(|address| self.node(&address).map(|node| (address, node)))
            .collect()
    }

    fn node(&self, address: &Address) -> Result<Arc<Node>> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(address) {
            return Ok(Arc::clone(node));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(error::closed());
        }
        let target = Target::Node((self.dial)(address)?);
        let node = Arc::new(Node::new(
            target,
            self.timeouts,
            Arc::clone(&self.probe_key),
            self.near.as_ref(),
        ));
        nodes.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }

    /// The map, read again if something said that it is out of date.
    async fn map(self: &Arc<Self>) -> Result<Arc<SlotMap>> {
        if self.is_stale() {
            let reading = tokio::time::timeout(self.timeouts.connect, self.refresh());
            let read = reading
                .await
                .unwrap_or_else(|_| Err(error::no_connection_within(self.timeouts.connect)));
            // An old map is better than none: the nodes themselves say where it is wrong.
            if let (Err(error), true) = (read, self.current().primaries().is_empty()) {
                return Err(error);
            }
        }
        Ok(self.current())
    }

    fn current(&self) -> Arc<SlotMap> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks every node that is known, until one tells who serves what.
    async fn refresh(self: &Arc<Self>) -> Result<()> {
        let attempt = || {
            let cluster = Arc::clone(self);
            async move {
                // Counted before the question: a hint that comes during it makes the answer stale again.
                let hints = cluster.hints.load(Ordering::Acquire);
                cluster.keep(cluster.ask_all().await?);
                cluster.heeded.store(hints, Ordering::Release);
                *cluster.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Ok(())
            }
        };
        let needless = || {
            let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
            !self.is_stale() || read.is_some_and(|at| at.elapsed() < Self::PAUSE)
        };
        self.reading
            .join(self.timeouts.connect, Self::PAUSE, needless, attempt)
            .await
    }

    /// All at once, and the first that answers counts: a silent node would use up the time of the others. Replicas are
    /// asked where the primaries and the seeds do not answer; all of those may have been replaced while nobody called.
    async fn ask_all(&self) -> Result<SlotMap> {
        let map = self.current();
        let mut known: Vec<Address> = map.primaries().to_vec();
        known.extend(self.seeds.iter().cloned());
        known.sort();
        known.dedup();
        let mut replicas = map.replicas().to_vec();
        replicas.retain(|address| !known.contains(address));
        let mut asked: FuturesUnordered<_> = known.into_iter().map(|address| self.ask(address)).collect();
        let mut failed: Option<Error> = None;
        let late = Instant::now().checked_add(self.timeouts.connect / 2);
        loop {
            let answer = match late {
                Some(late) if !replicas.is_empty() => {
                    let answer = tokio::time::timeout_at(late.into(), asked.next()).await;
                    answer.unwrap_or_default()
                }
                _ => asked.next().await,
            };
            match answer {
                Some(Ok(map)) => return Ok(map),
                // What is wrong with the config is worth more than that somebody is away.
                Some(Err(error)) => {
                    if failed
                        .as_ref()
                        .is_none_or(|failed| failed.kind() == ErrorKind::Unavailable)
                    {
                        failed = Some(error);
                    }
                }
                None if replicas.is_empty() => {
                    return Err(failed.unwrap_or_else(|| error::unexpected("a Redis Cluster without seeds")));
                }
                None => asked.extend(replicas.drain(..).map(|address| self.ask(address))),
            }
        }
    }

    async fn ask(&self, address: Address) -> Result<SlotMap> {
        let live = self.node(&address)?.live().await?;
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("CLUSTER").arg("SLOTS");
        pipeline.cmd("CLUSTER").arg("INFO");
        let replies = live.pipeline(&pipeline, 2).await.map_err(|error| {
            live.give_up();
            error::unconnected(error)
        })?;
        let [slots, state]: [Value; 2] = replies
            .try_into()
            .map_err(|_| error::unexpected("the Redis server answered too few commands"))?;
        let slots = slots.extract_error().map_err(no_cluster)?;
        // A node that is cut off from the others calls the cluster down, and its map may be of yesterday.
        if let Ok(state) = redis::from_redis_value::<String>(state)
            && state.contains("cluster_state:fail")
        {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the Redis Cluster is down: a node says that slots are not served, or is cut off from the others",
            ));
        }
        SlotMap::of(slots, &address).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "a node of the Redis Cluster knows of no served slots yet",
            )
        })
    }

    /// What each node that is known and answers says about the cluster.
    ///
    /// # Errors
    /// That none answers.
    pub(crate) async fn survey(self: &Arc<Self>) -> Result<Vec<View>> {
        // The map brings nodes that the URL does not name. A cluster that is down has none.
        drop(self.map().await);
        let mut known: Vec<Address> = self.current().primaries().to_vec();
        known.extend(self.seeds.iter().cloned());
        known.sort();
        known.dedup();
        let answers = join_all(known.into_iter().map(|address| self.view(address))).await;
        let mut failed = None;
        let mut views = Vec::new();
        for answer in answers {
            match answer {
                Ok(view) => views.push(view),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if views.is_empty() => Err(error),
            _ => Ok(views),
        }
    }

    async fn view(&self, address: Address) -> Result<View> {
        let live = self.node(&address)?.live().await?;
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("CLUSTER").arg("INFO");
        pipeline.cmd("CLUSTER").arg("NODES");
        let replies = live.pipeline(&pipeline, 2).await.map_err(error::unconnected)?;
        let [state, nodes]: [Value; 2] = replies
            .try_into()
            .map_err(|_| error::unexpected("the Redis server answered too few commands"))?;
        let state: String = redis::from_redis_value(state.extract_error().map_err(no_cluster)?).unwrap_or_default();
        Ok(View {
            is_well: state.contains("cluster_state:ok"),
            nodes: redis::from_redis_value(nodes).ok(),
        })
    }

    /// Puts a map in place, and lets go of nodes that are in it no more.
    fn keep(&self, map: SlotMap) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|address, node| {
            let serves = map.primaries().contains(address);
            if !serves {
                node.untrack();
            }
            serves || self.seeds.contains(address)
        });
        let before = mem::replace(
            &mut *self.map.write().unwrap_or_else(PoisonError::into_inner),
            Arc::new(map),
        );
        if *before != *self.current() {
            self.forget_all();
        }
    }

    /// Lets go of every connection.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        for node in nodes.drain() {
            node.1.close();
        }
    }
}

/// Why a node does not say who serves what.
fn no_cluster(error: RedisError) -> Error {
    match Trouble::of(error) {
        // The bare `ERR`: the server was not started as a node of a cluster.
        Trouble::Refused(error) if error.kind() == ErrorKind::Unexpected => not_in_a_cluster(),
        Trouble::OtherGeneration => not_in_a_cluster(),
        Trouble::Refused(error) if error.kind() == ErrorKind::Config => Error::new(
            ErrorKind::Config,
            "the Redis user may not call CLUSTER SLOTS; a cluster's clients need `+cluster|slots`, `+cluster|info` and, for \
             scans, `+cluster|nodes`",
        ),
        trouble => trouble.into_error(false),
    }
}

fn not_in_a_cluster() -> Error {
    Error::new(
        ErrorKind::Config,
        "the server is not in a cluster, as a `redis+cluster://` URL says; leave the `+cluster` out for a single one",
    )
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}
