//! The functions of PKCS#11 in safe Rust: what [`crate::entry`] calls with slices in the place of pointers.

pub(crate) mod cipher;
pub(crate) mod digest;
pub(crate) mod general;
pub(crate) mod key;
pub(crate) mod object;
pub(crate) mod session;
pub(crate) mod sign;

use crate::code::{Code, Result};

/// Takes what an operation needs of its arguments: a wrong argument ends the operation (PKCS#11 3.2 §5.2).
///
/// # Errors
/// `CKR_OPERATION_NOT_INITIALIZED` before anything else.
fn arguments<T, A>(active: &mut Option<T>, arguments: Result<A>) -> Result<(&mut T, A)> {
    if active.is_none() {
        return Err(Code::OPERATION_NOT_INITIALIZED);
    }
    match arguments {
        Ok(arguments) => {
            let active = active.as_mut().ok_or(Code::OPERATION_NOT_INITIALIZED)?;
            Ok((active, arguments))
        }
        Err(code) => {
            *active = None;
            Err(code)
        }
    }
}

/// Ends an operation unless its outcome is only that a buffer is too small.
fn end_on_error<T, R>(active: &mut Option<T>, outcome: Result<R>) -> Result<R> {
    if let Err(code) = outcome
        && code != Code::BUFFER_TOO_SMALL
        && code != Code::OPERATION_ACTIVE
    {
        *active = None;
    }
    outcome
}

/// Checks that no operation of the kind is active.
///
/// # Errors
/// `CKR_OPERATION_ACTIVE`.
const fn check_free<T>(active: Option<&T>) -> Result<()> {
    if active.is_some() { Err(Code::OPERATION_ACTIVE) } else { Ok(()) }
}
