//! The life of a cluster: request and certificate, activation, status, settings.

use prost::Message;

/// The signed certificate of the cluster.
#[derive(Clone, PartialEq, Message)]
pub struct Initialize {
    /// The customer's signature on the CSR, PEM.
    #[prost(string, tag = "1")]
    pub certificate: String,
    /// The customer's CA, PEM, self-signed.
    #[prost(string, tag = "2")]
    pub trust_anchor: String,
}

/// The first admin's password, with the customer's word.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Activate {
    /// The password of the user `admin`.
    #[prost(string, tag = "1")]
    pub password: String,
    /// The signature on [`crate::statements::activation`]; empty where activation is open.
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
    /// The certificate (PEM) of the key that signed: the trust anchor itself, or one that it issued.
    #[prost(string, tag = "3")]
    pub certificate: String,
}

/// How an HSM and its cluster are.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// The cluster (10 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub cluster: Vec<u8>,
    /// A [`Lifecycle`](super::Lifecycle) number.
    #[prost(uint32, tag = "2")]
    pub lifecycle: u32,
    /// Whether the cluster is in FIPS mode.
    #[prost(bool, tag = "3")]
    pub fips_mode: bool,
    /// Whether this HSM's cryptographic library is the validated one.
    #[prost(bool, tag = "4")]
    pub fips_library: bool,
    /// How the module's secrets lie on disk: `file`, `passphrase`.
    #[prost(string, tag = "5")]
    pub protection: String,
    /// The HSMs of the cluster.
    #[prost(message, repeated, tag = "6")]
    pub hsms: Vec<HsmStatus>,
    /// The index applied here.
    #[prost(uint64, tag = "7")]
    pub index: u64,
    /// The state hash at `index`, under a key of the cluster.
    #[prost(bytes = "vec", tag = "8")]
    pub state_hash: Vec<u8>,
    /// Objects in the cluster.
    #[prost(uint64, tag = "9")]
    pub objects: u64,
    /// Users in the cluster.
    #[prost(uint64, tag = "10")]
    pub users: u64,
    /// Whether the cluster was made by `casemate dev`.
    #[prost(bool, tag = "11")]
    pub dev: bool,
    /// What is wrong, in words; empty if nothing is.
    #[prost(string, repeated, tag = "12")]
    pub warnings: Vec<String>,
    /// The incarnation (16 bytes).
    #[prost(bytes = "vec", tag = "13")]
    pub incarnation: Vec<u8>,
    /// SHA-256 of the cluster key's SubjectPublicKeyInfo.
    #[prost(bytes = "vec", tag = "14")]
    pub cluster_key_sha256: Vec<u8>,
    /// When the cluster's certificate ends, seconds since 1970; 0 if there is none.
    #[prost(uint64, tag = "15")]
    pub cluster_certificate_end: u64,
    /// When the certificate of the customer's CA ends, seconds since 1970; 0 if there is none.
    #[prost(uint64, tag = "16")]
    pub trust_anchor_end: u64,
}

