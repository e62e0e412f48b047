//! # jam-http
//!
//! How jam's sessions travel over HTTP, without a framework: how a request names its session, when the session is
//! loaded, what a handler changed, when and how that is written, and what goes out with the response. `jam-tower` (axum,
//! hyper, tonic) and other web layers only adapt these rules.
//!
//! - [`SessionConfig`]: the manager, the cookie, and the choices there are.
//! - [`Exchange`]: one request and its response. A web layer [begins](Exchange::begin) it with the request's headers,
//!   hands [`Exchange::session`] to the handler, and [finishes](Exchange::finish) it before the response leaves.
//! - [`Session`]: what a handler sees.
//! - [`CrossOriginProtection`]: refuses what other sites make a browser send.
//!
//! ```
//! use http::{HeaderMap, StatusCode, header};
//! use jam_core::{MemoryStore, Sessions};
//! use jam_http::{Exchange, SessionConfig};
//!
//! # futures_lite::future::block_on(async {
//! let config = SessionConfig::new(Sessions::new(MemoryStore::new()));
//!
//! let exchange = Exchange::begin(&config, &HeaderMap::new());
//! exchange.session().insert("theme", "dark").await?; // what a handler does
//!
//! let mut headers = HeaderMap::new(); // those of the response
//! exchange.finish(StatusCode::OK).await.apply(&mut headers);
//! let cookie = headers[header::SET_COOKIE].to_str().unwrap();
//! assert!(cookie.starts_with("__Host-session="));
//! assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"));
//! # Ok::<(), jam_http::Error>(())
//! # }).unwrap();
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod closing;
mod config;
mod cookie;
mod cross_origin;
mod error;
mod exchange;
mod session;
mod wire;

pub use self::closing::{Closing, Sent};
pub use self::config::{SessionConfig, SessionConfigBuilder, Transport, Undecodable};
pub use self::cookie::{CookieConfig, CookieLife, SameSite};
pub use self::cross_origin::{CrossOriginProtection, CrossOriginRefused};
pub use self::error::{Error, Result};
pub use self::exchange::Exchange;
pub use self::session::{Device, Session};
