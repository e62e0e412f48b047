//! How a call gets to the server that is to make it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jam_core::{Error, ErrorKind, Result};
use redis::{Pipeline, Value};

use super::clock::Moment;
use super::cluster::Cluster;
use super::live::Live;
use super::looks::Look;
use super::node::{Node, Replicas};
use super::pending::Pending;
use super::probe::Generation;
use super::slots::{Address, SlotMap};
use super::wait::confirmed;
use crate::error::{self, Trouble};
use crate::near::Near;
use crate::script::Call;

/// The way to the servers.
#[derive(Debug)]
pub(crate) enum Link {
    /// One server at a time.
    One(Arc<Node>),
    /// A cluster.
    Many(Arc<Cluster>),
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) value: Value,
    /// The connection it came over.
    pub(crate) live: Arc<Live>,
    /// When a script was sent, which may have looked at the server's clock; `None` for a plain command.
    pub(crate) looked: Option<Moment>,
    /// It has left the hash without emulated values, if there were any.
    converts: bool,
    /// While it is kept, others who do not know the hash wait for what is learned of it.
    look: Option<Look>,
}

impl Answer {
    /// Takes note of what it shows about the hash, or the hashes, and lets go on who waits for that.
    pub(crate) fn note(&mut self, hashes: &[&[u8]]) {
        if self.converts {
            for hash in hashes {
                self.live.learn(hash);
            }
        }
        self.look = None;
    }
}

