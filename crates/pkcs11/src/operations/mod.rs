//! Operations that a session has begun: what they need, and how they go on part by part.
//!
//! An HSM keeps nothing of them (design §6): what is to be signed is hashed or collected here, and a cipher's chaining value travels with
//! each part. So a lost connection or a restart in the middle is only a repeated request.

use std::sync::Arc;

use bytes::Bytes;
use casemate_crypto::Wiped;
use casemate_protocol::mechanisms::MechanismRow;
use casemate_protocol::messages::{MechanismUse, ObjectReference};
use casemate_protocol::{AttributeType, limits};
use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::library::Library;
use crate::mechanism::Chosen;
use crate::objects::KeyFacts;

pub(crate) mod cipher;
pub(crate) mod digest;
pub(crate) mod find;
pub(crate) mod message;
pub(crate) mod sign;

/// A key that may be used by a mechanism, as far as is known here.
pub(crate) struct Usable {
    pub(crate) key: ObjectReference,
    pub(crate) facts: Arc<KeyFacts>,
    pub(crate) row: &'static MechanismRow,
    pub(crate) mechanism: MechanismUse,
    /// The password of a log-in for this use, if the key wants one.
    pub(crate) password: Wiped,
}

impl Usable {
    /// Checks a key for a use that an attribute permits.
    ///
    /// # Errors
    /// `CKR_KEY_HANDLE_INVALID`, `CKR_KEY_TYPE_INCONSISTENT`, `CKR_KEY_FUNCTION_NOT_PERMITTED`.
    pub(crate) fn find(
        library: &Library,
        handle: ck::CK_OBJECT_HANDLE,
        chosen: Chosen,
        permit: AttributeType,
    ) -> Result<Self> {
        let key = library.objects.reference(handle, Code::KEY_HANDLE_INVALID)?;
        let row = chosen.row;
        let mut facts = library.key_facts(handle)?;
        if !row.key_types.contains(&facts.key_type) {
            return Err(Code(ck::CKR_KEY_TYPE_INCONSISTENT));
        }
        if !facts.permits(permit) {
            // It may have been changed since, by another process too.
            facts = library.ask_key_facts(handle)?;
        }
        if !facts.permits(permit) {
            return Err(Code(ck::CKR_KEY_FUNCTION_NOT_PERMITTED));
        }
        Ok(Self { key, facts, row, mechanism: chosen.into_use(), password: Wiped::default() })
    }

    /// Checks that a use that wants a log-in of its own has it.
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN`.
    pub(crate) fn check_confirmed(&self) -> Result<()> {
        if self.wants_password() { Err(Code::USER_NOT_LOGGED_IN) } else { Ok(()) }
    }

    /// Whether a log-in for this use is to come.
    pub(crate) fn wants_password(&self) -> bool {
        self.facts.always_authenticate && self.password.is_empty()
    }

    /// Returns the password for the request; empty if the key wants none.
    pub(crate) fn password(&self) -> String {
        String::from_utf8_lossy(&self.password).into_owned()
    }
}

/// Bytes that are collected here for an operation that an HSM does in one piece.
pub(crate) const COLLECTED_BYTES_MAX: usize = 64 << 20;

/// Adds data to what is collected.
///
/// # Errors
/// `CKR_DATA_LEN_RANGE` beyond what an HSM takes in one piece.
pub(crate) fn collect(collected: &mut Vec<u8>, data: &[u8]) -> Result<()> {
    const _: () = assert!(COLLECTED_BYTES_MAX < limits::MESSAGE_BYTES_MAX);
    if collected.len().saturating_add(data.len()) > COLLECTED_BYTES_MAX {
        return Err(Code::DATA_LEN_RANGE);
    }
    collected.extend_from_slice(data);
    Ok(())
}

/// Moves bytes into a message.
pub(crate) fn take(bytes: &mut Wiped) -> Bytes {
    Bytes::from(std::mem::take(&mut **bytes))
}
