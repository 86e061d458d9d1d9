//! X25519 (RFC 7748): a shared secret of all zeros is refused (§6.1).

use crate::ffi;
use zeroize::Zeroizing;

use crate::error::check;
use crate::{Error, Secret};

/// Bytes of a key, private or public.
pub const KEY_BYTES: usize = 32;

/// A private key.
pub struct PrivateKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    public: [u8; KEY_BYTES],
}

impl PrivateKey {
    /// Makes a key, and tests the pair by agreeing with another fresh one both ways.
    ///
    /// # Errors
    /// [`Error::Pairwise`].
    pub fn generate() -> Result<Self, Error> {
        let key = Self::fresh();
        let other = Self::fresh();
        let (ours, theirs) = (key.agree(&other.public)?, other.agree(&key.public)?);
        let agreed = crate::constant_time_eq(ours.expose(), theirs.expose());
        if agreed { Ok(key) } else { Err(Error::Pairwise) }
    }

    fn fresh() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        crate::random::fill(bytes.as_mut());
        Self::from_bytes(&bytes)
    }

    /// Takes a key; the bits that RFC 7748 §5 fixes are fixed at use.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut public = [0; KEY_BYTES];
        // SAFETY: both buffers have 32 bytes.
        unsafe { ffi::X25519_public_from_private(public.as_mut_ptr(), bytes.as_ptr()) };
        Self { bytes: Zeroizing::new(*bytes), public }
    }

    /// Returns the key's bytes.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::from_slice(self.bytes.as_ref())
    }

    /// Reads PKCS#8 (RFC 8410).
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] if it is damaged or of another type.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let raw = crate::keys::raw_from_pkcs8(ffi::EVP_PKEY_X25519, pkcs8)?;
        let raw = raw.expose().try_into().map_err(|_error| Error::KeyInvalid)?;
        Ok(Self::from_bytes(raw))
    }

    /// Writes PKCS#8 (RFC 8410).
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        crate::keys::raw_to_pkcs8(ffi::EVP_PKEY_X25519, self.secret().expose())
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }

    /// Agrees on a secret.
    ///
    /// # Errors
    /// [`Error::PublicKeyInvalid`] if the peer's key has a low order, so that the secret would be all zeros.
    pub fn agree(&self, peer: &[u8; KEY_BYTES]) -> Result<Secret, Error> {
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        // SAFETY: all buffers have 32 bytes.
        let done = unsafe { ffi::X25519(out.as_mut_ptr(), self.bytes.as_ptr(), peer.as_ptr()) };
        check(done, Error::PublicKeyInvalid)?;
        Ok(Secret::from_slice(out.as_ref()))
    }
}
