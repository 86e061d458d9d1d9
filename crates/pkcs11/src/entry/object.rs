//! Object functions.

use cryptoki_sys as ck;

use crate::abi::{self, Place, enter};
use crate::attributes::{self, Wanted};
use crate::code::Code;
use crate::functions::object;

pub(crate) unsafe extern "C" fn C_CreateObject(
    session: ck::CK_SESSION_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
    handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (template, place) =
            unsafe { (attributes::read(template, count)?, Place::new(handle)?) };
        place.set(object::create(library, &session, template)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_CopyObject(
    session: ck::CK_SESSION_HANDLE,
    object: ck::CK_OBJECT_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
    handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (template, place) =
            unsafe { (attributes::read(template, count)?, Place::new(handle)?) };
        place.set(object::copy(library, &session, object, template)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_DestroyObject(
    session: ck::CK_SESSION_HANDLE,
    object: ck::CK_OBJECT_HANDLE,
) -> ck::CK_RV {
    enter(|library| object::destroy(library, &*library.session(session)?, object))
}

pub(crate) unsafe extern "C" fn C_GetObjectSize(
    session: ck::CK_SESSION_HANDLE,
    object: ck::CK_OBJECT_HANDLE,
    size: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        library.session(session)?;
        // SAFETY: the caller's promise.
        let place = unsafe { Place::new(size) }?;
        place.set(object::size(library, object)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_GetAttributeValue(
    session: ck::CK_SESSION_HANDLE,
    object: ck::CK_OBJECT_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        library.session(session)?;
        // SAFETY: the caller's promise.
        let wanted = unsafe { Wanted::new(template, count) }?;
        object::attributes(library, object, wanted)
    })
}

pub(crate) unsafe extern "C" fn C_SetAttributeValue(
    session: ck::CK_SESSION_HANDLE,
    object: ck::CK_OBJECT_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let template = unsafe { attributes::read(template, count) }?;
        object::set_attributes(library, &session, object, template)
    })
}

pub(crate) unsafe extern "C" fn C_FindObjectsInit(
    session: ck::CK_SESSION_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let template = unsafe { attributes::read(template, count) }?;
        object::begin_find(library, &session, template)
    })
}

pub(crate) unsafe extern "C" fn C_FindObjects(
    session: ck::CK_SESSION_HANDLE,
    handles: ck::CK_OBJECT_HANDLE_PTR,
    most: ck::CK_ULONG,
    count: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        if session.active().find.is_none() {
            return Err(Code::OPERATION_NOT_INITIALIZED);
        }
        // SAFETY: the caller's promise.
        let (room, place) = unsafe { (abi::slice_mut(handles, most)?, Place::new(count)?) };
        let found = object::find(library, &session, room.len())?;
        for (place, handle) in room.iter_mut().zip(&found) {
            *place = *handle;
        }
        place.set(found.len() as ck::CK_ULONG);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_FindObjectsFinal(session: ck::CK_SESSION_HANDLE) -> ck::CK_RV {
    enter(|library| object::end_find(&*library.session(session)?))
}
