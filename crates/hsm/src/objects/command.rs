//! Changes of objects, as commands: encoded, and decided again on the state at their index.
//!
//! Here "again" means: is the author a crypto user (or an admin who trusts a key), is the object his, is it still the
//! generation that he saw, and does each difference follow its row. Key material stays sealed all the way.

use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{Generation, LogInId, ObjectId, ObjectNumber};
use casemate_protocol::messages::{Answer, Empty, MadeObject, MadePair, ObjectReference};
use casemate_protocol::{AttributeType, Error, Role};

use super::object::Object;
use super::rules::{Who, check_transition};
use crate::command::Author;
use crate::limits;
use crate::permissions::{Action, Asker, permits};
use crate::state::State;

/// The bytes of an object, sealed or (without secrets) plain.
pub(crate) struct Sealed {
    pub(crate) sealed: bool,
    pub(crate) bytes: Vec<u8>,
}

/// A change of objects.
pub(crate) enum ObjectCommand {
    /// One new token object.
    Create(Sealed),
    /// Two new token objects: public and private key.
    CreatePair(Sealed, Sealed),
    /// A token object with other attributes, one generation later.
    Replace { number: ObjectNumber, object: Sealed },
    /// A token object goes.
    Destroy { number: ObjectNumber },
    /// A session object lost rights, or was destroyed: older generations are void.
    SessionFloor { log_in: LogInId, object: ObjectId, floor: Generation },
    /// The author's log-in goes on by a new ticket: what is kept of its session objects stays.
    KeepSessionFloors,
}

fn encode_sealed(object: &Sealed, writer: &mut Writer) {
    writer.u8(u8::from(object.sealed)).bytes(&object.bytes);
}

fn decode_sealed(reader: &mut Reader<'_>) -> Result<Sealed, CanonicalError> {
    let sealed = reader.u8()? == 1;
    Ok(Sealed { sealed, bytes: reader.bytes()?.to_vec() })
}

impl ObjectCommand {
    /// Writes it into a command.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Create(object) => {
                writer.u8(1);
                encode_sealed(object, writer);
            }
            Self::CreatePair(public, private) => {
                writer.u8(2);
                encode_sealed(public, writer);
                encode_sealed(private, writer);
            }
            Self::Replace { number, object } => {
                writer.u8(3).u64(number.0);
                encode_sealed(object, writer);
            }
            Self::Destroy { number } => {
                writer.u8(4).u64(number.0);
            }
            Self::SessionFloor { log_in, object, floor } => {
                writer.u8(5).fixed(log_in.as_bytes()).fixed(object.as_bytes()).u64(floor.0);
            }
            Self::KeepSessionFloors => {
                writer.u8(6);
            }
        }
    }

    /// Reads it from a command.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        match reader.u8()? {
            1 => Ok(Self::Create(decode_sealed(reader)?)),
            2 => {
                let public = decode_sealed(reader)?;
                Ok(Self::CreatePair(public, decode_sealed(reader)?))
            }
            3 => {
                let number = ObjectNumber(reader.u64()?);
                Ok(Self::Replace { number, object: decode_sealed(reader)? })
            }
            4 => Ok(Self::Destroy { number: ObjectNumber(reader.u64()?) }),
            5 => Ok(Self::SessionFloor {
                log_in: LogInId::from_bytes(reader.fixed()?),
                object: ObjectId::from_bytes(reader.fixed()?),
                floor: Generation(reader.u64()?),
            }),
            6 => Ok(Self::KeepSessionFloors),
            _ => Err(CanonicalError::Value),
        }
    }

    /// Decides again, and changes the state.
    ///
    /// # Errors
    /// Why not; the state is then as before.
    pub(crate) fn apply(self, state: &mut State, author: &Author) -> Result<Answer, Error> {
        match self {
            Self::Create(object) => {
                check_room(state, 1)?;
                let object = new_object(author, object)?;
                Ok(Answer::Made(made(insert(state, object))))
            }
            Self::CreatePair(public, private) => {
                check_room(state, 2)?;
                let (public, private) = (new_object(author, public)?, new_object(author, private)?);
                let public = Some(made(insert(state, public)));
                let private = Some(made(insert(state, private)));
                Ok(Answer::PairMade(MadePair { public, private }))
            }
            Self::Replace { number, object } => replace(state, author, number, object),
            Self::Destroy { number } => destroy(state, author, number),
            Self::SessionFloor { log_in, object, floor } => {
                permits(Asker::from(Some(author.role)), Action::ManageObjects)?;
                if log_in != author.log_in {
                    return Err(Error::RoleRefused);
                }
                let until = state.time.after_ms(limits::REVOCATION_MS);
                state.objects.session_floors.raise((log_in, object), floor, until);
                Ok(Answer::Done(Empty {}))
            }
            Self::KeepSessionFloors => {
                permits(Asker::from(Some(author.role)), Action::ManageObjects)?;
                let until = state.time.after_ms(limits::REVOCATION_MS);
                state.objects.session_floors.keep_until(author.log_in, until);
                Ok(Answer::Done(Empty {}))
            }
        }
    }
}

