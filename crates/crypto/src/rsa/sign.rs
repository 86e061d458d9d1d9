//! RSA signatures: PKCS#1 v1.5 and PSS (RFC 8017 §8).

use crate::ffi;

use super::{PrivateKey, PublicKey};
use crate::Error;
use crate::digest::Hash;
use crate::error::check;

/// The parameters of PSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pss {
    /// The hash of the message.
    pub hash: Hash,
    /// The hash of MGF1.
    pub mgf: Hash,
    /// Bytes of the salt.
    pub salt_bytes: usize,
}

const fn nid(hash: Hash) -> i32 {
    match hash {
        Hash::Sha1 => ffi::NID_sha1,
        Hash::Sha224 => ffi::NID_sha224,
        Hash::Sha256 => ffi::NID_sha256,
        Hash::Sha384 => ffi::NID_sha384,
        Hash::Sha512 => ffi::NID_sha512,
        Hash::Sha3_224 => ffi::NID_sha3_224,
        Hash::Sha3_256 => ffi::NID_sha3_256,
        Hash::Sha3_384 => ffi::NID_sha3_384,
        Hash::Sha3_512 => ffi::NID_sha3_512,
    }
}

fn check_digest(hash: Hash, digest: &[u8]) -> Result<(), Error> {
    if digest.len() == hash.output_bytes() { Ok(()) } else { Err(Error::DataLength) }
}

fn salt(pss: Pss) -> Result<i32, Error> {
    i32::try_from(pss.salt_bytes).map_err(|_error| Error::Parameter)
}

impl PrivateKey {
    /// Signs a digest by PKCS#1 v1.5: the DigestInfo is made here.
    ///
    /// # Errors
    /// [`Error::DataLength`] if it is not a digest of `hash`.
    pub fn sign_pkcs1(&self, hash: Hash, digest: &[u8]) -> Result<Vec<u8>, Error> {
        check_digest(hash, digest)?;
        let mut out = vec![0; self.public.modulus_bytes()];
        let mut length = 0;
        // SAFETY: the key is live; the buffer is as long as the modulus; pointer and length are of one slice.
        let done = unsafe {
            ffi::RSA_sign(
                nid(hash),
                digest.as_ptr(),
                digest.len(),
                out.as_mut_ptr(),
                &raw mut length,
                self.key.as_ptr(),
            )
        };
        check(done, Error::Library).map(|()| out)
    }

    /// Signs the caller's data by PKCS#1 v1.5 (`CKM_RSA_PKCS`): usually a DigestInfo.
    ///
    /// # Errors
    /// [`Error::DataLength`] if it is longer than the modulus less 11.
    pub fn sign_pkcs1_raw(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = vec![0; self.public.modulus_bytes()];
        let mut length = 0;
        // SAFETY: the key is live; each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::RSA_sign_raw(
                self.key.as_ptr(),
                &raw mut length,
                out.as_mut_ptr(),
                out.len(),
                data.as_ptr(),
                data.len(),
                ffi::RSA_PKCS1_PADDING,
            )
        };
        check(done, Error::DataLength).map(|()| out)
    }

    /// Signs a digest by PSS.
    ///
    /// # Errors
    /// [`Error::DataLength`] if it is not a digest of the hash; [`Error::Parameter`] if the salt does not fit.
    pub fn sign_pss(&self, pss: Pss, digest: &[u8]) -> Result<Vec<u8>, Error> {
        check_digest(pss.hash, digest)?;
        let mut out = vec![0; self.public.modulus_bytes()];
        let mut length = 0;
        // SAFETY: the key is live; each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::RSA_sign_pss_mgf1(
                self.key.as_ptr(),
                &raw mut length,
                out.as_mut_ptr(),
                out.len(),
                digest.as_ptr(),
                digest.len(),
                pss.hash.md(),
                pss.mgf.md(),
                salt(pss)?,
            )
        };
        check(done, Error::Parameter).map(|()| out)
    }
}

impl PublicKey {
    /// Verifies a signature by PKCS#1 v1.5 on a digest.
    ///
    /// # Errors
    /// [`Error::Signature`], or [`Error::DataLength`] if it is not a digest of `hash`.
    pub fn verify_pkcs1(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        check_digest(hash, digest)?;
        // SAFETY: the key is live; each pointer goes with the length of its slice.
        let verified = unsafe {
            ffi::RSA_verify(
                nid(hash),
                digest.as_ptr(),
                digest.len(),
                signature.as_ptr(),
                signature.len(),
                self.key.as_ptr(),
            )
        };
        check(verified, Error::Signature)
    }

    /// Verifies a signature by PKCS#1 v1.5 on the caller's data (`CKM_RSA_PKCS`).
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify_pkcs1_raw(&self, data: &[u8], signature: &[u8]) -> Result<(), Error> {
        let mut out = vec![0; self.modulus_bytes()];
        let mut length = 0;
        // SAFETY: the key is live; each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::RSA_verify_raw(
                self.key.as_ptr(),
                &raw mut length,
                out.as_mut_ptr(),
                out.len(),
                signature.as_ptr(),
                signature.len(),
                ffi::RSA_PKCS1_PADDING,
            )
        };
        check(done, Error::Signature)?;
        if out.get(..length) == Some(data) { Ok(()) } else { Err(Error::Signature) }
    }

    /// Verifies a signature by PSS on a digest.
    ///
    /// # Errors
    /// [`Error::Signature`], or [`Error::DataLength`] if it is not a digest of the hash.
    pub fn verify_pss(&self, pss: Pss, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        check_digest(pss.hash, digest)?;
        // SAFETY: the key is live; each pointer goes with the length of its slice.
        let verified = unsafe {
            ffi::RSA_verify_pss_mgf1(
                self.key.as_ptr(),
                digest.as_ptr(),
                digest.len(),
                pss.hash.md(),
                pss.mgf.md(),
                salt(pss)?,
                signature.as_ptr(),
                signature.len(),
            )
        };
        check(verified, Error::Signature)
    }
}
