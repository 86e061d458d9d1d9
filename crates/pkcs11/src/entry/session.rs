//! Session functions.

use cryptoki_sys as ck;

use crate::abi::{self, Place, enter};
use crate::code::{Code, Result};
use crate::functions::session;

pub(crate) unsafe extern "C" fn C_OpenSession(
    slot: ck::CK_SLOT_ID,
    flags: ck::CK_FLAGS,
    _application: ck::CK_VOID_PTR,
    _notify: ck::CK_NOTIFY,
    handle: ck::CK_SESSION_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        // SAFETY: the caller's promise.
        let place = unsafe { Place::new(handle) }?;
        place.set(session::open(library, slot, flags)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_CloseSession(session: ck::CK_SESSION_HANDLE) -> ck::CK_RV {
    enter(|library| session::close(library, session))
}

pub(crate) unsafe extern "C" fn C_CloseAllSessions(slot: ck::CK_SLOT_ID) -> ck::CK_RV {
    enter(|library| session::close_all(library, slot))
}

pub(crate) unsafe extern "C" fn C_GetSessionInfo(
    session: ck::CK_SESSION_HANDLE,
    info: ck::CK_SESSION_INFO_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        unsafe { Place::new(info) }?.set(session::info(library, &session));
        Ok(())
    })
}

/// A PIN that is not there at all cannot be right: there is no other way to tell it.
unsafe fn pin<'a>(pointer: *const u8, length: ck::CK_ULONG) -> Result<&'a [u8]> {
    if pointer.is_null() {
        return Err(Code::ARGUMENTS_BAD);
    }
    // SAFETY: the caller's promise.
    unsafe { abi::slice(pointer, length) }
}

pub(crate) unsafe extern "C" fn C_Login(
    session: ck::CK_SESSION_HANDLE,
    user_type: ck::CK_USER_TYPE,
    pin_pointer: ck::CK_UTF8CHAR_PTR,
    pin_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let pin = unsafe { pin(pin_pointer, pin_length) }?;
        session::log_in(library, &session, user_type, None, pin)
    })
}

pub(crate) unsafe extern "C" fn C_LoginUser(
    session: ck::CK_SESSION_HANDLE,
    user_type: ck::CK_USER_TYPE,
    pin_pointer: ck::CK_UTF8CHAR_PTR,
    pin_length: ck::CK_ULONG,
    user: ck::CK_UTF8CHAR_PTR,
    user_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (pin, user) = unsafe { (pin(pin_pointer, pin_length)?, pin(user, user_length)?) };
        session::log_in(library, &session, user_type, Some(user), pin)
    })
}

pub(crate) unsafe extern "C" fn C_Logout(session: ck::CK_SESSION_HANDLE) -> ck::CK_RV {
    enter(|library| {
        library.session(session)?;
        library.log_out()
    })
}

pub(crate) unsafe extern "C" fn C_SetPIN(
    session: ck::CK_SESSION_HANDLE,
    old: ck::CK_UTF8CHAR_PTR,
    old_length: ck::CK_ULONG,
    new: ck::CK_UTF8CHAR_PTR,
    new_length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (old, new) = unsafe { (pin(old, old_length)?, pin(new, new_length)?) };
        session::set_pin(library, &session, old, new)
    })
}

pub(crate) unsafe extern "C" fn C_SessionCancel(
    session: ck::CK_SESSION_HANDLE,
    flags: ck::CK_FLAGS,
) -> ck::CK_RV {
    enter(|library| {
        session::cancel(&*library.session(session)?, flags);
        Ok(())
    })
}
