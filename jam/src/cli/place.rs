//! Where a store is, as text that holds no password, and whether its files are there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::failure::{Code, Failure};
use crate::config::{Survey, shown};

/// Fields that say which of the stores of one backend it is.
const TELLING: [&str; 6] = [
    "redis_uri",
    "session_path",
    "database",
    "sqlite_table",
    "storage_path",
    "file_prefix",
];

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

/// A URL's location without user, password and query. Where an `@` follows a `?`, one of them was to be percent-encoded, and nobody can
/// tell which part is the password.
fn without_secrets(location: &str) -> String {
    match location.split_once('?') {
        Some((_, query)) if query.contains('@') => "(not shown, since an `@` follows a `?`)".to_owned(),
        Some((place, _)) => without_user(place),
        None => without_user(location),
    }
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
        "json" => ("json_path", Some("sessions.json")),
        "json-dir" | "file" => ("storage_path", None),
        "sqlite" => ("sqlite_path", Some("sessions.db")),
        _ => return None,
    };
    let location = survey.store.location();
    let named = location
        .or_else(|| survey.store.peek(field).and_then(Value::as_str))
        .or(default)?;
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
