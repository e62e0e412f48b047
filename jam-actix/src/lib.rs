//! # jam-actix
//!
//! Sessions in actix-web, as middleware and extractors. The rules are those of [`jam_http`], the same as in axum;
//! its [`Session`](jam_http::Session) says what a handler can do.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use jam_actix::{Result, Session, SessionMiddleware};
//! use jam_core::{MemoryStore, Sessions};
//!
//! async fn visits(session: Session) -> Result<String> {
//!     session.modify(|data| {
//!         let visits = data.get("visits").and_then(|visits| visits.as_u64()).unwrap_or(0);
//!         data.insert("visits".into(), (visits + 1).into());
//!     }).await?;
//!     Ok(format!("visit {}", session.get::<u64>("visits").await?.unwrap_or(0)))
//! }
//!
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let sessions = SessionMiddleware::new(Sessions::new(MemoryStore::new()));
//!     HttpServer::new(move || App::new().wrap(sessions.clone()).route("/", web::get().to(visits)))
//!         .bind("127.0.0.1:8080")?
//!         .run()
//!         .await
//! }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bridge;
mod cross_origin;
mod error;
mod extract;
mod middleware;
mod session;

pub use jam_http::{
    CookieConfig, CookieLife, CrossOriginProtection, CrossOriginRefused, Device, SameSite, SessionConfig,
    SessionConfigBuilder, Transport, Undecodable,
};

pub use self::cross_origin::{CrossOriginMiddleware, CrossOriginService};
pub use self::error::{Error, Result};
pub use self::extract::{Data, MaybeData, MaybeUser, User};
pub use self::middleware::{SessionMiddleware, SessionService};
pub use self::session::Session;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
