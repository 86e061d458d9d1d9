//! Waiting for what comes by itself: a condition is looked at until it holds, never a time slept.

use std::time::{Duration, Instant};

/// How long is waited: longer than anything takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// Looks until something is found, and returns it.
///
/// # Panics
/// With what was waited for, if it does not come.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(LOOK);
    }
}
