//! A Redis Cluster: a connection to each primary, and who serves which slot.
//!
//! The driver's own cluster connection sends a command again after a lost connection, writes among them, so it is not
//! used: jam follows redirections, which say that nothing was done, and nothing else.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jam_core::{Error, ErrorKind, Result};
use redis::Pipeline;

use super::node::{Node, Target, Timeouts};
use super::slots::{Address, SlotMap, redirection, slot_of};
use crate::error;

/// Opens a client for an address of the cluster, with the credentials and certificates of the seeds.
pub(crate) type Dial = Box<dyn Fn(&Address) -> Result<redis::Client> + Send + Sync>;

/// The nodes of a cluster.
pub(crate) struct Cluster {
    seeds: Vec<Address>,
    dial: Dial,
    timeouts: Timeouts,
    probe_key: Arc<[u8]>,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    map: RwLock<Arc<SlotMap>>,
    /// How many hints there were that the map is out of date, and how many the present one was read after.
    hints: AtomicU64,
    heeded: AtomicU64,
    /// Held by the one who reads the map; when that was done last.
    reading: tokio::sync::Mutex<Option<Instant>>,
}

impl Cluster {
    /// The map is not read more often than this.
    const PAUSE: Duration = Duration::from_millis(50);

    pub(crate) fn new(seeds: Vec<Address>, dial: Dial, timeouts: Timeouts, probe_key: Arc<[u8]>) -> Self {
        Self {
            seeds,
            dial,
            timeouts,
            probe_key,
            nodes: Mutex::new(HashMap::new()),
            map: RwLock::new(Arc::default()),
            hints: AtomicU64::new(1),
            heeded: AtomicU64::new(0),
            reading: tokio::sync::Mutex::new(None),
        }
    }

    /// The node that serves the slot of a key, as far as is known, and its address.
    pub(crate) async fn route(&self, key: &[u8]) -> Result<(Address, Arc<Node>)> {
        let map = self.map().await?;
        let address = map.primary(slot_of(key)).ok_or_else(|| {
            self.hint();
            Error::new(
                ErrorKind::Unavailable,
                "no node of the Redis Cluster serves this slot now",
            )
        })?;
        Ok((address.clone(), self.node(address)?))
    }

    /// The node a redirection points to.
    pub(crate) fn redirected(&self, to: &str, by: &Address) -> Result<(Address, Arc<Node>)> {
        let address = redirection(to, by)
            .ok_or_else(|| error::unexpected("the Redis Cluster redirected a call to an address that is none"))?;
        let node = self.node(&address)?;
        Ok((address, node))
    }

    /// Says that the map does not fit what a node said or did.
    pub(crate) fn hint(&self) {
        self.hints.fetch_add(1, Ordering::AcqRel);
    }

    fn is_stale(&self) -> bool {
        self.hints.load(Ordering::Acquire) > self.heeded.load(Ordering::Acquire)
    }

    /// Every primary that serves slots, in an order that stays as long as they do.
    pub(crate) async fn primaries(&self) -> Result<Vec<(Address, Arc<Node>)>> {
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
        let target = Target::Server((self.dial)(address)?);
        let node = Arc::new(Node::new(target, self.timeouts, Arc::clone(&self.probe_key)));
        nodes.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }

    /// The map, read again if something said that it is out of date.
    async fn map(&self) -> Result<Arc<SlotMap>> {
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

    /// Asks one node after the other until one tells who serves what.
    async fn refresh(&self) -> Result<()> {
        let mut last = self.reading.lock().await;
        if !self.is_stale() || last.is_some_and(|at| at.elapsed() < Self::PAUSE) {
            return Ok(());
        }
        // Counted before the question: a hint that comes during it makes the answer stale again.
        let hints = self.hints.load(Ordering::Acquire);
        let asked: Vec<Address> = {
            let map = self.current();
            let mut asked: Vec<_> = map.primaries().to_vec();
            asked.extend(self.seeds.iter().cloned());
            let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            asked.extend(nodes.keys().cloned());
            let mut seen = std::collections::HashSet::new();
            asked.retain(|address| seen.insert(address.clone()));
            asked
        };
        // All at once, and the first that answers counts: a silent node would use up the time of the others.
        let answers = asked.iter().map(|address| Box::pin(self.ask(address)));
        let answer = futures_util::future::select_ok(answers).await;
        *last = Some(Instant::now());
        let (map, _) = answer?;
        self.keep(map);
        self.heeded.store(hints, Ordering::Release);
        Ok(())
    }

    async fn ask(&self, address: &Address) -> Result<SlotMap> {
        let live = self.node(address)?.live().await?;
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.cmd("CLUSTER").arg("SLOTS");
        let mut replies = live.pipeline(&pipeline, 1).await.map_err(|error| {
            live.give_up();
            error::unconnected(error)
        })?;
        let reply = replies.pop().unwrap_or(redis::Value::Nil);
        let reply = reply.extract_error().map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "a node does not answer CLUSTER SLOTS: it is not in a cluster, or the user may not ask it",
            )
        })?;
        SlotMap::of(reply, address).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "a node of the Redis Cluster knows of no served slots yet",
            )
        })
    }

    /// Puts a map in place, and lets go of nodes that are in it no more.
    fn keep(&self, map: SlotMap) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|address, _| map.primaries().contains(address) || self.seeds.contains(address));
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
    }

    /// Lets go of every connection.
    pub(crate) fn close(&self) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        for node in nodes.drain() {
            node.1.close();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}
