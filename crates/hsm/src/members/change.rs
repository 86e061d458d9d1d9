//! Commands that let an HSM in, or take it out.

use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{HsmId, Incarnation};
use casemate_protocol::messages::{AddHsm, Answer, Empty};
use casemate_protocol::statements;
use prost::Message as _;

use super::join::{check_request, hsm_of};
use crate::command::Author;
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
        author: Option<&Author>,
        incarnation: Incarnation,
    ) -> Result<Answer, Error> {
        permits(Asker::from(author.map(|author| author.role)), Action::ManageHsms)?;
        match self {
            Self::Admit(admission) => {
                let id = check_admission(state, &admission, incarnation)?;
                let said = admission.request.ok_or(Error::Malformed)?;
                state.members.put(id, said);
            }
            Self::Remove(id) => {
                let hsm = std::sync::Arc::clone(state.members.get(id).ok_or(Error::HsmNotFound)?);
                if state.members.len() == 1 {
                    return Err(Error::LastHsm);
                }
                state.members.remove(&hsm);
            }
        }
        Ok(Answer::Done(Empty {}))
    }
}

/// Checks that a module may be let in, by this admission and on this state; returns its id.
///
/// # Errors
/// Why not.
pub(crate) fn check_admission(
    state: &State,
    admission: &AddHsm,
    incarnation: Incarnation,
) -> Result<HsmId, Error> {
    let request = admission.request.as_ref().ok_or(Error::Malformed)?;
    check_request(request)?;
    let id = hsm_of(request)?;
    if !state.members.is_new(id) {
        return Err(Error::HsmKnown);
    }
    if state.members.len() >= limits::HSMS_MAX {
        return Err(Error::HsmLimit);
    }
    if admission.ends <= state.time.seconds() {
        return Err(Error::AdmissionRefused);
    }
    let cluster = state.cluster.as_ref().ok_or(Error::NotInitialized)?;
    let statement = statements::admission(cluster.id, incarnation, request, admission.ends);
    certificates::check_signature_under(
        cluster.trust_anchor(),
        &admission.certificate,
        (&statement, &admission.signature),
        state.time,
    )
    .map_err(|_error: Error| Error::AdmissionRefused)?;
    Ok(id)
}
