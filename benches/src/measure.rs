//! Comparing two things fairly: turn by turn, medians, and the spread beside them.

use std::fmt;
use std::time::Instant;

use super::Failure;

/// How the times of two things compare.
pub(crate) struct Outcome {
    ratio: f64,
    lowest: f64,
    highest: f64,
}

/// Runs both, turn by turn, and compares: the time of `first` over the time of `second`.
pub(crate) async fn compare(
    turns: usize,
    first: impl AsyncFn() -> Result<(), Failure>,
    second: impl AsyncFn() -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    first().await?;
    second().await?;
    let mut turns_taken = Vec::new();
    for turn in 0..turns {
        // Whoever goes second may find caches warm, so they take turns at that as well.
        let (one, two) = if turn % 2 == 0 {
            let one = time(&first).await?;
            (one, time(&second).await?)
        } else {
            let two = time(&second).await?;
            (time(&first).await?, two)
        };
        turns_taken.push((one, two));
    }
    Ok(Outcome::of(&turns_taken))
}

impl Outcome {
    /// Of the times of both in each turn.
    pub(crate) fn of(turns: &[(f64, f64)]) -> Self {
        let mut ratios: Vec<_> = turns.iter().map(|(one, two)| one / two).collect();
        ratios.sort_by(f64::total_cmp);
        let (firsts, seconds) = turns.iter().copied().unzip();
        Self {
            ratio: median(firsts) / median(seconds),
            lowest: ratios[0],
            highest: ratios[ratios.len() - 1],
        }
    }
}

pub(crate) async fn time(work: &impl AsyncFn() -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    work().await?;
    Ok(start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} | {:.2} to {:.2}", self.ratio, self.lowest, self.highest)
    }
}
