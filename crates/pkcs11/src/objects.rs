//! Handles: token objects by their number in the cluster, session objects by an entry here; and what is known of keys.
//!
//! A session object is its sealed form and the attributes that may be seen: no HSM holds anything of it. What is known of a key (its
//! type, its size, what it may do) is asked once and kept, so that `C_SignInit` costs no round trip; the HSM decides
//! by its own state all the same, and a refusal here looks again before it refuses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use casemate_protocol::messages::{
    Answer, Ask, AttributeAnswer, GetAttributes, MadeObject, ObjectReference,
};
use casemate_protocol::{AttributeType, Curve, KeyType, Template};
use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::library::{Library, unexpected};

/// A session object.
struct SessionObject {
    session: ck::CK_SESSION_HANDLE,
    sealed: Bytes,
    attributes: Template,
}

/// Session objects have this bit in their handles: numbers of the cluster never come so far.
const SESSION_OBJECT: ck::CK_OBJECT_HANDLE = 1 << (ck::CK_OBJECT_HANDLE::BITS - 1);

/// Keys of which facts are kept.
const FACTS_MAX: usize = 16_384;

/// The objects that an application knows.
#[derive(Default)]
pub(crate) struct Objects {
    session: RwLock<BTreeMap<ck::CK_OBJECT_HANDLE, Arc<SessionObject>>>,
    facts: RwLock<BTreeMap<ck::CK_OBJECT_HANDLE, Arc<KeyFacts>>>,
    last: AtomicU64,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) struct KeyFacts {
    pub(crate) key_type: KeyType,
    /// Bytes of an RSA modulus.
    pub(crate) modulus_bytes: usize,
    pub(crate) curve: Option<Curve>,
    /// `CKA_PARAMETER_SET` of ML-DSA and ML-KEM.
    pub(crate) parameter_set: u64,
    /// Whether each use needs a log-in of its own.
    pub(crate) always_authenticate: bool,
    permits: Vec<AttributeType>,
}

/// The attributes that permit uses.
const PERMITS: [AttributeType; 9] = [
    AttributeType::Sign,
    AttributeType::Verify,
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::Wrap,
    AttributeType::Unwrap,
    AttributeType::Derive,
    AttributeType::Encapsulate,
    AttributeType::Decapsulate,
];

const ASKED: [AttributeType; 6] = [
    AttributeType::Class,
    AttributeType::KeyType,
    AttributeType::Modulus,
    AttributeType::EcParams,
    AttributeType::ParameterSet,
    AttributeType::AlwaysAuthenticate,
];

impl KeyFacts {
    /// Whether the key's attribute permits a use.
    pub(crate) fn permits(&self, flag: AttributeType) -> bool {
        self.permits.contains(&flag)
    }

    fn of(template: &Template) -> Option<Self> {
        let flag = |attribute| template.flag(attribute).ok().flatten().unwrap_or(false);
        Some(Self {
            key_type: template.key_type().ok()??,
            modulus_bytes: template.bytes(AttributeType::Modulus).map_or(0, <[u8]>::len),
            curve: template.bytes(AttributeType::EcParams).and_then(Curve::from_ec_params),
            parameter_set: template.number(AttributeType::ParameterSet).ok()?.unwrap_or(0),
            always_authenticate: flag(AttributeType::AlwaysAuthenticate),
            permits: PERMITS.into_iter().filter(|&attribute| flag(attribute)).collect(),
        })
    }
}

/// Puts the attributes that an answer has into a template.
pub(crate) fn template_of(answers: Vec<AttributeAnswer>) -> Template {
    let found = answers.into_iter().filter(|answer| answer.error.is_none());
    let attributes = found
        .map(|answer| casemate_protocol::Attribute { number: answer.number, value: answer.value });
    Template { attributes: attributes.collect() }
}

impl Objects {
    /// Returns how an object is named on the wire; `invalid` if there is none.
    pub(crate) fn reference(
        &self,
        handle: ck::CK_OBJECT_HANDLE,
        invalid: Code,
    ) -> Result<ObjectReference> {
        if handle == ck::CK_INVALID_HANDLE {
            return Err(invalid);
        }
        if handle & SESSION_OBJECT == 0 {
            return Ok(ObjectReference { number: handle, session: Bytes::new() });
        }
        let object = self.session_object(handle).ok_or(invalid)?;
        Ok(ObjectReference { number: 0, session: object.sealed.clone() })
    }

    fn session_object(&self, handle: ck::CK_OBJECT_HANDLE) -> Option<Arc<SessionObject>> {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        session.get(&handle).map(Arc::clone)
    }

    /// Whether a handle is of a session object.
    pub(crate) const fn is_session_object(handle: ck::CK_OBJECT_HANDLE) -> bool {
        handle & SESSION_OBJECT != 0
    }

    /// Returns the attributes of a session object that may be seen.
    pub(crate) fn session_attributes(&self, handle: ck::CK_OBJECT_HANDLE) -> Option<Template> {
        self.session_object(handle).map(|object| object.attributes.clone())
    }

