//! AES-GCM (SP 800-38D). IVs are made here, by the random construction of §8.2.2, unless the caller must give one.

use crate::ffi;

use crate::error::check;
use crate::owned::Owned;
use crate::{Error, Secret, random};

/// Bytes of an IV that is made here.
pub const GCM_IV_BYTES: usize = 12;
/// Bytes of a whole tag.
pub const GCM_TAG_BYTES: usize = 16;

/// An AES key prepared for GCM: with its table for GHASH.
pub struct GcmKey(Owned<ffi::EVP_AEAD_CTX>);

impl GcmKey {
    /// Takes a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        let aead = match key.len() {
            16 => ffi::EVP_aead_aes_128_gcm,
            24 => ffi::EVP_aead_aes_192_gcm,
            32 => ffi::EVP_aead_aes_256_gcm,
            _ => return Err(Error::KeyLength),
        };
        // SAFETY: takes nothing and returns a constant of the library.
        let aead = unsafe { aead() };
        // SAFETY: pointer and length are of one slice.
        let context =
            unsafe { ffi::EVP_AEAD_CTX_new(aead, key.as_ptr(), key.len(), GCM_TAG_BYTES) };
        Ok(Self(Owned::new(context, Error::Library)?))
    }

    /// Encrypts with an IV that is made here, and returns it.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a tag that the standard does not have.
    pub fn seal(
        &self,
        aad: &[u8],
        plaintext: &[u8],
        tag_bytes: usize,
    ) -> Result<([u8; GCM_IV_BYTES], Vec<u8>), Error> {
        let mut iv = [0; GCM_IV_BYTES];
        random::fill(&mut iv);
        let sealed = self.seal_with_iv(&iv, aad, plaintext, tag_bytes)?;
        Ok((iv, sealed))
    }

    /// Encrypts with the caller's IV. An IV that comes twice under one key gives the key's authentication away:
    /// FIPS mode does not allow it.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a tag that the standard does not have, or no IV.
    pub fn seal_with_iv(
        &self,
        iv: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        tag_bytes: usize,
    ) -> Result<Vec<u8>, Error> {
        check_tag(tag_bytes)?;
        let mut out = vec![0; plaintext.len() + GCM_TAG_BYTES];
        let mut length = 0;
        // SAFETY: each pointer goes with the length of its slice, and `out` has room for the tag.
        let done = unsafe {
            ffi::EVP_AEAD_CTX_seal(
                self.0.as_ptr(),
                out.as_mut_ptr(),
                &raw mut length,
                out.len(),
                iv.as_ptr(),
                iv.len(),
                plaintext.as_ptr(),
                plaintext.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        check(done, Error::Parameter)?;
        out.truncate(plaintext.len() + tag_bytes);
        Ok(out)
    }

    /// Decrypts; the tag, whole or cut, stands behind the ciphertext.
    ///
    /// # Errors
    /// [`Error::Decryption`] if anything is not as it was sealed; [`Error::Parameter`] as for sealing.
    pub fn open(
        &self,
        iv: &[u8],
        aad: &[u8],
        sealed: &[u8],
        tag_bytes: usize,
    ) -> Result<Secret, Error> {
        check_tag(tag_bytes)?;
        let length = sealed.len().checked_sub(tag_bytes).ok_or(Error::Decryption)?;
        if iv.is_empty() {
            return Err(Error::Parameter);
        }
        if tag_bytes != GCM_TAG_BYTES {
            return self.open_cut(iv, aad, sealed.split_at(length));
        }
        let mut out = zeroize::Zeroizing::new(vec![0; length]);
        let mut written = 0;
        // SAFETY: each pointer goes with the length of its slice; the plaintext is as long as the ciphertext.
        let done = unsafe {
            ffi::EVP_AEAD_CTX_open(
                self.0.as_ptr(),
                out.as_mut_ptr(),
                &raw mut written,
                out.len(),
                iv.as_ptr(),
                iv.len(),
                sealed.as_ptr(),
                sealed.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        check(done, Error::Decryption)?;
        Ok(Secret::from_vec(std::mem::take(&mut *out)))
    }

    /// Opens a cut tag: the keystream is the same in both directions, so sealing the ciphertext decrypts it,
    /// and sealing that again gives the whole tag to compare with.
    fn open_cut(&self, iv: &[u8], aad: &[u8], parts: (&[u8], &[u8])) -> Result<Secret, Error> {
        let (ciphertext, tag) = parts;
        let mut plaintext =
            zeroize::Zeroizing::new(self.seal_with_iv(iv, aad, ciphertext, GCM_TAG_BYTES)?);
        plaintext.truncate(ciphertext.len());
        let again = self.seal_with_iv(iv, aad, &plaintext, tag.len())?;
        let whole = again.get(ciphertext.len()..).ok_or(Error::Library)?;
        if crate::constant_time_eq(whole, tag) {
            Ok(Secret::from_vec(std::mem::take(&mut *plaintext)))
        } else {
            Err(Error::Decryption)
        }
    }
}

/// Tags of SP 800-38D §5.2.1.2: 96 to 128 bits, and 32 and 64 for special uses.
const fn check_tag(tag_bytes: usize) -> Result<(), Error> {
    if matches!(tag_bytes, 4 | 8 | 12..=16) { Ok(()) } else { Err(Error::Parameter) }
}

/// Encrypts under a key of 32 bytes that is used once: appends IV ‖ ciphertext ‖ tag to `out`.
///
/// # Errors
/// [`Error::KeyLength`].
pub fn seal_gcm_once(
    key: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (iv, sealed) = GcmKey::new(key)?.seal(aad, plaintext, GCM_TAG_BYTES)?;
    out.extend_from_slice(&iv);
    out.extend_from_slice(&sealed);
    Ok(())
}

/// Decrypts what [`seal_gcm_once`] made.
///
/// # Errors
/// [`Error::Decryption`].
pub fn open_gcm_once(key: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
    let (iv, sealed) = sealed.split_at_checked(GCM_IV_BYTES).ok_or(Error::Decryption)?;
    GcmKey::new(key)?.open(iv, aad, sealed, GCM_TAG_BYTES)
}
