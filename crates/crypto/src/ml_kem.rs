//! ML-KEM (FIPS 203), all sizes.

use crate::ffi;

use crate::error::check;
use crate::owned::Owned;
use crate::{Error, Secret, keys};

/// A parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum ParameterSet {
    MlKem512,
    MlKem768,
    MlKem1024,
}

/// Bytes of a seed (d ‖ z).
pub const SEED_BYTES: usize = 64;
/// Bytes of the shared secret.
pub const SHARED_SECRET_BYTES: usize = 32;

impl ParameterSet {
    /// All parameter sets.
    pub const ALL: [Self; 3] = [Self::MlKem512, Self::MlKem768, Self::MlKem1024];

    const fn nid(self) -> i32 {
        match self {
            Self::MlKem512 => ffi::NID_MLKEM512,
            Self::MlKem768 => ffi::NID_MLKEM768,
            Self::MlKem1024 => ffi::NID_MLKEM1024,
        }
    }

    /// Returns the bytes of a public key.
    #[must_use]
    pub const fn public_key_bytes(self) -> usize {
        match self {
            Self::MlKem512 => 800,
            Self::MlKem768 => 1_184,
            Self::MlKem1024 => 1_568,
        }
    }

    /// Returns the bytes of an expanded private key.
    #[must_use]
    pub const fn private_key_bytes(self) -> usize {
        match self {
            Self::MlKem512 => 1_632,
            Self::MlKem768 => 2_400,
            Self::MlKem1024 => 3_168,
        }
    }

    /// Returns the bytes of a ciphertext.
    #[must_use]
    pub const fn ciphertext_bytes(self) -> usize {
        match self {
            Self::MlKem512 => 768,
            Self::MlKem768 => 1_088,
            Self::MlKem1024 => 1_568,
        }
    }
}

/// A private key.
pub struct PrivateKey {
    set: ParameterSet,
    key: Owned<ffi::EVP_PKEY>,
    seed: Option<Secret>,
}

impl PrivateKey {
    /// Makes a key, and tests the pair.
    ///
    /// # Errors
    /// [`Error::Pairwise`].
    pub fn generate(set: ParameterSet) -> Result<Self, Error> {
        let seed = Secret::random(SEED_BYTES);
        let key = Self::from_seed(set, seed.expose())?;
        let (ciphertext, ours) = PublicKey::new(set, &key.public_key()?)?.encapsulate()?;
        let theirs = key.decapsulate(&ciphertext)?;
        let agreed = crate::constant_time_eq(ours.expose(), theirs.expose());
        if agreed { Ok(key) } else { Err(Error::Pairwise) }
    }

