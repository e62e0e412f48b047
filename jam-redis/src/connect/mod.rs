//! Connections: to one server, to the primary that sentinels name, to the nodes of a cluster.

mod attempts;
mod batch;
mod clock;
mod cluster;
mod known;
mod link;
mod live;
mod looks;
mod node;
mod pending;
mod primary;
mod probe;
mod removal;
mod sentinels;
mod slots;
mod votes;
mod wait;

pub(crate) use self::clock::Moment;
pub(crate) use self::cluster::{Cluster, View};
pub(crate) use self::link::{Answer, Link};
pub(crate) use self::live::{Lend, Live, Wire};
pub(crate) use self::node::{Node, Replicas, Target, Timeouts};
pub(crate) use self::probe::Generation;
pub(crate) use self::removal::Removal;
pub(crate) use self::sentinels::{Sentinels, Watch};
#[cfg(feature = "near-cache")]
pub(crate) use self::slots::Served;
pub(crate) use self::slots::{Address, SLOTS};

/// Makes a client for an address, with the credentials and certificates of the URL.
pub(crate) type Dial = Box<dyn Fn(&Address) -> jam_core::Result<redis::Client> + Send + Sync>;