/// How one HSM is.
#[derive(Clone, PartialEq, Message)]
pub struct HsmStatus {
    /// The HSM (10 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub hsm: Vec<u8>,
    /// Its address, as its configuration has it.
    #[prost(string, tag = "2")]
    pub address: String,
    /// Its zone's label.
    #[prost(string, tag = "3")]
    pub zone: String,
    /// The version of its software.
    #[prost(string, tag = "4")]
    pub version: String,
    /// Health in one word: `ok`, `read-only` (no room on its disk), `failed` (its disk failed), `isolated` (it knows no leader), `away`
    /// (it does not answer the one that says so).
    #[prost(string, tag = "5")]
    pub health: String,
    /// Whether it leads.
    #[prost(bool, tag = "6")]
    pub leader: bool,
    /// When its leaf certificate ends, seconds since 1970; 0 if another one answers.
    #[prost(uint64, tag = "7")]
    pub certificate_end: u64,
    /// Its number among the members.
    #[prost(uint64, tag = "8")]
    pub node: u64,
    /// Its address for other HSMs.
    #[prost(string, tag = "9")]
    pub peer_address: String,
    /// Whether it answers this status.
    #[prost(bool, tag = "10")]
    pub this: bool,
    /// The index applied; of others what the leader knows to be in their log, 0 if another one answers.
    #[prost(uint64, tag = "11")]
    pub index: u64,
    /// Raft's term, as it knows it; 0 if another one answers.
    #[prost(uint64, tag = "12")]
    pub term: u64,
    /// Why its health is not `ok`, in words.
    #[prost(string, tag = "13")]
    pub reason: String,
    /// Bytes that are free on its disk for the one who writes there; 0 if another one answers.
    #[prost(uint64, tag = "14")]
    pub disk_free: u64,
    /// Bytes of its disk; 0 if another one answers, or it cannot tell.
    #[prost(uint64, tag = "15")]
    pub disk_size: u64,
    /// Whether it votes on changes.
    #[prost(bool, tag = "16")]
    pub votes: bool,
    /// Connections of applications that are open; 0 if another one answers.
    #[prost(uint64, tag = "17")]
    pub connections: u64,
    /// Requests of applications that it took since its start; 0 if another one answers.
    #[prost(uint64, tag = "18")]
    pub requests: u64,
}

/// The cluster's certificate request.
#[derive(Clone, PartialEq, Message)]
pub struct Csr {
    /// PKCS#10, PEM.
    #[prost(string, tag = "1")]
    pub csr: String,
    /// The module's certificate (PEM), by the installation's CA; empty if the installation has none.
    #[prost(string, tag = "2")]
    pub module_certificate: String,
    /// The module key's ECDSA P-256/SHA-256 signature (DER) on [`crate::statements::csr_evidence`].
    #[prost(bytes = "vec", tag = "3")]
    pub evidence: Vec<u8>,
    /// The HSM that made it (10 bytes).
    #[prost(bytes = "vec", tag = "4")]
    pub hsm: Vec<u8>,
}

/// Settings of the cluster that a client needs.
#[derive(Clone, PartialEq, Message)]
pub struct Settings {
    /// Whether public objects are seen without a log-in.
    #[prost(bool, tag = "1")]
    pub public_objects: bool,
    /// Whether activation needs no signature.
    #[prost(bool, tag = "2")]
    pub activation_open: bool,
    /// A [`JoinPolicy`] number.
    #[prost(uint32, tag = "3")]
    pub join_policy: u32,
}

/// Changes settings: what is not named stays.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ChangeSettings {
    /// A [`JoinPolicy`] number.
    #[prost(uint32, optional, tag = "1")]
    pub join_policy: Option<u32>,
    /// What an HSM's machine must run, for [`JoinPolicy::Attested`].
    #[prost(message, optional, tag = "10")]
    pub measurements: Option<Measurements>,
}

/// What machines may run, as their TPMs measure it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Measurements {
    /// The certificate of the authority that certifies attestation keys: the customer's choice, DER.
    #[prost(bytes = "vec", tag = "1")]
    pub authority: Vec<u8>,
    /// Each a machine that is good, such as one with this version and one with the next.
    #[prost(message, repeated, tag = "2")]
    pub good: Vec<Registers>,
}

/// Registers of a TPM (PCRs of the SHA-256 bank) and what they hold.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Registers {
    /// In ascending order.
    #[prost(message, repeated, tag = "1")]
    pub registers: Vec<Register>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Register {
    /// Its number, 0 to 23.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    /// What it holds (32 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// What an HSM must bring to be let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum JoinPolicy {
    /// An admin's request, signed by a key under the trust anchor.
    #[default]
    Approved = 1,
    /// Nothing but that it reaches an HSM: for clusters that were made for development, on one machine.
    Installation = 2,
    /// A quote by the TPM of its machine that satisfies the measurements that the admins set.
    Attested = 3,
}

impl JoinPolicy {
    /// Reads the number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Approved, Self::Installation, Self::Attested]
            .into_iter()
            .find(|&policy| policy as u32 == number)
    }

    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Installation => "installation",
            Self::Attested => "attested",
        }
    }
}
