//! What one cell of the table cannot show: start-up, many keys, many connections, mixed load.
//!
//! Each scenario starts a cluster of its own, prints nothing, and answers with rows of the goals.

mod beside;
mod connections;
mod log_in;
mod lone;
mod many_keys;
mod start_up;

use crate::error::Error;
use crate::goals::Goal;

/// How large the scenarios are.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Token keys of the scenario with many keys.
    pub(crate) keys: u32,
    /// Connections of the scenario with many connections.
    pub(crate) connections: usize,
    /// Log-ins by ticket.
    pub(crate) log_ins: usize,
    /// Milliseconds of each measured load.
    pub(crate) milliseconds: u64,
}

impl Size {
    /// The size that the goals speak of.
    pub(crate) const FULL: Self =
        Self { keys: 100_000, connections: 5_000, log_ins: 500, milliseconds: 3_000 };
    /// Small, to show that they work.
    pub(crate) const QUICK: Self =
        Self { keys: 200, connections: 20, log_ins: 5, milliseconds: 100 };
}

/// Which scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// From nothing to the first signature.
    StartUp,
    /// The empty call of one thread, with polling and without.
    Lone,
    /// Small operations beside RSA-4096.
    Beside,
    /// Log-in by ticket.
    LogIn,
    /// Many connections at once.
    Connections,
    /// Many keys: memory, searches, start.
    ManyKeys,
}

impl Scenario {
    /// All, in the order of the goals.
    pub(crate) const ALL: [Self; 6] =
        [Self::StartUp, Self::Lone, Self::Beside, Self::LogIn, Self::Connections, Self::ManyKeys];

    /// Runs it: starts what it needs, answers with rows of the goals.
    ///
    /// # Errors
    /// If it could not run.
    pub(crate) fn run(self, size: Size) -> Result<Vec<Goal>, Error> {
        match self {
            Self::StartUp => start_up::run(size),
            Self::Lone => lone::run(size),
            Self::Beside => beside::run(size),
            Self::LogIn => log_in::run(size),
            Self::Connections => connections::run(size),
            Self::ManyKeys => many_keys::run(size),
        }
    }
}
