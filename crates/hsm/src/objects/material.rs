//! From a template to a new object: the header, the key material, and what follows from both.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what this family does not have is passed on or refused alike, new ones too"
)]

use casemate_crypto::{Hash, Secret, aes, digest, ec, ed25519, ml_dsa, ml_kem, rsa, x25519};
use casemate_protocol::identity::{Generation, ObjectId, UserId};
use casemate_protocol::{
    AttributeType, Curve, Error, KeyType, Mechanism, ObjectClass, Template, limits,
};

use super::key::{OpenKey, ec_curve, key_error, ml_dsa_set, ml_kem_set};
use super::object::{Header, Origin};
use super::rules::{Function, new_attributes, new_flags};
use crate::entropy::draw;
use crate::reader::Context;

/// A new object that is not sealed yet.
pub(crate) struct Draft {
    pub(crate) header: Header,
    pub(crate) material: Secret,
}

/// Reads a number of a header.
pub(crate) fn read_number(header: &Header, attribute: AttributeType) -> Result<u64, Error> {
    let value =
        header.value(attribute).ok_or_else(|| Error::TemplateIncomplete(attribute.number()))?;
    let bytes = <[u8; 8]>::try_from(value);
    bytes
        .map(u64::from_be_bytes)
        .map_err(|_error| Error::AttributeValueInvalid(attribute.number()))
}

/// Takes a point out of its DER OCTET STRING; a point without one is taken as it is (PKCS#11 2.40 left it open).
pub(crate) fn point_of(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0x04, length, point @ ..] if usize::from(*length) == point.len() && *length < 0x80 => {
            point
        }
        [0x04, 0x81, length, point @ ..] if usize::from(*length) == point.len() => point,
        _ => bytes,
    }
}

/// Puts a point into a DER OCTET STRING.
pub(crate) fn octet_string(point: &[u8]) -> Vec<u8> {
    let length = u8::try_from(point.len()).unwrap_or(u8::MAX);
    let front: &[u8] = if length < 0x80 { &[0x04, length] } else { &[0x04, 0x81, length] };
    [front, point].concat()
}

/// Makes the header of a new object from its template.
///
/// # Errors
/// The fault, with its attribute.
pub(crate) fn header(
    context: &Context<'_>,
    template: &Template,
    function: Function,
    class: ObjectClass,
    key_type: Option<KeyType>,
) -> Result<Header, Error> {
    template.check()?;
    if template.class()?.is_some_and(|given| given != class) {
        return Err(Error::TemplateInconsistent(AttributeType::Class.number()));
    }
    if template.key_type()?.is_some_and(|given| Some(given) != key_type) {
        return Err(Error::TemplateInconsistent(AttributeType::KeyType.number()));
    }
    let origin = match function {
        Function::Generate | Function::GeneratePair => Origin::Generated,
        Function::Create => Origin::Created,
        Function::Unwrap => Origin::Unwrapped,
        Function::Derive => Origin::Derived,
    };
    let owner = context.log_in.map_or(UserId::from_bytes([0; 16]), |log_in| log_in.user);
    Ok(Header {
        id: ObjectId::from_bytes(draw(context.reader.entropy())),
        generation: Generation(1),
        class,
        key_type,
        size: 0,
        owner,
        shared_with: Vec::new(),
        log_in: None,
        origin,
        flags: new_flags(template, class, key_type, function)?,
        attributes: new_attributes(template, class, function)?,
    })
}

