//! The session cookie: its settings, checked before a server starts.

mod check;
mod write;

use std::fmt;

use jam_core::Result;

pub(crate) use self::write::CookieWriter;

/// Which requests from other sites carry the cookie (RFC 6265bis, 5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// None of them; a link from elsewhere arrives logged out.
    Strict,
    /// Only a link that is followed.
    #[default]
    Lax,
    /// All of them. Needs `Secure`, and protection against cross-site requests of your own.
    None,
}

/// How long the browser keeps the cookie. The session's own end counts in any case: a cookie that outlives its session
/// opens nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieLife {
    /// Until the browser is closed: no `Max-Age`.
    Browser,
    /// As [`Session`](Self::Session) for a session that has a ttl of its own ("remember me",
    /// [`login_with`](crate::Session::login_with)), as [`Browser`](Self::Browser) for any other. The default.
    #[default]
    Remembered,
    /// As long as the session: `Max-Age` is the time until it ends if it is not used again, and the cookie goes out anew
    /// with every response whose request counted the ttl anew (that wrote to the session, or read it where
    /// [`renew_on_read`](jam_core::SessionsBuilder::renew_on_read) is on), if the session still has that id: where the request
    /// wrote no fields, the store is asked for that once more. For a session without an end it is 400 days, as long as
    /// browsers keep any cookie (RFC 6265bis, the `Max-Age` attribute).
    Session,
}

/// Settings of the session cookie.
///
/// The default is what OWASP ASVS 5.0, 3.3 asks for:
/// `__Host-session=...; HttpOnly; SameSite=Lax; Secure; Path=/`. A combination that browsers refuse, or that does not
/// mean what it says, is a [`Config`](jam_core::ErrorKind::Config) error when the
/// [`SessionConfig`](crate::SessionConfig) is built.
///
/// Give the cookie another name when you change its domain, path or `partitioned`: browsers would keep the old one beside
/// the new one, and a request with two session cookies is refused.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct CookieConfig {
    name: Option<String>,
    domain: Option<String>,
    path: String,
    same_site: SameSite,
    partitioned: bool,
    life: CookieLife,
    insecure: bool,
}

impl CookieConfig {
    /// The name where none is set.
    pub const DEFAULT_NAME: &'static str = "__Host-session";
    /// The name where none is set and the cookie is [insecure](Self::insecure_for_development).
    pub const DEVELOPMENT_NAME: &'static str = "session";

    /// The default settings.
    pub fn new() -> Self {
        Self {
            name: None,
            domain: None,
            path: "/".to_owned(),
            same_site: SameSite::default(),
            partitioned: false,
            life: CookieLife::default(),
            insecure: false,
        }
    }

    /// The name, a token of RFC 6265; `__Host-session` by default. With `__Host-` in front the browser takes it from
    /// this host alone, over https, for every path; `__Secure-` asks for https only. `__Host-Http-` and `__Http-` are
    /// the same, and no script can set such a cookie either, in browsers that know them.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sends the cookie to this domain and every host below it. Not with a `__Host-` name. Every such host can then read
    /// and set it, so think twice.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sends the cookie for this path and those below it; `/` by default. Not with a `__Host-` name. No protection
    /// between applications on one host.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Which requests from other sites carry the cookie; [`SameSite::Lax`] by default.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Keeps a cookie jar per embedding site (CHIPS), for a service that lives in other sites' frames. Needs
    /// [`SameSite::None`] to make sense there.
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// How long the browser keeps it.
    pub fn life(mut self, life: CookieLife) -> Self {
        self.life = life;
        self
    }

    /// For development over plain http: leaves `Secure` out, and names the cookie `session` where no name is set. Never
    /// in production: whoever can listen has the session.
    pub fn insecure_for_development(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Checks the settings, as building a [`SessionConfig`](crate::SessionConfig) does.
    ///
    /// # Errors
    /// [`Config`](jam_core::ErrorKind::Config), naming the setting.
    pub fn check(&self) -> Result<()> {
        check::check(self)
    }

    pub(crate) fn writer(&self) -> Result<CookieWriter> {
        self.check()?;
        Ok(CookieWriter::new(self))
    }

    fn effective_name(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None if self.insecure => Self::DEVELOPMENT_NAME,
            None => Self::DEFAULT_NAME,
        }
    }
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CookieConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieConfig")
            .field("name", &self.effective_name())
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("same_site", &self.same_site)
            .field("partitioned", &self.partitioned)
            .field("life", &self.life)
            .field("insecure_for_development", &self.insecure)
            .finish()
    }
}
