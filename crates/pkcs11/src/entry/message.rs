//! Functions that encrypt and decrypt messages, each with an IV of its own: AES-GCM (PKCS#11 3.2 §6.13.4.4).

use casemate_protocol::mechanisms::Functions;
use casemate_protocol::messages::Gcm;
use cryptoki_sys as ck;

use super::copied;
use super::digest::cancelled;
use crate::abi::{self, Output, enter};
use crate::code::{Code, Result};
use crate::functions::cipher;
use crate::mechanism;
use crate::operations::cipher::Direction::{Decrypt, Encrypt};
use crate::operations::message::MADE_IV_BYTES;

const INVALID: Code = Code::MECHANISM_PARAM_INVALID;

pub(crate) unsafe extern "C" fn C_MessageEncryptInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    key: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().message_encrypt.take());
        }
        // SAFETY: the caller's promise.
        let row = unsafe { mechanism::row(mechanism, Functions::ENCRYPT) }?;
        cipher::begin_messages(library, &session, Encrypt, row, key)
    })
}

pub(crate) unsafe extern "C" fn C_MessageDecryptInit(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    key: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if mechanism.is_null() {
            return cancelled(session.active().message_decrypt.take());
        }
        // SAFETY: the caller's promise.
        let row = unsafe { mechanism::row(mechanism, Functions::DECRYPT) }?;
        cipher::begin_messages(library, &session, Decrypt, row, key)
    })
}

/// Reads the parameter of one message.
unsafe fn parameter<'a>(
    pointer: ck::CK_VOID_PTR,
    length: ck::CK_ULONG,
) -> Result<&'a ck::CK_GCM_MESSAGE_PARAMS> {
    if usize::try_from(length) != Ok(size_of::<ck::CK_GCM_MESSAGE_PARAMS>()) {
        return Err(INVALID);
    }
    // SAFETY: the caller's promise, of the right length.
    let parameter = unsafe { abi::reference(pointer.cast::<ck::CK_GCM_MESSAGE_PARAMS>()) }?;
    let whole = parameter.ulTagBits % 8 == 0 && parameter.ulTagBits <= 128;
    let placed = !parameter.pIv.is_null() && !parameter.pTag.is_null();
    if whole && placed && parameter.ulIvLen <= 256 { Ok(parameter) } else { Err(INVALID) }
}

pub(crate) unsafe extern "C" fn C_EncryptMessage(
    session: ck::CK_SESSION_HANDLE,
    given: ck::CK_VOID_PTR,
    given_length: ck::CK_ULONG,
    aad: ck::CK_BYTE_PTR,
    aad_length: ck::CK_ULONG,
    plaintext: ck::CK_BYTE_PTR,
    plaintext_length: ck::CK_ULONG,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if session.active().message_encrypt.is_none() {
            return Err(Code::OPERATION_NOT_INITIALIZED);
        }
        // SAFETY: the caller's promise.
        let parameter = unsafe { parameter(given, given_length) }?;
        let made = match parameter.ivGenerator {
            ck::CKG_NO_GENERATE => false,
            // SP 800-38D §8.2.2: a random IV of 96 bits.
            ck::CKG_GENERATE | ck::CKG_GENERATE_RANDOM if parameter.ulIvFixedBits == 0 => true,
            _ => return Err(INVALID),
        };
        if made && usize::try_from(parameter.ulIvLen) != Ok(MADE_IV_BYTES) {
            return Err(INVALID);
        }
        // SAFETY: the caller's promise.
        let (plaintext, aad, output) = unsafe {
            let plaintext = copied(plaintext, plaintext_length)?;
            (plaintext, copied(aad, aad_length)?, Output::new(output, output_length)?)
        };
        if output.settle(plaintext.len())? == abi::Settled::Asked {
            return Ok(());
        }
        let mut iv = Vec::new();
        if !made {
            // SAFETY: the caller's promise; not null by `parameter`.
            iv = unsafe { abi::slice(parameter.pIv.cast_const(), parameter.ulIvLen) }?.to_vec();
        }
        let gcm = Gcm { iv, aad: aad.to_vec(), tag_bits: parameter.ulTagBits };
        let sealed = cipher::encrypt_message(library, &session, gcm, plaintext)?;
        // SAFETY: the caller's promise; not null by `parameter`.
        unsafe {
            // A caller's IV is only read: it may lie in constant memory.
            if made {
                write(parameter.pIv, parameter.ulIvLen, &sealed.iv)?;
            }
            write(parameter.pTag, parameter.ulTagBits / 8, &sealed.tag)?;
        }
        output.write(&sealed.ciphertext)
    })
}

unsafe fn write(place: *mut u8, room: ck::CK_ULONG, bytes: &[u8]) -> Result<()> {
    // SAFETY: the caller's promise.
    let place = unsafe { abi::slice_mut(place, room) }?;
    if place.len() != bytes.len() {
        return Err(INVALID);
    }
    place.copy_from_slice(bytes);
    Ok(())
}

pub(crate) unsafe extern "C" fn C_DecryptMessage(
    session: ck::CK_SESSION_HANDLE,
    given: ck::CK_VOID_PTR,
    given_length: ck::CK_ULONG,
    aad: ck::CK_BYTE_PTR,
    aad_length: ck::CK_ULONG,
    ciphertext: ck::CK_BYTE_PTR,
    ciphertext_length: ck::CK_ULONG,
    output: ck::CK_BYTE_PTR,
    output_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if session.active().message_decrypt.is_none() {
            return Err(Code::OPERATION_NOT_INITIALIZED);
        }
        // SAFETY: the caller's promise.
        let parameter = unsafe { parameter(given, given_length) }?;
        // SAFETY: the caller's promise; IV and tag are not null by `parameter`.
        let (mut sealed, tag, iv, aad, output) = unsafe {
            (
                abi::slice(ciphertext, ciphertext_length)?.to_vec(),
                copied(parameter.pTag, parameter.ulTagBits / 8)?,
                copied(parameter.pIv, parameter.ulIvLen)?,
                copied(aad, aad_length)?,
                Output::new(output, output_length)?,
            )
        };
        if output.settle(sealed.len())? == abi::Settled::Asked {
            return Ok(());
        }
        sealed.extend_from_slice(&tag);
        let gcm = Gcm { iv: iv.to_vec(), aad: aad.to_vec(), tag_bits: parameter.ulTagBits };
        output.write(&cipher::decrypt_message(library, &session, gcm, sealed.into())?)
    })
}

pub(crate) unsafe extern "C" fn C_MessageEncryptFinal(session: ck::CK_SESSION_HANDLE) -> ck::CK_RV {
    enter(|library| cipher::end_messages(&*library.session(session)?, Encrypt))
}

pub(crate) unsafe extern "C" fn C_MessageDecryptFinal(session: ck::CK_SESSION_HANDLE) -> ck::CK_RV {
    enter(|library| cipher::end_messages(&*library.session(session)?, Decrypt))
}
