//! Wrapping and unwrapping: how keys leave and come in, always under another key.
//!
//! A key leaves only if it is extractable, belongs to the one who asks, and the wrapping key may wrap it
//! (`CKA_WRAP_WITH_TRUSTED`, `CKA_WRAP_TEMPLATE`). What comes in is never "always sensitive" nor "never extractable", and whatever is
//! wrong with a wrapped key is one error.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what this family does not have is passed on or refused alike, new ones too"
)]

use casemate_crypto::{Secret, aes, ec, ml_dsa, rsa};
use casemate_protocol::mechanisms::MechanismRow;
use casemate_protocol::messages::{MechanismUse, Parameter, UnwrapKey, WrapKey};
use casemate_protocol::{
    Attribute, AttributeType, Error, KeyType, Mechanism, ObjectClass, Template,
};
use prost::Message as _;

use super::cipher::{aes_decrypt, aes_encrypt};
use super::parameters::{gcm, invalid, none, oaep, required};
use super::{UNWRAP, WRAP, operation_error, usable};
use crate::objects::Making;
use crate::objects::access;
use crate::objects::key::{OpenKey, ml_dsa_set};
use crate::objects::material::{Draft, header};
use crate::objects::object::{Header, Object};
use crate::objects::rules::Function;
use crate::outcome::Outcome;
use crate::reader::Context;

/// Wraps a key.
pub(super) fn wrap(context: &Context<'_>, request: &WrapKey) -> Result<Outcome, Error> {
    let mechanism = request.mechanism.clone();
    let wrapping = usable(context, request.wrapping_key.as_ref(), mechanism.as_ref(), WRAP)?;
    let target = access::find(context, request.key.as_ref(), Error::KeyHandleInvalid)?;
    check_may_leave(context, &wrapping.object, &target)?;
    let payload = payload(&*access::open(context, &target)?)?;
    let private = target.class() == ObjectClass::PrivateKey;
    Ok(Outcome::offload(move || {
        let wrapped =
            wrap_bytes(&wrapping.key, wrapping.row, mechanism.as_ref(), &payload, private);
        wrapped.map(Outcome::answer).into()
    }))
}

fn check_may_leave(context: &Context<'_>, wrapping: &Object, target: &Object) -> Result<(), Error> {
    let user = context.log_in.ok_or(Error::LogInRequired)?.user;
    if !matches!(target.class(), ObjectClass::SecretKey | ObjectClass::PrivateKey) {
        return Err(Error::KeyNotWrappable);
    }
    if target.owner() != user {
        return Err(if target.is_for(user) { Error::NotOwner } else { Error::KeyHandleInvalid });
    }
    if !target.has(AttributeType::Extractable) {
        return Err(Error::KeyUnextractable);
    }
    if target.has(AttributeType::WrapWithTrusted) && !wrapping.has(AttributeType::Trusted) {
        return Err(Error::KeyNotWrappable);
    }
    let header = wrapping.header();
    let Some(template) = header.value(AttributeType::WrapTemplate) else { return Ok(()) };
    let template =
        Template::decode(template).map_err(|_error: prost::DecodeError| Error::Internal)?;
    if fits(&target.header(), target, &template) { Ok(()) } else { Err(Error::KeyNotWrappable) }
}

fn fits(header: &Header, object: &Object, template: &Template) -> bool {
    template.attributes.iter().all(|entry| {
        entry.attribute().is_ok_and(|attribute| {
            header.visible(object.number(), attribute).as_deref() == Some(entry.value.as_slice())
        })
    })
}

