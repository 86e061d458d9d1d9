//! Why a cryptographic operation failed.

use std::ffi::c_int;

/// Why a cryptographic operation failed. None of these tells anything of a key or a plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key has a length that the algorithm does not have.
    #[error("the key has a length that the algorithm does not have")]
    KeyLength,
    /// The key is damaged, contradicts itself, or is weak.
    #[error("the key is damaged, contradicts itself, or is weak")]
    KeyInvalid,
    /// The public key is not a point of the curve, or has a low order.
    #[error("the public key is not valid on its curve")]
    PublicKeyInvalid,
    /// The input has a length that the algorithm does not take.
    #[error("the input has a length that the algorithm does not take")]
    DataLength,
    /// The input has a value that the algorithm does not take.
    #[error("the input has a value that the algorithm does not take")]
    DataInvalid,
    /// A parameter (IV, tag length, salt length, label) is not one that the algorithm takes.
    #[error("a parameter is not one that the algorithm takes")]
    Parameter,
    /// The ciphertext is damaged, or was made by another key.
    #[error("the ciphertext is damaged, or was made by another key")]
    Decryption,
    /// The signature is not valid.
    #[error("the signature is not valid")]
    Signature,
    /// A new key pair failed its pairwise consistency test.
    #[error("a new key pair failed its pairwise test: this machine must not be used")]
    Pairwise,
    /// A power-on self-test failed.
    #[error("the self-test of {0} failed: this machine must not be used")]
    SelfTest(&'static str),
    /// The library could not do it: out of memory, or a fault of its own.
    #[error("the cryptographic library could not do it")]
    Library,
}

/// Turns the library's 1 for success into a result.
pub(crate) const fn check(result: c_int, error: Error) -> Result<(), Error> {
    if result == 1 { Ok(()) } else { Err(error) }
}
