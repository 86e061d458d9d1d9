//! Functions that make keys and move them.

use casemate_protocol::mechanisms::Functions;
use cryptoki_sys as ck;

use super::copied;
use crate::abi::{Output, Place, Settled, enter};
use crate::attributes;
use crate::code::{Code, Result};
use crate::functions::key::{self, Wrapped};
use crate::mechanism;

pub(crate) unsafe extern "C" fn C_GenerateKey(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
    handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (chosen, template, place) = unsafe {
            let chosen = mechanism::read(library, mechanism, Functions::GENERATE)?;
            (chosen, attributes::read(template, count)?, Place::new(handle)?)
        };
        place.set(key::generate(library, &session, chosen, template)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_GenerateKeyPair(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    public: ck::CK_ATTRIBUTE_PTR,
    public_count: ck::CK_ULONG,
    private: ck::CK_ATTRIBUTE_PTR,
    private_count: ck::CK_ULONG,
    public_handle: ck::CK_OBJECT_HANDLE_PTR,
    private_handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (chosen, public, private, places) = unsafe {
            let chosen = mechanism::read(library, mechanism, Functions::GENERATE_KEY_PAIR)?;
            let places = (Place::new(public_handle)?, Place::new(private_handle)?);
            let public = attributes::read(public, public_count)?;
            (chosen, public, attributes::read(private, private_count)?, places)
        };
        let made = key::generate_pair(library, &session, chosen, public, private)?;
        places.0.set(made.0);
        places.1.set(made.1);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_WrapKey(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    wrapping_key: ck::CK_OBJECT_HANDLE,
    key: ck::CK_OBJECT_HANDLE,
    wrapped: ck::CK_BYTE_PTR,
    wrapped_length: ck::CK_ULONG_PTR,
) -> ck::CK_RV {
    enter(|library| {
        library.session(session)?;
        // SAFETY: the caller's promise.
        let (chosen, output) = unsafe {
            let chosen = mechanism::read(library, mechanism, Functions::WRAP)?;
            (chosen, Output::new(wrapped, wrapped_length)?)
        };
        // How long it will be only the HSM knows, for the key's length may be secret: it wraps, whether asked for the length or not.
        output.write(&key::wrap(library, chosen, wrapping_key, key)?)
    })
}

/// Reads what is wrapped: it must be there.
unsafe fn wrapped(
    key: ck::CK_OBJECT_HANDLE,
    pointer: *const u8,
    length: ck::CK_ULONG,
) -> Result<Wrapped> {
    if pointer.is_null() {
        return Err(Code::ARGUMENTS_BAD);
    }
    // SAFETY: the caller's promise.
    Ok(Wrapped { key, bytes: unsafe { copied(pointer, length) }? })
}

pub(crate) unsafe extern "C" fn C_UnwrapKey(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    unwrapping_key: ck::CK_OBJECT_HANDLE,
    wrapped_key: ck::CK_BYTE_PTR,
    wrapped_length: ck::CK_ULONG,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
    handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (chosen, wrapped, template, place) = unsafe {
            let chosen = mechanism::read(library, mechanism, Functions::UNWRAP)?;
            let wrapped = wrapped(unwrapping_key, wrapped_key, wrapped_length)?;
            (chosen, wrapped, attributes::read(template, count)?, Place::new(handle)?)
        };
        place.set(key::unwrap(library, &session, chosen, wrapped, template)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_DeriveKey(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    base_key: ck::CK_OBJECT_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
    handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (chosen, template, place) = unsafe {
            let chosen = mechanism::read(library, mechanism, Functions::DERIVE)?;
            (chosen, attributes::read(template, count)?, Place::new(handle)?)
        };
        place.set(key::derive(library, &session, chosen, base_key, template)?);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_EncapsulateKey(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    public_key: ck::CK_OBJECT_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
    ciphertext: ck::CK_BYTE_PTR,
    ciphertext_length: ck::CK_ULONG_PTR,
    handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (chosen, template, output) = unsafe {
            let chosen = mechanism::read(library, mechanism, Functions::ENCAPSULATE)?;
            let output = Output::new(ciphertext, ciphertext_length)?;
            (chosen, attributes::read(template, count)?, output)
        };
        // A key that is made is one too many if its ciphertext has no place: so this is asked first.
        if output.settle(key::ciphertext_bytes(library, public_key)?)? == Settled::Asked {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let place = unsafe { Place::new(handle) }?;
        let (ciphertext, made) = key::encapsulate(library, &session, chosen, public_key, template)?;
        output.write(&ciphertext)?;
        place.set(made);
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn C_DecapsulateKey(
    session: ck::CK_SESSION_HANDLE,
    mechanism: ck::CK_MECHANISM_PTR,
    private_key: ck::CK_OBJECT_HANDLE,
    template: ck::CK_ATTRIBUTE_PTR,
    count: ck::CK_ULONG,
    ciphertext: ck::CK_BYTE_PTR,
    ciphertext_length: ck::CK_ULONG,
    handle: ck::CK_OBJECT_HANDLE_PTR,
) -> ck::CK_RV {
    enter(|library| {
        let session = library.session(session)?;
        // SAFETY: the caller's promise.
        let (chosen, wrapped, template, place) = unsafe {
            let chosen = mechanism::read(library, mechanism, Functions::DECAPSULATE)?;
            let wrapped = wrapped(private_key, ciphertext, ciphertext_length)?;
            (chosen, wrapped, attributes::read(template, count)?, Place::new(handle)?)
        };
        place.set(key::decapsulate(library, &session, chosen, wrapped, template)?);
        Ok(())
    })
}
