//! From a reference to an object that the caller may see, and from that to an open key that he may use.
//!
//! The rules are the same for a key that was just opened and for one that is in the cache: the cache saves the work of the
//! cryptography, never a decision.

use std::sync::Arc;

use casemate_protocol::canonical::CanonicalError;
use casemate_protocol::identity::{Generation, ObjectNumber};
use casemate_protocol::messages::ObjectReference;
use casemate_protocol::{AttributeType, Error, ObjectClass, Role};

use super::command::Sealed;
use super::key::OpenKey;
use super::material::Draft;
use super::object::{Header, Object};
use crate::log_in::LogIn;
use crate::reader::Context;
use crate::sealing::{Keyring, Purpose, SealError};

/// Whether the caller may know of a token object.
pub(crate) fn may_see(context: &Context<'_>, object: &Object) -> bool {
    match context.log_in {
        Some(log_in) if log_in.role == Role::Admin => true,
        Some(log_in) if object.is_for(log_in.user) => true,
        _ => !object.has(AttributeType::Private) && context.state.public_objects(),
    }
}

/// Finds the object of a reference, if the caller may know of it.
///
/// # Errors
/// `missing` if there is none for him; [`Error::SessionKeyVoid`] for a session object of another log-in, or one that was
/// changed or destroyed.
pub(crate) fn find(
    context: &Context<'_>,
    reference: Option<&ObjectReference>,
    missing: Error,
) -> Result<Arc<Object>, Error> {
    let reference = reference.ok_or(Error::Malformed)?;
    match (reference.number, reference.session.as_ref()) {
        (0, []) => Err(Error::Malformed),
        (0, session) => find_session(context, session),
        (number, []) => {
            let object = context.state.objects.get(ObjectNumber(number)).ok_or(missing)?;
            if may_see(context, object) { Ok(Arc::clone(object)) } else { Err(missing) }
        }
        _ => Err(Error::Malformed),
    }
}

fn find_session(context: &Context<'_>, bytes: &[u8]) -> Result<Arc<Object>, Error> {
    let log_in = context.log_in.ok_or(Error::LogInRequired)?;
    let header = session_header(bytes).ok_or(Error::SessionKeyVoid)?;
    let open_keys = context.reader.open_keys();
    let object = if let Some(object) = open_keys.session(header.id, bytes) {
        object
    } else {
        let object = open_session(context.keyring, log_in, bytes)?;
        open_keys.keep_session(header.id, Arc::clone(&object));
        object
    };
    let floor = context.state.objects.session_floors.of(log_in.id, header.id);
    let ours = object.owner() == log_in.user && session_is_of(&object, log_in);
    if ours && header.generation >= floor { Ok(object) } else { Err(Error::SessionKeyVoid) }
}

fn session_header(bytes: &[u8]) -> Option<Header> {
    let range = crate::sealing::fields_of(bytes).ok()?;
    Header::decode(bytes.get(range)?).ok()
}

/// A cached session object was opened under one log-in: its header names the log-in, so that another of the same user
/// does not profit from the cache.
fn session_is_of(object: &Object, log_in: &LogIn) -> bool {
    object.log_in() == Some(log_in.id)
}

fn open_session(keyring: &Keyring, log_in: &LogIn, bytes: &[u8]) -> Result<Arc<Object>, Error> {
    let opened = keyring.open_session(log_in, bytes);
    let opened = opened.map_err(|_error: SealError| Error::SessionKeyVoid)?;
    let object = Object::new(ObjectNumber(0), true, bytes.to_vec());
    let object = object.map_err(|_error: CanonicalError| Error::SessionKeyVoid)?;
    let key = OpenKey::new(&object.header(), opened.plaintext.expose())?;
    object.keep_open(Arc::new(key));
    Ok(Arc::new(object))
}

/// Opens the key of an object: from its slot, or from its seal.
///
/// # Errors
/// [`Error::Internal`] if the state is damaged.
pub(crate) fn open(context: &Context<'_>, object: &Arc<Object>) -> Result<Arc<OpenKey>, Error> {
    if let Some(key) = object.opened() {
        return Ok(key);
    }
    let key = Arc::new(open_cold(context.keyring, object)?);
    object.keep_open(Arc::clone(&key));
    if object.number().0 != 0 {
        context.reader.open_keys().opened(object);
    }
    Ok(key)
}

fn open_cold(keyring: &Keyring, object: &Object) -> Result<OpenKey, Error> {
    if !object.is_sealed() {
        return OpenKey::new(&object.header(), &[]);
    }
    // A session object whose slot is empty was opened by `find_session` in this very request.
    let opened = keyring.open(Purpose::Token, object.bytes());
    let opened = opened.map_err(|_error: SealError| Error::Internal)?;
    if opened.fields != object.header_bytes() {
        return Err(Error::Internal);
    }
    OpenKey::new(&object.header(), opened.plaintext.expose())
}

/// Returns the material of a key: for another seal of the same key.
///
/// # Errors
/// [`Error::Internal`] if the state is damaged.
pub(crate) fn material(
    context: &Context<'_>,
    object: &Object,
) -> Result<casemate_crypto::Secret, Error> {
    if !object.is_sealed() {
        return Ok(casemate_crypto::Secret::from_slice(&[]));
    }
    let opened = match context.log_in {
        Some(log_in) if object.number().0 == 0 => {
            context.keyring.open_session(log_in, object.bytes())
        }
        _ => context.keyring.open(Purpose::Token, object.bytes()),
    };
    opened.map(|opened| opened.plaintext).map_err(|_error: SealError| Error::Internal)
}

/// Seals a new token object; one without secrets stays plain, for the log and the snapshots seal it anyway.
pub(crate) fn seal_token(keyring: &Keyring, draft: &Draft) -> Sealed {
    let header = draft.header.encode();
    let secret = matches!(draft.header.class, ObjectClass::SecretKey | ObjectClass::PrivateKey);
    if secret {
        let bytes = keyring.seal(Purpose::Token, &header, draft.material.expose());
        Sealed { sealed: true, bytes }
    } else {
        Sealed { sealed: false, bytes: header }
    }
}

/// Seals a new session object for its log-in.
pub(crate) fn seal_session(keyring: &Keyring, log_in: &LogIn, draft: &mut Draft) -> Vec<u8> {
    draft.header.log_in = Some(log_in.id);
    keyring.seal_session(log_in, &draft.header.encode(), draft.material.expose())
}

/// The next generation of a header.
pub(crate) fn next_generation(header: &mut Header) {
    header.generation = Generation(header.generation.0.saturating_add(1));
}
