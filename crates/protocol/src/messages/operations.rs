//! Use of keys: sign, encrypt, wrap, derive, and what they give.

use bytes::Bytes;
use prost::Message;

use super::objects::{MadeObject, ObjectReference};
use super::parameters::MechanismUse;
use crate::template::Template;

/// Which part of a multi-part operation a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole = 0,
    /// The first part: no state before it.
    First = 1,
    /// A part with a state before it and one after it.
    Middle = 2,
    /// The last part, with a state before it.
    Last = 3,
}

impl Part {
    /// Reads the number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Whole, Self::First, Self::Middle, Self::Last]
            .into_iter()
            .find(|&part| part as u32 == number)
    }
}

/// A key, a mechanism and data: sign, encrypt, decrypt.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Operation {
    /// The key.
    #[prost(message, optional, tag = "1")]
    pub key: Option<ObjectReference>,
    /// The mechanism. For a middle part of CBC or CTR its parameter carries the chaining value.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The data, or its digest ([`crate::mechanisms`]).
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
    /// A [`Part`] number.
    #[prost(uint32, tag = "4")]
    pub part: u32,
    /// The sealed state that the last part returned ([`Data::state`]).
    #[prost(bytes = "bytes", tag = "5")]
    pub state: Bytes,
    /// The user's password, for a key that wants it for each use (`CKA_ALWAYS_AUTHENTICATE`); else empty.
    #[prost(string, tag = "6")]
    pub password: String,
}

/// A signature to verify.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Verify {
    /// Key, mechanism and data.
    #[prost(message, optional, tag = "1")]
    pub operation: Option<Operation>,
    /// The signature.
    #[prost(bytes = "bytes", tag = "2")]
    pub signature: Bytes,
}

/// A key to wrap.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct WrapKey {
    /// The key that wraps.
    #[prost(message, optional, tag = "1")]
    pub wrapping_key: Option<ObjectReference>,
    /// The mechanism.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The key that is wrapped.
    #[prost(message, optional, tag = "3")]
    pub key: Option<ObjectReference>,
}

/// A key to unwrap or decapsulate.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct UnwrapKey {
    /// The key that unwraps, or the private key of the KEM.
    #[prost(message, optional, tag = "1")]
    pub unwrapping_key: Option<ObjectReference>,
    /// The mechanism.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The wrapped key, or the ciphertext of the KEM.
    #[prost(bytes = "bytes", tag = "3")]
    pub wrapped: Bytes,
    /// The attributes of the new key.
    #[prost(message, optional, tag = "4")]
    pub template: Option<Template>,
}

/// A key to derive or encapsulate.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct DeriveKey {
    /// The base key, or the public key of the KEM.
    #[prost(message, optional, tag = "1")]
    pub base_key: Option<ObjectReference>,
    /// The mechanism.
    #[prost(message, optional, tag = "2")]
    pub mechanism: Option<MechanismUse>,
    /// The attributes of the new key.
    #[prost(message, optional, tag = "3")]
    pub template: Option<Template>,
}

/// Bytes that an operation gave.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Data {
    /// Signature, ciphertext (GCM: with its tag behind it), plaintext, wrapped key, digest or random bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
    /// The IV, when the module made it.
    #[prost(bytes = "bytes", tag = "2")]
    pub iv: Bytes,
    /// The sealed state to send with the next part.
    #[prost(bytes = "bytes", tag = "3")]
    pub state: Bytes,
}

/// A shared key and its ciphertext.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Encapsulated {
    /// The ciphertext for the holder of the private key.
    #[prost(bytes = "bytes", tag = "1")]
    pub ciphertext: Bytes,
    /// The key.
    #[prost(message, optional, tag = "2")]
    pub made: Option<MadeObject>,
}
