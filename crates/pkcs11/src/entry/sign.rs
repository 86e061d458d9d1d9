//! Functions that sign and verify.

use casemate_protocol::mechanisms::Functions;
use cryptoki_sys as ck;

use super::digest::cancelled;
use crate::abi::{self, Output, enter};
use crate::entry::copied;
use crate::functions::sign;
use crate::mechanism;

pub(crate) unsafe extern "C" fn C_SignInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    key: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().sign.take());
        }
        // SAFETY: the caller's promise.
        let chosen = unsafe { mechanism::read(library, mechanism, Functions::SIGN) }?;
        sign::begin_sign(library, &session, chosen, key)
    })
}

pub(crate) unsafe extern "C" fn C_Sign(
    session: ck::CK_SESSION_HANDLE,
    data: ck::CK_BYTE_PTR,
    data_length: ck::CK_ULONG,
    signature: ck::CK_BYTE_PTR,
    signature_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise. A signature is written when the data was hashed or copied.
        let given = unsafe { abi::slice(data, data_length) };
        // SAFETY: the caller's promise.
        let output = unsafe { Output::new(signature, signature_length) };
        sign::sign(library, &session, given.and_then(|data| Ok((data, output?))))
    })
}

pub(crate) unsafe extern "C" fn C_SignUpdate(
    session: ck::CK_SESSION_HANDLE,
    part: ck::CK_BYTE_PTR,
    part_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        sign::sign_part(library, &session, unsafe { abi::slice(part, part_length) })
    })
}

pub(crate) unsafe extern "C" fn C_SignFinal(
    session: ck::CK_SESSION_HANDLE,
    signature: ck::CK_BYTE_PTR,
    signature_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        sign::sign_last(library, &session, unsafe { Output::new(signature, signature_length) })
    })
}

pub(crate) unsafe extern "C" fn C_VerifyInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    key: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().verify.take());
        }
        // SAFETY: the caller's promise.
        let chosen = unsafe { mechanism::read(library, mechanism, Functions::VERIFY) }?;
        sign::begin_verify(library, &session, chosen, key, None)
    })
}

pub(crate) unsafe extern "C" fn C_Verify(
    session: ck::CK_SESSION_HANDLE,
    data: ck::CK_BYTE_PTR,
    data_length: ck::CK_ULONG,
    signature: ck::CK_BYTE_PTR,
    signature_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let data = unsafe { abi::slice(data, data_length) };
        // SAFETY: the caller's promise.
        let signature = unsafe { abi::slice(signature, signature_length) };
        sign::verify(library, &session, data.and_then(|data| Ok((data, signature?))))
    })
}

pub(crate) unsafe extern "C" fn C_VerifyUpdate(
    session: ck::CK_SESSION_HANDLE,
    part: ck::CK_BYTE_PTR,
    part_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        sign::verify_part(library, &session, unsafe { abi::slice(part, part_length) })
    })
}

pub(crate) unsafe extern "C" fn C_VerifyFinal(
    session: ck::CK_SESSION_HANDLE,
    signature: ck::CK_BYTE_PTR,
    signature_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        sign::verify_last(library, &session, unsafe { abi::slice(signature, signature_length) })
    })
}

pub(crate) unsafe extern "C" fn C_VerifySignatureInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    key: ck::CK_OBJECT_HANDLE,
    signature: ck::CK_BYTE_PTR,
    signature_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().verify.take());
        }
        // SAFETY: the caller's promise.
        let chosen = unsafe { mechanism::read(library, mechanism, Functions::VERIFY) }?;
        // SAFETY: the caller's promise.
        let expected = unsafe { copied(signature, signature_length) }?;
        sign::begin_verify(library, &session, chosen, key, Some(expected))
    })
}

pub(crate) unsafe extern "C" fn C_VerifySignature(
    session: ck::CK_SESSION_HANDLE,
    data: ck::CK_BYTE_PTR,
    data_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        sign::verify_told(library, &session, unsafe { abi::slice(data, data_length) })
    })
}

pub(crate) unsafe extern "C" fn C_VerifySignatureUpdate(
    session: ck::CK_SESSION_HANDLE,
    part: ck::CK_BYTE_PTR,
    part_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        sign::verify_part(library, &session, unsafe { abi::slice(part, part_length) })
    })
}

pub(crate) unsafe extern "C" fn C_VerifySignatureFinal(
    session: ck::CK_SESSION_HANDLE,
) -> ck::CK_RV {
    enter(|library| sign::verify_told_last(library, &*library.session(session)?))
}
