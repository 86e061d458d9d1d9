//! The mechanisms: number, name, key types, functions, sizes, hash, parameters and FIPS status.
//!
//! One row of one table says all of this; the module, the C border, the command line and the reference
//! pages ask it. The code of an algorithm has its home elsewhere (`hsm::operations`).
//!
//! On the wire, the data of a mechanism that hashes (`row().hash` is there and it is not a MAC) is the
//! digest: messages are hashed in the client. MACs, EdDSA and ML-DSA get the message itself.
//!
//! Source: PKCS#11 3.2 §6 (mechanisms); SP 800-131A rev. 2 and SP 800-140C rev. 2 for what is approved.

use crate::objects::{Hash, KeyType};

/// What a mechanism can be used for: a set of `CKF_*` bits of `CK_MECHANISM_INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Functions(pub u64);

impl Functions {
    /// `CKF_ENCRYPT`
    pub const ENCRYPT: Self = Self(0x100);
    /// `CKF_DECRYPT`
    pub const DECRYPT: Self = Self(0x200);
    /// `CKF_DIGEST`
    pub const DIGEST: Self = Self(0x400);
    /// `CKF_SIGN`
    pub const SIGN: Self = Self(0x800);
    /// `CKF_VERIFY`
    pub const VERIFY: Self = Self(0x2000);
    /// `CKF_GENERATE`
    pub const GENERATE: Self = Self(0x8000);
    /// `CKF_GENERATE_KEY_PAIR`
    pub const GENERATE_KEY_PAIR: Self = Self(0x1_0000);
    /// `CKF_WRAP`
    pub const WRAP: Self = Self(0x2_0000);
    /// `CKF_UNWRAP`
    pub const UNWRAP: Self = Self(0x4_0000);
    /// `CKF_DERIVE`
    pub const DERIVE: Self = Self(0x8_0000);
    /// `CKF_ENCAPSULATE`
    pub const ENCAPSULATE: Self = Self(0x1000_0000);
    /// `CKF_DECAPSULATE`
    pub const DECAPSULATE: Self = Self(0x2000_0000);

    /// Whether every function of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether a FIPS cluster allows a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approved {
    /// For every function of its row.
    Yes,
    /// For verifying what exists, not for signing (SP 800-131A: SHA-1).
    VerifyOnly,
    /// For signing and verifying, not for encryption or key transport (PKCS#1 v1.5).
    SignOnly,
    /// For all but wrapping: what authenticates nothing must not carry keys away (SP 800-38F §3.1), though old ones may come back.
    UnlessWrapping,
    /// Not at all.
    No,
}

impl Approved {
    /// Whether `function` is allowed in FIPS mode.
    #[must_use]
    pub const fn allows(self, function: Functions) -> bool {
        match self {
            Self::Yes => true,
            Self::VerifyOnly => Functions::VERIFY.contains(function),
            Self::SignOnly => Functions::VERIFY.and(Functions::SIGN).contains(function),
            Self::UnlessWrapping => !Functions::WRAP.contains(function),
            Self::No => false,
        }
    }
}

