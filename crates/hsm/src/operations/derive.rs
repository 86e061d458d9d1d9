//! Derivation, and keys from a KEM.
//!
//! Keys that still show their base (concatenation, XOR) inherit its secrecy (PKCS#11 3.2 §6.43): what was sensitive, not
//! extractable or for trusted keys alone to wrap stays so, and they are not cut: a piece of a few bytes could be guessed. One-way functions let the template say.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what this family does not have is passed on or refused alike, new ones too"
)]

use casemate_crypto::{Hash, Secret, ec, kdf};
use casemate_protocol::mechanisms::MechanismRow;
use casemate_protocol::messages::{
    Answer, CounterKdf, DeriveKey, Ecdh, Encapsulated, Hkdf, MechanismUse, Parameter, UnwrapKey,
};
use casemate_protocol::{AttributeType, Error, KeyType, Mechanism, ObjectClass, Template};

use super::generate::wanted_length;
use super::parameters::{hash, invalid, none, required, wire_hash};
use super::wrap::impose;
use super::{
    DECAPSULATE, DERIVE, ENCAPSULATE, Usable, approved, operation_error, secret_bytes, usable,
};
use crate::objects::Making;
use crate::objects::key::OpenKey;
use crate::objects::material::{Draft, header, point_of};
use crate::objects::object::Header;
use crate::objects::rules::Function;
use crate::outcome::Outcome;
use crate::reader::Context;

/// A secret key that is about to be made.
struct Target {
    header: Header,
    template: Template,
    key_type: KeyType,
    making: Making,
}

impl Target {
    fn new(context: &Context<'_>, template: Template, function: Function) -> Result<Self, Error> {
        template.check()?;
        if template.class()?.is_some_and(|class| class != ObjectClass::SecretKey) {
            return Err(Error::TemplateInconsistent(AttributeType::Class.number()));
        }
        let key_type = template.key_type()?.unwrap_or(KeyType::GenericSecret);
        if !key_type.is_secret() {
            return Err(Error::TemplateInconsistent(AttributeType::KeyType.number()));
        }
        let header = header(context, &template, function, ObjectClass::SecretKey, Some(key_type))?;
        Ok(Self { header, template, key_type, making: Making::new(context) })
    }

    /// Makes it from bytes: as many of the first as it wants, or all of them. ECDH takes from the front (§6.3.19).
    fn draft(
        self,
        value: &Secret,
        base: &Header,
        row: &MechanismRow,
    ) -> Result<(Draft, Making), Error> {
        let length = match wanted_length(&self.template, self.key_type) {
            Ok(length) => length,
            Err(Error::TemplateIncomplete(_)) => value.len(),
            Err(error) => return Err(error),
        };
        // A piece of a few bytes could be guessed, and the pieces put together again.
        if shows_its_base(row.mechanism) && length != value.len() {
            return Err(Error::KeySizeRange);
        }
        let value =
            value.expose().get(..length).map(Secret::from_slice).ok_or(Error::KeySizeRange)?;
        let mut draft = Draft::secret(self.header, &self.template, value)?;
        draft.seal_flags(Some(base), row.mechanism);
        Ok((draft, self.making))
    }
}

/// Derives a key.
pub(super) fn derive(context: &Context<'_>, request: &DeriveKey) -> Result<Outcome, Error> {
    let mechanism = request.mechanism.clone();
    let base = usable(context, request.base_key.as_ref(), mechanism.as_ref(), DERIVE)?;
    let mut template = request.template.clone().unwrap_or_default();
    impose(&base.object.header(), AttributeType::DeriveTemplate, &mut template)?;
    let mut target = Target::new(context, template, Function::Derive)?;
    if context.state.fips_mode() {
        let parameter = mechanism.as_ref().and_then(|mechanism| mechanism.parameter.as_ref());
        approved::derived(base.row, parameter, target.key_type)?;
    }
    let other = other_key(context, mechanism.as_ref())?;
    if shows_its_base(base.row.mechanism) {
        inherit(&mut target.header, &base.object.header());
        if let Some(other) = &other {
            inherit(&mut target.header, &other.object.header());
        }
    }
    Ok(Outcome::offload(move || {
        let derived = value(&base, other.as_ref(), mechanism.as_ref(), &target);
        let made = derived.and_then(|value| {
            let (draft, making) = target.draft(&value, &base.object.header(), base.row)?;
            making.one(draft)
        });
        made.into()
    }))
}

/// The second key of a derivation, which must be one to derive from as well.
fn other_key(
    context: &Context<'_>,
    mechanism: Option<&MechanismUse>,
) -> Result<Option<Usable>, Error> {
    let reference = match mechanism.and_then(|mechanism| mechanism.parameter.as_ref()) {
        Some(Parameter::Key(reference)) => reference,
        Some(Parameter::Hkdf(Hkdf { salt_key: Some(reference), .. })) => reference,
        _ => return Ok(None),
    };
    usable(context, Some(reference), mechanism, DERIVE).map(Some)
}