impl Draft {
    /// Makes a secret key.
    ///
    /// # Errors
    /// [`Error::KeySizeRange`], or [`Error::TemplateInconsistent`] if `CKA_VALUE_LEN` says otherwise.
    pub(crate) fn secret(
        mut header: Header,
        template: &Template,
        value: Secret,
    ) -> Result<Self, Error> {
        let length = u64::try_from(value.len()).map_err(|_error| Error::KeySizeRange)?;
        if template.number(AttributeType::ValueLen)?.is_some_and(|given| given != length) {
            return Err(Error::TemplateInconsistent(AttributeType::ValueLen.number()));
        }
        let legal = match header.key_type {
            Some(KeyType::Aes) => matches!(value.len(), 16 | 24 | 32),
            _ => (1..=limits::SECRET_BYTES_MAX).contains(&value.len()),
        };
        if !legal {
            return Err(Error::KeySizeRange);
        }
        if header.key_type == Some(KeyType::Aes) {
            let key = aes::Key::new(value.expose()).map_err(key_error)?;
            set_check_value(&mut header, &key.encrypt_block(&[0; 16]))?;
        }
        header.size = length;
        header.set(AttributeType::ValueLen, length.to_be_bytes().to_vec());
        Ok(Self { header, material: value })
    }

    /// Makes an object from the values that a caller brings.
    ///
    /// # Errors
    /// The fault, with its attribute.
    pub(crate) fn created(header: Header, template: &Template) -> Result<Self, Error> {
        match header.class {
            ObjectClass::SecretKey => {
                let value = required(template, AttributeType::Value)?;
                Self::secret(header, template, Secret::from_slice(value))
            }
            ObjectClass::PrivateKey => private_material(&header, template)
                .and_then(|material| Self::pair_half(header, material)),
            ObjectClass::PublicKey => {
                let mut header = header;
                normalise_public(&mut header)?;
                Self::pair_half(header, Secret::from_slice(&[]))
            }
            ObjectClass::Certificate => certificate(header, template),
            ObjectClass::Data => Ok(Self { header, material: Secret::from_slice(&[]) }),
        }
    }

    /// Makes one half of a pair: checks it and completes its header.
    ///
    /// # Errors
    /// As [`OpenKey::new`].
    pub(crate) fn pair_half(mut header: Header, material: Secret) -> Result<Self, Error> {
        let key = OpenKey::new(&header, material.expose())?;
        complete(&mut header, &key)?;
        Ok(Self { header, material })
    }

    /// Computes what follows from flags and origin, the last step before sealing.
    pub(crate) fn seal_flags(&mut self, base: Option<&Header>, made_by: Mechanism) {
        let header = &mut self.header;
        let flags = &mut header.flags;
        let inherited = |flag| base.is_none_or(|base| base.flags.has(flag));
        let inside = matches!(header.origin, Origin::Generated)
            || (header.origin == Origin::Derived && base.is_some());
        if matches!(header.class, ObjectClass::SecretKey | ObjectClass::PrivateKey) {
            let always = inside
                && flags.has(AttributeType::Sensitive)
                && inherited(AttributeType::AlwaysSensitive);
            let never = inside
                && !flags.has(AttributeType::Extractable)
                && inherited(AttributeType::NeverExtractable);
            flags.set(AttributeType::AlwaysSensitive, always);
            flags.set(AttributeType::NeverExtractable, never);
        }
        flags
            .set(AttributeType::Local, header.origin == Origin::Generated && header.class.is_key());
        if header.origin == Origin::Generated {
            header.set(AttributeType::KeyGenMechanism, made_by.number().to_be_bytes().to_vec());
        }
    }
}

fn required(template: &Template, attribute: AttributeType) -> Result<&[u8], Error> {
    template.bytes(attribute).ok_or_else(|| Error::TemplateIncomplete(attribute.number()))
}

fn set_check_value(header: &mut Header, encrypted: &[u8]) -> Result<(), Error> {
    let value = encrypted.get(..3).unwrap_or_default().to_vec();
    let given = header.value(AttributeType::CheckValue);
    if given.is_some_and(|given| !given.is_empty() && given != value) {
        return Err(Error::AttributeValueInvalid(AttributeType::CheckValue.number()));
    }
    header.set(AttributeType::CheckValue, value);
    Ok(())
}

