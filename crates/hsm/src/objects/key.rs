//! Open keys: what the cryptographic library works with, made from material and header; and their bounded cache.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use casemate_crypto::{Secret, aes, ec, ed25519, ml_dsa, ml_kem, rsa, x25519};
use casemate_protocol::identity::ObjectId;
use casemate_protocol::objects::{MlDsaParameterSet, MlKemParameterSet};
use casemate_protocol::{AttributeType, Curve, Error, KeyType, ObjectClass};

use super::material::{point_of, read_number};
use super::object::{Header, Object};
use crate::limits;

/// A key that can be used.
pub(crate) enum OpenKey {
    Aes(Box<aes::Key>),
    Secret(Secret),
    Rsa(rsa::PrivateKey),
    RsaPublic(rsa::PublicKey),
    Ec(ec::PrivateKey),
    EcPublic(ec::PublicKey),
    Ed25519(ed25519::PrivateKey),
    Ed25519Public([u8; 32]),
    X25519(x25519::PrivateKey),
    X25519Public,
    MlDsa(ml_dsa::PrivateKey),
    MlDsaPublic(ml_dsa::PublicKey),
    MlKem(ml_kem::PrivateKey),
    MlKemPublic(ml_kem::PublicKey),
    /// An object without a key: data, a certificate.
    None,
}

/// Returns the curve of the library for an EC key.
pub(crate) fn ec_curve(header: &Header) -> Result<ec::Curve, Error> {
    let missing = Error::TemplateIncomplete(AttributeType::EcParams.number());
    let params = header.value(AttributeType::EcParams).ok_or(missing)?;
    match Curve::from_ec_params(params) {
        Some(Curve::P224) => Ok(ec::Curve::P224),
        Some(Curve::P256) => Ok(ec::Curve::P256),
        Some(Curve::P384) => Ok(ec::Curve::P384),
        Some(Curve::P521) => Ok(ec::Curve::P521),
        Some(Curve::Secp256k1) => Ok(ec::Curve::Secp256k1),
        Some(Curve::Ed25519 | Curve::X25519) | None => Err(Error::CurveNotSupported),
    }
}

pub(crate) fn ml_dsa_set(header: &Header) -> Result<ml_dsa::ParameterSet, Error> {
    let number = read_number(header, AttributeType::ParameterSet)?;
    match MlDsaParameterSet::from_number(number) {
        Some(MlDsaParameterSet::MlDsa44) => Ok(ml_dsa::ParameterSet::MlDsa44),
        Some(MlDsaParameterSet::MlDsa65) => Ok(ml_dsa::ParameterSet::MlDsa65),
        Some(MlDsaParameterSet::MlDsa87) => Ok(ml_dsa::ParameterSet::MlDsa87),
        None => Err(Error::AttributeValueInvalid(AttributeType::ParameterSet.number())),
    }
}

pub(crate) fn ml_kem_set(header: &Header) -> Result<ml_kem::ParameterSet, Error> {
    let number = read_number(header, AttributeType::ParameterSet)?;
    match MlKemParameterSet::from_number(number) {
        Some(MlKemParameterSet::MlKem512) => Ok(ml_kem::ParameterSet::MlKem512),
        Some(MlKemParameterSet::MlKem768) => Ok(ml_kem::ParameterSet::MlKem768),
        Some(MlKemParameterSet::MlKem1024) => Ok(ml_kem::ParameterSet::MlKem1024),
        None => Err(Error::AttributeValueInvalid(AttributeType::ParameterSet.number())),
    }
}

fn fixed_32(bytes: &[u8]) -> Result<&[u8; 32], Error> {
    bytes.try_into().map_err(|_error: std::array::TryFromSliceError| Error::KeySizeRange)
}

/// Maps what the library says of key material that somebody brought.
pub(crate) fn key_error(error: casemate_crypto::Error) -> Error {
    match error {
        casemate_crypto::Error::KeyLength => Error::KeySizeRange,
        casemate_crypto::Error::PublicKeyInvalid => Error::PublicKeyInvalid,
        casemate_crypto::Error::SelfTest(_) | casemate_crypto::Error::Pairwise => {
            Error::SelfTestFailed
        }
        casemate_crypto::Error::Library => Error::Internal,
        casemate_crypto::Error::KeyInvalid
        | casemate_crypto::Error::DataLength
        | casemate_crypto::Error::DataInvalid
        | casemate_crypto::Error::Parameter
        | casemate_crypto::Error::Decryption
        | casemate_crypto::Error::Signature => Error::KeyWeak,
    }
}

impl OpenKey {
    /// Makes the key of an object from its material. The form of the material per key type: raw bytes of secrets, of
    /// Ed25519 seeds and X25519 keys; PKCS#8 of RSA and EC; seed or expanded key of ML-DSA and ML-KEM.
    ///
    /// # Errors
    /// [`Error::KeyWeak`] and others if header and material do not make a key.
    pub(crate) fn new(header: &Header, material: &[u8]) -> Result<Self, Error> {
        let Some(key_type) = header.key_type else { return Ok(Self::None) };
        match header.class {
            ObjectClass::SecretKey => Self::secret(key_type, material),
            ObjectClass::PrivateKey => Self::private(header, key_type, material),
            ObjectClass::PublicKey => Self::public(header, key_type),
            ObjectClass::Data | ObjectClass::Certificate => Ok(Self::None),
        }
    }

