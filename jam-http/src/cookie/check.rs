//! Which settings of a cookie make sense together.

use jam_core::{Error, ErrorKind, Result};

use super::{CookieConfig, SameSite};

/// Longest value of an attribute that browsers take (RFC 6265bis, 5.6).
const MAX_ATTRIBUTE: usize = 1024;
/// Longest name; leaves room for every id of jam's codecs beside the longest attributes within 4096 bytes.
const MAX_NAME: usize = 256;
/// Prefixes of names that browsers take with `Secure` alone; for `__Host-Http-` the rules of `__Host-` hold as well.
/// Those with `Http` ask for `HttpOnly` too, which every cookie of ours is.
const PREFIXES: [&str; 4] = ["__Host-", "__Secure-", "__Http-", "__Host-Http-"];

pub(super) fn check(cookie: &CookieConfig) -> Result<()> {
    let wrong = |what: &'static str| Err(Error::new(ErrorKind::Config, what));
    let name = cookie.effective_name();
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) {
        return wrong("the cookie's `name` must be a token of 1 to 256 letters, digits and !#$%&'*+-.^_`|~");
    }
    // Browsers compare these prefixes without regard to case (RFC 6265bis, 4.1.3).
    let begins = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    for prefix in PREFIXES.into_iter().filter(|prefix| begins(prefix)) {
        if !name.starts_with(prefix) {
            return wrong(
                "the cookie's `name` must write its prefix as `__Host-`, `__Secure-`, `__Http-` or `__Host-Http-`",
            );
        }
        if name.len() == prefix.len() {
            return wrong("the cookie's `name` must not end with its prefix");
        }
        if cookie.insecure {
            return wrong(
                "`insecure_for_development` needs a cookie `name` without `__Host-`, `__Secure-` or `__Http-` in front",
            );
        }
    }
    let host = begins("__Host-");
    if host && cookie.domain.is_some() {
        return wrong("a `__Host-` cookie has no `domain`; choose a name with `__Secure-`");
    }
    if host && cookie.path != "/" {
        return wrong("a `__Host-` cookie has the `path` \"/\"; choose a name with `__Secure-`");
    }
    if cookie.same_site == SameSite::None && cookie.insecure {
        return wrong(
            "`same_site = \"none\"` does not go with `insecure_for_development`: browsers want `Secure` with it",
        );
    }
    if cookie.partitioned && cookie.insecure {
        return wrong("`partitioned` does not go with `insecure_for_development`: browsers want `Secure` with it");
    }
    if cookie.partitioned && cookie.same_site != SameSite::None {
        return wrong("`partitioned` needs `same_site = \"none\"`: no frame of another site would get the cookie");
    }
    if let Some(domain) = &cookie.domain {
        check_domain(domain)?;
    }
    if !cookie.path.starts_with('/') || cookie.path.len() > MAX_ATTRIBUTE || !cookie.path.bytes().all(is_value) {
        return wrong(
            "the cookie's `path` must begin with `/` and hold 1 to 1024 printable ASCII characters without `;`",
        );
    }
    Ok(())
}

/// A host name, in the form it has on the wire.
fn check_domain(domain: &str) -> Result<()> {
    let is_label = |label: &str| {
        let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        bytes.len() <= 63
            && ends_well(bytes.first())
            && ends_well(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    if domain.len() <= 253 && domain.split('.').all(is_label) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        "the cookie's `domain` must be a host name such as example.com, without a dot in front and in punycode",
    ))
}

/// A `tchar` of RFC 9110.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An `av-octet` of RFC 6265 that is printable and no space.
fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b';'
}