fn private_material(header: &Header, template: &Template) -> Result<Secret, Error> {
    let key_type = header
        .key_type
        .ok_or_else(|| Error::TemplateIncomplete(AttributeType::KeyType.number()))?;
    let value = |attribute| required(template, attribute);
    match key_type {
        KeyType::Rsa => {
            let secret = |attribute| value(attribute).map(Secret::from_slice);
            let exponent =
                template.bytes(AttributeType::PublicExponent).unwrap_or(rsa::PUBLIC_EXPONENT);
            let parts = rsa::Components {
                modulus: value(AttributeType::Modulus)?.to_vec(),
                public_exponent: exponent.to_vec(),
                private_exponent: secret(AttributeType::PrivateExponent)?,
                prime_1: secret(AttributeType::Prime1)?,
                prime_2: secret(AttributeType::Prime2)?,
                exponent_1: secret(AttributeType::Exponent1)?,
                exponent_2: secret(AttributeType::Exponent2)?,
                coefficient: secret(AttributeType::Coefficient)?,
            };
            let key = rsa::PrivateKey::from_components(&parts).map_err(key_error)?;
            key.to_pkcs8().map_err(key_error)
        }
        KeyType::Ec => {
            let scalar = value(AttributeType::Value)?;
            let key = ec::PrivateKey::from_scalar(ec_curve(header)?, scalar).map_err(key_error)?;
            key.to_pkcs8().map_err(key_error)
        }
        KeyType::EcEdwards | KeyType::EcMontgomery => {
            check_curve(header, key_type)?;
            Ok(Secret::from_slice(value(AttributeType::Value)?))
        }
        KeyType::MlDsa | KeyType::MlKem => {
            let seed = template.bytes(AttributeType::Seed).filter(|seed| !seed.is_empty());
            Ok(Secret::from_slice(seed.map_or_else(|| value(AttributeType::Value), Ok)?))
        }
        KeyType::GenericSecret
        | KeyType::Aes
        | KeyType::HmacSha1
        | KeyType::HmacSha224
        | KeyType::HmacSha256
        | KeyType::HmacSha384
        | KeyType::HmacSha512
        | KeyType::Hkdf => Err(Error::TemplateInconsistent(AttributeType::KeyType.number())),
    }
}

/// Checks that `CKA_EC_PARAMS` names the curve of the key type.
pub(crate) fn check_curve(header: &Header, key_type: KeyType) -> Result<Curve, Error> {
    let params = header.value(AttributeType::EcParams);
    let params =
        params.ok_or_else(|| Error::TemplateIncomplete(AttributeType::EcParams.number()))?;
    let curve = Curve::from_ec_params(params).ok_or(Error::CurveNotSupported)?;
    if curve.key_type() == key_type {
        Ok(curve)
    } else {
        Err(Error::TemplateInconsistent(AttributeType::EcParams.number()))
    }
}

/// Writes a public key's values in one form: points as DER OCTET STRING, uncompressed where they are points of a
/// Weierstrass curve; numbers without leading zeros.
fn normalise_public(header: &mut Header) -> Result<(), Error> {
    let key_type = header
        .key_type
        .ok_or_else(|| Error::TemplateIncomplete(AttributeType::KeyType.number()))?;
    if matches!(key_type, KeyType::Ec | KeyType::EcEdwards | KeyType::EcMontgomery) {
        check_curve(header, key_type)?;
        let point = header.value(AttributeType::EcPoint);
        let point =
            point.ok_or_else(|| Error::TemplateIncomplete(AttributeType::EcPoint.number()))?;
        let point = point_of(point).to_vec();
        let whole = match key_type {
            KeyType::Ec => {
                let key =
                    ec::PublicKey::from_point(ec_curve(header)?, &point).map_err(key_error)?;
                key.point().map_err(key_error)?
            }
            _ => point,
        };
        header.set(AttributeType::EcPoint, octet_string(&whole));
    }
    for attribute in [AttributeType::Modulus, AttributeType::PublicExponent] {
        if let Some(value) = header.value(attribute) {
            let number = value.iter().copied().skip_while(|byte| *byte == 0).collect();
            header.set(attribute, number);
        }
    }
    Ok(())
}