fn check_room(state: &State, more: usize) -> Result<(), Error> {
    let full = state.objects.len().saturating_add(more) > limits::OBJECTS_MAX;
    if full { Err(Error::ObjectLimit) } else { Ok(()) }
}

/// Reads an object that a command brings, as one that does not have a number yet.
fn read(object: Sealed, number: ObjectNumber) -> Result<Object, Error> {
    Object::new(number, object.sealed, object.bytes)
        .map_err(|_error: CanonicalError| Error::Internal)
}

fn new_object(author: &Author, object: Sealed) -> Result<Sealed, Error> {
    permits(Asker::from(Some(author.role)), Action::ManageObjects)?;
    let read_once =
        read(Sealed { sealed: object.sealed, bytes: object.bytes.clone() }, ObjectNumber(0))?;
    let legal = read_once.owner() == author.user
        && read_once.has(AttributeType::Token)
        && !read_once.has(AttributeType::Trusted)
        && read_once.header().generation == Generation(1);
    if legal { Ok(object) } else { Err(Error::RoleRefused) }
}

fn insert(state: &mut State, object: Sealed) -> ObjectNumber {
    let number = state.objects.next_number();
    if let Ok(object) = read(object, number) {
        state.objects.insert(object);
    }
    number
}

fn made(number: ObjectNumber) -> MadeObject {
    let object = ObjectReference { number: number.0, session: bytes::Bytes::new() };
    MadeObject { object: Some(object), attributes: None }
}

fn replace(
    state: &mut State,
    author: &Author,
    number: ObjectNumber,
    object: Sealed,
) -> Result<Answer, Error> {
    let old = state.objects.get(number).ok_or(Error::ObjectNotFound)?;
    let who = match author.role {
        Role::Admin => {
            permits(Asker::from(Some(author.role)), Action::TrustKeys)?;
            Who::Admin
        }
        Role::UnactivatedAdmin | Role::CryptoUser | Role::ApplianceUser => {
            permits(Asker::from(Some(author.role)), Action::ManageObjects)?;
            if old.owner() != author.user {
                return Err(if old.is_for(author.user) {
                    Error::NotOwner
                } else {
                    Error::ObjectNotFound
                });
            }
            Who::Owner
        }
    };
    let (before, new) = (old.header(), read(object, number)?);
    let after = new.header();
    let follows = after.id == before.id
        && after.owner == before.owner
        && after.shared_with == before.shared_with
        && after.generation.0 == before.generation.0.saturating_add(1)
        && new.is_sealed() == old.is_sealed();
    if !follows {
        // Somebody else changed it in between: the caller sees the new one when he asks again.
        return Err(Error::Busy(0));
    }
    check_transition(&before, &after, who)?;
    state.objects.insert(new);
    Ok(Answer::Done(Empty {}))
}

fn destroy(state: &mut State, author: &Author, number: ObjectNumber) -> Result<Answer, Error> {
    permits(Asker::from(Some(author.role)), Action::ManageObjects)?;
    let object = state.objects.get(number).ok_or(Error::ObjectNotFound)?;
    if object.owner() != author.user {
        return Err(if object.is_for(author.user) {
            Error::NotOwner
        } else {
            Error::ObjectNotFound
        });
    }
    if !object.has(AttributeType::Destroyable) {
        return Err(Error::ActionProhibited);
    }
    state.objects.remove(number);
    Ok(Answer::Done(Empty {}))
}
