//! How an id looks on the wire, and how it is found in a request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, header};
use jam_core::{Bytes, Error, ErrorKind, Result, SessionId};

use crate::config::Carrier;

/// What a request brought.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// No id, or a text that is none.
    Nothing,
    /// An id; whether there is a session under it is another question.
    Id(SessionId),
    /// A text that no id looks like. Nothing is behind it, but a cookie of the name is there.
    Junk,
    /// More than one.
    Ambiguous,
}

/// An id as it travels: base64url without padding (RFC 4648, 5) of the whole id, since a session key may hold anything.
/// Every character is a `cookie-octet` (RFC 6265, 4.1.1) and fits a `token68` (RFC 9110, 11.2).
pub(crate) fn encode(id: &SessionId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_str())
}

/// The same behind what is there.
pub(crate) fn encode_into(id: &SessionId, text: &mut Vec<u8>) {
    let start = text.len();
    text.resize(start + encoded_len(id), 0);
    // There is just the room it needs.
    let written = URL_SAFE_NO_PAD.encode_slice(id.as_str(), &mut text[start..]);
    text.truncate(start + written.unwrap_or(0));
}

/// How long an id is as it travels.
pub(crate) fn encoded_len(id: &SessionId) -> usize {
    (id.as_str().len() * 4).div_ceil(3)
}

/// The id that travelled as this; only what [`encode`] writes is one.
fn decode(text: &[u8]) -> Option<SessionId> {
    // The engine refuses other alphabets, padding and bits that do not count.
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    String::from_utf8(bytes)
        .ok()
        .filter(|id| !id.is_empty())
        .map(SessionId::new)
}

impl Arrived {
    /// Looks through the values of the header that matters.
    pub(crate) fn read<'a, I>(carrier: &Carrier, values: impl FnOnce(&HeaderName) -> I) -> Self
    where
        I: Iterator<Item = &'a [u8]>,
    {
        match carrier {
            Carrier::Cookie(cookie) => Self::of(cookies(values(&header::COOKIE)).filter_map(|(name, value)| {
                let ours = name == cookie.name().as_bytes();
                ours.then_some(value)
            })),
            Carrier::Bearer => {
                let mut all = values(&header::AUTHORIZATION);
                let first = all.next().and_then(bearer);
                if all.next().is_some() {
                    Self::Ambiguous
                } else {
                    Self::of(first.into_iter())
                }
            }
        }
    }

    fn of<'a>(mut found: impl Iterator<Item = &'a [u8]>) -> Self {
        match (found.next(), found.next()) {
            (None, _) => Self::Nothing,
            (Some(text), None) => decode(text).map_or(Self::Junk, Self::Id),
            (Some(_), Some(_)) => Self::Ambiguous,
        }
    }
}

/// Every cookie of a request, as exact bytes: no decoding of percents, no folding of cases, no taking off of quotes.
fn cookies<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    lines.flat_map(|line| Pairs(Some(line))).filter_map(|pair| {
        let (name, value) = split_at(b'=', pair)?;
        Some((trim(name), trim(value)))
    })
}

/// What stands between semicolons.
struct Pairs<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.0?;
        let (pair, rest) = split_at(b';', line).unzip();
        self.0 = rest;
        Some(pair.unwrap_or(line))
    }
}

/// What stands before and behind the first such mark.
fn split_at(mark: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(mark, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Takes off the spaces and tabs around (and nothing else, in particular no Unicode space).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// What stands after `Bearer`, in any case (RFC 9110, 11.1), and spaces.
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(6)?;
    (scheme.eq_ignore_ascii_case(b"bearer") && token.first() == Some(&b' ')).then(|| trim(token))
}

/// A header value that logs do not show.
pub(crate) fn to_header(value: impl Into<Bytes>) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(value.into())
        .map_err(|_| Error::new(ErrorKind::Unexpected, "what the session sends is no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}
