//! What stands in a hash field: the bare payload, or one with a prefix where the field alone cannot say everything.
//!
//! | value | meaning |
//! |---|---|
//! | anything that does not begin with NUL | the payload, as it is; its expiry is the field's |
//! | NUL `=` payload | a payload that begins with NUL itself |
//! | NUL `>` 15 digits payload | an expiry in milliseconds that lies beyond what a field's can be |
//! | NUL `@` 15 digits payload | an expiry in milliseconds (0: never) on a server without field expiry |

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use jam_core::{Ends, Error, ErrorKind, Record, Result, Timestamp};

/// The latest expiry that every server takes for a field, 2^46 - 1 ms: the year 4199.
pub(crate) const LATEST: Timestamp = Timestamp::from_millis(70_368_744_177_663);

const DIGITS: usize = 15;
const PREFIX: usize = 2 + DIGITS;

/// A value for a server with field expiry, and the expiry of the field.
pub(crate) fn native(record: &Record) -> (Cow<'_, [u8]>, Option<Timestamp>) {
    match record.expires_at {
        Some(at) if at > LATEST => (dated(b'>', at, &record.payload).into(), None),
        at => (bare(&record.payload), at),
    }
}

/// A payload whose expiry is the field's, or none.
fn bare(payload: &[u8]) -> Cow<'_, [u8]> {
    if payload.first() == Some(&0) {
        [b"\0=", payload].concat().into()
    } else {
        payload.into()
    }
}

/// A value for a server without field expiry.
pub(crate) fn emulated(record: &Record) -> Vec<u8> {
    // 0 means never, so what ended then ends a millisecond later: both are long past.
    let at = record
        .expires_at
        .map_or(Timestamp::ZERO, |at| at.max(Timestamp::from_millis(1)));
    dated(b'@', at, &record.payload)
}

fn dated(mark: u8, at: Timestamp, payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(PREFIX + payload.len());
    value.extend_from_slice(&[0, mark]);
    value.extend_from_slice(format!("{:0DIGITS$}", at.as_millis()).as_bytes());
    value.extend_from_slice(payload);
    value
}

/// A value that was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) payload: Bytes,
    pub(crate) expiry: Expiry,
}

/// Where the expiry of a value is, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The field's.
    OfField,
    /// In the value, since a field's cannot be that late.
    Far(Timestamp),
    /// In the value, since the server had no field expiry when it was written; `None`: never.
    Emulated(Option<Timestamp>),
}

impl Expiry {
    /// When a session ends whose field expires then; `None`: never.
    pub(crate) fn at(self, of_field: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::OfField => of_field,
            Self::Far(at) => Some(at),
            Self::Emulated(at) => at,
        }
    }

    /// The same, and how much is left until then.
    pub(crate) fn ends(self, of_field: Option<Timestamp>, left: impl Fn(Timestamp) -> Duration) -> Ends {
        let on_server = |at| Ends::OnServer { at, left: left(at) };
        self.at(of_field).map_or(Ends::Never, on_server)
    }
}

/// Reads a value.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it begins as jam's own and goes on differently.
pub(crate) fn read(value: Vec<u8>) -> Result<Value> {
    let value = Bytes::from(value);
    let (payload, expiry) = match value.get(..2) {
        Some(b"\0=") => (value.slice(2..), Expiry::OfField),
        Some(b"\0>") => (value.slice(PREFIX.min(value.len())..), Expiry::Far(date(&value)?)),
        Some(b"\0@") => {
            let at = Some(date(&value)?).filter(|at| *at != Timestamp::ZERO);
            (value.slice(PREFIX..), Expiry::Emulated(at))
        }
        _ if value.first() == Some(&0) => return Err(not_ours()),
        _ => (value, Expiry::OfField),
    };
    Ok(Value { payload, expiry })
}

fn date(value: &[u8]) -> Result<Timestamp> {
    let digits = value
        .get(2..PREFIX)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let number = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
    number.map(Timestamp::from_millis).ok_or_else(not_ours)
}

fn not_ours() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "a value in a session hash begins with NUL but is none of jam's; another program wrote under this session path, \
         or a newer jam did",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &'static [u8], at: Option<u64>) -> Record {
        Record::new(payload, at.map(Timestamp::from_millis))
    }

    #[test]
    fn a_json_payload_stands_as_it_is_and_its_expiry_is_the_fields() {
        let kept = record(b"{}", Some(5));
        let (value, at) = native(&kept);
        assert_eq!((&*value, at), (b"{}".as_slice(), Some(Timestamp::from_millis(5))));
        assert_eq!(
            read(value.into_owned()).unwrap(),
            Value {
                payload: "{}".into(),
                expiry: Expiry::OfField
            }
        );
    }

    #[test]
    fn payloads_that_look_like_a_prefix_come_back_byte_for_byte() {
        for payload in [
            &b""[..],
            b"\0",
            b"\0=",
            b"\0>",
            b"\0@000000000000001x",
            b"\0\0",
            b"x\0@",
        ] {
            let kept = Record::new(Bytes::from_static(payload), None);
            assert_eq!(read(native(&kept).0.into_owned()).unwrap().payload, payload);
            assert_eq!(read(emulated(&kept)).unwrap().payload, payload);
            let far = Record::new(Bytes::from_static(payload), Some(Timestamp::MAX));
            let value = read(native(&far).0.into_owned()).unwrap();
            assert_eq!((&*value.payload, value.expiry), (payload, Expiry::Far(Timestamp::MAX)));
        }
    }

    /// Formats are for ever: these bytes are what servers hold.
    #[test]
    fn the_golden_values_stay_what_they_are() {
        let kept = record(b"{\"a\":1}", Some(1_767_225_600_000));
        assert_eq!(emulated(&kept), b"\0@001767225600000{\"a\":1}");
        assert_eq!(emulated(&record(b"{}", None)), b"\0@000000000000000{}");
        assert_eq!(&*native(&record(b"\0x", None)).0, b"\0=\0x");
        assert_eq!(
            &*native(&record(b"{}", Some(70_368_744_177_664))).0,
            b"\0>070368744177664{}"
        );
    }

    #[test]
    fn what_begins_like_ours_and_is_not_is_corrupt() {
        for value in [&b"\0"[..], b"\0x", b"\0>12", b"\0@00000000000000x{}", b"\0@"] {
            assert_eq!(read(value.to_vec()).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
