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

/// A share of it, given back when it is dropped. That of a small message is nothing, and knows no memory.
#[derive(Default)]
pub(crate) struct Held {
    memory: Option<Memory>,
    bytes: usize,
}

impl Held {
    /// Becomes a share for a message of so many bytes; returns whether there is room.
    pub(crate) fn resize(&mut self, memory: &Memory, bytes: usize) -> bool {
        let wanted = if bytes < LARGE { 0 } else { bytes };
        if wanted == self.bytes {
            return true;
        }
        let memory = self.memory.get_or_insert_with(|| memory.clone());
        if let Some(more) = wanted.checked_sub(self.bytes) {
            let before = memory.0.fetch_add(more, Ordering::Relaxed);
            if before.saturating_add(more) > HELD_MAX {
                memory.0.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else {
            memory.0.fetch_sub(self.bytes - wanted, Ordering::Relaxed);
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
        if let Some(memory) = &self.memory {
            memory.0.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_end_at_the_limit_and_come_back() {
        let memory = Memory::default();
        let mut small = Held::default();
        assert!(small.resize(&memory, LARGE - 1));
        assert_eq!(small.bytes(), 0);
        let mut large = Held::default();
        assert!(large.resize(&memory, HELD_MAX));
        assert!(!small.resize(&memory, LARGE));
        assert_eq!(small.bytes(), 0);
        assert!(large.resize(&memory, HELD_MAX - LARGE));
        assert!(small.resize(&memory, LARGE));
        drop(large);
        assert_eq!(memory.0.load(Ordering::Relaxed), LARGE);
        drop(small);
        assert_eq!(memory.0.load(Ordering::Relaxed), 0);
    }
}
