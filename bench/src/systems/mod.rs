//! The systems under test: how each is started, and stopped when it is dropped.

pub(crate) mod casemate;
mod p11kit;
mod softhsm;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::load::Shape;
use crate::module::FIND_AMONG;
use crate::operation::Operation;
use crate::process::Pids;
use crate::worker::{Cell, Subject, Worker};

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Name {
    /// AWS-LC in process.
    Limit,
    /// Casemate over TLS.
    Casemate,
    /// SoftHSM2 in process.
    Softhsm,
    /// SoftHSM2 behind p11-kit's remoting.
    P11kit,
}

impl Name {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 4] = [Self::Limit, Self::Casemate, Self::Softhsm, Self::P11kit];

    /// Returns the name that people read.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Limit => "AWS-LC in process",
            Self::Casemate => "Casemate over TLS",
            Self::Softhsm => "SoftHSM2 in process",
            Self::P11kit => "SoftHSM2 behind p11-kit",
        }
    }
}

/// A system that runs, with its worker. Dropped in the order of the fields: first the client.
pub(crate) struct System {
    /// Which one.
    pub(crate) name: Name,
    worker: Worker,
    server: Pids,
    _parts: Vec<Box<dyn Part>>,
}

/// Something that a system needs while it runs, and that cleans up when dropped.
pub(crate) trait Part {}

impl Part for tempfile::TempDir {}

impl System {
    /// Starts it.
    ///
    /// # Errors
    /// What is missing on this machine, or went wrong.
    pub(crate) fn start(name: Name) -> Result<Self, Error> {
        match name {
            Name::Limit => {
                let worker = Worker::start(name.text(), &Subject::Limit, &[])?;
                Ok(Self { name, worker, server: Pids::default(), _parts: Vec::new() })
            }
            Name::Softhsm => softhsm::start(),
            Name::P11kit => p11kit::start(),
            Name::Casemate => casemate::start(),
        }
    }

    /// Measures one cell.
    ///
    /// # Errors
    /// If the worker broke off; that an operation failed is a [`Cell`].
    pub(crate) fn measure(&mut self, operation: Operation, shape: Shape) -> Result<Cell, Error> {
        self.worker.measure(operation, shape, &self.server)
    }
}

/// A module as a subject, with the number of keys of the table's searches.
fn subject(path: PathBuf, pin: &str) -> Subject {
    Subject::Module { path, pin: pin.to_owned(), among: FIND_AMONG }
}

/// Returns the first of `candidates` that exists.
fn first_existing(program: &str, candidates: &[&str]) -> Result<PathBuf, Error> {
    let found = candidates.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_path_buf).ok_or_else(|| Error::Program {
        program: program.to_owned(),
        cause: format!("not found, looked for {}", candidates.join(", ")),
    })
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// [`Error::Program`] with its error output if it failed.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |cause: String| Error::Program { program: program.clone(), cause };
    let output = command.output().map_err(|cause| failed(cause.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(format!("{}: {said}", output.status)))
}

/// A directory that goes away with its owner.
pub(crate) fn scratch() -> Result<tempfile::TempDir, Error> {
    let made = tempfile::Builder::new().prefix("casemate-bench-").tempdir();
    made.map_err(Error::io("cannot make a scratch directory"))
}
