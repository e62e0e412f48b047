//! Progress of a long run, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::output::grouped;

/// One line on standard error that is drawn again and again.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: Option<u64>,
    already: u64,
    began: Instant,
    drawn: Option<Instant>,
    shown: bool,
}

impl Progress {
    const OFTEN: Duration = Duration::from_millis(200);
    const WIDTH: u64 = 24;

    /// Whether there is anybody to show it to.
    pub(super) fn is_shown() -> bool {
        std::io::stderr().is_terminal()
    }

    /// For a run of which so much was done `already`, of a `total` if that is known.
    pub(super) fn new(what: &'static str, already: u64, total: Option<u64>) -> Self {
        Self {
            what,
            total,
            already,
            began: Instant::now(),
            drawn: None,
            shown: Self::is_shown(),
        }
    }

    /// Draws that so much is done in all, at most a few times a second.
    pub(super) fn at(&mut self, done: u64) {
        let now = Instant::now();
        if !self.shown || self.drawn.is_some_and(|drawn| now - drawn < Self::OFTEN) {
            return;
        }
        self.drawn = Some(now);
        let line = line(self.what, self.already, done, self.total, now - self.began);
        // A terminal that has gone away is no reason to stop.
        let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
            let _ = std::io::stderr().flush();
        }
    }
}

fn line(what: &str, already: u64, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_sub(already).saturating_mul(1000) / millis;
    let Some(total) = total.map(|total| total.max(done).max(1)) else {
        return format!("{what}: {}, {}/s", grouped(done), grouped(rate));
    };
    let filled = done.saturating_mul(Progress::WIDTH) / total;
    let bar: String = (0..Progress::WIDTH)
        .map(|at| if at < filled { '#' } else { '.' })
        .collect();
    let left = match (total - done).checked_div(rate) {
        Some(seconds) => format!("{} left", short(seconds)),
        None => "time left unknown".to_owned(),
    };
    format!(
        "{what} [{bar}] {} of {} ({} %), {}/s, {left}",
        grouped(done),
        grouped(total),
        done.saturating_mul(100) / total,
        grouped(rate),
    )
}

fn short(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let at = |done, total, secs| line("copying", 0, done, total, Duration::from_secs(secs));
        assert_eq!(
            at(250_000, Some(1_000_000), 10),
            "copying [######..................] 250,000 of 1,000,000 (25 %), 25,000/s, 30 s left"
        );
        assert_eq!(at(5000, None, 2), "copying: 5,000, 2,500/s");
        assert!(at(0, Some(10), 1).ends_with("time left unknown"));
        assert!(at(0, Some(0), 0).contains("(0 %)"));
    }

    #[test]
    fn the_rate_of_a_resumed_run_is_that_of_this_run() {
        let line = line("copying", 900, 1000, Some(2000), Duration::from_secs(10));
        assert!(line.ends_with("1,000 of 2,000 (50 %), 10/s, 1 min 40 s left"), "{line}");
    }
}
