//! Commands that let an HSM in, or take it out.

use std::sync::Arc;

use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{HsmId, Incarnation};
use casemate_protocol::messages::{AddHsm, Answer, Empty, JoinPolicy, JoinRequest, Lifecycle};
use casemate_protocol::statements;
use prost::Message as _;

use super::join::{check_request, hsm_of, read_request};
use crate::command::Author;
use crate::entropy::Time;
use crate::lifecycle::certificates;
use crate::limits;
use crate::permissions::{Action, Asker, permits};
use crate::state::State;

/// What changes.
pub(crate) enum MemberChange {
    /// A module is let in.
    Admit(Box<AddHsm>),
    /// An HSM is taken out.
    Remove(HsmId),
    /// An HSM says anew what it says of itself: it has another address, zone or version.
    Update(Box<JoinRequest>),
}

/// Whose word a change of the members is.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    /// On whose behalf it is made.
    pub(crate) author: Option<&'a Author>,
    /// The HSM that proposed it.
    pub(crate) proposer: HsmId,
}

impl MemberChange {
    /// Writes it into a command.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Admit(admission) => {
                writer.u8(1).bytes(&admission.encode_to_vec());
            }
            Self::Remove(hsm) => {
                writer.u8(2).fixed(hsm.as_bytes());
            }
            Self::Update(said) => {
                writer.u8(3).bytes(&said.encode_to_vec());
            }
        }
    }

    /// Reads it from a command.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        match reader.u8()? {
            1 => AddHsm::decode(reader.bytes()?)
                .map(|admission| Self::Admit(Box::new(admission)))
                .map_err(|_error: prost::DecodeError| CanonicalError::Value),
            2 => Ok(Self::Remove(HsmId::from_bytes(reader.fixed()?))),
            3 => read_request(reader.bytes()?).map(Box::new).map(Self::Update),
            _ => Err(CanonicalError::Value),
        }
    }

    /// Decides again, and changes the state.
    ///
    /// # Errors
    /// Why not; the state is then as before.
    pub(crate) fn apply(
        self,
        state: &mut State,
        word: Word<'_>,
        incarnation: Incarnation,
    ) -> Result<Answer, Error> {
        let asker = Asker::from(word.author.map(|author| author.role));
        match self {
            Self::Admit(admission) => {
                // An HSM lets others in by itself where the policy says by what.
                let policy = state.settings().join_policy;
                if policy == JoinPolicy::Approved || word.author.is_some() {
                    permits(asker, Action::ManageHsms)?;
                }
                let id = check_admission(state, &admission, incarnation, state.time)?;
                let said = admission.request.ok_or(Error::Malformed)?;
                state.members.put(id, said);
            }
            Self::Remove(id) => {
                permits(asker, Action::ManageHsms)?;
                let hsm = Arc::clone(state.members.get(id).ok_or(Error::HsmNotFound)?);
                if state.members.len() == 1 {
                    return Err(Error::LastHsm);
                }
                state.members.remove(&hsm);
            }
            Self::Update(said) => {
                check_request(&said)?;
                let hsm = state.members.get(word.proposer).ok_or(Error::HsmNotFound)?;
                // Only the module itself, of itself: its keys are for ever.
                if word.author.is_some() || !hsm.is(&said) {
                    return Err(Error::JoinInvalid);
                }
                let hsm = Arc::clone(hsm);
                state.members.update(&hsm, *said);
            }
        }
        Ok(Answer::Done(Empty {}))
    }
}

/// Checks that a module may be let in, by this admission, on this state and at that time; returns its id.
///
/// # Errors
/// Why not.
pub(crate) fn check_admission(
    state: &State,
    admission: &AddHsm,
    incarnation: Incarnation,
    now: Time,
) -> Result<HsmId, Error> {
    let request = admission.request.as_ref().ok_or(Error::Malformed)?;
    check_request(request)?;
    let id = hsm_of(request)?;
    let cluster = state.cluster.as_ref().ok_or(Error::NotInitialized)?;
    if cluster.lifecycle != Lifecycle::Active {
        return Err(Error::NotActivated);
    }
    if !state.members.is_new(request) {
        return Err(Error::HsmKnown);
    }
    if state.members.len() >= limits::HSMS_MAX {
        return Err(Error::HsmLimit);
    }
    match (cluster.settings.join_policy, &cluster.settings.good_machines) {
        (JoinPolicy::Installation, _) => return Ok(id),
        (JoinPolicy::Attested, Some(good)) => return good.check(request, now).map(|()| id),
        (JoinPolicy::Attested, None) => return Err(Error::EvidenceRefused),
        (JoinPolicy::Approved, _) => {}
    }
    if admission.ends <= now.seconds() {
        return Err(Error::AdmissionRefused);
    }
    let statement = statements::admission(cluster.id, incarnation, request, admission.ends);
    certificates::check_signature_under(
        cluster.trust_anchor(),
        &admission.certificate,
        (&statement, &admission.signature),
        now,
    )
    .map_err(|_error: Error| Error::AdmissionRefused)?;
    Ok(id)
}
