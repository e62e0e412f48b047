//! Opening a `JsonDir` by name, from a config or a URL.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jam_core::diagnosis::try_out;
use jam_core::{Finding, Result, SessionStore, StoreConfig, StoreFactory};

use super::{JsonDir, JsonDirOptions};
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
        let (_, _, options) = read(config)?;
        Ok(Arc::new(options.open().await?))
    }

    async fn diagnose(&self, config: &mut StoreConfig) -> Result<Vec<Finding>> {
        let (path, durability, options) = read(config)?;
        let store = match options.open().await {
            Ok(store) => store,
            Err(error) => return Ok(vec![Finding::error("opening", &error)]),
        };
        let mut findings = vec![durability.finding(), try_out(&store).await];
        findings.extend(path.and_then(|path| Finding::of_file("permissions", Path::new(&path))));
        if let Err(error) = store.close().await {
            findings.push(Finding::error("closing", &error));
        }
        Ok(findings)
    }
}

/// What the fields say, all of which are known afterwards, before anything is opened: a mistake in the config shall
/// leave no files behind.
fn read(config: &mut StoreConfig) -> Result<(Option<String>, Durability, JsonDirOptions)> {
    let mut storage = None;
    let mut options = JsonDir::options().clock(config.clock());
    let location = config.location().map(str::to_owned);
    match (config.string("storage_path")?, location) {
        (Some(_), Some(_)) => return Err(config.invalid("storage_path", "left out where the URL names a path")),
        (Some(path), None) | (None, Some(path)) => {
            options = options.storage_path(&path);
            storage = Some(path);
        }
        (None, None) => {}
    }
    if let Some(prefix) = config.string("file_prefix")? {
        options = options.file_prefix(prefix);
    }
    let durability = config.one_of("durability", &Durability::WORDS)?;
    let durability = durability.and_then(Durability::from_word).unwrap_or_default();
    options = options.durability(durability);
    config.finish()?;
    Ok((storage, durability, options))
}
