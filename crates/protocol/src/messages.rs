//! Requests and replies: the schema of the application port, in protobuf.
//!
//! Field numbers are for ever. A request with a field that the HSM does not know is refused
//! ([`decode_request`]), for it would be half understood; unknown fields of a reply are ignored. The
//! one who asks is the connection's log-in, never a field of the request.
//!
//! Messages that carry passwords, tickets or key material have no `Debug`.

use bytes::Bytes;
use prost::{Message, Oneof};

use crate::error::Error;
use crate::template::Template;

/// The oldest version of the protocol that this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// The newest version of the protocol that this build speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// First frame of the client (sequence 0).
#[derive(Clone, PartialEq, Message)]
pub struct ClientHello {
    /// Oldest protocol version it speaks.
    #[prost(uint32, tag = "1")]
    pub protocol_min: u32,
    /// Newest protocol version it speaks.
    #[prost(uint32, tag = "2")]
    pub protocol_max: u32,
    /// The cluster it means (10 bytes), empty if it does not know one yet.
    #[prost(bytes = "vec", tag = "3")]
    pub cluster: Vec<u8>,
    /// Its name and version, for the log.
    #[prost(string, tag = "4")]
    pub software: String,
}

/// First frame of the HSM (sequence 0).
#[derive(Clone, PartialEq, Message)]
pub struct ServerHello {
    /// The protocol version to speak; 0 with `error`.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// The cluster (10 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub cluster: Vec<u8>,
    /// The incarnation (16 bytes), empty before initialisation.
    #[prost(bytes = "vec", tag = "3")]
    pub incarnation: Vec<u8>,
    /// The HSM (10 bytes).
    #[prost(bytes = "vec", tag = "4")]
    pub hsm: Vec<u8>,
    /// A [`Lifecycle`] number.
    #[prost(uint32, tag = "5")]
    pub lifecycle: u32,
    /// The index applied.
    #[prost(uint64, tag = "6")]
    pub index: u64,
    /// The head of the log's hash chain at `index` (32 bytes).
    #[prost(bytes = "vec", tag = "7")]
    pub head: Vec<u8>,
    /// How many connections let a busy client use all of this HSM's workers.
    #[prost(uint32, tag = "8")]
    pub connections: u32,
    /// Random bytes (32) for the activation statement and the like.
    #[prost(bytes = "vec", tag = "9")]
    pub nonce: Vec<u8>,
    /// Why the connection will be closed, if it will.
    #[prost(message, optional, tag = "10")]
    pub error: Option<WireError>,
}

/// Where a cluster stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifecycle {
    /// It has a key and a CSR, and waits for the customer's signature.
    Uninitialized = 1,
    /// It has its certificate, and waits for activation.
    Initialized = 2,
    /// It serves.
    Active = 3,
    /// Its secrets were wiped.
    Zeroized = 4,
}

impl Lifecycle {
    /// Reads the number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Uninitialized, Self::Initialized, Self::Active, Self::Zeroized]
            .into_iter()
            .find(|&state| state as u32 == number)
    }

    /// Returns the name, as the AWS API has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uninitialized => "UNINITIALIZED",
            Self::Initialized => "INITIALIZED",
            Self::Active => "ACTIVE",
            Self::Zeroized => "ZEROIZED",
        }
    }
}

/// One request.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Request {
    /// The index token of the newest state that the client has seen, when the HSM may not know that
    /// it has been seen ([`Reply::index`]).
    #[prost(bytes = "vec", tag = "1")]
    pub seen: Vec<u8>,
    /// Milliseconds that the client will still wait; 0 if it does not say.
    #[prost(uint64, tag = "2")]
    pub wait_ms: u64,
    /// Whether this may be a repetition of a request that was sent before.
    #[prost(bool, tag = "3")]
    pub repeated: bool,
    /// What is asked.
    #[prost(
        oneof = "Ask",
        tags = "10, 11, 12, 13, 14, 15, 20, 21, 22, 30, 31, 32, 33, 40, 41, 42, 43, 44, 45, 46, 47, 48, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60"
    )]
    pub ask: Option<Ask>,
}