fn certificate(mut header: Header, template: &Template) -> Result<Draft, Error> {
    let kind = template.number(AttributeType::CertificateType)?;
    // CKC_X_509 is the one kind there is.
    match kind {
        None => return Err(Error::TemplateIncomplete(AttributeType::CertificateType.number())),
        Some(0) => {}
        Some(_) => {
            return Err(Error::AttributeValueInvalid(AttributeType::CertificateType.number()));
        }
    }
    let value = required(template, AttributeType::Value)?;
    let fingerprint = digest::hash(Hash::Sha1, value);
    set_check_value(&mut header, fingerprint.as_ref())?;
    if header.value(AttributeType::CertificateCategory).is_none() {
        header.set(AttributeType::CertificateCategory, 0_u64.to_be_bytes().to_vec());
    }
    Ok(Draft { header, material: Secret::from_slice(&[]) })
}

/// Completes the header of a pair's half by what its key says.
fn complete(header: &mut Header, key: &OpenKey) -> Result<(), Error> {
    let bits =
        |bytes: usize| u64::try_from(bytes).map(|bytes| bytes.saturating_mul(8)).unwrap_or(0);
    let public_info = match key {
        OpenKey::Rsa(key) => {
            let parts = key.components().map_err(key_error)?;
            header.size = bits(key.public_key().modulus_bytes());
            header.set(AttributeType::Modulus, parts.modulus);
            header.set(AttributeType::PublicExponent, parts.public_exponent);
            Some(key.public_key().to_spki())
        }
        OpenKey::RsaPublic(key) => {
            header.size = bits(key.modulus_bytes());
            header.set(AttributeType::ModulusBits, header.size.to_be_bytes().to_vec());
            Some(key.to_spki())
        }
        OpenKey::Ec(key) => {
            header.size = check_curve(header, KeyType::Ec)?.bits();
            Some(key.public_key().and_then(|public| public.to_spki()))
        }
        OpenKey::EcPublic(key) => {
            header.size = check_curve(header, KeyType::Ec)?.bits();
            Some(key.to_spki())
        }
        OpenKey::Ed25519(_)
        | OpenKey::Ed25519Public(_)
        | OpenKey::X25519(_)
        | OpenKey::X25519Public => {
            header.size = 255;
            None
        }
        OpenKey::MlDsa(_)
        | OpenKey::MlDsaPublic(_)
        | OpenKey::MlKem(_)
        | OpenKey::MlKemPublic(_) => {
            header.size = read_number(header, AttributeType::ParameterSet)?;
            None
        }
        OpenKey::Aes(_) | OpenKey::Secret(_) | OpenKey::None => None,
    };
    if let Some(info) = public_info {
        header.set(AttributeType::PublicKeyInfo, info.map_err(key_error)?);
    }
    Ok(())
}

