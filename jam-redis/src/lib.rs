//! # jam-redis
#![forbid(unsafe_code)]

mod call;
mod connect;
mod error;
mod factory;
mod options;
mod scan;
mod script;
mod store;
mod url;
mod value;

pub use jam_core::Layout;

pub use self::factory::RedisFactory;
pub use self::options::RedisOptions;
pub use self::store::RedisStore;
