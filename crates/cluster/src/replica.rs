//! What Raft drives: the module's state, as far as the log is concerned.

use std::io;

/// The chunks of a snapshot.
pub type Chunks = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// A snapshot: begins its chunks anew each time that it is called.
pub type Snapshot = Box<dyn Fn() -> Chunks + Send + Sync>;

/// A state that is changed by the entries of a log, in order. Entries and chunks are opaque to the cluster.
pub trait Replica: Send + 'static {
    /// Applies one entry, and returns the reply for the one who proposed it. The same entries give the same state.
    ///
    /// # Errors
    /// [`ReplicaError`] if the entry cannot be read: to go on without it would be to lose it.
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, ReplicaError>;
    /// Returns the index of the last entry that was applied; 0 for none. Entries are counted without gaps.
    fn index(&self) -> u64;
    /// Shows the state to readers; called after each batch.
    fn publish(&mut self);
    /// Takes a snapshot: cheap to take, written chunk by chunk while entries are applied, and again if a disk is full.
    fn snapshot(&self) -> Snapshot;
    /// Puts a snapshot in place of the state.
    ///
    /// # Errors
    /// [`ReplicaError`]; the state is then as before.
    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError>;
}

/// Why a snapshot cannot be installed, or an entry not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReplicaError(pub String);

impl Replica for casemate_hsm::Applier {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, ReplicaError> {
        let before = self.unreadable();
        let reply = Self::apply(self, index, entry);
        if self.unreadable() == before {
            Ok(reply)
        } else {
            Err(ReplicaError(format!("command {index} does not open with this module's secrets")))
        }
    }

    fn index(&self) -> u64 {
        Self::index(self)
    }

    fn publish(&mut self) {
        Self::publish(self);
    }

    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }

    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError> {
        Self::install(self, chunks).map_err(|error| ReplicaError(error.to_string()))
    }
}
