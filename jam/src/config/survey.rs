//! What a configuration says, without opening anything; for the `jam` command.

use std::sync::Arc;

use jam_core::{Layout, Registry, Result, SessionStore, StoreConfig};

use super::Config;
use super::settings::{Encryption, Settings};

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

    /// Opens the store alone, without a manager.
    ///
    /// # Errors
    /// Whatever the backend gives.
    pub(crate) async fn open(&self) -> Result<Arc<dyn SessionStore>> {
        self.registry.open(&self.backend, self.store.clone()).await
    }
}

impl Form {
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
