//! Refusing what other sites make a browser send.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use jam_core::{Error, ErrorKind, Result};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses requests that change something and that a page of another origin made a browser send (cross-site request
/// forgery), without tokens: by what browsers say of every request in `Sec-Fetch-Site` and `Origin`, which no page can
/// change. The scheme is that of `net/http.CrossOriginProtection` in Go 1.25.
///
/// | request | |
/// |---|---|
/// | `GET`, `HEAD`, `OPTIONS` | passes, but for the handshake of a WebSocket, which goes on with the next lines |
/// | `Sec-Fetch-Site: same-origin` or `none` (typed, bookmarked) | passes |
/// | any other `Sec-Fetch-Site`: `cross-site`, `same-site` | refused, unless `Origin` is trusted |
/// | no `Sec-Fetch-Site`; `Origin` names the host of the request | passes |
/// | no `Sec-Fetch-Site`; any other `Origin`, `null` too | refused, unless it is trusted |
/// | neither header | passes: no browser of this decade, so no visitor's cookies to abuse |
///
/// A header that is there twice, or empty, is no value that passes.
///
/// # What it covers, and what it does not
/// - It asks that **safe methods change nothing** (OWASP ASVS 5.0, 3.5.3). A logout by `GET` is not protected. With that it
///   does what 3.5.1 asks for: requests to sensitive functions come from the application itself.
/// - `same-site` is refused as well: a page on `blog.example.com` may not post to `app.example.com`. `SameSite` cookies,
///   even strict ones, do not tell these apart. Keep [`SameSite=Lax`](crate::SameSite::Lax) all the same: it
///   protects in browsers that send neither header.
/// - Browsers send `Sec-Fetch-Site` to https (and to localhost) alone, all of them since 2023. Where it is missing the
///   scheme cannot be compared, for `Host` has none: a page at `http://app.example.com`, which whoever controls the
///   network can forge, may post to `https://app.example.com`. `Strict-Transport-Security` closes that.
/// - Reading across origins is not its matter: browsers prevent it unless CORS headers allow it. An origin that CORS
///   allows to post has to be trusted here too.
/// - A script that was smuggled into a page of the application itself (XSS) is same-origin, and no such check stops it.
/// - The proxy in front must pass on `Host` (or `:authority`), `Origin` and `Sec-Fetch-Site` as they came.
///
/// There are no patterns of paths to leave out. Requests of other servers (webhooks) carry neither header and pass; a
/// provider of identities that has the browser post back to the application is a trusted origin; and where a route really
/// is for everybody, keep the layer off it.
///
/// ```
/// use http::{HeaderMap, HeaderValue, Method, Uri};
/// use jam_http::CrossOriginProtection;
///
/// let protection = CrossOriginProtection::new().trusting(["https://login.example.com"])?;
/// let to = Uri::from_static("/transfer");
/// let from = |site, origin| {
///     HeaderMap::from_iter([
///         ("sec-fetch-site".parse().unwrap(), HeaderValue::from_static(site)),
///         ("origin".parse().unwrap(), HeaderValue::from_static(origin)),
///     ])
/// };
/// assert!(protection.check(&Method::POST, &to, &from("same-origin", "https://example.com")).is_ok());
/// assert!(protection.check(&Method::POST, &to, &from("cross-site", "https://evil.example")).is_err());
/// assert!(protection.check(&Method::POST, &to, &from("same-site", "https://login.example.com")).is_ok());
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CrossOriginProtection {
    trusted: Arc<BTreeSet<String>>,
}

/// Why a request was refused. The response is a 403; a web layer puts this among its extensions, so that a layer further
/// out can make a page of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrossOriginRefused {
    /// The browser says so in `Sec-Fetch-Site`.
    #[error("refused: the request comes from another origin, says Sec-Fetch-Site, and its origin is not trusted")]
    SecFetchSite,
    /// `Origin` is not the host the request went to.
    #[error(
        "refused: there is no Sec-Fetch-Site (an old browser, or no https), and Origin is neither the request's host \
         nor trusted"
    )]
    Origin,
}

impl CrossOriginProtection {
    /// The headers it looks at, for web layers that have to translate them.
    pub const HEADERS: [HeaderName; 4] = [SEC_FETCH_SITE, header::ORIGIN, header::HOST, header::UPGRADE];

