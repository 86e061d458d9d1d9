//! Parameters of mechanisms: read once, checked, and given a form in which they cannot be wrong.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what this family does not have is passed on or refused alike, new ones too"
)]

use casemate_crypto::{Hash, rsa};
use casemate_protocol::mechanisms::{MechanismRow, ParameterForm};
use casemate_protocol::messages::{Gcm, MechanismUse, Oaep, Parameter, Pss};
use casemate_protocol::{Error, Hash as WireHash};

/// The library's name of a hash.
pub(super) const fn hash(hash: WireHash) -> Hash {
    match hash {
        WireHash::Sha1 => Hash::Sha1,
        WireHash::Sha224 => Hash::Sha224,
        WireHash::Sha256 => Hash::Sha256,
        WireHash::Sha384 => Hash::Sha384,
        WireHash::Sha512 => Hash::Sha512,
        WireHash::Sha3_224 => Hash::Sha3_224,
        WireHash::Sha3_256 => Hash::Sha3_256,
        WireHash::Sha3_384 => Hash::Sha3_384,
        WireHash::Sha3_512 => Hash::Sha3_512,
    }
}

/// The error of a wrong parameter.
pub(super) const fn invalid(row: &MechanismRow) -> Error {
    Error::MechanismParameterInvalid(row.mechanism.number())
}

/// Returns the form of a parameter.
const fn form(parameter: &Parameter) -> ParameterForm {
    match parameter {
        Parameter::Iv(_) => ParameterForm::Iv,
        Parameter::Counter(_) => ParameterForm::Counter,
        Parameter::Gcm(_) => ParameterForm::Gcm,
        Parameter::Oaep(_) => ParameterForm::Oaep,
        Parameter::Pss(_) => ParameterForm::Pss,
        Parameter::RsaAes(_) => ParameterForm::RsaAes,
        Parameter::Ecdh(_) => ParameterForm::Ecdh,
        Parameter::Eddsa(_) => ParameterForm::Eddsa,
        Parameter::MlDsa(_) => ParameterForm::MlDsa,
        Parameter::MacLength(_) => ParameterForm::MacLength,
        Parameter::Hkdf(_) => ParameterForm::Hkdf,
        Parameter::Pbkdf2(_) => ParameterForm::Pbkdf2,
        Parameter::CounterKdf(_) => ParameterForm::CounterKdf,
        Parameter::Data(_) => ParameterForm::Data,
        Parameter::Key(_) => ParameterForm::Key,
    }
}

/// Checks that a parameter, where there is one, is one of its mechanism: what a mechanism promises of the key that it makes
/// (that it hides its base, say) must not be had by the parameter of another.
pub(super) fn fits(parameter: Option<&Parameter>, row: &MechanismRow) -> Result<(), Error> {
    match parameter {
        Some(parameter) if form(parameter) != row.parameter => Err(invalid(row)),
        Some(_) | None => Ok(()),
    }
}

/// Reads the number of a hash.
pub(super) fn wire_hash(number: u32, row: &MechanismRow) -> Result<Hash, Error> {
    WireHash::from_number(number).map(hash).ok_or_else(|| invalid(row))
}

/// Returns the parameter of a mechanism that must have one.
pub(super) fn required<'a>(
    mechanism: Option<&'a MechanismUse>,
    row: &MechanismRow,
) -> Result<&'a Parameter, Error> {
    mechanism.and_then(|mechanism| mechanism.parameter.as_ref()).ok_or_else(|| invalid(row))
}

/// Checks that a mechanism without parameters has none.
pub(super) fn none(mechanism: Option<&MechanismUse>, row: &MechanismRow) -> Result<(), Error> {
    match mechanism.and_then(|mechanism| mechanism.parameter.as_ref()) {
        None => Ok(()),
        Some(_) => Err(invalid(row)),
    }
}

/// Reads the parameters of PSS: their hash must be the mechanism's where that has one.
pub(super) fn pss(mechanism: Option<&MechanismUse>, row: &MechanismRow) -> Result<rsa::Pss, Error> {
    let Parameter::Pss(Pss { hash: number, mgf, salt_bytes }) = required(mechanism, row)? else {
        return Err(invalid(row));
    };
    let digest = wire_hash(*number, row)?;
    if row.hash.is_some_and(|fixed| hash(fixed) != digest) {
        return Err(invalid(row));
    }
    let salt_bytes = usize::try_from(*salt_bytes).map_err(|_error| invalid(row))?;
    Ok(rsa::Pss { hash: digest, mgf: wire_hash(*mgf, row)?, salt_bytes })
}

/// Reads the parameters of OAEP.
pub(super) fn oaep<'a>(oaep: &'a Oaep, row: &MechanismRow) -> Result<rsa::Oaep<'a>, Error> {
    let (digest, mgf) = (wire_hash(oaep.hash, row)?, wire_hash(oaep.mgf, row)?);
    Ok(rsa::Oaep { hash: digest, mgf, label: &oaep.label })
}

/// Reads an IV of a block.
pub(super) fn iv(mechanism: Option<&MechanismUse>, row: &MechanismRow) -> Result<[u8; 16], Error> {
    match required(mechanism, row)? {
        Parameter::Iv(iv) => iv.as_slice().try_into().map_err(|_error| invalid(row)),
        _ => Err(invalid(row)),
    }
}

/// Reads the parameters of GCM, and the bytes of the tag.
pub(super) fn gcm<'a>(
    mechanism: Option<&'a MechanismUse>,
    row: &MechanismRow,
) -> Result<(&'a Gcm, usize), Error> {
    let Parameter::Gcm(gcm) = required(mechanism, row)? else { return Err(invalid(row)) };
    let bytes = usize::try_from(gcm.tag_bits / 8).map_err(|_error| invalid(row))?;
    let whole = gcm.tag_bits % 8 == 0 && matches!(bytes, 4 | 8 | 12..=16);
    if whole && gcm.iv.len() <= 256 { Ok((gcm, bytes)) } else { Err(invalid(row)) }
}

/// Reads the length of a MAC: the whole, or what a "general" mechanism says.
pub(super) fn mac_length(
    mechanism: Option<&MechanismUse>,
    row: &MechanismRow,
    whole: usize,
) -> Result<usize, Error> {
    if row.parameter != ParameterForm::MacLength {
        return none(mechanism, row).map(|()| whole);
    }
    let Parameter::MacLength(length) = required(mechanism, row)? else { return Err(invalid(row)) };
    let length = usize::try_from(*length).map_err(|_error| invalid(row))?;
    if (1..=whole).contains(&length) { Ok(length) } else { Err(invalid(row)) }
}
