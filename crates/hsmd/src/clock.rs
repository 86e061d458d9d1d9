//! The module's clock: the machine's, except that it never runs back.
//!
//! The module forbids itself to apply a time before one that it applied, so a machine whose clock was moved back would have every
//! change refused until its clock has caught up. Here its time goes on from where it was, at the pace of the monotonic
//! clock, and follows the machine's again when that is ahead. A clock that was far ahead leaves its mark for ever: nothing can tell
//! which of the two was right.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use casemate_hsm::Time;

/// The clock.
pub(crate) struct Clock {
    started: Instant,
    /// The time at `started`, in milliseconds: it only grows.
    base: AtomicU64,
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Clock {
    /// Starts a clock.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), base: AtomicU64::new(Self::machine().0) }
    }

    /// Returns what the machine's clock shows.
    pub(crate) fn machine() -> Time {
        Time(milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)))
    }

    /// Returns the module's time.
    pub(crate) fn now(&self) -> Time {
        self.at(Self::machine(), milliseconds(self.started.elapsed()))
    }

    fn at(&self, machine: Time, elapsed: u64) -> Time {
        let seen = machine.0.saturating_sub(elapsed);
        let base = self.base.load(Ordering::Relaxed);
        // Written only when the machine's clock was moved forward.
        let base =
            if seen > base { self.base.fetch_max(seen, Ordering::Relaxed).max(seen) } else { base };
        Time(base.saturating_add(elapsed))
    }

    /// Sees to it that the time is not before one that was applied.
    pub(crate) fn not_before(&self, applied: Time) {
        let behind = applied.ms_since(self.now());
        if behind > 0 {
            tracing::warn!(
                behind_ms = behind,
                "this machine's clock is behind the time of the last change: the module's time goes on from there"
            );
            self.base.fetch_add(behind, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_machine_and_never_runs_back() {
        let clock = Clock { started: Instant::now(), base: AtomicU64::new(1_000) };
        assert_eq!(clock.at(Time(1_000), 0), Time(1_000));
        assert_eq!(clock.at(Time(1_500), 500), Time(1_500));
        // Moved back by a second: it goes on by the monotonic clock.
        assert_eq!(clock.at(Time(600), 600), Time(1_600));
        // Moved forward.
        assert_eq!(clock.at(Time(9_000), 700), Time(9_000));
        assert_eq!(clock.at(Time(800), 800), Time(9_100));
    }

    #[test]
    fn time_goes_on_from_what_was_applied() {
        let clock = Clock::start();
        let ahead = clock.now().after_ms(3_600_000);
        clock.not_before(ahead);
        assert!(clock.now() >= ahead && clock.now().ms_since(ahead) < 60_000);
        clock.not_before(Time(0));
        assert!(clock.now() >= ahead);
    }
}
