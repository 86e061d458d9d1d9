//! Sealing for one receiver, by his public key: X25519 and ML-KEM-768 together, so that it holds as long as one of them does.
//!
//! ```text
//! sealed = ML-KEM ciphertext ‖ ephemeral X25519 key ‖ IV ‖ ciphertext ‖ tag
//! key    = HKDF-SHA-512(ML-KEM secret ‖ X25519 secret; both ciphertexts, both public keys, context), 32 bytes
//! ```
//!
//! The shape is that of HPKE's base mode (RFC 9180 §5.1.1) with a hybrid KEM. Everything that either exchange saw goes into the key, as
//! X-Wing's analysis asks of a combiner that makes no assumption on its parts (draft-connolly-cfrg-xwing-kem §5), and so does the
//! context: what was sealed in one context opens in no other. The context is also the AEAD's additional data.

use crate::digest::Hash;
use crate::ml_kem::{self, ParameterSet};
use crate::secret::Secret;
use crate::{Error, aes, kdf, x25519};

const SET: ParameterSet = ParameterSet::MlKem768;
const INFO: &[u8] = b"casemate/hybrid-seal/v1";

/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = SET.public_key_bytes() + x25519::KEY_BYTES;
/// Bytes of a private key, as it is stored.
pub const PRIVATE_KEY_BYTES: usize = ml_kem::SEED_BYTES + x25519::KEY_BYTES;
const ENCAPSULATED_BYTES: usize = SET.ciphertext_bytes() + x25519::KEY_BYTES;

/// The receiver's key.
pub struct PrivateKey {
    ml_kem: ml_kem::PrivateKey,
    x25519: x25519::PrivateKey,
    public: Vec<u8>,
}

