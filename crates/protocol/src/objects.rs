//! Roles, object classes, key types, curves and hashes: small closed sets that both sides name alike.
//!
//! Numbers are PKCS#11's (`CKO_*`, `CKK_*`); object identifiers of curves are given as the DER that
//! `CKA_EC_PARAMS` holds.

/// Who a user is. What each may do is the module's table alone (`hsm::permissions`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The one user of a new cluster, until its password is set at activation.
    UnactivatedAdmin = 1,
    /// Manages users, quorum and policy; never uses a key. Also called CO.
    Admin = 2,
    /// Makes and uses keys. Also called CU.
    CryptoUser = 3,
    /// The provider's: copies and backs up sealed state. Also called AU.
    ApplianceUser = 4,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] =
        [Self::UnactivatedAdmin, Self::Admin, Self::CryptoUser, Self::ApplianceUser];

    /// Returns the number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Reads the number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }

    /// Returns the name that the command line uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnactivatedAdmin => "unactivated-admin",
            Self::Admin => "admin",
            Self::CryptoUser => "crypto-user",
            Self::ApplianceUser => "internal(APPLIANCE_USER)",
        }
    }
}

/// `CKA_CLASS` (PKCS#11 3.2 §4.2) of the objects that a token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum ObjectClass {
    /// `CKO_DATA`
    Data = 0,
    /// `CKO_CERTIFICATE`
    Certificate = 1,
    /// `CKO_PUBLIC_KEY`
    PublicKey = 2,
    /// `CKO_PRIVATE_KEY`
    PrivateKey = 3,
    /// `CKO_SECRET_KEY`
    SecretKey = 4,
}

impl ObjectClass {
    /// All classes.
    pub const ALL: [Self; 5] =
        [Self::Data, Self::Certificate, Self::PublicKey, Self::PrivateKey, Self::SecretKey];

    /// Returns the `CKO_*` number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// Reads a `CKO_*` number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }

    /// Whether it is one of the three kinds of key.
    #[must_use]
    pub const fn is_key(self) -> bool {
        matches!(self, Self::PublicKey | Self::PrivateKey | Self::SecretKey)
    }
}

/// `CKA_KEY_TYPE` (PKCS#11 3.2 §4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum KeyType {
    /// `CKK_RSA`
    Rsa = 0x00,
    /// `CKK_EC`: ECDSA and ECDH on a [`Curve`].
    Ec = 0x03,
    /// `CKK_GENERIC_SECRET`
    GenericSecret = 0x10,
    /// `CKK_AES`
    Aes = 0x1f,
    /// `CKK_SHA_1_HMAC`
    HmacSha1 = 0x28,
    /// `CKK_SHA256_HMAC`
    HmacSha256 = 0x2b,
    /// `CKK_SHA384_HMAC`
    HmacSha384 = 0x2c,
    /// `CKK_SHA512_HMAC`
    HmacSha512 = 0x2d,
    /// `CKK_SHA224_HMAC`
    HmacSha224 = 0x2e,
    /// `CKK_EC_EDWARDS`: Ed25519.
    EcEdwards = 0x40,
    /// `CKK_EC_MONTGOMERY`: X25519.
    EcMontgomery = 0x41,
    /// `CKK_HKDF`
    Hkdf = 0x42,
    /// `CKK_ML_KEM`
    MlKem = 0x49,
    /// `CKK_ML_DSA`
    MlDsa = 0x4a,
}

impl KeyType {
    /// All key types.
    pub const ALL: [Self; 14] = [
        Self::Rsa,
        Self::Ec,
        Self::GenericSecret,
        Self::Aes,
        Self::HmacSha1,
        Self::HmacSha256,
        Self::HmacSha384,
        Self::HmacSha512,
        Self::HmacSha224,
        Self::EcEdwards,
        Self::EcMontgomery,
        Self::Hkdf,
        Self::MlKem,
        Self::MlDsa,
    ];

    /// Returns the `CKK_*` number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// Reads a `CKK_*` number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|key_type| key_type.number() == number)
    }

    /// Whether keys of this type are one secret string of bytes.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(
            self,
            Self::GenericSecret
                | Self::Aes
                | Self::HmacSha1
                | Self::HmacSha224
                | Self::HmacSha256
                | Self::HmacSha384
                | Self::HmacSha512
                | Self::Hkdf
        )
    }

    /// Returns the name that the command line uses (AWS's where AWS has one).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ec => "ec",
            Self::GenericSecret => "generic-secret",
            Self::Aes => "aes",
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha224 => "hmac-sha224",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
            Self::EcEdwards => "ed25519",
            Self::EcMontgomery => "x25519",
            Self::Hkdf => "hkdf",
            Self::MlKem => "ml-kem",
            Self::MlDsa => "ml-dsa",
        }
    }
}