/// Which form the parameter has ([`crate::messages::Parameter`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as the variant of `Parameter`")]
pub enum ParameterForm {
    None,
    Iv,
    Counter,
    Gcm,
    Oaep,
    Pss,
    RsaAes,
    Ecdh,
    Eddsa,
    MlDsa,
    MacLength,
    Hkdf,
    Pbkdf2,
    CounterKdf,
    Data,
    Key,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct MechanismRow {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// Its name in PKCS#11, with `CKM_`.
    pub name: &'static str,
    /// The types of key that it works on, or makes.
    pub key_types: &'static [KeyType],
    /// What it can be used for.
    pub functions: Functions,
    /// The smallest key: bits for pairs, bytes for AES and secrets, the parameter set's number for ML-*.
    pub key_size_min: u64,
    /// The largest key, in the same unit.
    pub key_size_max: u64,
    /// The hash that is part of it.
    pub hash: Option<Hash>,
    /// The form of its parameter.
    pub parameter: ParameterForm,
    /// Whether a FIPS cluster allows it.
    pub approved: Approved,
}

const RSA: &[KeyType] = &[KeyType::Rsa];
const EC: &[KeyType] = &[KeyType::Ec];
const ML_KEM: &[KeyType] = &[KeyType::MlKem];
const ML_DSA: &[KeyType] = &[KeyType::MlDsa];
const NONE: &[KeyType] = &[];
const HMAC1: &[KeyType] = &[KeyType::GenericSecret, KeyType::HmacSha1];
const HMAC224: &[KeyType] = &[KeyType::GenericSecret, KeyType::HmacSha224];
const HMAC256: &[KeyType] = &[KeyType::GenericSecret, KeyType::HmacSha256];
const HMAC384: &[KeyType] = &[KeyType::GenericSecret, KeyType::HmacSha384];
const HMAC512: &[KeyType] = &[KeyType::GenericSecret, KeyType::HmacSha512];
const GENERIC: &[KeyType] = &[KeyType::GenericSecret];
const SECRETS: &[KeyType] = &[
    KeyType::GenericSecret,
    KeyType::HmacSha1,
    KeyType::HmacSha224,
    KeyType::HmacSha256,
    KeyType::HmacSha384,
    KeyType::HmacSha512,
    KeyType::Hkdf,
];
const SECRETS_AES: &[KeyType] = &[
    KeyType::GenericSecret,
    KeyType::HmacSha1,
    KeyType::HmacSha224,
    KeyType::HmacSha256,
    KeyType::HmacSha384,
    KeyType::HmacSha512,
    KeyType::Hkdf,
    KeyType::Aes,
];
const AGREEMENT: &[KeyType] = &[KeyType::Ec, KeyType::EcMontgomery];
const EDWARDS: &[KeyType] = &[KeyType::EcEdwards];
const MONTGOMERY: &[KeyType] = &[KeyType::EcMontgomery];
const AES: &[KeyType] = &[KeyType::Aes];
const HKDF: &[KeyType] = &[KeyType::Hkdf];

const F_GENERATE: Functions = Functions::GENERATE;
const F_GENERATE_KEY_PAIR: Functions = Functions::GENERATE_KEY_PAIR;
const F_SIGN: Functions = Functions::SIGN.and(Functions::VERIFY);
const F_CRYPT: Functions = Functions::ENCRYPT.and(Functions::DECRYPT);
const F_CRYPT_WRAP: Functions =
    Functions::ENCRYPT.and(Functions::DECRYPT).and(Functions::WRAP).and(Functions::UNWRAP);
const F_SIGN_CRYPT: Functions =
    Functions::SIGN.and(Functions::VERIFY).and(Functions::ENCRYPT).and(Functions::DECRYPT);
const F_RSA_ALL: Functions = Functions::SIGN
    .and(Functions::VERIFY)
    .and(Functions::ENCRYPT)
    .and(Functions::DECRYPT)
    .and(Functions::WRAP)
    .and(Functions::UNWRAP);
const F_WRAP: Functions = Functions::WRAP.and(Functions::UNWRAP);
const F_DERIVE: Functions = Functions::DERIVE;
const F_DIGEST: Functions = Functions::DIGEST;
const F_ENCAPSULATE: Functions = Functions::ENCAPSULATE.and(Functions::DECAPSULATE);

/// The mechanisms that Casemate knows; the discriminant is the `CKM_*` number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
#[expect(missing_docs, reason = "each is named as PKCS#11 names it")]
pub enum Mechanism {
    RsaPkcsKeyPairGen = 0x0,
    RsaPkcs = 0x1,
    RsaX509 = 0x3,
    Sha1RsaPkcs = 0x6,
    RsaPkcsOaep = 0x9,
    RsaX931KeyPairGen = 0xa,
    RsaPkcsPss = 0xd,
    Sha1RsaPkcsPss = 0xe,
    MlKemKeyPairGen = 0xf,
    MlKem = 0x17,
    MlDsaKeyPairGen = 0x1c,
    MlDsa = 0x1d,
    Sha256RsaPkcs = 0x40,
    Sha384RsaPkcs = 0x41,
    Sha512RsaPkcs = 0x42,
    Sha256RsaPkcsPss = 0x43,
    Sha384RsaPkcsPss = 0x44,
    Sha512RsaPkcsPss = 0x45,
    Sha224RsaPkcs = 0x46,
    Sha224RsaPkcsPss = 0x47,
    Sha3_256RsaPkcs = 0x60,
    Sha3_384RsaPkcs = 0x61,
    Sha3_512RsaPkcs = 0x62,
    Sha3_256RsaPkcsPss = 0x63,
    Sha3_384RsaPkcsPss = 0x64,
    Sha3_512RsaPkcsPss = 0x65,
    Sha3_224RsaPkcs = 0x66,
    Sha3_224RsaPkcsPss = 0x67,
    Sha1 = 0x220,
    Sha1Hmac = 0x221,
    Sha1HmacGeneral = 0x222,
    Sha256 = 0x250,
    Sha256Hmac = 0x251,
    Sha256HmacGeneral = 0x252,
    Sha224 = 0x255,
    Sha224Hmac = 0x256,
    Sha224HmacGeneral = 0x257,
    Sha384 = 0x260,
    Sha384Hmac = 0x261,
    Sha384HmacGeneral = 0x262,
    Sha512 = 0x270,
    Sha512Hmac = 0x271,
    Sha512HmacGeneral = 0x272,
    Sha3_256 = 0x2b0,
    Sha3_256Hmac = 0x2b1,
    Sha3_224 = 0x2b5,
    Sha3_224Hmac = 0x2b6,
    Sha3_384 = 0x2c0,
    Sha3_384Hmac = 0x2c1,
    Sha3_512 = 0x2d0,
    Sha3_512Hmac = 0x2d1,
    GenericSecretKeyGen = 0x350,
    ConcatenateBaseAndKey = 0x360,
    ConcatenateBaseAndData = 0x362,
    ConcatenateDataAndBase = 0x363,
    XorBaseAndData = 0x364,
    Sp800108CounterKdf = 0x3ac,
    Pkcs5Pbkd2 = 0x3b0,
    EcKeyPairGen = 0x1040,
    Ecdsa = 0x1041,
    EcdsaSha1 = 0x1042,
    EcdsaSha224 = 0x1043,
    EcdsaSha256 = 0x1044,
    EcdsaSha384 = 0x1045,
    EcdsaSha512 = 0x1046,
    EcdsaSha3_224 = 0x1047,
    EcdsaSha3_256 = 0x1048,
    EcdsaSha3_384 = 0x1049,
    EcdsaSha3_512 = 0x104a,
    Ecdh1Derive = 0x1050,
    Ecdh1CofactorDerive = 0x1051,
    RsaAesKeyWrap = 0x1054,
    EcEdwardsKeyPairGen = 0x1055,
    EcMontgomeryKeyPairGen = 0x1056,
    Eddsa = 0x1057,
    AesKeyGen = 0x1080,
    AesEcb = 0x1081,
    AesCbc = 0x1082,
    AesCbcPad = 0x1085,
    AesCtr = 0x1086,
    AesGcm = 0x1087,
    AesCmac = 0x108a,
    AesCmacGeneral = 0x108b,
    AesKeyWrap = 0x2109,
    AesKeyWrapPad = 0x210a,
    AesKeyWrapKwp = 0x210b,
    HkdfDerive = 0x402a,
    HkdfKeyGen = 0x402c,
}

/// The table, in order of numbers.
#[rustfmt::skip]
pub const MECHANISMS: &[MechanismRow] = &[
    MechanismRow { mechanism: Mechanism::RsaPkcsKeyPairGen, name: "CKM_RSA_PKCS_KEY_PAIR_GEN", key_types: RSA, functions: F_GENERATE_KEY_PAIR, key_size_min: 2048, key_size_max: 4096, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::RsaPkcs, name: "CKM_RSA_PKCS", key_types: RSA, functions: F_RSA_ALL, key_size_min: 2048, key_size_max: 4096, hash: None, parameter: ParameterForm::None, approved: Approved::SignOnly },
    MechanismRow { mechanism: Mechanism::RsaX509, name: "CKM_RSA_X_509", key_types: RSA, functions: F_SIGN_CRYPT, key_size_min: 2048, key_size_max: 4096, hash: None, parameter: ParameterForm::None, approved: Approved::No },
    MechanismRow { mechanism: Mechanism::Sha1RsaPkcs, name: "CKM_SHA1_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha1), parameter: ParameterForm::None, approved: Approved::VerifyOnly },
    MechanismRow { mechanism: Mechanism::RsaPkcsOaep, name: "CKM_RSA_PKCS_OAEP", key_types: RSA, functions: F_CRYPT_WRAP, key_size_min: 2048, key_size_max: 4096, hash: None, parameter: ParameterForm::Oaep, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::RsaX931KeyPairGen, name: "CKM_RSA_X9_31_KEY_PAIR_GEN", key_types: RSA, functions: F_GENERATE_KEY_PAIR, key_size_min: 2048, key_size_max: 4096, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::RsaPkcsPss, name: "CKM_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: None, parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha1RsaPkcsPss, name: "CKM_SHA1_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha1), parameter: ParameterForm::Pss, approved: Approved::VerifyOnly },
    MechanismRow { mechanism: Mechanism::MlKemKeyPairGen, name: "CKM_ML_KEM_KEY_PAIR_GEN", key_types: ML_KEM, functions: F_GENERATE_KEY_PAIR, key_size_min: 512, key_size_max: 1024, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::MlKem, name: "CKM_ML_KEM", key_types: ML_KEM, functions: F_ENCAPSULATE, key_size_min: 512, key_size_max: 1024, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::MlDsaKeyPairGen, name: "CKM_ML_DSA_KEY_PAIR_GEN", key_types: ML_DSA, functions: F_GENERATE_KEY_PAIR, key_size_min: 44, key_size_max: 87, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::MlDsa, name: "CKM_ML_DSA", key_types: ML_DSA, functions: F_SIGN, key_size_min: 44, key_size_max: 87, hash: None, parameter: ParameterForm::MlDsa, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha256RsaPkcs, name: "CKM_SHA256_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha384RsaPkcs, name: "CKM_SHA384_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha512RsaPkcs, name: "CKM_SHA512_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha256RsaPkcsPss, name: "CKM_SHA256_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha256), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha384RsaPkcsPss, name: "CKM_SHA384_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha384), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha512RsaPkcsPss, name: "CKM_SHA512_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha512), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha224RsaPkcs, name: "CKM_SHA224_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha224RsaPkcsPss, name: "CKM_SHA224_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha224), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_256RsaPkcs, name: "CKM_SHA3_256_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_384RsaPkcs, name: "CKM_SHA3_384_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_512RsaPkcs, name: "CKM_SHA3_512_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_256RsaPkcsPss, name: "CKM_SHA3_256_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_256), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_384RsaPkcsPss, name: "CKM_SHA3_384_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_384), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_512RsaPkcsPss, name: "CKM_SHA3_512_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_512), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_224RsaPkcs, name: "CKM_SHA3_224_RSA_PKCS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_224RsaPkcsPss, name: "CKM_SHA3_224_RSA_PKCS_PSS", key_types: RSA, functions: F_SIGN, key_size_min: 2048, key_size_max: 4096, hash: Some(Hash::Sha3_224), parameter: ParameterForm::Pss, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha1, name: "CKM_SHA_1", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha1), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha1Hmac, name: "CKM_SHA_1_HMAC", key_types: HMAC1, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha1), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha1HmacGeneral, name: "CKM_SHA_1_HMAC_GENERAL", key_types: HMAC1, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha1), parameter: ParameterForm::MacLength, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha256, name: "CKM_SHA256", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha256Hmac, name: "CKM_SHA256_HMAC", key_types: HMAC256, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha256HmacGeneral, name: "CKM_SHA256_HMAC_GENERAL", key_types: HMAC256, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha256), parameter: ParameterForm::MacLength, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha224, name: "CKM_SHA224", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha224Hmac, name: "CKM_SHA224_HMAC", key_types: HMAC224, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha224HmacGeneral, name: "CKM_SHA224_HMAC_GENERAL", key_types: HMAC224, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha224), parameter: ParameterForm::MacLength, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha384, name: "CKM_SHA384", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha384Hmac, name: "CKM_SHA384_HMAC", key_types: HMAC384, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha384HmacGeneral, name: "CKM_SHA384_HMAC_GENERAL", key_types: HMAC384, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha384), parameter: ParameterForm::MacLength, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha512, name: "CKM_SHA512", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha512Hmac, name: "CKM_SHA512_HMAC", key_types: HMAC512, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha512HmacGeneral, name: "CKM_SHA512_HMAC_GENERAL", key_types: HMAC512, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha512), parameter: ParameterForm::MacLength, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_256, name: "CKM_SHA3_256", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha3_256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_256Hmac, name: "CKM_SHA3_256_HMAC", key_types: GENERIC, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha3_256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_224, name: "CKM_SHA3_224", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha3_224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_224Hmac, name: "CKM_SHA3_224_HMAC", key_types: GENERIC, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha3_224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_384, name: "CKM_SHA3_384", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha3_384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_384Hmac, name: "CKM_SHA3_384_HMAC", key_types: GENERIC, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha3_384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_512, name: "CKM_SHA3_512", key_types: NONE, functions: F_DIGEST, key_size_min: 0, key_size_max: 0, hash: Some(Hash::Sha3_512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Sha3_512Hmac, name: "CKM_SHA3_512_HMAC", key_types: GENERIC, functions: F_SIGN, key_size_min: 14, key_size_max: 1024, hash: Some(Hash::Sha3_512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::GenericSecretKeyGen, name: "CKM_GENERIC_SECRET_KEY_GEN", key_types: SECRETS, functions: F_GENERATE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::ConcatenateBaseAndKey, name: "CKM_CONCATENATE_BASE_AND_KEY", key_types: SECRETS_AES, functions: F_DERIVE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::Key, approved: Approved::No },
    MechanismRow { mechanism: Mechanism::ConcatenateBaseAndData, name: "CKM_CONCATENATE_BASE_AND_DATA", key_types: SECRETS_AES, functions: F_DERIVE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::Data, approved: Approved::No },
    MechanismRow { mechanism: Mechanism::ConcatenateDataAndBase, name: "CKM_CONCATENATE_DATA_AND_BASE", key_types: SECRETS_AES, functions: F_DERIVE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::Data, approved: Approved::No },
    MechanismRow { mechanism: Mechanism::XorBaseAndData, name: "CKM_XOR_BASE_AND_DATA", key_types: SECRETS_AES, functions: F_DERIVE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::Data, approved: Approved::No },
    MechanismRow { mechanism: Mechanism::Sp800108CounterKdf, name: "CKM_SP800_108_COUNTER_KDF", key_types: SECRETS_AES, functions: F_DERIVE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::CounterKdf, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Pkcs5Pbkd2, name: "CKM_PKCS5_PBKD2", key_types: NONE, functions: F_GENERATE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::Pbkdf2, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcKeyPairGen, name: "CKM_EC_KEY_PAIR_GEN", key_types: EC, functions: F_GENERATE_KEY_PAIR, key_size_min: 224, key_size_max: 521, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Ecdsa, name: "CKM_ECDSA", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha1, name: "CKM_ECDSA_SHA1", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha1), parameter: ParameterForm::None, approved: Approved::VerifyOnly },
    MechanismRow { mechanism: Mechanism::EcdsaSha224, name: "CKM_ECDSA_SHA224", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha256, name: "CKM_ECDSA_SHA256", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha384, name: "CKM_ECDSA_SHA384", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha512, name: "CKM_ECDSA_SHA512", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha3_224, name: "CKM_ECDSA_SHA3_224", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha3_224), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha3_256, name: "CKM_ECDSA_SHA3_256", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha3_256), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha3_384, name: "CKM_ECDSA_SHA3_384", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha3_384), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcdsaSha3_512, name: "CKM_ECDSA_SHA3_512", key_types: EC, functions: F_SIGN, key_size_min: 224, key_size_max: 521, hash: Some(Hash::Sha3_512), parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Ecdh1Derive, name: "CKM_ECDH1_DERIVE", key_types: AGREEMENT, functions: F_DERIVE, key_size_min: 224, key_size_max: 521, hash: None, parameter: ParameterForm::Ecdh, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::Ecdh1CofactorDerive, name: "CKM_ECDH1_COFACTOR_DERIVE", key_types: AGREEMENT, functions: F_DERIVE, key_size_min: 224, key_size_max: 521, hash: None, parameter: ParameterForm::Ecdh, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::RsaAesKeyWrap, name: "CKM_RSA_AES_KEY_WRAP", key_types: RSA, functions: F_WRAP, key_size_min: 2048, key_size_max: 4096, hash: None, parameter: ParameterForm::RsaAes, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcEdwardsKeyPairGen, name: "CKM_EC_EDWARDS_KEY_PAIR_GEN", key_types: EDWARDS, functions: F_GENERATE_KEY_PAIR, key_size_min: 255, key_size_max: 255, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::EcMontgomeryKeyPairGen, name: "CKM_EC_MONTGOMERY_KEY_PAIR_GEN", key_types: MONTGOMERY, functions: F_GENERATE_KEY_PAIR, key_size_min: 255, key_size_max: 255, hash: None, parameter: ParameterForm::None, approved: Approved::No },
    MechanismRow { mechanism: Mechanism::Eddsa, name: "CKM_EDDSA", key_types: EDWARDS, functions: F_SIGN, key_size_min: 255, key_size_max: 255, hash: None, parameter: ParameterForm::Eddsa, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesKeyGen, name: "CKM_AES_KEY_GEN", key_types: AES, functions: F_GENERATE, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesEcb, name: "CKM_AES_ECB", key_types: AES, functions: F_CRYPT_WRAP, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::None, approved: Approved::UnlessWrapping },
    MechanismRow { mechanism: Mechanism::AesCbc, name: "CKM_AES_CBC", key_types: AES, functions: F_CRYPT_WRAP, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::Iv, approved: Approved::UnlessWrapping },
    MechanismRow { mechanism: Mechanism::AesCbcPad, name: "CKM_AES_CBC_PAD", key_types: AES, functions: F_CRYPT_WRAP, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::Iv, approved: Approved::UnlessWrapping },
    MechanismRow { mechanism: Mechanism::AesCtr, name: "CKM_AES_CTR", key_types: AES, functions: F_CRYPT, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::Counter, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesGcm, name: "CKM_AES_GCM", key_types: AES, functions: F_CRYPT_WRAP, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::Gcm, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesCmac, name: "CKM_AES_CMAC", key_types: AES, functions: F_SIGN, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesCmacGeneral, name: "CKM_AES_CMAC_GENERAL", key_types: AES, functions: F_SIGN, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::MacLength, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesKeyWrap, name: "CKM_AES_KEY_WRAP", key_types: AES, functions: F_CRYPT_WRAP, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::Iv, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesKeyWrapPad, name: "CKM_AES_KEY_WRAP_PAD", key_types: AES, functions: F_CRYPT_WRAP, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::Iv, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::AesKeyWrapKwp, name: "CKM_AES_KEY_WRAP_KWP", key_types: AES, functions: F_CRYPT_WRAP, key_size_min: 16, key_size_max: 32, hash: None, parameter: ParameterForm::Iv, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::HkdfDerive, name: "CKM_HKDF_DERIVE", key_types: SECRETS_AES, functions: F_DERIVE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::Hkdf, approved: Approved::Yes },
    MechanismRow { mechanism: Mechanism::HkdfKeyGen, name: "CKM_HKDF_KEY_GEN", key_types: HKDF, functions: F_GENERATE, key_size_min: 1, key_size_max: 1024, hash: None, parameter: ParameterForm::None, approved: Approved::Yes },
];

