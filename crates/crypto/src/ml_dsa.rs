//! ML-DSA (FIPS 204), all sizes: pure, with context, and with an external mu.

use crate::ffi;

use crate::error::check;
use crate::owned::Owned;
use crate::{Error, Secret, digest, keys};

/// A parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum ParameterSet {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

/// Bytes of a seed (ξ).
pub const SEED_BYTES: usize = 32;
/// Bytes of an external mu.
pub const MU_BYTES: usize = 64;
/// Bytes of the longest context.
pub const CONTEXT_BYTES_MAX: usize = 255;

impl ParameterSet {
    /// All parameter sets.
    pub const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    const fn nid(self) -> i32 {
        match self {
            Self::MlDsa44 => ffi::NID_MLDSA44,
            Self::MlDsa65 => ffi::NID_MLDSA65,
            Self::MlDsa87 => ffi::NID_MLDSA87,
        }
    }

    /// Returns the bytes of a public key.
    #[must_use]
    pub const fn public_key_bytes(self) -> usize {
        match self {
            Self::MlDsa44 => 1_312,
            Self::MlDsa65 => 1_952,
            Self::MlDsa87 => 2_592,
        }
    }

    /// Returns the bytes of an expanded private key.
    #[must_use]
    pub const fn private_key_bytes(self) -> usize {
        match self {
            Self::MlDsa44 => 2_560,
            Self::MlDsa65 => 4_032,
            Self::MlDsa87 => 4_896,
        }
    }

    /// Returns the bytes of a signature.
    #[must_use]
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::MlDsa44 => 2_420,
            Self::MlDsa65 => 3_309,
            Self::MlDsa87 => 4_627,
        }
    }
}

/// A private key.
pub struct PrivateKey {
    set: ParameterSet,
    key: Owned<ffi::EVP_PKEY>,
    seed: Option<Secret>,
}

fn raw_private(set: ParameterSet, bytes: &[u8]) -> Result<PrivateKey, Error> {
    // SAFETY: pointer and length are of one slice.
    let key =
        unsafe { ffi::EVP_PKEY_pqdsa_new_raw_private_key(set.nid(), bytes.as_ptr(), bytes.len()) };
    let seed = (bytes.len() == SEED_BYTES).then(|| Secret::from_slice(bytes));
    Ok(PrivateKey { set, key: Owned::new(key, Error::KeyInvalid)?, seed })
}

/// The bytes of PKCS#8 before a seed: SEQUENCE, version, AlgorithmIdentifier, OCTET STRING, and `[0]` of 32 bytes (RFC 9881 §6).
const PKCS8_BEFORE_SEED_BYTES: usize = 22;

/// The seed in PKCS#8 as the library writes it: it writes no key without one.
fn pkcs8_seed(pkcs8: &Secret) -> Option<Secret> {
    let (before, seed) = pkcs8.expose().split_at_checked(PKCS8_BEFORE_SEED_BYTES)?;
    (before.ends_with(&[0x80, 32]) && seed.len() == SEED_BYTES).then(|| Secret::from_slice(seed))
}

impl PrivateKey {
    /// Makes a key, and tests the pair.
    ///
    /// # Errors
    /// [`Error::Pairwise`].
    pub fn generate(set: ParameterSet) -> Result<Self, Error> {
        let seed = Secret::random(SEED_BYTES);
        let key = Self::from_seed(set, seed.expose())?;
        let signature = key.sign(&[], b"pairwise test")?;
        let public = PublicKey::new(set, &key.public_key()?)?;
        public.verify(&[], b"pairwise test", &signature).map_err(|_error| Error::Pairwise)?;
        Ok(key)
    }

