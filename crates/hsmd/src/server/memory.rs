//! Bytes of large messages that the daemon holds for its peers, over all connections: taken before they are kept, given back when
//! they are dropped.
//!
//! Small messages are not counted, so the way of a signature touches nothing shared: they are bounded by the limits of
//! connections and of requests in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of all large messages together: a dozen of the largest.
const HELD_MAX: usize = 768 << 20;
/// Messages from this size on are counted.
const LARGE: usize = 64 << 10;

/// What is held.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<AtomicUsize>);

/// A share of it, given back when it is dropped.
pub(crate) struct Held {
    memory: Memory,
    bytes: usize,
}

impl Memory {
    /// Takes nothing yet.
    pub(crate) fn hold(&self) -> Held {
        Held { memory: self.clone(), bytes: 0 }
    }
}

impl Held {
    /// Becomes a share for a message of so many bytes; returns whether there is room.
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        let wanted = if bytes < LARGE { 0 } else { bytes };
        if wanted == self.bytes {
            return true;
        }
        if let Some(more) = wanted.checked_sub(self.bytes) {
            let before = self.memory.0.fetch_add(more, Ordering::Relaxed);
            if before.saturating_add(more) > HELD_MAX {
                self.memory.0.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else {
            self.memory.0.fetch_sub(self.bytes - wanted, Ordering::Relaxed);
        }
        self.bytes = wanted;
        true
    }

    /// Returns the bytes that are counted.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.0.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_end_at_the_limit_and_come_back() {
        let memory = Memory::default();
        let mut small = memory.hold();
        assert!(small.resize(LARGE - 1));
        assert_eq!(small.bytes(), 0);
        let mut large = memory.hold();
        assert!(large.resize(HELD_MAX));
        assert!(!small.resize(LARGE));
        assert_eq!(small.bytes(), 0);
        assert!(large.resize(HELD_MAX - LARGE));
        assert!(small.resize(LARGE));
        drop(large);
        assert_eq!(memory.0.load(Ordering::Relaxed), LARGE);
        drop(small);
        assert_eq!(memory.0.load(Ordering::Relaxed), 0);
    }
}