const fn shows_its_base(mechanism: Mechanism) -> bool {
    matches!(
        mechanism,
        Mechanism::ConcatenateBaseAndKey
            | Mechanism::ConcatenateBaseAndData
            | Mechanism::ConcatenateDataAndBase
            | Mechanism::XorBaseAndData
    )
}

fn inherit(header: &mut Header, base: &Header) {
    if base.flags.has(AttributeType::Sensitive) {
        header.flags.set(AttributeType::Sensitive, true);
    }
    if !base.flags.has(AttributeType::Extractable) {
        header.flags.set(AttributeType::Extractable, false);
    }
    if base.flags.has(AttributeType::WrapWithTrusted) {
        header.flags.set(AttributeType::WrapWithTrusted, true);
    }
}

fn value(
    base: &Usable,
    other: Option<&Usable>,
    mechanism: Option<&MechanismUse>,
    target: &Target,
) -> Result<Secret, Error> {
    let row = base.row;
    let length = || wanted_length(&target.template, target.key_type);
    let parameter = required(mechanism, row)?;
    match parameter {
        Parameter::Ecdh(ecdh) => agree(base, ecdh, target),
        Parameter::Hkdf(parameter) => hkdf(base, other, parameter, length),
        Parameter::CounterKdf(parameter) => counter(base, parameter, length()?),
        Parameter::Data(data) => with_data(secret(base)?, data, row),
        Parameter::Key(_) => {
            let other =
                other.and_then(|other| secret_bytes(&other.key)).ok_or(Error::KeyHandleInvalid)?;
            Ok(Secret::from_vec([secret(base)?, other].concat()))
        }
        _ => Err(invalid(row)),
    }
}

fn secret(base: &Usable) -> Result<&[u8], Error> {
    secret_bytes(&base.key).ok_or_else(|| Error::KeyTypeInconsistent(base.row.mechanism.number()))
}

fn with_data(base: &[u8], data: &[u8], row: &MechanismRow) -> Result<Secret, Error> {
    match row.mechanism {
        Mechanism::ConcatenateBaseAndData => Ok(Secret::from_vec([base, data].concat())),
        Mechanism::ConcatenateDataAndBase => Ok(Secret::from_vec([data, base].concat())),
        // As long as the shorter of the two (§6.43.6), which may not be the data: see `Target::draft`.
        Mechanism::XorBaseAndData if data.len() < base.len() => Err(Error::KeySizeRange),
        Mechanism::XorBaseAndData => {
            Ok(Secret::from_vec(base.iter().zip(data).map(|(a, b)| a ^ b).collect()))
        }
        _ => Err(invalid(row)),
    }
}

fn agree(base: &Usable, ecdh: &Ecdh, target: &Target) -> Result<Secret, Error> {
    let row = base.row;
    let map = |error| operation_error(error, row);
    let shared = match base.key.as_ref() {
        OpenKey::Ec(key) => {
            let public = ec::PublicKey::from_point(key.curve(), &ecdh.public)
                .or_else(|_error| ec::PublicKey::from_point(key.curve(), point_of(&ecdh.public)));
            key.agree(&public.map_err(map)?).map_err(map)?
        }
        OpenKey::X25519(key) => {
            let raw: Result<&[u8; 32], _> = ecdh.public.as_slice().try_into();
            let public = raw.or_else(|_error| point_of(&ecdh.public).try_into());
            let public = public.map_err(|_error: std::array::TryFromSliceError| invalid(row))?;
            key.agree(public).map_err(map)?
        }
        _ => return Err(Error::KeyTypeInconsistent(row.mechanism.number())),
    };
    let length = || wanted_length(&target.template, target.key_type);
    match ecdh.kdf {
        1 if ecdh.shared.is_empty() => Ok(shared),
        1 => Err(invalid(row)),
        number => {
            let (hash, x963) = ecdh_kdf(number).ok_or_else(|| invalid(row))?;
            let length = length()?;
            Ok(if x963 {
                kdf::x963(hash, shared.expose(), &ecdh.shared, length)
            } else {
                kdf::one_step(hash, shared.expose(), &ecdh.shared, length)
            })
        }
    }
}

/// `CKD_*_KDF` (X9.63) and `CKD_*_KDF_SP800` (SP 800-56C one-step): the hash, and whether it is X9.63.
const fn ecdh_kdf(number: u64) -> Option<(Hash, bool)> {
    Some(match number {
        2 => (Hash::Sha1, true),
        5 => (Hash::Sha224, true),
        6 => (Hash::Sha256, true),
        7 => (Hash::Sha384, true),
        8 => (Hash::Sha512, true),
        10 => (Hash::Sha3_224, true),
        11 => (Hash::Sha3_256, true),
        12 => (Hash::Sha3_384, true),
        13 => (Hash::Sha3_512, true),
        14 => (Hash::Sha1, false),
        15 => (Hash::Sha224, false),
        16 => (Hash::Sha256, false),
        17 => (Hash::Sha384, false),
        18 => (Hash::Sha512, false),
        19 => (Hash::Sha3_224, false),
        20 => (Hash::Sha3_256, false),
        21 => (Hash::Sha3_384, false),
        22 => (Hash::Sha3_512, false),
        _ => return None,
    })
}