impl Link {
    /// So many redirections and changes of generation are followed in one call. Each says that the call was not carried
    /// out.
    const HOPS: usize = 12;
    /// Before what is on the move is looked for again.
    const PAUSE: Duration = Duration::from_millis(20);

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
    ) -> Result<Answer> {
        let (mut at, mut node, mut live) = self.reach(key).await?;
        let mut asking = false;
        let mut hops = 0;
        let mut waits_since = None;
        let mut lenient = false;
        loop {
            let made_for = |live: &Live| {
                let mut made = call(live)?;
                let insists = live.learns() && !lenient && made.insist();
                Ok::<_, Error>((made, insists))
            };
            let (mut made, mut insists) = made_for(&live)?;
            let mut look = None;
            // Not while replicas are waited for: those who read would wait for them as well.
            if made.converts() && live.learns() && replicas.is_none() {
                look = Look::begin(&live, key);
                if look.is_none() {
                    look = Box::pin(Look::wait(&live, key, node.patience())).await;
                    // Whoever looked may have lost the connection; of this call nothing was sent yet.
                    if live.is_broken() {
                        (at, node, live) = Box::pin(self.reach(key)).await?;
                    }
                    (made, insists) = made_for(&live)?;
                }
            }
            let converts = made.converts();
            let looked = made.is_script().then(Moment::now);
            let answer = if let Some(replicas) = replicas {
                let waiting = self.call_and_wait(&node, &live, made, key, replicas, asking);
                match Box::pin(waiting).await {
                    // Nobody had used it, so nobody knew that it is lost. Nothing was sent.
                    Err(_) if live.is_broken() && hops == 0 => {
                        hops += 1;
                        (at, node, live) = Box::pin(self.reach(key)).await?;
                        continue;
                    }
                    answer => answer?,
                }
            } else {
                let pending = Pending::on(&live);
                let answer = live.call(made, asking).await;
                pending.over();
                answer
            };
            let trouble = match answer {
                Ok(value) => {
                    return Ok(Answer {
                        value,
                        live,
                        looked,
                        converts,
                        look,
                    });
                }
                Err(trouble) => trouble,
            };
            hops += 1;
            asking = false;
            match (&trouble, self) {
                // Nothing was done. The server may have no memory left to convert the hash, and the call can do without.
                (Trouble::Refused(_), _) if insists => lenient = true,
                // A replica can be read from.
                (Trouble::ReadOnly, _) if insists && !writes => {
                    lenient = true;
                    (at, node, live) = Box::pin(self.reach(key)).await?;
                }
                (Trouble::OtherGeneration, _) if hops <= Self::HOPS => Box::pin(live.probe(key)).await?,
                (Trouble::Moved(to) | Trouble::Ask(to), Self::Many(cluster)) if hops <= Self::HOPS => {
                    asking = matches!(trouble, Trouble::Ask(_));
                    if !asking {
                        cluster.hint();
                    }
                    // Two nodes that send each other what neither wants will agree soon.
                    if hops > 3 {
                        Box::pin(tokio::time::sleep(Self::PAUSE)).await;
                    }
                    (at, node) = cluster.redirected(to, &at)?;
                    live = node.live().await.inspect_err(|_| cluster.hint())?;
                }
                (Trouble::TryAgain, Self::Many(cluster))
                    if waits_since.get_or_insert_with(Instant::now).elapsed() < cluster.patience() =>
                {
                    Box::pin(tokio::time::sleep(Self::PAUSE)).await;
                    (at, node, live) = Box::pin(cluster.reach(key)).await?;
                    hops = 0;
                }
                (Trouble::Moved(_) | Trouble::Ask(_), Self::Many(_)) => {
                    self.hint();
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "the nodes of the Redis Cluster do not agree on who serves this slot; try again soon",
                    ));
                }
                _ => {
                    let error = trouble.into_error(writes);
                    if error.kind() == ErrorKind::Unavailable {
                        self.hint();
                        // An old primary may have no replicas left, or be a replica that finds nobody to follow.
                        node.reconsider(&live);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Makes a call that so many replicas shall have, and takes note of what it shows about the connection that the others go over.
    ///
    /// # Errors
    /// That it could not be sent.
    async fn call_and_wait(
        &self,
        node: &Arc<Node>,
        live: &Arc<Live>,
        call: Call<'_>,
        key: &[u8],
        replicas: Replicas,
        asking: bool,
    ) -> Result<Result<Value, Trouble>> {
        let waiting = node.call_and_wait(live, call, key, replicas, asking);
        let answer = waiting.await.inspect_err(|error| {
            // Where no other connection comes about, this one may not be what it was either. It may as well be the only one
            // that the server has room for.
            if error.kind() == ErrorKind::Unavailable {
                let live = Arc::clone(live);
                tokio::spawn(async move { live.is_there().await });
                self.hint();
            }
        })?;
        if matches!(answer, Err(Trouble::Lost(_) | Trouble::ReadOnly)) {
            live.give_up();
        }
        let answer = answer.and_then(|(value, reached)| confirmed(value, reached, replicas));
        if matches!(answer, Err(Trouble::Unconfirmed(_))) {
            node.reconsider(live);
        }
        Ok(answer)
    }

    /// An open connection to the server that holds `key`.
    async fn reach(&self, key: &[u8]) -> Result<(Address, Arc<Node>, Arc<Live>)> {
        match self {
            Self::One(node) => Ok((Address::default(), Arc::clone(node), node.live().await?)),
            Self::Many(cluster) => Box::pin(cluster.reach(key)).await,
        }
    }

    /// What the server that holds `key` can do.
    pub(crate) async fn generation(&self, key: &[u8]) -> Result<Generation> {
        Ok(self.reach(key).await?.2.generation())
    }

    /// Connects, so that what is wrong shows before the first call; with `tracks`, also whether reads can be tracked.
    ///
    /// # Errors
    /// That no server answers: of a cluster, one that does is enough, for a primary that is down is soon replaced.
    pub(crate) async fn open(&self, tracks: bool) -> Result<()> {
        let primaries = self.primaries().await?;
        let opened = join_all(primaries.iter().map(|(_, node)| node.live())).await;
        let any = opened.iter().any(Result::is_ok);
        for live in opened {
            match live {
                Ok(live) => {
                    if primaries.len() == 1 {
                        self.check_alone(&live).await?;
                    }
                    if tracks {
                        Near::check(&live).await?;
                    }
                }
                Err(error) if !any || error.kind() != ErrorKind::Unavailable => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// A node of a cluster answers for its own slots only.
    async fn check_alone(&self, live: &Live) -> Result<()> {
        if matches!(self, Self::Many(_)) || live.is_lent() {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.cmd("CLUSTER").arg("SLOTS");
        let mut replies = live.pipeline(&pipeline, 1).await.map_err(error::unconnected)?;
        let map = replies.pop().and_then(|slots| SlotMap::of(slots, &Address::default()));
        match map {
            Some(map) if map.primaries().len() > 1 => Err(error::in_a_cluster()),
            _ => Ok(()),
        }
    }

    /// Says that something is not as it was.
    pub(crate) fn hint(&self) {
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

    /// The connection of the near cache to the server that holds `key`, if it is to be trusted now.
    #[cfg(feature = "near-cache")]
    pub(crate) fn tracked(&self, key: &[u8]) -> Option<Arc<crate::near::Tracked>> {
        match self {
            Self::One(node) => node.tracked(key),
            Self::Many(cluster) => cluster.tracked(key),
        }
    }

    /// How long a reply may take.
    #[cfg(feature = "near-cache")]
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::One(node) => node.response_timeout(),
            Self::Many(cluster) => cluster.patience(),
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
