//! The application's data on its way to bytes and back.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// What an application keeps in a session: a JSON object.
pub type Data = Map<String, Value>;

/// How data becomes bytes. JSON by default; replace it to keep something else in the store.
///
/// Stores keep JSON readable and anything else as opaque bytes.
pub trait Serializer: fmt::Debug + Send + Sync + 'static {
    /// Data to bytes.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if this form cannot hold the data.
    fn serialize(&self, data: &Data) -> Result<Vec<u8>>;

    /// Bytes back to data.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if [`serialize`](Self::serialize) did not write them. The error shows none of
    /// them.
    fn deserialize(&self, payload: &[u8]) -> Result<Data>;
}

/// A shared serializer is a serializer.
impl<S: Serializer + ?Sized> Serializer for Arc<S> {
    fn serialize(&self, data: &Data) -> Result<Vec<u8>> {
        (**self).serialize(data)
    }

    fn deserialize(&self, payload: &[u8]) -> Result<Data> {
        (**self).deserialize(payload)
    }
}

/// Any serializable object to bytes: straight to JSON, or by way of `Data` with a serializer of the application's own.
pub(crate) fn to_payload(serializer: Option<&dyn Serializer>, data: &impl Serialize) -> Result<Vec<u8>> {
    let Some(serializer) = serializer else {
        // Room for most, so that it need not grow.
        let mut json = Vec::with_capacity(256);
        serde_json::to_writer(&mut json, data).map_err(|_| not_json())?;
        return match json.first() {
            Some(b'{') => {
                check_readable(&json)?;
                Ok(json)
            }
            first => Err(not_an_object(match first {
                Some(b'[') => "a list",
                Some(b'"') => "a text",
                Some(b'n') => "null",
                Some(b't' | b'f') => "a truth value",
                _ => "a number",
            })),
        };
    };
    serializer.serialize(&to_data(data)?)
}

/// How deep the JSON parser goes.
const MAX_DEPTH: usize = 127;
/// An integer of fewer digits fits into 64 bits.
const MANY_DIGITS: usize = 19;

/// Refuses what could be written but not be read back as it was: what is nested too deep, and integers beyond 64 bits.
fn check_readable(json: &[u8]) -> Result<()> {
    let (mut depth, mut digits, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = json.get(at) {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        match byte {
            b'"' => at = end_of_text(json, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("session data is nested deeper than {MAX_DEPTH} levels, and could not be read back");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if digits >= MANY_DIGITS && is_wide_integer(json, at + 1 - digits) {
            let message = "session data holds an integer beyond 64 bits, which would be read back as a fraction";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        at += 1;
    }
    Ok(())
}

/// Where the quote is that ends a text which begins there.
fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at;
        }
        at += 2;
    }
    json.len()
}

/// Whether an integer that 64 bits do not hold begins there.
fn is_wide_integer(json: &[u8], start: usize) -> bool {
    let len = json[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let before = start.checked_sub(1).map(|at| json[at]);
    let after = json.get(start + len);
    let is_integer = !matches!(before, Some(b'.' | b'e' | b'E' | b'+')) && !matches!(after, Some(b'.' | b'e' | b'E'));
    let text = str::from_utf8(&json[start..start + len]).unwrap_or_default();
    let fits = match before {
        Some(b'-') => text
            .parse::<u64>()
            .is_ok_and(|number| number <= i64::MIN.unsigned_abs()),
        _ => text.parse::<u64>().is_ok(),
    };
    is_integer && !fits
}

/// Bytes back to data.
pub(crate) fn from_payload(serializer: Option<&dyn Serializer>, payload: &[u8]) -> Result<Data> {
    match serializer {
        Some(serializer) => serializer.deserialize(payload),
        // The parser's own error may quote what it read, so only the place is told.
        None => serde_json::from_slice(payload).map_err(|error| corrupt(&error)),
    }
}

fn corrupt(error: &serde_json::Error) -> Error {
    let place = format!("line {}, column {}", error.line(), error.column());
    Error::new(
        ErrorKind::Corrupt,
        format!("the stored session data is not a JSON object ({place})"),
    )
}

/// One field of a JSON payload, or none, without making anything of the others.
pub(crate) fn pick(payload: &[u8], field: Option<&str>) -> Result<Option<Value>> {
    let mut parser = serde_json::Deserializer::from_slice(payload);
    let picked = Pick(field).deserialize(&mut parser);
    let picked = picked.map_err(|error| corrupt(&error))?;
    parser.end().map_err(|error| corrupt(&error))?;
    Ok(picked)
}

struct Pick<'a>(Option<&'a str>);

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut picked = None;
        // As in the whole data, the last of one name counts.
        while let Some(is_it) = fields.next_key_seed(IsName(self.0))? {
            if is_it {
                picked = Some(fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(picked)
    }
}

struct IsName<'a>(Option<&'a str>);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

/// Any serializable object as data.
fn to_data(data: &impl Serialize) -> Result<Data> {
    match serde_json::to_value(data).map_err(|_| not_json())? {
        Value::Object(data) => Ok(data),
        Value::Array(_) => Err(not_an_object("a list")),
        Value::String(_) => Err(not_an_object("a text")),
        Value::Null => Err(not_an_object("null")),
        Value::Bool(_) => Err(not_an_object("a truth value")),
        Value::Number(_) => Err(not_an_object("a number")),
    }
}

/// A value as a field of the data.
pub(crate) fn to_value(value: impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|_| not_json())
}

