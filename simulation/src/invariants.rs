//! What must hold after each step, whatever was done to whom.
//!
//! State machine safety (Ongaro, 2014, figure 3.2): no two HSMs apply another command at the same index; and no HSM skips or repeats one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use casemate_cluster::{Replica, ReplicaError, Snapshot};

#[derive(Default)]
struct State {
    /// What was applied at each index, by whoever was first.
    applied: BTreeMap<u64, u64>,
    violation: Option<String>,
}

/// The invariants of one seed. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Invariants(Arc<Mutex<State>>);

impl Invariants {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the first that does not hold; says it once.
    #[must_use]
    pub fn violation(&self) -> Option<String> {
        self.state().violation.take()
    }

    fn applied(&self, node: u64, index: u64, before: u64, entry: &[u8]) {
        let mut hasher = DefaultHasher::new();
        entry.hash(&mut hasher);
        let print = hasher.finish();
        let mut state = self.state();
        let first = *state.applied.entry(index).or_insert(print);
        let wrong = if first != print {
            format!("state machine safety: hsm {node} applies another command at {index}")
        } else if index != before + 1 {
            format!("order: hsm {node} applies {index} behind {before}")
        } else {
            return;
        };
        state.violation.get_or_insert(wrong);
    }
}

/// A replica whose steps are watched.
pub struct Watched<R> {
    replica: R,
    node: u64,
    invariants: Invariants,
}

impl<R> Watched<R> {
    /// Watches a replica.
    pub const fn new(replica: R, node: u64, invariants: Invariants) -> Self {
        Self { replica, node, invariants }
    }
}

impl<R: Replica> Replica for Watched<R> {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, ReplicaError> {
        self.invariants.applied(self.node, index, self.replica.index(), entry);
        self.replica.apply(index, entry)
    }

    fn index(&self) -> u64 {
        self.replica.index()
    }

    fn publish(&mut self) {
        self.replica.publish();
    }

    fn snapshot(&self) -> Snapshot {
        self.replica.snapshot()
    }

    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError> {
        self.replica.install(chunks)
    }
}
