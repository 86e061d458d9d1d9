//! One object in memory: its header, and for a key its sealed material.
//!
//! The header holds every attribute that may be seen and all that a rule reads; for a key it is the authentic part of
//! the seal, so that neither can be changed without the other. An idle key stays sealed; what was opened is kept
//! in a slot that can be emptied without a lock.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what this family does not have is passed on or refused alike, new ones too"
)]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use casemate_protocol::attributes::ValueForm;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{Generation, LogInId, ObjectId, ObjectNumber, UserId};
use casemate_protocol::{Attribute, AttributeType, KeyType, ObjectClass, Template};

use super::flags::Flags;
use super::key::OpenKey;
use crate::sealing;

const DOMAIN: &str = "casemate/object/v1";
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const NO_KEY_TYPE: u64 = u64::MAX;

const RESTRICTIONS: [AttributeType; 3] =
    [AttributeType::StartDate, AttributeType::EndDate, AttributeType::AllowedMechanisms];

/// Where an object came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made in a module.
    Generated = 1,
    /// Its value came from outside in the clear.
    Created = 2,
    /// It came in wrapped.
    Unwrapped = 3,
    /// Derived from another key.
    Derived = 4,
}

impl Origin {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Generated, Self::Created, Self::Unwrapped, Self::Derived]
            .into_iter()
            .find(|&origin| origin as u8 == number)
    }
}

/// What the header of an object says.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) id: ObjectId,
    pub(crate) generation: Generation,
    pub(crate) class: ObjectClass,
    pub(crate) key_type: Option<KeyType>,
    /// Bytes of a secret key, bits of a modulus or field, or the number of a parameter set.
    pub(crate) size: u64,
    pub(crate) owner: UserId,
    pub(crate) shared_with: Vec<UserId>,
    /// The log-in that a session object belongs to; none for a token object.
    pub(crate) log_in: Option<LogInId>,
    pub(crate) origin: Origin,
    pub(crate) flags: Flags,
    /// All attributes that are no flags and no secrets, in order of numbers, in wire form.
    pub(crate) attributes: Vec<(AttributeType, Vec<u8>)>,
}

impl Header {
    /// Writes the header.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(DOMAIN);
        writer
            .fixed(self.id.as_bytes())
            .u64(self.generation.0)
            .u64(self.class.number())
            .u64(self.key_type.map_or(NO_KEY_TYPE, KeyType::number))
            .u64(self.size)
            .fixed(self.owner.as_bytes())
            .bytes(self.log_in.as_ref().map_or(&[][..], |log_in| log_in.as_bytes()))
            .u8(self.origin as u8)
            .u32(self.flags.word())
            .u32(u32::try_from(self.shared_with.len()).unwrap_or(u32::MAX));
        for user in &self.shared_with {
            writer.fixed(user.as_bytes());
        }
        writer.u32(u32::try_from(self.attributes.len()).unwrap_or(u32::MAX));
        for (attribute, value) in &self.attributes {
            writer.u64(attribute.number()).bytes(value);
        }
        writer.finish()
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CanonicalError> {
        let mut reader = Reader::new(bytes, DOMAIN)?;
        let id = ObjectId::from_bytes(reader.fixed()?);
        let generation = Generation(reader.u64()?);
        let class = ObjectClass::from_number(reader.u64()?).ok_or(CanonicalError::Value)?;
        let key_type = match reader.u64()? {
            NO_KEY_TYPE => None,
            number => Some(KeyType::from_number(number).ok_or(CanonicalError::Value)?),
        };
        let size = reader.u64()?;
        let owner = UserId::from_bytes(reader.fixed()?);
        let log_in = match reader.bytes()? {
            [] => None,
            id => Some(LogInId::try_from(id).map_err(|_error| CanonicalError::Value)?),
        };
        let origin = Origin::from_number(reader.u8()?).ok_or(CanonicalError::Value)?;
        let flags = Flags::from_word(reader.u32()?);
        let users = (0..reader.u32()?).map(|_| Ok(UserId::from_bytes(reader.fixed()?)));
        let shared_with = users.collect::<Result<_, CanonicalError>>()?;
        let attributes = (0..reader.u32()?).map(|_| {
            let attribute =
                AttributeType::from_number(reader.u64()?).ok_or(CanonicalError::Value)?;
            Ok((attribute, reader.bytes()?.to_vec()))
        });
        let attributes = attributes.collect::<Result<_, CanonicalError>>()?;
        reader.finish()?;
        Ok(Self {
            id,
            generation,
            class,
            key_type,
            size,
            owner,
            shared_with,
            log_in,
            origin,
            flags,
            attributes,
        })
    }

