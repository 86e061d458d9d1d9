//! All objects: by number, and the indexes that make a search a look-up.
//!
//! The maps are persistent: a clone costs nothing and shares all but what changes later. Indexes are keyed by the first
//! 8 bytes of a SHA-256, then by number, so that pages come in order of numbers and equal hashes are only
//! candidates: whoever searches compares the values.

use std::sync::Arc;

use casemate_crypto::digest;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{ObjectNumber, UserId};
use casemate_protocol::{AttributeType, ObjectClass, Template};
use immutable_chunkmap::map::MapM;
use immutable_chunkmap::set::SetM;

use super::object::Object;
use super::session_floors::SessionFloors;

type Index = SetM<(u64, ObjectNumber)>;

/// The objects of a cluster.
#[derive(Clone, Default)]
pub(crate) struct Objects {
    by_number: MapM<ObjectNumber, Arc<Object>>,
    by_label: Index,
    by_id: Index,
    by_class: Index,
    by_owner: SetM<(UserId, ObjectNumber)>,
    last_number: ObjectNumber,
    /// What is kept for session objects that were changed or destroyed.
    pub(crate) session_floors: SessionFloors,
}

fn key(value: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest::sha256(&[value]);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn index_keys(object: &Object) -> (u64, u64, u64) {
    let header = object.header();
    let hash = |attribute| key(header.value(attribute).unwrap_or_default());
    (hash(AttributeType::Label), hash(AttributeType::Id), object.class().number())
}

impl Objects {
    /// Returns an object.
    pub(crate) fn get(&self, number: ObjectNumber) -> Option<&Arc<Object>> {
        self.by_number.get(&number)
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Gives the next number, which is never given again.
    pub(crate) fn next_number(&mut self) -> ObjectNumber {
        self.last_number = ObjectNumber(self.last_number.0.saturating_add(1));
        self.last_number
    }

    /// Puts an object in, in place of the one with its number.
    pub(crate) fn insert(&mut self, object: Object) {
        let number = object.number();
        self.remove(number);
        let (label, id, class) = index_keys(&object);
        self.by_label.insert_cow((label, number));
        self.by_id.insert_cow((id, number));
        self.by_class.insert_cow((class, number));
        self.by_owner.insert_cow((object.owner(), number));
        self.last_number = self.last_number.max(number);
        self.by_number.insert_cow(number, Arc::new(object));
    }

    /// Takes an object out.
    pub(crate) fn remove(&mut self, number: ObjectNumber) {
        let Some(object) = self.by_number.remove_cow(&number) else { return };
        let (label, id, class) = index_keys(&object);
        self.by_label.remove_cow(&(label, number));
        self.by_id.remove_cow(&(id, number));
        self.by_class.remove_cow(&(class, number));
        self.by_owner.remove_cow(&(object.owner(), number));
    }

    /// Whether a user owns any.
    pub(crate) fn owned_by(&self, user: UserId) -> bool {
        let all = (user, ObjectNumber(0))..=(user, ObjectNumber(u64::MAX));
        self.by_owner.range(all).next().is_some()
    }

    /// Returns all objects in order of numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.iter_after(0)
    }

    /// Returns all objects with larger numbers.
    pub(crate) fn iter_after(&self, after: u64) -> impl Iterator<Item = &Arc<Object>> {
        self.by_number.range(ObjectNumber(after.saturating_add(1))..).map(|(_, object)| object)
    }

    /// Returns the objects that a search by `template` has to look at, in order of numbers: by the best index there is.
    pub(crate) fn candidates<'a>(
        &'a self,
        template: &Template,
        class: Option<ObjectClass>,
        after: u64,
    ) -> Box<dyn Iterator<Item = &'a Arc<Object>> + 'a> {
        let label = template.bytes(AttributeType::Label).map(|value| (&self.by_label, key(value)));
        let id = template.bytes(AttributeType::Id).map(|value| (&self.by_id, key(value)));
        let class = class.map(|class| (&self.by_class, class.number()));
        let Some((index, hash)) = label.or(id).or(class) else {
            return Box::new(self.iter_after(after));
        };
        let first = (hash, ObjectNumber(after.saturating_add(1)));
        let range = index.range(first..=(hash, ObjectNumber(u64::MAX)));
        Box::new(range.filter_map(|(_, number)| self.get(*number)))
    }

    /// Writes everything but the objects themselves.
    pub(crate) fn encode_front(&self, writer: &mut Writer) {
        writer.u64(self.last_number.0);
        self.session_floors.encode(writer);
    }

    /// Reads what [`Objects::encode_front`] wrote.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode_front(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let last_number = ObjectNumber(reader.u64()?);
        let session_floors = SessionFloors::decode(reader)?;
        Ok(Self { last_number, session_floors, ..Self::default() })
    }
}