/// What a request asks.
#[derive(Clone, PartialEq, Oneof)]
#[prost(skip_debug)]
pub enum Ask {
    /// Does nothing: measures the way. Answered by [`Answer::Done`].
    #[prost(message, tag = "10")]
    Ping(Empty),
    /// Answered by [`Answer::Status`]; needs no log-in.
    #[prost(message, tag = "11")]
    Status(Empty),
    /// Answered by [`Answer::Csr`]; needs no log-in.
    #[prost(message, tag = "12")]
    Csr(Empty),
    /// Hands in the signed cluster certificate. Answered by [`Answer::Done`].
    #[prost(message, tag = "13")]
    Initialize(Initialize),
    /// Sets the first admin's password. Answered by [`Answer::Done`].
    #[prost(message, tag = "14")]
    Activate(Activate),
    /// Answered by [`Answer::Settings`]; needs no log-in.
    #[prost(message, tag = "15")]
    Settings(Empty),
    /// Answered by [`Answer::LoggedIn`].
    #[prost(message, tag = "20")]
    LogIn(LogIn),
    /// Logs in by ticket, or renews it. Answered by [`Answer::LoggedIn`].
    #[prost(message, tag = "21")]
    UseTicket(UseTicket),
    /// Ends the log-in for good, with all its tickets and session keys. Answered by [`Answer::Done`].
    #[prost(message, tag = "22")]
    LogOut(Empty),
    /// Answered by [`Answer::User`].
    #[prost(message, tag = "30")]
    CreateUser(CreateUser),
    /// Answered by [`Answer::Users`].
    #[prost(message, tag = "31")]
    ListUsers(Empty),
    /// Changes one's own password or, by an admin, another's. Answered by [`Answer::User`].
    #[prost(message, tag = "32")]
    ChangePassword(CreateUser),
    /// Answered by [`Answer::User`].
    #[prost(message, tag = "33")]
    DeleteUser(NamedUser),
    /// Makes a secret key. Answered by [`Answer::Made`].
    #[prost(message, tag = "40")]
    GenerateKey(GenerateKey),
    /// Makes a key pair. Answered by [`Answer::PairMade`].
    #[prost(message, tag = "41")]
    GenerateKeyPair(GenerateKeyPair),
    /// Makes an object from given values. Answered by [`Answer::Made`].
    #[prost(message, tag = "42")]
    CreateObject(Template),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "43")]
    CopyObject(ObjectAndTemplate),
    /// Answered by [`Answer::Done`].
    #[prost(message, tag = "44")]
    DestroyObject(ObjectReference),
    /// Answered by [`Answer::Done`] for token objects, by [`Answer::Made`] for session objects.
    #[prost(message, tag = "45")]
    SetAttributes(ObjectAndTemplate),
    /// Answered by [`Answer::Attributes`].
    #[prost(message, tag = "46")]
    GetAttributes(GetAttributes),
    /// Searches token objects. Answered by [`Answer::Found`].
    #[prost(message, tag = "47")]
    FindObjects(FindObjects),
    /// Answered by [`Answer::Number`]: about how many bytes an object fills.
    #[prost(message, tag = "48")]
    ObjectSize(ObjectReference),
    /// Answered by [`Answer::Data`] (a signature or a state), [`Data::state`] between parts.
    #[prost(message, tag = "50")]
    Sign(Operation),
    /// Answered by [`Answer::Done`], or by [`Answer::Data`] between parts.
    #[prost(message, tag = "51")]
    Verify(Verify),
    /// Answered by [`Answer::Data`].
    #[prost(message, tag = "52")]
    Encrypt(Operation),
    /// Answered by [`Answer::Data`].
    #[prost(message, tag = "53")]
    Decrypt(Operation),
    /// Answered by [`Answer::Data`].
    #[prost(message, tag = "54")]
    WrapKey(WrapKey),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "55")]
    UnwrapKey(UnwrapKey),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "56")]
    DeriveKey(DeriveKey),
    /// Answered by [`Answer::Encapsulated`].
    #[prost(message, tag = "57")]
    Encapsulate(DeriveKey),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "58")]
    Decapsulate(UnwrapKey),
    /// So many random bytes, at most [`crate::limits::RANDOM_BYTES_MAX`]. Answered by [`Answer::Data`].
    #[prost(uint64, tag = "59")]
    Random(u64),
    /// The digest of a secret key's value (`C_DigestKey`) that follows what was hashed before.
    /// Answered by [`Answer::Data`].
    #[prost(message, tag = "60")]
    DigestKey(Operation),
}

