//! Why a call failed: each error names its own cause.

use casemate_protocol::Error;

use crate::config::ConfigError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HSM refused: the request reached it, and will fail again.
    #[error("{0}")]
    Refused(Error),
    /// The deadline passed; the cause is that of the last attempt.
    #[error("no answer within {deadline_ms} ms: {cause}")]
    DeadlineExceeded {
        /// The deadline.
        deadline_ms: u64,
        /// Why the last attempt failed.
        cause: String,
    },
    /// The other side is not the cluster that is meant: waiting would not help.
    #[error("{address} is not to be trusted: {cause}")]
    Untrusted {
        /// Whom it was taken for.
        address: String,
        /// What differs.
        cause: String,
    },
    /// The HSM answered something else than was asked.
    #[error("the HSM answered something else than was asked: it may be of another version")]
    Unexpected,
}

impl ClientError {
    /// Returns the HSM's refusal, if it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<Error> {
        match self {
            Self::Refused(error) => Some(*error),
            Self::Config(_)
            | Self::DeadlineExceeded { .. }
            | Self::Untrusted { .. }
            | Self::Unexpected => None,
        }
    }
}

/// Why one attempt failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    /// The connection cannot be made, or broke.
    #[error("{address} cannot be reached: {cause}")]
    Unreachable { address: String, cause: String },
    /// The other side is not the cluster that is meant.
    #[error("{cause}")]
    Untrusted { address: String, cause: String },
    /// The HSM refused.
    #[error("{0}")]
    Refused(Error),
    /// No reply came in time.
    #[error("{address} does not answer")]
    Late { address: String },
}
