//! Keys: generated, wrapped, unwrapped, derived, encapsulated (PKCS#11 3.2 §5.18).

use bytes::Bytes;
use casemate_protocol::messages::{
    Answer, Ask, DeriveKey, GenerateKey, GenerateKeyPair, MadePair, UnwrapKey, WrapKey,
};
use casemate_protocol::{KeyType, Template, limits};
use cryptoki_sys as ck;

use super::object::{self, check_writes};
use crate::code::{Code, Result};
use crate::library::{Library, unexpected};
use crate::mechanism::Chosen;
use crate::sessions::Session;

/// `C_GenerateKey`
pub(crate) fn generate(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    template: Template,
) -> Result<ck::CK_OBJECT_HANDLE> {
    check_writes(session, &template)?;
    let (mechanism, template) = (Some(chosen.into_use()), Some(template));
    adopt(library, session, Ask::GenerateKey(GenerateKey { mechanism, template }))
}

fn adopt(library: &Library, session: &Session, ask: Ask) -> Result<ck::CK_OBJECT_HANDLE> {
    let Answer::Made(made) = library.call(ask)? else { return unexpected() };
    object::adopt(library, session, made)
}

/// `C_GenerateKeyPair`
pub(crate) fn generate_pair(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    public: Template,
    private: Template,
) -> Result<(ck::CK_OBJECT_HANDLE, ck::CK_OBJECT_HANDLE)> {
    check_writes(session, &public)?;
    check_writes(session, &private)?;
    let mechanism = Some(chosen.into_use());
    let ask = GenerateKeyPair { mechanism, public: Some(public), private: Some(private) };
    let Answer::PairMade(MadePair { public: Some(public), private: Some(private) }) =
        library.call(Ask::GenerateKeyPair(ask))?
    else {
        return unexpected();
    };
    let public = object::adopt(library, session, public)?;
    Ok((public, object::adopt(library, session, private)?))
}

/// `C_WrapKey`
pub(crate) fn wrap(
    library: &Library,
    chosen: Chosen,
    wrapping: ck::CK_OBJECT_HANDLE,
    key: ck::CK_OBJECT_HANDLE,
) -> Result<Bytes> {
    let invalid = Code(ck::CKR_WRAPPING_KEY_HANDLE_INVALID);
    let wrapping_key = library.objects.reference(wrapping, invalid)?;
    let wrapped_key = library.objects.reference(key, Code::KEY_HANDLE_INVALID)?;
    // Which of the two keys there is none of, only a look at each tells.
    library
        .key_facts(wrapping)
        .map_err(|code| code.instead_of(Code::KEY_HANDLE_INVALID, invalid.0))?;
    let request = WrapKey {
        wrapping_key: Some(wrapping_key),
        mechanism: Some(chosen.into_use()),
        key: Some(wrapped_key),
    };
    let Answer::Data(data) = library.call(Ask::WrapKey(request))? else { return unexpected() };
    Ok(data.data)
}

/// What unwraps, and what.
pub(crate) struct Wrapped {
    pub(crate) key: ck::CK_OBJECT_HANDLE,
    pub(crate) bytes: Bytes,
}

/// `C_UnwrapKey`
pub(crate) fn unwrap(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    wrapped: Wrapped,
    template: Template,
) -> Result<ck::CK_OBJECT_HANDLE> {
    let exact = ck::CKR_UNWRAPPING_KEY_HANDLE_INVALID;
    let request = unwrap_request(library, session, chosen, wrapped, template)
        .map_err(|code| code.instead_of(Code::KEY_HANDLE_INVALID, exact))?;
    adopt(library, session, Ask::UnwrapKey(request)).map_err(|code| {
        let code = code.instead_of(Code::KEY_HANDLE_INVALID, exact);
        let unwrapping = ck::CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT;
        code.instead_of(Code(ck::CKR_WRAPPING_KEY_TYPE_INCONSISTENT), unwrapping)
    })
}

fn unwrap_request(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    wrapped: Wrapped,
    template: Template,
) -> Result<UnwrapKey> {
    check_writes(session, &template)?;
    if wrapped.bytes.len() > limits::FRAME_BYTES_MAX {
        return Err(Code(ck::CKR_WRAPPED_KEY_LEN_RANGE));
    }
    let unwrapping_key = library.objects.reference(wrapped.key, Code::KEY_HANDLE_INVALID)?;
    check_no_confirmation(library, wrapped.key)?;
    Ok(UnwrapKey {
        unwrapping_key: Some(unwrapping_key),
        mechanism: Some(chosen.into_use()),
        wrapped: wrapped.bytes,
        template: Some(template),
    })
}

/// `C_DeriveKey`
pub(crate) fn derive(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    base: ck::CK_OBJECT_HANDLE,
    template: Template,
) -> Result<ck::CK_OBJECT_HANDLE> {
    let request = derive_request(library, session, chosen, base, template)?;
    adopt(library, session, Ask::DeriveKey(request))
}

fn derive_request(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    base: ck::CK_OBJECT_HANDLE,
    template: Template,
) -> Result<DeriveKey> {
    check_writes(session, &template)?;
    let base_key = Some(library.objects.reference(base, Code::KEY_HANDLE_INVALID)?);
    check_no_confirmation(library, base)?;
    Ok(DeriveKey { base_key, mechanism: Some(chosen.into_use()), template: Some(template) })
}

/// Refuses a key that wants a log-in for each use: these functions have no `Init` after which one could come (PKCS#11 3.2 §5.6.8).
fn check_no_confirmation(library: &Library, key: ck::CK_OBJECT_HANDLE) -> Result<()> {
    if library.key_facts(key)?.always_authenticate { Err(Code::USER_NOT_LOGGED_IN) } else { Ok(()) }
}

/// Returns how long a ciphertext of a KEM's public key is (FIPS 203, table 3).
///
/// # Errors
/// `CKR_KEY_HANDLE_INVALID`, or `CKR_KEY_TYPE_INCONSISTENT` for a key of another kind.
pub(crate) fn ciphertext_bytes(library: &Library, key: ck::CK_OBJECT_HANDLE) -> Result<usize> {
    let facts = library.key_facts(key)?;
    if facts.key_type != KeyType::MlKem {
        return Err(Code(ck::CKR_KEY_TYPE_INCONSISTENT));
    }
    Ok(match facts.parameter_set {
        1 => 768,
        2 => 1_088,
        _ => 1_568,
    })
}

/// `C_EncapsulateKey`
pub(crate) fn encapsulate(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    public: ck::CK_OBJECT_HANDLE,
    template: Template,
) -> Result<(Bytes, ck::CK_OBJECT_HANDLE)> {
    let request = derive_request(library, session, chosen, public, template)?;
    let Answer::Encapsulated(encapsulated) = library.call(Ask::Encapsulate(request))? else {
        return unexpected();
    };
    let Some(made) = encapsulated.made else { return unexpected() };
    Ok((encapsulated.ciphertext, object::adopt(library, session, made)?))
}

/// `C_DecapsulateKey`
pub(crate) fn decapsulate(
    library: &Library,
    session: &Session,
    chosen: Chosen,
    wrapped: Wrapped,
    template: Template,
) -> Result<ck::CK_OBJECT_HANDLE> {
    let request = unwrap_request(library, session, chosen, wrapped, template)?;
    adopt(library, session, Ask::Decapsulate(request))
}
