//! The table of the session cookie.

use jam_core::{Result, StoreConfig};

/// The cookie of a configuration.
pub(super) struct Cookie {
    #[cfg(feature = "http")]
    config: jam_http::CookieConfig,
    /// Whether it goes over plain http as well.
    #[cfg(feature = "http")]
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the command looks at it"))]
    insecure: bool,
}

#[cfg(feature = "http")]
impl Cookie {
    /// Takes the table and checks it, so that a mistake in it shows whether or not a web layer asks for it.
    pub(super) fn take(config: &mut StoreConfig) -> Result<Self> {
        use jam_http::{CookieConfig, CookieLife, SameSite};

        let mut cookie = CookieConfig::new();
        let fields = match config.take("cookie") {
            None => {
                return Ok(Self {
                    config: cookie,
                    insecure: false,
                });
            }
            Some(serde_json::Value::Object(fields)) => fields,
            Some(_) => return Err(config.invalid("cookie", "a table, such as [jam.session.cookie]")),
        };
        let origin = format!("{}, table `cookie`", config.origin());
        let mut table = StoreConfig::new(origin.as_str(), fields);
        if let Some(name) = table.string("name")? {
            cookie = cookie.name(name);
        }
        if let Some(domain) = table.string("domain")? {
            cookie = cookie.domain(domain);
        }
        if let Some(path) = table.string("path")? {
            cookie = cookie.path(path);
        }
        if let Some(word) = table.one_of("same_site", &["strict", "lax", "none"])? {
            cookie = cookie.same_site(match word {
                "strict" => SameSite::Strict,
                "none" => SameSite::None,
                _ => SameSite::Lax,
            });
        }
        if let Some(partitioned) = table.boolean("partitioned")? {
            cookie = cookie.partitioned(partitioned);
        }
        if let Some(word) = table.one_of("life", &["browser", "remembered", "session"])? {
            cookie = cookie.life(match word {
                "browser" => CookieLife::Browser,
                "session" => CookieLife::Session,
                _ => CookieLife::Remembered,
            });
        }
        let insecure = table.boolean("insecure_for_development")?.unwrap_or(false);
        cookie = cookie.insecure_for_development(insecure);
        table.finish()?;
        cookie
            .check()
            .map_err(|error| super::config_error(format!("{origin}: {}", error.message())))?;
        Ok(Self {
            config: cookie,
            insecure,
        })
    }

    pub(super) fn into_config(self) -> jam_http::CookieConfig {
        self.config
    }

    #[cfg(feature = "cli")]
    pub(super) fn is_insecure(&self) -> bool {
        self.insecure
    }
}

#[cfg(not(feature = "http"))]
impl Cookie {
    /// Without a web layer there is no cookie to set.
    pub(super) fn take(config: &mut StoreConfig) -> Result<Self> {
        match config.take("cookie") {
            None => Ok(Self {}),
            Some(_) => Err(super::config_error(format!(
                "{}: `cookie` needs the feature `tower`, `axum` or `actix` of jam",
                config.origin()
            ))),
        }
    }

    #[cfg(feature = "cli")]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn is_insecure(&self) -> bool {
        false
    }
}
