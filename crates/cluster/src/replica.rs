//! What Raft drives: the module's state, as far as the log is concerned.

use std::io;

/// A state that is changed by the entries of a log, in order. Entries and chunks are opaque to the cluster.
pub trait Replica: Send + 'static {
    /// Applies one entry, and returns the reply for the one who proposed it. The same entries give the same state.
    fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<u8>;
    /// Returns the index of the last entry that was applied; 0 for none. Entries are counted without gaps.
    fn index(&self) -> u64;
    /// Shows the state to readers; called after each batch.
    fn publish(&mut self);
    /// Takes a snapshot: cheap to take, written chunk by chunk while entries are applied.
    fn snapshot(&self) -> Box<dyn Iterator<Item = Vec<u8>> + Send>;
    /// Puts a snapshot in place of the state.
    ///
    /// # Errors
    /// [`ReplicaError`]; the state is then as before.
    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError>;
}

/// Why a snapshot cannot be installed.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot cannot be installed: {0}")]
pub struct ReplicaError(pub String);

impl Replica for casemate_hsm::Applier {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<u8> {
        Self::apply(self, index, entry)
    }

    fn index(&self) -> u64 {
        Self::index(self)
    }

    fn publish(&mut self) {
        Self::publish(self);
    }

    fn snapshot(&self) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        Self::snapshot(self)
    }

    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError> {
        Self::install(self, chunks).map_err(|error| ReplicaError(error.to_string()))
    }
}
