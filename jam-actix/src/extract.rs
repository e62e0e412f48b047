//! Extractors of what is in the session.

use std::future::Future;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jam_core::SessionKey;
use serde::de::DeserializeOwned;

use crate::{Error, Result, Session};

/// The user who is logged in, by their session key. For pages that work without one as well there is [`MaybeUser`];
/// `Option<User>` would take an unreachable store for a visitor, since actix-web makes `None` of every error.
///
/// It fails with a 401 if nobody is logged in; as any [`jam_http::Error`], with a 503 if the store is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(pub SessionKey);

/// The user who is logged in, if there is one; as any [`jam_http::Error`], it fails with a 503 if the store is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaybeUser(pub Option<SessionKey>);

/// The data of the session as a type of your own; to change it, take the [`Session`] too. For pages that work without a
/// session as well there is [`MaybeData`]; `Option<Data<T>>` would take an unreachable store for a visitor, since
/// actix-web makes `None` of every error.
///
/// It fails with a 401 if there is no session; with a 500 if the data has another shape; as any [`jam_http::Error`],
/// with a 503 if the store is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<T>(pub T);

/// The data of the session as a type of your own, if there is one. It fails as [`Data`] does, but for the 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeData<T>(pub Option<T>);

impl FromRequest for User {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        of(
            request,
            |session| async move { Ok(Self(session.require_user().await?)) },
        )
    }
}

impl FromRequest for MaybeUser {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        of(request, |session| async move { Ok(Self(session.user().await?)) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Data<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        of(request, |session| async move {
            let data = session.data_as().await?;
            data.map(Self).ok_or_else(|| jam_http::Error::LoginRequired.into())
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for MaybeData<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        of(request, |session| async move { Ok(Self(session.data_as().await?)) })
    }
}

fn of<T, F>(request: &HttpRequest, extract: impl FnOnce(Session) -> F) -> LocalBoxFuture<'static, Result<T>>
where
    F: Future<Output = Result<T>> + 'static,
    T: 'static,
{
    match Session::of(request) {
        Ok(session) => extract(session).boxed_local(),
        Err(error) => std::future::ready(Err(error)).boxed_local(),
    }
}
