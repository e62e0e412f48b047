//! One server, or the primary of one service: a connection that is opened when it is needed and again when it is lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jam_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Value};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::attempts::Attempts;
use super::live::{Live, Wire};
use super::sentinels::{Sentinels, Watch};
use super::slots::Address;
use crate::error::{self, Trouble};
use crate::near::{Near, Tracker};
use crate::script::Call;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) response: Duration,
    /// How long a connection may be silent before it is asked whether it is still there.
    pub(crate) idle: Duration,
}

/// How many replicas a write shall have reached before it is acknowledged, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) within: Duration,
}

/// What to connect to.
pub(crate) enum Target {
    /// This server.
    Server(Client),
    /// This node of a cluster.
    Node(Client),
    /// Whichever server the sentinels say is the primary.
    Sentinel(Sentinels),
    /// Nothing: the application keeps its connection.
    Lent,
}

/// A server and the connection to it.
pub(crate) struct Node {
    pub(super) target: Target,
    pub(super) timeouts: Timeouts,
    probe_key: Arc<[u8]>,
    live: RwLock<Option<Arc<Live>>>,
    /// The server has let this process in once.
    was_let_in: AtomicBool,
    connecting: Attempts,
    /// Connections for calls that wait for replicas, each beside a main one; see [`Node::call_and_wait`].
    spare: Mutex<Vec<Spare>>,
    /// So many of them there may be.
    waiting: Semaphore,
    /// Sentinels are asked in the background whether the main connection still leads to the primary.
    pub(super) reconsidering: AtomicBool,
    /// The same where calls wait for what they say.
    pub(super) asking: Attempts,
    /// The store was closed: what is opened after that is not kept.
    closed: AtomicBool,
    /// The connection of the near cache.
    tracker: Option<Tracker>,
}

/// A connection to the server that a main connection leads to.
struct Spare {
    /// The name of the main one.
    beside: u64,
    live: Live,
}

impl Node {
    /// After a failed attempt to connect, calls fail at once for so long.
    const PAUSE: Duration = Duration::from_millis(100);
    /// So many calls may lie between the tasks and the socket before a task waits.
    const QUEUE: usize = 1024;
    /// So many calls may wait for replicas at once, each on a connection of its own, and so many of those are kept.
    const WAITING: usize = 64;
    const SPARES: usize = 16;

    pub(crate) fn new(target: Target, timeouts: Timeouts, probe_key: Arc<[u8]>, near: Option<&Arc<Near>>) -> Self {
        Self {
            target,
            timeouts,
            probe_key,
            live: RwLock::new(None),
            was_let_in: AtomicBool::new(false),
            connecting: Attempts::default(),
            spare: Mutex::new(Vec::new()),
            waiting: Semaphore::new(Self::WAITING),
            reconsidering: AtomicBool::new(false),
            asking: Attempts::default(),
            closed: AtomicBool::new(false),
            tracker: near.map(Tracker::new),
        }
    }

