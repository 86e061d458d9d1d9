//! Why a command failed: what, cause, and a hint that says what to do.

use casemate_client::{ClientError, ConfigError};
use casemate_protocol::Error;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{path}: {cause}")]
    File { path: String, cause: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Failed(String),
    /// The arguments contradict each other, or have no meaning.
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    /// Whether the arguments are at fault.
    pub(crate) const fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    /// What the person may do, where there is something.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Client(ClientError::Refused(Error::LogInRequired)) => Some(
                "set CASEMATE_ROLE and CASEMATE_PIN=user:password, or give --username, --role and --password to `login`",
            ),
            Self::Client(ClientError::DeadlineExceeded { .. }) => Some(
                "`casemate dev status` shows which local HSMs run; `casemate dev start 1` starts one",
            ),
            Self::Config(ConfigError::NotFound { .. }) => {
                Some("`casemate dev up` makes a local cluster and its configuration")
            }
            _ => None,
        }
    }
}

/// Reads a file, and names it in the error.
pub(crate) fn read(path: &std::path::Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|cause| CliError::File { path: path.display().to_string(), cause })
}

/// Writes a file, and names it in the error.
pub(crate) fn write(path: &std::path::Path, bytes: &[u8]) -> Result<(), CliError> {
    std::fs::write(path, bytes)
        .map_err(|cause| CliError::File { path: path.display().to_string(), cause })
}
