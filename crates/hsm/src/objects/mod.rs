//! Objects (placeholder until the real ones land).
use crate::command::Author;
use crate::outcome::Outcome;
use crate::reader::Context;
use crate::state::State;
use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{LogInId, ObjectNumber, UserId};
use casemate_protocol::messages::{Answer, Ask};
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct OpenKeys;
pub(crate) struct Object(ObjectNumber);
impl Object {
    pub(crate) fn number(&self) -> ObjectNumber {
        self.0
    }
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.0.0);
    }
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        Ok(Self(ObjectNumber(reader.u64()?)))
    }
}
#[derive(Clone, Default)]
pub(crate) struct Objects(immutable_chunkmap::map::MapM<ObjectNumber, Arc<Object>>);
impl Objects {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
    pub(crate) fn insert(&mut self, object: Object) {
        self.0.insert_cow(object.number(), Arc::new(object));
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.0.into_iter().map(|(_, object)| object)
    }
    pub(crate) fn iter_after(&self, after: u64) -> impl Iterator<Item = &Arc<Object>> {
        self.0.range(ObjectNumber(after.saturating_add(1))..).map(|(_, object)| object)
    }
    pub(crate) fn owned_by(&self, _user: UserId) -> bool {
        false
    }
    pub(crate) fn log_in_ended(&mut self, _log_in: LogInId) {}
    pub(crate) fn encode_front(&self, _writer: &mut Writer) {}
    pub(crate) fn decode_front(_reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        Ok(Self::default())
    }
}
pub(crate) enum ObjectCommand {}
impl ObjectCommand {
    pub(crate) fn encode(&self, _writer: &mut Writer) {}
    pub(crate) fn decode(_reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        Err(CanonicalError::Value)
    }
    pub(crate) fn apply(self, _state: &mut State, _author: &Author) -> Result<Answer, Error> {
        match self {}
    }
}
pub(crate) fn handle(_context: &Context<'_>, _ask: Ask) -> Outcome {
    Outcome::error(Error::UnknownRequest)
}