/// A hash function of FIPS 180-4 or FIPS 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum Hash {
    Sha1 = 1,
    Sha224 = 2,
    Sha256 = 3,
    Sha384 = 4,
    Sha512 = 5,
    Sha3_224 = 6,
    Sha3_256 = 7,
    Sha3_384 = 8,
    Sha3_512 = 9,
}

impl Hash {
    /// All hashes.
    pub const ALL: [Self; 9] = [
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
    ];

    /// Returns the number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Reads the number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.number() == number)
    }

    /// Returns the bytes of a digest.
    #[must_use]
    pub const fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }
}

/// A named curve. Edwards and Montgomery curves have key types of their own in PKCS#11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum Curve {
    P224,
    P256,
    P384,
    P521,
    Secp256k1,
    Ed25519,
    X25519,
}

impl Curve {
    /// All curves.
    pub const ALL: [Self; 7] = [
        Self::P224,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Secp256k1,
        Self::Ed25519,
        Self::X25519,
    ];

    /// Returns `CKA_EC_PARAMS`: the DER of the curve's object identifier.
    #[must_use]
    pub const fn ec_params(self) -> &'static [u8] {
        match self {
            Self::P224 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21],
            Self::P256 => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
            Self::Secp256k1 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a],
            // RFC 8410
            Self::Ed25519 => &[0x06, 0x03, 0x2b, 0x65, 0x70],
            Self::X25519 => &[0x06, 0x03, 0x2b, 0x65, 0x6e],
        }
    }

    /// Reads `CKA_EC_PARAMS`: the object identifier, or the `curveName` of PKCS#11 3.0 §2.3.3 as a
    /// DER PrintableString, or (for Ed25519) GnuPG's old object identifier.
    #[must_use]
    pub fn from_ec_params(params: &[u8]) -> Option<Self> {
        const EDWARDS25519: &[u8] = b"\x13\x0cedwards25519";
        const CURVE25519: &[u8] = b"\x13\x0acurve25519";
        const GNU_ED25519: &[u8] =
            &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
        match params {
            EDWARDS25519 | GNU_ED25519 => Some(Self::Ed25519),
            CURVE25519 => Some(Self::X25519),
            _ => Self::ALL.into_iter().find(|curve| curve.ec_params() == params),
        }
    }

    /// Returns the key type whose keys lie on it.
    #[must_use]
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::EcEdwards,
            Self::X25519 => KeyType::EcMontgomery,
            Self::P224 | Self::P256 | Self::P384 | Self::P521 | Self::Secp256k1 => KeyType::Ec,
        }
    }

    /// Returns the bits of the field, as `CK_MECHANISM_INFO` counts them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        match self {
            Self::P224 => 224,
            Self::P256 | Self::Secp256k1 => 256,
            Self::Ed25519 | Self::X25519 => 255,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// Returns the bytes of one coordinate or scalar.
    #[must_use]
    pub const fn field_bytes(self) -> usize {
        match self {
            Self::P224 => 28,
            Self::P256 | Self::Secp256k1 | Self::Ed25519 | Self::X25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Returns the name that the command line uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P224 => "secp224r1",
            Self::P256 => "prime256v1",
            Self::P384 => "secp384r1",
            Self::P521 => "secp521r1",
            Self::Secp256k1 => "secp256k1",
            Self::Ed25519 => "ed25519",
            Self::X25519 => "x25519",
        }
    }
}

/// `CKA_PARAMETER_SET` of ML-DSA (FIPS 204).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum MlDsaParameterSet {
    MlDsa44 = 1,
    MlDsa65 = 2,
    MlDsa87 = 3,
}

/// `CKA_PARAMETER_SET` of ML-KEM (FIPS 203).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum MlKemParameterSet {
    MlKem512 = 1,
    MlKem768 = 2,
    MlKem1024 = 3,
}

impl MlDsaParameterSet {
    /// Reads a `CKP_ML_DSA_*` number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87]
            .into_iter()
            .find(|&set| set as u64 == number)
    }
}

impl MlKemParameterSet {
    /// Reads a `CKP_ML_KEM_*` number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::MlKem512, Self::MlKem768, Self::MlKem1024]
            .into_iter()
            .find(|&set| set as u64 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for class in ObjectClass::ALL {
            assert_eq!(ObjectClass::from_number(class.number()), Some(class));
        }
        for key_type in KeyType::ALL {
            assert_eq!(KeyType::from_number(key_type.number()), Some(key_type));
        }
        for curve in Curve::ALL {
            assert_eq!(Curve::from_ec_params(curve.ec_params()), Some(curve));
        }
        for hash in Hash::ALL {
            assert_eq!(Hash::from_number(hash.number()), Some(hash));
        }
        for role in Role::ALL {
            assert_eq!(Role::from_number(role.number()), Some(role));
        }
    }
}
