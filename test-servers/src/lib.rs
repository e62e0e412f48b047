//! Redis and Valkey servers for the tests of jam, and a browser: each on free loopback ports, with a directory of its own,
//! and gone with the test, however that ends.
//!
//! ```no_run
//! use jam_test_servers::{Kind, Server};
//!
//! let server = Server::start(Kind::New);
//! server.command(&["SET", "greeting", "hello"]);
//! assert_eq!(server.command(&["GET", "greeting"]).text(), "hello");
//! server.pause();
//! ```
//!
//! Everything blocks and nothing here needs a runtime; an asynchronous test may call it directly, as long as what it waits for
//! does not need the thread it runs on. What cannot be had (a server that is not installed, one that does not start) is a panic
//! that says what to do: no test is ever skipped.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a server that cannot be had fails the test"
)]

mod browser;
mod cluster;
mod guard;
mod monitor;
mod options;
mod ports;
mod process;
mod programs;
mod proxy;
mod resp;
mod sentinels;
mod server;
mod tls;
mod wait;

pub use self::browser::Chromedriver;
pub use self::cluster::{Cluster, Migration, slot_of};
pub use self::monitor::{Line, Monitor};
pub use self::options::ServerOptions;
pub use self::process::Process;
pub use self::programs::{Kind, python};
pub use self::proxy::Proxy;
pub use self::resp::{Connection, Reply};
pub use self::sentinels::Sentinels;
pub use self::server::Server;