/// Nothing.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}

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

/// A log-in by password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct LogIn {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// Password.
    #[prost(string, tag = "2")]
    pub password: String,
    /// A [`crate::Role`] number, or 0 for whichever the user has.
    #[prost(uint32, tag = "3")]
    pub role: u32,
    /// The client instance (16 bytes).
    #[prost(bytes = "vec", tag = "4")]
    pub client: Vec<u8>,
}

/// A log-in by ticket.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct UseTicket {
    /// The ticket.
    #[prost(bytes = "vec", tag = "1")]
    pub ticket: Vec<u8>,
    /// 32 random bytes of the client.
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
    /// HMAC-SHA-256 with the ticket's secret over [`crate::statements::ticket_proof`].
    #[prost(bytes = "vec", tag = "3")]
    pub proof: Vec<u8>,
}

/// A user with a password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct CreateUser {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// A [`crate::Role`] number.
    #[prost(uint32, tag = "2")]
    pub role: u32,
    /// The (new) password.
    #[prost(string, tag = "3")]
    pub password: String,
}

/// A user.
#[derive(Clone, PartialEq, Message)]
pub struct NamedUser {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// A [`crate::Role`] number.
    #[prost(uint32, tag = "2")]
    pub role: u32,
}

/// Which object.
#[derive(Clone, PartialEq, Message)]
pub struct ObjectReference {
    /// The number of a token object; 0 for a session object.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The sealed form of a session object; empty for a token object.
    #[prost(bytes = "bytes", tag = "2")]
    pub session: Bytes,
}

/// A mechanism with its parameter.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct MechanismUse {
    /// The `CKM_*` number.
    #[prost(uint64, tag = "1")]
    pub mechanism: u64,
    /// The parameter; none where the mechanism has none, or where its default is meant.
    #[prost(oneof = "Parameter", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16")]
    pub parameter: Option<Parameter>,
}

/// The parameter of a mechanism.
#[derive(Clone, PartialEq, Oneof)]
#[prost(skip_debug)]
pub enum Parameter {
    /// CBC: 16 bytes. AES key wrap: 8 or 4 bytes.
    #[prost(bytes = "vec", tag = "2")]
    Iv(Vec<u8>),
    /// `CK_AES_CTR_PARAMS`
    #[prost(message, tag = "3")]
    Counter(Counter),
    /// `CK_GCM_PARAMS`
    #[prost(message, tag = "4")]
    Gcm(Gcm),
    /// `CK_RSA_PKCS_OAEP_PARAMS`
    #[prost(message, tag = "5")]
    Oaep(Oaep),
    /// `CK_RSA_PKCS_PSS_PARAMS`
    #[prost(message, tag = "6")]
    Pss(Pss),
    /// `CK_RSA_AES_KEY_WRAP_PARAMS`
    #[prost(message, tag = "7")]
    RsaAes(RsaAes),
    /// `CK_ECDH1_DERIVE_PARAMS`
    #[prost(message, tag = "8")]
    Ecdh(Ecdh),
    /// `CK_EDDSA_PARAMS`
    #[prost(message, tag = "9")]
    Eddsa(Eddsa),
    /// `CK_SIGN_ADDITIONAL_CONTEXT`
    #[prost(message, tag = "10")]
    MlDsa(MlDsa),
    /// `CK_MAC_GENERAL_PARAMS`: bytes of the MAC.
    #[prost(uint64, tag = "11")]
    MacLength(u64),
    /// `CK_HKDF_PARAMS`
    #[prost(message, tag = "12")]
    Hkdf(Hkdf),
    /// `CK_PKCS5_PBKD2_PARAMS2`
    #[prost(message, tag = "13")]
    Pbkdf2(Pbkdf2),
    /// `CK_SP800_108_KDF_PARAMS`
    #[prost(message, tag = "14")]
    CounterKdf(CounterKdf),
    /// `CK_KEY_DERIVATION_STRING_DATA`
    #[prost(bytes = "vec", tag = "15")]
    Data(Vec<u8>),
    /// Another key (`CKM_CONCATENATE_BASE_AND_KEY`).
    #[prost(message, tag = "16")]
    Key(ObjectReference),
}

