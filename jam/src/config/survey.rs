//! What a configuration says, without opening anything; for the `jam` command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jam_core::{Finding, Layout, Registry, Result, SessionStore, StoreConfig};
use serde_json::Value;

use super::environment::Environment;
use super::settings::{Encryption, Settings};
use super::{Config, document};

/// A configuration that was checked, with what there is to know before its store is opened.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The backend's name.
    pub(crate) backend: String,
    /// What the backend is told.
    pub(crate) store: StoreConfig,
    /// The names of the fields it is told.
    pub(crate) names: Vec<String>,
    /// The form of its ids and payloads.
    pub(crate) form: Form,
    insecure_cookie: bool,
    registry: Registry,
}

/// The form of ids and payloads. `Debug` shows no key.
pub(crate) struct Form {
    layout: Layout,
    encryption: Option<Encryption>,
}

/// What may become of a store by opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: none is made where there is none, by a mistyped name say, and a file of jamlib's stays one.
    Look,
    /// It changes, and has to be there already.
    Change,
    /// It is filled from another one: it may be new, and a file of jamlib's holds something already.
    Fill,
    /// Anything.
    Begin,
}

impl Access {
    fn may_begin(self) -> bool {
        matches!(self, Self::Fill | Self::Begin)
    }

    fn may_import(self) -> bool {
        matches!(self, Self::Change | Self::Begin)
    }
}

impl Config {
    /// Reads and checks everything that can be without a file or a server.
    ///
    /// # Errors
    /// As [`open`](Self::open), without those of the store.
    pub(crate) fn survey(&self) -> Result<Survey> {
        let (origin, fields, secret_from_environment) = self.fields()?;
        let mut names: Vec<_> = fields.keys().cloned().collect();
        let settings = Settings::take(&origin, fields, secret_from_environment, &self.registry)?;
        settings.manager.check()?;
        self.registry.get(&settings.backend)?;
        names.retain(|name| settings.store.peek(name).is_some());
        names.sort_unstable();
        Ok(Survey {
            names,
            store: self.for_the_command(&settings.backend, settings.store.with_clock(Arc::clone(&self.clock))),
            backend: settings.backend,
            form: Form {
                layout: settings.manager.layout,
                encryption: settings.manager.encryption,
            },
            insecure_cookie: settings.cookie.is_insecure(),
            registry: self.registry.clone(),
        })
    }
}

impl Config {
    /// From a URL on the command line, which counts more than the environment: variables say what it leaves open, and never
    /// which store.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url).
    pub(crate) fn from_given_url(url: &str) -> Result<Self> {
        let mut config = Self::from_url(url)?;
        config.url_counts_more = true;
        Ok(config)
    }

    /// From either, on the command line. The environment overrides what a file says, as it does in the service.
    ///
    /// # Errors
    /// As [`from_url_or_file`](Self::from_url_or_file).
    pub(crate) fn from_given(url_or_path: &str) -> Result<Self> {
        if document::is_url(url_or_path) {
            Self::from_given_url(url_or_path)
        } else {
            Self::from_file(url_or_path)
        }
    }

    /// What a command may do to the store by opening it.
    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Of the backends, SQLite makes something inside of what is there, a table, and a JSON file takes over what is jamlib's. (Paths
    /// are looked at before.)
    pub(super) fn for_the_command(&self, backend: &str, store: StoreConfig) -> StoreConfig {
        let in_memory = [store.location(), store.peek("sqlite_path").and_then(Value::as_str)]
            .into_iter()
            .flatten()
            .any(|path| path.trim_start_matches('/') == ":memory:");
        match backend {
            "sqlite" if cfg!(feature = "sqlite") && !in_memory && !self.access.may_begin() => {
                store.with_field("must_exist", true)
            }
            "json" if cfg!(feature = "json") && !self.access.may_import() => store.with_field("import_jamlib", false),
            _ => store,
        }
    }
}

