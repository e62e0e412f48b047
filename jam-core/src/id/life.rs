//! The life of a session: when it began, a ttl of its own, and when its id was issued.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, ErrorKind, Result, Timestamp};

/// When a session began, the ttl of its own if it has one ("remember me"), and when its present id was issued.
///
/// It is part of the inner id, so it costs no storage and nobody can change it. A rework copies beginning and ttl: that
/// is how an absolute lifetime outlives rotation. Written as Unix seconds in base 36; with a ttl, `-` and that ttl in
/// seconds in base 36; and for an id of a rework later than the second of the beginning, `_` and the seconds between the
/// two in base 36.
///
/// ```
/// use jam_core::{Life, Timestamp};
/// use std::time::Duration;
///
/// let life = Life::new(Timestamp::from_secs(1_760_000_000), Some(Duration::from_secs(3600)));
/// assert_eq!(life.to_string(), "t3uwow-2s0");
/// assert_eq!("t3uwow-2s0".parse::<Life>()?, life);
///
/// let reworked = life.reissued(Timestamp::from_secs(1_760_000_900));
/// assert_eq!(reworked.to_string(), "t3uwow-2s0_p0");
/// assert_eq!(reworked.issued(), Timestamp::from_secs(1_760_000_900));
/// assert_eq!(reworked.lasting(), life);
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    // All in seconds.
    created: u64,
    ttl: Option<u64>,
    /// From the beginning to when the id was issued.
    issued_after: u64,
}

impl Life {
    /// The longest text a life can have, in bytes: three numbers of up to 13 digits.
    pub(crate) const MAX_LEN: usize = 13 + 1 + 13 + 1 + 13;

    /// A life that began then, with the id that was issued then; below a second is dropped.
    pub fn new(created: Timestamp, ttl: Option<Duration>) -> Self {
        Self {
            created: created.as_secs(),
            ttl: ttl.map(|ttl| ttl.as_secs()),
            issued_after: 0,
        }
    }

    /// The same life with an id that was issued then: what a rework makes of it. Below a second is dropped; a moment
    /// before the beginning, by a clock that was turned back, counts as the beginning.
    #[must_use]
    pub fn reissued(self, now: Timestamp) -> Self {
        Self {
            issued_after: now.as_secs().saturating_sub(self.created),
            ..self
        }
    }

    /// What of it stays through every rework: beginning and ttl, as if the id were the first. Lives of one session have
    /// this in common.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self {
            issued_after: 0,
            ..self
        }
    }

    /// When it began, to the second.
    pub fn created(&self) -> Timestamp {
        Timestamp::from_secs(self.created)
    }

    /// When the present id was issued, to the second: at the last rework, or at the beginning.
    pub fn issued(&self) -> Timestamp {
        Timestamp::from_secs(self.created.saturating_add(self.issued_after))
    }

    /// The ttl of its own; `None`: the configured one counts.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl.map(Duration::from_secs)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl Life {
    /// Writes it behind what a text holds.
    pub(crate) fn write_to(&self, text: &mut impl fmt::Write) -> fmt::Result {
        write_base36(text, self.created)?;
        if let Some(ttl) = self.ttl {
            text.write_char('-')?;
            write_base36(text, ttl)?;
        }
        if self.issued_after > 0 {
            text.write_char('_')?;
            write_base36(text, self.issued_after)?;
        }
        Ok(())
    }
}

impl FromStr for Life {
    type Err = Error;

    /// Takes only what [`Display`](fmt::Display) writes, so that no two texts mean one life.
    fn from_str(text: &str) -> Result<Self> {
        let (lasting, issued_after) = split(text.as_bytes(), b'_');
        let (created, ttl) = split(lasting, b'-');
        let parse = |digits: &[u8]| read_base36(digits).ok_or_else(|| Error::from(ErrorKind::InvalidId));
        let issued_after = match issued_after.map(parse).transpose()? {
            Some(0) => return Err(ErrorKind::InvalidId.into()),
            after => after.unwrap_or(0),
        };
        Ok(Self {
            created: parse(created)?,
            ttl: ttl.map(parse).transpose()?,
            issued_after,
        })
    }
}

/// What stands before and, if it is there, behind the first such mark.
fn split(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == mark) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn write_base36(text: &mut impl fmt::Write, mut number: u64) -> fmt::Result {
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
    text.write_str(str::from_utf8(&digits[start..]).unwrap_or_default())
}

fn read_base36(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
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
            for ttl in [None, Some(number)] {
                for issued_after in [0, number] {
                    let life = Life {
                        created: number,
                        ttl,
                        issued_after,
                    };
                    let text = life.to_string();
                    assert!(text.len() <= Life::MAX_LEN, "{text}");
                    assert_eq!(text.parse::<Life>().unwrap(), life);
                }
            }
        }
    }

    #[test]
    fn an_id_is_never_issued_before_its_session_began() {
        let at = Timestamp::from_secs;
        let life = Life::new(at(1000), None);
        assert_eq!(life.issued(), at(1000));
        assert_eq!(life.reissued(at(1500)).issued(), at(1500));
        assert_eq!(life.reissued(at(10)), life);
        // By the clock as it is now, even where that was ahead at the last rework.
        assert_eq!(life.reissued(at(9000)).reissued(at(1500)).issued(), at(1500));
        assert_eq!("3w5e11264sgsf_1".parse::<Life>().unwrap().issued(), Timestamp::MAX);
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
            "_",
            "_1",
            "1_",
            "1_0",
            "1_01",
            "1_+1",
            "1_A",
            "1_2_3",
            "1_2-3",
            "1-_2",
            "1-2_",
            "1_3w5e11264sgsg",
        ] {
            assert!(text.parse::<Life>().is_err(), "{text}");
        }
    }
}