    /// Returns the value of an attribute that is no flag and no secret.
    pub(crate) fn value(&self, attribute: AttributeType) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|(known, _)| *known == attribute);
        found.map(|(_, value)| value.as_slice())
    }

    /// Puts an attribute in its place.
    pub(crate) fn set(&mut self, attribute: AttributeType, value: Vec<u8>) {
        match self.attributes.binary_search_by_key(&attribute, |(known, _)| *known) {
            Ok(at) => {
                if let Some(entry) = self.attributes.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => self.attributes.insert(at, (attribute, value)),
        }
    }

    /// Returns what may be seen of an attribute in wire form: flags, computed ones and stored ones.
    pub(crate) fn visible(
        &self,
        number: ObjectNumber,
        attribute: AttributeType,
    ) -> Option<Vec<u8>> {
        let row = attribute.row();
        if !row.classes.contains(self.class) || attribute.is_key_material(self.class) {
            return None;
        }
        if row.form == ValueForm::Flag {
            return Some(vec![u8::from(self.flags.has(attribute))]);
        }
        match attribute {
            AttributeType::Class => Some(self.class.number().to_be_bytes().to_vec()),
            AttributeType::KeyType => {
                self.key_type.map(|kind| kind.number().to_be_bytes().to_vec())
            }
            AttributeType::UniqueId => Some(unique_id(number, self.id).into_bytes()),
            _ => self.value(attribute).map(<[u8]>::to_vec).or_else(|| empty_default(attribute)),
        }
    }

    /// Returns everything that may be seen.
    pub(crate) fn all_visible(&self, number: ObjectNumber) -> Template {
        let rows = casemate_protocol::attributes::ATTRIBUTES.iter();
        let seen = rows.filter_map(|row| {
            self.visible(number, row.attribute).map(|value| Attribute::new(row.attribute, value))
        });
        Template { attributes: seen.collect() }
    }
}

/// Attributes that PKCS#11 gives an empty value when nobody set one.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others do not exist until they are set")]
fn empty_default(attribute: AttributeType) -> Option<Vec<u8>> {
    match attribute {
        AttributeType::Label
        | AttributeType::Id
        | AttributeType::Subject
        | AttributeType::Application
        | AttributeType::ObjectIdentifier
        | AttributeType::Issuer
        | AttributeType::SerialNumber
        | AttributeType::StartDate
        | AttributeType::EndDate => Some(Vec::new()),
        AttributeType::KeyGenMechanism => Some(u64::MAX.to_be_bytes().to_vec()),
        _ => None,
    }
}

/// Token objects are known by their number, session objects by their random id.
fn unique_id(number: ObjectNumber, id: ObjectId) -> String {
    if number.0 == 0 { id.to_string() } else { format!("0x{:016x}", number.0) }
}

/// One object.
pub(crate) struct Object {
    number: ObjectNumber,
    /// A sealed thing whose fields are the header, or the header alone for an object without secrets.
    bytes: Box<[u8]>,
    sealed: bool,
    header: Range<u32>,
    // What each use reads, so that it need not read the header.
    class: ObjectClass,
    key_type: Option<KeyType>,
    flags: Flags,
    owner: UserId,
    log_in: Option<LogInId>,
    shared: bool,
    /// Whether it has dates or a list of mechanisms, which each use must read.
    restricted: bool,
    open: ArcSwapOption<OpenKey>,
    used: AtomicBool,
    /// AES-GCM encryptions on this HSM since it was started or the key's attributes changed.
    gcm_invocations: AtomicU64,
}