impl Config {
    /// Whether variables alone say which store, under whichever name.
    ///
    /// # Errors
    /// [`Config`](jam_core::ErrorKind::Config) if two of them say it differently.
    pub(crate) fn is_in_environment() -> Result<bool> {
        let overrides = Environment::process().overrides()?;
        Ok(["url", "session_type"]
            .iter()
            .any(|field| overrides.contains_key(*field)))
    }

    /// Whether a key or a password stands in the table itself, rather than in a variable or a file of its own.
    pub(crate) fn holds_secrets(&self) -> bool {
        let Ok(fields) = document::section(&self.origin, self.root.clone(), self.pointer.as_deref()) else {
            return false;
        };
        fields.iter().any(|(name, value)| is_secret(name, value))
    }
}

/// Whether a field holds a key or a password as it is.
fn is_secret(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("session_aes_secret" | "aes_secret", Value::Array(keys)) => keys.iter().any(|key| is_secret(name, key)),
        // Or the path of a file that holds it: no key has a `/` in it.
        ("session_aes_secret" | "aes_secret", Value::String(keys)) => {
            let is_key = |key: &str| is_literal(key) && !key.contains('/') && !Path::new(key).is_file();
            keys.split(',').any(|key| is_key(key.trim()))
        }
        ("password" | "sentinel_password", Value::String(password)) => is_literal(password),
        ("password" | "sentinel_password", Value::Number(_)) => true,
        ("url" | "redis_uri", Value::String(url)) => {
            let (place, _) = url.split_once('?').unwrap_or((url, ""));
            let user = place.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
            let password = user.and_then(|(user, _)| user.split_once(':'));
            let of_query = StoreConfig::fields_of_url(url).unwrap_or_default();
            password.is_some_and(|(_, password)| is_literal(password))
                || of_query
                    .iter()
                    .any(|(name, value)| !matches!(name.as_str(), "url" | "redis_uri") && is_secret(name, value))
        }
        _ => false,
    }
}

/// Whether a text says itself what it stands for, and not which variable does. A default in the file does, too.
fn is_literal(text: &str) -> bool {
    let text = text.replace("$$", "");
    let mut variables = text.split('$').skip(1);
    let named = variables.any(|rest| rest.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic()));
    !text.is_empty() && (!named || text.contains(":-"))
}

impl Survey {
    /// Finds every mistake in the backend's fields without opening the store: a factory refuses what nobody knows before
    /// it touches a file or a server, so one field more than it knows keeps it from that.
    ///
    /// # Errors
    /// [`Config`](jam_core::ErrorKind::Config) for a field that is wrong or that nobody knows.
    pub(crate) async fn check_fields(&self) -> Result<()> {
        const UNKNOWN: &str = "~";
        let mut store = self.store.clone().with_field(UNKNOWN, true);
        let opened = self.registry.get(&self.backend)?.open(&mut store).await;
        match (opened, store.finish()) {
            (Err(error), Err(unknown)) if error.message() == unknown.message() => {
                store.take(UNKNOWN);
                store.finish()
            }
            (Err(error), _) => Err(error),
            (Ok(store), _) => store.close().await,
        }
    }

    /// What is to be said about the session cookie.
    pub(crate) fn of_cookie(&self) -> Option<Finding> {
        self.insecure_cookie.then(|| {
            Finding::warning(
                "cookie",
                "`insecure_for_development` is on: browsers send it over plain http as well, where whoever is on the way can take it",
                "leave it out wherever a service is reached over https; it is for `http://localhost`",
            )
        })
    }

    /// What the backend says about its store.
    ///
    /// # Errors
    /// [`Config`](jam_core::ErrorKind::Config) for a field that is wrong or that nobody knows.
    pub(crate) async fn diagnose(&self) -> Result<Vec<Finding>> {
        self.registry
            .get(&self.backend)?
            .diagnose(&mut self.store.clone())
            .await
    }

    /// Opens the store alone, without a manager.
    ///
    /// # Errors
    /// Whatever the backend gives.
    pub(crate) async fn open(&self) -> Result<Arc<dyn SessionStore>> {
        self.registry.open(&self.backend, self.store.clone()).await
    }
}

