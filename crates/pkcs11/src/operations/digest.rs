//! Digests: computed here, for what is hashed is no secret of an HSM.

use casemate_crypto::digest::Hasher;
use casemate_protocol::mechanisms::MechanismRow;

use crate::code::{Code, Result};

/// A digest that was begun.
pub(crate) struct Digest {
    hasher: Hasher,
    bytes: usize,
    /// Whether a part was hashed: then `C_Digest` is no more possible.
    pub(crate) in_parts: bool,
}

impl Digest {
    /// Begins.
    ///
    /// # Errors
    /// `CKR_MECHANISM_INVALID` for a mechanism that is no hash function.
    pub(crate) fn begin(row: &MechanismRow) -> Result<Self> {
        let hash = row.hash.ok_or(Code::MECHANISM_INVALID)?;
        let hasher = Hasher::new(crypto_hash(hash));
        Ok(Self { hasher, bytes: hash.output_bytes(), in_parts: false })
    }

    /// Returns how long the digest will be.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hashes more.
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.hasher.update(data);
    }

    /// Ends.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.hasher.finish().as_ref().to_vec()
    }
}

/// The library's name of a hash.
pub(crate) const fn crypto_hash(hash: casemate_protocol::Hash) -> casemate_crypto::Hash {
    use casemate_crypto::Hash as Crypto;
    use casemate_protocol::Hash as Wire;
    match hash {
        Wire::Sha1 => Crypto::Sha1,
        Wire::Sha224 => Crypto::Sha224,
        Wire::Sha256 => Crypto::Sha256,
        Wire::Sha384 => Crypto::Sha384,
        Wire::Sha512 => Crypto::Sha512,
        Wire::Sha3_224 => Crypto::Sha3_224,
        Wire::Sha3_256 => Crypto::Sha3_256,
        Wire::Sha3_384 => Crypto::Sha3_384,
        Wire::Sha3_512 => Crypto::Sha3_512,
    }
}