impl Object {
    /// Reads an object from its bytes, without opening the seal: the bytes come from a command, a snapshot, or a seal that was opened.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn new(
        number: ObjectNumber,
        sealed: bool,
        bytes: Vec<u8>,
    ) -> Result<Self, CanonicalError> {
        let range = if sealed { sealing::fields_of(&bytes)? } else { 0..bytes.len() };
        let header = Header::decode(bytes.get(range.clone()).ok_or(CanonicalError::Truncated)?)?;
        let short = |at: usize| u32::try_from(at).map_err(|_error| CanonicalError::Truncated);
        Ok(Self {
            number,
            header: short(range.start)?..short(range.end)?,
            bytes: bytes.into_boxed_slice(),
            sealed,
            class: header.class,
            key_type: header.key_type,
            flags: header.flags,
            owner: header.owner,
            log_in: header.log_in,
            shared: !header.shared_with.is_empty(),
            restricted: RESTRICTIONS
                .iter()
                .any(|attribute| header.value(*attribute).is_some_and(|value| !value.is_empty())),
            open: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            gcm_invocations: AtomicU64::new(0),
        })
    }

    /// Returns the number; 0 for a session object.
    pub(crate) const fn number(&self) -> ObjectNumber {
        self.number
    }

    /// Returns the class.
    pub(crate) const fn class(&self) -> ObjectClass {
        self.class
    }

    /// Returns the key type.
    pub(crate) const fn key_type(&self) -> Option<KeyType> {
        self.key_type
    }

    /// Returns the owner.
    pub(crate) const fn owner(&self) -> UserId {
        self.owner
    }

    /// Returns the log-in that a session object belongs to.
    pub(crate) const fn log_in(&self) -> Option<LogInId> {
        self.log_in
    }

    /// Whether a flag is true.
    pub(crate) fn has(&self, flag: AttributeType) -> bool {
        self.flags.has(flag)
    }

    /// Whether each use must read dates or a list of mechanisms.
    pub(crate) const fn is_restricted(&self) -> bool {
        self.restricted
    }

    /// Returns the bytes: what a session object's holder keeps.
    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the bytes are a sealed thing.
    pub(crate) const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Reads the header.
    #[expect(
        clippy::expect_used,
        reason = "it was read when the object was made, and the bytes do not change"
    )]
    pub(crate) fn header(&self) -> Header {
        Header::decode(self.header_bytes()).expect("a header that was read before")
    }

    /// Returns the bytes of the header.
    pub(crate) fn header_bytes(&self) -> &[u8] {
        let at = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        self.bytes.get(at(self.header.start)..at(self.header.end)).unwrap_or_default()
    }

    /// Whether `user` owns it or has been given a share in its use.
    pub(crate) fn is_for(&self, user: UserId) -> bool {
        self.owner == user || (self.shared && self.header().shared_with.contains(&user))
    }

    /// Returns the open key, if it is open.
    pub(crate) fn opened(&self) -> Option<Arc<OpenKey>> {
        let open = self.open.load();
        let key = open.as_ref()?;
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(key))
    }

    /// Counts one more AES-GCM encryption, and returns how many there were.
    pub(crate) fn count_gcm(&self) -> u64 {
        self.gcm_invocations.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Keeps the open key.
    pub(crate) fn keep_open(&self, key: Arc<OpenKey>) {
        self.open.store(Some(key));
    }

    /// Forgets the open key, unless it was used since the last time: returns whether it did.
    pub(crate) fn close_unless_used(&self) -> bool {
        if self.used.swap(false, Ordering::Relaxed) {
            return false;
        }
        self.open.store(None);
        true
    }

    /// Writes the object for a snapshot.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.number.0).u8(if self.sealed { SEALED } else { PLAIN }).bytes(&self.bytes);
    }

    /// Reads an object of a snapshot.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let number = ObjectNumber(reader.u64()?);
        let sealed = match reader.u8()? {
            PLAIN => false,
            SEALED => true,
            _ => return Err(CanonicalError::Value),
        };
        Self::new(number, sealed, reader.bytes()?.to_vec())
    }
}

/// All flag attributes that a class has.
pub(crate) fn flags_of(class: ObjectClass) -> impl Iterator<Item = AttributeType> {
    Flags::all().filter(move |flag| flag.row().classes.contains(class))
}