/// What is wrapped of a key: the value of a secret, PKCS#8 of a private key.
fn payload(key: &OpenKey) -> Result<Secret, Error> {
    let pkcs8 = match key {
        OpenKey::Aes(key) => return Ok(Secret::from_slice(key.secret().expose())),
        OpenKey::Secret(secret) => return Ok(Secret::from_slice(secret.expose())),
        OpenKey::Rsa(key) => key.to_pkcs8(),
        OpenKey::Ec(key) => key.to_pkcs8(),
        OpenKey::Ed25519(key) => key.to_pkcs8(),
        OpenKey::X25519(key) => key.to_pkcs8(),
        OpenKey::MlDsa(key) => key.to_pkcs8(),
        OpenKey::RsaPublic(_)
        | OpenKey::EcPublic(_)
        | OpenKey::Ed25519Public(_)
        | OpenKey::X25519Public
        | OpenKey::MlDsaPublic(_)
        | OpenKey::MlKem(_)
        | OpenKey::MlKemPublic(_)
        | OpenKey::None => return Err(Error::KeyNotWrappable),
    };
    pkcs8.map_err(|_error: casemate_crypto::Error| Error::KeyNotWrappable)
}

fn wrap_bytes(
    key: &OpenKey,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    payload: &Secret,
    private: bool,
) -> Result<casemate_protocol::messages::Answer, Error> {
    use casemate_protocol::messages::{Answer, Data};
    let map = |error| match operation_error(error, row) {
        Error::DataLength => Error::KeySizeRange,
        error => error,
    };
    let data = |data: Vec<u8>| Answer::Data(Data { data: data.into(), ..Data::default() });
    match (key, row.mechanism) {
        (OpenKey::Aes(key), Mechanism::AesGcm) => {
            let (gcm, tag_bytes) = gcm(mechanism, row)?;
            let prepared = key.gcm().map_err(map)?;
            if !gcm.iv.is_empty() {
                let sealed = prepared.seal_with_iv(&gcm.iv, &gcm.aad, payload.expose(), tag_bytes);
                return sealed.map(data).map_err(map);
            }
            let (iv, sealed) = prepared.seal(&gcm.aad, payload.expose(), tag_bytes).map_err(map)?;
            Ok(Answer::Data(Data {
                data: sealed.into(),
                iv: iv.to_vec().into(),
                ..Data::default()
            }))
        }
        (OpenKey::Aes(key), _) => {
            let wrapped = aes_encrypt(key, row, mechanism, payload.expose(), true);
            wrapped.map(data).map_err(|error| match error {
                Error::DataLength => Error::KeySizeRange,
                error => error,
            })
        }
        (OpenKey::RsaPublic(key), Mechanism::RsaAesKeyWrap) => {
            rsa_aes_wrap(key, row, mechanism, payload).map(data)
        }
        (OpenKey::RsaPublic(_), _) if private => Err(Error::KeySizeRange),
        (OpenKey::RsaPublic(key), Mechanism::RsaPkcs) => {
            none(mechanism, row)?;
            key.encrypt_pkcs1(payload.expose()).map(data).map_err(map)
        }
        (OpenKey::RsaPublic(key), Mechanism::RsaPkcsOaep) => {
            let Parameter::Oaep(parameter) = required(mechanism, row)? else {
                return Err(invalid(row));
            };
            key.encrypt_oaep(oaep(parameter, row)?, payload.expose()).map(data).map_err(map)
        }
        _ => Err(Error::WrappingKeyTypeInconsistent(row.mechanism.number())),
    }
}

/// PKCS#11 3.2 §6.1.14: a fresh AES key wraps by KWP, and goes before it under OAEP.
fn rsa_aes_wrap(
    key: &rsa::PublicKey,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    payload: &Secret,
) -> Result<Vec<u8>, Error> {
    let map = |error| operation_error(error, row);
    let Parameter::RsaAes(parameter) = required(mechanism, row)? else { return Err(invalid(row)) };
    let length = match parameter.aes_bits {
        128 => 16,
        192 => 24,
        256 => 32,
        _ => return Err(invalid(row)),
    };
    let parameters = oaep(parameter.oaep.as_ref().ok_or_else(|| invalid(row))?, row)?;
    let fresh = Secret::random(length);
    let aes = aes::Key::new(fresh.expose()).map_err(map)?;
    let mut wrapped = key.encrypt_oaep(parameters, fresh.expose()).map_err(map)?;
    wrapped.extend(aes.wrap_padded(payload.expose()).map_err(map)?);
    Ok(wrapped)
}

