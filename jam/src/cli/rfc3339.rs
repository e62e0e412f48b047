//! Points in time as text, in UTC (RFC 3339).

use jam_core::Timestamp;

/// `2026-11-20T15:04:05.123Z`.
pub(super) fn exact(at: Timestamp) -> String {
    let (date, time) = parts(at);
    format!("{date}T{time}.{:03}Z", at.as_millis() % 1000)
}

/// `2026-11-20 15:04:05 UTC`.
pub(super) fn readable(at: Timestamp) -> String {
    let (date, time) = parts(at);
    format!("{date} {time} UTC")
}

fn parts(at: Timestamp) -> (String, String) {
    let seconds = at.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{hour:02}:{minute:02}:{second:02}"),
    )
}

/// Year, month and day of a day since the epoch, counted in years that begin in March, so that the day a leap year has
/// more is its last (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(exact(Timestamp::from_secs(secs)), text);
        }
        assert_eq!(exact(Timestamp::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(readable(Timestamp::from_secs(59)), "1970-01-01 00:00:59 UTC");
    }
}
