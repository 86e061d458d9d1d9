//! Secret bytes: cannot be printed, copied by accident or serialised, and are wiped when dropped.

use zeroize::Zeroizing;

/// Secret bytes on the heap.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Copies secret bytes. The source stays the caller's to wipe.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Takes secret bytes.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Draws so many random bytes.
    #[must_use]
    pub fn random(length: usize) -> Self {
        let mut bytes = Zeroizing::new(vec![0; length]);
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
        && unsafe { aws_lc_sys::CRYPTO_memcmp(a.as_ptr().cast(), b.as_ptr().cast(), a.len()) } == 0
}
