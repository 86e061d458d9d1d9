//! Objects: made, copied, destroyed, read, changed, found (PKCS#11 3.2 §5.7).

use casemate_protocol::messages::{
    Answer, Ask, AttributeAnswer, GetAttributes, MadeObject, ObjectAndTemplate, WireError,
};
use casemate_protocol::{AttributeType, Error, ObjectClass, Template};
use cryptoki_sys as ck;

use crate::attributes::Wanted;
use crate::code::{Code, Result};
use crate::library::{Library, unexpected};
use crate::objects::Objects;
use crate::operations::find::Find;
use crate::sessions::Session;

/// Checks that a session may make what a template says: objects of the token need one that writes.
///
/// # Errors
/// `CKR_SESSION_READ_ONLY`.
pub(super) fn check_writes(session: &Session, template: &Template) -> Result<()> {
    // A flag that is none is refused by the HSM, by name.
    let token = template.flag(AttributeType::Token).ok().flatten();
    if token == Some(true) { session.require_writes() } else { Ok(()) }
}

/// Gives a new object its handle, unless its session was closed meanwhile: then it has gone with it.
///
/// # Errors
/// `CKR_SESSION_CLOSED`.
pub(super) fn adopt(
    library: &Library,
    session: &Session,
    made: MadeObject,
) -> Result<ck::CK_OBJECT_HANDLE> {
    let handle = library.objects.adopt(session.handle, made)?;
    if Objects::is_session_object(handle) && library.sessions.get(session.handle).is_err() {
        library.objects.forget(handle);
        return Err(Code(ck::CKR_SESSION_CLOSED));
    }
    Ok(handle)
}

/// `C_CreateObject`
pub(crate) fn create(
    library: &Library,
    session: &Session,
    template: Template,
) -> Result<ck::CK_OBJECT_HANDLE> {
    check_writes(session, &template)?;
    let Answer::Made(made) = library.call(Ask::CreateObject(template))? else {
        return unexpected();
    };
    adopt(library, session, made)
}

/// `C_CopyObject`
pub(crate) fn copy(
    library: &Library,
    session: &Session,
    object: ck::CK_OBJECT_HANDLE,
    template: Template,
) -> Result<ck::CK_OBJECT_HANDLE> {
    let token = template.flag(AttributeType::Token).ok().flatten();
    if token.unwrap_or_else(|| !Objects::is_session_object(object)) {
        session.require_writes()?;
    }
    let object = Some(library.objects.reference(object, Code::OBJECT_HANDLE_INVALID)?);
    let request = ObjectAndTemplate { object, template: Some(template) };
    let Answer::Made(made) = object_call(library, Ask::CopyObject(request))? else {
        return unexpected();
    };
    adopt(library, session, made)
}

/// Asks about an object: that a session object is void is that there is none.
fn object_call(library: &Library, ask: Ask) -> Result<Answer> {
    let exact = ck::CKR_OBJECT_HANDLE_INVALID;
    library.call(ask).map_err(|code| code.instead_of(Code::KEY_HANDLE_INVALID, exact))
}

/// `C_DestroyObject`
pub(crate) fn destroy(
    library: &Library,
    session: &Session,
    object: ck::CK_OBJECT_HANDLE,
) -> Result<()> {
    let reference = library.objects.reference(object, Code::OBJECT_HANDLE_INVALID)?;
    if !Objects::is_session_object(object) {
        session.require_writes()?;
    }
    object_call(library, Ask::DestroyObject(reference))?;
    library.objects.forget(object);
    Ok(())
}

/// `C_GetObjectSize`
pub(crate) fn size(library: &Library, object: ck::CK_OBJECT_HANDLE) -> Result<ck::CK_ULONG> {
    let reference = library.objects.reference(object, Code::OBJECT_HANDLE_INVALID)?;
    let Answer::Number(size) = object_call(library, Ask::ObjectSize(reference))? else {
        return unexpected();
    };
    Ok(size)
}

/// `C_GetAttributeValue`
pub(crate) fn attributes(
    library: &Library,
    object: ck::CK_OBJECT_HANDLE,
    wanted: Wanted<'_>,
) -> Result<()> {
    let numbers = wanted.numbers();
    let known = library.objects.session_attributes(object);
    let local = known.and_then(|known| {
        numbers.iter().map(|&number| local_answer(&known, number)).collect::<Option<Vec<_>>>()
    });
    let answers = match local {
        Some(answers) => answers,
        None => asked_attributes(library, object, numbers)?,
    };
    wanted.write(&answers)
}

/// Answers for a session object from what is known here; key material is not.
fn local_answer(known: &Template, number: u64) -> Option<AttributeAnswer> {
    let value = known.attributes.iter().find(|attribute| attribute.number == number);
    if let Some(value) = value {
        return Some(AttributeAnswer { number, value: value.value.clone(), error: None });
    }
    let class = known.class().ok().flatten().unwrap_or(ObjectClass::SecretKey);
    if AttributeType::from_number(number).is_some_and(|known| known.is_key_material(class)) {
        return None;
    }
    let error = Some(WireError::from(Error::AttributeTypeInvalid(number)));
    Some(AttributeAnswer { number, value: Vec::new(), error })
}

fn asked_attributes(
    library: &Library,
    object: ck::CK_OBJECT_HANDLE,
    numbers: Vec<u64>,
) -> Result<Vec<AttributeAnswer>> {
    let object = Some(library.objects.reference(object, Code::OBJECT_HANDLE_INVALID)?);
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let request = GetAttributes { object, attributes: numbers };
    let Answer::Attributes(found) = object_call(library, Ask::GetAttributes(request))? else {
        return unexpected();
    };
    Ok(found.attributes)
}

/// `C_SetAttributeValue`
pub(crate) fn set_attributes(
    library: &Library,
    session: &Session,
    object: ck::CK_OBJECT_HANDLE,
    template: Template,
) -> Result<()> {
    let reference = library.objects.reference(object, Code::OBJECT_HANDLE_INVALID)?;
    if !Objects::is_session_object(object) {
        session.require_writes()?;
    }
    let request = ObjectAndTemplate { object: Some(reference), template: Some(template) };
    let answer = object_call(library, Ask::SetAttributes(request))?;
    library.objects.forget_facts(object);
    if let Answer::Made(made) = answer { library.objects.replace(object, made) } else { Ok(()) }
}

/// `C_FindObjectsInit`
pub(crate) fn begin_find(library: &Library, session: &Session, template: Template) -> Result<()> {
    let mut active = session.active();
    super::check_free(active.find.as_ref())?;
    active.find = Some(Find::begin(library, template));
    Ok(())
}

/// `C_FindObjects`
pub(crate) fn find(
    library: &Library,
    session: &Session,
    most: usize,
) -> Result<Vec<ck::CK_OBJECT_HANDLE>> {
    let mut active = session.active();
    active.find.as_mut().ok_or(Code::OPERATION_NOT_INITIALIZED)?.next(library, most)
}

/// `C_FindObjectsFinal`
pub(crate) fn end_find(session: &Session) -> Result<()> {
    session.active().find.take().map(drop).ok_or(Code::OPERATION_NOT_INITIALIZED)
}
