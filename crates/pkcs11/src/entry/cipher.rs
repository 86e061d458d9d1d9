//! Functions that encrypt and decrypt.

use casemate_protocol::mechanisms::Functions;
use cryptoki_sys as ck;

use super::copied_and_output;
use super::digest::cancelled;
use crate::abi::{Output, enter};
use crate::functions::cipher;
use crate::mechanism;
use crate::operations::cipher::Direction::{Decrypt, Encrypt};

pub(crate) unsafe extern "C" fn C_EncryptInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    key: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().encrypt.take());
        }
        // SAFETY: the caller's promise.
        let chosen = unsafe { mechanism::read(library, mechanism, Functions::ENCRYPT) }?;
        cipher::begin(library, &session, Encrypt, chosen, key)
    })
}

pub(crate) unsafe extern "C" fn C_Encrypt(
    session: ck::CK_SESSION_HANDLE,
    data: ck::CK_BYTE_PTR,
    data_length: ck::CK_ULONG,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let given = unsafe { copied_and_output((data, data_length), (output, output_length)) };
        cipher::whole(library, &session, Encrypt, given)
    })
}

pub(crate) unsafe extern "C" fn C_EncryptUpdate(
    session: ck::CK_SESSION_HANDLE,
    part: ck::CK_BYTE_PTR,
    part_length: ck::CK_ULONG,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let given = unsafe { copied_and_output((part, part_length), (output, output_length)) };
        cipher::part(library, &session, Encrypt, given)
    })
}

pub(crate) unsafe extern "C" fn C_EncryptFinal(
    session: ck::CK_SESSION_HANDLE,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        cipher::last(library, &session, Encrypt, unsafe { Output::new(output, output_length) })
    })
}

pub(crate) unsafe extern "C" fn C_DecryptInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    key: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().decrypt.take());
        }
        // SAFETY: the caller's promise.
        let chosen = unsafe { mechanism::read(library, mechanism, Functions::DECRYPT) }?;
        cipher::begin(library, &session, Decrypt, chosen, key)
    })
}

pub(crate) unsafe extern "C" fn C_Decrypt(
    session: ck::CK_SESSION_HANDLE,
    data: ck::CK_BYTE_PTR,
    data_length: ck::CK_ULONG,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let given = unsafe { copied_and_output((data, data_length), (output, output_length)) };
        cipher::whole(library, &session, Decrypt, given)
    })
}

pub(crate) unsafe extern "C" fn C_DecryptUpdate(
    session: ck::CK_SESSION_HANDLE,
    part: ck::CK_BYTE_PTR,
    part_length: ck::CK_ULONG,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let given = unsafe { copied_and_output((part, part_length), (output, output_length)) };
        cipher::part(library, &session, Decrypt, given)
    })
}

pub(crate) unsafe extern "C" fn C_DecryptFinal(
    session: ck::CK_SESSION_HANDLE,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        cipher::last(library, &session, Decrypt, unsafe { Output::new(output, output_length) })
    })
}
