//! What runs on the HSMs, and how clients speak to it: the module itself, or something simpler.

use std::sync::Arc;

use casemate_cluster::{Cluster, Later, Replica};

use crate::history::{Answer, Operation};

/// One life of an HSM above its cluster.
pub struct Life<R> {
    /// What Raft drives.
    pub replica: R,
    /// Answers applications.
    pub front: Arc<dyn Front>,
}

/// Answers what applications ask of one HSM.
pub trait Front: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, cluster: Arc<Cluster>, request: Vec<u8>) -> Later<Vec<u8>>;
    /// Returns the index of the last command that was applied, and a hash of the state behind it.
    fn state(&self) -> (u64, u64);
}

/// What runs.
pub trait Service: Send + Sync + 'static {
    /// What Raft drives.
    type Replica: Replica + Sync;
    /// A client.
    type Client: Client;

    /// Returns the first command of a new cluster.
    fn genesis(&self) -> Vec<u8>;
    /// Begins a life of an HSM, from nothing but what lies outside its log.
    fn begin(&self, node: u64) -> Life<Self::Replica>;
    /// Makes a client.
    fn client(&self, number: u64, wire: ClientWire) -> Self::Client;
}

/// A client: does one thing after the other.
pub trait Client: Send + 'static {
    /// Does something; none if it does not know whether it was done.
    fn perform(&mut self, operation: Operation) -> impl Future<Output = Option<Answer>> + Send;
}

/// How a client reaches HSMs: asks one, and gets its reply or none.
pub type ClientWire = Arc<dyn Fn(u64, Vec<u8>) -> Later<Option<Vec<u8>>> + Send + Sync>;
