//! Digest functions.

use casemate_protocol::mechanisms::Functions;
use cryptoki_sys as ck;

use crate::abi::{self, Output, enter};
use crate::functions::digest;
use crate::mechanism;

pub(crate) unsafe extern "C" fn C_DigestInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().digest.take());
        }
        // SAFETY: the caller's promise.
        let row = unsafe { mechanism::row(mechanism, Functions::DIGEST) }?;
        digest::begin(&session, row)
    })
}

/// NULL in the place of a mechanism cancels what is active (PKCS#11 3.2 §5.8.1).
pub(super) fn cancelled<T>(active: Option<T>) -> crate::code::Result<()> {
    active.map(drop).ok_or(crate::code::Code::OPERATION_NOT_INITIALIZED)
}

pub(crate) unsafe extern "C" fn C_Digest(
    session: ck::CK_SESSION_HANDLE,
    data: ck::CK_BYTE_PTR,
    data_length: ck::CK_ULONG,
    digest: ck::CK_BYTE_PTR,
    digest_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let given = unsafe { abi::slice(data, data_length) };
        // SAFETY: the caller's promise.
        let output = unsafe { Output::new(digest, digest_length) };
        digest::whole(&session, given.and_then(|data| Ok((data, output?))))
    })
}

pub(crate) unsafe extern "C" fn C_DigestUpdate(
    session: ck::CK_SESSION_HANDLE,
    data: ck::CK_BYTE_PTR,
    data_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        digest::part(&session, unsafe { abi::slice(data, data_length) })
    })
}

pub(crate) unsafe extern "C" fn C_DigestKey(
    session: ck::CK_SESSION_HANDLE,
    key: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| digest::key(library, &*library.session(session)?, key))
}

pub(crate) unsafe extern "C" fn C_DigestFinal(
    session: ck::CK_SESSION_HANDLE,
    digest: ck::CK_BYTE_PTR,
    digest_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        digest::last(&session, unsafe { Output::new(digest, digest_length) })
    })
}
