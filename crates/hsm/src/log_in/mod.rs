//! Log-ins: who is logged in on a connection, by password or by ticket.
//!
//! A log-in lasts from a password to a log-out or the end of its last ticket, over any number of
//! connections and restarts of the module. It is void as soon as the user's epoch grows (password,
//! role, lock, deletion) or the log-in is revoked.

use casemate_crypto::Secret;
use casemate_protocol::Error;
use casemate_protocol::Role;
use casemate_protocol::canonical::Writer;
use casemate_protocol::identity::{ClientInstance, Epoch, LogInId, UserId};

use crate::entropy::Time;
use crate::state::State;

pub(crate) mod attempts;
pub(crate) mod password;
pub(crate) mod ticket;

/// Somebody who is logged in.
pub struct LogIn {
    pub(crate) id: LogInId,
    pub(crate) user: UserId,
    pub(crate) role: Role,
    pub(crate) epoch: Epoch,
    pub(crate) client: ClientInstance,
    /// SHA-256 of the client certificate that was used, if one was.
    pub(crate) certificate: Option<[u8; 32]>,
    /// The secret that the ticket's holder proves.
    pub(crate) secret: Secret,
    /// When the newest ticket ends.
    pub(crate) expires: Time,
}

impl LogIn {
    /// Returns what binds session keys to this log-in: its id and its secret.
    pub(crate) fn binding(&self) -> Vec<u8> {
        Writer::new("casemate/log-in/v1")
            .fixed(self.id.as_bytes())
            .bytes(self.secret.expose())
            .finish()
    }

    /// Returns the role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Checks that the log-in still holds in `state`.
    ///
    /// # Errors
    /// [`Error::TicketInvalid`] if it ended, was revoked, or its user changed.
    pub(crate) fn check(&self, state: &State, now: Time) -> Result<(), Error> {
        let user = state.users.get(self.user).ok_or(Error::TicketInvalid)?;
        let holds = user.epoch == self.epoch
            && user.role == self.role
            && now < self.expires.after_ms(crate::limits::CLOCK_TOLERANCE_MS)
            && !state.is_revoked(self.id);
        if holds { Ok(()) } else { Err(Error::TicketInvalid) }
    }
}
