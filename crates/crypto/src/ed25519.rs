//! Ed25519 (RFC 8032, FIPS 186-5 §7): pure, with context, and prehashed.

use crate::ffi;
use zeroize::Zeroizing;

use crate::error::check;
use crate::{Error, Secret};

/// Bytes of a seed, and of a public key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes of the longest context.
pub const CONTEXT_BYTES_MAX: usize = 255;

/// Which of RFC 8032's three schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// Ed25519: the message itself.
    Pure,
    /// Ed25519ctx: the message itself, with a context that is not empty.
    Context(&'a [u8]),
    /// Ed25519ph: the message's digest by SHA-512, with a context that may be empty.
    Prehashed(&'a [u8]),
}

impl<'a> Scheme<'a> {
    fn check(self, data: &[u8]) -> Result<&'a [u8], Error> {
        match self {
            Self::Pure => Ok(&[]),
            Self::Context([]) => Err(Error::Parameter),
            Self::Prehashed(_) if data.len() != 64 => Err(Error::DataLength),
            Self::Context(context) | Self::Prehashed(context)
                if context.len() <= CONTEXT_BYTES_MAX =>
            {
                Ok(context)
            }
            Self::Context(_) | Self::Prehashed(_) => Err(Error::Parameter),
        }
    }
}

/// A private key.
pub struct PrivateKey {
    /// Seed and public key.
    bytes: Zeroizing<[u8; 64]>,
    public: [u8; KEY_BYTES],
}

impl PrivateKey {
    /// Makes a key, and tests the pair.
    ///
    /// # Errors
    /// [`Error::Pairwise`].
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        crate::random::fill(seed.as_mut());
        let key = Self::from_seed(&seed);
        let signature = key.sign(Scheme::Pure, b"pairwise test")?;
        verify(&key.public, Scheme::Pure, b"pairwise test", &signature)
            .map_err(|_error| Error::Pairwise)?;
        Ok(key)
    }

    /// Takes a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Self {
        let mut bytes = Zeroizing::new([0; 64]);
        let mut public = [0; KEY_BYTES];
        // SAFETY: the buffers have the lengths that the function fills and reads.
        unsafe {
            ffi::ED25519_keypair_from_seed(public.as_mut_ptr(), bytes.as_mut_ptr(), seed.as_ptr());
        }
        Self { bytes, public }
    }

    /// Returns the seed.
    #[must_use]
    pub fn seed(&self) -> Secret {
        Secret::from_slice(self.bytes.split_at(KEY_BYTES).0)
    }

    /// Reads PKCS#8 (RFC 8410).
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] if it is damaged or of another type.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let raw = crate::keys::raw_from_pkcs8(ffi::EVP_PKEY_ED25519, pkcs8)?;
        let raw = raw.expose().try_into().map_err(|_error| Error::KeyInvalid)?;
        Ok(Self::from_seed(raw))
    }

    /// Writes PKCS#8 (RFC 8410).
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        crate::keys::raw_to_pkcs8(ffi::EVP_PKEY_ED25519, self.seed().expose())
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }

    /// Signs a message, or its digest.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a context that is too long, or empty where it may not be; [`Error::DataLength`] for a
    /// digest of another length.
    pub fn sign(&self, scheme: Scheme<'_>, data: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Error> {
        let context = scheme.check(data)?;
        let mut out = [0; SIGNATURE_BYTES];
        let (to, key) = (out.as_mut_ptr(), self.bytes.as_ptr());
        let done = match scheme {
            // SAFETY: the buffers have the lengths of the scheme; the others go with their slices.
            Scheme::Pure => unsafe { ffi::ED25519_sign(to, data.as_ptr(), data.len(), key) },
            // SAFETY: as above.
            Scheme::Context(_) => unsafe {
                ffi::ED25519ctx_sign(
                    to,
                    data.as_ptr(),
                    data.len(),
                    key,
                    context.as_ptr(),
                    context.len(),
                )
            },
            // SAFETY: as above; the digest has 64 bytes.
            Scheme::Prehashed(_) => unsafe {
                ffi::ED25519ph_sign_digest(to, data.as_ptr(), key, context.as_ptr(), context.len())
            },
        };
        check(done, Error::Library).map(|()| out)
    }
}

/// Verifies a signature.
///
/// # Errors
/// [`Error::Signature`], or as for signing.
pub fn verify(
    public: &[u8; KEY_BYTES],
    scheme: Scheme<'_>,
    data: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let context = scheme.check(data)?;
    let signature: &[u8; SIGNATURE_BYTES] =
        signature.try_into().map_err(|_error| Error::Signature)?;
    let (signature, key) = (signature.as_ptr(), public.as_ptr());
    let verified = match scheme {
        // SAFETY: the buffers have the lengths of the scheme; the others go with their slices.
        Scheme::Pure => unsafe { ffi::ED25519_verify(data.as_ptr(), data.len(), signature, key) },
        // SAFETY: as above.
        Scheme::Context(_) => unsafe {
            ffi::ED25519ctx_verify(
                data.as_ptr(),
                data.len(),
                signature,
                key,
                context.as_ptr(),
                context.len(),
            )
        },
        // SAFETY: as above; the digest has 64 bytes.
        Scheme::Prehashed(_) => unsafe {
            ffi::ED25519ph_verify_digest(
                data.as_ptr(),
                signature,
                key,
                context.as_ptr(),
                context.len(),
            )
        },
    };
    check(verified, Error::Signature)
}