/// AES-CTR.
#[derive(Clone, PartialEq, Message)]
pub struct Counter {
    /// Bits of the block that count, 1 to 128.
    #[prost(uint64, tag = "1")]
    pub bits: u64,
    /// The first counter block, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub block: Vec<u8>,
}

/// AES-GCM.
#[derive(Clone, PartialEq, Message)]
pub struct Gcm {
    /// The IV. Empty on encryption: the module makes 12 bytes and returns them ([`Data::iv`]).
    #[prost(bytes = "vec", tag = "1")]
    pub iv: Vec<u8>,
    /// Additional authenticated data.
    #[prost(bytes = "vec", tag = "2")]
    pub aad: Vec<u8>,
    /// Bits of the tag.
    #[prost(uint64, tag = "3")]
    pub tag_bits: u64,
}

/// RSA-OAEP.
#[derive(Clone, PartialEq, Message)]
pub struct Oaep {
    /// A [`crate::Hash`] number.
    #[prost(uint32, tag = "1")]
    pub hash: u32,
    /// The [`crate::Hash`] number of MGF1.
    #[prost(uint32, tag = "2")]
    pub mgf: u32,
    /// The label, `pSourceData`.
    #[prost(bytes = "vec", tag = "3")]
    pub label: Vec<u8>,
}

/// RSA-PSS.
#[derive(Clone, PartialEq, Message)]
pub struct Pss {
    /// A [`crate::Hash`] number.
    #[prost(uint32, tag = "1")]
    pub hash: u32,
    /// The [`crate::Hash`] number of MGF1.
    #[prost(uint32, tag = "2")]
    pub mgf: u32,
    /// Bytes of the salt.
    #[prost(uint64, tag = "3")]
    pub salt_bytes: u64,
}

/// RSA and AES key wrap together.
#[derive(Clone, PartialEq, Message)]
pub struct RsaAes {
    /// Bits of the AES key that is made for it.
    #[prost(uint64, tag = "1")]
    pub aes_bits: u64,
    /// How the AES key is wrapped.
    #[prost(message, optional, tag = "2")]
    pub oaep: Option<Oaep>,
}

/// ECDH.
#[derive(Clone, PartialEq, Message)]
pub struct Ecdh {
    /// A `CKD_*` number.
    #[prost(uint64, tag = "1")]
    pub kdf: u64,
    /// The shared data of the KDF.
    #[prost(bytes = "vec", tag = "2")]
    pub shared: Vec<u8>,
    /// The other side's public key: a point, raw or as a DER OCTET STRING.
    #[prost(bytes = "vec", tag = "3")]
    pub public: Vec<u8>,
}

/// EdDSA.
#[derive(Clone, PartialEq, Message)]
pub struct Eddsa {
    /// Whether the data is a digest by SHA-512 (Ed25519ph).
    #[prost(bool, tag = "1")]
    pub prehashed: bool,
    /// The context, at most 255 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub context: Vec<u8>,
}

/// ML-DSA.
#[derive(Clone, PartialEq, Message)]
pub struct MlDsa {
    /// A `CKH_*` number: hedge preferred (0), hedge required (1), deterministic required (2).
    #[prost(uint64, tag = "1")]
    pub hedge: u64,
    /// The context, at most 255 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub context: Vec<u8>,
}

