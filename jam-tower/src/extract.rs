//! Extractors for axum.

use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use jam_core::{ErrorKind, SessionKey};
use serde::de::DeserializeOwned;

use crate::{Error, Session};

/// The session of the request. Extracting it costs nothing: the store is asked when a method needs it.
///
/// # Rejections
/// A 500 if there is no [`SessionLayer`](crate::SessionLayer) around the route.
impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            let message = "no `SessionLayer` is around this route";
            jam_core::Error::new(ErrorKind::Config, message).into()
        })
    }
}

/// `None` where no [`SessionLayer`](crate::SessionLayer) is around the route.
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The user who is logged in, by their session key. `Option<User>` is for pages that work without one as well.
///
/// # Rejections
/// A 401 if nobody is logged in; as for any [`jam_http::Error`], a 503 if the store is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(pub SessionKey);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let session = <Session as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(Self(session.require_user().await?))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for User {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Error> {
        let session = <Session as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(session.user().await?.map(Self))
    }
}

/// The session's data as a struct of your own. `Option<Data<T>>` is for pages that work without a session as well. To write
/// it back, [`merge`](jam_http::Session::merge) it.
///
/// # Rejections
/// A 401 if there is no session; a 500 if the data has another shape; as for any [`jam_http::Error`], a 503 if the store is
/// down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Data<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let data = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        data.ok_or_else(|| jam_http::Error::LoginRequired.into())
    }
}

impl<S: Sync, T: DeserializeOwned> OptionalFromRequestParts<S> for Data<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Error> {
        let session = <Session as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(session.data_as().await?.map(Self))
    }
}
