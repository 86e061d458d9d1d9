//! The HSMs of the cluster, in the replicated state: who was let in, under which number, by which keys.
//!
//! ```text
//! module asks (2224) ──▶ pending, in the memory of the HSM that it asked
//! admin's `add-hsm`, signed by a key under the trust anchor ──▶ Admit, replicated
//! module asks again ──▶ the cluster's secrets, sealed for it ──▶ Raft takes it in
//! ```
//!
//! A number is given once, and so are id and keys: a module that was taken out comes back only as a new one. What Raft holds of its
//! members follows this table, and `apply` takes commands of members alone ([`crate::apply`]).

use std::sync::Arc;

use casemate_crypto::digest;
use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::HsmId;
use casemate_protocol::messages::{AddHsm, Answer, JoinRequest, JoinRequests, RemoveHsm};
use immutable_chunkmap::map::MapM;

use crate::command::Change;
use crate::limits;
use crate::outcome::Outcome;
use crate::permissions::Action;
use crate::reader::Context;

mod change;
pub(crate) mod join;

pub(crate) use change::{MemberChange, Word};

/// One HSM.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hsm {
    pub(crate) node: u64,
    pub(crate) id: HsmId,
    /// What it said of itself, when it was let in or since.
    pub(crate) said: JoinRequest,
}

/// What is kept of one that was taken out, so that neither its id nor its keys come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Removed {
    id: HsmId,
    identity_sha256: [u8; 32],
    receiving_key_sha256: [u8; 32],
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

    /// Whether a request is by this very module: its id and both its keys.
    pub(crate) fn is(&self, request: &JoinRequest) -> bool {
        self.id.as_bytes() == request.hsm.as_slice()
            && self.said.identity == request.identity
            && self.said.receiving_key == request.receiving_key
    }

    /// Whether it has anything in common with a request that only one module can have.
    fn collides_with(&self, request: &JoinRequest) -> bool {
        self.id.as_bytes() == request.hsm.as_slice()
            || self.said.identity == request.identity
            || self.said.receiving_key == request.receiving_key
    }
}

impl Removed {
    fn of(hsm: &Hsm) -> Self {
        Self {
            id: hsm.id,
            identity_sha256: digest::sha256(&[&hsm.said.identity]),
            receiving_key_sha256: digest::sha256(&[&hsm.said.receiving_key]),
        }
    }

    fn collides_with(&self, request: &JoinRequest) -> bool {
        self.id.as_bytes() == request.hsm.as_slice()
            || self.identity_sha256 == digest::sha256(&[&request.identity])
            || self.receiving_key_sha256 == digest::sha256(&[&request.receiving_key])
    }
}

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct Members {
    by_node: MapM<u64, Arc<Hsm>>,
    last_node: u64,
    /// Those that were taken out, by number.
    removed: MapM<u64, Removed>,
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

    /// Whether a module may still become a member: nothing of it belongs to one, or to one that was taken out.
    pub(crate) fn is_new(&self, request: &JoinRequest) -> bool {
        let mut removed = self.removed.into_iter();
        !self.iter().any(|hsm| hsm.collides_with(request))
            && !removed.any(|(_, removed)| removed.collides_with(request))
    }

    /// Puts one in under the next number.
    pub(crate) fn put(&mut self, id: HsmId, said: JoinRequest) {
        self.last_node = self.last_node.saturating_add(1);
        let node = self.last_node;
        self.by_node.insert_cow(node, Arc::new(Hsm { node, id, said }));
    }

    /// Puts what a member says of itself now in the place of what it said before.
    pub(crate) fn update(&mut self, hsm: &Hsm, said: JoinRequest) {
        let next = Hsm { node: hsm.node, id: hsm.id, said };
        self.by_node.insert_cow(hsm.node, Arc::new(next));
    }

    /// Takes one out, for ever.
    pub(crate) fn remove(&mut self, hsm: &Hsm) {
        self.by_node.remove_cow(&hsm.node);
        self.removed.insert_cow(hsm.node, Removed::of(hsm));
        if self.removed.len() > limits::REMOVED_HSMS_MAX {
            let oldest = self.removed.into_iter().next().map(|(node, _)| *node);
            if let Some(oldest) = oldest {
                self.removed.remove_cow(&oldest);
            }
        }
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
        for (node, removed) in &self.removed {
            writer.u64(*node).fixed(removed.id.as_bytes());
            writer.fixed(&removed.identity_sha256).fixed(&removed.receiving_key_sha256);
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
            let said = join::read_request(reader.bytes()?)?;
            members.by_node.insert_cow(node, Arc::new(Hsm { node, id, said }));
        }
        for _ in 0..reader.u64()? {
            let node = reader.u64()?;
            let id = HsmId::from_bytes(reader.fixed()?);
            let (identity_sha256, receiving_key_sha256) = (reader.fixed()?, reader.fixed()?);
            let removed = Removed { id, identity_sha256, receiving_key_sha256 };
            members.removed.insert_cow(node, removed);
        }
        Ok(members)
    }
}

/// Answers which modules asked this HSM to join.
pub(crate) fn list_joining(context: &Context<'_>) -> Outcome {
    let requests = context.reader.shared().joining.list(context.now);
    Outcome::answer(Answer::JoinRequests(JoinRequests { requests }))
}

/// Proposes to let a module in: the early check is a courtesy, `apply` checks the same.
pub(crate) fn add(context: &Context<'_>, admission: AddHsm) -> Result<Outcome, Error> {
    let incarnation = context.reader.shared().secrets().incarnation();
    let now = context.state.time.max(context.now);
    change::check_admission(context.state, &admission, incarnation, now)?;
    let change = Change::Member(MemberChange::Admit(Box::new(admission)));
    Ok(context.propose(Action::ManageHsms, change))
}

/// Proposes to take an HSM out.
pub(crate) fn remove(context: &Context<'_>, request: &RemoveHsm) -> Result<Outcome, Error> {
    let id = request.hsm.as_slice().try_into().map(HsmId::from_bytes);
    let id = id.map_err(|_error: std::array::TryFromSliceError| Error::HsmNotFound)?;
    Ok(context.propose(Action::ManageHsms, Change::Member(MemberChange::Remove(id))))
}
