//! Connections: to one server, to the primary that sentinels name, to the nodes of a cluster.

mod batch;
mod clock;
mod cluster;
mod known;
mod link;
mod live;
mod node;
mod slots;

pub(crate) use self::clock::Moment;
pub(crate) use self::cluster::Cluster;
pub(crate) use self::link::{Link, Replicas};
pub(crate) use self::live::{Generation, Lend, Live, Wire};
pub(crate) use self::node::{Node, Target, Timeouts};
