//! The cryptographic library: the one place that decides which AWS-LC this program is made of.
//!
//! Without the feature `fips` it is `aws-lc-sys`; with it, `aws-lc-fips-sys`: the branch of AWS-LC that holds the FIPS
//! module, with its own integrity test at start. rustls and rcgen follow by the same feature, so that a program is
//! linked with one library. Where the FIPS branch lacks something (ML-DSA with a context, the seed of an ML-DSA key, the
//! check of an RSA ciphertext's range), both builds take a way that both libraries have, so that the tests of one speak
//! for the other.

#[cfg(feature = "fips")]
pub(crate) use aws_lc_fips_sys::*;
#[cfg(not(feature = "fips"))]
pub(crate) use aws_lc_sys::*;
