//! What a response has to carry.

use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, RETRY_AFTER, SET_COOKIE, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;

/// The response header in which a bearer client gets a new id.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("session-token");

/// What an [`Exchange`](crate::Exchange) says to the response.
#[derive(Debug)]
#[must_use]
pub struct Closing {
    pub(crate) error: Option<Error>,
    /// None if the handler never looked at the session.
    pub(crate) word: Option<Word>,
    /// The handler answered 401.
    pub(crate) challenge: bool,
}

/// What holds for any response to the request, whichever it is.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) news: Option<HeaderValue>,
    pub(crate) bearer: bool,
}

impl Closing {
    /// The response headers that [`apply`](Self::apply) looks at or changes, for web layers that have to translate them.
    pub const HEADERS: [HeaderName; 6] = [VARY, SET_COOKIE, CACHE_CONTROL, WWW_AUTHENTICATE, RETRY_AFTER, TOKEN];

    /// Of an exchange whose handler never looked at the session.
    pub(crate) fn untouched() -> Self {
        Self {
            error: None,
            word: None,
            challenge: false,
        }
    }

    /// What kept the changes from being written. The response must then be the one
    /// [this error is](Error::status), in place of the handler's, which would claim a success that was none. (Whatever else the
    /// handler did, in a database or by mail, is done.) Its headers are still to be completed by
    /// [`apply`](Self::apply).
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Completes the headers of the response.
    ///
    /// - A new id, or the end of one, goes out: `Set-Cookie` (`session-token` for bearers) is added, and `Cache-Control`
    ///   becomes `no-store`, whatever the handler set.
    /// - The session was looked at: `Vary` gets `Cookie` (`Authorization` for bearers) if it is not there, and
    ///   `Cache-Control`, where the handler set none, becomes `private, no-cache`. So no shared cache gives one user's
    ///   page to another.
    /// - A 401 to a bearer gets `WWW-Authenticate: Bearer` if the handler set none (RFC 6750, 3).
    /// - Nothing of that: nothing is changed.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let Some(word) = &self.word else {
            return;
        };
        word.apply(headers);
        if word.bearer && self.challenge && !headers.contains_key(WWW_AUTHENTICATE) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(error) = &self.error {
            error.apply(headers);
        }
    }
}

impl Word {
    fn apply(&self, headers: &mut HeaderMap) {
        let vary_on = if self.bearer { AUTHORIZATION } else { COOKIE };
        if !varies_on(headers, &vary_on) {
            // In the form most people read.
            let name = if self.bearer { "Authorization" } else { "Cookie" };
            headers.append(VARY, HeaderValue::from_static(name));
        }
        if let Some(news) = &self.news {
            let name = if self.bearer { TOKEN } else { SET_COOKIE };
            headers.append(name, news.clone());
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        } else if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        }
    }
}

/// What session layers further in have said to a response, for one further out that puts another response in its place:
/// the sessions of those are written and their old ids may be dead, so what they told the client has to reach it all
/// the same. It travels among the extensions of the response.
///
/// A web layer takes out what it finds there. If it puts a response of its own in place, it [applies](Self::apply) that
/// to it first, and then its own [`Closing`]. If it is itself inside of another one, it [adds](Self::add) its own and
/// leaves the whole among the extensions, where it also says that an error of the handler has been judged.
#[derive(Clone, Debug, Default)]
pub struct Sent(Vec<Word>);

impl Sent {
    /// Adds what one more exchange has said.
    pub fn add(&mut self, closing: &Closing) {
        self.0.extend(closing.word.clone());
    }

    /// Says all of it to another response: the new ids and the ends of ids, `Vary` and `Cache-Control`, as
    /// [`Closing::apply`] does. Nothing else goes over, so no cookie of the handler.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for word in &self.0 {
            word.apply(headers);
        }
    }
}

fn varies_on(headers: &HeaderMap, name: &HeaderName) -> bool {
    let lines = headers.get_all(VARY).iter().filter_map(|line| line.to_str().ok());
    let mut names = lines.flat_map(|line| line.split(',')).map(str::trim);
    names.any(|listed| listed == "*" || listed.eq_ignore_ascii_case(name.as_str()))
}
