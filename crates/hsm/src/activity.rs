//! What an HSM has to do, in numbers: the status shows them, and metrics are made of them. They decide nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that those who serve add to.
#[derive(Default)]
pub struct Activity {
    connections: AtomicU64,
    requests: AtomicU64,
    leaf_end: AtomicU64,
}

impl Activity {
    /// A connection was opened.
    pub fn opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed.
    pub fn closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many requests were taken. To be called for several at once: the number is shared by all workers.
    pub fn took(&self, requests: u64) {
        self.requests.fetch_add(requests, Ordering::Relaxed);
    }

    /// A leaf certificate was made that ends then, in seconds since 1970.
    pub(crate) fn made_leaf(&self, end: u64) {
        self.leaf_end.store(end, Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn leaf_end(&self) -> u64 {
        self.leaf_end.load(Ordering::Relaxed)
    }
}
