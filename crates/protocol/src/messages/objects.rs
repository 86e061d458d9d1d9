//! Objects: making, finding, reading, changing.

use bytes::Bytes;
use prost::Message;

use super::WireError;
use super::parameters::MechanismUse;
use crate::template::Template;

/// Which object.
#[derive(Clone, PartialEq, Message)]
pub struct ObjectReference {
    /// The number of a token object; 0 for a session object.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The sealed form of a session object; empty for a token object.
    #[prost(bytes = "bytes", tag = "2")]
    pub session: Bytes,
}

/// A key to make.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct GenerateKey {
    /// The mechanism.
    #[prost(message, optional, tag = "1")]
    pub mechanism: Option<MechanismUse>,
    /// The attributes of the key.
    #[prost(message, optional, tag = "2")]
    pub template: Option<Template>,
}

/// A key pair to make.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct GenerateKeyPair {
    /// The mechanism.
    #[prost(message, optional, tag = "1")]
    pub mechanism: Option<MechanismUse>,
    /// The attributes of the public key.
    #[prost(message, optional, tag = "2")]
    pub public: Option<Template>,
    /// The attributes of the private key.
    #[prost(message, optional, tag = "3")]
    pub private: Option<Template>,
}

/// An object and attributes for it.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct ObjectAndTemplate {
    /// The object.
    #[prost(message, optional, tag = "1")]
    pub object: Option<ObjectReference>,
    /// The attributes.
    #[prost(message, optional, tag = "2")]
    pub template: Option<Template>,
}

/// Attributes to read.
#[derive(Clone, PartialEq, Message)]
pub struct GetAttributes {
    /// The object.
    #[prost(message, optional, tag = "1")]
    pub object: Option<ObjectReference>,
    /// The `CKA_*` numbers; empty for all that may be seen.
    #[prost(uint64, repeated, tag = "2")]
    pub attributes: Vec<u64>,
}

/// A search among token objects, in order of their numbers.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct FindObjects {
    /// What they must have; empty for all.
    #[prost(message, optional, tag = "1")]
    pub template: Option<Template>,
    /// Only those with a larger number than this: the last of the page before.
    #[prost(uint64, tag = "2")]
    pub after: u64,
    /// How many at most; 0 for as many as a page holds.
    #[prost(uint64, tag = "3")]
    pub limit: u64,
    /// The `CKA_*` numbers to return with each; empty for none.
    #[prost(uint64, repeated, tag = "4")]
    pub attributes: Vec<u64>,
}

/// A new object.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct MadeObject {
    /// The token object's number, or the session object's sealed form.
    #[prost(message, optional, tag = "1")]
    pub object: Option<ObjectReference>,
    /// For a session object: all its attributes that may be seen, for searches in the client.
    #[prost(message, optional, tag = "2")]
    pub attributes: Option<Template>,
}

/// A new key pair.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct MadePair {
    /// The public key.
    #[prost(message, optional, tag = "1")]
    pub public: Option<MadeObject>,
    /// The private key.
    #[prost(message, optional, tag = "2")]
    pub private: Option<MadeObject>,
}

/// One attribute that was asked for.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct AttributeAnswer {
    /// The `CKA_*` number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The value in wire form.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// Why there is no value: [`Error::AttributeSensitive`](crate::Error::AttributeSensitive) or [`Error::AttributeTypeInvalid`](crate::Error::AttributeTypeInvalid).
    #[prost(message, optional, tag = "3")]
    pub error: Option<WireError>,
}

/// Attributes that were asked for, in the order of the question.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Attributes {
    /// The attributes.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<AttributeAnswer>,
}

/// One object that was found.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct FoundObject {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The attributes asked for that it has and that may be seen.
    #[prost(message, optional, tag = "2")]
    pub attributes: Option<Template>,
    /// The owner's name; only if attributes were asked for.
    #[prost(string, tag = "3")]
    pub owner: String,
}

/// A page of a search.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Found {
    /// Numbers, when no attributes were asked for.
    #[prost(uint64, repeated, tag = "1")]
    pub numbers: Vec<u64>,
    /// Objects, when attributes were asked for.
    #[prost(message, repeated, tag = "2")]
    pub objects: Vec<FoundObject>,
    /// Whether more follow.
    #[prost(bool, tag = "3")]
    pub more: bool,
}
