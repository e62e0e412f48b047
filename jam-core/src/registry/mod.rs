//! The registry: from the name of a backend in a config or a URL to an open store.

mod config;
mod suggest;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::config::StoreConfig;
pub use self::suggest::did_you_mean;
use self::suggest::shown;
use crate::diagnosis::try_out;
use crate::{Error, ErrorKind, Finding, MemoryStore, Result, SessionStore};

/// Opens the stores of one backend from a [`StoreConfig`]. Backend crates publish one; whoever wires stores by name
/// registers it in a [`Registry`].
///
/// ```
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use jam_core::{MemoryStore, Registry, Result, SessionStore, StoreConfig, StoreFactory};
///
/// #[derive(Debug)]
/// struct Scratch;
///
/// #[async_trait]
/// impl StoreFactory for Scratch {
///     fn names(&self) -> &'static [&'static str] {
///         &["scratch"]
///     }
///
///     async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
///         config.finish()?;
///         Ok(Arc::new(MemoryStore::with_clock(config.clock())))
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register(Scratch);
/// assert!(registry.names().any(|name| name == "scratch"));
/// ```
#[async_trait]
pub trait StoreFactory: fmt::Debug + Send + Sync + 'static {
    /// The names this backend goes by: `session_type` in a config, the scheme of a URL. The first is the main one.
    fn names(&self) -> &'static [&'static str];

    /// Opens a store: takes every field it knows from the config, then calls [`StoreConfig::finish`], and only then
    /// touches a file or a server, so that a mistyped setting leaves nothing behind. A `location` it has no use for is
    /// a mistake as well.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a setting that is wrong; whatever the store gives when it cannot be opened.
    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>>;

    /// Looks at the store for the one who runs it (`jam doctor`): whether it can be reached, what keeps it from doing its
    /// work now or will one day, and what to do. What is wrong is a finding, not an error, so that the rest is looked at
    /// too.
    ///
    /// Without an implementation of its own a backend's store is opened and [tried out](crate::diagnosis::try_out). One
    /// of its own says more: which server, how durable, whose files, whose clock.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a setting that is wrong or that nobody knows.
    async fn diagnose(&self, config: &mut StoreConfig) -> Result<Vec<Finding>> {
        match self.open(config).await {
            Ok(store) => {
                let mut findings = vec![try_out(&*store).await];
                if let Err(error) = store.close().await {
                    findings.push(Finding::error("closing", &error));
                }
                Ok(findings)
            }
            Err(error) => {
                // A field nobody knows is not the store's fault.
                config.finish()?;
                Ok(vec![Finding::error("opening", &error)])
            }
        }
    }
}

/// The backends that can be opened by name. An ordinary value: no globals, nothing before `main`.
///
/// A new registry knows `memory`. The umbrella crate `jam` gives one with every backend whose feature is on.
#[derive(Clone, Debug)]
pub struct Registry {
    factories: BTreeMap<&'static str, Arc<dyn StoreFactory>>,
}

impl Registry {
    /// A registry that knows `memory` alone.
    pub fn new() -> Self {
        let mut registry = Self {
            factories: BTreeMap::new(),
        };
        registry.register(MemoryFactory);
        registry
    }

    /// Adds a backend under all its names; one that is there already under a name is replaced.
    pub fn register(&mut self, factory: impl StoreFactory) -> &mut Self {
        let factory: Arc<dyn StoreFactory> = Arc::new(factory);
        for name in factory.names() {
            self.factories.insert(name, Arc::clone(&factory));
        }
        self
    }

    /// Every name that can be opened, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }

    /// The backend of that name.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if there is none; the message lists those there are.
    pub fn get(&self, name: &str) -> Result<&dyn StoreFactory> {
        self.factories.get(name).map(|factory| &**factory).ok_or_else(|| {
            let names: Vec<_> = self.names().collect();
            let hint = did_you_mean(name, &names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            Error::new(
                ErrorKind::Config,
                format!(
                    "unknown backend {}; there are: {}{hint} (a backend of jam needs its feature, one of your own needs \
                     `registry.register(...)`)",
                    shown(name),
                    names.join(", "),
                ),
            )
        })
    }

    /// Opens the store a config describes, and refuses fields that its backend does not know.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for an unknown backend or field; whatever the backend gives.
    pub async fn open(&self, name: &str, mut config: StoreConfig) -> Result<Arc<dyn SessionStore>> {
        let factory = self.get(name)?;
        let store = factory.open(&mut config).await?;
        config.finish()?;
        Ok(store)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct MemoryFactory;

#[async_trait]
impl StoreFactory for MemoryFactory {
    fn names(&self) -> &'static [&'static str] {
        &["memory"]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        config.finish()?;
        if config.location().is_some() {
            let message = "the in-memory store has no location; its URL is `memory:`, with fields after a `?`";
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Arc::new(MemoryStore::with_clock(config.clock())))
    }
}