/// HKDF.
#[derive(Clone, PartialEq, Message)]
pub struct Hkdf {
    /// Whether to extract.
    #[prost(bool, tag = "1")]
    pub extract: bool,
    /// Whether to expand.
    #[prost(bool, tag = "2")]
    pub expand: bool,
    /// A [`crate::Hash`] number.
    #[prost(uint32, tag = "3")]
    pub hash: u32,
    /// The salt as bytes; empty for none.
    #[prost(bytes = "vec", tag = "4")]
    pub salt: Vec<u8>,
    /// The salt as a key, instead.
    #[prost(message, optional, tag = "5")]
    pub salt_key: Option<ObjectReference>,
    /// The info.
    #[prost(bytes = "vec", tag = "6")]
    pub info: Vec<u8>,
}

/// PBKDF2.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Pbkdf2 {
    /// The [`crate::Hash`] number of the HMAC.
    #[prost(uint32, tag = "1")]
    pub hash: u32,
    /// The salt.
    #[prost(bytes = "vec", tag = "2")]
    pub salt: Vec<u8>,
    /// Iterations.
    #[prost(uint64, tag = "3")]
    pub iterations: u64,
    /// The password.
    #[prost(bytes = "vec", tag = "4")]
    pub password: Vec<u8>,
}

/// SP 800-108 in counter mode: the PRF and the fields of its input, in order.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct CounterKdf {
    /// The `CKM_*` number of the PRF: an HMAC, or `CKM_AES_CMAC`.
    #[prost(uint64, tag = "1")]
    pub prf: u64,
    /// The fields.
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<CounterKdfField>,
}

/// One `CK_PRF_DATA_PARAM`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct CounterKdfField {
    /// 1: iteration variable; 2: counter (not in counter mode); 3: length of the key material; 4: bytes.
    #[prost(uint64, tag = "1")]
    pub kind: u64,
    /// Kinds 1 and 3: little-endian instead of big-endian.
    #[prost(bool, tag = "2")]
    pub little_endian: bool,
    /// Kinds 1 and 3: bits of the number.
    #[prost(uint64, tag = "3")]
    pub width_bits: u64,
    /// Kind 3: 1 for the sum of the keys' lengths, 2 for the sum of the segments'.
    #[prost(uint64, tag = "4")]
    pub length_method: u64,
    /// Kind 4.
    #[prost(bytes = "vec", tag = "5")]
    pub bytes: Vec<u8>,
}

/// Which part of a multi-part operation a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole = 0,
    /// The first part: no state before it.
    First = 1,
    /// A part with a state before it and one after it.
    Middle = 2,
    /// The last part, with a state before it.
    Last = 3,
}

impl Part {
    /// Reads the number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Whole, Self::First, Self::Middle, Self::Last]
            .into_iter()
            .find(|&part| part as u32 == number)
    }
}

/// A key, a mechanism and data: sign, encrypt, decrypt.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Operation {
    /// The key.
    #[prost(message, optional, tag = "1")]
    pub key: Option<ObjectReference>,
    /// The mechanism. For a middle part of CBC or CTR its parameter carries the chaining value.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The data, or its digest ([`crate::mechanisms`]).
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
    /// A [`Part`] number.
    #[prost(uint32, tag = "4")]
    pub part: u32,
    /// The sealed state that the last part returned ([`Data::state`]).
    #[prost(bytes = "bytes", tag = "5")]
    pub state: Bytes,
}

/// A signature to verify.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Verify {
    /// Key, mechanism and data.
    #[prost(message, optional, tag = "1")]
    pub operation: Option<Operation>,
    /// The signature.
    #[prost(bytes = "bytes", tag = "2")]
    pub signature: Bytes,
}

/// A key to make.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct GenerateKey {
    /// The mechanism.
    #[prost(message, optional, tag = "1")]
    pub mechanism: Option<MechanismUse>,
    /// The attributes of the key.
    #[prost(message, optional, tag = "2")]
    pub template: Option<Template>,
}

