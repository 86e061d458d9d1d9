//! The only unsafe code of this crate: calls into AWS-LC and into a loaded PKCS#11 module.
//!
//! Both are measured as an application would call them, through C, with nothing of ours between
//! the clock and the library. Each file gives the rest of the crate a safe face.

pub(crate) mod aws_lc;
pub(crate) mod pkcs11;