fn hkdf(
    base: &Usable,
    other: Option<&Usable>,
    parameter: &Hkdf,
    length: impl Fn() -> Result<usize, Error>,
) -> Result<Secret, Error> {
    let row = base.row;
    let hash = wire_hash(parameter.hash, row)?;
    if !parameter.extract && !parameter.expand {
        return Err(invalid(row));
    }
    let salt = match other {
        Some(other) => secret_bytes(&other.key).ok_or(Error::KeyHandleInvalid)?,
        None => &parameter.salt,
    };
    let extracted = parameter
        .extract
        .then(|| secret(base).map(|secret| kdf::hkdf_extract(hash, salt, secret)));
    let extracted = extracted.transpose()?;
    let key = match &extracted {
        Some(key) => key.expose(),
        None => secret(base)?,
    };
    if !parameter.expand {
        return Ok(Secret::from_slice(key));
    }
    kdf::hkdf_expand(hash, key, &parameter.info, length()?)
        .map_err(|error| operation_error(error, row))
}

fn counter(base: &Usable, parameter: &CounterKdf, length: usize) -> Result<Secret, Error> {
    let row = base.row;
    let prf = match Mechanism::from_number(parameter.prf) {
        Some(Mechanism::AesCmac) => kdf::Prf::AesCmac,
        // PKCS#11 3.2 §6.42.7 names the PRF by its HMAC; some programs name the hash.
        Some(mechanism) => match mechanism.row().hash {
            Some(digest) if mechanism.is_hmac() || mechanism.row().key_types.is_empty() => {
                kdf::Prf::Hmac(hash(digest))
            }
            _ => return Err(invalid(row)),
        },
        None => return Err(invalid(row)),
    };
    if parameter.fields.len() > 16 {
        return Err(invalid(row));
    }
    let width = |bits: u64| {
        usize::try_from(bits / 8)
            .ok()
            .filter(|_| bits.is_multiple_of(8) && bits <= 64)
            .ok_or_else(|| invalid(row))
    };
    let fields = parameter.fields.iter().map(|field| match field.kind {
        1 => Ok(kdf::Field::Counter {
            width_bytes: width(field.width_bits)?,
            little_endian: field.little_endian,
        }),
        3 => Ok(kdf::Field::Length {
            width_bytes: width(field.width_bits)?,
            little_endian: field.little_endian,
            whole_blocks: field.length_method == 2,
        }),
        4 => Ok(kdf::Field::Bytes(field.bytes.clone())),
        _ => Err(invalid(row)),
    });
    let fields = fields.collect::<Result<Vec<_>, Error>>()?;
    kdf::counter(prf, secret(base)?, &fields, length).map_err(|error| operation_error(error, row))
}

/// Encapsulates: makes a key that the holder of the private key can make, too.
pub(super) fn encapsulate(context: &Context<'_>, request: &DeriveKey) -> Result<Outcome, Error> {
    let public =
        usable(context, request.base_key.as_ref(), request.mechanism.as_ref(), ENCAPSULATE)?;
    none(request.mechanism.as_ref(), public.row)?;
    let target =
        Target::new(context, request.template.clone().unwrap_or_default(), Function::Derive)?;
    Ok(Outcome::offload(move || {
        let OpenKey::MlKemPublic(key) = public.key.as_ref() else {
            return Outcome::error(Error::KeyTypeInconsistent(public.row.mechanism.number()));
        };
        let made = key.encapsulate().map_err(|error| operation_error(error, public.row));
        let made = made.and_then(|(ciphertext, shared)| {
            let (draft, making) = target.draft(&shared, &public.object.header(), public.row)?;
            making.one_with(draft, |made| {
                Answer::Encapsulated(Encapsulated {
                    ciphertext: ciphertext.into(),
                    made: Some(made),
                })
            })
        });
        made.into()
    }))
}

/// Decapsulates.
pub(super) fn decapsulate(context: &Context<'_>, request: &UnwrapKey) -> Result<Outcome, Error> {
    let reference = request.unwrapping_key.as_ref();
    let private = usable(context, reference, request.mechanism.as_ref(), DECAPSULATE)?;
    none(request.mechanism.as_ref(), private.row)?;
    let target =
        Target::new(context, request.template.clone().unwrap_or_default(), Function::Unwrap)?;
    let ciphertext = request.wrapped.clone();
    Ok(Outcome::offload(move || {
        let OpenKey::MlKem(key) = private.key.as_ref() else {
            return Outcome::error(Error::KeyTypeInconsistent(private.row.mechanism.number()));
        };
        let made = key.decapsulate(&ciphertext).map_err(|error| {
            match operation_error(error, private.row) {
                Error::DataLength => Error::WrappedKeyLength,
                error => error,
            }
        });
        let made = made.and_then(|shared| {
            let (draft, making) = target.draft(&shared, &private.object.header(), private.row)?;
            making.one(draft)
        });
        made.into()
    }))
}
