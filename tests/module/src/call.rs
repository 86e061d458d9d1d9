//! What every call needs: codes as results, lengths in C's type, and outputs of a length that only the module knows.

use cryptoki_sys as ck;

use crate::code::Code;

/// More than any output is longer than its input: a signature, a ciphertext of ML-KEM, a wrapped key.
const OUTPUT_ROOM: usize = 8 * 1024;

pub(crate) const fn check(code: ck::CK_RV) -> Result<(), Code> {
    if code == ck::CKR_OK { Ok(()) } else { Err(Code(code)) }
}

pub(crate) fn ulong(length: usize) -> ck::CK_ULONG {
    ck::CK_ULONG::try_from(length).unwrap_or(ck::CK_ULONG::MAX)
}

/// Looks a function up in the list.
macro_rules! function {
    ($list:expr, $name:ident) => {
        $list.$name.ok_or($crate::code::Code(ck::CKR_FUNCTION_NOT_SUPPORTED))?
    };
}
pub(crate) use function;

/// Gives a call room for its output and returns what it wrote.
pub(crate) fn output(
    input: usize,
    call: impl FnOnce(*mut ck::CK_BYTE, *mut ck::CK_ULONG) -> ck::CK_RV,
) -> Result<Vec<u8>, Code> {
    let mut buffer = vec![0; input.saturating_add(OUTPUT_ROOM)];
    let mut length = ulong(buffer.len());
    check(call(buffer.as_mut_ptr(), &raw mut length))?;
    buffer.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    Ok(buffer)
}