impl Form {
    /// What is encrypted.
    pub(crate) fn finding(&self) -> Finding {
        match &self.encryption {
            Some(encryption) if encryption.data => Finding::fine("encryption", "ids and data are encrypted"),
            Some(_) => Finding::fine("encryption", "ids are encrypted, data is not"),
            None if self.layout == Layout::Jamlib => Finding::warning(
                "encryption",
                "none, and the layout of jamlib keeps ids as clients hold them: who reads the store can use every session",
                "set `is_session_crypt = true` here and there, or leave that layout once nobody shares the store",
            ),
            None => Finding::fine(
                "encryption",
                "none: who reads the store reads data, but holds no usable id",
            ),
        }
    }

    /// Keys that lie in files of their own.
    pub(crate) fn key_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.encryption
            .iter()
            .flat_map(|encryption| encryption.files.iter().flatten())
    }

    /// Why records of this form would not be sessions under the other one; `None` if they are.
    pub(crate) fn unreadable_under(&self, other: &Self) -> Option<&'static str> {
        if self.layout != other.layout {
            return Some("their `layout` differs, and with it the ids of all sessions");
        }
        let (this, other) = match (&self.encryption, &other.encryption) {
            (None, None) => return None,
            (Some(_), None) => {
                return Some("FROM encrypts (`is_session_crypt`) and TO does not; give TO the same settings and keys");
            }
            (None, Some(_)) => {
                return Some(
                    "TO encrypts (`is_session_crypt`) and FROM does not, which changes all ids; migrate first",
                );
            }
            (Some(this), Some(other)) => (this, other),
        };
        let bare = |secret: &String| secret.trim_end_matches('=').to_owned();
        let keys: Vec<_> = other.secrets.iter().map(bare).collect();
        if !this.secrets.iter().all(|secret| keys.contains(&bare(secret))) {
            return Some("a key of FROM (`session_aes_secret`) is none of TO, which could not open what it sealed");
        }
        if this.data != other.data {
            return Some("their `encrypt_data` differs");
        }
        if this.accept_plaintext && !other.accept_plaintext {
            return Some("FROM takes plaintext too (`accept_plaintext`) and TO does not");
        }
        None
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form")
            .field("layout", &self.layout)
            .field("encrypted", &self.encryption.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_a_secret_is_told_from_what_says_where_it_is() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for (name, value) in [
            ("session_aes_secret", json!(key)),
            ("aes_secret", json!(key)),
            ("session_aes_secret", json!(["$NEW", key])),
            ("session_aes_secret", json!([key, "/run/secrets/old"])),
            ("session_aes_secret", json!(format!("$NEW, {key}"))),
            ("session_aes_secret", json!(format!("${{NEW:-{key}}}"))),
            ("password", json!("hunter2")),
            ("password", json!("a$$b")),
            ("password", json!("a$1")),
            ("password", json!(12345)),
            ("sentinel_password", json!("hunter2")),
            ("url", json!("redis://user:hunter2@localhost")),
            ("url", json!("redis://$USER:hunter2@localhost")),
            ("redis_uri", json!("redis://:hunter2@localhost/1")),
            ("url", json!("redis://localhost?password=hunter2")),
        ] {
            assert!(is_secret(name, &value), "{name}: {value}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("session.key");
        std::fs::write(&file, key).unwrap();
        for (name, value) in [
            ("session_aes_secret", json!(file)),
            ("session_aes_secret", json!("Cargo.toml")), // a file in the directory where the test runs
            ("session_aes_secret", json!("$KEY")),
            ("session_aes_secret", json!(["${NEW}", "/run/secrets/old"])),
            ("session_aes_secret", json!("$NEW,$OLD")),
            ("password", json!("$PASSWORD")),
            ("password", json!("")),
            ("url", json!("redis://localhost?prefix=a@b")),
            ("url", json!("redis://user@localhost")),
            ("url", json!("redis://user:$PASSWORD@localhost?timeout=1s")),
            ("url", json!("redis://localhost?password=$PASSWORD")),
            ("url", json!("$URL")),
            ("path", json!("hunter2")),
        ] {
            assert!(!is_secret(name, &value), "{name}: {value}");
        }
    }
}
