//! Encryption and decryption.
//!
//! Parts of CBC and CTR are requests of their own, whose chaining value the client carries in the parameter; a part of CBC
//! with padding that is not the last is plain CBC. GCM comes whole: what was not authenticated is not shown.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what this family does not have is passed on or refused alike, new ones too"
)]

use casemate_crypto::aes;
use casemate_protocol::mechanisms::MechanismRow;
use casemate_protocol::messages::{Answer, Data, MechanismUse, Operation, Parameter, Part};
use casemate_protocol::{AttributeType, Error, Mechanism};

use super::parameters::{gcm, invalid, iv, none, oaep, required};
use super::sign::left_padded;
use super::{
    DECRYPT, ENCRYPT, LONG_DATA_BYTES, Usable, is_slow, operation_error, run_confirmed, usable,
};
use crate::limits;
use crate::objects::key::OpenKey;
use crate::outcome::Outcome;
use crate::reader::Context;

/// Encrypts.
pub(super) fn encrypt(context: &Context<'_>, operation: &Operation) -> Result<Outcome, Error> {
    let usable = usable(context, operation.key.as_ref(), operation.mechanism.as_ref(), ENCRYPT)?;
    if usable.row.mechanism == Mechanism::AesGcm {
        count_gcm(&usable, context.state.fips_mode())?;
    }
    go(context, usable, operation, |usable, mechanism, data, last| {
        seal(&usable.key, usable.row, mechanism, data, last)
    })
}

/// Decrypts.
pub(super) fn decrypt(context: &Context<'_>, operation: &Operation) -> Result<Outcome, Error> {
    let usable = usable(context, operation.key.as_ref(), operation.mechanism.as_ref(), DECRYPT)?;
    go(context, usable, operation, move |usable, mechanism, data, last| {
        let plaintext = open(&usable.key, usable.row, mechanism, data, last)?;
        Ok(Data { data: plaintext.into(), ..Data::default() })
    })
}

fn go(
    context: &Context<'_>,
    usable: Usable,
    operation: &Operation,
    work: impl FnOnce(&Usable, Option<&MechanismUse>, &[u8], bool) -> Result<Data, Error>
    + Send
    + 'static,
) -> Result<Outcome, Error> {
    let part = Part::from_number(operation.part).ok_or(Error::Malformed)?;
    let chained = matches!(
        usable.row.mechanism,
        Mechanism::AesEcb | Mechanism::AesCbc | Mechanism::AesCbcPad | Mechanism::AesCtr
    );
    if (part != Part::Whole && !chained) || !operation.state.is_empty() {
        return Err(Error::Malformed);
    }
    let last = matches!(part, Part::Whole | Part::Last);
    let slow = is_slow(&usable.key) || operation.data.len() > LONG_DATA_BYTES;
    let (mechanism, data) = (operation.mechanism.clone(), operation.data.clone());
    let wants = usable.object.has(AttributeType::AlwaysAuthenticate);
    run_confirmed(context, wants, (&operation.password, slow), move || {
        work(&usable, mechanism.as_ref(), &data, last).map(Answer::Data)
    })
}

/// Counts the invocations of GCM with a key on this HSM; beyond the limit FIPS mode refuses (SP 800-38D §8.3).
fn count_gcm(usable: &Usable, fips_mode: bool) -> Result<(), Error> {
    let count = usable.object.count_gcm();
    if fips_mode && count > limits::GCM_INVOCATIONS_MAX {
        Err(Error::InvocationLimit)
    } else {
        Ok(())
    }
}

fn seal(
    key: &OpenKey,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    data: &[u8],
    last: bool,
) -> Result<Data, Error> {
    let map = |error| operation_error(error, row);
    let plain = |data: Vec<u8>| Data { data: data.into(), ..Data::default() };
    match key {
        OpenKey::Aes(key) if row.mechanism == Mechanism::AesGcm => {
            let (gcm, tag_bytes) = gcm(mechanism, row)?;
            let prepared = key.gcm().map_err(map)?;
            if gcm.iv.is_empty() {
                let (iv, sealed) = prepared.seal(&gcm.aad, data, tag_bytes).map_err(map)?;
                return Ok(Data { data: sealed.into(), iv: iv.to_vec().into(), ..Data::default() });
            }
            let sealed = prepared.seal_with_iv(&gcm.iv, &gcm.aad, data, tag_bytes);
            sealed.map(plain).map_err(map)
        }
        OpenKey::Aes(key) => aes_encrypt(key, row, mechanism, data, last).map(plain),
        OpenKey::RsaPublic(key) => match row.mechanism {
            Mechanism::RsaPkcs => {
                none(mechanism, row)?;
                key.encrypt_pkcs1(data).map(plain).map_err(map)
            }
            Mechanism::RsaX509 => {
                none(mechanism, row)?;
                key.raw(&left_padded(data, key.modulus_bytes())?).map(plain).map_err(map)
            }
            _ => {
                let Parameter::Oaep(parameter) = required(mechanism, row)? else {
                    return Err(invalid(row));
                };
                key.encrypt_oaep(oaep(parameter, row)?, data).map(plain).map_err(map)
            }
        },
        _ => Err(Error::KeyTypeInconsistent(row.mechanism.number())),
    }
}

