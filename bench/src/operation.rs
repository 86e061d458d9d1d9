//! What is measured: the operations, and the inputs they all share.

use serde::{Deserialize, Serialize};

/// One operation of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// One round trip to the HSM with as little work behind it as the interface allows.
    Empty,
    /// ECDSA over P-256, of a digest of 32 bytes.
    SignP256,
    /// ECDSA over P-384, of a digest of 48 bytes.
    SignP384,
    /// RSA-2048, PKCS#1 v1.5, of a SHA-256 digest.
    SignRsa2048,
    /// RSA-4096, PKCS#1 v1.5, of a SHA-256 digest.
    SignRsa4096,
    /// AES-256-GCM of 16 KiB.
    Gcm16K,
    /// Making an AES-256 key that lasts (a token object).
    Create,
    /// Finding one key by its label.
    FindLabel,
    /// Finding one key by its `CKA_ID`.
    FindId,
}

impl Operation {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 9] = [
        Self::Empty,
        Self::SignP256,
        Self::SignP384,
        Self::SignRsa2048,
        Self::SignRsa4096,
        Self::Gcm16K,
        Self::Create,
        Self::FindLabel,
        Self::FindId,
    ];

    /// Returns the name that people read.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty call",
            Self::SignP256 => "P-256 sign",
            Self::SignP384 => "P-384 sign",
            Self::SignRsa2048 => "RSA-2048 sign",
            Self::SignRsa4096 => "RSA-4096 sign",
            Self::Gcm16K => "AES-256-GCM 16 KiB",
            Self::Create => "create AES token key",
            Self::FindLabel => "find by label",
            Self::FindId => "find by id",
        }
    }
}

/// Bytes of one message to encrypt.
pub(crate) const MESSAGE: usize = 16 * 1024;

/// A digest of 48 bytes; shorter ones are its beginning.
pub(crate) const DIGEST: [u8; 48] = *b"0123456789abcdef0123456789abcdef0123456789abcdef";

/// The DigestInfo of SHA-256 (RFC 8017, section 9.2, note 1) around the first 32 bytes of
/// [`DIGEST`].
pub(crate) const DIGEST_INFO: [u8; 51] = *b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\
    \x02\x01\x05\x00\x04\x200123456789abcdef0123456789abcdef";
