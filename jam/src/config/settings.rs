//! The fields of a configuration, sorted into those of the manager and those of the backend.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jam_core::{Layout, PlainIds, Registry, Result, SessionStore, Sessions, SessionsBuilder, StoreConfig, WhenFull};
use serde_json::{Map, Value};

use super::cache::Cache;
use super::config_error;
use super::cookie::Cookie;

/// A configuration taken apart.
pub(super) struct Settings {
    pub(super) backend: String,
    pub(super) store: StoreConfig,
    pub(super) manager: Manager,
    pub(super) cookie: Cookie,
    pub(super) cache: Cache,
}

/// What the manager is to be like.
pub(super) struct Manager {
    ttl: Option<Duration>,
    max_lifetime: Option<Duration>,
    renew_on_read: bool,
    max_sessions: Option<usize>,
    when_full: Option<WhenFull>,
    grace: Option<Duration>,
    pub(super) layout: Layout,
    pub(super) encryption: Option<Encryption>,
}

/// What is encrypted, with which keys.
#[cfg_attr(not(feature = "crypto"), expect(dead_code, reason = "refused without the feature"))]
pub(super) struct Encryption {
    origin: String,
    pub(super) secrets: Vec<String>,
    /// The file that each of them came from, if it did.
    pub(super) files: Vec<Option<PathBuf>>,
    pub(super) data: bool,
    pub(super) accept_plaintext: bool,
}

