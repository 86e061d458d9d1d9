//! Digests (PKCS#11 3.2 §5.12).

use casemate_crypto::Wiped;
use casemate_protocol::AttributeType;
use casemate_protocol::mechanisms::MechanismRow;
use casemate_protocol::messages::{Answer, Ask, GetAttributes};
use cryptoki_sys as ck;

use super::{arguments, check_free, end_on_error};
use crate::abi::{Output, Settled};
use crate::code::{Code, Result};
use crate::library::{Library, unexpected};
use crate::operations::digest::Digest;
use crate::sessions::Session;

/// `C_DigestInit`
pub(crate) fn begin(session: &Session, row: &MechanismRow) -> Result<()> {
    let mut active = session.active();
    check_free(active.digest.as_ref())?;
    active.digest = Some(Digest::begin(row)?);
    Ok(())
}

/// `C_Digest`
pub(crate) fn whole(session: &Session, given: Result<(&[u8], Output)>) -> Result<()> {
    let mut active = session.active();
    let (digest, (data, output)) = arguments(&mut active.digest, given)?;
    if digest.in_parts {
        return Err(Code::OPERATION_ACTIVE);
    }
    if output.settle(digest.bytes())? == Settled::Asked {
        return Ok(());
    }
    digest.update(data);
    finish(&mut active.digest, &output)
}

fn finish(active: &mut Option<Digest>, output: &Output) -> Result<()> {
    let digest = active.take().ok_or(Code::OPERATION_NOT_INITIALIZED)?;
    output.write(&digest.finish())
}

/// `C_DigestUpdate`
pub(crate) fn part(session: &Session, given: Result<&[u8]>) -> Result<()> {
    let mut active = session.active();
    let (digest, data) = arguments(&mut active.digest, given)?;
    digest.in_parts = true;
    digest.update(data);
    Ok(())
}

/// `C_DigestKey`: of keys whose value may be seen; a digest of a short secret gives it away.
pub(crate) fn key(library: &Library, session: &Session, key: ck::CK_OBJECT_HANDLE) -> Result<()> {
    let mut active = session.active();
    let (digest, ()) = arguments(&mut active.digest, Ok(()))?;
    digest.in_parts = true;
    let outcome = value(library, key);
    let value = end_on_error(&mut active.digest, outcome)?;
    if let Some(digest) = active.digest.as_mut() {
        digest.update(&value);
    }
    Ok(())
}

fn value(library: &Library, key: ck::CK_OBJECT_HANDLE) -> Result<Wiped> {
    let invalid = Code::KEY_HANDLE_INVALID;
    let object = Some(library.objects.reference(key, invalid)?);
    let attributes = vec![AttributeType::Value.number()];
    let answer = library.call(Ask::GetAttributes(GetAttributes { object, attributes }));
    let answer = answer.map_err(|code| code.instead_of(Code::OBJECT_HANDLE_INVALID, invalid.0))?;
    let Answer::Attributes(found) = answer else { return unexpected() };
    let found = found.attributes.into_iter().next().filter(|answer| answer.error.is_none());
    let found = found.ok_or(Code(ck::CKR_KEY_INDIGESTIBLE))?;
    Ok(Wiped::from(found.value))
}

/// `C_DigestFinal`
pub(crate) fn last(session: &Session, given: Result<Output>) -> Result<()> {
    let mut active = session.active();
    let (digest, output) = arguments(&mut active.digest, given)?;
    if output.settle(digest.bytes())? == Settled::Asked {
        return Ok(());
    }
    finish(&mut active.digest, &output)
}
