//! Threads that ask and wait.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;

/// Threads of this process that ask: they wait for their replies, or have them and do not run yet.
static ASKING: AtomicUsize = AtomicUsize::new(0);

/// One of them.
pub(crate) struct Asking;

impl Asking {
    /// Begins to ask, until it is dropped.
    pub(crate) fn begin() -> Self {
        ASKING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Somebody who waits for a reply.
pub(crate) struct Waiter {
    pub(crate) thread: Thread,
    pub(crate) done: AtomicBool,
    pub(crate) reply: Mutex<Option<Vec<u8>>>,
    /// Whether it was counted among those who were woken.
    pub(crate) counted: AtomicBool,
}

impl Waiter {
    /// This thread.
    pub(crate) fn new() -> Self {
        Self {
            thread: std::thread::current(),
            done: AtomicBool::new(false),
            reply: Mutex::new(None),
            counted: AtomicBool::new(false),
        }
    }
}

/// Returns how many threads of this process ask.
pub(crate) fn asking() -> usize {
    ASKING.load(Ordering::Relaxed)
}
