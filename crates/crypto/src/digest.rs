//! Hash functions: SHA-1, SHA-2 (FIPS 180-4) and SHA-3 (FIPS 202).

use crate::ffi;

use crate::Error;
use crate::error::check;
use crate::owned::Owned;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

/// Bytes of the longest digest.
pub const DIGEST_BYTES_MAX: usize = 64;

impl Hash {
    /// All hash functions.
    pub const ALL: [Self; 9] = [
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
    ];

    /// Returns the bytes of a digest.
    #[must_use]
    pub const fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }

    pub(crate) fn md(self) -> *const ffi::EVP_MD {
        let get = match self {
            Self::Sha1 => ffi::EVP_sha1,
            Self::Sha224 => ffi::EVP_sha224,
            Self::Sha256 => ffi::EVP_sha256,
            Self::Sha384 => ffi::EVP_sha384,
            Self::Sha512 => ffi::EVP_sha512,
            Self::Sha3_224 => ffi::EVP_sha3_224,
            Self::Sha3_256 => ffi::EVP_sha3_256,
            Self::Sha3_384 => ffi::EVP_sha3_384,
            Self::Sha3_512 => ffi::EVP_sha3_512,
        };
        // SAFETY: takes nothing and returns a constant of the library.
        unsafe { get() }
    }
}

/// A digest: as many bytes as its hash function gives.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; DIGEST_BYTES_MAX],
    length: usize,
}

impl Digest {
    pub(crate) const fn new(bytes: [u8; DIGEST_BYTES_MAX], length: usize) -> Self {
        Self { bytes, length }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

/// Hashes a message in parts.
pub struct Hasher {
    context: Owned<ffi::EVP_MD_CTX>,
    hash: Hash,
}

impl Hasher {
    /// Starts to hash.
    ///
    /// # Panics
    /// If the library is out of memory.
    #[must_use]
    pub fn new(hash: Hash) -> Self {
        // SAFETY: takes nothing.
        let context = Owned::new(unsafe { ffi::EVP_MD_CTX_new() }, Error::Library);
        #[expect(clippy::expect_used, reason = "only memory can be missing")]
        let context = context.expect("memory for a digest");
        // SAFETY: the context is new, the hash function a constant of the library.
        let done = unsafe { ffi::EVP_DigestInit(context.as_ptr(), hash.md()) };
        assert!(done == 1, "a hash function starts");
        Self { context, hash }
    }

    /// Adds a part.
    ///
    /// # Panics
    /// Never: adding to a context that was started does not fail.
    pub fn update(&mut self, part: &[u8]) {
        // SAFETY: pointer and length are of one slice.
        let done = unsafe {
            ffi::EVP_DigestUpdate(self.context.as_ptr(), part.as_ptr().cast(), part.len())
        };
        assert!(done == 1, "a hash function goes on");
    }

    /// Returns the digest.
    ///
    /// # Panics
    /// Never: ending a context that was started does not fail.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut bytes = [0; DIGEST_BYTES_MAX];
        // SAFETY: the buffer holds the longest digest; null says that the length is not asked for.
        let done = unsafe {
            ffi::EVP_DigestFinal(self.context.as_ptr(), bytes.as_mut_ptr(), std::ptr::null_mut())
        };
        assert!(done == 1, "a hash function ends");
        Digest::new(bytes, self.hash.output_bytes())
    }
}

impl Clone for Hasher {
    fn clone(&self) -> Self {
        let copy = Self::new(self.hash);
        // SAFETY: both contexts are live; the copy's state is replaced.
        let done = unsafe { ffi::EVP_MD_CTX_copy_ex(copy.context.as_ptr(), self.context.as_ptr()) };
        assert!(done == 1, "a hash state is copied");
        copy
    }
}

/// Hashes a message.
#[must_use]
pub fn hash(hash: Hash, message: &[u8]) -> Digest {
    let mut hasher = Hasher::new(hash);
    hasher.update(message);
    hasher.finish()
}

/// Hashes the parts of a message by SHA-256.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Hasher::new(Hash::Sha256);
    parts.iter().for_each(|part| hasher.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(hasher.finish().as_ref());
    out
}

/// Computes 64 bytes of SHAKE256 (FIPS 202) of the parts of a message.
pub(crate) fn shake256_64(parts: &[&[u8]]) -> Result<[u8; 64], Error> {
    // SAFETY: takes nothing.
    let context = Owned::new(unsafe { ffi::EVP_MD_CTX_new() }, Error::Library)?;
    // SAFETY: takes nothing and returns a constant of the library.
    let shake = unsafe { ffi::EVP_shake256() };
    // SAFETY: the context is new.
    check(unsafe { ffi::EVP_DigestInit(context.as_ptr(), shake) }, Error::Library)?;
    for part in parts {
        // SAFETY: pointer and length are of one slice.
        let done =
            unsafe { ffi::EVP_DigestUpdate(context.as_ptr(), part.as_ptr().cast(), part.len()) };
        check(done, Error::Library)?;
    }
    let mut out = [0; 64];
    // SAFETY: pointer and length are of one array.
    let done = unsafe { ffi::EVP_DigestFinalXOF(context.as_ptr(), out.as_mut_ptr(), out.len()) };
    check(done, Error::Library).map(|()| out)
}
