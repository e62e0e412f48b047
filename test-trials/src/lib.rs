//! What tests share that may run as long as one likes: how many trials, how far they have come, and the seed to begin again with.
//!
//! A trial follows from its number as far as it follows from anything: that is its seed. `JAM_TEST_SEED` says with which to
//! begin, so one that failed is met again, and a long run is a sum of short ones, as `scripts/prove` makes it.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test tells how far it has come, and one that cannot read its settings fails"
)]

mod dice;

use std::time::{Duration, Instant};

pub use self::dice::Dice;

/// How often a run says how far it has come, to whoever looks (`--nocapture`).
const EVERY: Duration = Duration::from_secs(10);

/// The numbers of a run's trials, one after the other.
///
/// It says how far it has come every ten seconds, in the end how many trials there were, and if the test fails the number to
/// begin again with.
#[derive(Debug)]
pub struct Trials {
    what: String,
    first: u64,
    count: u64,
    /// The number that comes next.
    next: u64,
    done: u64,
    begun: Instant,
    told: Instant,
}

impl Trials {
    /// As many as the environment's `variable` says, or `default`, beginning with the number in `JAM_TEST_SEED`, or 0. `what` is
    /// what is tried, for the reports.
    ///
    /// # Panics
    /// If a variable is no number.
    pub fn new(what: impl Into<String>, variable: &str, default: u64) -> Self {
        let (first, now) = (setting("JAM_TEST_SEED", 0), Instant::now());
        Self {
            what: what.into(),
            first,
            count: setting(variable, default),
            next: first,
            done: 0,
            begun: now,
            told: now,
        }
    }

    /// How many there are to be.
    pub const fn wanted(&self) -> u64 {
        self.count
    }

    /// The number that the run begins with.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Takes the last trial for so many more than the one that it counts for.
    pub fn more(&mut self, more: u64) {
        self.done += more;
    }
}

impl Iterator for Trials {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            println!("{}: {} of {}", self.what, self.done, self.count);
        }
        if self.done >= self.count {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.done += 1;
        Some(number)
    }
}

impl Drop for Trials {
    fn drop(&mut self) {
        let (what, begun) = (&self.what, self.begun.elapsed());
        if std::thread::panicking() {
            println!(
                "{what}: JAM_TEST_SEED={} begins with the one that failed",
                self.next.max(1) - 1
            );
        } else {
            println!("{what}: {} trials, seed {}, {begun:.1?}", self.done, self.first);
        }
    }
}

/// From now on the first test of this program that fails ends it, if `JAM_TEST_END_EARLY` is set: for `scripts/mutants`, which
/// only asks whether any test fails.
pub fn end_at_first_failure() {
    if std::env::var_os("JAM_TEST_END_EARLY").is_some() {
        let show = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            show(panic);
            // The threads of tests have their names. Others may panic because a test wants them to.
            if std::thread::current().name().is_some_and(|name| name.contains("::")) {
                std::process::exit(101);
            }
        }));
    }
}

fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a setting of a test is a number"))
}
