//! Opening a `JsonDir` by name, from a config or a URL.

use std::sync::Arc;

use async_trait::async_trait;
use jam_core::{Result, SessionStore, StoreConfig, StoreFactory};

use super::JsonDir;
use crate::Durability;

/// Opens [`JsonDir`] stores by name: `json-dir` or `file`.
///
/// | field | meaning | default |
/// |---|---|---|
/// | `storage_path` | the storage directory; in a URL also what follows the scheme: `json-dir:/var/lib/shop/sessions` | `jam-sessions` in the system's temporary directory |
/// | `file_prefix` | what every name in it begins with | `jam_` |
/// | `durability` | `sync` or `os`, see [`Durability`] | `sync` |
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonDirFactory;

#[async_trait]
impl StoreFactory for JsonDirFactory {
    fn names(&self) -> &'static [&'static str] {
        &["json-dir", "file"]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        let mut options = JsonDir::options().clock(config.clock());
        let location = config.location().map(str::to_owned);
        match (config.string("storage_path")?, location) {
            (Some(_), Some(_)) => return Err(config.invalid("storage_path", "left out where the URL names a path")),
            (Some(path), None) | (None, Some(path)) => options = options.storage_path(path),
            (None, None) => {}
        }
        if let Some(prefix) = config.string("file_prefix")? {
            options = options.file_prefix(prefix);
        }
        if let Some(word) = config.one_of("durability", &Durability::WORDS)? {
            options = options.durability(Durability::from_word(word).unwrap_or_default());
        }
        // Before anything is opened: a mistake in the config shall leave no files behind.
        config.finish()?;
        Ok(Arc::new(options.open().await?))
    }
}
