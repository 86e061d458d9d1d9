//! Changes of users, as commands: encoded, and decided again on the state at their index.

use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{Epoch, UserId, UserName};
use casemate_protocol::messages::Answer;
use casemate_protocol::{Error, Role, limits as wire};

use super::{User, decode_verifier, encode_verifier, is_managed, read_name, read_role};
use crate::command::Author;
use crate::log_in::password::Verifier;
use crate::permissions::{Action, Asker, permits};
use crate::state::State;

/// A change of a user.
pub(crate) enum UserChange {
    /// A new user.
    Create { id: UserId, name: UserName, role: Role, verifier: Verifier },
    /// A new password, which also unlocks.
    Password { user: UserId, verifier: Verifier },
    /// A user goes, who owns no keys.
    Delete { user: UserId },
    /// A user is locked after wrong passwords, unless it changed since (a copy of an old command would lock it again). Its live tickets go
    /// on: who guesses must not end the work of others.
    Lock { user: UserId, epoch: Epoch },
}

impl UserChange {
    /// Writes it into a command.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Create { id, name, role, verifier } => {
                writer
                    .u8(1)
                    .fixed(id.as_bytes())
                    .bytes(name.as_str().as_bytes())
                    .u32(role.number());
                encode_verifier(verifier, writer);
            }
            Self::Password { user, verifier } => {
                writer.u8(2).fixed(user.as_bytes());
                encode_verifier(verifier, writer);
            }
            Self::Delete { user } => {
                writer.u8(3).fixed(user.as_bytes());
            }
            Self::Lock { user, epoch } => {
                writer.u8(4).fixed(user.as_bytes()).u64(epoch.0);
            }
        }
    }

    /// Reads it from a command.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let kind = reader.u8()?;
        let user = UserId::from_bytes(reader.fixed()?);
        match kind {
            1 => Ok(Self::Create {
                id: user,
                name: read_name(reader)?,
                role: read_role(reader)?,
                verifier: decode_verifier(reader)?,
            }),
            2 => Ok(Self::Password { user, verifier: decode_verifier(reader)? }),
            3 => Ok(Self::Delete { user }),
            4 => Ok(Self::Lock { user, epoch: Epoch(reader.u64()?) }),
            _ => Err(CanonicalError::Value),
        }
    }

    /// Decides again, and changes the state.
    ///
    /// # Errors
    /// Why not; the state is then as before.
    pub(crate) fn apply(self, state: &mut State, author: Option<&Author>) -> Result<Answer, Error> {
        let asker = Asker::from(author.map(|author| author.role));
        match self {
            Self::Create { id, name, role, verifier } => {
                permits(asker, Action::ManageUsers)?;
                if !is_managed(role) {
                    return Err(Error::RoleRefused);
                }
                create(state, User { id, name, role, epoch: Epoch(1), verifier, locked: false })
            }
            Self::Password { user, verifier } => {
                let own = author.is_some_and(|author| author.user == user);
                let action = if own { Action::ChangeOwnPassword } else { Action::ManageUsers };
                permits(asker, action)?;
                change(state, user, |user| {
                    user.verifier = verifier;
                    user.locked = false;
                })
            }
            Self::Delete { user } => {
                permits(asker, Action::ManageUsers)?;
                delete(state, user)
            }
            // The module locks, nobody else: a command with an author does not.
            Self::Lock { user, epoch } if author.is_none() => {
                if state.users.get(user).is_some_and(|user| user.epoch != epoch) {
                    return Err(Error::Busy(0));
                }
                let mut user = User::clone(state.users.get(user).ok_or(Error::UserNotFound)?);
                user.locked = true;
                let answer = Answer::User(user.to_wire());
                state.users.put(user);
                Ok(answer)
            }
            Self::Lock { .. } => Err(Error::RoleRefused),
        }
    }
}

fn create(state: &mut State, user: User) -> Result<Answer, Error> {
    if state.users.named(&user.name, user.role).is_some() || state.users.get(user.id).is_some() {
        return Err(Error::UserExists);
    }
    if state.users.len() >= wire::USERS_MAX {
        return Err(Error::UserLimit);
    }
    let answer = Answer::User(user.to_wire());
    state.users.put(user);
    Ok(answer)
}

fn change(state: &mut State, id: UserId, change: impl FnOnce(&mut User)) -> Result<Answer, Error> {
    let mut user = User::clone(state.users.get(id).ok_or(Error::UserNotFound)?);
    change(&mut user);
    user.epoch = Epoch(user.epoch.0.saturating_add(1));
    let answer = Answer::User(user.to_wire());
    state.users.put(user);
    Ok(answer)
}

fn delete(state: &mut State, id: UserId) -> Result<Answer, Error> {
    let user = User::clone(state.users.get(id).ok_or(Error::UserNotFound)?);
    if user.role == Role::Admin && state.users.count(Role::Admin) == 1 {
        return Err(Error::LastAdmin);
    }
    if state.objects.owned_by(id) {
        return Err(Error::UserOwnsKeys);
    }
    state.users.remove(&user);
    Ok(Answer::User(user.to_wire()))
}
