//! HSMs that join a cluster, and leave it.

use prost::Message;

/// What a module says of itself when it asks to join: on the port between HSMs, and again when an admin lets it in.
#[derive(Clone, PartialEq, Message)]
pub struct JoinRequest {
    /// The HSM (10 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub hsm: Vec<u8>,
    /// Its identity key: SubjectPublicKeyInfo, DER.
    #[prost(bytes = "vec", tag = "2")]
    pub identity: Vec<u8>,
    /// What the cluster's secrets are sealed by for it (`casemate_crypto::hybrid`).
    #[prost(bytes = "vec", tag = "3")]
    pub receiving_key: Vec<u8>,
    /// Where it listens for applications.
    #[prost(string, tag = "4")]
    pub address: String,
    /// Where it listens for other HSMs.
    #[prost(string, tag = "5")]
    pub peer_address: String,
    /// The label of its zone.
    #[prost(string, tag = "6")]
    pub zone: String,
    /// The version of its software.
    #[prost(string, tag = "7")]
    pub version: String,
    /// By its identity key, over [`crate::statements::join`].
    #[prost(bytes = "vec", tag = "8")]
    pub signature: Vec<u8>,
    /// What the machine runs, by its TPM, where the cluster asks for it.
    #[prost(message, optional, tag = "10")]
    pub evidence: Option<Evidence>,
}

/// A TPM's word on what its machine runs: a quote (TPM 2.0 Library, Part 3, 18.4), bound to the module that shows it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Evidence {
    /// What the cluster drew ([`Challenge::nonce`]).
    #[prost(bytes = "vec", tag = "1")]
    pub nonce: Vec<u8>,
    /// What was signed: a `TPMS_ATTEST` whose `extraData` is SHA-256 of [`crate::statements::attestation`].
    #[prost(bytes = "vec", tag = "2")]
    pub quoted: Vec<u8>,
    /// By the attestation key, over `quoted`: ECDSA with SHA-256, DER.
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
    /// The certificate of the attestation key, PEM.
    #[prost(string, tag = "4")]
    pub certificate: String,
}

/// What a module is to show before it is let in.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Challenge {
    /// What its quote must hold, so that it is of now (32 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub nonce: Vec<u8>,
    /// The registers to quote, of the SHA-256 bank.
    #[prost(uint32, repeated, tag = "2")]
    pub registers: Vec<u32>,
}

/// What a member answers to [`JoinRequest`].
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct JoinAnswer {
    /// How it stands.
    #[prost(oneof = "Joining", tags = "1, 2, 3, 4")]
    pub joining: Option<Joining>,
}

/// How a module that asked to join stands.
#[derive(Clone, PartialEq, prost::Oneof)]
#[prost(skip_debug)]
pub enum Joining {
    /// An admin must let it in (`casemate cluster add-hsm`).
    #[prost(message, tag = "1")]
    Pending(super::Empty),
    /// It will not be let in.
    #[prost(message, tag = "2")]
    Refused(super::WireError),
    /// The cluster's secrets, sealed for it.
    #[prost(message, tag = "3")]
    Handover(Handover),
    /// It must show what its machine runs, and ask again.
    #[prost(message, tag = "4")]
    Challenge(Challenge),
}

/// The cluster's secrets for one module that was let in.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Handover {
    /// The cluster (10 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub cluster: Vec<u8>,
    /// The incarnation (16 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub incarnation: Vec<u8>,
    /// The giver (10 bytes).
    #[prost(bytes = "vec", tag = "3")]
    pub giver: Vec<u8>,
    /// The secrets, sealed by the receiving key in the context of [`crate::statements::handover`].
    #[prost(bytes = "vec", tag = "4")]
    pub sealed: Vec<u8>,
}

/// Modules that asked this HSM to join.
#[derive(Clone, PartialEq, Message)]
pub struct JoinRequests {
    /// What each says of itself.
    #[prost(message, repeated, tag = "1")]
    pub requests: Vec<JoinRequest>,
}

/// Lets a module in.
#[derive(Clone, PartialEq, Message)]
pub struct AddHsm {
    /// What it said of itself.
    #[prost(message, optional, tag = "1")]
    pub request: Option<JoinRequest>,
    /// When the consent ends, seconds since 1970.
    #[prost(uint64, tag = "2")]
    pub ends: u64,
    /// By a key under the trust anchor, over [`crate::statements::admission`].
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
    /// That key's certificate, PEM.
    #[prost(string, tag = "4")]
    pub certificate: String,
}

/// Takes an HSM out.
#[derive(Clone, PartialEq, Message)]
pub struct RemoveHsm {
    /// The HSM (10 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub hsm: Vec<u8>,
}

/// The first message of each side on the port between HSMs.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PeerHello {
    /// The version of what follows.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// The cluster (10 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub cluster: Vec<u8>,
    /// The incarnation (16 bytes).
    #[prost(bytes = "vec", tag = "3")]
    pub incarnation: Vec<u8>,
    /// Its number among the members.
    #[prost(uint64, tag = "4")]
    pub node: u64,
}