    /// Trusts no other origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these origins as well, each written as browsers do: `scheme://host`, and `:port` where it is not the
    /// scheme's own. There are no wildcards, and `null` cannot be trusted: any page can have that origin.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for one that no browser would send.
    pub fn trusting(mut self, origins: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let trusted = Arc::make_mut(&mut self.trusted);
        for origin in origins {
            let origin = origin.as_ref();
            check_origin(origin).map_err(|why| {
                let message = format!("a trusted origin is no origin: {why}; write it like https://login.example.com");
                Error::new(ErrorKind::Config, message).with("origin", format!("{origin:?}"))
            })?;
            trusted.insert(origin.to_owned());
        }
        Ok(self)
    }

    /// Judges a request by its method, target and headers.
    ///
    /// # Errors
    /// [`CrossOriginRefused`] says why it has to be answered with a 403. It is logged at level INFO, with the origin.
    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), CrossOriginRefused> {
        let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if safe && !is_websocket(headers) {
            return Ok(());
        }
        let origin = Single::of(headers, &header::ORIGIN);
        let why = match (Single::of(headers, &SEC_FETCH_SITE), origin) {
            (Single::Is(b"same-origin" | b"none"), _) | (Single::Missing, Single::Missing) => return Ok(()),
            (Single::Missing, Single::Is(origin)) if is_of_host(origin, uri, headers) => return Ok(()),
            (Single::Missing, _) => CrossOriginRefused::Origin,
            _ => CrossOriginRefused::SecFetchSite,
        };
        if self.trusts(origin) {
            return Ok(());
        }
        tracing::info!(%method, origin = ?headers.get(header::ORIGIN), "{why}");
        Err(why)
    }

    fn trusts(&self, origin: Single<'_>) -> bool {
        let Single::Is(origin) = origin else { return false };
        str::from_utf8(origin).is_ok_and(|origin| self.trusted.contains(origin))
    }
}

/// A header that may be there once.
#[derive(Clone, Copy)]
enum Single<'a> {
    Missing,
    Is(&'a [u8]),
    Several,
}

impl<'a> Single<'a> {
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::Is(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// A browser lets every page open one, cookies and all (OWASP ASVS 5.0, 4.4.2).
fn is_websocket(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::UPGRADE).iter().map(HeaderValue::as_bytes);
    let mut protocols = lines.flat_map(|line| line.split(|byte| *byte == b','));
    protocols.any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// Whether an origin is that of the host a request went to, as far as its scheme can be left out of it.
fn is_of_host(origin: &[u8], uri: &Uri, headers: &HeaderMap) -> bool {
    let host = match (uri.authority(), Single::of(headers, &header::HOST)) {
        // HTTP/2, or a target in absolute form, before which `Host` does not count (RFC 9112, 3.2.2).
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Single::Is(host)) => host,
        (None, _) => return false,
    };
    let origin = origin
        .strip_prefix(b"https://")
        .or_else(|| origin.strip_prefix(b"http://"));
    !host.is_empty() && origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
}

/// Whether a browser would write an origin like this (RFC 6454, 6.2).
fn check_origin(origin: &str) -> Result<(), &'static str> {
    let (scheme, authority) = origin.split_once("://").ok_or("it has no scheme://")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !scheme.starts_with(|first: char| first.is_ascii_lowercase())
        || !scheme.bytes().all(|byte| plain(byte) || b"+-.".contains(&byte))
    {
        return Err("its scheme is not one in small letters");
    }
    // An IPv6 address has colons of its own, inside brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_v6 = |host: &str| {
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        address.is_some_and(|text| text.parse().is_ok_and(|address: Ipv6Addr| address.to_string() == text))
    };
    let is_name = !host.is_empty() && host.bytes().all(|byte| plain(byte) || b"-._".contains(&byte));
    if !is_name && !is_v6(host) {
        return Err("after scheme:// stands a host in small ASCII letters (xn-- for others), and nothing behind it");
    }
    let default = match scheme {
        "http" | "ws" => Some("80"),
        "https" | "wss" => Some("443"),
        _ => None,
    };
    match port {
        Some(port) if Some(port) == default => Err("browsers leave out the port that is the scheme's own"),
        Some(port) if port.parse::<u16>().is_ok_and(|number| number.to_string() == port) => Ok(()),
        Some(_) => Err("its port is no number up to 65535"),
        None => Ok(()),
    }
}
