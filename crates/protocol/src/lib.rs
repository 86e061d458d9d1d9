//! The vocabulary that clients and HSMs share, and its wire form.
//!
//! Everything that both sides of the wall must name alike has its one home here: identifiers
//! ([`identity`]), roles, object classes and key types ([`objects`]), [`attributes`], [`mechanisms`],
//! requests and replies ([`messages`]), [`error`]s, limits, and the frames that carry them
//! ([`frame`]). Numbers are those of PKCS#11 3.2 wherever PKCS#11 has one. There is no I/O, no
//! cryptography and no policy in this crate: what a role may do is decided in the module alone.
//!
//! Field numbers of messages and error codes are for ever: they may be added to, never reused.
#![forbid(unsafe_code)]
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm
)]

pub mod attributes;
pub mod canonical;
pub mod error;
pub mod frame;
pub mod identity;
pub mod limits;
pub mod mechanisms;
pub mod messages;
pub mod objects;
pub mod statements;
pub mod template;
pub mod tpm;

pub use attributes::AttributeType;
pub use error::{Error, ErrorCode, Retry};
pub use mechanisms::Mechanism;
pub use objects::{Curve, Hash, KeyType, ObjectClass, Role};
pub use template::{Attribute, Template};