/// Encrypts by a mode of AES that is not GCM.
pub(super) fn aes_encrypt(
    key: &aes::Key,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    data: &[u8],
    last: bool,
) -> Result<Vec<u8>, Error> {
    let map = |error| operation_error(error, row);
    match row.mechanism {
        Mechanism::AesEcb => none(mechanism, row).and_then(|()| key.encrypt_ecb(data).map_err(map)),
        Mechanism::AesCbcPad if last => {
            key.encrypt_cbc_pad(&iv(mechanism, row)?, data).map_err(map)
        }
        Mechanism::AesCbc | Mechanism::AesCbcPad => {
            key.encrypt_cbc(&iv(mechanism, row)?, data).map_err(map)
        }
        Mechanism::AesCtr => counter(key, row, mechanism, data),
        Mechanism::AesKeyWrap => key.wrap(wrap_iv(mechanism, row)?.as_ref(), data).map_err(map),
        Mechanism::AesKeyWrapPad | Mechanism::AesKeyWrapKwp => {
            no_wrap_iv(mechanism, row)?;
            key.wrap_padded(data).map_err(map)
        }
        _ => Err(Error::MechanismInvalid(row.mechanism.number())),
    }
}

fn open(
    key: &OpenKey,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    data: &[u8],
    last: bool,
) -> Result<Vec<u8>, Error> {
    let map = |error| match operation_error(error, row) {
        Error::DataLength => Error::EncryptedDataLength,
        Error::DataInvalid => Error::EncryptedDataInvalid,
        error => error,
    };
    match key {
        OpenKey::Aes(key) => aes_decrypt(key, row, mechanism, data, last),
        OpenKey::Rsa(key) => {
            let plaintext = match row.mechanism {
                Mechanism::RsaPkcs => {
                    none(mechanism, row).and_then(|()| key.decrypt_pkcs1(data).map_err(map))
                }
                Mechanism::RsaX509 => {
                    none(mechanism, row).and_then(|()| key.raw(data).map_err(map))
                }
                _ => {
                    let Parameter::Oaep(parameter) = required(mechanism, row)? else {
                        return Err(invalid(row));
                    };
                    key.decrypt_oaep(oaep(parameter, row)?, data).map_err(map)
                }
            };
            plaintext.map(|plaintext| plaintext.expose().to_vec())
        }
        _ => Err(Error::KeyTypeInconsistent(row.mechanism.number())),
    }
}

/// Decrypts by any mode of AES.
pub(super) fn aes_decrypt(
    key: &aes::Key,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    data: &[u8],
    last: bool,
) -> Result<Vec<u8>, Error> {
    let map = |error| match operation_error(error, row) {
        Error::DataLength => Error::EncryptedDataLength,
        error => error,
    };
    let shown = |secret: casemate_crypto::Secret| secret.expose().to_vec();
    match row.mechanism {
        Mechanism::AesEcb => none(mechanism, row).and_then(|()| key.decrypt_ecb(data).map_err(map)),
        Mechanism::AesCbcPad if last => {
            key.decrypt_cbc_pad(&iv(mechanism, row)?, data).map_err(map)
        }
        Mechanism::AesCbc | Mechanism::AesCbcPad => {
            key.decrypt_cbc(&iv(mechanism, row)?, data).map_err(map)
        }
        Mechanism::AesCtr => counter(key, row, mechanism, data),
        Mechanism::AesGcm => {
            let (gcm, tag_bytes) = gcm(mechanism, row)?;
            let prepared = key.gcm().map_err(map)?;
            prepared.open(&gcm.iv, &gcm.aad, data, tag_bytes).map(shown).map_err(map)
        }
        Mechanism::AesKeyWrap => {
            key.unwrap(wrap_iv(mechanism, row)?.as_ref(), data).map(shown).map_err(map)
        }
        Mechanism::AesKeyWrapPad | Mechanism::AesKeyWrapKwp => {
            no_wrap_iv(mechanism, row)?;
            key.unwrap_padded(data).map(shown).map_err(map)
        }
        _ => Err(Error::MechanismInvalid(row.mechanism.number())),
    }
}

fn counter(
    key: &aes::Key,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    data: &[u8],
) -> Result<Vec<u8>, Error> {
    let Parameter::Counter(counter) = required(mechanism, row)? else { return Err(invalid(row)) };
    let bits = u32::try_from(counter.bits).map_err(|_error| invalid(row))?;
    let block = counter.block.as_slice().try_into().map_err(|_error| invalid(row))?;
    key.ctr(block, bits, data).map_err(|error| operation_error(error, row))
}

fn wrap_iv(mechanism: Option<&MechanismUse>, row: &MechanismRow) -> Result<Option<[u8; 8]>, Error> {
    match mechanism.and_then(|mechanism| mechanism.parameter.as_ref()) {
        None => Ok(None),
        Some(Parameter::Iv(iv)) => {
            iv.as_slice().try_into().map(Some).map_err(|_error| invalid(row))
        }
        Some(_) => Err(invalid(row)),
    }
}

/// KWP has an IV of its own (RFC 5649 §3); a caller may say it, but not another.
fn no_wrap_iv(mechanism: Option<&MechanismUse>, row: &MechanismRow) -> Result<(), Error> {
    match mechanism.and_then(|mechanism| mechanism.parameter.as_ref()) {
        None => Ok(()),
        Some(Parameter::Iv(iv)) if iv.as_slice() == [0xa6, 0x59, 0x59, 0xa6] => Ok(()),
        Some(_) => Err(invalid(row)),
    }
}
