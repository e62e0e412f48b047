//! Where the servers are, read from a URL.

use std::sync::Arc;

use jam_core::{Error, ErrorKind, Result};
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::connect::{Cluster, Dial, Link, Node, Sentinels, Target, Timeouts};
use crate::near::Near;

/// Certificates.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    pub(crate) root: Option<Vec<u8>>,
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    pub(crate) const fn is_set(&self) -> bool {
        self.root.is_some() || self.client.is_some()
    }
}

/// What a URL names.
pub(crate) struct Servers {
    kind: Kind,
    /// The servers, the sentinels or the seeds.
    nodes: Vec<ConnectionInfo>,
    sentinel: RedisConnectionInfo,
}

enum Kind {
    One,
    Sentinel(String),
    Cluster,
}

impl Servers {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(no_url)?;
        if rest.contains('?') {
            return Err(Error::new(
                ErrorKind::Config,
                "a URL of a Redis server has no `?` fields; set them beside it (a `?` in a user name or a password is `%3F`)",
            ));
        }
        let scheme = scheme.replace("valkey", "redis");
        let (transport, kind) = scheme.split_once('+').unwrap_or((&scheme, ""));
        let (transport, kind) = if transport == "redis" && kind == "unix" {
            ("unix", "")
        } else {
            (transport, kind)
        };
        // A socket is one server's.
        if !matches!(transport, "redis" | "rediss" | "unix") || (transport == "unix" && !kind.is_empty()) {
            return Err(no_url());
        }
        if transport == "rediss" && !cfg!(feature = "tls") {
            return Err(Error::new(
                ErrorKind::Config,
                "a `rediss` URL needs TLS: turn on the feature `tls` of jam-redis (`redis-tls` of jam)",
            ));
        }
        let sentinel = RedisConnectionInfo::default();
        if kind.is_empty() {
            return Ok(Self {
                kind: Kind::One,
                nodes: vec![info(&format!("{transport}://{rest}"))?],
                sentinel,
            });
        }
        let (credentials, hosts) = match rest.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), rest),
        };
        let (hosts, path) = hosts.split_once('/').unwrap_or((hosts, ""));
        let (kind, database) = match kind {
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(Error::new(
                        ErrorKind::Config,
                        "a sentinel URL names the service behind the hosts: `redis+sentinel://host1,host2/service`",
                    ));
                }
                (Kind::Sentinel(service.to_owned()), database)
            }
            "cluster" => (Kind::Cluster, path),
            _ => return Err(no_url()),
        };
        let port = if matches!(kind, Kind::Sentinel(_)) {
            ":26379"
        } else {
            ""
        };
        let node = |host: &str| {
            let has_port = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            let port = if has_port { "" } else { port };
            info(&format!("{transport}://{credentials}{host}{port}/{database}"))
        };
        let nodes = hosts.split(',').map(node).collect::<Result<Vec<_>>>()?;
        Ok(Self { kind, nodes, sentinel })
    }

    /// User, password and database in place of those in the URL.
    pub(crate) fn overrule(&mut self, username: Option<&str>, password: Option<&str>, database: Option<i64>) {
        for node in &mut self.nodes {
            let mut settings = node.redis_settings().clone();
            if let Some(username) = username {
                settings = settings.set_username(username);
            }
            if let Some(password) = password {
                settings = settings.set_password(password);
            }
            if let Some(database) = database {
                settings = settings.set_db(database);
            }
            *node = node.clone().set_redis_settings(settings);
        }
    }

    /// What the sentinels themselves ask for.
    pub(crate) fn sentinel_credentials(&mut self, username: Option<&str>, password: Option<&str>) {
        if let Some(username) = username {
            self.sentinel = self.sentinel.clone().set_username(username);
        }
        if let Some(password) = password {
            self.sentinel = self.sentinel.clone().set_password(password);
        }
    }

    /// What the driver would pass over in silence.
    fn check(&self, tls: &Tls) -> Result<()> {
        let encrypts = |node: &ConnectionInfo| matches!(node.addr(), ConnectionAddr::TcpTls { .. });
        if tls.is_set() && !self.nodes.iter().all(encrypts) {
            return Err(Error::new(
                ErrorKind::Config,
                "there are certificates for a URL without TLS; write `rediss://` (`rediss+sentinel://`, `rediss+cluster://`), or \
                 leave them out",
            ));
        }
        let mut users = self.nodes.iter().map(ConnectionInfo::redis_settings);
        if users.any(lacks_its_password) {
            return Err(Error::new(
                ErrorKind::Config,
                "a user name without a password is not sent, and the server would take this process for its user `default`; set \
                 the password (any will do for a user with `nopass`)",
            ));
        }
        let names_sentinels = matches!(self.kind, Kind::Sentinel(_));
        if !names_sentinels && (self.sentinel.username().is_some() || self.sentinel.password().is_some()) {
            return Err(Error::new(
                ErrorKind::Config,
                "there are `sentinel_username` or `sentinel_password` for a URL without sentinels; write `redis+sentinel://`, or \
                 leave them out",
            ));
        }
        if lacks_its_password(&self.sentinel) {
            return Err(Error::new(
                ErrorKind::Config,
                "`sentinel_username` without `sentinel_password` is not sent, and the sentinels would take this process for \
                 their user `default`; set the password (any will do for a user with `nopass`)",
            ));
        }
        Ok(())
    }

    /// The way there. Connects to nothing yet.
    pub(crate) fn link(
        self,
        tls: &Tls,
        timeouts: Timeouts,
        probe_key: Arc<[u8]>,
        near: Option<Arc<Near>>,
    ) -> Result<Link> {
        self.check(tls)?;
        #[cfg(feature = "tls")]
        provide_cryptography();
        let tls = tls.clone();
        let first = self.nodes.first().cloned().ok_or_else(no_url)?;
        let target = match self.kind {
            Kind::One => Target::Server(client(first, &tls)?),
            Kind::Sentinel(service) => {
                let sentinel = |info: ConnectionInfo| client(info.set_redis_settings(self.sentinel.clone()), &tls);
                let sentinels = self.nodes.into_iter().map(sentinel).collect::<Result<_>>()?;
                Target::Sentinel(Sentinels::new(sentinels, service, dial(first, tls)))
            }
            Kind::Cluster => {
                let seeds = self.nodes.iter().filter_map(|node| match node.addr() {
                    ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                        Some((host.clone(), *port))
                    }
                    _ => None,
                });
                let cluster = Cluster::new(seeds.collect(), dial(first, tls), timeouts, probe_key, near);
                return Ok(Link::Many(Arc::new(cluster)));
            }
        };
        Ok(Link::One(Arc::new(Node::new(
            target,
            timeouts,
            probe_key,
            near.as_ref(),
        ))))
    }
}