impl Mechanism {
    /// Returns the `CKM_*` number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// Reads a `CKM_*` number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let found = MECHANISMS.binary_search_by_key(&number, |row| row.mechanism.number()).ok()?;
        MECHANISMS.get(found).map(|row| row.mechanism)
    }

    /// Returns its row.
    #[must_use]
    pub fn row(self) -> &'static MechanismRow {
        let found = MECHANISMS.binary_search_by_key(&self, |row| row.mechanism);
        #[expect(
            clippy::indexing_slicing,
            reason = "a test walks the table: each mechanism has a row"
        )]
        &MECHANISMS[found.unwrap_or(usize::MAX)]
    }

    /// Whether it is an HMAC, full or truncated.
    #[must_use]
    pub fn is_hmac(self) -> bool {
        let row = self.row();
        row.hash.is_some() && row.key_types.contains(&KeyType::GenericSecret)
    }

    /// Returns the hash that the client computes before it sends the data: of mechanisms that hash
    /// and sign, not of MACs or digests.
    #[must_use]
    pub fn client_hash(self) -> Option<Hash> {
        let row = self.row();
        row.hash.filter(|_| row.functions.contains(Functions::SIGN) && !self.is_hmac())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mechanism_has_its_row_in_order() {
        assert!(MECHANISMS.is_sorted_by(|a, b| a.mechanism.number() < b.mechanism.number()));
        for row in MECHANISMS {
            assert_eq!(Mechanism::from_number(row.mechanism.number()), Some(row.mechanism));
            assert_eq!(row.mechanism.row().name, row.name);
            assert!(row.key_size_min <= row.key_size_max, "{}", row.name);
        }
    }

    #[test]
    fn sha_1_signatures_are_only_verified_in_fips_mode() {
        assert!(Approved::VerifyOnly.allows(Functions::VERIFY));
        assert!(!Approved::VerifyOnly.allows(Functions::SIGN));
        assert!(Approved::SignOnly.allows(Functions::SIGN));
        assert!(!Approved::SignOnly.allows(Functions::UNWRAP));
        assert!(Approved::UnlessWrapping.allows(Functions::UNWRAP));
        assert!(!Approved::UnlessWrapping.allows(Functions::WRAP));
        assert!(!Approved::No.allows(Functions::VERIFY));
    }

    #[test]
    fn macs_are_not_hashed_in_the_client() {
        assert!(Mechanism::Sha256Hmac.is_hmac());
        assert_eq!(Mechanism::Sha256Hmac.client_hash(), None);
        assert_eq!(Mechanism::EcdsaSha384.client_hash(), Some(Hash::Sha384));
        assert_eq!(Mechanism::Sha256.client_hash(), None);
    }
}
