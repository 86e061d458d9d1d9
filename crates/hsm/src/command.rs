//! Commands: what changes state, sealed whole by the module that proposes it.
//!
//! A command names cluster and incarnation (in its seal), itself, its proposer, the time, the one who
//! asked with role and epoch, and the request it answers. Disk, log, snapshots and other machines hold
//! only the sealed form, so nobody outside can read, forge or edit one; `apply` opens it and decides
//! again ([`crate::apply`]).

use casemate_protocol::Role;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{CommandId, Epoch, HsmId, LogInId, UserId};

use crate::entropy::Time;
use crate::lifecycle::LifecycleChange;
use crate::members::MemberChange;
use crate::objects::ObjectCommand;
use crate::sealing::{Keyring, Purpose, SealError};
use crate::users::UserChange;
use crate::window::{self, RequestId};

const DOMAIN: &str = "casemate/command/v2";

/// On whose behalf a command changes state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) user: UserId,
    pub(crate) role: Role,
    pub(crate) epoch: Epoch,
    pub(crate) log_in: LogInId,
}

/// The request that a command answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    /// SHA-256 over the bytes received.
    pub(crate) digest: [u8; 32],
}

/// One command.
pub(crate) struct Command {
    pub(crate) id: CommandId,
    pub(crate) proposer: HsmId,
    pub(crate) time: Time,
    pub(crate) author: Option<Author>,
    pub(crate) request: Option<Request>,
    pub(crate) change: Change,
}

/// What a command changes.
pub(crate) enum Change {
    /// The cluster's own life.
    Lifecycle(LifecycleChange),
    /// Users.
    User(UserChange),
    /// A log-in ends for good.
    LogOut {
        /// Which.
        log_in: LogInId,
        /// When its last ticket ends by itself: until then the revocation is kept.
        until: Time,
    },
    /// Objects.
    Objects(ObjectCommand),
    /// The HSMs of the cluster.
    Member(MemberChange),
}

impl Command {
    /// Seals the command for the log.
    pub(crate) fn seal(&self, keyring: &Keyring) -> Vec<u8> {
        let mut writer = Writer::new(DOMAIN);
        writer.fixed(self.proposer.as_bytes()).u64(self.time.0);
        match &self.author {
            None => writer.u8(0),
            Some(author) => writer
                .u8(1)
                .fixed(author.user.as_bytes())
                .u32(author.role.number())
                .u64(author.epoch.0)
                .fixed(author.log_in.as_bytes()),
        };
        match &self.request {
            None => {
                writer.u8(0);
            }
            Some(request) => {
                writer.u8(1);
                window::encode_id(&request.id, &mut writer);
                writer.fixed(&request.digest);
            }
        }
        self.change.encode(&mut writer);
        let plaintext = zeroize::Zeroizing::new(writer.finish());
        keyring.seal(Purpose::Log, self.id.as_bytes(), &plaintext)
    }

    /// Opens a sealed command.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn open(keyring: &Keyring, entry: &[u8]) -> Result<Self, SealError> {
        let opened = keyring.open(Purpose::Log, entry)?;
        let id = CommandId::try_from(opened.fields.as_slice()).map_err(|_error| SealError::Form)?;
        Ok(Self::read(id, opened.plaintext.expose())?)
    }

    fn read(id: CommandId, plaintext: &[u8]) -> Result<Self, CanonicalError> {
        let mut reader = Reader::new(plaintext, DOMAIN)?;
        let proposer = HsmId::from_bytes(reader.fixed()?);
        let time = Time(reader.u64()?);
        let author = match reader.u8()? {
            0 => None,
            1 => Some(Author {
                user: UserId::from_bytes(reader.fixed()?),
                role: Role::from_number(reader.u32()?).ok_or(CanonicalError::Value)?,
                epoch: Epoch(reader.u64()?),
                log_in: LogInId::from_bytes(reader.fixed()?),
            }),
            _ => return Err(CanonicalError::Value),
        };
        let request = match reader.u8()? {
            0 => None,
            1 => {
                let id = window::decode_id(&mut reader)?;
                Some(Request { id, digest: reader.fixed()? })
            }
            _ => return Err(CanonicalError::Value),
        };
        let change = Change::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { id, proposer, time, author, request, change })
    }
}

impl Change {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Lifecycle(change) => {
                writer.u8(1);
                change.encode(writer);
            }
            Self::User(change) => {
                writer.u8(2);
                change.encode(writer);
            }
            Self::LogOut { log_in, until } => {
                writer.u8(3).fixed(log_in.as_bytes()).u64(until.0);
            }
            Self::Objects(command) => {
                writer.u8(4);
                command.encode(writer);
            }
            Self::Member(change) => {
                writer.u8(5);
                change.encode(writer);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        match reader.u8()? {
            1 => LifecycleChange::decode(reader).map(Self::Lifecycle),
            2 => UserChange::decode(reader).map(Self::User),
            3 => {
                let log_in = LogInId::from_bytes(reader.fixed()?);
                Ok(Self::LogOut { log_in, until: Time(reader.u64()?) })
            }
            4 => ObjectCommand::decode(reader).map(Self::Objects),
            5 => MemberChange::decode(reader).map(Self::Member),
            _ => Err(CanonicalError::Value),
        }
    }
}
