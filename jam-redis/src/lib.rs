//! # jam-redis
//!
//! Sessions in Redis and Valkey, for [jam](jam_core): one server, Sentinel or Cluster, from Redis 6.2 on.
//!
//! [`RedisStore`] is the store, [`RedisOptions`] what can be set. Through a [`Registry`](jam_core::Registry), and so from a
//! config or a URL, [`RedisFactory`] opens it. It needs a tokio runtime, and uses the one it is called in.
//!
//! A hash per session key, named `<session path>:<session key>`, holds a field per session. On servers that let a field
//! expire (Redis 7.4, Valkey 9 and newer) the value is the payload as it is; on older ones the value also carries the
//! expiry, and the server's clock is asked. Which of them it is jam finds out by trying, for each connection.
//!
//! What an acknowledged write survives is the server's affair, and so is what a failover undoes: Redis answers before it
//! replicates. [`RedisOptions::wait_replicas`] says what can be had.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod connect;
mod diagnosis;
mod error;
mod factory;
#[cfg_attr(not(feature = "near-cache"), path = "near_off.rs")]
mod near;
mod options;
mod read;
mod scan;
mod script;
mod store;
mod url;
mod value;

pub use jam_core::Layout;

pub use self::factory::RedisFactory;
pub use self::options::RedisOptions;
pub use self::store::RedisStore;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
