//! What a configuration says, without opening anything; for the `jam` command.

use std::path::PathBuf;
use std::sync::Arc;

use jam_core::{Finding, Layout, Registry, Result, SessionStore, StoreConfig};

use super::settings::{Encryption, Settings};
use super::{Config, document};

/// A configuration that was checked, with what there is to know before its store is opened.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The backend's name.
    pub(crate) backend: String,
    /// What the backend is told.
    pub(crate) store: StoreConfig,
    /// The form of its ids and payloads.
    pub(crate) form: Form,
    registry: Registry,
}

/// The form of ids and payloads. `Debug` shows no key.
pub(crate) struct Form {
    layout: Layout,
    encryption: Option<Encryption>,
}

impl Config {
    /// Reads and checks everything that can be without a file or a server.
    ///
    /// # Errors
    /// As [`open`](Self::open), without those of the store.
    pub(crate) fn survey(&self) -> Result<Survey> {
        let (origin, fields, secret_from_environment) = self.fields()?;
        let settings = Settings::take(&origin, fields, secret_from_environment, &self.registry)?;
        settings.manager.check()?;
        self.registry.get(&settings.backend)?;
        Ok(Survey {
            backend: settings.backend,
            store: settings.store.with_clock(Arc::clone(&self.clock)),
            form: Form {
                layout: settings.manager.layout,
                encryption: settings.manager.encryption,
            },
            registry: self.registry.clone(),
        })
    }
}

impl Config {
    /// Whether a key or a password stands in the table itself, rather than in a variable or a file of its own.
    pub(crate) fn holds_secrets(&self) -> bool {
        let Ok(fields) = document::section(&self.origin, self.root.clone(), self.pointer.as_deref()) else {
            return false;
        };
        fields.iter().any(|(name, value)| {
            let text = value.to_string();
            match name.as_str() {
                "session_aes_secret" | "aes_secret" => !text.contains(['$', '/']),
                "password" | "sentinel_password" => !text.contains('$'),
                "url" | "redis_uri" => text.contains('@') && !text.contains('$'),
                _ => false,
            }
        })
    }
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
    pub(crate) fn key_files(&self) -> &[PathBuf] {
        self.encryption.as_ref().map_or(&[], |encryption| &encryption.files)
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
