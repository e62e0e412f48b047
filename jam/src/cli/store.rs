//! Which store the user means, and opening it.

use std::path::PathBuf;

use jam_core::{Registry, Sessions};

use super::args;
use super::failure::{Code, Failure};
use super::place;
use crate::Config;
use crate::config::Access;

/// The variable that names a config file or a URL.
const VARIABLE: &str = "JAM_CONFIG";

/// What the command line says about the store.
#[derive(Debug)]
pub(super) struct Chosen {
    named: args::Store,
    registry: Registry,
}

impl Chosen {
    pub(super) fn new(named: args::Store, registry: Registry) -> Self {
        Self { named, registry }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The option that names a store, if one does.
    pub(super) fn option(&self) -> Option<&'static str> {
        let args::Store { config, url, pointer } = &self.named;
        config
            .is_some()
            .then_some("--config")
            .or(url.is_some().then_some("--url"))
            .or(pointer.is_some().then_some("--pointer"))
    }

    /// The configuration: from an option, else from the environment.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let named = &self.named;
        let config = match (&named.config, &named.url) {
            (Some(path), _) => Config::from_file(path)?,
            (None, Some(url)) => Config::from_given_url(url)?,
            (None, None) => from_environment()?,
        };
        let config = match &named.pointer {
            Some(pointer) => config.pointer(pointer),
            None => config,
        };
        Ok(config.registry(self.registry.clone()))
    }

    /// The config file, if it is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let named = self.named.config.clone();
        let from_variable = || {
            std::env::var_os(VARIABLE)
                .map(PathBuf::from)
                .filter(|path| path.is_file())
        };
        if self.named.url.is_some() {
            None
        } else {
            named.or_else(from_variable)
        }
    }

    /// Opens the sessions. A store that is to be there already is not made by looking at it.
    pub(super) async fn open(&self, access: Access) -> Result<Sessions, Failure> {
        let config = self.config()?.access(access);
        if access != Access::Begin {
            place::refuse_missing(&config.survey()?).await?;
        }
        config.open().await.map_err(Failure::of_opening)
    }
}

fn from_environment() -> Result<Config, Failure> {
    match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => Ok(Config::from_given(&text)?),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::config(format!("{VARIABLE} is not UTF-8"))),
        _ if Config::is_in_environment()? => Ok(Config::from_value(serde_json::Map::new())),
        _ => Err(Failure::new(
            Code::Config,
            format!("which sessions? Give --config FILE or --url URL, or set {VARIABLE} to either"),
        )),
    }
}
