//! Signatures and MACs: made and verified.
//!
//! Data of a mechanism that hashes is the digest, whose length must be right: a message is hashed in the client. HMAC,
//! EdDSA and ML-DSA get the message. CMAC goes in parts, whose state the client carries, sealed for this key and this log-in.

use casemate_crypto::aes::CmacState;
use casemate_crypto::{constant_time_eq, ed25519, hmac};
use casemate_protocol::canonical::Writer;
use casemate_protocol::mechanisms::MechanismRow;
use casemate_protocol::messages::{
    Answer, Data, Empty, MechanismUse, Operation, Parameter, Part, Verify,
};
use casemate_protocol::{AttributeType, Error, Mechanism};

use super::parameters::{hash, invalid, mac_length, none, pss};
use super::{
    LONG_DATA_BYTES, SIGN, Usable, VERIFY, is_slow, operation_error, run, run_confirmed, usable,
};
use crate::objects::binding;
use crate::objects::key::OpenKey;
use crate::outcome::Outcome;
use crate::reader::Context;
use crate::sealing::{Purpose, SealError};

fn part(operation: &Operation) -> Result<Part, Error> {
    Part::from_number(operation.part).ok_or(Error::Malformed)
}

/// Signs, or computes a MAC.
pub(super) fn sign(context: &Context<'_>, operation: &Operation) -> Result<Outcome, Error> {
    let mechanism = operation.mechanism.as_ref();
    let usable = usable(context, operation.key.as_ref(), mechanism, SIGN)?;
    if is_cmac(usable.row) {
        return cmac(context, &usable, operation, None);
    }
    whole(operation)?;
    let slow = is_slow(&usable.key) || operation.data.len() > LONG_DATA_BYTES;
    let (mechanism, data) = (operation.mechanism.clone(), operation.data.clone());
    let wants = usable.object.has(AttributeType::AlwaysAuthenticate);
    run_confirmed(context, wants, (&operation.password, slow), move || {
        let signature = make(&usable.key, usable.row, mechanism.as_ref(), &data)?;
        Ok(Answer::Data(Data { data: signature.into(), ..Data::default() }))
    })
}

/// Verifies a signature or a MAC.
pub(super) fn verify(context: &Context<'_>, verify: &Verify) -> Result<Outcome, Error> {
    let operation = verify.operation.as_ref().ok_or(Error::Malformed)?;
    let mechanism = operation.mechanism.as_ref();
    let usable = usable(context, operation.key.as_ref(), mechanism, VERIFY)?;
    if is_cmac(usable.row) {
        return cmac(context, &usable, operation, Some(&verify.signature));
    }
    whole(operation)?;
    let slow = is_slow(&usable.key) || operation.data.len() > LONG_DATA_BYTES;
    let (mechanism, data) = (operation.mechanism.clone(), operation.data.clone());
    let signature = verify.signature.clone();
    Ok(run(slow, move || {
        check(&usable.key, usable.row, mechanism.as_ref(), &data, &signature)?;
        Ok(Answer::Done(Empty {}))
    }))
}

fn whole(operation: &Operation) -> Result<(), Error> {
    if part(operation)? == Part::Whole && operation.state.is_empty() {
        Ok(())
    } else {
        Err(Error::Malformed)
    }
}

const fn is_cmac(row: &MechanismRow) -> bool {
    matches!(row.mechanism, Mechanism::AesCmac | Mechanism::AesCmacGeneral)
}

/// Checks that data is a digest of the mechanism's hash.
fn check_digest(row: &MechanismRow, data: &[u8]) -> Result<(), Error> {
    let right = row.mechanism.client_hash().is_none_or(|hash| hash.output_bytes() == data.len());
    if right && !data.is_empty() { Ok(()) } else { Err(Error::DataLength) }
}

const fn is_pss(row: &MechanismRow) -> bool {
    matches!(row.parameter, casemate_protocol::mechanisms::ParameterForm::Pss)
}

