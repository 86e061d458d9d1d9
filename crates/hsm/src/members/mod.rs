//! The HSMs of the cluster, in the replicated state: who was let in, under which number, by which keys.
//!
//! ```text
//! module asks (2224) ──▶ pending, in the memory of the HSM that it asked
//! admin's `add-hsm`, signed by a key under the trust anchor ──▶ Admit, replicated
//! module asks again ──▶ the cluster's secrets, sealed for it ──▶ Raft takes it in
//! ```
//!
//! A number is given once, and so is an id: a module that was taken out comes back only as a new one. What Raft holds of its members
//! follows this table.

use std::sync::Arc;

use casemate_crypto::digest;
use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::HsmId;
use casemate_protocol::messages::{AddHsm, Answer, JoinRequest, JoinRequests, RemoveHsm};
use immutable_chunkmap::map::MapM;
use immutable_chunkmap::set::SetM;

use crate::command::Change;
use crate::outcome::Outcome;
use crate::permissions::Action;
use crate::reader::{Context, Reader as ModuleReader};

mod change;
pub(crate) mod join;

pub(crate) use change::MemberChange;

/// One HSM.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hsm {
    pub(crate) node: u64,
    pub(crate) id: HsmId,
    /// What it said of itself when it was let in.
    pub(crate) said: JoinRequest,
}

/// A member, as the one who carries messages to it needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddress {
    /// Its number.
    pub node: u64,
    /// Where it listens for other HSMs.
    pub peer_address: String,
    /// SHA-256 of its identity key's SubjectPublicKeyInfo.
    pub identity: [u8; 32],
}

impl Hsm {
    pub(crate) fn address(&self) -> MemberAddress {
        MemberAddress {
            node: self.node,
            peer_address: self.said.peer_address.clone(),
            identity: digest::sha256(&[&self.said.identity]),
        }
    }
}

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct Members {
    by_node: MapM<u64, Arc<Hsm>>,
    last_node: u64,
    /// Ids that were taken out: they never come back.
    removed: SetM<HsmId>,
}

impl Members {
    /// Returns all, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Hsm>> {
        self.by_node.into_iter().map(|(_, hsm)| hsm)
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_node.len()
    }

    /// Finds one by its id.
    pub(crate) fn get(&self, id: HsmId) -> Option<&Arc<Hsm>> {
        self.iter().find(|hsm| hsm.id == id)
    }

    /// Whether an id may still become a member.
    pub(crate) fn is_new(&self, id: HsmId) -> bool {
        self.get(id).is_none() && self.removed.get(&id).is_none()
    }

    /// Puts one in under the next number.
    pub(crate) fn put(&mut self, id: HsmId, said: JoinRequest) {
        self.last_node = self.last_node.saturating_add(1);
        let node = self.last_node;
        self.by_node.insert_cow(node, Arc::new(Hsm { node, id, said }));
    }

    /// Takes one out, for ever.
    pub(crate) fn remove(&mut self, hsm: &Hsm) {
        self.by_node.remove_cow(&hsm.node);
        self.removed.insert_cow(hsm.id);
    }

    /// Writes them.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        use prost::Message as _;
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        writer.u64(self.last_node).u64(count(self.by_node.len()));
        for hsm in self.iter() {
            writer.u64(hsm.node).fixed(hsm.id.as_bytes()).bytes(&hsm.said.encode_to_vec());
        }
        writer.u64(count(self.removed.len()));
        for id in &self.removed {
            writer.fixed(id.as_bytes());
        }
    }

    /// Reads what [`Members::encode`] wrote.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let mut members = Self { last_node: reader.u64()?, ..Self::default() };
        for _ in 0..reader.u64()? {
            let node = reader.u64()?;
            let id = HsmId::from_bytes(reader.fixed()?);
            let said = read_said(reader.bytes()?)?;
            members.by_node.insert_cow(node, Arc::new(Hsm { node, id, said }));
        }
        for _ in 0..reader.u64()? {
            members.removed.insert_cow(HsmId::from_bytes(reader.fixed()?));
        }
        Ok(members)
    }
}

/// Answers which modules asked this HSM to join.
pub(crate) fn list_joining(reader: &ModuleReader) -> Outcome {
    let requests = reader.shared().joining.list();
    Outcome::answer(Answer::JoinRequests(JoinRequests { requests }))
}

/// Proposes to let a module in: the early check is a courtesy, `apply` checks the same.
pub(crate) fn add(context: &Context<'_>, admission: AddHsm) -> Result<Outcome, Error> {
    let incarnation = context.reader.shared().secrets().incarnation();
    change::check_admission(context.state, &admission, incarnation)?;
    let change = Change::Member(MemberChange::Admit(Box::new(admission)));
    Ok(context.propose(Action::ManageHsms, change))
}

/// Proposes to take an HSM out.
pub(crate) fn remove(context: &Context<'_>, request: &RemoveHsm) -> Result<Outcome, Error> {
    let id = request.hsm.as_slice().try_into().map(HsmId::from_bytes);
    let id = id.map_err(|_error: std::array::TryFromSliceError| Error::HsmNotFound)?;
    Ok(context.propose(Action::ManageHsms, Change::Member(MemberChange::Remove(id))))
}

fn read_said(bytes: &[u8]) -> Result<JoinRequest, CanonicalError> {
    use prost::Message as _;
    JoinRequest::decode(bytes).map_err(|_error: prost::DecodeError| CanonicalError::Value)
}