/// A key pair to make.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct GenerateKeyPair {
    /// The mechanism.
    #[prost(message, optional, tag = "1")]
    pub mechanism: Option<MechanismUse>,
    /// The attributes of the public key.
    #[prost(message, optional, tag = "2")]
    pub public: Option<Template>,
    /// The attributes of the private key.
    #[prost(message, optional, tag = "3")]
    pub private: Option<Template>,
}

/// An object and attributes for it.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct ObjectAndTemplate {
    /// The object.
    #[prost(message, optional, tag = "1")]
    pub object: Option<ObjectReference>,
    /// The attributes.
    #[prost(message, optional, tag = "2")]
    pub template: Option<Template>,
}

/// Attributes to read.
#[derive(Clone, PartialEq, Message)]
pub struct GetAttributes {
    /// The object.
    #[prost(message, optional, tag = "1")]
    pub object: Option<ObjectReference>,
    /// The `CKA_*` numbers; empty for all that may be seen.
    #[prost(uint64, repeated, tag = "2")]
    pub attributes: Vec<u64>,
}

/// A search among token objects, in order of their numbers.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct FindObjects {
    /// What they must have; empty for all.
    #[prost(message, optional, tag = "1")]
    pub template: Option<Template>,
    /// Only those with a larger number than this: the last of the page before.
    #[prost(uint64, tag = "2")]
    pub after: u64,
    /// How many at most; 0 for as many as a page holds.
    #[prost(uint64, tag = "3")]
    pub limit: u64,
    /// The `CKA_*` numbers to return with each; empty for none.
    #[prost(uint64, repeated, tag = "4")]
    pub attributes: Vec<u64>,
}

/// A key to wrap.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct WrapKey {
    /// The key that wraps.
    #[prost(message, optional, tag = "1")]
    pub wrapping_key: Option<ObjectReference>,
    /// The mechanism.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The key that is wrapped.
    #[prost(message, optional, tag = "3")]
    pub key: Option<ObjectReference>,
}

/// A key to unwrap or decapsulate.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct UnwrapKey {
    /// The key that unwraps, or the private key of the KEM.
    #[prost(message, optional, tag = "1")]
    pub unwrapping_key: Option<ObjectReference>,
    /// The mechanism.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The wrapped key, or the ciphertext of the KEM.
    #[prost(bytes = "bytes", tag = "3")]
    pub wrapped: Bytes,
    /// The attributes of the new key.
    #[prost(message, optional, tag = "4")]
    pub template: Option<Template>,
}

/// A key to derive or encapsulate.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct DeriveKey {
    /// The base key, or the public key of the KEM.
    #[prost(message, optional, tag = "1")]
    pub base_key: Option<ObjectReference>,
    /// The mechanism.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The attributes of the new key.
    #[prost(message, optional, tag = "3")]
    pub template: Option<Template>,
}

/// One reply.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Reply {
    /// The index token of the state that it saw, if it is newer than the last one on this connection.
    #[prost(bytes = "vec", tag = "1")]
    pub index: Vec<u8>,
    /// The answer, or why there is none.
    #[prost(oneof = "Answer", tags = "2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22")]
    pub answer: Option<Answer>,
}

/// What a reply answers.
#[derive(Clone, PartialEq, Oneof)]
#[prost(skip_debug)]
pub enum Answer {
    /// It failed.
    #[prost(message, tag = "2")]
    Error(WireError),
    /// It is done.
    #[prost(message, tag = "3")]
    Done(Empty),
    /// See [`Ask::Status`].
    #[prost(message, tag = "10")]
    Status(Status),
    /// See [`Ask::Csr`].
    #[prost(message, tag = "11")]
    Csr(Csr),
    /// See [`Ask::LogIn`].
    #[prost(message, tag = "12")]
    LoggedIn(LoggedIn),
    /// A user.
    #[prost(message, tag = "13")]
    User(User),
    /// All users.
    #[prost(message, tag = "14")]
    Users(Users),
    /// A new object, or a session object's new form.
    #[prost(message, tag = "15")]
    Made(MadeObject),
    /// A new key pair.
    #[prost(message, tag = "16")]
    PairMade(MadePair),
    /// Attributes of an object.
    #[prost(message, tag = "17")]
    Attributes(Attributes),
    /// A page of a search.
    #[prost(message, tag = "18")]
    Found(Found),
    /// A number.
    #[prost(uint64, tag = "19")]
    Number(u64),
    /// Bytes that an operation gave.
    #[prost(message, tag = "20")]
    Data(Data),
    /// See [`Ask::Encapsulate`].
    #[prost(message, tag = "21")]
    Encapsulated(Encapsulated),
    /// See [`Ask::Settings`].
    #[prost(message, tag = "22")]
    Settings(Settings),
}