fn make(
    key: &OpenKey,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    data: &[u8],
) -> Result<Vec<u8>, Error> {
    let map = |error| operation_error(error, row);
    match key {
        OpenKey::Ec(key) => {
            none(mechanism, row)?;
            check_digest(row, data)?;
            key.sign(data).map(|signature| signature.as_ref().to_vec()).map_err(map)
        }
        OpenKey::Rsa(key) if is_pss(row) => key.sign_pss(pss(mechanism, row)?, data).map_err(map),
        OpenKey::Rsa(key) => {
            none(mechanism, row)?;
            match (row.mechanism, row.hash) {
                (_, Some(digest)) => key.sign_pkcs1(hash(digest), data).map_err(map),
                (Mechanism::RsaX509, None) => {
                    let padded = left_padded(data, key.public_key().modulus_bytes())?;
                    key.raw(&padded).map(|raw| raw.expose().to_vec()).map_err(map)
                }
                (_, None) => key.sign_pkcs1_raw(data).map_err(map),
            }
        }
        OpenKey::Ed25519(key) => {
            let scheme = eddsa(mechanism, row)?;
            key.sign(scheme, data).map(|signature| signature.to_vec()).map_err(map)
        }
        OpenKey::MlDsa(key) => key.sign(ml_dsa_context(mechanism, row, true)?, data).map_err(map),
        OpenKey::Secret(secret) => {
            let digest = hash(row.hash.ok_or_else(|| invalid(row))?);
            let length = mac_length(mechanism, row, digest.output_bytes())?;
            let tag = hmac::sign(digest, secret.expose(), &[data]);
            Ok(tag.as_ref().get(..length).unwrap_or_default().to_vec())
        }
        OpenKey::Aes(_)
        | OpenKey::RsaPublic(_)
        | OpenKey::EcPublic(_)
        | OpenKey::Ed25519Public(_)
        | OpenKey::X25519(_)
        | OpenKey::X25519Public
        | OpenKey::MlDsaPublic(_)
        | OpenKey::MlKem(_)
        | OpenKey::MlKemPublic(_)
        | OpenKey::None => Err(Error::KeyTypeInconsistent(row.mechanism.number())),
    }
}

fn check(
    key: &OpenKey,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    data: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let map = |error| operation_error(error, row);
    let sized = |length: usize| {
        if signature.len() == length { Ok(()) } else { Err(Error::SignatureLength) }
    };
    match key {
        OpenKey::EcPublic(key) => {
            none(mechanism, row)?;
            check_digest(row, data)?;
            sized(key.curve().field_bytes().saturating_mul(2))?;
            key.verify(data, signature).map_err(map)
        }
        OpenKey::RsaPublic(key) => {
            sized(key.modulus_bytes())?;
            if is_pss(row) {
                return key.verify_pss(pss(mechanism, row)?, data, signature).map_err(map);
            }
            none(mechanism, row)?;
            match (row.mechanism, row.hash) {
                (_, Some(digest)) => key.verify_pkcs1(hash(digest), data, signature).map_err(map),
                (Mechanism::RsaX509, None) => {
                    let padded = left_padded(data, key.modulus_bytes())?;
                    let raw = key.raw(signature).map_err(map)?;
                    if raw == padded { Ok(()) } else { Err(Error::SignatureInvalid) }
                }
                (_, None) => key.verify_pkcs1_raw(data, signature).map_err(map),
            }
        }
        OpenKey::Ed25519Public(key) => {
            sized(ed25519::SIGNATURE_BYTES)?;
            ed25519::verify(key, eddsa(mechanism, row)?, data, signature).map_err(map)
        }
        OpenKey::MlDsaPublic(key) => {
            key.verify(ml_dsa_context(mechanism, row, false)?, data, signature).map_err(map)
        }
        OpenKey::Secret(secret) => {
            let digest = hash(row.hash.ok_or_else(|| invalid(row))?);
            sized(mac_length(mechanism, row, digest.output_bytes())?)?;
            hmac::verify(digest, secret.expose(), &[data], signature).map_err(map)
        }
        OpenKey::Aes(_)
        | OpenKey::Rsa(_)
        | OpenKey::Ec(_)
        | OpenKey::Ed25519(_)
        | OpenKey::X25519(_)
        | OpenKey::X25519Public
        | OpenKey::MlDsa(_)
        | OpenKey::MlKem(_)
        | OpenKey::MlKemPublic(_)
        | OpenKey::None => Err(Error::KeyTypeInconsistent(row.mechanism.number())),
    }
}

