//! Where a store is, as text that holds no password, and whether its files are there.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::failure::{Code, Failure};
use crate::config::{Survey, is_unclear, shown};

/// Fields that say which of the stores of one backend it is.
const TELLING: [&str; 6] = [
    "redis_uri",
    "session_path",
    "database",
    "sqlite_table",
    "storage_path",
    "file_prefix",
];

/// Which store it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it is, as [`of`] says it.
    pub(super) text: String,
    /// A hash of all there is to say about it, where nobody here knows what of it says where the store is. A hash, since it is
    /// kept in a file and may be made of a password.
    pub(super) settings: Option<String>,
}

impl Place {
    pub(super) fn of(survey: &Survey) -> Self {
        Self {
            text: of(survey),
            settings: (!is_known(&survey.backend)).then(|| hash(survey)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether it is one of jam's own backends.
fn is_known(backend: &str) -> bool {
    let family = backend.split('+').next().unwrap_or_default();
    matches!(backend, "json" | "json-dir" | "file" | "sqlite" | "memory")
        || matches!(family, "redis" | "rediss" | "valkey" | "valkeys" | "unix")
}

fn hash(survey: &Survey) -> String {
    let mut hasher = Sha256::new();
    let mut add = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    };
    add(survey.store.location().unwrap_or_default());
    for name in &survey.names {
        add(name);
        // A URL holds numbers as text.
        match survey.store.peek(name) {
            Some(Value::String(text)) => add(text),
            Some(other) => add(&other.to_string()),
            None => {}
        }
    }
    URL_SAFE_NO_PAD.encode(&hasher.finalize()[..16])
}

/// Where the store is: the same text for the same settings, from wherever the command is run.
pub(super) fn of(survey: &Survey) -> String {
    let backend = &survey.backend;
    if let Some(path) = path(survey) {
        let path = std::path::absolute(&path).unwrap_or(path);
        return format!(
            "{backend}:{}{}",
            path.display(),
            telling(survey, &["sqlite_table", "file_prefix"])
        );
    }
    let url = survey.store.url().unwrap_or_default();
    let location = url.split_once(':').map_or("", |(_, location)| location);
    format!("{backend}:{}{}", without_secrets(location), telling(survey, &TELLING))
}

fn telling(survey: &Survey, names: &[&str]) -> String {
    let field = |name: &&str| {
        let text = match survey.store.peek(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(format!(" {name}={}", without_secrets(&text)))
    };
    names.iter().filter_map(field).collect()
}

/// A URL's location without user, password and query.
fn without_secrets(location: &str) -> String {
    if is_unclear(location) {
        return "(not shown, since an `@` follows a `?`)".to_owned();
    }
    let (place, _) = location.split_once('?').unwrap_or((location, ""));
    without_user(place)
}

fn without_user(location: &str) -> String {
    match location.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            if scheme.is_empty() {
                format!("//{host}")
            } else {
                format!("{scheme}://{host}")
            }
        }
        None => location.to_owned(),
    }
}

/// The file or directory of a store that has one.
pub(super) fn path(survey: &Survey) -> Option<PathBuf> {
    let (field, default) = match survey.backend.as_str() {
        "json" => ("json_path", "sessions.json".into()),
        "json-dir" | "file" => ("storage_path", std::env::temp_dir().join("jam-sessions")),
        "sqlite" => ("sqlite_path", "sessions.db".into()),
        _ => return None,
    };
    let location = survey.store.location();
    let Some(named) = location.or_else(|| survey.store.peek(field).and_then(Value::as_str)) else {
        return Some(default);
    };
    let named = if field == "sqlite_path" {
        named.strip_prefix("//").unwrap_or(named)
    } else {
        named
    };
    (named != ":memory:").then(|| PathBuf::from(named))
}

/// Whether the store has files and none of them is there.
pub(super) fn is_missing(survey: &Survey) -> Option<PathBuf> {
    path(survey).filter(|path| !path.exists() && !has_journal(path))
}

/// A JSON file that was never closed has a journal alone.
fn has_journal(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(mut beside) = folder.read_dir() else {
        return false;
    };
    let journal = format!("{name}.journal");
    beside.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(&journal)))
}

/// Refuses to read a store that is not there: looking at it would make an empty one.
///
/// # Errors
/// `Unavailable`, with the path; `Config` if it is the configuration that leads there by a mistake.
pub(super) async fn refuse_missing(survey: &Survey) -> Result<(), Failure> {
    let Some(path) = is_missing(survey) else { return Ok(()) };
    survey.check_fields().await?;
    let path = shown(&path);
    Err(Failure::new(
        Code::Unavailable,
        format!("there is no store at {path}; is the path right? (`jam create` begins one)"),
    ))
}