/// To another address, everything else being the same.
fn dial(like: ConnectionInfo, tls: Tls) -> Dial {
    Box::new(move |(host, port)| {
        let address = match like.addr() {
            ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            _ => ConnectionAddr::Tcp(host.clone(), *port),
        };
        client(like.clone().set_addr(address), &tls)
    })
}

/// Whether a user is named whom the driver would not name to the server: it does so beside a password alone.
fn lacks_its_password(settings: &RedisConnectionInfo) -> bool {
    settings.password().is_none() && settings.username().is_some_and(|user| user != "default")
}

fn info(url: &str) -> Result<ConnectionInfo> {
    // The driver's own message may repeat the URL, and with it the password.
    let info = url.into_connection_info().map_err(|_| no_url())?;
    Ok(info.set_tcp_settings(tcp()))
}

/// A reply shall not wait for the packet that acknowledges the one before.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn no_url() -> Error {
    Error::new(
        ErrorKind::Config,
        "the URL names no Redis server; right are `redis://user:password@host:6379/0`, `unix:///run/redis.sock`, \
         `redis+sentinel://host1,host2/service` and `redis+cluster://host1,host2` (`rediss` for TLS), with special \
         characters percent-encoded",
    )
}

#[cfg(feature = "tls")]
fn certificates(tls: &Tls) -> Option<redis::TlsCertificates> {
    let client_tls = tls
        .client
        .clone()
        .map(|(client_cert, client_key)| redis::ClientTlsConfig {
            client_cert,
            client_key,
        });
    tls.is_set().then(|| redis::TlsCertificates {
        client_tls,
        root_cert: tls.root.clone(),
    })
}

fn client(info: ConnectionInfo, tls: &Tls) -> Result<Client> {
    #[cfg(feature = "tls")]
    if let Some(certificates) = certificates(tls) {
        return Client::build_with_tls(info, certificates).map_err(no_certificate);
    }
    #[cfg(not(feature = "tls"))]
    let _: &Tls = tls;
    Client::open(info).map_err(|_| no_url())
}

/// The driver takes the process's default, and panics if there is none. An application that has chosen keeps its choice.
#[cfg(feature = "tls")]
fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Should another thread have been faster, its choice is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

#[cfg(feature = "tls")]
fn no_certificate(_: redis::RedisError) -> Error {
    Error::new(
        ErrorKind::Config,
        "the certificates are no PEM, or the key does not fit the certificate",
    )
}
