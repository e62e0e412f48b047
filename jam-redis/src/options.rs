//! What can be set before the store is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jam_core::{Error, ErrorKind, Result};
use redis::aio::ConnectionLike;

use crate::connect::{Lend, Link, Node, Replicas, Target, Timeouts, Wire};
use crate::near::Near;
use crate::url::{Servers, Tls};
use crate::{Layout, RedisStore};

/// Settings of a [`RedisStore`].
///
/// The URL says where the servers are:
///
/// | URL | what |
/// |---|---|
/// | `redis://user:password@host:6379/0` | one server; user, password, port and database may be left out |
/// | `unix:///run/redis.sock` | one server, by a Unix socket |
/// | `redis+sentinel://user:password@host1:26379,host2:26379/service/0` | the primary that the sentinels name; user and password are those of the Redis servers |
/// | `redis+cluster://user:password@host1:6379,host2:6379` | a Redis Cluster, with some of its nodes |
/// | `rediss://`, `rediss+sentinel://`, `rediss+cluster://` | the same with TLS (feature `tls`) |
///
/// `valkey` may stand for `redis` in each. Percent-encode what is special in a user name or a password.
#[must_use = "settings do nothing until the store is opened"]
pub struct RedisOptions {
    source: Source,
    session_path: String,
    layout: Layout,
    timeouts: Timeouts,
    replicas: Option<Replicas>,
    lazily: bool,
    #[cfg(feature = "near-cache")]
    near_cache: u64,
    #[cfg(feature = "near-cache")]
    near_cache_staleness: Duration,
    tls: Tls,
    username: Option<String>,
    password: Option<String>,
    database: Option<i64>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
}

enum Source {
    Url(String),
    Client(Box<redis::Client>),
    Connection(Box<dyn Lend>),
}