    /// On a connection that the application opened.
    pub(crate) async fn lent(wire: Wire, timeouts: Timeouts, probe_key: Arc<[u8]>) -> Result<Self> {
        let greeting = Live::greet(wire, &probe_key);
        let live = tokio::time::timeout(timeouts.connect, greeting)
            .await
            .map_err(|_| error::no_connection_within(timeouts.connect))??;
        let node = Self::new(Target::Lent, timeouts, probe_key, None);
        *node.live.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(live));
        Ok(node)
    }

    /// The open connection, opened now if need be.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] within the connect timeout, and the response timeout before that where the connection was idle;
    /// nothing was sent then.
    pub(crate) async fn live(self: &Arc<Self>) -> Result<Arc<Live>> {
        if let Some(live) = self.open()
            && (live.is_lent() || !self.is_doubtful(&live) || Box::pin(self.check(&live)).await)
        {
            return Ok(live);
        }
        // In a box, as all that is rare, so that every call need not make room for it.
        Box::pin(async {
            let connect = self.timeouts.connect;
            match tokio::time::timeout(connect, self.connect()).await {
                Ok(result) => result,
                Err(_) => Err(error::no_connection_within(connect)),
            }
        })
        .await
    }

    pub(super) fn open(&self) -> Option<Arc<Live>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref()
            .filter(|live| !live.is_broken() || matches!(self.target, Target::Lent))
            .map(Arc::clone)
    }

    /// One attempt, and everybody waits for what comes of it.
    async fn connect(self: &Arc<Self>) -> Result<Arc<Live>> {
        let attempt = || {
            let node = Arc::clone(self);
            async move { node.settle().await }
        };
        let is_open = || self.open().is_some();
        self.connecting
            .join(self.timeouts.connect, Self::PAUSE, is_open, attempt)
            .await?;
        self.open()
            .ok_or_else(|| error::no_connection_within(self.timeouts.connect))
    }

    /// Opens the main connection and keeps it.
    async fn settle(&self) -> Result<()> {
        let dialled = self.dial().await;
        let (connection, at) = dialled.map_err(|error| self.refused(error))?;
        let live = Live::greet(connection.into(), &self.probe_key).await?.at(at);
        self.was_let_in.store(true, Ordering::Relaxed);
        tracing::debug!(generation = ?live.generation(), "connected to a Redis server");
        {
            let mut kept = self.live.write().unwrap_or_else(PoisonError::into_inner);
            if self.closed.load(Ordering::Acquire) {
                return Err(error::closed());
            }
            *kept = Some(Arc::new(live));
        }
        self.lock_spare().clear();
        // It may be another server now.
        self.untrack();
        Ok(())
    }

    /// What the server said instead of letting this process in.
    fn refused(&self, error: Error) -> Error {
        if self.was_let_in.load(Ordering::Relaxed) {
            error::no_longer_let_in(error)
        } else {
            error
        }
    }

    fn lock_spare(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeouts.connect))
            .set_response_timeout(Some(self.timeouts.response))
            .set_pipeline_buffer_size(Self::QUEUE)
    }

    /// What each sentinel says that watches over this server, if any do.
    pub(crate) async fn watch(&self) -> Option<Vec<Result<Watch>>> {
        match &self.target {
            Target::Sentinel(sentinels) => Some(sentinels.watch(&self.config()).await),
            _ => None,
        }
    }

    /// A connection, and where it leads to if sentinels said it.
    async fn dial(&self) -> Result<(MultiplexedConnection, Option<Address>)> {
        let config = self.config();
        match &self.target {
            Target::Server(client) | Target::Node(client) => Ok((connect(client, &config).await?, None)),
            Target::Sentinel(sentinels) => {
                let (at, connection) = sentinels.connect(&config, self.late()).await?;
                Ok((connection, Some(at)))
            }
            Target::Lent => Err(Error::new(
                ErrorKind::Unavailable,
                "the connection belongs to the application, so no other one can be opened",
            )),
        }
    }

    /// Another connection to the server that a main one leads to. Sentinels could name another server by now: what is written
    /// there is not seen by those who read here.
    async fn dial_beside(&self, main: &Live) -> Result<MultiplexedConnection> {
        let config = self.config();
        let dialled = match (&self.target, main.led_to()) {
            (Target::Sentinel(sentinels), Some(at)) => sentinels.reach(at.clone(), &config, None).await,
            _ => self.dial().await.map(|(connection, _)| connection),
        };
        dialled.map_err(|error| self.refused(error))
    }

    /// The same, on which the server may push messages.
    #[cfg(feature = "near-cache")]
    pub(crate) async fn greet_tracked(&self, hears: impl redis::aio::AsyncPushSender) -> Result<Live> {
        let config = self.config();
        let pushing = config.clone().set_push_sender(hears);
        let greeting = async {
            let connection = match &self.target {
                Target::Server(client) | Target::Node(client) => connect(&pushed_to(client)?, &pushing).await?,
                Target::Sentinel(sentinels) => {
                    let at = self.open().and_then(|live| live.led_to().cloned());
                    let at = at.ok_or_else(|| error::no_connection_within(self.timeouts.connect))?;
                    sentinels.reach(at, &config, Some(&pushing)).await?
                }
                Target::Lent => return Err(error::unexpected("a lent connection has no other beside it")),
            };
            Live::greet(connection.into(), &self.probe_key).await
        };
        let greeted = tokio::time::timeout(self.timeouts.connect, greeting).await;
        greeted.unwrap_or_else(|_| Err(error::no_connection_within(self.timeouts.connect)))
    }

    #[cfg(feature = "near-cache")]
    pub(crate) const fn is_in_cluster(&self) -> bool {
        matches!(self.target, Target::Node(_))
    }

    #[cfg(feature = "near-cache")]
    pub(crate) fn tracker(&self) -> Option<&Tracker> {
        self.tracker.as_ref()
    }

    /// The connection of the near cache, if it is to be trusted now. Not without the other one: that is the one that follows
    /// a failover.
    #[cfg(feature = "near-cache")]
    pub(crate) fn tracked(self: &Arc<Self>, hash: &[u8]) -> Option<Arc<crate::near::Tracked>> {
        let tracker = self.tracker.as_ref()?;
        self.open()?;
        tracker.tracked(self, hash)
    }

    /// Lets go of the connection of the near cache, and of what was read over it.
    pub(crate) fn untrack(&self) {
        if let Some(tracker) = &self.tracker {
            tracker.reset();
        }
    }

    /// The right to have a connection beside the main one.
    async fn right(&self, timeout: Duration) -> Result<SemaphorePermit<'_>> {
        let right = tokio::time::timeout(timeout, self.waiting.acquire()).await;
        // The semaphore is never closed.
        right.map_err(|_| error::too_many_wait())?.map_err(|_| error::closed())
    }

    async fn beside(&self, main: &Arc<Live>) -> Result<Live> {
        let spare = {
            let mut spare = self.lock_spare();
            spare.retain(|spare| spare.beside == main.name);
            spare.pop()
        };
        match spare {
            Some(spare) if !spare.live.was_idle(self.timeouts.idle) => Ok(spare.live),
            _ => {
                let dialled = self.dial_beside(main).await;
                if dialled.is_err() {
                    // It may be a replica by now, which goes on answering.
                    self.question(main).await;
                }
                let spare = Live::quiet(dialled?.into());
                // Behind a main connection that is lost there may be another server by now, or a newer one.
                if !Live::check(main).await {
                    return Err(error::no_connection_within(self.timeouts.connect));
                }
                Ok(spare)
            }
        }
    }

    /// Makes a call on the hash `key`, on a connection of its own, to the server that the `main` one leads to, and has the server
    /// say how many replicas have what it wrote. `WAIT` covers only the writes of its own connection, and holds up whatever is sent behind it
    /// on the same one.
    ///
    /// # Errors
    /// That no connection came about, or the main one is lost; nothing was sent then.
    pub(crate) async fn call_and_wait(
        &self,
        main: &Arc<Live>,
        call: Call<'_>,
        key: &[u8],
        replicas: Replicas,
        asking: bool,
    ) -> Result<Result<(Value, u64), Trouble>> {
        let (connect, begun) = (self.timeouts.connect, Instant::now());
        let _right = self.right(connect).await?;
        let opening = self.beside(main);
        let opened = tokio::time::timeout(connect.saturating_sub(begun.elapsed()), opening).await;
        let live = opened.map_err(|_| error::no_connection_within(connect))??;
        let response = self.timeouts.response;
        let answer = live.call_and_wait(call, key, replicas, response, asking).await;
        // A connection that failed, or whose caller went away, is not used again.
        if answer.is_ok() {
            let mut spare = self.lock_spare();
            if spare.len() < Self::SPARES && !self.closed.load(Ordering::Acquire) {
                let beside = main.name;
                spare.push(Spare { beside, live });
            }
        }
        Ok(answer)
    }

    /// How long a reply may take.
    #[cfg(feature = "near-cache")]
    pub(crate) const fn response_timeout(&self) -> Duration {
        self.timeouts.response
    }

    /// How long to wait for the reply that somebody else waits for: until they have given up, and a little longer.
    pub(crate) fn patience(&self) -> Duration {
        self.timeouts.response.saturating_add(Duration::from_millis(50))
    }

    /// Lets go of every connection.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.lock_spare().clear();
        self.untrack();
    }
}

/// The same client with RESP3, in which a server may push messages between the replies.
#[cfg(feature = "near-cache")]
pub(super) fn pushed_to(client: &Client) -> Result<Client> {
    let info = client.get_connection_info().clone();
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(redis::ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings)).map_err(error::unconnected)
}

/// A new connection to a server.
pub(super) async fn connect(client: &Client, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection> {
    let connection = client.get_multiplexed_async_connection_with_config(config).await;
    connection.map_err(error::not_let_in)
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
