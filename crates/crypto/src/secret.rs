//! Secret bytes: cannot be printed, copied by accident or serialised, and are wiped when dropped.

use std::ops::{Deref, DerefMut};

use crate::ffi;

/// Bytes on the heap that are wiped when dropped, with all the memory that was reserved for them.
///
/// By the library's own wipe: a write of each byte that no compiler removes, as other crates have it, takes longer than encrypting.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        // SAFETY: the pointer is good for the capacity, which is the vector's own memory.
        unsafe { ffi::OPENSSL_cleanse(self.0.as_mut_ptr().cast(), self.0.capacity()) }
    }
}

/// Secret bytes on the heap.
pub struct Secret(Wiped);

impl Secret {
    /// Copies secret bytes. The source stays the caller's to wipe.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(Wiped(bytes.to_vec()))
    }

    /// Takes secret bytes.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Wiped(bytes))
    }

    /// Draws so many random bytes.
    #[must_use]
    pub fn random(length: usize) -> Self {
        let mut bytes = Wiped(vec![0; length]);
        crate::random::fill(&mut bytes);
        Self(bytes)
    }

    /// Shows the bytes: at the place where they are used, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Compares in a time that depends on the lengths alone.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    // SAFETY: both pointers are good for the length, which is that of both.
    a.len() == b.len()
        && unsafe { ffi::CRYPTO_memcmp(a.as_ptr().cast(), b.as_ptr().cast(), a.len()) } == 0
}
