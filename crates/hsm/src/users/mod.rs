//! Users: names, roles, verifiers and epochs, replicated like keys.

use std::sync::Arc;

use casemate_crypto::Secret;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{Epoch, UserId, UserName};
use casemate_protocol::messages::{
    Answer, CreateUser, NamedUser, User as WireUser, Users as WireUsers,
};
use casemate_protocol::{Error, Role};
use immutable_chunkmap::map::MapM;

use crate::command::Change;
use crate::entropy::draw;
use crate::log_in::password::{self, Verifier};
use crate::outcome::Outcome;
use crate::permissions::{Action, Asker, permits};
use crate::reader::Context;

mod apply;

pub(crate) use apply::UserChange;

/// One user.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: UserName,
    pub(crate) role: Role,
    pub(crate) epoch: Epoch,
    pub(crate) verifier: Verifier,
    pub(crate) locked: bool,
}

impl User {
    fn to_wire(&self) -> WireUser {
        WireUser { user: self.name.to_string(), role: self.role.number(), locked: self.locked }
    }

    fn encode(&self, writer: &mut Writer) {
        writer
            .fixed(self.id.as_bytes())
            .bytes(self.name.as_str().as_bytes())
            .u32(self.role.number())
            .u64(self.epoch.0)
            .u8(u8::from(self.locked));
        encode_verifier(&self.verifier, writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        Ok(Self {
            id: UserId::from_bytes(reader.fixed()?),
            name: read_name(reader)?,
            role: read_role(reader)?,
            epoch: Epoch(reader.u64()?),
            locked: reader.u8()? == 1,
            verifier: decode_verifier(reader)?,
        })
    }
}

pub(crate) fn encode_verifier(verifier: &Verifier, writer: &mut Writer) {
    writer.u32(verifier.rounds).fixed(&verifier.salt).fixed(&verifier.hash);
}

pub(crate) fn decode_verifier(reader: &mut Reader<'_>) -> Result<Verifier, CanonicalError> {
    Ok(Verifier { rounds: reader.u32()?, salt: reader.fixed()?, hash: reader.fixed()? })
}

fn read_name(reader: &mut Reader<'_>) -> Result<UserName, CanonicalError> {
    let name = str::from_utf8(reader.bytes()?).map_err(|_error| CanonicalError::Value)?;
    UserName::new(name).map_err(|_error| CanonicalError::Value)
}

fn read_role(reader: &mut Reader<'_>) -> Result<Role, CanonicalError> {
    Role::from_number(reader.u32()?).ok_or(CanonicalError::Value)
}

/// All users. Cloning costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Users {
    by_id: MapM<UserId, Arc<User>>,
    by_name: MapM<(UserName, Role), UserId>,
}

impl Users {
    /// Returns a user.
    pub(crate) fn get(&self, id: UserId) -> Option<&Arc<User>> {
        self.by_id.get(&id)
    }

    /// Returns the user of that name and role.
    pub(crate) fn named(&self, name: &UserName, role: Role) -> Option<&Arc<User>> {
        self.by_id.get(self.by_name.get(&(name.clone(), role))?)
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn put(&mut self, user: User) {
        self.by_name.insert_cow((user.name.clone(), user.role), user.id);
        self.by_id.insert_cow(user.id, Arc::new(user));
    }

    pub(crate) fn remove(&mut self, user: &User) {
        self.by_name.remove_cow(&(user.name.clone(), user.role));
        self.by_id.remove_cow(&user.id);
    }

    pub(crate) fn count(&self, role: Role) -> usize {
        self.by_id.into_iter().filter(|(_, user)| user.role == role).count()
    }

    /// Writes all users for a snapshot.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u64(u64::try_from(self.len()).unwrap_or(u64::MAX));
        for (_, user) in &self.by_id {
            user.encode(writer);
        }
    }

    /// Reads the users of a snapshot.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let mut users = Self::default();
        for _ in 0..reader.u64()? {
            users.put(User::decode(reader)?);
        }
        Ok(users)
    }
}

/// Answers a request to list users: by name.
pub(crate) fn list(context: &Context<'_>) -> Outcome {
    let users = &context.state.users;
    let listed = users.by_name.into_iter().filter_map(|(_, id)| users.get(*id));
    Outcome::answer(Answer::Users(WireUsers { users: listed.map(|user| user.to_wire()).collect() }))
}

/// Whether admins make and delete users of this role.
const fn is_managed(role: Role) -> bool {
    match role {
        Role::Admin | Role::CryptoUser => true,
        Role::UnactivatedAdmin | Role::ApplianceUser => false,
    }
}

fn managed_role(number: u32) -> Result<Role, Error> {
    Role::from_number(number).filter(|role| is_managed(*role)).ok_or(Error::RoleRefused)
}

/// Answers a request to create a user.
pub(crate) fn create(context: &Context<'_>, request: &CreateUser) -> Result<Outcome, Error> {
    let name = UserName::new(&request.user)?;
    let role = managed_role(request.role)?;
    let secret = password::check_form(&request.password)?;
    if context.state.users.named(&name, role).is_some() {
        return Err(Error::UserExists);
    }
    let id = UserId::from_bytes(draw(context.reader.entropy()));
    Ok(with_verifier(context, secret, Action::ManageUsers, move |verifier| UserChange::Create {
        id,
        name,
        role,
        verifier,
    }))
}

/// Answers a request to change a password: one's own, or by an admin another's, which also unlocks it.
pub(crate) fn change_password(
    context: &Context<'_>,
    request: &CreateUser,
) -> Result<Outcome, Error> {
    let log_in = context.log_in.ok_or(Error::LogInRequired)?;
    let name = UserName::new(&request.user)?;
    let role = Role::from_number(request.role).ok_or(Error::UserNotFound)?;
    let secret = password::check_form(&request.password)?;
    let user = context.state.users.named(&name, role).map(|user| user.id);
    let own = user == Some(log_in.user);
    let action = if own { Action::ChangeOwnPassword } else { Action::ManageUsers };
    permits(Asker::from(Some(log_in.role)), action)?;
    let user = user.ok_or(Error::UserNotFound)?;
    Ok(with_verifier(context, secret, action, move |verifier| UserChange::Password {
        user,
        verifier,
    }))
}

/// Answers a request to delete a user.
pub(crate) fn delete(context: &Context<'_>, request: &NamedUser) -> Result<Outcome, Error> {
    let name = UserName::new(&request.user)?;
    let role = managed_role(request.role)?;
    let user = context.state.users.named(&name, role).ok_or(Error::UserNotFound)?.id;
    Ok(context.propose(Action::ManageUsers, Change::User(UserChange::Delete { user })))
}

fn with_verifier(
    context: &Context<'_>,
    secret: Secret,
    action: Action,
    change: impl FnOnce(Verifier) -> UserChange + Send + 'static,
) -> Outcome {
    let author = context.author();
    let rounds = context.state.settings().password_rounds;
    let salt = draw(context.reader.entropy());
    Outcome::stretch(move || {
        Verifier::new(&secret, salt, rounds)
            .map(|verifier| author.propose(action, Change::User(change(verifier))))
            .into()
    })
}
