//! Signed statements and proofs: what exactly is signed or proven, byte for byte.
//!
//! Each begins with `casemate/<purpose>/v1` and is built by the software of the one who signs, from
//! fields that he can see; nobody signs a hash that another party names. So a signature for one
//! purpose is never one for another.

use crate::canonical::Writer;
use crate::identity::{ClusterId, HsmId, Incarnation};
use crate::messages::JoinRequest;

/// The label of the TLS exporter that binds a proof to its connection (RFC 9266 §2); 32 bytes, no context.
pub const CHANNEL_BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What the holder of a ticket proves on each connection: HMAC-SHA-256 over this with the ticket's secret.
#[must_use]
pub fn ticket_proof(exporter: &[u8; 32], nonce: &[u8; 32]) -> Vec<u8> {
    Writer::new("casemate/ticket/v1").fixed(exporter).fixed(nonce).finish()
}

/// What a key under the trust anchor signs to activate a cluster: this cluster, on this connection.
#[must_use]
pub fn activation(cluster: ClusterId, exporter: &[u8; 32], nonce: &[u8; 32]) -> Vec<u8> {
    Writer::new("casemate/activation/v1")
        .fixed(cluster.as_bytes())
        .fixed(exporter)
        .fixed(nonce)
        .finish()
}

/// What a module's identity key signs beside the CSR: that this cluster key was made inside it.
#[must_use]
pub fn csr_evidence(cluster: ClusterId, hsm: HsmId, csr_der: &[u8]) -> Vec<u8> {
    Writer::new("casemate/csr/v1")
        .fixed(cluster.as_bytes())
        .fixed(hsm.as_bytes())
        .bytes(csr_der)
        .finish()
}

/// What a module's identity key signs to join: all that it says of itself.
#[must_use]
pub fn join(request: &JoinRequest) -> Vec<u8> {
    Writer::new("casemate/join/v1")
        .bytes(&request.hsm)
        .bytes(&request.identity)
        .bytes(&request.receiving_key)
        .bytes(request.address.as_bytes())
        .bytes(request.peer_address.as_bytes())
        .bytes(request.zone.as_bytes())
        .bytes(request.version.as_bytes())
        .finish()
}

/// What a TPM's quote is bound to, as its SHA-256: all that the module says of itself, and what the cluster drew.
#[must_use]
pub fn attestation(request: &JoinRequest, nonce: &[u8]) -> Vec<u8> {
    Writer::new("casemate/attestation/v1").bytes(&join(request)).bytes(nonce).finish()
}

/// What a key under the trust anchor signs to let a module in: this cluster in this incarnation, this module with these keys, until then
/// (seconds since 1970).
#[must_use]
pub fn admission(
    cluster: ClusterId,
    incarnation: Incarnation,
    request: &JoinRequest,
    ends: u64,
) -> Vec<u8> {
    Writer::new("casemate/admission/v1")
        .fixed(cluster.as_bytes())
        .fixed(incarnation.as_bytes())
        .bytes(&join(request))
        .u64(ends)
        .finish()
}

/// The context in which the cluster's secrets are sealed for a module that was let in: who gives, who takes, by which keys.
#[must_use]
pub fn handover(
    cluster: ClusterId,
    incarnation: Incarnation,
    giver: HsmId,
    request: &JoinRequest,
) -> Vec<u8> {
    Writer::new("casemate/handover/v1")
        .fixed(cluster.as_bytes())
        .fixed(incarnation.as_bytes())
        .fixed(giver.as_bytes())
        .bytes(&request.hsm)
        .bytes(&request.identity)
        .bytes(&request.receiving_key)
        .finish()
}
