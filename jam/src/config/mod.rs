//! From a config file or a URL to ready sessions.

mod cache;
mod cookie;
mod document;
mod environment;
mod settings;
#[cfg(feature = "cli")]
mod survey;
mod unique;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jam_core::{Clock, Error, ErrorKind, Registry, Result, Sessions, SessionsBuilder, StoreConfig, SystemClock};
use serde_json::{Map, Value};

use self::cookie::Cookie;
pub(crate) use self::document::is_unclear;
#[cfg(feature = "cli")]
pub(crate) use self::document::shown;
use self::environment::Environment;
use self::settings::Settings;
#[cfg(feature = "cli")]
pub(crate) use self::survey::{Access, Survey};

/// Opens sessions from a URL (`json:sessions.json`, `sqlite:sessions.db`, `memory:`) or the path of a config file (`jam.toml`).
///
/// What begins with a scheme (two or more letters and a `:`) is a URL. The table `[jam.session.cookie]` of a file is checked and
/// then left aside: it is for [web layers](Config#method.web).
///
/// # Errors
/// As [`Config::open`].
pub async fn open(url_or_path: impl AsRef<str>) -> Result<Sessions> {
    Config::from_url_or_file(url_or_path)?.open().await
}

/// The configuration of [`Sessions`]: from a file in TOML, YAML or JSON, from a URL, or from a value.
///
/// ```toml
/// [jam.session]
/// session_type = "json"            # which backend; see `registry`
/// json_path = "sessions.json"      # what that backend wants to know
/// ttl = 3600                       # idle lifetime in seconds, or "none"
/// max_lifetime = 604800            # absolute lifetime in seconds, or "none" (the default)
/// session_aes_secret = "$MY_KEY"   # from the environment; also "${MY_KEY}" and "${MY_KEY:-default}"
/// ```
///
/// | field | meaning | default |
/// |---|---|---|
/// | `session_type` (`sessions_type`, `type`) | the backend; `"custom"` takes its name from `custom_module` | required, unless there is a `url` |
/// | `url` | backend and location in one, as in [`from_url`](Self::from_url) | |
/// | `ttl` (`default_ttl`) | idle lifetime in seconds, `"none"` for no such end | 3600 |
/// | `max_lifetime` | absolute lifetime in seconds, or `"none"` | `"none"` |
/// | `renew_on_read` | whether reading counts as use | false |
/// | `max_sessions` | how many sessions a key may have | no cap |
/// | `when_full` | `"evict_oldest"` or `"refuse"` | `"evict_oldest"` |
/// | `grace` | seconds for which a rotated id still works | off |
/// | `layout` | `"jam"`, or `"jamlib"` to share storage with Python (`docs/jamlib.md`) | `"jam"` |
/// | `is_session_crypt` | encrypt ids and data (feature `crypto`); switching it logs everybody out, since ids look different | false |
/// | `session_aes_secret` (`aes_secret`) | the key, or a list (or text with commas) of keys of which the first seals and all open; a key may be the path of a file that holds it. A relative path, here as in every field, counts from the working directory, wherever the config file lies | |
/// | `encrypt_data` | `false` leaves the data readable while ids are encrypted | true |
/// | `cookie` | the table of the session cookie, below (feature `tower`, `axum` or `actix`) | |
/// | `cache_staleness` | for so many seconds what was read is given out again without asking the store (feature `cache`); what others write shows no later. For Redis, `near_cache` is better | off |
/// | `cache_sessions` | how many sessions are kept for that | 10000 |
/// | `accept_plaintext` | also open data written while `encrypt_data` was false; for the time of that change only | false |
///
/// All other fields are the backend's, and described at its factory: `jam::json::JsonFileFactory` and `JsonDirFactory`,
/// `jam::sqlite::SqliteFactory`, `jam::redis::RedisFactory`. One that nobody knows is an error that names the nearest known one.
/// Every text may refer to environment variables (`$$` is a plain `$`). A variable `JAM_SESSION_<FIELD>` overrides the field,
/// wherever it stands: `JAM_SESSION_TTL`, `JAM_SESSION_TYPE`, `JAM_SESSION_AES_SECRET`, `JAM_SESSION_JSON_PATH`; but a
/// field that names it itself keeps its text, `["$NEW_KEY", "$JAM_SESSION_AES_SECRET"]` say.
///
/// The table `[jam.session.cookie]` sets the cookie of a [web layer](Self::web):
///
/// | field | meaning | default |
/// |---|---|---|
/// | `name` | its name | `"__Host-session"` |
/// | `domain` | the domain it is sent to, with all hosts below | the host that set it |
/// | `path` | the path it is sent to, with all below | `"/"` |
/// | `same_site` | `"strict"`, `"lax"` or `"none"` | `"lax"` |
/// | `partitioned` | a jar per embedding site | false |
/// | `life` | how long the browser keeps it: `"browser"` until it is closed, `"session"` as long as the session, `"remembered"` as long as a session that has a ttl of its own | `"remembered"` |
/// | `insecure_for_development` | for plain http: leaves `Secure` out; the name is then `"session"` by default | false |
pub struct Config {
    origin: String,
    root: Value,
    pointer: Option<String>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    environment: Environment,
    #[cfg(feature = "cli")]
    access: Access,
    /// Whether what a URL says counts more than the environment.
    url_counts_more: bool,
}

