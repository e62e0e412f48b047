//! Reading a config file into a value, and finding the section in it.

use std::borrow::Cow;
use std::path::Path;

use jam_core::{Result, did_you_mean};
use serde_json::{Map, Value};

use super::config_error;
use super::unique::Unique;

/// Whether a text is a URL: it begins with a scheme (two or more letters and a `:`) or holds `://`.
pub(super) fn is_url(text: &str) -> bool {
    let is_scheme_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.split_once(':').is_some_and(|(scheme, rest)| {
        (scheme.len() > 1 && scheme.chars().all(is_scheme_char)) || rest.starts_with("//")
    })
}

/// Whether an `@` follows the first `?` of a URL. One of them was to be percent-encoded then, and nobody can tell which part is the
/// password.
pub(crate) fn is_unclear(url: &str) -> bool {
    url.split_once('?').is_some_and(|(_, query)| query.contains('@'))
}

/// A path for an error message. What names no file may be there by mistake: a URL with its password, a session id, a key.
pub(crate) fn shown(path: &Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    if is_telling(&text) && !path.exists() {
        Cow::Borrowed("(not shown, since it names no file and may hold a secret)")
    } else {
        text
    }
}

/// Whether it is shaped like a URL, a session id (`key:unique.life.secret`, or encrypted `J$_...`) or a key of 32 base64 bytes.
fn is_telling(text: &str) -> bool {
    let text = match text.split_once(":\\") {
        Some((drive, rest)) if cfg!(windows) && drive.len() == 1 => rest,
        _ => text,
    };
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'=');
    text.contains([':', '@', '$']) || (text.len() >= 32 && text.bytes().all(is_base64))
}

/// Reads a file by the format its ending names.
pub(super) fn read(path: &Path) -> Result<Value> {
    if path.to_str().is_some_and(is_url) && !path.exists() {
        return Err(config_error(
            "that is a URL and no config file (not shown, since it may hold a password); use `--url` or `Config::from_url`",
        ));
    }
    let shown = shown(path);
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let parse = match ending.as_str() {
        "toml" => parse_toml,
        "yaml" | "yml" => parse_yaml,
        "json" => parse_json,
        _ => {
            return Err(config_error(format!(
                "{shown}: a config file ends in .toml, .yaml, .yml or .json; a store URL has the form `json:sessions.json`"
            )));
        }
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| config_error(format!("{shown}: the config file cannot be read")).with_source(error))?;
    parse(&text).map_err(|reason| config_error(format!("{shown}: {reason}")))
}

// The parsers' own messages may quote the file, and the file may hold a key: only the place is told.
type Parsed = Result<Value, String>;

fn parse_json(text: &str) -> Parsed {
    let value = serde_json::from_str(text)
        .map_err(|error| format!("not valid JSON at line {}, column {}", error.line(), error.column()))?;
    match serde_json::from_str::<Unique>(text) {
        Ok(Unique) => Ok(value),
        Err(error) => Err(format!(
            "a field is there twice, for the second time at line {}, column {}; leave one out",
            error.line(),
            error.column()
        )),
    }
}

#[cfg(feature = "toml")]
fn parse_toml(text: &str) -> Parsed {
    toml::from_str(text).map_err(|error: toml::de::Error| match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!("not valid TOML at line {line}, column {column}")
        }
        None => "not valid TOML".to_owned(),
    })
}

#[cfg(not(feature = "toml"))]
fn parse_toml(_: &str) -> Parsed {
    Err("reading TOML needs the feature `toml` of jam".to_owned())
}

#[cfg(feature = "yaml")]
fn parse_yaml(text: &str) -> Parsed {
    serde_saphyr::from_str(text).map_err(|error| match error.location() {
        Some(location) => format!(
            "not valid YAML at line {}, column {}",
            location.line(),
            location.column()
        ),
        None => "not valid YAML".to_owned(),
    })
}

#[cfg(not(feature = "yaml"))]
fn parse_yaml(_: &str) -> Parsed {
    Err("reading YAML needs the feature `yaml` of jam".to_owned())
}

/// The table the pointer leads to.
pub(super) fn section(origin: &str, root: Value, pointer: Option<&str>) -> Result<Map<String, Value>> {
    let mut value = root;
    let mut walked = String::new();
    for part in pointer
        .into_iter()
        .flat_map(|pointer| pointer.split('.'))
        .filter(|part| !part.is_empty())
    {
        let Value::Object(mut table) = value else {
            return Err(config_error(format!("{origin}: `{walked}` must be a table")));
        };
        let Some(next) = table.remove(part) else {
            let names: Vec<_> = table.keys().map(String::as_str).collect();
            let hint = did_you_mean(part, &names)
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            let pointer = pointer.unwrap_or_default();
            return Err(config_error(format!(
                "{origin}: there is no table [{pointer}] (`{part}` is missing){hint}; `Config::pointer` chooses another one"
            )));
        };
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(part);
        value = next;
    }
    match value {
        Value::Object(table) => Ok(table),
        _ if walked.is_empty() => Err(config_error(format!("{origin}: the configuration must be a table"))),
        _ => Err(config_error(format!("{origin}: `{walked}` must be a table"))),
    }
}