/// Returns a secret attribute's value from the open key: asked only for keys that may show it.
pub(crate) fn secret_value(key: &OpenKey, attribute: AttributeType) -> Option<Secret> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other pair of key and attribute has a value"
    )]
    match (key, attribute) {
        (OpenKey::Aes(key), AttributeType::Value) => {
            Some(Secret::from_slice(key.secret().expose()))
        }
        (OpenKey::Secret(secret), AttributeType::Value) => {
            Some(Secret::from_slice(secret.expose()))
        }
        (OpenKey::Ec(key), AttributeType::Value) => key.scalar().ok(),
        (OpenKey::Ed25519(key), AttributeType::Value) => Some(key.seed()),
        (OpenKey::X25519(key), AttributeType::Value) => Some(key.secret()),
        (OpenKey::MlDsa(key), AttributeType::Seed) => {
            key.seed().map(|seed| Secret::from_slice(seed.expose()))
        }
        (OpenKey::MlDsa(key), AttributeType::Value) => key.expanded().ok(),
        (OpenKey::MlKem(key), AttributeType::Seed) => {
            key.seed().map(|seed| Secret::from_slice(seed.expose()))
        }
        (OpenKey::MlKem(key), AttributeType::Value) => key.expanded().ok(),
        (OpenKey::Rsa(key), attribute) => {
            let parts = key.components().ok()?;
            match attribute {
                AttributeType::PrivateExponent => Some(parts.private_exponent),
                AttributeType::Prime1 => Some(parts.prime_1),
                AttributeType::Prime2 => Some(parts.prime_2),
                AttributeType::Exponent1 => Some(parts.exponent_1),
                AttributeType::Exponent2 => Some(parts.exponent_2),
                AttributeType::Coefficient => Some(parts.coefficient),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Makes a key pair: the halves' material, with the public values put into both headers.
///
/// # Errors
/// The fault, with its attribute.
pub(crate) fn generate_pair(
    mut public: Header,
    mut private: Header,
) -> Result<(Draft, Draft), Error> {
    let key_type = public
        .key_type
        .ok_or_else(|| Error::TemplateIncomplete(AttributeType::KeyType.number()))?;
    let material = match key_type {
        KeyType::Rsa => generate_rsa(&mut public)?,
        KeyType::Ec => {
            let key = ec::PrivateKey::generate(ec_curve(&public)?).map_err(key_error)?;
            let point = key.public_key().and_then(|public| public.point()).map_err(key_error)?;
            public.set(AttributeType::EcPoint, octet_string(&point));
            key.to_pkcs8().map_err(key_error)?
        }
        KeyType::EcEdwards => {
            check_curve(&public, key_type)?;
            let key = ed25519::PrivateKey::generate().map_err(key_error)?;
            public.set(AttributeType::EcPoint, octet_string(key.public_key()));
            key.seed()
        }
        KeyType::EcMontgomery => {
            check_curve(&public, key_type)?;
            let key = x25519::PrivateKey::generate().map_err(key_error)?;
            public.set(AttributeType::EcPoint, octet_string(key.public_key()));
            key.secret()
        }
        KeyType::MlDsa => {
            let key = ml_dsa::PrivateKey::generate(ml_dsa_set(&public)?).map_err(key_error)?;
            public.set(AttributeType::Value, key.public_key().map_err(key_error)?);
            let seed = key.seed().map(|seed| Secret::from_slice(seed.expose()));
            seed.map_or_else(|| key.expanded().map_err(key_error), Ok)?
        }
        KeyType::MlKem => {
            let key = ml_kem::PrivateKey::generate(ml_kem_set(&public)?).map_err(key_error)?;
            public.set(AttributeType::Value, key.public_key().map_err(key_error)?);
            let seed = key.seed().map(|seed| Secret::from_slice(seed.expose()));
            seed.map_or_else(|| key.expanded().map_err(key_error), Ok)?
        }
        KeyType::GenericSecret
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
    for attribute in [AttributeType::EcParams, AttributeType::ParameterSet] {
        if let Some(value) = public.value(attribute) {
            private.set(attribute, value.to_vec());
        }
    }
    let public = Draft::pair_half(public, Secret::from_slice(&[]))?;
    Ok((public, Draft::pair_half(private, material)?))
}

fn generate_rsa(public: &mut Header) -> Result<Secret, Error> {
    let bits = read_number(public, AttributeType::ModulusBits)?;
    let bits = usize::try_from(bits).map_err(|_error| Error::KeySizeRange)?;
    let exponent =
        public.value(AttributeType::PublicExponent).unwrap_or(rsa::PUBLIC_EXPONENT).to_vec();
    let invalid = |error| match error {
        casemate_crypto::Error::KeyInvalid => {
            Error::AttributeValueInvalid(AttributeType::PublicExponent.number())
        }
        error => key_error(error),
    };
    let key = rsa::PrivateKey::generate(bits, &exponent).map_err(invalid)?;
    let parts = key.components().map_err(key_error)?;
    public.set(AttributeType::Modulus, parts.modulus);
    public.set(AttributeType::PublicExponent, parts.public_exponent);
    key.to_pkcs8().map_err(key_error)
}