/// Unwraps a key.
pub(super) fn unwrap(context: &Context<'_>, request: &UnwrapKey) -> Result<Outcome, Error> {
    let mechanism = request.mechanism.clone();
    let unwrapping = usable(context, request.unwrapping_key.as_ref(), mechanism.as_ref(), UNWRAP)?;
    let mut template = request.template.clone().unwrap_or_default();
    template.check()?;
    let by = unwrapping.object.header();
    impose(&by, AttributeType::UnwrapTemplate, &mut template)?;
    // Else who may wrap by a trusted key could unwrap what he wrapped as a key that shows itself.
    if by.flags.has(AttributeType::Trusted) {
        let stays = [AttributeType::Sensitive, AttributeType::WrapWithTrusted];
        add(&mut template, stays.map(|flag| Attribute::flag(flag, true)))?;
    }
    let incomplete = |attribute: AttributeType| Error::TemplateIncomplete(attribute.number());
    let class = template.class()?.ok_or_else(|| incomplete(AttributeType::Class))?;
    let key_type = template.key_type()?.ok_or_else(|| incomplete(AttributeType::KeyType))?;
    let fits = match class {
        ObjectClass::SecretKey => key_type.is_secret(),
        ObjectClass::PrivateKey => !key_type.is_secret(),
        ObjectClass::Data | ObjectClass::Certificate | ObjectClass::PublicKey => false,
    };
    if !fits {
        return Err(Error::TemplateInconsistent(AttributeType::Class.number()));
    }
    let header = header(context, &template, Function::Unwrap, class, Some(key_type))?;
    let making = Making::new(context);
    let wrapped = request.wrapped.clone();
    Ok(Outcome::offload(move || {
        let value = unwrap_bytes(&unwrapping.key, unwrapping.row, mechanism.as_ref(), &wrapped);
        let made = value.and_then(|value| {
            let mut draft = draft(header, &template, value)?;
            draft.seal_flags(None, unwrapping.row.mechanism);
            making.one(draft)
        });
        made.into()
    }))
}

/// Adds what a key demands of those that it makes (`CKA_UNWRAP_TEMPLATE`, `CKA_DERIVE_TEMPLATE`) to what the caller wants.
///
/// # Errors
/// [`Error::TemplateInconsistent`] if he wants something else.
pub(super) fn impose(
    by: &Header,
    attribute: AttributeType,
    template: &mut Template,
) -> Result<(), Error> {
    let Some(demanded) = by.value(attribute) else { return Ok(()) };
    let demanded =
        Template::decode(demanded).map_err(|_error: prost::DecodeError| Error::Internal)?;
    add(template, demanded.attributes)
}

fn add(
    template: &mut Template,
    demanded: impl IntoIterator<Item = Attribute>,
) -> Result<(), Error> {
    for entry in demanded {
        match template.attributes.iter().find(|given| given.number == entry.number) {
            Some(given) if given.value != entry.value => {
                return Err(Error::TemplateInconsistent(entry.number));
            }
            Some(_) => {}
            None => template.attributes.push(entry),
        }
    }
    Ok(())
}

