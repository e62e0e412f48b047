//! Between actix-web, which has version 0.2 of `http` and a header map of its own, and version 1, which jam-http speaks.

use actix_web::http::header::{
    HeaderMap as ActixHeaders, HeaderName as ActixName, HeaderValue as ActixValue, TryIntoHeaderValue,
};
use actix_web::http::uri::Authority;
use actix_web::http::{StatusCode as ActixStatus, Uri as ActixUri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

/// These headers, as jam-http reads and completes them.
pub(crate) fn some_of(headers: &ActixHeaders, names: &[HeaderName]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name.as_str()) {
            append(&mut map, name.clone(), value);
        }
    }
    map
}

fn append(map: &mut HeaderMap, name: HeaderName, value: &ActixValue) {
    // What is a value in one version is one in the other.
    if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
        copy.set_sensitive(value.is_sensitive());
        map.append(name, copy);
    }
}

/// Makes the headers of a response these, and leaves those alone that are not among them.
pub(crate) fn write_back(headers: &HeaderMap, response: &mut ActixHeaders) {
    for name in headers.keys() {
        response.remove(name.as_str());
        let Ok(actix_name) = ActixName::from_bytes(name.as_str().as_bytes()) else {
            continue;
        };
        for value in headers.get_all(name) {
            if let Ok(mut copy) = value.as_bytes().try_into_value() {
                copy.set_sensitive(value.is_sensitive());
                response.append(actix_name.clone(), copy);
            }
        }
    }
}

pub(crate) fn status(status: StatusCode) -> ActixStatus {
    ActixStatus::from_u16(status.as_u16()).unwrap_or(ActixStatus::INTERNAL_SERVER_ERROR)
}

pub(crate) fn status_of(status: ActixStatus) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn method(method: &actix_web::http::Method) -> Method {
    // None that is in one version is not in the other; no method at all would be judged as an unsafe one.
    Method::from_bytes(method.as_str().as_bytes()).unwrap_or(Method::TRACE)
}

/// A target, as far as it names a host.
pub(crate) fn authority(target: &ActixUri) -> Uri {
    let authority = target.authority().map(Authority::as_str);
    authority
        .and_then(|authority| authority.parse().ok())
        .unwrap_or_default()
}
