//! HMAC (FIPS 198-1) with any hash function.

use crate::ffi;

use crate::digest::{DIGEST_BYTES_MAX, Digest, Hash};
use crate::owned::Owned;
use crate::{Error, constant_time_eq};

/// Computes an HMAC in parts.
pub struct Signer {
    context: Owned<ffi::HMAC_CTX>,
    hash: Hash,
}

impl Signer {
    /// Starts with a key of any length.
    ///
    /// # Panics
    /// If the library is out of memory.
    #[must_use]
    pub fn new(hash: Hash, key: &[u8]) -> Self {
        // SAFETY: takes nothing.
        let context = Owned::new(unsafe { ffi::HMAC_CTX_new() }, Error::Library);
        #[expect(clippy::expect_used, reason = "only memory can be missing")]
        let context = context.expect("memory for an HMAC");
        // SAFETY: the context is new; pointer and length are of one slice; no engine.
        let done = unsafe {
            ffi::HMAC_Init_ex(
                context.as_ptr(),
                key.as_ptr().cast(),
                key.len(),
                hash.md(),
                std::ptr::null_mut(),
            )
        };
        assert!(done == 1, "an HMAC starts");
        Self { context, hash }
    }

    /// Adds a part.
    ///
    /// # Panics
    /// Never: adding to a context that was started does not fail.
    pub fn update(&mut self, part: &[u8]) {
        // SAFETY: pointer and length are of one slice.
        let done = unsafe { ffi::HMAC_Update(self.context.as_ptr(), part.as_ptr(), part.len()) };
        assert!(done == 1, "an HMAC goes on");
    }

    /// Returns the tag.
    ///
    /// # Panics
    /// Never: ending a context that was started does not fail.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut bytes = [0; DIGEST_BYTES_MAX];
        let mut length = 0;
        // SAFETY: the buffer holds the longest tag, and `length` is ours.
        let done =
            unsafe { ffi::HMAC_Final(self.context.as_ptr(), bytes.as_mut_ptr(), &raw mut length) };
        assert!(done == 1, "an HMAC ends");
        Digest::new(bytes, self.hash.output_bytes())
    }
}

/// Computes the tag of a message that comes in parts.
#[must_use]
pub fn sign(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut signer = Signer::new(hash, key);
    parts.iter().for_each(|part| signer.update(part));
    signer.finish()
}

/// Verifies a tag, whole or cut to its first bytes, in constant time.
///
/// # Errors
/// [`Error::Signature`] if it is empty, too long or wrong.
pub fn verify(hash: Hash, key: &[u8], parts: &[&[u8]], tag: &[u8]) -> Result<(), Error> {
    let right = sign(hash, key, parts);
    let right = right.as_ref().get(..tag.len()).filter(|_| !tag.is_empty());
    if right.is_some_and(|right| constant_time_eq(right, tag)) {
        Ok(())
    } else {
        Err(Error::Signature)
    }
}