/// An error in three numbers ([`crate::Error::to_wire`]).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct WireError {
    /// The number of the error.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Its argument.
    #[prost(uint64, tag = "2")]
    pub argument: u64,
    /// Its retry class.
    #[prost(uint32, tag = "3")]
    pub retry: u32,
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        let (code, argument, retry) = error.to_wire();
        Self { code, argument, retry }
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::from_wire(error.code, error.argument, error.retry)
    }
}

/// How an HSM and its cluster are.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// The cluster (10 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub cluster: Vec<u8>,
    /// A [`Lifecycle`] number.
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
    /// Health in one word: `ok`, `read-only`, `starting`, `failed`.
    #[prost(string, tag = "5")]
    pub health: String,
    /// Whether it leads.
    #[prost(bool, tag = "6")]
    pub leader: bool,
    /// When its leaf certificate ends, seconds since 1970.
    #[prost(uint64, tag = "7")]
    pub certificate_end: u64,
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

/// A log-in that holds.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct LoggedIn {
    /// The ticket: opaque to the client.
    #[prost(bytes = "vec", tag = "1")]
    pub ticket: Vec<u8>,
    /// The ticket's secret (32 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub secret: Vec<u8>,
    /// The log-in (16 bytes).
    #[prost(bytes = "vec", tag = "3")]
    pub log_in: Vec<u8>,
    /// The user's name, folded.
    #[prost(string, tag = "4")]
    pub user: String,
    /// The user's [`crate::Role`] number.
    #[prost(uint32, tag = "5")]
    pub role: u32,
    /// Seconds until the ticket ends: renew it before.
    #[prost(uint64, tag = "6")]
    pub seconds: u64,
}

/// A user, as others may see it.
#[derive(Clone, PartialEq, Message)]
pub struct User {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// A [`crate::Role`] number.
    #[prost(uint32, tag = "2")]
    pub role: u32,
    /// Whether it is locked.
    #[prost(bool, tag = "3")]
    pub locked: bool,
}

/// All users, by name.
#[derive(Clone, PartialEq, Message)]
pub struct Users {
    /// The users.
    #[prost(message, repeated, tag = "1")]
    pub users: Vec<User>,
}

/// A new object.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct MadeObject {
    /// The token object's number, or the session object's sealed form.
    #[prost(message, optional, tag = "1")]
    pub object: Option<ObjectReference>,
    /// For a session object: all its attributes that may be seen, for searches in the client.
    #[prost(message, optional, tag = "2")]
    pub attributes: Option<Template>,
}

/// A new key pair.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct MadePair {
    /// The public key.
    #[prost(message, optional, tag = "1")]
    pub public: Option<MadeObject>,
    /// The private key.
    #[prost(message, optional, tag = "2")]
    pub private: Option<MadeObject>,
}

/// One attribute that was asked for.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct AttributeAnswer {
    /// The `CKA_*` number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The value in wire form.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// Why there is no value: [`Error::AttributeSensitive`] or [`Error::AttributeTypeInvalid`].
    #[prost(message, optional, tag = "3")]
    pub error: Option<WireError>,
}

/// Attributes that were asked for, in the order of the question.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Attributes {
    /// The attributes.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<AttributeAnswer>,
}