impl Settings {
    /// Takes a configuration apart; what is not the manager's is left to the backend.
    pub(super) fn take(
        origin: &str,
        fields: Map<String, Value>,
        secret_from_environment: bool,
        registry: &Registry,
    ) -> Result<Self> {
        let mut config = StoreConfig::new(origin, fields);
        let session_type = config.string("session_type")?;
        if let Some(url) = config.string("url")? {
            config = config.with_url(&url)?;
            refuse_host(&config)?;
        }
        let backend = match (session_type, config.scheme()) {
            (Some(name), Some(scheme)) if !registry.get(scheme)?.names().contains(&name.as_str()) => {
                return Err(config_error(format!(
                    "{origin}: `session_type` names another backend than the URL (`{scheme}:`); leave one out"
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
        let manager = Manager::take(&mut config, secret_from_environment)?;
        let cookie = Cookie::take(&mut config)?;
        let cache = Cache::take(&mut config)?;
        Ok(Self {
            backend,
            store: config.with_layout(manager.layout),
            manager,
            cookie,
            cache,
        })
    }
}

/// `json://sessions.json` would be a file of the root directory: after `//` a URL has a host, and a file has none.
fn refuse_host(config: &StoreConfig) -> Result<()> {
    let (Some(scheme @ ("json" | "json-dir" | "file")), Some(location)) = (config.scheme(), config.location()) else {
        return Ok(());
    };
    match location.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => {
            let path = if path.contains(['@', ':']) { "PATH" } else { path };
            Err(config_error(format!(
                "{}: what does `//` stand for? `{scheme}:{path}` is a path from the working directory, `{scheme}:/{path}` one \
                 from the root",
                config.origin()
            )))
        }
        _ => Ok(()),
    }
}

impl Manager {
    fn take(config: &mut StoreConfig, secret_from_environment: bool) -> Result<Self> {
        let layout = match config.one_of("layout", &["jam", "jamlib"])? {
            Some("jamlib") => Layout::Jamlib,
            _ => Layout::Jam,
        };
        let manager = Self {
            ttl: lifetime(config, "ttl", Some(SessionsBuilder::DEFAULT_TTL))?,
            max_lifetime: lifetime(config, "max_lifetime", None)?,
            renew_on_read: config.boolean("renew_on_read")?.unwrap_or(false),
            max_sessions: config
                .integer("max_sessions", 1..=u64::from(u32::MAX))?
                .and_then(|max| usize::try_from(max).ok()),
            when_full: config
                .one_of("when_full", &["evict_oldest", "refuse"])?
                .map(|word| match word {
                    "refuse" => WhenFull::Refuse,
                    _ => WhenFull::EvictOldest,
                }),
            grace: lifetime(config, "grace", None)?,
            layout,
            encryption: Encryption::take(config, layout, secret_from_environment)?,
        };
        if manager.when_full.is_some() && manager.max_sessions.is_none() {
            return Err(config.invalid("when_full", "left out, unless `max_sessions` is set"));
        }
        Ok(manager)
    }

    /// Finds every fault a builder would find, without a store.
    pub(super) fn check(&self) -> Result<()> {
        self.builder(Arc::new(jam_core::MemoryStore::new()))?.build().map(drop)
    }

    /// A builder with these settings.
    pub(super) fn builder(&self, store: Arc<dyn SessionStore>) -> Result<SessionsBuilder> {
        let mut builder = Sessions::builder_on(store)
            .ttl(self.ttl)
            .max_lifetime(self.max_lifetime)
            .renew_on_read(self.renew_on_read)
            .grace(self.grace);
        if let Some(max) = self.max_sessions {
            builder = builder.max_sessions(max, self.when_full.unwrap_or(WhenFull::EvictOldest));
        }
        match &self.encryption {
            Some(encryption) => encryption.apply(builder, self.layout),
            None if self.layout == Layout::Jamlib => Ok(builder.ids(PlainIds)),
            None => Ok(builder),
        }
    }
}

impl Encryption {
    fn take(config: &mut StoreConfig, layout: Layout, secret_from_environment: bool) -> Result<Option<Self>> {
        let on = config.boolean("is_session_crypt")?;
        let data = config.boolean("encrypt_data")?;
        let accept_plaintext = config.boolean("accept_plaintext")?;
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
        let needs_it = |field| Err(config.invalid(field, "left out, unless `is_session_crypt` is true"));
        if on != Some(true) {
            return match (data, accept_plaintext) {
                (Some(true), _) => needs_it("encrypt_data"),
                (_, Some(true)) => needs_it("accept_plaintext"),
                // A key that encrypts nothing is most likely a switch forgotten. In the environment it may wait for its turn.
                _ if on.is_none() && !secrets.is_empty() && !secret_from_environment => needs_it("session_aes_secret"),
                _ => Ok(None),
            };
        }
        if layout == Layout::Jamlib {
            if data == Some(false) {
                return Err(config.invalid("encrypt_data", "left out: jamlib encrypts ids and data, or neither"));
            }
            if accept_plaintext == Some(true) {
                return Err(config.invalid("accept_plaintext", "left out: jamlib opens no plaintext"));
            }
        }
        if data == Some(false) && accept_plaintext == Some(true) {
            return Err(config.invalid("accept_plaintext", "left out where `encrypt_data` is false"));
        }
        if secrets.is_empty() {
            return Err(config_error(format!(
                "{}: `is_session_crypt = true` needs `session_aes_secret` (or JAM_SESSION_AES_SECRET): {expected}",
                config.origin()
            )));
        }
        let origin = config.origin().to_owned();
        let files = secrets
            .iter()
            .map(|secret| Some(PathBuf::from(secret)).filter(|path| path.is_file()))
            .collect();
        let secrets = secrets
            .into_iter()
            .map(|secret| read_if_file(&origin, secret))
            .collect::<Result<_>>()?;
        Ok(Some(Self {
            origin,
            secrets,
            files,
            data: data.unwrap_or(true),
            accept_plaintext: accept_plaintext.unwrap_or(false),
        }))
    }

    #[cfg(feature = "crypto")]
    fn apply(&self, builder: SessionsBuilder, layout: Layout) -> Result<SessionsBuilder> {
        let ring = jam_crypto::KeyRing::parse(&self.secrets).map_err(|error| {
            let (reason, hint) = (error.message(), self.hint());
            config_error(format!("{}: `session_aes_secret`: {reason}{hint}", self.origin)).with_source(error)
        })?;
        if layout == Layout::Jamlib {
            let builder = builder.ids(jam_crypto::FernetIds::new(ring.clone()));
            return Ok(builder.sealer(jam_crypto::FernetSealer::new(ring)));
        }
        let builder = builder.ids(jam_crypto::AesIds::new(ring.clone()));
        let sealer = jam_crypto::AesSealer::new(ring).accept_plaintext(self.accept_plaintext);
        Ok(if self.data { builder.sealer(sealer) } else { builder })
    }

    /// What else the first text that is no key may have been meant for.
    #[cfg(feature = "crypto")]
    fn hint(&self) -> &'static str {
        let mut texts = self.secrets.iter().zip(&self.files);
        match texts.find(|(secret, _)| secret.parse::<jam_crypto::AesKey>().is_err()) {
            Some((secret, None)) if !secret.is_empty() => {
                "; nor is there a file of that name (a relative path counts from the working directory)"
            }
            _ => "",
        }
    }

    #[cfg(not(feature = "crypto"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn apply(&self, _: SessionsBuilder, _: Layout) -> Result<SessionsBuilder> {
        Err(config_error(
            "`is_session_crypt = true` needs the feature `crypto` of jam",
        ))
    }
}

/// A key, or the path of a file that holds it, as jamlib takes them and as container secrets come.
fn read_if_file(origin: &str, secret: String) -> Result<String> {
    if !Path::new(&secret).is_file() {
        // No key has a `/` in it.
        if secret.contains('/') {
            let message =
                format!("{origin}: `session_aes_secret` is neither a key (32 url-safe base64 bytes) nor a file");
            return Err(config_error(message));
        }
        return Ok(secret);
    }
    let text = std::fs::read_to_string(&secret).map_err(|error| {
        config_error(format!("{origin}: the key file of `session_aes_secret` cannot be read")).with_source(error)
    })?;
    Ok(text.trim().to_owned())
}

/// Older and shorter names of fields, those of Python's jamlib among them.
const ALIASES: [(&str, &str); 5] = [
    ("aes_secret", "session_aes_secret"),
    ("default_ttl", "ttl"),
    ("redis_sessions_key", "session_path"),
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
    match config.peek(name) {
        // An empty field in YAML; sessions without an end should be asked for in words.
        Some(Value::Null) => return Err(config.invalid(name, "a number of seconds above 0, or \"none\"")),
        Some(Value::String(text)) if text == "none" => {
            config.take(name);
            return Ok(None);
        }
        _ => {}
    }
    let seconds = config
        .seconds(name)
        .map_err(|_| config.invalid(name, "a number of seconds above 0, or \"none\""))?;
    Ok(seconds.or(default))
}
