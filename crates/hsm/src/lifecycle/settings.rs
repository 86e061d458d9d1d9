//! The cluster's settings: decided when it is made, replicated with it, and some of them changed by admins.

use std::sync::Arc;

use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::messages::{Answer, ChangeSettings, JoinPolicy, Settings as WireSettings};

use super::{ClusterState, LifecycleChange};
use crate::attestation::GoodMachines;
use crate::command::{Author, Change};
use crate::entropy::Time;
use crate::limits;
use crate::outcome::Outcome;
use crate::permissions::{Action, Asker, permits};
use crate::reader::Context;
use crate::state::State;

/// The settings of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, named where it is set"
)]
pub struct Settings {
    /// FIPS mode: what the approved list lacks is refused.
    pub fips_mode: bool,
    /// It was made by `casemate dev`, for ever.
    pub dev: bool,
    /// Objects with `CKA_PRIVATE = false` are seen without a log-in.
    pub public_objects: bool,
    /// Activation needs no signature (for scripts made for AWS CloudHSM).
    pub activation_open: bool,
    /// PBKDF2 rounds of new passwords.
    pub password_rounds: u32,
    /// What an HSM must bring to be let in.
    pub join_policy: JoinPolicy,
    /// Which machines are good, for [`JoinPolicy::Attested`].
    pub good_machines: Option<GoodMachines>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fips_mode: false,
            dev: false,
            public_objects: false,
            activation_open: false,
            password_rounds: limits::PASSWORD_ROUNDS,
            join_policy: JoinPolicy::Approved,
            good_machines: None,
        }
    }
}

impl Settings {
    /// Writes them.
    pub(super) fn encode(&self, writer: &mut Writer) {
        let flags = [self.fips_mode, self.dev, self.public_objects, self.activation_open];
        writer.fixed(&flags.map(u8::from)).u32(self.password_rounds).u32(self.join_policy as u32);
        writer.u8(u8::from(self.good_machines.is_some()));
        if let Some(good) = &self.good_machines {
            good.encode(writer);
        }
    }

    /// Reads what [`Settings::encode`] wrote.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let [fips_mode, dev, public_objects, activation_open] =
            reader.fixed()?.map(|flag: u8| flag == 1);
        let password_rounds = reader.u32()?;
        let join_policy = JoinPolicy::from_number(reader.u32()?).ok_or(CanonicalError::Value)?;
        let good_machines = match reader.u8()? {
            0 => None,
            1 => Some(GoodMachines::decode(reader)?),
            _ => return Err(CanonicalError::Value),
        };
        Ok(Self {
            fips_mode,
            dev,
            public_objects,
            activation_open,
            password_rounds,
            join_policy,
            good_machines,
        })
    }

    fn to_wire(&self) -> WireSettings {
        WireSettings {
            public_objects: self.public_objects,
            activation_open: self.activation_open,
            join_policy: self.join_policy as u32,
        }
    }

    /// Returns the settings with a change.
    fn changed(&self, change: &ChangeSettings, now: Time) -> Result<Self, Error> {
        let mut next = self.clone();
        if let Some(measurements) = &change.measurements {
            next.good_machines = Some(GoodMachines::new(measurements, now)?);
        }
        if let Some(policy) = change.join_policy {
            next.join_policy = JoinPolicy::from_number(policy).ok_or(Error::SettingInvalid)?;
            // Whoever reaches the port would be let in, and get every key: for a cluster on one machine.
            if next.join_policy == JoinPolicy::Installation && !self.dev {
                return Err(Error::SettingInvalid);
            }
        }
        if next.join_policy == JoinPolicy::Attested && next.good_machines.is_none() {
            return Err(Error::SettingInvalid);
        }
        Ok(next)
    }
}

/// Answers what a client must know of the cluster's settings.
pub(crate) fn show(context: &Context<'_>) -> Outcome {
    Outcome::answer(Answer::Settings(context.state.settings().to_wire()))
}

/// Proposes to change settings: the early check is a courtesy, `apply` checks the same.
pub(crate) fn change(context: &Context<'_>, request: ChangeSettings) -> Result<Outcome, Error> {
    let now = context.state.time.max(context.now);
    context.state.settings().changed(&request, now)?;
    let change = Change::Lifecycle(LifecycleChange::Settings(request));
    Ok(context.propose(Action::ManageSettings, change))
}

/// Changes settings.
pub(super) fn apply(
    state: &mut State,
    author: Option<&Author>,
    change: &ChangeSettings,
) -> Result<Answer, Error> {
    permits(Asker::from(author.map(|author| author.role)), Action::ManageSettings)?;
    let cluster = state.cluster.as_ref().ok_or(Error::NotInitialized)?;
    let settings = cluster.settings.changed(change, state.time)?;
    let answer = Answer::Settings(settings.to_wire());
    state.cluster = Some(Arc::new(ClusterState { settings, ..ClusterState::clone(cluster) }));
    Ok(answer)
}
