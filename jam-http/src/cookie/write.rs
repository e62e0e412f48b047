//! Writing the cookie, and the one that takes it away.

use std::time::Duration;

use cookie::Cookie;
use http::HeaderValue;
use jam_core::{Error, ErrorKind, Result, SessionId, Sessions};

use super::{CookieConfig, CookieLife, SameSite};
use crate::wire;

/// Longest cookie that every browser takes, name, value and attributes together (RFC 6265, 6.1).
const MAX_COOKIE: usize = 4096;

/// Cookie settings that have been checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct CookieWriter {
    config: CookieConfig,
}

impl CookieWriter {
    pub(super) fn new(config: &CookieConfig) -> Self {
        Self { config: config.clone() }
    }

    pub(crate) fn name(&self) -> &str {
        self.config.effective_name()
    }

    /// Whether the cookie goes out anew when the session's ttl is counted anew.
    pub(crate) fn follows(&self, sessions: &Sessions, id: &SessionId) -> bool {
        match self.config.life {
            CookieLife::Browser => false,
            CookieLife::Remembered => sessions.life(id).is_some_and(|life| life.ttl().is_some()),
            CookieLife::Session => true,
        }
    }

    /// The cookie that carries this id.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if it does not fit into 4096 bytes.
    pub(crate) fn write(&self, sessions: &Sessions, id: &SessionId) -> Result<HeaderValue> {
        let max_age = self.follows(sessions, id).then(|| sessions.lifetime(id)).flatten();
        let value = self.render(&wire::encode(id), max_age);
        if value.len() > MAX_COOKIE {
            let message = "the session cookie would have more than 4096 bytes; shorten the session key, or the cookie's \
                           name, path or domain";
            return Err(Error::new(ErrorKind::Config, message));
        }
        wire::to_header(&value)
    }

    /// The cookie that takes it away: the same attributes, an empty value, no time left.
    pub(crate) fn write_removal(&self) -> Result<HeaderValue> {
        wire::to_header(&self.render("", Some(Duration::ZERO)))
    }

    fn render(&self, value: &str, max_age: Option<Duration>) -> String {
        let config = &self.config;
        let mut cookie = Cookie::build((self.name(), value))
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
        if let Some(max_age) = max_age {
            let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        cookie.to_string()
    }
}
