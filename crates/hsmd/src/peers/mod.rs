//! The port between HSMs (2224): TLS 1.3 with module identities, messages both ways, limits of its own.
//!
//! ```text
//! cluster ──call──▶ links (one connection per member, many requests in flight) ──▶ listener of the other HSM ──▶ its cluster
//! module that joins ──one request──▶ listener ──▶ module of a member: pending, refused, or the secrets
//! ```
//!
//! A peer is known by its key ([`tls`]). A member may ask what the cluster answers; somebody else may ask to join, one small
//! message at a time, and nothing more. Raft's messages travel here on threads of their own: load of applications holds up none.

use std::pin::Pin;

mod door;
mod joining;
mod link;
mod listener;
mod membership;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub(crate) use door::{Door, Messenger};
pub(crate) use joining::{JoinError, join};
pub(crate) use link::Links;
pub(crate) use listener::{Limits, listen};
pub(crate) use membership::follow;
pub(crate) use tls::{Identity, PeerTls, identity};

/// What is done later.
pub(crate) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a peer is turned away; it is told, and the log says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is none of the members.
    #[error("this key belongs to no HSM of the cluster")]
    Stranger,
    /// It is a member, and yet not as it should be: another cluster, an old disk, a copy.
    #[error("{0}")]
    Unfit(String),
}

/// What stands behind the port: this HSM.
pub(crate) trait House: Send + Sync + 'static {
    /// What this HSM says first on each connection.
    fn hello(&self) -> Vec<u8>;
    /// Decides whether a peer is a member and fit; returns its number.
    fn receive(&self, who: &Identity, hello: &[u8]) -> Result<u64, Refusal>;
    /// Whether a member still is one.
    fn is_member(&self, number: u64, who: &Identity) -> bool;
    /// Answers a member's request.
    fn serve(&self, from: u64, request: Vec<u8>) -> Later<Vec<u8>>;
    /// Answers a request to join.
    fn join(&self, who: Identity, request: Vec<u8>) -> Later<Vec<u8>>;
}
