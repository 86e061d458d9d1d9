//! The C functions, one per function of the standard: pointers become slices, the work is done by [`crate::functions`].
//!
//! Every function is `unsafe` for the one reason given in [`crate::abi`]: the caller promises that its pointers are good for their lengths.
//! That promise is what each SAFETY comment of these files refers to.
#![expect(non_snake_case, reason = "each is named as PKCS#11 names it")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "the pointers of one call rest on one promise of its caller"
)]

pub(crate) mod cipher;
pub(crate) mod digest;
pub(crate) mod general;
pub(crate) mod key;
pub(crate) mod message;
pub(crate) mod object;
pub(crate) mod session;
pub(crate) mod sign;
pub(crate) mod unsupported;

use bytes::Bytes;
use cryptoki_sys as ck;

use crate::abi::{self, Output};
use crate::code::Result;

/// Copies an input, so that an output may lie in the same memory.
///
/// # Safety
/// The caller's promise.
unsafe fn copied(pointer: *const u8, length: ck::CK_ULONG) -> Result<Bytes> {
    // SAFETY: the caller's promise.
    unsafe { abi::slice(pointer, length) }.map(Bytes::copy_from_slice)
}

/// An input that is copied, and an output.
///
/// # Safety
/// The caller's promise.
unsafe fn copied_and_output(
    input: (*const u8, ck::CK_ULONG),
    output: (*mut u8, *mut ck::CK_ULONG),
) -> Result<(Bytes, Output)> {
    // SAFETY: the caller's promise.
    unsafe { Ok((copied(input.0, input.1)?, Output::new(output.0, output.1)?)) }
}
