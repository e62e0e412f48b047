//! The fields of a configuration, sorted into those of the manager and those of the backend.

use std::path::Path;
use std::time::Duration;

use jam_core::{PlainIds, Result, SessionStore, Sessions, SessionsBuilder, StoreConfig, WhenFull};
use serde_json::{Map, Value};

use super::config_error;

/// A configuration taken apart.
pub(super) struct Settings {
    pub(super) backend: String,
    pub(super) store: StoreConfig,
    pub(super) manager: Manager,
}

/// What the manager is to be like.
pub(super) struct Manager {
    ttl: Option<Duration>,
    max_lifetime: Option<Duration>,
    renew_on_read: bool,
    max_sessions: Option<usize>,
    when_full: WhenFull,
    grace: Option<Duration>,
    plain_ids: bool,
    encryption: Option<Encryption>,
}

/// What is encrypted, with which keys.
#[cfg_attr(not(feature = "crypto"), expect(dead_code, reason = "refused without the feature"))]
struct Encryption {
    origin: String,
    secrets: Vec<String>,
    data: bool,
    accept_plaintext: bool,
}

impl Settings {
    /// Takes a configuration apart; what is not the manager's is left to the backend.
    pub(super) fn take(origin: &str, fields: Map<String, Value>) -> Result<Self> {
        let mut config = StoreConfig::new(origin, fields);
        let session_type = config.string("session_type")?;
        if let Some(url) = config.string("url")? {
            config = config.at_url(&url)?;
        }
        let backend = match (session_type, config.scheme()) {
            (Some(name), Some(scheme)) if name != scheme => {
                return Err(config_error(format!(
                    "{origin}: `session_type` says `{}` and the URL says `{}`; leave one out",
                    name.escape_debug(),
                    scheme.escape_debug()
                )));
            }
            (Some(name), _) => name,
            (None, Some(scheme)) => scheme.to_owned(),
            (None, None) => {
                return Err(config_error(format!(
                    "{origin}: `session_type` is missing; it names the backend, such as \"json\" or \"memory\""
                )));
            }
        };
        // jamlib's way to name a module of one's own.
        let backend = match backend.as_str() {
            "custom" => config.string("custom_module")?.ok_or_else(|| {
                config_error(format!(
                    "{origin}: `session_type = \"custom\"` needs `custom_module`, a registered name"
                ))
            })?,
            _ => backend,
        };
        let manager = Manager::take(&mut config)?;
        Ok(Self {
            backend,
            store: config,
            manager,
        })
    }
}

impl Manager {
    fn take(config: &mut StoreConfig) -> Result<Self> {
        let manager = Self {
            ttl: lifetime(config, "ttl", Some(SessionsBuilder::DEFAULT_TTL))?,
            max_lifetime: lifetime(config, "max_lifetime", None)?,
            renew_on_read: config.boolean("renew_on_read")?.unwrap_or(false),
            max_sessions: config
                .integer("max_sessions", 1..=u64::from(u32::MAX))?
                .and_then(|max| usize::try_from(max).ok()),
            when_full: match config.one_of("when_full", &["evict_oldest", "refuse"])? {
                Some("refuse") => WhenFull::Refuse,
                _ => WhenFull::EvictOldest,
            },
            grace: lifetime(config, "grace", None)?,
            plain_ids: config.one_of("layout", &["jam", "jamlib"])? == Some("jamlib"),
            encryption: Encryption::take(config)?,
        };
        if manager.plain_ids && manager.encryption.is_some() {
            return Err(config_error(format!(
                "{}: `layout = \"jamlib\"` cannot be combined with `is_session_crypt = true` in this version",
                config.origin()
            )));
        }
        Ok(manager)
    }

    /// Finds every fault a builder would find, without a store.
    pub(super) fn check(&self) -> Result<()> {
        self.builder(jam_core::MemoryStore::new())?.build().map(drop)
    }

    /// A builder with these settings.
    pub(super) fn builder(&self, store: impl SessionStore) -> Result<SessionsBuilder> {
        let mut builder = Sessions::builder(store)
            .ttl(self.ttl)
            .max_lifetime(self.max_lifetime)
            .renew_on_read(self.renew_on_read)
            .grace(self.grace);
        if let Some(max) = self.max_sessions {
            builder = builder.max_sessions(max, self.when_full);
        }
        if self.plain_ids {
            builder = builder.ids(PlainIds);
        }
        match &self.encryption {
            Some(encryption) => encryption.apply(builder),
            None => Ok(builder),
        }
    }
}

