//! Signatures and MACs (PKCS#11 3.2 §5.13 to §5.16).

use bytes::Bytes;
use casemate_protocol::AttributeType;
use cryptoki_sys as ck;

use super::{arguments, check_free, end_on_error};
use crate::abi::{Output, Settled};
use crate::code::{Code, Result};
use crate::library::Library;
use crate::mechanism::Chosen;
use crate::operations::Usable;
use crate::operations::sign::Signature;
use crate::sessions::Session;

/// `C_SignInit`
pub(crate) fn begin_sign(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    key: ck::CK_OBJECT_HANDLE,
) -> Result<()> {
    let mut active = session.active();
    check_free(active.sign.as_ref())?;
    active.sign =
        Some(Signature::begin(Usable::find(library, key, chosen, AttributeType::Sign)?, false));
    Ok(())
}

/// `C_Sign`
pub(crate) fn sign(
    library: &Library,
    session: &Session,
    given: Result<(&[u8], Output)>,
) -> Result<()> {
    let mut active = session.active();
    let (signature, (data, output)) = arguments(&mut active.sign, given)?;
    if signature.in_parts {
        return Err(Code::OPERATION_ACTIVE);
    }
    if output.settle(signature.bytes())? == Settled::Asked {
        return Ok(());
    }
    let signature = active.sign.take().ok_or(Code::OPERATION_NOT_INITIALIZED)?;
    output.write(&signature.sign(library, data)?)
}

/// `C_SignUpdate`
pub(crate) fn sign_part(library: &Library, session: &Session, given: Result<&[u8]>) -> Result<()> {
    let mut active = session.active();
    part(library, &mut active.sign, given)
}

fn part(library: &Library, active: &mut Option<Signature>, given: Result<&[u8]>) -> Result<()> {
    let (signature, data) = arguments(active, given)?;
    signature.in_parts = true;
    let outcome = signature.update(library, data);
    end_on_error(active, outcome)
}

/// `C_SignFinal`
pub(crate) fn sign_last(library: &Library, session: &Session, given: Result<Output>) -> Result<()> {
    let mut active = session.active();
    let (signature, output) = arguments(&mut active.sign, given)?;
    if output.settle(signature.bytes())? == Settled::Asked {
        return Ok(());
    }
    let signature = active.sign.take().ok_or(Code::OPERATION_NOT_INITIALIZED)?;
    output.write(&signature.sign(library, &[])?)
}

/// `C_VerifyInit`, and `C_VerifySignatureInit`, which tells the signature at the beginning.
pub(crate) fn begin_verify(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    key: ck::CK_OBJECT_HANDLE,
    expected: Option<Bytes>,
) -> Result<()> {
    let mut active = session.active();
    check_free(active.verify.as_ref())?;
    let mut signature =
        Signature::begin(Usable::find(library, key, chosen, AttributeType::Verify)?, true);
    signature.expected = expected;
    active.verify = Some(signature);
    Ok(())
}

/// Takes the verification that was begun, if its signature is told now or was told then, as the function has it.
fn taken(active: &mut Option<Signature>, told: bool) -> Result<Signature> {
    if active.as_ref().is_some_and(|signature| signature.expected.is_some() != told) {
        return Err(Code::OPERATION_NOT_INITIALIZED);
    }
    active.take().ok_or(Code::OPERATION_NOT_INITIALIZED)
}

/// `C_Verify`
pub(crate) fn verify(
    library: &Library,
    session: &Session,
    given: Result<(&[u8], &[u8])>,
) -> Result<()> {
    let mut active = session.active();
    let (signature, (data, expected)) = arguments(&mut active.verify, given)?;
    if signature.in_parts {
        return Err(Code::OPERATION_ACTIVE);
    }
    taken(&mut active.verify, false)?.verify(library, data, expected)
}

/// `C_VerifyUpdate`, `C_VerifySignatureUpdate`
pub(crate) fn verify_part(
    library: &Library,
    session: &Session,
    given: Result<&[u8]>,
) -> Result<()> {
    let mut active = session.active();
    part(library, &mut active.verify, given)
}

/// `C_VerifyFinal`
pub(crate) fn verify_last(
    library: &Library,
    session: &Session,
    given: Result<&[u8]>,
) -> Result<()> {
    let mut active = session.active();
    let (_, expected) = arguments(&mut active.verify, given)?;
    taken(&mut active.verify, false)?.verify(library, &[], expected)
}

/// `C_VerifySignature`
pub(crate) fn verify_told(
    library: &Library,
    session: &Session,
    given: Result<&[u8]>,
) -> Result<()> {
    let mut active = session.active();
    let (signature, data) = arguments(&mut active.verify, given)?;
    if signature.in_parts {
        return Err(Code::OPERATION_ACTIVE);
    }
    let mut signature = taken(&mut active.verify, true)?;
    let expected = signature.expected.take().unwrap_or_default();
    signature.verify(library, data, &expected)
}

/// `C_VerifySignatureFinal`
pub(crate) fn verify_told_last(library: &Library, session: &Session) -> Result<()> {
    let mut active = session.active();
    let mut signature = taken(&mut active.verify, true)?;
    let expected = signature.expected.take().unwrap_or_default();
    signature.verify(library, &[], &expected)
}