    /// Takes a seed.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn from_seed(set: ParameterSet, seed: &[u8]) -> Result<Self, Error> {
        if seed.len() != SEED_BYTES {
            return Err(Error::KeyLength);
        }
        let context = keys::context_for(ffi::EVP_PKEY_KEM)?;
        // SAFETY: the context is live and new.
        let set_params = unsafe { ffi::EVP_PKEY_CTX_kem_set_params(context.as_ptr(), set.nid()) };
        check(set_params, Error::Library)?;
        // SAFETY: the context is live.
        check(unsafe { ffi::EVP_PKEY_keygen_init(context.as_ptr()) }, Error::Library)?;
        let mut key = std::ptr::null_mut();
        let mut length = seed.len();
        // SAFETY: the context is live, `key` is ours to fill, pointer and length are of one slice.
        let made = unsafe {
            ffi::EVP_PKEY_keygen_deterministic(
                context.as_ptr(),
                &raw mut key,
                seed.as_ptr(),
                &raw mut length,
            )
        };
        check(made, Error::Library)?;
        let key = Owned::new(key, Error::Library)?;
        Ok(Self { set, key, seed: Some(Secret::from_slice(seed)) })
    }

    /// Takes an expanded private key (FIPS 203 §7.2, dk), and checks the hash of the public key inside.
    ///
    /// # Errors
    /// [`Error::KeyLength`], or [`Error::KeyInvalid`] if it contradicts itself.
    pub fn from_expanded(set: ParameterSet, expanded: &[u8]) -> Result<Self, Error> {
        if expanded.len() != set.private_key_bytes() {
            return Err(Error::KeyLength);
        }
        // dk = dk_pke ‖ ek ‖ H(ek) ‖ z: the public key ends 64 bytes before the end.
        let end = expanded.len() - 64;
        let public = expanded.get(end - set.public_key_bytes()..end).ok_or(Error::KeyLength)?;
        // SAFETY: each pointer goes with the length of its slice.
        let key = unsafe {
            ffi::EVP_PKEY_kem_new_raw_key(
                set.nid(),
                public.as_ptr(),
                public.len(),
                expanded.as_ptr(),
                expanded.len(),
            )
        };
        let key = Owned::new(key, Error::KeyInvalid)?;
        // SAFETY: the key is live.
        check(unsafe { ffi::EVP_PKEY_kem_check_key(key.as_ptr()) }, Error::KeyInvalid)?;
        Ok(Self { set, key, seed: None })
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

    /// Decapsulates. A ciphertext that was not made for this key gives a secret that nobody else has (FIPS 203 §6.3).
    ///
    /// # Errors
    /// [`Error::DataLength`].
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret, Error> {
        if ciphertext.len() != self.set.ciphertext_bytes() {
            return Err(Error::DataLength);
        }
        let context = keys::context(&self.key)?;
        let mut shared = zeroize::Zeroizing::new([0; SHARED_SECRET_BYTES]);
        let mut length = SHARED_SECRET_BYTES;
        // SAFETY: each pointer goes with the length of its buffer.
        let done = unsafe {
            ffi::EVP_PKEY_decapsulate(
                context.as_ptr(),
                shared.as_mut_ptr(),
                &raw mut length,
                ciphertext.as_ptr(),
                ciphertext.len(),
            )
        };
        check(done, Error::Library)?;
        Ok(Secret::from_slice(shared.as_ref()))
    }
}

/// A public key.
pub struct PublicKey {
    set: ParameterSet,
    key: Owned<ffi::EVP_PKEY>,
}

impl PublicKey {
    /// Takes a raw public key; its modulus is checked at each encapsulation (FIPS 203 §7.2).
    ///
    /// # Errors
    /// [`Error::PublicKeyInvalid`].
    pub fn new(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        // SAFETY: pointer and length are of one slice.
        let key =
            unsafe { ffi::EVP_PKEY_kem_new_raw_public_key(set.nid(), bytes.as_ptr(), bytes.len()) };
        Ok(Self { set, key: Owned::new(key, Error::PublicKeyInvalid)? })
    }

    /// Encapsulates: returns the ciphertext and the shared secret.
    ///
    /// # Errors
    /// [`Error::PublicKeyInvalid`] if the key fails the check of FIPS 203 §7.2.
    pub fn encapsulate(&self) -> Result<(Vec<u8>, Secret), Error> {
        let context = keys::context(&self.key)?;
        let mut ciphertext = vec![0; self.set.ciphertext_bytes()];
        let mut ciphertext_length = ciphertext.len();
        let mut shared = zeroize::Zeroizing::new([0; SHARED_SECRET_BYTES]);
        let mut length = SHARED_SECRET_BYTES;
        // SAFETY: each pointer goes with the length of its buffer.
        let done = unsafe {
            ffi::EVP_PKEY_encapsulate(
                context.as_ptr(),
                ciphertext.as_mut_ptr(),
                &raw mut ciphertext_length,
                shared.as_mut_ptr(),
                &raw mut length,
            )
        };
        check(done, Error::PublicKeyInvalid)?;
        Ok((ciphertext, Secret::from_slice(shared.as_ref())))
    }
}