impl Encryption {
    fn take(config: &mut StoreConfig) -> Result<Option<Self>> {
        let on = config.boolean("is_session_crypt")?.unwrap_or(false);
        let data = config.boolean("encrypt_data")?;
        let accept_plaintext = config.boolean("accept_plaintext")?.unwrap_or(false);
        let expected = "a key of 32 url-safe base64 bytes, or a list of them";
        let secrets = match config.take("session_aes_secret") {
            None => Vec::new(),
            // Keys hold no comma, so one text can be a list: an environment variable has no other way to be one.
            Some(Value::String(secrets)) => secrets.split(',').map(|secret| secret.trim().to_owned()).collect(),
            Some(Value::Array(secrets)) => {
                let texts = secrets.into_iter().map(|secret| match secret {
                    Value::String(secret) => Ok(secret),
                    _ => Err(config.invalid("session_aes_secret", expected)),
                });
                texts.collect::<Result<_>>()?
            }
            Some(_) => return Err(config.invalid("session_aes_secret", expected)),
        };
        if !on {
            return match data {
                Some(true) => Err(config.invalid("encrypt_data", "left out, or `is_session_crypt` set to true")),
                _ => Ok(None),
            };
        }
        if secrets.is_empty() {
            return Err(config_error(format!(
                "{}: `is_session_crypt = true` needs `session_aes_secret` (or JAM_SESSION_AES_SECRET): {expected}",
                config.origin()
            )));
        }
        let origin = config.origin().to_owned();
        let secrets = secrets
            .into_iter()
            .map(|secret| read_if_file(&origin, secret))
            .collect::<Result<_>>()?;
        Ok(Some(Self {
            origin,
            secrets,
            data: data.unwrap_or(true),
            accept_plaintext,
        }))
    }

    #[cfg(feature = "crypto")]
    fn apply(&self, builder: SessionsBuilder) -> Result<SessionsBuilder> {
        let ring = jam_crypto::KeyRing::parse(&self.secrets).map_err(|error| {
            let reason = error.message();
            config_error(format!("{}: `session_aes_secret`: {reason}", self.origin)).with_source(error)
        })?;
        let builder = builder.ids(jam_crypto::AesIds::new(ring.clone()));
        let sealer = jam_crypto::AesSealer::new(ring).accept_plaintext(self.accept_plaintext);
        Ok(if self.data { builder.sealer(sealer) } else { builder })
    }

    #[cfg(not(feature = "crypto"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn apply(&self, _: SessionsBuilder) -> Result<SessionsBuilder> {
        Err(config_error(
            "`is_session_crypt = true` needs the feature `crypto` of jam",
        ))
    }
}

/// A key, or the path of a file that holds it, as jamlib takes them and as container secrets come.
fn read_if_file(origin: &str, secret: String) -> Result<String> {
    if !Path::new(&secret).is_file() {
        return Ok(secret);
    }
    let text = std::fs::read_to_string(&secret).map_err(|error| {
        config_error(format!("{origin}: the key file of `session_aes_secret` cannot be read")).with_source(error)
    })?;
    Ok(text.trim().to_owned())
}

/// Older and shorter names of fields, those of Python's jamlib among them.
const ALIASES: [(&str, &str); 4] = [
    ("aes_secret", "session_aes_secret"),
    ("default_ttl", "ttl"),
    ("sessions_type", "session_type"),
    ("type", "session_type"),
];

/// The name in use now for a field that may be written in an older way.
pub(super) fn canonical(name: &str) -> &str {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, now)| now)
}

/// Brings every field to the name in use now.
///
/// # Errors
/// `Config` if a field is set under two names to two values.
pub(super) fn rename_aliases(origin: &str, fields: &mut Map<String, Value>) -> Result<()> {
    for (alias, name) in ALIASES {
        let Some(value) = fields.remove(alias) else { continue };
        if fields.get(name).is_some_and(|other| *other != value) {
            return Err(config_error(format!(
                "{origin}: `{alias}` is another name of `{name}`; leave one out"
            )));
        }
        fields.insert(name.to_owned(), value);
    }
    Ok(())
}

/// Takes a lifetime: seconds, or `"none"`.
fn lifetime(config: &mut StoreConfig, name: &'static str, default: Option<Duration>) -> Result<Option<Duration>> {
    if config
        .peek(name)
        .is_some_and(|value| value.is_null() || value.as_str() == Some("none"))
    {
        config.take(name);
        return Ok(None);
    }
    let seconds = config
        .seconds(name)
        .map_err(|_| config.invalid(name, "a number of seconds above 0, or \"none\""))?;
    Ok(seconds.or(default))
}
