//! # jam-redis
#![forbid(unsafe_code)]

mod call;
mod connect;
mod error;
mod factory;
mod layout;
mod options;
mod scan;
mod script;
mod store;
mod url;
mod value;

pub use self::factory::RedisFactory;
pub use self::layout::Layout;
pub use self::options::RedisOptions;
pub use self::store::RedisStore;
