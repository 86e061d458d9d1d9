//! What FIPS mode refuses beyond the row of a mechanism: by its parameter, by the key, and by what is made of it.
//!
//! The row says which functions of an algorithm are approved; here is what depends on the single use. Each rule names its
//! source, and `docs/operate/fips.md` lists them. What the module cannot see it cannot refuse: a digest that the client
//! made comes without the name of its hash under `CKM_RSA_PKCS` and `CKM_ECDSA`.

use casemate_crypto::ec::Curve;
use casemate_protocol::mechanisms::{Functions, MechanismRow};
use casemate_protocol::messages::{Parameter, Pbkdf2, Pss};
use casemate_protocol::{Error, Hash, KeyType};

use super::parameters::hash;
use crate::objects::key::OpenKey;

/// Bytes that a secret must have to protect anything: 112 bits (SP 800-131A §1.2.2).
const SECRET_BYTES_MIN: usize = 14;
/// Bytes of the shortest salt of PBKDF2 (SP 800-132 §5.1).
const SALT_BYTES_MIN: usize = 16;
/// The fewest rounds of PBKDF2 (SP 800-132 §5.2).
const ROUNDS_MIN: u64 = 1_000;
/// Bytes of the shortest MAC (SP 800-107 §5.3.3, SP 800-38B §A.2).
const MAC_BYTES_MIN: u64 = 4;

/// Refuses a parameter that is not approved for this function.
pub(super) fn parameter(
    row: &MechanismRow,
    function: Functions,
    parameter: Option<&Parameter>,
) -> Result<(), Error> {
    let signs = function == Functions::SIGN;
    let approved = match parameter {
        Some(Parameter::Pss(pss)) => !signs || pss_signs(pss),
        // The module makes the IV (SP 800-38D §8.2), so that none comes twice.
        Some(Parameter::Gcm(gcm)) => {
            gcm.iv.is_empty() || !matches!(function, Functions::ENCRYPT | Functions::WRAP)
        }
        // Ed25519ctx is none of the schemes of FIPS 186-5 §7.
        Some(Parameter::Eddsa(eddsa)) => eddsa.prehashed || eddsa.context.is_empty(),
        Some(Parameter::Pbkdf2(Pbkdf2 { salt, iterations, password, .. })) => {
            salt.len() >= SALT_BYTES_MIN
                && *iterations >= ROUNDS_MIN
                && password.len() >= SECRET_BYTES_MIN
        }
        Some(Parameter::MacLength(bytes)) => *bytes >= MAC_BYTES_MIN,
        Some(
            Parameter::Iv(_)
            | Parameter::Counter(_)
            | Parameter::Oaep(_)
            | Parameter::RsaAes(_)
            | Parameter::Ecdh(_)
            | Parameter::MlDsa(_)
            | Parameter::Hkdf(_)
            | Parameter::CounterKdf(_)
            | Parameter::Data(_)
            | Parameter::Key(_),
        )
        | None => true,
    };
    if approved { Ok(()) } else { Err(Error::ParameterNotApproved(row.mechanism.number())) }
}

/// No SHA-1 in a new signature (SP 800-131A §3), and no salt longer than the digest (FIPS 186-5 §5.4).
fn pss_signs(pss: &Pss) -> bool {
    let sha_1 = Hash::Sha1.number();
    let digest = Hash::from_number(pss.hash).map(hash);
    let salt = usize::try_from(pss.salt_bytes).unwrap_or(usize::MAX);
    pss.hash != sha_1
        && pss.mgf != sha_1
        && digest.is_none_or(|digest| salt <= digest.output_bytes())
}

/// Refuses a key whose curve or length is not approved for this function.
pub(super) fn key(row: &MechanismRow, function: Functions, key: &OpenKey) -> Result<(), Error> {
    let approved = match key {
        OpenKey::Ec(key) => curve(key.curve()),
        OpenKey::EcPublic(key) => curve(key.curve()),
        // No key agreement of SP 800-56A.
        OpenKey::X25519(_) | OpenKey::X25519Public => false,
        // What was made with a short secret may still be verified (SP 800-131A §10).
        OpenKey::Secret(secret) => {
            function == Functions::VERIFY || secret.len() >= SECRET_BYTES_MIN
        }
        OpenKey::Aes(_)
        | OpenKey::Rsa(_)
        | OpenKey::RsaPublic(_)
        | OpenKey::Ed25519(_)
        | OpenKey::Ed25519Public(_)
        | OpenKey::MlDsa(_)
        | OpenKey::MlDsaPublic(_)
        | OpenKey::MlKem(_)
        | OpenKey::MlKemPublic(_)
        | OpenKey::None => true,
    };
    if approved { Ok(()) } else { Err(Error::KeyNotApproved(row.mechanism.number())) }
}

/// Whether a curve is approved (SP 800-186 §3.2: secp256k1 is not, outside block chains).
pub(super) const fn curve(curve: Curve) -> bool {
    match curve {
        Curve::P224 | Curve::P256 | Curve::P384 | Curve::P521 => true,
        Curve::Secp256k1 => false,
    }
}

/// Refuses to take a shared secret for a key as it is: that needs a KDF (SP 800-56A §5.8). A generic secret or an HKDF key
/// may be the input of one.
pub(super) fn derived(
    row: &MechanismRow,
    parameter: Option<&Parameter>,
    key_type: KeyType,
) -> Result<(), Error> {
    let raw = matches!(parameter, Some(Parameter::Ecdh(ecdh)) if ecdh.kdf == 1);
    if raw && !matches!(key_type, KeyType::GenericSecret | KeyType::Hkdf) {
        return Err(Error::ParameterNotApproved(row.mechanism.number()));
    }
    Ok(())
}
