//! The site put together: routes, sessions, and what every response has.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jam::tower::{CrossOriginLayer, SessionConfigBuilder, SessionLayer};

use crate::{actions, pages};

/// The website on these sessions.
pub(crate) fn app(config: SessionConfigBuilder) -> jam::Result<Router> {
    // Rotation wants a grace, so that requests on their way are not logged out; a config without one goes without.
    let every = config.sessions().grace().map(|_| Duration::from_mins(15));
    let config = config.rotate_every(every).build()?;
    let pages = Router::new()
        .route("/", get(actions::home))
        .route("/sign-in", post(actions::sign_in))
        .route("/sign-out", post(actions::sign_out))
        .route("/devices/revoke", post(actions::revoke))
        .route("/devices/revoke-others", post(actions::revoke_others))
        .route("/count", post(actions::count))
        .layer(SessionLayer::with(config))
        // No other site can press a button here in a visitor's name.
        .layer(CrossOriginLayer::new())
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::map_response(to_page));
    Ok(pages
        .route("/style.css", get(async || file("text/css", pages::STYLE)))
        .route("/icon.svg", get(async || file("image/svg+xml", pages::ICON)))
        .layer(middleware::map_response(secured)))
}

fn file(kind: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=300")];
    (headers, content)
}

/// Errors are bare where they come from, be it the session layer, an extractor or the router; here they get their page. And
/// nothing is kept anywhere, so that the back button shows nothing of a session that has ended.
async fn to_page(mut response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if (status.is_client_error() || status.is_server_error()) && !is_page {
        let (mut parts, _) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        response = (parts, pages::trouble(status)).into_response();
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn secured(mut response: Response) -> Response {
    for (name, value) in ALWAYS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// No script, no frame, nothing from anywhere else: markup that got through the escaping would still do nothing.
const ALWAYS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
];
