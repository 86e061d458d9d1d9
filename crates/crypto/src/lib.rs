//! Safe cryptography over AWS-LC: the only crate of Casemate that calls a cryptographic library by FFI.
//!
//! One safe interface, no policy: what an HSM *allows* is decided above. It is written over `aws-lc-sys`
//! (or the FIPS build: `ffi.rs`), of the very version that rustls uses, because the safe wrapper lacks P-224, ECDH on
//! secp256k1, raw RSA and AES-192 key wrap. Keys are objects that keep what the library prepared (schedules, tables, CRT parameters), so
//! that using one costs what the library costs. Secrets are types that cannot be printed and are wiped when
//! dropped.
//!
//! Each `unsafe` block is one call, with its reason; C objects are owned by types that free them once (`owned.rs`).

pub mod aes;
pub mod digest;
pub mod ec;
pub mod ed25519;
mod error;
mod ffi;
pub mod hmac;
pub mod hybrid;
pub mod kdf;
mod keys;
pub mod ml_dsa;
pub mod ml_kem;
mod owned;
pub mod random;
pub mod rsa;
mod secret;
pub mod self_test;
pub mod x25519;

pub use digest::Hash;
pub use error::Error;
pub use keys::verify_spki;
pub use secret::{Secret, Wiped, constant_time_eq};

/// Whether the library is the FIPS build of AWS-LC, running in FIPS mode.
#[must_use]
pub fn is_fips_library() -> bool {
    // SAFETY: takes nothing and only reads a constant of the library.
    unsafe { ffi::FIPS_mode() == 1 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_library_is_the_one_that_the_feature_names() {
        assert_eq!(super::is_fips_library(), cfg!(feature = "fips"));
    }
}
