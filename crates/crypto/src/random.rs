//! Random bytes: AWS-LC's DRBG (SP 800-90A), with fresh kernel randomness mixed into each draw.
//!
//! A virtual machine that was cloned or set back has the DRBG's state of before: without fresh input two
//! copies would draw the same keys and IVs. So each draw hands 32 bytes of the kernel's generator (which
//! reseeds when the hypervisor says that it was cloned) to the DRBG as additional input
//! ("user prediction resistance").

use crate::ffi;

/// Fills `out` with random bytes.
///
/// # Panics
/// If the kernel or the library has no randomness: nothing safe can be done then.
pub fn fill(out: &mut [u8]) {
    let mut fresh = [0_u8; 32];
    let drawn = getrandom::fill(&mut fresh);
    assert!(drawn.is_ok(), "the kernel has no randomness");
    // SAFETY: `out` is good for its length, `fresh` for the 32 bytes that the function reads.
    let done = unsafe {
        ffi::RAND_bytes_with_user_prediction_resistance(out.as_mut_ptr(), out.len(), fresh.as_ptr())
    };
    assert!(done == 1, "the cryptographic library has no randomness");
}