impl RedisOptions {
    /// For the servers at this URL.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self::of(Source::Url(url.as_ref().to_owned()))
    }

    /// For a client of the application.
    pub fn from_client(client: redis::Client) -> Self {
        Self::of(Source::Client(Box::new(client)))
    }

    /// For a connection of the application, see [`RedisStore::from_connection`].
    pub fn from_connection<C>(connection: C) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::of(Source::Connection(Box::new(connection)))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            session_path: "sessions".to_owned(),
            layout: Layout::default(),
            timeouts: Timeouts {
                connect: Duration::from_secs(2),
                response: Duration::from_secs(2),
                idle: Duration::from_secs(15),
            },
            replicas: None,
            lazily: false,
            #[cfg(feature = "near-cache")]
            near_cache: 0,
            #[cfg(feature = "near-cache")]
            near_cache_staleness: Duration::from_secs(1),
            tls: Tls::default(),
            username: None,
            password: None,
            database: None,
            sentinel_username: None,
            sentinel_password: None,
        }
    }

    /// What the names of the hashes begin with; `sessions` by default, as in Python's jamlib. The sessions of `user1` are
    /// then in `sessions:user1`; 1 to 512 bytes.
    ///
    /// Two services on one server take two paths, and neither may go on from the other with a `:`. With `shop` and
    /// `shop:eu`, the user `eu:bob` of the one is the user `bob` of the other, and so may become him there.
    pub fn session_path(mut self, path: impl Into<String>) -> Self {
        self.session_path = path.into();
        self
    }

    /// In whose form the sessions lie on the server; [`Layout::Jam`] by default. Either way they are hashes, named
    /// `<session path>:<session key>`, with a field per session.
    ///
    /// With [`Layout::Jamlib`] the values are what Python's jamlib reads and writes, as far as they go; the ids and the
    /// encryption that belong to it are the manager's settings. A server without expiry of hash fields (before Redis 7.4
    /// and Valkey 9) keeps such sessions only without a ttl; with one, writes are
    /// [`Unsupported`](ErrorKind::Unsupported) there.
    pub const fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// How long opening a connection may take; 2 s by default, above 0. A call without an open connection fails within it.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long the answer to a call may take; 2 s by default, above 0.
    pub const fn response_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.response = timeout;
        self
    }

    /// After how long a silence the first call asks the server whether the connection still stands, and the sentinels, if
    /// there are any, whether it still leads to the primary, and opens another one if not; 15 s by default. Servers, and
    /// what lies between, hang up on connections that are silent, and a write that finds out by itself cannot know whether
    /// it was made.
    pub const fn idle_check(mut self, silence: Duration) -> Self {
        self.timeouts.idle = silence;
        self
    }

    /// Acknowledges the end of a session (delete, revoke, clear) and its rework only when so many replicas have it, and
    /// fails with [`Unavailable`](ErrorKind::Unavailable) and an unknown outcome when that takes longer than `within`.
    ///
    /// Redis replicates after it has answered. Without this, a failover may undo what was acknowledged just before: new
    /// sessions are lost, ended ones are back. With it, what was acknowledged is on so many replicas; still a failover
    /// may choose another replica, so this makes a loss unlikely and not impossible, unless every replica is waited for.
    /// That there was nothing to end is acknowledged in the same way, for somebody may have ended it just before.
    /// Such calls go over connections of their own, since `WAIT` holds up everything behind it.
    pub const fn wait_replicas(mut self, replicas: u32, within: Duration) -> Self {
        self.replicas = if replicas == 0 {
            None
        } else {
            Some(Replicas {
                count: replicas,
                within,
            })
        };
        self
    }

    /// Opens the store even if no server answers yet; calls then fail with [`Unavailable`](ErrorKind::Unavailable) until
    /// one does. Off by default: a wrong address shall show at the start.
    pub const fn connect_lazily(mut self, lazily: bool) -> Self {
        self.lazily = lazily;
        self
    }

    /// Keeps up to about so many sessions that were read in this process, so that reading them again costs no trip; off by
    /// default, and with 0. A session whose data is larger than 1 KiB counts once more for each KiB, and one of more than 240
    /// KiB may not be kept at all.
    ///
    /// The server tells when somebody changes what was read (`CLIENT TRACKING`), so the end of a session shows everywhere as
    /// soon as its message arrives, and never later than [`near_cache_staleness`](Self::near_cache_staleness). What this
    /// store writes it shows at once. While the server cannot tell, nothing is given out from the cache. It takes one more
    /// connection to each server, which speaks RESP3, and the right to call `CLIENT TRACKING`. Not over a connection of the
    /// application's.
    #[cfg(feature = "near-cache")]
    pub const fn near_cache(mut self, sessions: u64) -> Self {
        self.near_cache = sessions;
        self
    }

    /// How old what the near cache gives out may be at most, whatever becomes of the server's messages and the connection
    /// they come over; 1 s by default, at least 10 ms. While sessions are read, the server is asked four times in that time
    /// whether it is there.
    #[cfg(feature = "near-cache")]
    pub const fn near_cache_staleness(mut self, bound: Duration) -> Self {
        self.near_cache_staleness = bound;
        self
    }

    #[cfg(feature = "near-cache")]
    fn near(&self) -> Option<Arc<Near>> {
        let prefix = format!("{}:", self.session_path);
        (self.near_cache > 0).then(|| Arc::new(Near::new(self.near_cache, self.near_cache_staleness, &prefix)))
    }

    /// The user of the servers' access control lists, in place of the URL's. It needs a password; for a user with `nopass` any
    /// will do.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password, in place of the URL's.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The database number, in place of the URL's; 0 by default. A cluster has none but 0.
    pub const fn database(mut self, number: i64) -> Self {
        self.database = Some(number);
        self
    }

    /// The user that the sentinels ask for, if they do. It needs a password as well. For `+sentinel` URLs.
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinel_username = Some(username.into());
        self
    }

    /// The password that the sentinels ask for, if they do. For `+sentinel` URLs.
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// The authority that signed the servers' certificates, PEM; the system's authorities by default. For `rediss` URLs.
    #[cfg(feature = "tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.root = Some(pem.into());
        self
    }

    /// A certificate and its key to show to servers that ask for one, PEM. For `rediss` URLs.
    #[cfg(feature = "tls")]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// Opens the store: connects, and asks the server what it can do.
    ///
    /// # Errors
    /// - [`Config`](ErrorKind::Config) for a URL that is none, a user or password that the server does not take, or
    ///   settings that cannot be: a timeout of zero; a near cache that the server does not let this user have; certificates
    ///   beside a URL without TLS; a user without a password; user or password of the sentinels beside a URL without any;
    ///   user, password, database or certificates beside the application's own client or connection; replicas to wait for
    ///   over an application's connection. So is a node of a cluster that is opened as a single server, and a single server
    ///   that is opened as a cluster.
    /// - [`Unavailable`](ErrorKind::Unavailable) if no server answers within the connect timeout; of a cluster, one that
    ///   answers is enough.
    pub async fn open(self) -> Result<RedisStore> {
        self.check()?;
        // No session key is empty, so this is no session's hash, and a user who may use the path may use it.
        let probe_key: Arc<[u8]> = format!("{}:", self.session_path).into_bytes().into();
        let timeouts = self.timeouts;
        #[cfg(feature = "near-cache")]
        let near = self.near();
        #[cfg(not(feature = "near-cache"))]
        let near = None::<Arc<Near>>;
        let link = match &self.source {
            Source::Url(url) => {
                let mut servers = Servers::parse(url)?;
                servers.overrule(self.username.as_deref(), self.password.as_deref(), self.database);
                servers.sentinel_credentials(self.sentinel_username.as_deref(), self.sentinel_password.as_deref());
                servers.link(&self.tls, timeouts, probe_key, near.clone())?
            }
            Source::Client(client) => {
                let target = Target::Server((**client).clone());
                let node = Node::new(target, timeouts, probe_key, near.as_ref());
                Link::One(Arc::new(node))
            }
            Source::Connection(_) if self.replicas.is_some() => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "`wait_replicas` needs connections of its own; open the store by URL or with a client",
                ));
            }
            Source::Connection(connection) => {
                let wire = Wire::Lent(connection.again());
                Link::One(Arc::new(Node::lent(wire, timeouts, probe_key).await?))
            }
        };
        let store = RedisStore::new(link, self.session_path, self.layout, self.replicas, near);
        if !self.lazily {
            store.link().open(store.is_near()).await?;
        }
        Ok(store)
    }

    /// What cannot be, before anything is opened.
    fn check(&self) -> Result<()> {
        let wrong = |message| Err(Error::new(ErrorKind::Config, message));
        if self.session_path.is_empty() || self.session_path.len() > 512 {
            return wrong("`session_path` must have 1 to 512 bytes, such as `sessions`");
        }
        if self.timeouts.connect.is_zero() || self.timeouts.response.is_zero() {
            return wrong("`connect_timeout` and `response_timeout` must be above 0: in no time no server can answer");
        }
        // WAIT would take less than a millisecond for no limit at all.
        if self.replicas.is_some_and(|replicas| replicas.within.as_millis() == 0) {
            return wrong("the time to wait for replicas must be at least a millisecond");
        }
        #[cfg(feature = "near-cache")]
        if self.near_cache > 0 {
            if self.near_cache_staleness < Duration::from_millis(10) {
                return wrong("`near_cache_staleness` must be at least 0.01 s: the server is asked four times in it");
            }
            if matches!(self.source, Source::Connection(_)) {
                return wrong(
                    "`near_cache` takes a connection of its own, and an application's connection is only one; open the \
                     store by a URL or with a client",
                );
            }
        }
        let credentials = [
            &self.username,
            &self.password,
            &self.sentinel_username,
            &self.sentinel_password,
        ];
        let credentials = credentials.iter().any(|set| set.is_some());
        match self.source {
            Source::Url(_) => Ok(()),
            _ if credentials || self.database.is_some() || self.tls.is_set() => wrong(
                "user, password, database and certificates are those of the application's own client or connection; set them \
                 there",
            ),
            Source::Connection(_) if self.replicas.is_some() => wrong(
                "waiting for replicas takes connections of its own, and an application's connection is only one; open the \
                 store by a URL or with a client",
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("session_path", &self.session_path)
            .field("layout", &self.layout)
            .field("timeouts", &self.timeouts)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}
