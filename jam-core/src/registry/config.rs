//! The settings of one store: fields with a name, taken one by one, so that what is left over is a mistake.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::did_you_mean;
use super::suggest::{is_unclear, shown, shown_of_url};
use crate::{Clock, Error, ErrorKind, Layout, Result, SystemClock};

/// The settings of one store, from a config table or a URL.
///
/// A [`StoreFactory`](super::StoreFactory) takes the fields it knows by name and type; each error names the source, the
/// field, and what would be right. Values from URLs and environment variables are text and are read as the asked type.
/// `Debug` shows names, never values: they may be passwords.
///
/// ```
/// use jam_core::StoreConfig;
///
/// let mut config = StoreConfig::from_url("json:sessions.json?durability=os")?;
/// assert_eq!(config.location(), Some("sessions.json"));
/// assert_eq!(config.one_of("durability", &["sync", "os"])?, Some("os"));
/// config.finish()?;
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone)]
pub struct StoreConfig {
    origin: String,
    url: Option<String>,
    location: Option<String>,
    fields: Map<String, Value>,
    known: Vec<&'static str>,
    clock: Arc<dyn Clock>,
    layout: Layout,
}

impl StoreConfig {
    /// Settings from named fields. `origin` says in error messages where they come from, such as `jam.toml
    /// [jam.session]`.
    pub fn new(origin: impl Into<String>, fields: Map<String, Value>) -> Self {
        Self {
            origin: origin.into(),
            url: None,
            location: None,
            fields,
            known: Vec::new(),
            clock: Arc::new(SystemClock),
            layout: Layout::default(),
        }
    }

    /// Settings from a URL: `scheme:location?field=value&...`. Percent-encoding in fields is decoded; the location is
    /// left as it is written, for it may be a path.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if there is no scheme, or a field is written twice or not decodable.
    pub fn from_url(url: &str) -> Result<Self> {
        let fields = Self::fields_of_url(url)?;
        Self::new(format!("the {} URL", shown(scheme_of(url)?)), fields).with_url(url)
    }

