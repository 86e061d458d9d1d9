//! AWS-LC called directly: the raw limit that every other figure is held against.
//!
//! The shortest path the library has for each operation, with keys parsed and tables made before
//! the clock starts. AWS-LC's private-key operations take keys by const pointer and lock inside
//! (blinding), so that one key may serve all threads; each thread has its own here all the same,
//! for the limit should not contain anybody's lock.

use std::ptr;

use aws_lc_sys as lc;

use crate::error::Error;

/// Bytes of the tag that AES-GCM adds.
const TAG: usize = 16;
/// Room for the largest output: an RSA-4096 signature, or DER of an ECDSA one.
const SIGNATURE_ROOM: usize = 512;

/// An ECDSA key on a NIST curve.
pub(crate) struct EcKey(*mut lc::EC_KEY);

impl EcKey {
    /// Generates a key on P-256.
    ///
    /// # Errors
    /// [`Error::Raw`] if the library refuses.
    pub(crate) fn p256() -> Result<Self, Error> {
        Self::on_curve(lc::NID_X9_62_prime256v1)
    }

    /// Generates a key on P-384.
    ///
    /// # Errors
    /// [`Error::Raw`] if the library refuses.
    pub(crate) fn p384() -> Result<Self, Error> {
        Self::on_curve(lc::NID_secp384r1)
    }

    fn on_curve(curve: i32) -> Result<Self, Error> {
        // SAFETY: takes a number, returns a new key or null.
        let key = unsafe { lc::EC_KEY_new_by_curve_name(curve) };
        if key.is_null() {
            return Err(Error::Raw("EC_KEY_new_by_curve_name"));
        }
        let key = Self(key);
        // SAFETY: `key` is a live key with a curve and no other user.
        check(unsafe { lc::EC_KEY_generate_key(key.0) }, "EC_KEY_generate_key")?;
        Ok(key)
    }

    /// Signs a digest; the signature is dropped.
    ///
    /// # Errors
    /// [`Error::Raw`] if the library refuses.
    pub(crate) fn sign(&self, digest: &[u8]) -> Result<(), Error> {
        let mut signature = [0_u8; SIGNATURE_ROOM];
        let mut length = 0_u32;
        // SAFETY: `signature` holds more than the longest DER signature of P-384 (104 bytes), the
        // digest is readable for the length given, and the key lives as long as `self`.
        let outcome = unsafe {
            lc::ECDSA_sign(
                0,
                digest.as_ptr(),
                digest.len(),
                signature.as_mut_ptr(),
                &raw mut length,
                self.0,
            )
        };
        check(outcome, "ECDSA_sign")
    }
}

impl Drop for EcKey {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `EC_KEY_new_by_curve_name` and is freed once.
        unsafe { lc::EC_KEY_free(self.0) };
    }
}

// SAFETY: an EC_KEY has no tie to the thread that made it; AWS-LC allows use from any one thread.
unsafe impl Send for EcKey {}

/// An RSA private key.
pub(crate) struct RsaKey(*mut lc::RSA);

impl RsaKey {
    /// Generates a key of `bits` with exponent 65537.
    ///
    /// # Errors
    /// [`Error::Raw`] if the library refuses.
    pub(crate) fn generate(bits: i32) -> Result<Self, Error> {
        // SAFETY: no arguments; returns a new key or null.
        let key = unsafe { lc::RSA_new() };
        if key.is_null() {
            return Err(Error::Raw("RSA_new"));
        }
        let key = Self(key);
        // SAFETY: no arguments; returns a new number or null.
        let exponent = unsafe { lc::BN_new() };
        if exponent.is_null() {
            return Err(Error::Raw("BN_new"));
        }
        // SAFETY: `exponent` is live and ours.
        let set = unsafe { lc::BN_set_word(exponent, 65537) };
        // SAFETY: both are live and ours; a null callback is allowed.
        let made = unsafe { lc::RSA_generate_key_ex(key.0, bits, exponent, ptr::null_mut()) };
        // SAFETY: `exponent` came from `BN_new`, was copied by the call above, and is freed once.
        unsafe { lc::BN_free(exponent) };
        check(set, "BN_set_word")?;
        check(made, "RSA_generate_key_ex")?;
        Ok(key)
    }

    /// Signs a SHA-256 digest by PKCS#1 v1.5; the signature is dropped.
    ///
    /// # Errors
    /// [`Error::Raw`] if the library refuses.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> Result<(), Error> {
        let mut signature = [0_u8; SIGNATURE_ROOM];
        let mut length = 0_u32;
        // SAFETY: `signature` holds the 512 bytes of the largest key made here (4096 bits), the
        // digest has the length given, and the key lives as long as `self`.
        let outcome = unsafe {
            lc::RSA_sign(
                lc::NID_sha256,
                digest.as_ptr(),
                digest.len(),
                signature.as_mut_ptr(),
                &raw mut length,
                self.0,
            )
        };
        check(outcome, "RSA_sign")
    }
}

impl Drop for RsaKey {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `RSA_new` and is freed once.
        unsafe { lc::RSA_free(self.0) };
    }
}

// SAFETY: an RSA has no tie to the thread that made it; AWS-LC allows use from any one thread.
unsafe impl Send for RsaKey {}

/// An AES-256-GCM key with its tables made.
pub(crate) struct GcmKey(*mut lc::EVP_AEAD_CTX);

impl GcmKey {
    /// Makes the context of an AES-256 key.
    ///
    /// # Errors
    /// [`Error::Raw`] if the library refuses.
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, Error> {
        // SAFETY: no arguments; returns a static table.
        let algorithm = unsafe { lc::EVP_aead_aes_256_gcm() };
        // SAFETY: the algorithm is static, and the key is readable for its length.
        let context = unsafe { lc::EVP_AEAD_CTX_new(algorithm, key.as_ptr(), key.len(), TAG) };
        if context.is_null() {
            return Err(Error::Raw("EVP_AEAD_CTX_new"));
        }
        Ok(Self(context))
    }

    /// Encrypts `plaintext` into `output`, which must hold the tag as well.
    ///
    /// # Errors
    /// [`Error::Raw`] if the library refuses or `output` is too short.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let mut length = 0;
        // SAFETY: the context lives as long as `self`; all buffers are valid for the lengths given,
        // input and output are distinct by Rust's borrow rules, and null with length 0 is no AAD.
        let outcome = unsafe {
            lc::EVP_AEAD_CTX_seal(
                self.0,
                output.as_mut_ptr(),
                &raw mut length,
                output.len(),
                nonce.as_ptr(),
                nonce.len(),
                plaintext.as_ptr(),
                plaintext.len(),
                ptr::null(),
                0,
            )
        };
        check(outcome, "EVP_AEAD_CTX_seal")?;
        // A limit that encrypts less than it was given would be none.
        let whole = length == plaintext.len().saturating_add(TAG);
        if whole { Ok(()) } else { Err(Error::Raw("EVP_AEAD_CTX_seal")) }
    }
}

impl Drop for GcmKey {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `EVP_AEAD_CTX_new` and is freed once.
        unsafe { lc::EVP_AEAD_CTX_free(self.0) };
    }
}

// SAFETY: an EVP_AEAD_CTX has no tie to the thread that made it.
unsafe impl Send for GcmKey {}

fn check(outcome: i32, call: &'static str) -> Result<(), Error> {
    if outcome == 1 { Ok(()) } else { Err(Error::Raw(call)) }
}