/// Data as a type of the application's.
pub(crate) fn data_as<T: DeserializeOwned>(data: &Data) -> Result<T> {
    T::deserialize(data).map_err(|_| wrong_shape::<T>("the session data does"))
}

/// A field of the data as a type of the application's.
pub(crate) fn field_as<T: DeserializeOwned>(data: &Data, field: &str) -> Result<Option<T>> {
    data.get(field).map(value_as).transpose()
}

/// A value of the data as a type of the application's.
pub(crate) fn value_as<'de, T: DeserializeOwned>(value: impl Deserializer<'de>) -> Result<T> {
    T::deserialize(value).map_err(|_| wrong_shape::<T>("a field of the session data does"))
}

// The parser's error would quote the data, so it is left out of all of these.
fn wrong_shape<T>(what: &str) -> Error {
    let name = std::any::type_name::<T>();
    Error::new(
        ErrorKind::InvalidInput,
        format!("{what} not have the shape of `{name}`"),
    )
}

fn not_json() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "the session data cannot be written as JSON (are all map keys texts?)",
    )
}

fn not_an_object(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("session data must be a JSON object, such as a struct or a map, and not {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_picked_is_that_of_the_whole() {
        for text in [
            r"{}",
            r#"{"a":1}"#,
            r#" { "b" : [1, {"a": 2}], "a" : {"a": null, "c": "\u00e9}"} } "#,
            r#"{"a":1,"a":2}"#,
            r#"{"a\"b":"x","\u0061":true,"ä":1.5,"":{}}"#,
        ] {
            let whole = from_payload(None, text.as_bytes()).unwrap();
            for field in ["a", "b", "a\"b", "ä", "", "c"] {
                let picked = pick(text.as_bytes(), Some(field)).unwrap();
                assert_eq!(picked.as_ref(), whole.get(field), "{field} of {text}");
            }
            assert_eq!(pick(text.as_bytes(), None).unwrap(), None);
        }
    }

    #[test]
    fn what_is_no_object_gives_no_field() {
        for text in [
            "",
            "[]",
            "null",
            "1",
            "\"a\"",
            "{",
            r#"{"a":1}x"#,
            r#"{"a":}"#,
            "{a:1}",
            r#"{"a":1"#,
            r#"{"a" 1}"#,
        ] {
            for field in [None, Some("a")] {
                let error = pick(text.as_bytes(), field).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
            }
            assert!(from_payload(None, text.as_bytes()).is_err(), "{text}");
        }
    }
}
