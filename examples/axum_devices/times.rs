//! Points in time, for people and for machines.

use std::time::Duration;

use jam::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// "2 minutes ago".
pub(crate) fn ago(passed: Duration) -> String {
    let passed = passed.as_secs();
    let (count, unit) = match passed {
        0..MINUTE => return "just now".to_owned(),
        MINUTE..HOUR => (passed / MINUTE, "minute"),
        HOUR..DAY => (passed / HOUR, "hour"),
        DAY.. => (passed / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

/// For the attribute `datetime`: RFC 3339, in UTC and whole seconds.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or_default();
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_the_largest_unit_that_fits() {
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (HOUR - 1, "59 minutes ago"),
            (HOUR, "1 hour ago"),
            (2 * DAY - 1, "1 day ago"),
            (400 * DAY, "400 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn machines_read_utc() {
        assert_eq!(
            rfc3339(Timestamp::from_millis(1_767_225_600_999)),
            "2026-01-01T00:00:00Z"
        );
        assert!(
            rfc3339(Timestamp::MAX).starts_with("9999-12-30T"),
            "the last that jiff knows"
        );
    }
}