/// Raw RSA pads on the left with zeros (PKCS#11 3.2 §6.1.9).
pub(super) fn left_padded(data: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    let zeros = length.checked_sub(data.len()).ok_or(Error::DataLength)?;
    Ok([&vec![0; zeros][..], data].concat())
}

fn eddsa<'a>(
    mechanism: Option<&'a MechanismUse>,
    row: &MechanismRow,
) -> Result<ed25519::Scheme<'a>, Error> {
    match mechanism.and_then(|mechanism| mechanism.parameter.as_ref()) {
        None => Ok(ed25519::Scheme::Pure),
        Some(Parameter::Eddsa(eddsa)) if eddsa.prehashed => {
            Ok(ed25519::Scheme::Prehashed(&eddsa.context))
        }
        Some(Parameter::Eddsa(eddsa)) if eddsa.context.is_empty() => Ok(ed25519::Scheme::Pure),
        Some(Parameter::Eddsa(eddsa)) => Ok(ed25519::Scheme::Context(&eddsa.context)),
        Some(_) => Err(invalid(row)),
    }
}

/// The library signs hedged; that a signature must be deterministic (`CKH_DETERMINISTIC_REQUIRED`) it cannot promise.
fn ml_dsa_context<'a>(
    mechanism: Option<&'a MechanismUse>,
    row: &MechanismRow,
    signing: bool,
) -> Result<&'a [u8], Error> {
    match mechanism.and_then(|mechanism| mechanism.parameter.as_ref()) {
        None => Ok(&[]),
        Some(Parameter::MlDsa(parameter)) if !(signing && parameter.hedge == 2) => {
            Ok(&parameter.context)
        }
        Some(_) => Err(invalid(row)),
    }
}

/// One part of a CMAC, or all of it: `expected` is the tag to verify.
fn cmac(
    context: &Context<'_>,
    usable: &Usable,
    operation: &Operation,
    expected: Option<&[u8]>,
) -> Result<Outcome, Error> {
    let OpenKey::Aes(key) = usable.key.as_ref() else {
        return Err(Error::KeyTypeInconsistent(usable.row.mechanism.number()));
    };
    let length = mac_length(operation.mechanism.as_ref(), usable.row, 16)?;
    let log_in = context.log_in.ok_or(Error::LogInRequired)?;
    let mut fields = Writer::new("casemate/cmac-state/v1");
    fields.fixed(log_in.id.as_bytes()).u8(u8::from(expected.is_some()));
    binding(&usable.object, &mut fields);
    let fields = fields.finish();
    let part = part(operation)?;
    let mut state = match part {
        Part::Whole | Part::First => CmacState::default(),
        Part::Middle | Part::Last => {
            let opened = context.keyring.open(Purpose::Chain, &operation.state);
            let opened = opened.map_err(|_error: SealError| Error::StateInvalid)?;
            if opened.fields != fields {
                return Err(Error::StateInvalid);
            }
            let state = CmacState::import(opened.plaintext.expose());
            state.map_err(|_error: casemate_crypto::Error| Error::StateInvalid)?
        }
    };
    state.update(key, &operation.data);
    match (part, expected) {
        (Part::First | Part::Middle, _) => {
            let exported = zeroize::Zeroizing::new(state.export());
            let state = context.keyring.seal(Purpose::Chain, &fields, &exported).into();
            Ok(Outcome::answer(Answer::Data(Data { state, ..Data::default() })))
        }
        (Part::Whole | Part::Last, None) => {
            let data = state.finish(key).get(..length).unwrap_or_default().to_vec();
            Ok(Outcome::answer(Answer::Data(Data { data: data.into(), ..Data::default() })))
        }
        (Part::Whole | Part::Last, Some(expected)) => {
            if expected.len() != length {
                return Err(Error::SignatureLength);
            }
            let tag = state.finish(key);
            let right = constant_time_eq(tag.get(..length).unwrap_or_default(), expected);
            if right {
                Ok(Outcome::answer(Answer::Done(Empty {})))
            } else {
                Err(Error::SignatureInvalid)
            }
        }
    }
}
