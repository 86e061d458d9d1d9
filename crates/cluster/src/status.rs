//! How a cluster and its members are.

use openraft::error::{ClientWriteError, RaftError};

use crate::member::Member;
use crate::writer::WriteHealth;

/// How another member is, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its number.
    pub node: u64,
    /// Where and who it is.
    pub member: Member,
    /// Whether it votes.
    pub voter: bool,
    /// How many entries it has that this leader knows of; none if this HSM does not lead.
    pub matched: Option<u64>,
}

/// Why the membership was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Only the leader changes it.
    #[error("this HSM does not lead")]
    NotLeader,
    /// A change is under way, or the new one makes no sense.
    #[error("{0}")]
    Refused(String),
}

impl From<RaftError<u64, ClientWriteError<u64, Member>>> for MembershipError {
    fn from(error: RaftError<u64, ClientWriteError<u64, Member>>) -> Self {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Self::NotLeader,
            error => Self::Refused(error.to_string()),
        }
    }
}

/// How the cluster is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether this HSM leads.
    pub leads: bool,
    /// Who leads, if it is known.
    pub leader: Option<u64>,
    /// All members.
    pub members: Vec<MemberStatus>,
    /// Raft's term.
    pub term: u64,
    /// The index of the last entry in the log.
    pub last_index: u64,
    /// The index applied.
    pub applied: u64,
    /// Whether changes can be written.
    pub write_health: WriteHealth,
    /// How many times bytes were made durable since the start.
    pub syncs: u64,
}
