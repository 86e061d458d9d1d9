//! Encryption and decryption, of messages too (PKCS#11 3.2 §5.8 to §5.11).

use bytes::Bytes;
use casemate_crypto::Wiped;
use casemate_protocol::mechanisms::MechanismRow;
use casemate_protocol::messages::Gcm;
use casemate_protocol::{AttributeType, Mechanism};
use cryptoki_sys as ck;

use super::{arguments, check_free, end_on_error};
use crate::abi::Output;
use crate::code::{Code, Result};
use crate::library::Library;
use crate::mechanism::Chosen;
use crate::operations::Usable;
use crate::operations::cipher::{Cipher, Direction};
use crate::operations::message::{Message, Sealed};
use crate::sessions::{Active, Session};

const fn slot(active: &mut Active, direction: Direction) -> &mut Option<Cipher> {
    match direction {
        Direction::Encrypt => &mut active.encrypt,
        Direction::Decrypt => &mut active.decrypt,
    }
}

/// `C_EncryptInit`, `C_DecryptInit`
pub(crate) fn begin(
    library: &Library,
    session: &Session,
    direction: Direction,
    chosen: Chosen,
    key: ck::CK_OBJECT_HANDLE,
) -> Result<()> {
    let mut active = session.active();
    let slot = slot(&mut active, direction);
    check_free(slot.as_ref())?;
    let permit = match direction {
        Direction::Encrypt => AttributeType::Encrypt,
        Direction::Decrypt => AttributeType::Decrypt,
    };
    *slot = Some(Cipher::begin(Usable::find(library, key, chosen, permit)?, direction));
    Ok(())
}

/// `C_Encrypt`, `C_Decrypt`
pub(crate) fn whole(
    library: &Library,
    session: &Session,
    direction: Direction,
    given: Result<(Bytes, Output)>,
) -> Result<()> {
    let mut active = session.active();
    let slot = slot(&mut active, direction);
    let (cipher, (data, output)) = arguments(slot, given)?;
    if cipher.in_parts {
        return Err(Code::OPERATION_ACTIVE);
    }
    let bytes = cipher.whole_bytes(data.len());
    let outcome = give(cipher, bytes, &output, |cipher| cipher.whole(library, data));
    finish(slot, outcome)
}

/// `C_EncryptUpdate`, `C_DecryptUpdate`
pub(crate) fn part(
    library: &Library,
    session: &Session,
    direction: Direction,
    given: Result<(Bytes, Output)>,
) -> Result<()> {
    let mut active = session.active();
    let slot = slot(&mut active, direction);
    let (cipher, (data, output)) = arguments(slot, given)?;
    let bytes = cipher.part_bytes(data.len());
    if output.is_query() {
        output.say_length(bytes);
        return Ok(());
    }
    if !output.holds(bytes) {
        output.say_length(bytes);
        return Err(Code::BUFFER_TOO_SMALL);
    }
    let outcome = cipher.part(library, &data).and_then(|result| output.write(&result));
    end_on_error(slot, outcome)
}

/// `C_EncryptFinal`, `C_DecryptFinal`
pub(crate) fn last(
    library: &Library,
    session: &Session,
    direction: Direction,
    given: Result<Output>,
) -> Result<()> {
    let mut active = session.active();
    let slot = slot(&mut active, direction);
    let (cipher, output) = arguments(slot, given)?;
    let bytes = cipher.last_bytes();
    let outcome = give(cipher, bytes, &output, |cipher| cipher.last(library));
    finish(slot, outcome)
}

/// Whether an operation goes on.
#[derive(PartialEq, Eq)]
enum Then {
    Ends,
    GoesOn,
}

fn finish(slot: &mut Option<Cipher>, outcome: Result<Then>) -> Result<()> {
    if let Ok(Then::Ends) = outcome {
        *slot = None;
    }
    end_on_error(slot, outcome).map(|_then| ())
}

/// Gives a result to the caller. One whose length is known only afterwards is kept when the buffer is too small: the caller
/// comes again with a larger one, and no HSM works twice.
fn give(
    cipher: &mut Cipher,
    bytes: usize,
    output: &Output,
    work: impl FnOnce(&mut Cipher) -> Result<Wiped>,
) -> Result<Then> {
    if output.is_query() {
        output.say_length(cipher.ready.as_ref().map_or(bytes, |ready| ready.len()));
        return Ok(Then::GoesOn);
    }
    if cipher.ready.is_none() && cipher.is_exact() && !output.holds(bytes) {
        output.say_length(bytes);
        return Err(Code::BUFFER_TOO_SMALL);
    }
    let result = match cipher.ready.take() {
        Some(ready) => ready,
        None => work(cipher)?,
    };
    if let Err(code) = output.write(&result) {
        cipher.ready = Some(result);
        return Err(code);
    }
    Ok(Then::Ends)
}

/// `C_MessageEncryptInit`, `C_MessageDecryptInit`: for AES-GCM.
pub(crate) fn begin_messages(
    library: &Library,
    session: &Session,
    direction: Direction,
    row: &'static MechanismRow,
    key: ck::CK_OBJECT_HANDLE,
) -> Result<()> {
    if row.mechanism != Mechanism::AesGcm {
        return Err(Code::MECHANISM_INVALID);
    }
    let mut active = session.active();
    let (slot, permit) = match direction {
        Direction::Encrypt => (&mut active.message_encrypt, AttributeType::Encrypt),
        Direction::Decrypt => (&mut active.message_decrypt, AttributeType::Decrypt),
    };
    check_free(slot.as_ref())?;
    let chosen = Chosen { row, parameter: None };
    *slot = Some(Message { usable: Usable::find(library, key, chosen, permit)? });
    Ok(())
}

/// `C_EncryptMessage`
pub(crate) fn encrypt_message(
    library: &Library,
    session: &Session,
    gcm: Gcm,
    plaintext: Bytes,
) -> Result<Sealed> {
    let active = session.active();
    let message = active.message_encrypt.as_ref().ok_or(Code::OPERATION_NOT_INITIALIZED)?;
    message.encrypt(library, gcm, plaintext)
}

/// `C_DecryptMessage`
pub(crate) fn decrypt_message(
    library: &Library,
    session: &Session,
    gcm: Gcm,
    ciphertext: Bytes,
) -> Result<Wiped> {
    let active = session.active();
    let message = active.message_decrypt.as_ref().ok_or(Code::OPERATION_NOT_INITIALIZED)?;
    message.decrypt(library, gcm, ciphertext)
}

/// `C_MessageEncryptFinal`, `C_MessageDecryptFinal`
pub(crate) fn end_messages(session: &Session, direction: Direction) -> Result<()> {
    let mut active = session.active();
    let slot = match direction {
        Direction::Encrypt => &mut active.message_encrypt,
        Direction::Decrypt => &mut active.message_decrypt,
    };
    slot.take().map(drop).ok_or(Code::OPERATION_NOT_INITIALIZED)
}