/// Makes the key from what was unwrapped. Whatever does not make one is one error.
fn draft(mut header: Header, template: &Template, value: Secret) -> Result<Draft, Error> {
    let damaged = |_error: casemate_crypto::Error| Error::WrappedKeyInvalid;
    let key_type = header.key_type.ok_or(Error::Internal)?;
    if header.class == ObjectClass::SecretKey {
        return Draft::secret(header, template, value).map_err(|error| match error {
            Error::KeySizeRange => Error::WrappedKeyInvalid,
            error => error,
        });
    }
    let material = match key_type {
        KeyType::Rsa => rsa::PrivateKey::from_pkcs8(value.expose())
            .and_then(|key| key.to_pkcs8())
            .map_err(damaged)?,
        KeyType::Ec => {
            let key = ec::PrivateKey::from_pkcs8(value.expose()).map_err(damaged)?;
            let params = curve_params(key.curve());
            if header.value(AttributeType::EcParams).is_some_and(|given| given != params) {
                return Err(Error::TemplateInconsistent(AttributeType::EcParams.number()));
            }
            header.set(AttributeType::EcParams, params.to_vec());
            key.to_pkcs8().map_err(damaged)?
        }
        KeyType::EcEdwards => {
            let params = casemate_protocol::Curve::Ed25519.ec_params().to_vec();
            header.set(AttributeType::EcParams, params);
            casemate_crypto::ed25519::PrivateKey::from_pkcs8(value.expose())
                .map_err(damaged)?
                .seed()
        }
        KeyType::EcMontgomery => {
            let params = casemate_protocol::Curve::X25519.ec_params().to_vec();
            header.set(AttributeType::EcParams, params);
            casemate_crypto::x25519::PrivateKey::from_pkcs8(value.expose())
                .map_err(damaged)?
                .secret()
        }
        KeyType::MlDsa => {
            let key = ml_dsa::PrivateKey::from_pkcs8(ml_dsa_set(&header)?, value.expose())
                .map_err(damaged)?;
            let seed = key.seed().map(|seed| Secret::from_slice(seed.expose()));
            seed.map_or_else(|| key.expanded().map_err(damaged), Ok)?
        }
        KeyType::MlKem
        | KeyType::GenericSecret
        | KeyType::Aes
        | KeyType::HmacSha1
        | KeyType::HmacSha224
        | KeyType::HmacSha256
        | KeyType::HmacSha384
        | KeyType::HmacSha512
        | KeyType::Hkdf => {
            return Err(Error::TemplateInconsistent(AttributeType::KeyType.number()));
        }
    };
    Draft::pair_half(header, material)
}

const fn curve_params(curve: ec::Curve) -> &'static [u8] {
    use casemate_protocol::Curve;
    match curve {
        ec::Curve::P224 => Curve::P224.ec_params(),
        ec::Curve::P256 => Curve::P256.ec_params(),
        ec::Curve::P384 => Curve::P384.ec_params(),
        ec::Curve::P521 => Curve::P521.ec_params(),
        ec::Curve::Secp256k1 => Curve::Secp256k1.ec_params(),
    }
}

fn unwrap_bytes(
    key: &OpenKey,
    row: &'static MechanismRow,
    mechanism: Option<&MechanismUse>,
    wrapped: &[u8],
) -> Result<Secret, Error> {
    let one_error = |error: Error| match error {
        Error::EncryptedDataInvalid | Error::DataInvalid => Error::WrappedKeyInvalid,
        Error::EncryptedDataLength | Error::DataLength => Error::WrappedKeyLength,
        error => error,
    };
    let map = |error| one_error(operation_error(error, row));
    match (key, row.mechanism) {
        (OpenKey::Aes(key), _) => {
            let value = aes_decrypt(key, row, mechanism, wrapped, true).map_err(one_error)?;
            Ok(Secret::from_vec(value))
        }
        (OpenKey::Rsa(key), Mechanism::RsaPkcs) => {
            none(mechanism, row)?;
            key.decrypt_pkcs1(wrapped).map_err(map)
        }
        (OpenKey::Rsa(key), Mechanism::RsaPkcsOaep) => {
            let Parameter::Oaep(parameter) = required(mechanism, row)? else {
                return Err(invalid(row));
            };
            key.decrypt_oaep(oaep(parameter, row)?, wrapped).map_err(map)
        }
        (OpenKey::Rsa(key), Mechanism::RsaAesKeyWrap) => {
            let Parameter::RsaAes(parameter) = required(mechanism, row)? else {
                return Err(invalid(row));
            };
            let parameters = oaep(parameter.oaep.as_ref().ok_or_else(|| invalid(row))?, row)?;
            let size = key.public_key().modulus_bytes();
            let (front, rest) = wrapped.split_at_checked(size).ok_or(Error::WrappedKeyLength)?;
            let fresh = key.decrypt_oaep(parameters, front).map_err(map)?;
            let aes = aes::Key::new(fresh.expose())
                .map_err(|_error: casemate_crypto::Error| Error::WrappedKeyInvalid)?;
            aes.unwrap_padded(rest).map_err(map)
        }
        _ => Err(Error::WrappingKeyTypeInconsistent(row.mechanism.number())),
    }
}
