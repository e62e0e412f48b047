//! The life of a session: when it began, and a ttl of its own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, ErrorKind, Result, Timestamp};

/// When a session began, and the ttl of its own if it has one ("remember me").
///
/// It is part of the inner id, so it costs no storage and nobody can change it, and a rework copies it: that is how an
/// absolute lifetime outlives rotation. Written as Unix seconds in base 36 and, with a ttl, `-` and that ttl in seconds
/// in base 36.
///
/// ```
/// use jam_core::{Life, Timestamp};
/// use std::time::Duration;
///
/// let life = Life::new(Timestamp::from_secs(1_760_000_000), Some(Duration::from_secs(3600)));
/// assert_eq!(life.to_string(), "t3uwow-2s0");
/// assert_eq!("t3uwow-2s0".parse::<Life>()?, life);
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    created_secs: u64,
    ttl_secs: Option<u64>,
}

impl Life {
    /// A life that began then; below a second is dropped.
    pub fn new(created: Timestamp, ttl: Option<Duration>) -> Self {
        Self {
            created_secs: created.as_secs(),
            ttl_secs: ttl.map(|ttl| ttl.as_secs()),
        }
    }

    /// When it began, to the second.
    pub fn created(&self) -> Timestamp {
        Timestamp::from_secs(self.created_secs)
    }

    /// The ttl of its own; `None`: the configured one counts.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl_secs.map(Duration::from_secs)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base36(f, self.created_secs)?;
        if let Some(ttl) = self.ttl_secs {
            f.write_str("-")?;
            write_base36(f, ttl)?;
        }
        Ok(())
    }
}

impl FromStr for Life {
    type Err = Error;

    /// Takes only what [`Display`](fmt::Display) writes, so that no two texts mean one life.
    fn from_str(text: &str) -> Result<Self> {
        let (created, ttl) = match text.split_once('-') {
            Some((created, ttl)) => (created, Some(ttl)),
            None => (text, None),
        };
        let parse = |text: &str| read_base36(text).ok_or_else(|| Error::from(ErrorKind::InvalidId));
        Ok(Self {
            created_secs: parse(created)?,
            ttl_secs: ttl.map(parse).transpose()?,
        })
    }
}

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn write_base36(f: &mut fmt::Formatter<'_>, mut number: u64) -> fmt::Result {
    let mut digits = [0_u8; 13];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = DIGITS[usize::try_from(number % 36).unwrap_or(0)];
        number /= 36;
        if number == 0 {
            break;
        }
    }
    f.write_str(str::from_utf8(&digits[start..]).unwrap_or_default())
}

fn read_base36(text: &str) -> Option<u64> {
    if text.is_empty() || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.bytes().try_fold(0_u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return None,
        };
        number.checked_mul(36)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_36_is_read_back() {
        for number in [0, 1, 35, 36, 1_760_000_000, u64::MAX] {
            let life = Life {
                created_secs: number,
                ttl_secs: Some(number),
            };
            assert_eq!(life.to_string().parse::<Life>().unwrap(), life);
        }
    }

    #[test]
    fn only_the_canonical_form_is_taken() {
        for text in [
            "",
            "-",
            "t5o2k9-",
            "-1y",
            "0t5o2k9",
            "T5O2K9",
            "t5 o2",
            "+1",
            "3w5e11264sgsg",
            "1--2",
            "1-2-3",
        ] {
            assert!(text.parse::<Life>().is_err(), "{text}");
        }
    }
}
