//! Making keys: secret ones, pairs, and keys from passwords.

use casemate_crypto::{Secret, kdf};
use casemate_protocol::mechanisms::{Functions, MechanismRow};
use casemate_protocol::messages::{GenerateKey, GenerateKeyPair, MechanismUse, Parameter};
use casemate_protocol::{
    AttributeType, Error, KeyType, Mechanism, ObjectClass, Template, limits as wire,
};

use super::parameters::{invalid, none, required, wire_hash};
use super::{approved, operation_error, row_for, usual_length};
use crate::objects::Making;
use crate::objects::key::ec_curve;
use crate::objects::material::{Draft, generate_pair, header};
use crate::objects::rules::Function;
use crate::outcome::Outcome;
use crate::reader::Context;

/// PBKDF2 rounds that one request may ask for: seconds of one core.
const ROUNDS_MAX: u64 = 10_000_000;

/// Returns the length that a template asks for, or the usual one of the key type.
pub(super) fn wanted_length(template: &Template, key_type: KeyType) -> Result<usize, Error> {
    let incomplete = Error::TemplateIncomplete(AttributeType::ValueLen.number());
    match template.number(AttributeType::ValueLen)? {
        Some(length) => usize::try_from(length)
            .ok()
            .filter(|length| (1..=wire::SECRET_BYTES_MAX).contains(length))
            .ok_or(Error::KeySizeRange),
        None => usual_length(key_type).ok_or(incomplete),
    }
}

/// Answers a request for a secret key.
pub(super) fn key(context: &Context<'_>, request: &GenerateKey) -> Result<Outcome, Error> {
    let row = row_for(context, request.mechanism.as_ref(), Functions::GENERATE)?;
    let template = request.template.clone().unwrap_or_default();
    template.check()?;
    let default = row.key_types.first().copied().unwrap_or(KeyType::GenericSecret);
    let key_type = template.key_type()?.unwrap_or(default);
    let fits =
        key_type.is_secret() && (row.key_types.is_empty() || row.key_types.contains(&key_type));
    if !fits {
        return Err(Error::TemplateInconsistent(AttributeType::KeyType.number()));
    }
    let header =
        header(context, &template, Function::Generate, ObjectClass::SecretKey, Some(key_type))?;
    let length = wanted_length(&template, key_type)?;
    let making = Making::new(context);
    let finish = move |value: Secret| {
        let mut draft = Draft::secret(header, &template, value)?;
        draft.seal_flags(None, row.mechanism);
        making.one(draft)
    };
    if row.mechanism == Mechanism::Pkcs5Pbkd2 {
        let derive = pbkdf2(request.mechanism.as_ref(), row, length)?;
        return Ok(Outcome::offload(move || derive().and_then(finish).into()));
    }
    none(request.mechanism.as_ref(), row)?;
    finish(Secret::random(length))
}

fn pbkdf2(
    mechanism: Option<&MechanismUse>,
    row: &'static MechanismRow,
    length: usize,
) -> Result<impl FnOnce() -> Result<Secret, Error> + Send + 'static, Error> {
    let Parameter::Pbkdf2(parameter) = required(mechanism, row)? else { return Err(invalid(row)) };
    let hash = wire_hash(parameter.hash, row)?;
    let rounds = u32::try_from(parameter.iterations).ok();
    let rounds = rounds
        .filter(|_| (1..=ROUNDS_MAX).contains(&parameter.iterations))
        .ok_or_else(|| invalid(row))?;
    let password = Secret::from_slice(&parameter.password);
    let salt = parameter.salt.clone();
    Ok(move || {
        let mut out = zeroize::Zeroizing::new(vec![0; length]);
        let derived = kdf::pbkdf2(hash, password.expose(), &salt, rounds, &mut out);
        derived.map_err(|error| operation_error(error, row))?;
        Ok(Secret::from_slice(&out))
    })
}

/// Answers a request for a key pair.
pub(super) fn pair(context: &Context<'_>, request: &GenerateKeyPair) -> Result<Outcome, Error> {
    let row = row_for(context, request.mechanism.as_ref(), Functions::GENERATE_KEY_PAIR)?;
    none(request.mechanism.as_ref(), row)?;
    let key_type = row.key_types.first().copied();
    let template = |template: &Option<Template>| template.clone().unwrap_or_default();
    let (public, mut private) = (template(&request.public), template(&request.private));
    // Programs repeat the domain parameters for the private key; they are the public key's to say.
    private.attributes.retain(|entry| {
        let repeated = [AttributeType::EcParams, AttributeType::ParameterSet];
        !(repeated.iter().any(|attribute| attribute.number() == entry.number)
            && public.attributes.contains(entry))
    });
    let public =
        header(context, &public, Function::GeneratePair, ObjectClass::PublicKey, key_type)?;
    let private =
        header(context, &private, Function::GeneratePair, ObjectClass::PrivateKey, key_type)?;
    if context.state.fips_mode()
        && key_type == Some(KeyType::Ec)
        && !approved::curve(ec_curve(&public)?)
    {
        return Err(Error::KeyNotApproved(row.mechanism.number()));
    }
    let making = Making::new(context);
    Ok(Outcome::offload(move || {
        let made = generate_pair(public, private).and_then(|(mut public, mut private)| {
            public.seal_flags(None, row.mechanism);
            private.seal_flags(None, row.mechanism);
            making.pair(public, private)
        });
        made.into()
    }))
}
