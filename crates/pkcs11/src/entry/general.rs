//! General, slot and token functions.

use cryptoki_sys as ck;

use crate::abi::{self, Place, enter, enter_bare};
use crate::code::{Code, Result};
use crate::functions::general;
use crate::functions::session::check_slot;
use crate::library::{Library, SLOT};
use crate::process;

pub(crate) unsafe extern "C" fn C_Initialize(arguments: ck::CK_VOID_PTR) -> ck::CK_RV {
    enter_bare(|| {
        if !arguments.is_null() {
            // SAFETY: the caller's promise: not null, so it is the structure that the standard says.
            let given = unsafe { abi::reference(arguments.cast::<ck::CK_C_INITIALIZE_ARGS>()) }?;
            check_arguments(given)?;
        }
        process::initialize(Library::new)
    })
}

/// Mutexes of the caller's are accepted and not used: the library has its own, which the system provides.
fn check_arguments(given: &ck::CK_C_INITIALIZE_ARGS) -> Result<()> {
    let mutexes = [
        given.CreateMutex.is_some(),
        given.DestroyMutex.is_some(),
        given.LockMutex.is_some(),
        given.UnlockMutex.is_some(),
    ];
    let alike = mutexes.iter().all(|&given| given == mutexes[0]);
    if alike && given.pReserved.is_null() { Ok(()) } else { Err(Code::ARGUMENTS_BAD) }
}

pub(crate) unsafe extern "C" fn C_Finalize(reserved: ck::CK_VOID_PTR) -> ck::CK_RV {
    enter_bare(|| {
        drop(process::library()?);
        if reserved.is_null() { process::finalize() } else { Err(Code::ARGUMENTS_BAD) }
    })
}

pub(crate) unsafe extern "C" fn C_GetInfo(info: ck::CK_INFO_PTR) -> ck::CK_RV {
    // SAFETY: the caller's promise.
    enter(|_| unsafe { Place::new(info) }.map(|place| place.set(general::info())))
}

/// Writes a list: NULL asks for its length.
///
/// # Safety
/// The caller's promise.
pub(crate) unsafe fn write_list<T: Copy>(
    list: *mut T,
    count: ck::CK_ULONG_PTR,
    items: &[T],
) -> Result<()> {
    // SAFETY: the caller's promise.
    let room = *unsafe { abi::reference(count.cast_const()) }?;
    // SAFETY: the caller's promise.
    unsafe { Place::new(count) }?.set(items.len() as ck::CK_ULONG);
    if list.is_null() {
        return Ok(());
    }
    if room < items.len() as ck::CK_ULONG {
        return Err(Code::BUFFER_TOO_SMALL);
    }
    // SAFETY: the caller's promise, and there is room.
    unsafe { abi::slice_mut(list, items.len() as ck::CK_ULONG) }?.copy_from_slice(items);
    Ok(())
}

pub(crate) unsafe extern "C" fn C_GetSlotList(
    _token_present: ck::CK_BBOOL,
    list: ck::CK_SLOT_ID_PTR,
    count: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    // SAFETY: the caller's promise.
    enter(|_| unsafe { write_list(list, count, &[SLOT]) })
}

pub(crate) unsafe extern "C" fn C_GetSlotInfo(
    slot: ck::CK_SLOT_ID,
    info: ck::CK_SLOT_INFO_PTR,
) -> ck::CK_RV {
    enter(|_| {
        check_slot(slot)?;
        // SAFETY: the caller's promise.
        unsafe { Place::new(info) }?.set(general::slot_info());
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_GetTokenInfo(
    slot: ck::CK_SLOT_ID,
    info: ck::CK_TOKEN_INFO_PTR,
) -> ck::CK_RV {
    enter(|library| {
        check_slot(slot)?;
        // SAFETY: the caller's promise.
        unsafe { Place::new(info) }?.set(general::token_info(library));
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_GetMechanismList(
    slot: ck::CK_SLOT_ID,
    list: ck::CK_MECHANISM_TYPE_PTR,
    count: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|_| {
        check_slot(slot)?;
        // SAFETY: the caller's promise.
        unsafe { write_list(list, count, &general::mechanisms()) }
    })
}

pub(crate) unsafe extern "C" fn C_GetMechanismInfo(
    slot: ck::CK_SLOT_ID,
    mechanism: ck::CK_MECHANISM_TYPE,
    info: ck::CK_MECHANISM_INFO_PTR,
) -> ck::CK_RV {
    enter(|_| {
        check_slot(slot)?;
        // SAFETY: the caller's promise.
        let place = unsafe { Place::new(info) }?;
        place.set(general::mechanism_info(mechanism)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_WaitForSlotEvent(
    flags: ck::CK_FLAGS,
    slot: ck::CK_SLOT_ID_PTR,
    reserved: ck::CK_VOID_PTR,
) -> ck::CK_RV {
    enter(|_| {
        if slot.is_null() || !reserved.is_null() {
            return Err(Code::ARGUMENTS_BAD);
        }
        // The token never comes nor goes: there is nothing to wait for.
        if flags & ck::CKF_DONT_BLOCK != 0 {
            Err(Code(ck::CKR_NO_EVENT))
        } else {
            Err(Code::FUNCTION_NOT_SUPPORTED)
        }
    })
}

pub(crate) unsafe extern "C" fn C_SeedRandom(
    session: ck::CK_SESSION_HANDLE,
    seed: ck::CK_BYTE_PTR,
    length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        library.session(session)?;
        // SAFETY: the caller's promise.
        unsafe { abi::slice(seed, length) }?;
        Err(Code(ck::CKR_RANDOM_SEED_NOT_SUPPORTED))
    })
}

pub(crate) unsafe extern "C" fn C_GenerateRandom(
    session: ck::CK_SESSION_HANDLE,
    random: ck::CK_BYTE_PTR,
    length: ck::CK_ULONG,
) -> ck::CK_RV {
    enter(|library| {
        library.session(session)?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { abi::slice_mut(random, length) }?;
        buffer.copy_from_slice(&general::random(library, buffer.len())?);
        Ok(())
    })
}
