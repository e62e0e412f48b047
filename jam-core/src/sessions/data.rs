//! The application's data on its way to bytes and back.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
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
                check_readable(&json, MAX_DEPTH)?;
                // A store may keep the bytes as they are, and much more room than they need with them.
                let roomy = json.capacity() > 2 * json.len();
                Ok(if roomy { json.as_slice().to_vec() } else { json })
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

/// The JSON of one field's value.
pub(super) fn to_field(value: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value).map_err(|_| not_json())?;
    check_readable(&json, MAX_DEPTH - 1)?;
    Ok(json)
}

/// How deep the JSON parser goes.
const MAX_DEPTH: usize = 127;
/// An integer of fewer digits fits into 64 bits.
const MANY_DIGITS: usize = 19;

/// Refuses what could be written but not be read back as it was: what is nested too deep, and integers beyond 64 bits.
fn check_readable(json: &[u8], max_depth: usize) -> Result<()> {
    // Hardly any data has as many brackets as it would take, or as many digits in a row; what stands in texts counts here too.
    if brackets(json) <= max_depth && !has_many_digits(json) {
        return Ok(());
    }
    look_closely(json, max_depth)
}

/// How many brackets open, counted in bytes, of which the processor adds sixteen at once; 255 of them fit into one.
fn brackets(json: &[u8]) -> usize {
    let count = |some: &[u8]| {
        some.iter()
            .map(|byte| u8::from(matches!(byte, b'{' | b'[')))
            .sum::<u8>()
    };
    json.chunks(usize::from(u8::MAX))
        .map(|some| usize::from(count(some)))
        .sum()
}

fn look_closely(json: &[u8], max_depth: usize) -> Result<()> {
    let (mut depth, mut digits, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = json.get(at) {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        match byte {
            b'"' => at = end_of_text(json, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max_depth {
            let message = format!("session data is nested deeper than {MAX_DEPTH} levels, and could not be read back");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        // Once for all digits of a number, or a long one would take the square of its length.
        if digits == MANY_DIGITS && is_wide_integer(json, at + 1 - digits) {
            let message = "session data holds an integer beyond 64 bits, which would be read back as a fraction";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        at += 1;
    }
    Ok(())
}

/// Whether there are so many digits in a row that an integer may be beyond 64 bits: one of them then stands where this looks.
fn has_many_digits(json: &[u8]) -> bool {
    (MANY_DIGITS - 1..json.len()).step_by(MANY_DIGITS).any(|at| {
        let (before, after) = json.split_at(at);
        digits(after) > 0 && digits(before.iter().rev()) + digits(after) >= MANY_DIGITS
    })
}

/// How many digits these bytes begin with; no more than need be known.
fn digits<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> usize {
    let enough = bytes.into_iter().take(MANY_DIGITS);
    enough.take_while(|byte| byte.is_ascii_digit()).count()
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
        None => serde_json::from_slice(payload).map_err(|error| corrupt_at(&error)),
    }
}

/// The parser's own error may quote what it read, so only the place is told.
pub(super) fn corrupt_at(error: &serde_json::Error) -> Error {
    corrupt(&format!("line {}, column {}", error.line(), error.column()))
}

pub(super) fn corrupt(why: &str) -> Error {
    let message = format!("the stored session data is not a JSON object ({why})");
    Error::new(ErrorKind::Corrupt, message)
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
    use proptest::prelude::*;

    use super::*;

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[0-9]{1,12}",
            "[0-9]{17,21}",
            "[{\\[\\]}]{1,5}",
            "[,.:eE+-]",
            "\"[a-z0-9{\\[]{0,25}\""
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_first_look_lets_nothing_pass_that_a_close_one_refuses(json in pieces(), max_depth in 0..8_usize) {
            let json = json.as_bytes();
            prop_assert_eq!(check_readable(json, max_depth).is_ok(), look_closely(json, max_depth).is_ok());
        }
    }

    /// To look at all of them again at each would take a hundred thousand times as long.
    #[test]
    fn a_number_of_very_many_digits_is_looked_at_once() {
        let digits = 1_000_000;
        for (json, fits) in [
            (format!("{{\"a\":0.{}}}", "0".repeat(digits)), true),
            (format!("{{\"a\":1{}.5}}", "0".repeat(digits)), true),
            (format!("{{\"a\":1e{}1}}", "0".repeat(digits)), true),
            (format!("{{\"a\":1{}}}", "0".repeat(digits)), false),
        ] {
            let (done, waits) = std::sync::mpsc::channel();
            std::thread::spawn(move || done.send(check_readable(json.as_bytes(), MAX_DEPTH).is_ok()));
            assert_eq!(waits.recv_timeout(std::time::Duration::from_mins(1)), Ok(fits));
        }
    }

    #[test]
    fn as_many_digits_as_may_be_too_many_are_found_wherever_they_begin() {
        for before in 0..3 * MANY_DIGITS {
            let json = |digits| format!("{}{}", "[".repeat(before), "9".repeat(digits));
            assert!(has_many_digits(json(MANY_DIGITS).as_bytes()));
            assert!(!has_many_digits(json(MANY_DIGITS - 1).as_bytes()));
        }
    }
}
