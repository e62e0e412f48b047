//! What a page says that could not be shown.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::{Frame, sign_in};

/// The page of an error.
pub(crate) fn trouble(status: StatusCode) -> Markup {
    let (title, words) = match status {
        // Revoked from elsewhere, or ended by time, while a page of it was still open.
        StatusCode::UNAUTHORIZED => return sign_in(Some("You are signed out on this device. Sign in to go on."), None),
        StatusCode::SERVICE_UNAVAILABLE => (
            "One moment, please",
            "The place where sessions are kept cannot be reached just now. Your login is kept: this page tries again by itself \
             every few seconds, and goes on where you were.",
        ),
        StatusCode::FORBIDDEN => (
            "That did not come from here",
            "Another website asked for this in your name, and was refused. Nothing has changed. If it was you, go to the page \
             and press there.",
        ),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "That was not understood",
            "The browser sent something that no form of this site sends.",
        ),
        StatusCode::NOT_FOUND => ("Nothing here", "There is no page at this address."),
        StatusCode::METHOD_NOT_ALLOWED => ("Nothing to see", "This address takes a form, and shows nothing itself."),
        StatusCode::CONFLICT => (
            "Too many devices",
            "You are signed in on as many devices as you may. Sign out on one of them first.",
        ),
        _ => (
            "Something is wrong here",
            "It is not your fault, and nothing half-done is left behind. Please try again.",
        ),
    };
    let main = html! {
        section.trouble {
            p.code aria-hidden="true" { (status.as_u16()) }
            h1 { (title) }
            p.lead { (words) }
            p { a.button href="/" { "To your devices" } }
        }
    };
    Frame {
        title,
        retries: status == StatusCode::SERVICE_UNAVAILABLE,
        ..Frame::default()
    }
    .around(&main)
}
