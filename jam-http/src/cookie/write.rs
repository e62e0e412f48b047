//! Writing the cookie, and the one that takes it away.

use std::io::Write;
use std::time::Duration;

use cookie::Cookie;
use http::HeaderValue;
use jam_core::{Error, ErrorKind, Result, SessionId, Sessions};

use super::{CookieConfig, CookieLife, SameSite};
use crate::wire;

/// Longest cookie that every browser takes, name, value and attributes together (RFC 6265, 6.1).
const MAX_COOKIE: usize = 4096;

/// As long as a browser keeps any cookie (RFC 6265bis, the `Max-Age` attribute): of a session without an end.
const MAX_AGE: Duration = Duration::from_hours(400 * 24);

/// Cookie settings that have been checked.
#[derive(Clone, Debug)]
pub(crate) struct CookieWriter {
    config: CookieConfig,
    /// What stands in front of the id.
    head: String,
    /// What stands behind it, but for a `Max-Age`.
    tail: String,
}

impl CookieWriter {
    pub(super) fn new(config: &CookieConfig) -> Self {
        let head = format!("{}=", config.effective_name());
        let empty = without_value(config).to_string();
        Self {
            config: config.clone(),
            tail: empty.strip_prefix(&head).unwrap_or_default().to_owned(),
            head,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.config.effective_name()
    }

    /// Whether the cookie goes out anew when the session's ttl is counted anew. Whether that has a ttl of its own need not be
    /// known.
    pub(crate) fn follows(&self, sessions: &Sessions, id: &SessionId, remembered: Option<bool>) -> bool {
        match self.config.life {
            CookieLife::Browser => false,
            CookieLife::Remembered => {
                remembered.unwrap_or_else(|| sessions.life(id).is_some_and(|life| life.ttl().is_some()))
            }
            CookieLife::Session => true,
        }
    }

    /// How long the browser is to keep the cookie.
    pub(crate) fn max_age(&self, sessions: &Sessions, id: &SessionId, remembered: Option<bool>) -> Option<Duration> {
        let follows = self.follows(sessions, id, remembered);
        follows.then(|| sessions.lifetime(id).unwrap_or(MAX_AGE))
    }

    /// The cookie that carries this id.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if it does not fit into 4096 bytes.
    pub(crate) fn write(&self, id: &SessionId, max_age: Option<Duration>) -> Result<HeaderValue> {
        let value = self.render(Some(id), max_age);
        if value.len() > MAX_COOKIE {
            let message = "the session cookie would have more than 4096 bytes; shorten the session key, or the cookie's \
                           name, path or domain";
            return Err(Error::new(ErrorKind::Config, message));
        }
        wire::to_header(value)
    }

    /// The cookie that takes it away: the same attributes, an empty value, no time left.
    pub(crate) fn write_removal(&self) -> Result<HeaderValue> {
        wire::to_header(self.render(None, Some(Duration::ZERO)))
    }

    fn render(&self, id: Option<&SessionId>, max_age: Option<Duration>) -> Vec<u8> {
        let id_len = id.map_or(0, wire::encoded_len);
        let mut cookie = Vec::with_capacity(self.head.len() + id_len + self.tail.len());
        cookie.extend_from_slice(self.head.as_bytes());
        if let Some(id) = id {
            wire::encode_into(id, &mut cookie);
        }
        cookie.extend_from_slice(self.tail.as_bytes());
        if let Some(max_age) = max_age {
            // Writing to memory cannot fail.
            let _ = write!(cookie, "; Max-Age={}", max_age.as_secs());
        }
        cookie
    }
}

impl Default for CookieWriter {
    fn default() -> Self {
        Self::new(&CookieConfig::default())
    }
}

/// A cookie of these settings, but for its value and a `Max-Age`, which is the last attribute there is.
fn without_value(config: &CookieConfig) -> Cookie<'_> {
    let mut cookie = Cookie::build((config.effective_name(), ""))
        .http_only(true)
        .secure(!config.insecure)
        .path(config.path.as_str())
        .same_site(match config.same_site {
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::None => cookie::SameSite::None,
        })
        .partitioned(config.partitioned);
    if let Some(domain) = &config.domain {
        cookie = cookie.domain(domain.as_str());
    }
    cookie.build()
}