    fn secret(key_type: KeyType, material: &[u8]) -> Result<Self, Error> {
        if key_type == KeyType::Aes {
            aes::Key::new(material).map(|key| Self::Aes(Box::new(key))).map_err(key_error)
        } else {
            Ok(Self::Secret(Secret::from_slice(material)))
        }
    }

    fn private(header: &Header, key_type: KeyType, material: &[u8]) -> Result<Self, Error> {
        let made =
            match key_type {
                KeyType::Rsa => rsa::PrivateKey::from_pkcs8(material).map(Self::Rsa),
                KeyType::Ec => ec::PrivateKey::from_pkcs8(material).map(Self::Ec),
                KeyType::EcEdwards => {
                    Ok(Self::Ed25519(ed25519::PrivateKey::from_seed(fixed_32(material)?)))
                }
                KeyType::EcMontgomery => {
                    Ok(Self::X25519(x25519::PrivateKey::from_bytes(fixed_32(material)?)))
                }
                KeyType::MlDsa if material.len() == ml_dsa::SEED_BYTES => {
                    ml_dsa::PrivateKey::from_seed(ml_dsa_set(header)?, material).map(Self::MlDsa)
                }
                KeyType::MlDsa => ml_dsa::PrivateKey::from_expanded(ml_dsa_set(header)?, material)
                    .map(Self::MlDsa),
                KeyType::MlKem if material.len() == ml_kem::SEED_BYTES => {
                    ml_kem::PrivateKey::from_seed(ml_kem_set(header)?, material).map(Self::MlKem)
                }
                KeyType::MlKem => ml_kem::PrivateKey::from_expanded(ml_kem_set(header)?, material)
                    .map(Self::MlKem),
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
        made.map_err(key_error)
    }

    fn public(header: &Header, key_type: KeyType) -> Result<Self, Error> {
        let value = |attribute: AttributeType| {
            header.value(attribute).ok_or_else(|| Error::TemplateIncomplete(attribute.number()))
        };
        let made = match key_type {
            KeyType::Rsa => rsa::PublicKey::new(
                value(AttributeType::Modulus)?,
                value(AttributeType::PublicExponent)?,
            )
            .map(Self::RsaPublic),
            KeyType::Ec => {
                let point = point_of(value(AttributeType::EcPoint)?);
                ec::PublicKey::from_point(ec_curve(header)?, point).map(Self::EcPublic)
            }
            KeyType::EcEdwards => {
                Ok(Self::Ed25519Public(*fixed_32(point_of(value(AttributeType::EcPoint)?))?))
            }
            KeyType::EcMontgomery => {
                fixed_32(point_of(value(AttributeType::EcPoint)?))?;
                Ok(Self::X25519Public)
            }
            KeyType::MlDsa => {
                ml_dsa::PublicKey::new(ml_dsa_set(header)?, value(AttributeType::Value)?)
                    .map(Self::MlDsaPublic)
            }
            KeyType::MlKem => {
                ml_kem::PublicKey::new(ml_kem_set(header)?, value(AttributeType::Value)?)
                    .map(Self::MlKemPublic)
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
        made.map_err(key_error)
    }
}

/// The open keys of this HSM: token keys in the order in which they were opened, and session objects by their id.
/// The locks are taken when a key is opened, and for session objects when one is used; never for a token key that is open.
#[derive(Default)]
pub(crate) struct OpenKeys {
    token: Mutex<VecDeque<Weak<Object>>>,
    session: [Mutex<Sessions>; 16],
}

#[derive(Default)]
struct Sessions {
    objects: BTreeMap<ObjectId, Arc<Object>>,
    order: VecDeque<ObjectId>,
}

impl OpenKeys {
    /// Remembers that a token key was opened, and closes old ones that are not used.
    pub(crate) fn opened(&self, object: &Arc<Object>) {
        let mut order = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        order.push_back(Arc::downgrade(object));
        let mut passes = order.len();
        while order.len() > limits::OPEN_KEYS_MAX && passes > 0 {
            passes = passes.saturating_sub(1);
            let Some(oldest) = order.pop_front() else { break };
            if let Some(kept) = oldest.upgrade().filter(|object| !object.close_unless_used()) {
                order.push_back(Arc::downgrade(&kept));
            }
        }
    }

    fn shard(&self, id: ObjectId) -> &Mutex<Sessions> {
        let [first, ..] = *id.as_bytes();
        #[expect(clippy::indexing_slicing, reason = "four bits choose one of sixteen")]
        &self.session[usize::from(first & 15)]
    }

    /// Returns a session object that was opened before: only for the very same bytes, all of them.
    pub(crate) fn session(&self, id: ObjectId, bytes: &[u8]) -> Option<Arc<Object>> {
        let sessions = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        sessions.objects.get(&id).filter(|object| object.bytes() == bytes).map(Arc::clone)
    }

    /// Keeps a session object that was opened.
    pub(crate) fn keep_session(&self, id: ObjectId, object: Arc<Object>) {
        let mut sessions = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.objects.insert(id, object).is_none() {
            sessions.order.push_back(id);
        }
        if sessions.order.len() > limits::OPEN_SESSION_OBJECTS_MAX / 16
            && let Some(oldest) = sessions.order.pop_front()
        {
            sessions.objects.remove(&oldest);
        }
    }
}
