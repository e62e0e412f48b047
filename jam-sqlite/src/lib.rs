//! # jam-sqlite
#![forbid(unsafe_code)]

mod cursor;
mod durability;
mod factory;
mod files;
mod kind;
mod lane;
mod options;
mod reader;
mod request;
mod row;
mod schema;
mod space;
mod statements;
mod store;
mod table;
mod transaction;
mod trouble;
mod writer;

pub use self::durability::Durability;
pub use self::factory::SqliteFactory;
pub use self::options::SqliteOptions;
pub use self::store::SqliteStore;
