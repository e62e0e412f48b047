//! Reading a config file into a value, and finding the section in it.

use std::path::Path;

use jam_core::{Result, did_you_mean};
use serde_json::{Map, Value};

use super::config_error;

/// Reads a file by the format its ending names.
pub(super) fn read(path: &Path) -> Result<Value> {
    let shown = path.display();
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
    serde_json::from_str(text)
        .map_err(|error| format!("not valid JSON at line {}, column {}", error.line(), error.column()))
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