/// One object that was found.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct FoundObject {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The attributes asked for that it has and that may be seen.
    #[prost(message, optional, tag = "2")]
    pub attributes: Option<Template>,
    /// The owner's name; only if attributes were asked for.
    #[prost(string, tag = "3")]
    pub owner: String,
}

/// A page of a search.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Found {
    /// Numbers, when no attributes were asked for.
    #[prost(uint64, repeated, tag = "1")]
    pub numbers: Vec<u64>,
    /// Objects, when attributes were asked for.
    #[prost(message, repeated, tag = "2")]
    pub objects: Vec<FoundObject>,
    /// Whether more follow.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// Bytes that an operation gave.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Data {
    /// Signature, ciphertext (GCM: with its tag behind it), plaintext, wrapped key, digest or random bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
    /// The IV, when the module made it.
    #[prost(bytes = "bytes", tag = "2")]
    pub iv: Bytes,
    /// The sealed state to send with the next part.
    #[prost(bytes = "bytes", tag = "3")]
    pub state: Bytes,
}

/// A shared key and its ciphertext.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Encapsulated {
    /// The ciphertext for the holder of the private key.
    #[prost(bytes = "bytes", tag = "1")]
    pub ciphertext: Bytes,
    /// The key.
    #[prost(message, optional, tag = "2")]
    pub made: Option<MadeObject>,
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
}

/// Reads a request, and refuses one with unknown, repeated or wastefully written fields.
///
/// The canonical form of a message is its shortest: whatever was not understood, or was written twice or in more
/// bytes than needed, makes the input longer than what was understood.
///
/// # Errors
/// [`Error::Malformed`], or [`Error::UnknownRequest`] if nothing known is asked.
pub fn decode_request(bytes: Bytes) -> Result<Request, Error> {
    let length = bytes.len();
    let request = Request::decode(bytes).map_err(|_error: prost::DecodeError| Error::Malformed)?;
    match request.ask {
        None => Err(Error::UnknownRequest),
        Some(_) if request.encoded_len() != length => Err(Error::Malformed),
        Some(_) => Ok(request),
    }
}

impl Reply {
    /// Makes a reply.
    #[must_use]
    pub const fn new(answer: Answer) -> Self {
        Self { index: Vec::new(), answer: Some(answer) }
    }

    /// Makes the reply that says that it is done.
    #[must_use]
    pub const fn done() -> Self {
        Self::new(Answer::Done(Empty {}))
    }

    /// Makes the reply that says why not.
    #[must_use]
    pub fn error(error: Error) -> Self {
        Self::new(Answer::Error(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign() -> Request {
        let operation = Operation {
            key: Some(ObjectReference { number: 7, session: Bytes::new() }),
            mechanism: Some(MechanismUse { mechanism: 0x1041, parameter: None }),
            data: Bytes::from_static(&[1; 32]),
            part: 0,
            state: Bytes::new(),
        };
        Request { ask: Some(Ask::Sign(operation)), ..Request::default() }
    }

    #[test]
    fn a_request_reads_back() {
        let bytes = sign().encode_to_vec();
        assert!(decode_request(bytes.into()).is_ok_and(|request| request == sign()));
    }

    #[test]
    fn unknown_and_repeated_fields_are_refused() {
        let mut bytes = sign().encode_to_vec();
        bytes.extend_from_slice(&[0x98, 0x06, 0x01]);
        assert!(decode_request(bytes.into()).is_err_and(|error| error == Error::Malformed));
        let mut twice = sign().encode_to_vec();
        twice.extend_from_slice(&sign().encode_to_vec());
        assert!(decode_request(twice.into()).is_err_and(|error| error == Error::Malformed));
        assert!(decode_request(Bytes::new()).is_err_and(|error| error == Error::UnknownRequest));
        assert!(decode_request(Bytes::from_static(&[0xff])).is_err());
    }

    #[test]
    fn an_error_crosses_the_wire() {
        let Some(Answer::Error(wire)) = Reply::error(Error::Busy(40)).answer else { panic!() };
        assert_eq!(Error::from(wire), Error::Busy(40));
    }
}
