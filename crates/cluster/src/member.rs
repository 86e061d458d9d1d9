//! Members: the HSMs among which the log is replicated, as Raft and its transport see them.

use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One member. It is part of Raft's own membership, so a transport knows whom it talks to without the replicated state, which a
/// new member does not have yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where it listens for other members, `ip:port`.
    pub address: String,
    /// SHA-256 of the SubjectPublicKeyInfo of its identity key.
    pub identity: [u8; 32],
}

/// What is done later.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a member did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// How a request reaches another member and its reply comes back. Requests may be lost, repeated and overtake each other.
pub trait Transport: Send + Sync + 'static {
    /// Asks a member; the reply comes from its [`crate::Cluster::serve`].
    fn call(
        &self,
        to: u64,
        member: &Member,
        request: Vec<u8>,
        within: Duration,
    ) -> Later<Result<Vec<u8>, TransportError>>;
}

/// The transport of a cluster of one: nobody is there.
pub struct Alone;

impl Transport for Alone {
    fn call(
        &self,
        to: u64,
        _member: &Member,
        _request: Vec<u8>,
        _within: Duration,
    ) -> Later<Result<Vec<u8>, TransportError>> {
        Box::pin(async move { Err(TransportError(format!("there is no member {to}"))) })
    }
}
