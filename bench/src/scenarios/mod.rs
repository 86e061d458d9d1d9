//! What one cell of the table cannot show: start-up, many keys, many connections, mixed load.
//!
//! Each scenario starts a cluster of its own, prints nothing, and answers with rows of the goals.

mod beside;
mod connections;
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
    /// Milliseconds of each measured load.
    pub(crate) milliseconds: u64,
}

impl Size {
    /// The size that the goals speak of.
    pub(crate) const FULL: Self = Self { keys: 100_000, connections: 5_000, milliseconds: 3_000 };
    /// Small, to show that they work.
    pub(crate) const QUICK: Self = Self { keys: 200, connections: 20, milliseconds: 100 };
}

/// One scenario: starts what it needs, answers with rows of the goals.
type Scenario = fn(Size) -> Result<Vec<Goal>, Error>;

/// Runs all of them.
///
/// # Errors
/// The first that could not run.
pub(crate) fn run(size: Size) -> Result<Vec<Goal>, Error> {
    let scenarios: [(&str, Scenario); 4] = [
        ("from nothing to the first signature", start_up::run),
        ("small operations beside RSA-4096", beside::run),
        ("many connections", connections::run),
        ("many keys", many_keys::run),
    ];
    let mut goals = Vec::new();
    for (name, scenario) in scenarios {
        eprintln!("scenario: {name}");
        goals.extend(scenario(size)?);
    }
    Ok(goals)
}
