//! # jam-tower
//!
//! Sessions as a [tower](tower_layer) layer, with extractors for axum (feature `axum`). The rules are those of
//! [`jam_http`]; its [`Session`](jam_http::Session) says what a handler can do.
//!
//! - [`SessionLayer`] gives every request its [`Session`] and every response its cookie.
//! - [`Session`], `User` and `Data<T>` are extractors for axum; [`Error`] is a response.
//! - [`CrossOriginLayer`] refuses what pages of other origins make a browser send.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cross_origin;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod layer;
mod session;

pub use jam_http::{
    CookieConfig, CookieLife, CrossOriginProtection, CrossOriginRefused, Device, SameSite, SessionConfig,
    SessionConfigBuilder, Transport, Undecodable,
};

pub use self::cross_origin::{CrossOriginFuture, CrossOriginLayer, CrossOriginService};
pub use self::error::{Answer, Error, Plain, Result};
#[cfg(feature = "axum")]
pub use self::extract::{Data, User};
pub use self::future::ResponseFuture;
pub use self::layer::{SessionLayer, SessionService};
pub use self::session::Session;

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
