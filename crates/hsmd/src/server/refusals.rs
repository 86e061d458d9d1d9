//! Refused peers in the log: each with its cause, but a flood of them is no flood of lines.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lines for each second; what is beyond is counted, and the next line says how many.
const LINES_PER_SECOND: u64 = 5;

/// What was written in this second, and what was not.
pub(crate) struct Refusals {
    started: Instant,
    /// The second, and the lines in it: both in one word, so that no lock is needed.
    written: AtomicU64,
    unwritten: AtomicU64,
}

impl Default for Refusals {
    fn default() -> Self {
        let (written, unwritten) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { started: Instant::now(), written, unwritten }
    }
}

impl Refusals {
    /// Logs that a peer was refused, unless there were many in this second.
    pub(crate) fn log(&self, peer: SocketAddr, cause: &dyn Display) {
        if !self.may_write(self.started.elapsed().as_secs()) {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match self.unwritten.swap(0, Ordering::Relaxed) {
            0 => tracing::warn!(%peer, "refused: {cause}"),
            others => tracing::warn!(%peer, others, "refused: {cause}"),
        }
    }

    fn may_write(&self, second: u64) -> bool {
        let counted = self.written.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |written| {
            let (then, lines) = (written >> 8, written & 0xff);
            match (then == second, lines < LINES_PER_SECOND) {
                (false, _) => Some((second << 8) | 1),
                (true, true) => Some(written + 1),
                (true, false) => None,
            }
        });
        counted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_one_has_them_again() {
        let refusals = Refusals::default();
        for second in [0, 1, 7] {
            let written = (0..100).filter(|_| refusals.may_write(second)).count();
            assert_eq!(written, 5, "{second}");
        }
    }
}
