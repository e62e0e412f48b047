//! Environment variables in settings: references inside texts, and overrides of whole fields.

use std::collections::BTreeMap;

use jam_core::{Result, did_you_mean};
use serde_json::{Map, Value};

use super::config_error;
use super::settings::canonical;

/// The variables settings may refer to.
pub(super) struct Environment(BTreeMap<String, String>);

/// What a variable begins with that overrides a field.
const PREFIX: &str = "JAM_SESSION_";
/// Fields whose own name begins with `session_`, which the variable does not say twice (and that have no alias
/// without).
const SHORTENED: [&str; 1] = ["path"];

impl Environment {
    /// Those of the process; what is not UTF-8 is left out.
    pub(super) fn process() -> Self {
        let text = |variable: std::ffi::OsString| variable.into_string().ok();
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .collect(),
        )
    }

    pub(super) fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// The fields that `JAM_SESSION_*` variables set, under the names in use now: the variable and its value.
    ///
    /// # Errors
    /// `Config` if two variables set one field to two values.
    pub(super) fn overrides(&self) -> Result<BTreeMap<String, (String, String)>> {
        let mut overrides: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (variable, value) in &self.0 {
            let Some(field) = variable.strip_prefix(PREFIX).filter(|field| !field.is_empty()) else {
                continue;
            };
            let mut field = field.to_ascii_lowercase();
            if SHORTENED.contains(&field.as_str()) {
                field.insert_str(0, "session_");
            }
            let field = canonical(&field).to_owned();
            if let Some((other, _)) = overrides.get(&field).filter(|(_, other)| other != value) {
                return Err(config_error(format!(
                    "{other} and {variable} both set `{field}`; leave one out"
                )));
            }
            overrides.insert(field, (variable.clone(), value.clone()));
        }
        Ok(overrides)
    }

    /// Puts variables in place of `$NAME`, `${NAME}` and `${NAME:-default}` in every text.
    ///
    /// # Errors
    /// `Config` for a variable that is not set and has no default. The message names the field, and the variable where that cannot be
    /// a part of a secret.
    pub(super) fn substitute(&self, origin: &str, fields: &mut Map<String, Value>) -> Result<()> {
        for (name, value) in fields {
            self.substitute_value(value, holds_secret(name))
                .map_err(|reason| config_error(format!("{origin}: `{name}`: {reason}")))?;
        }
        Ok(())
    }

    fn substitute_value(&self, value: &mut Value, secret: bool) -> Result<(), String> {
        match value {
            Value::String(text) if text.contains('$') => {
                *text = expand(text, |name, default| self.variable(name, default, secret))?;
            }
            Value::Array(values) => values
                .iter_mut()
                .try_for_each(|value| self.substitute_value(value, secret))?,
            Value::Object(fields) => fields
                .values_mut()
                .try_for_each(|value| self.substitute_value(value, secret))?,
            _ => {}
        }
        Ok(())
    }

    fn variable(&self, name: &str, default: Option<&str>, secret: bool) -> Result<String, String> {
        if let Some(value) = self.0.get(name).map(String::as_str).or(default) {
            return Ok(value.to_owned());
        }
        // It may be the rest of a password with a `$` in it. What does not look like a variable most likely is.
        let is_usual = name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        Err(if is_usual && !secret {
            format!("the environment variable `{name}` is not set")
        } else {
            "it refers to an environment variable that is not set (a plain `$` is written `$$`)".to_owned()
        })
    }
}

/// Whether a field, under the name in use now or a mistyped one, holds a key or a password, or a URL that may.
fn holds_secret(field: &str) -> bool {
    const FIELDS: [&str; 5] = [
        "session_aes_secret",
        "password",
        "sentinel_password",
        "url",
        "redis_uri",
    ];
    did_you_mean(field, &FIELDS).is_some()
}

/// Whether a field, under the name in use now, says which store it is. (Of a third party's backend nobody knows.)
pub(super) fn says_which_store(field: &str) -> bool {
    const FIELDS: [&str; 11] = [
        "url",
        "session_type",
        "custom_module",
        "json_path",
        "storage_path",
        "file_prefix",
        "sqlite_path",
        "sqlite_table",
        "redis_uri",
        "session_path",
        "database",
    ];
    FIELDS.contains(&field)
}

/// Whether a URL says what this field would: in its query, or as user and password before the host.
pub(super) fn is_said_by(url: &str, query: &Map<String, Value>, field: &str) -> bool {
    let (place, _) = url.split_once('?').unwrap_or((url, ""));
    let user = place
        .split_once("://")
        .and_then(|(_, rest)| Some(rest.rsplit_once('@')?.0));
    query.contains_key(field)
        || match field {
            "username" => user.is_some(),
            "password" => user.is_some_and(|user| user.contains(':')),
            _ => false,
        }
}

/// Whether a value has a reference to this variable in one of its texts.
pub(super) fn refers_to(value: &Value, variable: &str) -> bool {
    match value {
        Value::String(text) => {
            let mut refers = false;
            let whole = expand(text, |name, _| {
                refers |= name == variable;
                Ok(String::new())
            });
            // One that is no text of references is refused when it is substituted.
            whole.is_ok() && refers
        }
        Value::Array(values) => values.iter().any(|value| refers_to(value, variable)),
        Value::Object(fields) => fields.values().any(|value| refers_to(value, variable)),
        _ => false,
    }
}

/// Puts what `variable` gives for a name and a default in place of each reference.
fn expand(
    text: &str,
    mut variable: impl FnMut(&str, Option<&str>) -> Result<String, String>,
) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(braced) = rest.strip_prefix('{') {
            let (inside, after) = braced
                .split_once('}')
                .ok_or("`${` is never closed; `$$` is a plain `$`")?;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            expanded.push_str(&variable(name, default)?);
            rest = after;
        } else {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                expanded.push('$');
            } else {
                expanded.push_str(&variable(name, None)?);
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}