    /// The fields in the query of a URL, as they would stand in a table.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url).
    pub fn fields_of_url(url: &str) -> Result<Map<String, Value>> {
        let (_, query) = after_scheme(url)?;
        let mut fields = Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (percent_decode(name)?, percent_decode(value)?);
            if fields.contains_key(&name) {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("the URL sets {} twice", shown_of_url(url, &name)),
                ));
            }
            fields.insert(name, Value::String(value));
        }
        Ok(fields)
    }

    /// Settings whose fields are known already, and whose location is that of a URL. The query of the URL is not looked
    /// at.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if there is no scheme.
    pub fn with_url(mut self, url: &str) -> Result<Self> {
        let (location, _) = after_scheme(url)?;
        self.location = (!location.is_empty()).then(|| location.to_owned());
        self.url = Some(url.to_owned());
        Ok(self)
    }

    /// The scheme of the URL these settings came from.
    pub fn scheme(&self) -> Option<&str> {
        self.url.as_deref()?.split_once(':').map(|(scheme, _)| scheme)
    }

    /// The whole URL these settings came from, for drivers that read one themselves. It may hold a password.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// What stands between the scheme and the `?` of the URL these settings came from.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Where these settings come from, for error messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The clock the store shall judge expiry by, if it lives in the process.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Sets the clock; the system's by default.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Whose form the records will have, for a store that shares its server with others of that form. It is the
    /// manager's setting and no field: a store that keeps every record alike need not ask.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Sets the layout; jam's own by default.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets a field, as if it stood in the config.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Looks at a field without taking it.
    pub fn peek(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Takes a field as it is; `null` counts as absent.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if it is something else or empty.
    pub fn string(&mut self, name: &'static str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(self.invalid(name, "a text that is not empty")),
        }
    }

    /// Takes a truth value: `true`, `false`.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if it is something else.
    pub fn boolean(&mut self, name: &'static str) -> Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(self.invalid(name, "true or false")),
        }
    }

    /// Takes a whole number in these bounds.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if it is something else or out of bounds.
    pub fn integer(&mut self, name: &'static str, bounds: std::ops::RangeInclusive<u64>) -> Result<Option<u64>> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Ok(Some(number)),
            None if *bounds.end() == u64::MAX => {
                Err(self.invalid(name, &format!("a whole number of at least {}", bounds.start())))
            }
            None => Err(self.invalid(
                name,
                &format!("a whole number from {} to {}", bounds.start(), bounds.end()),
            )),
        }
    }

    /// Takes a length of time in seconds, whole or fractional, of at least a millisecond.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if it is something else.
    pub fn seconds(&mut self, name: &'static str) -> Result<Option<Duration>> {
        let seconds = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|duration| duration.as_millis() > 0)
            .map(Some)
            .ok_or_else(|| self.invalid(name, "a number of seconds above 0"))
    }

    /// Takes one of these words.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if it is something else; the message lists them.
    pub fn one_of(&mut self, name: &'static str, words: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = value.as_str().and_then(|text| words.iter().find(|word| **word == text));
        if let Some(word) = found {
            return Ok(Some(word));
        }
        let expected: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
        Err(self.invalid(name, &expected.join(" or ")))
    }

    /// The error for a field whose value is wrong: names the source, the field and what would be right, not the value.
    pub fn invalid(&self, name: &str, expected: &str) -> Error {
        Error::new(
            ErrorKind::Config,
            format!("{}: `{name}` must be {expected}", self.origin),
        )
    }

    /// Refuses what nobody took.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if a field is left; the message names it and the known ones, nearest first. It does not name
    /// one of a URL in which an `@` follows a `?`, which may be a part of a password.
    pub fn finish(&self) -> Result<()> {
        // One that can be named, if there is one; the first by name, whatever order the fields came in.
        let left = self.fields.keys();
        let Some(name) = left.min_by_key(|name| (self.may_be_of_a_password(name), *name)) else {
            return Ok(());
        };
        let mut known = self.known.clone();
        known.sort_unstable();
        known.dedup();
        let hint = did_you_mean(name, &known)
            .filter(|_| !self.may_be_of_a_password(name))
            .map(|name| format!("; did you mean `{name}`?"))
            .unwrap_or_default();
        let fields = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        Err(Error::new(
            ErrorKind::Config,
            format!(
                "{}: unknown field {}{hint} (fields known here: {fields})",
                self.origin,
                self.shown(name)
            ),
        ))
    }

    /// The name of a field, for an error message.
    fn shown<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.url {
            Some(url) if self.may_be_of_a_password(name) => shown_of_url(url, name),
            _ => shown(name),
        }
    }

    /// Whether a field comes from a URL whose password may have been taken for a part of its query.
    fn may_be_of_a_password(&self, name: &str) -> bool {
        let in_query = |url| Self::fields_of_url(url).is_ok_and(|fields| fields.contains_key(name));
        self.url.as_deref().is_some_and(|url| is_unclear(url) && in_query(url))
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("origin", &self.origin)
            .field(
                "fields",
                &self.fields.keys().map(|name| self.shown(name)).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// Location and query of a URL.
fn after_scheme(url: &str) -> Result<(&str, &str)> {
    let rest = &url[scheme_of(url)?.len() + 1..];
    Ok(rest.split_once('?').unwrap_or((rest, "")))
}

fn scheme_of(url: &str) -> Result<&str> {
    url.split_once(':')
        .map(|(scheme, _)| scheme)
        .filter(|scheme| !scheme.is_empty())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "a store URL has the form `scheme:location`, such as `json:sessions.json` or `memory:`",
            )
        })
}

fn percent_decode(text: &str) -> Result<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| Error::new(ErrorKind::Config, "the URL's query is not valid percent-encoded UTF-8"))
}