impl PrivateKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Library`], or [`Error::Pairwise`] if the pair does not work.
    pub fn generate() -> Result<Self, Error> {
        Self::of(ml_kem::PrivateKey::generate(SET)?, x25519::PrivateKey::generate()?)
    }

    fn of(ml_kem: ml_kem::PrivateKey, x25519: x25519::PrivateKey) -> Result<Self, Error> {
        let public = [ml_kem.public_key()?.as_slice(), x25519.public_key()].concat();
        Ok(Self { ml_kem, x25519, public })
    }

    /// Returns what others seal by.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// Returns the form that is stored: the seed of ML-KEM, then the scalar.
    ///
    /// # Errors
    /// [`Error::Library`] if it was not made from a seed.
    pub fn to_bytes(&self) -> Result<Secret, Error> {
        let seed = self.ml_kem.seed().ok_or(Error::Library)?;
        let mut bytes = Vec::with_capacity(PRIVATE_KEY_BYTES);
        bytes.extend_from_slice(seed.expose());
        bytes.extend_from_slice(self.x25519.secret().expose());
        Ok(Secret::from_vec(bytes))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (seed, scalar) = bytes.split_at_checked(ml_kem::SEED_BYTES).ok_or(Error::KeyInvalid)?;
        let scalar = scalar.try_into().map_err(|_error| Error::KeyInvalid)?;
        let ml_kem = ml_kem::PrivateKey::from_seed(SET, seed)?;
        Self::of(ml_kem, x25519::PrivateKey::from_bytes(scalar))
    }

    /// Opens what was sealed by the public key, in this context.
    ///
    /// # Errors
    /// [`Error::Decryption`] for whatever was not.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        let decryption = |_error: Error| Error::Decryption;
        let (encapsulated, ciphertext) =
            sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(Error::Decryption)?;
        let (ml_kem, ephemeral) = encapsulated.split_at(SET.ciphertext_bytes());
        let ephemeral = ephemeral.try_into().map_err(|_error| Error::Decryption)?;
        let secrets = [
            self.ml_kem.decapsulate(ml_kem).map_err(decryption)?,
            self.x25519.agree(ephemeral).map_err(decryption)?,
        ];
        let key = combine(&secrets, encapsulated, &self.public, context)?;
        aes::open_gcm_once(key.expose(), context, ciphertext).map_err(decryption)
    }
}

/// Seals for the holder of a public key, in a context.
///
/// # Errors
/// [`Error::PublicKeyInvalid`] if the key is none.
pub fn seal(public: &[u8], context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let (ml_kem, x25519) =
        public.split_at_checked(SET.public_key_bytes()).ok_or(Error::PublicKeyInvalid)?;
    let x25519 = x25519.try_into().map_err(|_error| Error::PublicKeyInvalid)?;
    let ml_kem = ml_kem::PublicKey::new(SET, ml_kem).map_err(|_error| Error::PublicKeyInvalid)?;
    let (mut sealed, first) = ml_kem.encapsulate()?;
    let ephemeral = x25519::PrivateKey::generate()?;
    let second = ephemeral.agree(x25519).map_err(|_error| Error::PublicKeyInvalid)?;
    sealed.extend_from_slice(ephemeral.public_key());
    let key = combine(&[first, second], &sealed, public, context)?;
    aes::seal_gcm_once(key.expose(), context, plaintext, &mut sealed)?;
    Ok(sealed)
}

fn combine(
    secrets: &[Secret; 2],
    encapsulated: &[u8],
    public: &[u8],
    context: &[u8],
) -> Result<Secret, Error> {
    let [first, second] = secrets;
    let mut both = Vec::with_capacity(first.len() + second.len());
    both.extend_from_slice(first.expose());
    both.extend_from_slice(second.expose());
    let extracted = kdf::hkdf_extract(Hash::Sha512, INFO, Secret::from_vec(both).expose());
    // The first two have fixed lengths, so no two inputs look alike.
    let info = [encapsulated, public, context].concat();
    kdf::hkdf_expand(Hash::Sha512, extracted.expose(), &info, 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_receiver_in_its_context() {
        let key = PrivateKey::generate().unwrap();
        let again = PrivateKey::from_bytes(key.to_bytes().unwrap().expose()).unwrap();
        assert_eq!(
            (key.public_key().len(), again.public_key()),
            (PUBLIC_KEY_BYTES, key.public_key())
        );
        for length in [0, 1, 1000] {
            let plaintext = vec![7; length];
            let sealed = seal(key.public_key(), b"context", &plaintext).unwrap();
            assert_eq!(again.open(b"context", &sealed).unwrap().expose(), plaintext);
            assert!(key.open(b"another", &sealed).is_err());
            assert!(PrivateKey::generate().unwrap().open(b"context", &sealed).is_err());
            assert_ne!(seal(key.public_key(), b"context", &plaintext).unwrap(), sealed);
        }
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let key = PrivateKey::generate().unwrap();
        let sealed = seal(key.public_key(), b"context", b"pebble").unwrap();
        for at in 0..sealed.len() {
            let mut wrong = sealed.clone();
            wrong[at] ^= 1;
            let opened = key.open(b"context", &wrong);
            // RFC 7748 has the highest bit of an X25519 key ignored; it is part of what the key is derived from.
            assert_eq!(opened.err(), Some(Error::Decryption), "{at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(b"context", &sealed[..length]).err(), Some(Error::Decryption));
        }
    }

    #[test]
    fn a_key_that_is_none_seals_nothing() {
        let key = PrivateKey::generate().unwrap();
        for length in [0, 32, PUBLIC_KEY_BYTES - 1] {
            let cut = &key.public_key()[..length];
            assert_eq!(seal(cut, b"", b"x").err(), Some(Error::PublicKeyInvalid), "{length}");
        }
        let mut zero = key.public_key().to_vec();
        zero[SET.public_key_bytes()..].fill(0);
        assert_eq!(seal(&zero, b"", b"x").err(), Some(Error::PublicKeyInvalid));
        let mut wrong = key.public_key().to_vec();
        wrong[..SET.public_key_bytes()].fill(255);
        assert_eq!(seal(&wrong, b"", b"x").err(), Some(Error::PublicKeyInvalid));
        for length in [0, PRIVATE_KEY_BYTES - 1] {
            assert!(PrivateKey::from_bytes(&vec![1; length]).is_err());
        }
    }
}