    /// Gives a new object its handle.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR` if the answer names no object.
    pub(crate) fn adopt(
        &self,
        session: ck::CK_SESSION_HANDLE,
        made: MadeObject,
    ) -> Result<ck::CK_OBJECT_HANDLE> {
        let Some(object) = made.object else { return unexpected() };
        if object.session.is_empty() {
            return Ok(object.number);
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let handle = SESSION_OBJECT | number;
        self.put(handle, session, object.session, made.attributes.unwrap_or_default());
        Ok(handle)
    }

    fn put(
        &self,
        handle: ck::CK_OBJECT_HANDLE,
        session: ck::CK_SESSION_HANDLE,
        sealed: Bytes,
        attributes: Template,
    ) {
        let object = Arc::new(SessionObject { session, sealed, attributes });
        let mut all = self.session.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(handle, object);
    }

    /// Replaces the form of a session object that was changed.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR` if the answer names no object.
    pub(crate) fn replace(&self, handle: ck::CK_OBJECT_HANDLE, made: MadeObject) -> Result<()> {
        let session = self.session_object(handle).ok_or(Code::OBJECT_HANDLE_INVALID)?.session;
        let Some(object) = made.object else { return unexpected() };
        self.put(handle, session, object.session, made.attributes.unwrap_or_default());
        Ok(())
    }

    /// Forgets one object, or what is known of it.
    pub(crate) fn forget(&self, handle: ck::CK_OBJECT_HANDLE) {
        self.session.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
        self.forget_facts(handle);
    }

    /// Forgets what is known of a key.
    pub(crate) fn forget_facts(&self, handle: ck::CK_OBJECT_HANDLE) {
        self.facts.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }

    /// Forgets the objects of a session that was closed.
    pub(crate) fn forget_session(&self, session: ck::CK_SESSION_HANDLE) {
        let mut all = self.session.write().unwrap_or_else(PoisonError::into_inner);
        let gone = |object: &SessionObject| object.session == session;
        let handles: Vec<_> =
            all.iter().filter(|(_, object)| gone(object)).map(|(handle, _)| *handle).collect();
        all.retain(|_, object| !gone(object));
        drop(all);
        let mut facts = self.facts.write().unwrap_or_else(PoisonError::into_inner);
        for handle in handles {
            facts.remove(&handle);
        }
    }

    /// Forgets everything: after a log-out nothing of it can be used.
    pub(crate) fn forget_all(&self) {
        self.session.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.facts.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the session objects that have every attribute of a template.
    pub(crate) fn matching(&self, template: &Template) -> Vec<ck::CK_OBJECT_HANDLE> {
        let all = self.session.read().unwrap_or_else(PoisonError::into_inner);
        let matching = all.iter().filter(|(_, object)| {
            template.attributes.iter().all(|entry| object.attributes.attributes.contains(entry))
        });
        matching.map(|(handle, _)| *handle).collect()
    }
}

impl Library {
    /// Returns what is known of a key, asking the cluster if nothing is.
    ///
    /// # Errors
    /// `CKR_KEY_HANDLE_INVALID` if there is no such key.
    pub(crate) fn key_facts(&self, handle: ck::CK_OBJECT_HANDLE) -> Result<Arc<KeyFacts>> {
        let known = self.objects.facts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = known.get(&handle) {
            return Ok(Arc::clone(facts));
        }
        drop(known);
        self.ask_key_facts(handle)
    }

    /// Asks the cluster what a key is now.
    ///
    /// # Errors
    /// `CKR_KEY_HANDLE_INVALID` if there is no such key.
    pub(crate) fn ask_key_facts(&self, handle: ck::CK_OBJECT_HANDLE) -> Result<Arc<KeyFacts>> {
        let template = match self.objects.session_attributes(handle) {
            Some(attributes) => attributes,
            None => self.ask_attributes(handle)?,
        };
        let facts = Arc::new(KeyFacts::of(&template).ok_or(Code::KEY_HANDLE_INVALID)?);
        let mut known = self.objects.facts.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= FACTS_MAX {
            known.clear();
        }
        known.insert(handle, Arc::clone(&facts));
        Ok(facts)
    }

    fn ask_attributes(&self, handle: ck::CK_OBJECT_HANDLE) -> Result<Template> {
        let invalid = Code::KEY_HANDLE_INVALID;
        let object = Some(self.objects.reference(handle, invalid)?);
        let attributes = ASKED.iter().chain(&PERMITS).map(|attribute| attribute.number()).collect();
        let answer = self.call(Ask::GetAttributes(GetAttributes { object, attributes }));
        let Answer::Attributes(found) =
            answer.map_err(|code| code.instead_of(Code::OBJECT_HANDLE_INVALID, invalid.0))?
        else {
            return unexpected();
        };
        Ok(template_of(found.attributes))
    }
}
