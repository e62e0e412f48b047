//! One server, or the primary of one service: a connection that is opened when it is needed and again when it is lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jam_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Value};

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
    /// Whichever server the sentinels say is the primary.
    Sentinel(Sentinels),
    /// Nothing: the application keeps its connection.
    Lent,
}

/// A server and the connection to it.
pub(crate) struct Node {
    target: Target,
    timeouts: Timeouts,
    probe_key: Arc<[u8]>,
    live: RwLock<Option<Arc<Live>>>,
    /// The server has let this process in once.
    was_let_in: AtomicBool,
    /// Held by the one who connects; what the last attempt came to.
    connecting: tokio::sync::Mutex<Option<Failure>>,
    /// Connections for calls that wait for replicas; see [`Node::call_and_wait`].
    spare: Mutex<Vec<Arc<Live>>>,
    /// The connection of the near cache.
    tracker: Option<Tracker>,
}

/// An attempt that failed: for a while, whoever asks hears of it again.
pub(crate) struct Failure {
    at: Instant,
    kind: ErrorKind,
    message: String,
}

impl Failure {
    pub(crate) fn of(error: &Error) -> Self {
        Self {
            at: Instant::now(),
            kind: error.kind(),
            message: error.message().to_owned(),
        }
    }

    pub(crate) fn within(&self, pause: Duration) -> Option<Error> {
        (self.at.elapsed() < pause).then(|| Error::new(self.kind, self.message.clone()))
    }
}

impl Node {
    /// After a failed attempt to connect, calls fail at once for so long.
    const PAUSE: Duration = Duration::from_millis(100);
    /// So many calls may lie between the tasks and the socket before a task waits.
    const QUEUE: usize = 1024;
    const SPARES: usize = 8;

    pub(crate) fn new(target: Target, timeouts: Timeouts, probe_key: Arc<[u8]>, near: Option<&Arc<Near>>) -> Self {
        Self {
            target,
            timeouts,
            probe_key,
            live: RwLock::new(None),
            was_let_in: AtomicBool::new(false),
            connecting: tokio::sync::Mutex::new(None),
            spare: Mutex::new(Vec::new()),
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
    /// [`ErrorKind::Unavailable`] within the connect timeout; nothing was sent then.
    pub(crate) async fn live(&self) -> Result<Arc<Live>> {
        if let Some(live) = self.open()
            && (live.is_lent() || !live.was_idle(self.timeouts.idle) || Box::pin(live.is_there()).await)
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

    fn open(&self) -> Option<Arc<Live>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref()
            .filter(|live| !live.is_broken() || matches!(self.target, Target::Lent))
            .map(Arc::clone)
    }

    /// One connects, the others wait for what comes of it.
    async fn connect(&self) -> Result<Arc<Live>> {
        let mut last = self.connecting.lock().await;
        if let Some(live) = self.open() {
            return Ok(live);
        }
        if let Some(error) = last.as_ref().and_then(|failure| failure.within(Self::PAUSE)) {
            return Err(error);
        }
        let attempt = tokio::time::timeout(self.timeouts.connect, self.greet());
        let result = attempt
            .await
            .unwrap_or_else(|_| Err(error::no_connection_within(self.timeouts.connect)));
        match result {
            Ok(live) => {
                *last = None;
                let live = Arc::new(live);
                *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&live));
                self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
                // It may be another server now.
                self.untrack();
                tracing::debug!(generation = ?live.generation(), "connected to a Redis server");
                Ok(live)
            }
            Err(error) => {
                *last = Some(Failure::of(&error));
                Err(error)
            }
        }
    }

    async fn greet(&self) -> Result<Live> {
        let was_let_in = self.was_let_in.load(Ordering::Relaxed);
        let dialled = self.dial().await;
        let (connection, at) = dialled.map_err(|error| {
            if was_let_in {
                error::no_longer_let_in(error)
            } else {
                error
            }
        })?;
        let live = Live::greet(connection.into(), &self.probe_key).await?;
        self.was_let_in.store(true, Ordering::Relaxed);
        Ok(live.at(at))
    }

    fn config(&self) -> AsyncConnectionConfig {
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
            Target::Server(client) => Ok((connect(client, &config).await?, None)),
            Target::Sentinel(sentinels) => {
                let (at, connection) = sentinels.connect(&config).await?;
                Ok((connection, Some(at)))
            }
            Target::Lent => Err(Error::new(
                ErrorKind::Unavailable,
                "the connection belongs to the application, so no other one can be opened",
            )),
        }
    }

    /// Another connection to the server that the main one leads to, on which it may push messages. Sentinels could name another one:
    /// what is read there would be told by nobody who writes.
    #[cfg(feature = "near-cache")]
    pub(crate) async fn greet_tracked(&self, hears: impl redis::aio::AsyncPushSender) -> Result<Live> {
        let config = self.config();
        let pushing = config.clone().set_push_sender(hears);
        let greeting = async {
            let connection = match &self.target {
                Target::Server(client) => connect(&pushed_to(client)?, &pushing).await?,
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

    /// Makes a call on a connection of its own, and has the server say how many replicas have what it wrote. `WAIT`
    /// covers only the writes of its own connection, and holds up whatever is sent behind it on the same one.
    ///
    /// # Errors
    /// That no connection came about, or the call cannot be made on it; nothing was sent then.
    pub(crate) async fn call_and_wait<'a>(
        &self,
        call: impl Fn(&Live) -> Result<Call<'a>>,
        Replicas { count, within }: Replicas,
        asking: bool,
    ) -> Result<(Arc<Live>, Result<(Value, u64), Trouble>)> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let live = match spare {
            Some(live) if !live.was_idle(self.timeouts.idle) => live,
            _ => tokio::time::timeout(self.timeouts.connect, self.greet())
                .await
                .map_err(|_| error::no_connection_within(self.timeouts.connect))?
                .map(Arc::new)?,
        };
        let call = call(&live)?;
        let patience = self.timeouts.response.saturating_add(within);
        let answer = live.call_and_wait(call, count, within, patience, asking).await;
        // A connection that failed, or whose caller went away, is not used again.
        if answer.is_ok() {
            let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.len() < Self::SPARES {
                spare.push(Arc::clone(&live));
            }
        }
        Ok((live, answer))
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
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
