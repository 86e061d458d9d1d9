//! Mechanisms with their parameters: those of PKCS#11, as messages.

use prost::{Message, Oneof};

use super::objects::ObjectReference;

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
    /// The IV. Empty on encryption: the module makes 12 bytes and returns them ([`Data::iv`](super::Data::iv)).
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