    /// Takes a seed.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn from_seed(set: ParameterSet, seed: &[u8]) -> Result<Self, Error> {
        if seed.len() == SEED_BYTES { raw_private(set, seed) } else { Err(Error::KeyLength) }
    }

    /// Takes an expanded private key (FIPS 204, skEncode).
    ///
    /// # Errors
    /// [`Error::KeyLength`], or [`Error::KeyInvalid`] if it is not one.
    pub fn from_expanded(set: ParameterSet, expanded: &[u8]) -> Result<Self, Error> {
        if expanded.len() == set.private_key_bytes() {
            raw_private(set, expanded)
        } else {
            Err(Error::KeyLength)
        }
    }

    /// Returns the parameter set.
    #[must_use]
    pub const fn parameter_set(&self) -> ParameterSet {
        self.set
    }

    /// Returns the seed; none if the key was taken expanded.
    #[must_use]
    pub const fn seed(&self) -> Option<&Secret> {
        self.seed.as_ref()
    }

    /// Returns the expanded private key.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn expanded(&self) -> Result<Secret, Error> {
        keys::raw(&self.key, ffi::EVP_PKEY_get_raw_private_key)
    }

    /// Returns the public key.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        keys::raw(&self.key, ffi::EVP_PKEY_get_raw_public_key).map(|raw| raw.expose().to_vec())
    }

    /// Reads PKCS#8 (RFC 9881).
    ///
    /// # Errors
    /// [`Error::KeyInvalid`].
    pub fn from_pkcs8(set: ParameterSet, pkcs8: &[u8]) -> Result<Self, Error> {
        let key = keys::parse_pkcs8(pkcs8)?;
        // SAFETY: the key is live.
        if unsafe { ffi::EVP_PKEY_id(key.as_ptr()) } != ffi::EVP_PKEY_PQDSA {
            return Err(Error::KeyInvalid);
        }
        // The FIPS library does not tell a key's parameter set, nor its seed; length and PKCS#8 do, in both.
        if keys::raw(&key, ffi::EVP_PKEY_get_raw_private_key)?.len() != set.private_key_bytes() {
            return Err(Error::KeyInvalid);
        }
        let seed = keys::marshal_pkcs8(&key).ok().as_ref().and_then(pkcs8_seed);
        Ok(Self { set, key, seed })
    }

    /// Writes PKCS#8 (RFC 9881).
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        keys::marshal_pkcs8(&self.key)
    }

    /// Signs a message, hedged, with a context that may be empty.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a context that is too long.
    pub fn sign(&self, context: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
        if !context.is_empty() {
            return self.sign_mu(&mu(&self.key, context, message)?);
        }
        let signer = start(&self.key, ffi::EVP_DigestSignInit)?;
        let mut out = vec![0; self.set.signature_bytes()];
        let mut length = out.len();
        // SAFETY: each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::EVP_DigestSign(
                signer.as_ptr(),
                out.as_mut_ptr(),
                &raw mut length,
                message.as_ptr(),
                message.len(),
            )
        };
        check(done, Error::Library).map(|()| out)
    }

    /// Signs a message whose mu the caller computed.
    ///
    /// # Errors
    /// [`Error::DataLength`] if it does not have 64 bytes.
    pub fn sign_mu(&self, mu: &[u8]) -> Result<Vec<u8>, Error> {
        if mu.len() != MU_BYTES {
            return Err(Error::DataLength);
        }
        let context = keys::context(&self.key)?;
        // SAFETY: the context is live and new.
        check(unsafe { ffi::EVP_PKEY_sign_init(context.as_ptr()) }, Error::Library)?;
        let mut out = vec![0; self.set.signature_bytes()];
        let mut length = out.len();
        // SAFETY: each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::EVP_PKEY_sign(
                context.as_ptr(),
                out.as_mut_ptr(),
                &raw mut length,
                mu.as_ptr(),
                mu.len(),
            )
        };
        check(done, Error::Library).map(|()| out)
    }
}

type Init = unsafe extern "C" fn(
    *mut ffi::EVP_MD_CTX,
    *mut *mut ffi::EVP_PKEY_CTX,
    *const ffi::EVP_MD,
    *mut ffi::ENGINE,
    *mut ffi::EVP_PKEY,
) -> std::ffi::c_int;

fn start(key: &Owned<ffi::EVP_PKEY>, init: Init) -> Result<Owned<ffi::EVP_MD_CTX>, Error> {
    // SAFETY: takes nothing.
    let state = Owned::new(unsafe { ffi::EVP_MD_CTX_new() }, Error::Library)?;
    let inner = std::ptr::null_mut();
    // SAFETY: state and key are live; no hash function and no engine; the inner context is not asked for.
    let done = unsafe {
        init(state.as_ptr(), inner, std::ptr::null(), std::ptr::null_mut(), key.as_ptr())
    };
    check(done, Error::Library).map(|()| state)
}

