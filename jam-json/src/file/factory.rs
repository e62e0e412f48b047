//! The store by name: from a config or a URL.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jam_core::diagnosis::try_out;
use jam_core::{Error, ErrorKind, Finding, Result, SessionStore, StoreConfig, StoreFactory};

use super::{JsonFile, JsonFileOptions};
use crate::Durability;

/// Opens a [`JsonFile`] as `json`.
///
/// | field | meaning | default |
/// |---|---|---|
/// | `json_path` | the document; in a URL, the location does the same: `json:sessions.json` | `"sessions.json"` |
/// | `durability` | `"sync"`: a write survives a power cut; `"os"`: a crash of the process | `"sync"` |
/// | `accept_edited_document` | take a document that was edited by hand, for one start | `false` |
/// | `import_jamlib` | import a `sessions.json` of Python's jamlib; else it is refused and left as it is | `true` |
///
/// ```
/// use jam_core::{Registry, StoreConfig};
/// use jam_json::JsonFileFactory;
///
/// let mut registry = Registry::new();
/// registry.register(JsonFileFactory);
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions.json").display().to_string();
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let config = StoreConfig::from_url(&format!("json:{path}?durability=os"))?;
/// let store = registry.open("json", config).await?;
/// # store.close().await
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonFileFactory;

#[async_trait]
impl StoreFactory for JsonFileFactory {
    fn names(&self) -> &'static [&'static str] {
        &["json"]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        let (_, _, options) = read(config)?;
        Ok(Arc::new(options.open().await?))
    }

    async fn diagnose(&self, config: &mut StoreConfig) -> Result<Vec<Finding>> {
        let (path, durability, options) = read(config)?;
        // Before opening: to open and to close brings the journals into the document.
        let permissions = Finding::of_files("permissions", Path::new(&path), options.beside());
        let store = match options.clone().open().await {
            Ok(store) => store,
            Err(_) if options.is_taken() => {
                let found = [vec![durability.finding(), in_use(&path)], permissions];
                return Ok(found.concat());
            }
            Err(_) if options.leaves_jamlib() => {
                let found = [vec![durability.finding(), not_imported(&path)], permissions];
                return Ok(found.concat());
            }
            Err(error) => return Ok([vec![Finding::error("opening", &error)], permissions].concat()),
        };
        let mut findings = vec![durability.finding(), try_out(&store).await];
        findings.extend(permissions);
        if let Some(damage) = store.recovery().damage_finding() {
            findings.push(damage);
        }
        if let Err(error) = store.close().await {
            findings.push(Finding::error("closing", &error));
        }
        Ok(findings)
    }
}

/// A file that its service has open is as it should be, and keeps everybody else from looking into it.
fn in_use(path: &str) -> Finding {
    Finding::warning(
        "opening",
        format!(
            "{path} is in use by another process, as it should be while its service runs, so nobody else can look into it"
        ),
        format!(
            "stop the service to have everything looked at; if none should run, `fuser {path}.lock` tells who has it"
        ),
    )
}

/// To look into it would be to import it.
fn not_imported(path: &str) -> Finding {
    Finding::warning(
        "opening",
        format!(
            "{path} is a sessions file of Python's jamlib; a look does not import it, so nobody has looked into it"
        ),
        "have a copy imported by a command that writes, such as `jam sweep`, and look at that; or stop jamlib and start the service, \
         which imports it",
    )
}

/// What the fields say, all of which are known afterwards, before anything is opened: a mistake in the config shall
/// leave no files behind.
fn read(config: &mut StoreConfig) -> Result<(String, Durability, JsonFileOptions)> {
    let field = config.string("json_path")?;
    let path = match (config.location(), field) {
        (Some(_), Some(_)) => {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{}: the path is there twice, as location and as `json_path`",
                    config.origin()
                ),
            ));
        }
        (Some(location), None) => location.to_owned(),
        (None, field) => field.unwrap_or_else(|| JsonFile::DEFAULT_PATH.to_owned()),
    };
    let durability = config.one_of("durability", &Durability::WORDS)?;
    let durability = durability.and_then(Durability::from_word).unwrap_or_default();
    let accept = config.boolean("accept_edited_document")?.unwrap_or(false);
    let import = config.boolean("import_jamlib")?.unwrap_or(true);
    let options = JsonFile::options(&path)
        .durability(durability)
        .clock(config.clock())
        .accept_edited_document(accept)
        .import_jamlib(import);
    config.finish()?;
    Ok((path, durability, options))
}
