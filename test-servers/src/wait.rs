//! Waiting for what a server does in its own time.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for the slowest machine that runs these tests; nothing waits this long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until `ready` gives something.
///
/// # Panics
///
/// After [`PATIENCE`], with what the last `ready` said was missing.
pub(crate) fn until<T>(what: &str, mut ready: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ready() {
            Ok(value) => return value,
            Err(missing) if start.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} for {what}, in vain: {missing}")
            }
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}
