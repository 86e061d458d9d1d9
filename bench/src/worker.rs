//! The worker process: one system under test, asked for one cell of the table at a time.
//!
//! Modules are loaded into processes of their own, so that none disturbs another and CPU time is
//! told apart. The driver writes one JSON line per cell to the worker's standard input and reads
//! one back. The workers stay, so that the cells of all systems can be measured in turn, close in
//! time, and the drift of a noisy machine falls on all alike.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::limit::Limit;
use crate::load::{self, Figures, Shape, Target};
use crate::module::ModuleTarget;
use crate::operation::Operation;
use crate::process::Pids;

/// What a worker is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// AWS-LC in the worker itself.
    Limit,
    /// A PKCS#11 module.
    Module {
        /// The shared library.
        path: PathBuf,
        /// The user's PIN.
        pin: String,
        /// Keys among which the searches search.
        among: u32,
    },
}

/// One request to a worker.
#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    operation: Operation,
    shape: Shape,
    server: Vec<i32>,
}

/// One answer of a worker.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Measured(Figures),
    NotOffered,
    Failed(String),
}

/// The outcome of one cell.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// It was measured.
    Measured(Figures),
    /// The system has no such operation.
    NotOffered,
    /// It failed; the table's notes say how.
    Failed(String),
}

impl Cell {
    /// Returns the figures of a cell that must have been measured.
    ///
    /// # Errors
    /// [`Error::NotOffered`] or [`Error::Cell`].
    pub(crate) fn figures(self) -> Result<Figures, Error> {
        match self {
            Self::Measured(figures) => Ok(figures),
            Self::NotOffered => Err(Error::NotOffered),
            Self::Failed(cause) => Err(Error::Cell(cause)),
        }
    }
}

/// Serves cells from standard input until it ends. The first line is the [`Subject`].
///
/// # Errors
/// If the subject cannot be set up, or the pipes break.
pub(crate) fn serve() -> Result<(), Error> {
    let mut lines = io::stdin().lock().lines();
    let Some(first) = lines.next() else { return Ok(()) };
    let first = first.map_err(Error::io("the driver's pipe"))?;
    let mut target: Box<dyn Target> = match serde_json::from_str(&first)
        .map_err(|cause| broken(cause.to_string()))?
    {
        Subject::Limit => Box::new(Limit),
        Subject::Module { path, pin, among } => Box::new(ModuleTarget::new(&path, &pin, among)?),
    };
    for line in lines {
        let line = line.map_err(Error::io("the driver's pipe"))?;
        let ask: Ask = serde_json::from_str(&line).map_err(|cause| broken(cause.to_string()))?;
        let server = Pids(ask.server);
        let outcome = target
            .prepare(ask.operation)
            .and_then(|()| load::run(target.as_ref(), ask.operation, ask.shape, &server));
        let answer = match outcome {
            Ok(figures) => Answer::Measured(figures),
            Err(Error::NotOffered) => Answer::NotOffered,
            Err(error) => Answer::Failed(error.to_string()),
        };
        let answer = serde_json::to_string(&answer).map_err(|cause| broken(cause.to_string()))?;
        writeln!(io::stdout(), "{answer}").map_err(Error::io("the driver's pipe"))?;
    }
    Ok(())
}

fn broken(cause: String) -> Error {
    Error::Worker { system: "this process".to_owned(), cause }
}

/// The driver's side of a worker.
pub(crate) struct Worker {
    system: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker for `subject`, with `environment` added to our own.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be started.
    pub(crate) fn start(
        system: &'static str,
        subject: &Subject,
        environment: &[(&str, String)],
    ) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("the path of this program"))?;
        let mut child = Command::new(program)
            .arg("worker")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::io("cannot start a worker"))?;
        let no_pipe = || Error::Worker { system: system.to_owned(), cause: "no pipe".to_owned() };
        let input = child.stdin.take().ok_or_else(no_pipe)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(no_pipe)?);
        let mut worker = Self { system, child, input: Some(input), output };
        worker.send(subject)?;
        Ok(worker)
    }

    /// Measures one cell.
    ///
    /// # Errors
    /// [`Error::Worker`] if the worker ended or spoke out of turn.
    pub(crate) fn measure(
        &mut self,
        operation: Operation,
        shape: Shape,
        server: &Pids,
    ) -> Result<Cell, Error> {
        self.begin(operation, shape, server)?;
        self.end()
    }

    /// Starts to measure one cell, and leaves the worker to it.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub(crate) fn begin(
        &mut self,
        operation: Operation,
        shape: Shape,
        server: &Pids,
    ) -> Result<(), Error> {
        self.send(&Ask { operation, shape, server: server.0.clone() })
    }

    /// Waits for the cell that was begun.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub(crate) fn end(&mut self) -> Result<Cell, Error> {
        Ok(match self.receive()? {
            Answer::Measured(figures) => Cell::Measured(figures),
            Answer::NotOffered => Cell::NotOffered,
            Answer::Failed(cause) => Cell::Failed(cause),
        })
    }

    fn send(&mut self, ask: &impl Serialize) -> Result<(), Error> {
        let line = serde_json::to_string(ask).map_err(|cause| self.broke(cause.to_string()))?;
        let Some(input) = &mut self.input else { return Err(self.broke("it was stopped")) };
        writeln!(input, "{line}").map_err(|cause| self.broke(cause.to_string()))
    }

    fn receive(&mut self) -> Result<Answer, Error> {
        let mut line = String::new();
        let read =
            self.output.read_line(&mut line).map_err(|cause| self.broke(cause.to_string()))?;
        if read == 0 {
            return Err(self.broke("it ended; its message is above"));
        }
        serde_json::from_str(&line).map_err(|cause| self.broke(format!("{cause}: {line}")))
    }

    fn broke(&self, cause: impl Into<String>) -> Error {
        Error::Worker { system: self.system.to_owned(), cause: cause.into() }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input is the worker's sign to stop.
        drop(self.input.take());
        if let Err(cause) = self.child.wait() {
            eprintln!("the worker for {}: {cause}", self.system);
        }
    }
}