/// Computes mu (FIPS 204 §6.2): the FIPS library takes no context, so what has one is signed and verified by its mu.
fn mu(key: &Owned<ffi::EVP_PKEY>, context: &[u8], message: &[u8]) -> Result<[u8; MU_BYTES], Error> {
    let length = u8::try_from(context.len()).map_err(|_error| Error::Parameter)?;
    let public = keys::raw(key, ffi::EVP_PKEY_get_raw_public_key)?;
    let tr = digest::shake256_64(&[public.expose()])?;
    digest::shake256_64(&[&tr, &[0, length], context, message])
}

/// A public key.
pub struct PublicKey {
    set: ParameterSet,
    key: Owned<ffi::EVP_PKEY>,
}

impl PublicKey {
    /// Takes a raw public key.
    ///
    /// # Errors
    /// [`Error::PublicKeyInvalid`].
    pub fn new(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        // SAFETY: pointer and length are of one slice.
        let key = unsafe {
            ffi::EVP_PKEY_pqdsa_new_raw_public_key(set.nid(), bytes.as_ptr(), bytes.len())
        };
        Ok(Self { set, key: Owned::new(key, Error::PublicKeyInvalid)? })
    }

    /// Writes SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_spki(&self) -> Result<Vec<u8>, Error> {
        keys::marshal_spki(&self.key)
    }

    /// Verifies a signature.
    ///
    /// # Errors
    /// [`Error::Signature`], or [`Error::Parameter`] for a context that is too long.
    pub fn verify(&self, context: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
        if signature.len() != self.set.signature_bytes() {
            return Err(Error::Signature);
        }
        if !context.is_empty() {
            return self.verify_mu(&mu(&self.key, context, message)?, signature);
        }
        let verifier = start(&self.key, ffi::EVP_DigestVerifyInit)?;
        // SAFETY: each pointer goes with the length of its slice.
        let verified = unsafe {
            ffi::EVP_DigestVerify(
                verifier.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                message.as_ptr(),
                message.len(),
            )
        };
        check(verified, Error::Signature)
    }

    /// Verifies a signature on a message whose mu the caller computed.
    ///
    /// # Errors
    /// [`Error::Signature`], or [`Error::DataLength`] if mu does not have 64 bytes.
    pub fn verify_mu(&self, mu: &[u8], signature: &[u8]) -> Result<(), Error> {
        if mu.len() != MU_BYTES {
            return Err(Error::DataLength);
        }
        let context = keys::context(&self.key)?;
        // SAFETY: the context is live and new.
        check(unsafe { ffi::EVP_PKEY_verify_init(context.as_ptr()) }, Error::Library)?;
        // SAFETY: each pointer goes with the length of its slice.
        let verified = unsafe {
            ffi::EVP_PKEY_verify(
                context.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                mu.as_ptr(),
                mu.len(),
            )
        };
        check(verified, Error::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_survives_pkcs8_and_only_its_own_parameter_set_takes_it() {
        for set in ParameterSet::ALL {
            let key = PrivateKey::from_seed(set, &[7; SEED_BYTES]).unwrap();
            let pkcs8 = key.to_pkcs8().unwrap();
            let read = PrivateKey::from_pkcs8(set, pkcs8.expose()).unwrap();
            assert_eq!(read.seed().unwrap().expose(), [7; SEED_BYTES]);
            assert_eq!(read.public_key().unwrap(), key.public_key().unwrap());
            for other in ParameterSet::ALL.into_iter().filter(|other| *other != set) {
                let refused = PrivateKey::from_pkcs8(other, pkcs8.expose());
                assert_eq!(refused.err(), Some(Error::KeyInvalid));
            }
        }
    }

    #[test]
    fn an_expanded_key_has_no_seed() {
        let set = ParameterSet::MlDsa65;
        let key = PrivateKey::from_seed(set, &[7; SEED_BYTES]).unwrap();
        let expanded = key.expanded().unwrap();
        let again = PrivateKey::from_expanded(set, expanded.expose()).unwrap();
        assert!(again.seed().is_none());
        assert_eq!(again.public_key().unwrap(), key.public_key().unwrap());
        assert_eq!(again.to_pkcs8().err(), Some(Error::Library));
    }
}
