//! Where the programs of the build are.

use std::path::PathBuf;

/// Which build of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// What a customer gets.
    Plain,
    /// With the feature `testing`: named points at which the daemon kills itself, planted bugs, probes.
    Testing,
}

/// Returns the path of a program of the build.
#[must_use]
pub fn program(build: Build, name: &str) -> PathBuf {
    let given = std::env::var_os("CASEMATE_BIN").map(PathBuf::from);
    // A test lies in `target/debug/deps`.
    let beside = std::env::current_exe().ok();
    let beside = beside.and_then(|path| Some(path.parent()?.parent()?.to_owned()));
    let directory = given.or(beside).unwrap_or_default();
    match build {
        Build::Plain => directory.join(name),
        Build::Testing => directory.join("testing").join(name),
    }
}