impl Config {
    /// Where the settings are in a file, unless [`pointer`](Self::pointer) says otherwise.
    pub const DEFAULT_POINTER: &'static str = "jam.session";

    /// From a config file; the ending says the format: `.toml` (feature `toml`), `.yaml` or `.yml` (feature `yaml`),
    /// `.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it cannot be read or parsed, a table has a field twice, the format's feature is off, or it is a URL. A path that names no
    /// file and looks like a URL, a session id or a key is not shown.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let root = document::read(path)?;
        Ok(Self::new(
            path.display().to_string(),
            root,
            Some(Self::DEFAULT_POINTER.to_owned()),
        ))
    }

    /// From a value of the settings themselves, as they stand under the pointer in a file.
    pub fn from_value(fields: Map<String, Value>) -> Self {
        Self::new("the configuration".to_owned(), Value::Object(fields), None)
    }

    /// From a URL: `scheme:location?field=value&...`, where the scheme is the backend's name and every setting can
    /// stand as a field: `json:sessions.json?ttl=600&durability=os`. A path follows the `:` as it is, without `//`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is no scheme.
    pub fn from_url(url: &str) -> Result<Self> {
        // Checked now, so that the mistake shows where it is made.
        let config = StoreConfig::from_url(url)?;
        let fields = Map::from_iter([("url".to_owned(), Value::String(url.replace('$', "$$")))]);
        Ok(Self::new(config.origin().to_owned(), Value::Object(fields), None))
    }

    /// From either: what begins with a scheme (two or more letters and a `:`) or holds `://` is a URL.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url) and [`from_file`](Self::from_file).
    pub fn from_url_or_file(url_or_path: impl AsRef<str>) -> Result<Self> {
        let text = url_or_path.as_ref();
        if document::is_url(text) {
            Self::from_url(text)
        } else {
            Self::from_file(text)
        }
    }

    fn new(origin: String, root: Value, pointer: Option<String>) -> Self {
        Self {
            origin,
            root,
            pointer,
            registry: crate::registry(),
            clock: Arc::new(SystemClock),
            environment: Environment::process(),
            #[cfg(feature = "cli")]
            access: Access::Begin,
            url_counts_more: false,
        }
    }

    /// Which table of the file holds the settings, by its path from the root: `"jam.session"` by default.
    #[must_use]
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The backends to choose from, if yours is among them.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The clock of manager and store.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Reads these variables instead of the process's environment; for tests and for services that keep settings
    /// elsewhere.
    #[must_use]
    pub fn environment<N: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.environment = Environment::of(variables);
        self
    }

    /// Opens the store and builds the manager. Of the table `cookie` it makes no use, as the manager knows no cookies;
    /// `web` does (features of the web layers).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a setting that is missing, unknown or wrong: the message names the source, the field
    /// and what would be right. Whatever the store gives when it cannot be opened.
    pub async fn open(self) -> Result<Sessions> {
        self.builder().await?.build()
    }

    /// Opens the store and gives the builder, for what only code can set: an id factory, a serializer. Of the table `cookie` it
    /// makes no use, as [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn builder(self) -> Result<SessionsBuilder> {
        Ok(self.parts().await?.0)
    }

    /// Opens the store and gives the settings of a web layer, with the cookie of the table `cookie`; for `SessionLayer::with`
    /// once they are built.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> jam::Result<()> {
    /// # let file = std::env::temp_dir().join(format!("jam-doc-{}.json", std::process::id()));
    /// # std::fs::write(&file, r#"{"jam": {"session": {"session_type": "memory"}}}"#).unwrap();
    /// # let jam_toml = file.to_str().unwrap();
    /// let config = jam::Config::from_file(jam_toml)?.web().await?.build()?;
    /// # #[cfg(feature = "tower")]
    /// let layer = jam::tower::SessionLayer::with(config.clone());
    /// # std::fs::remove_file(&file).unwrap();
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "http")]
    pub async fn web(self) -> Result<jam_http::SessionConfigBuilder> {
        let (builder, cookie) = self.parts().await?;
        Ok(jam_http::SessionConfig::builder(builder.build()?).cookie(cookie.into_config()))
    }

    async fn parts(self) -> Result<(SessionsBuilder, Cookie)> {
        let (origin, fields, secret_from_environment) = self.fields()?;
        let settings = Settings::take(&origin, fields, secret_from_environment, &self.registry)?;
        let store = settings.store.with_clock(Arc::clone(&self.clock));
        #[cfg(feature = "cli")]
        let store = self.for_the_command(&settings.backend, store);
        // Everything the manager can find fault with is checked before files and connections are opened.
        let manager = settings.manager;
        manager.check()?;
        let store = self.registry.open(&settings.backend, store).await?;
        let store = settings.cache.around(store, &self.clock);
        Ok((manager.builder(store)?.clock(self.clock), settings.cookie))
    }

    /// All fields under the names in use now, from the table, the URL and the environment; where they come from; and
    /// whether the secret does from the environment.
    fn fields(&self) -> Result<(String, Map<String, Value>, bool)> {
        let mut origin = match &self.pointer {
            Some(pointer) => format!("{} [{pointer}]", self.origin),
            None => self.origin.clone(),
        };
        let mut fields = document::section(&self.origin, self.root.clone(), self.pointer.as_deref())?;
        settings::rename_aliases(&origin, &mut fields)?;
        // Where a template left it out, say. To take it for absent would switch off what it was to switch on.
        let of_cookie = fields.get("cookie").and_then(Value::as_object).into_iter().flatten();
        if let Some((empty, _)) = fields.iter().chain(of_cookie).find(|(_, value)| value.is_null()) {
            return Err(config_error(format!(
                "{origin}: `{empty}` has no value; leave it out, or give it one (of numbers neither `inf` nor `nan`)"
            )));
        }
        let mut overrides = self.environment.overrides()?;
        // A variable that its own field names has a place in it: an old key behind a new one, say.
        overrides.retain(|field, (variable, _)| {
            let names_it = |value| environment::refers_to(value, variable);
            !fields.get(field).is_some_and(names_it)
        });
        if self.url_counts_more {
            overrides.retain(|field, _| !environment::says_which_store(field));
        }
        fields.retain(|field, _| !overrides.contains_key(field));
        self.environment.substitute(&origin, &mut fields)?;
        let overriding_url = overrides.get("url").map(|(_, value)| value.as_str());
        let url = overriding_url.or_else(|| fields.get("url").and_then(Value::as_str));
        if let Some(url) = url.map(str::to_owned) {
            let mut of_url = StoreConfig::fields_of_url(&url)?;
            settings::rename_aliases(&origin, &mut of_url)?;
            if self.url_counts_more {
                overrides.retain(|field, _| !environment::is_said_by(&url, &of_url, field));
            }
            of_url.retain(|field, _| !overrides.contains_key(field));
            if let Some(twice) = of_url.keys().find(|field| fields.contains_key(*field)) {
                let twice = if is_unclear(&url) {
                    "a field (not shown, since an `@` follows a `?` in the URL)".to_owned()
                } else {
                    format!("`{twice}`")
                };
                return Err(config_error(format!(
                    "{origin}: {twice} stands in the URL and beside it; leave one out"
                )));
            }
            fields.extend(of_url);
        }
        let secret_from_environment = overrides.contains_key("session_aes_secret");
        let variables: Vec<_> = overrides.values().map(|(variable, _)| variable.as_str()).collect();
        if !variables.is_empty() {
            origin = format!("{origin} with {}", variables.join(", "));
        }
        fields.extend(
            overrides
                .into_iter()
                .map(|(field, (_, value))| (field, Value::String(value))),
        );
        Ok((origin, fields, secret_from_environment))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("origin", &self.origin)
            .field("pointer", &self.pointer)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message.into())
}
