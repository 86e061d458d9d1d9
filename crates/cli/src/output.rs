//! The only place that prints: for people, or as JSON for programs.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is the job of this file")]

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::error::CliError;

/// How to print.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the result: `text` for people, `data` for programs.
    pub(crate) fn result(&self, text: &str, data: Value) {
        if self.json {
            println!("{}", json!({ "error_code": 0, "data": data }));
        } else {
            println!("{text}");
        }
    }

    /// Says what is going on, where a person waits.
    pub(crate) fn progress(&self, text: &str) {
        if !self.json && std::io::stderr().is_terminal() {
            eprintln!("{text} …");
        }
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        std::io::stdout().write_all(bytes)?;
        Ok(())
    }

    /// Prints an error, and returns the exit code for it.
    pub(crate) fn error(&self, error: &CliError) -> ExitCode {
        if self.json {
            println!("{}", json!({ "error_code": 1, "data": error.to_string() }));
        }
        eprintln!("casemate: {error}");
        if let Some(hint) = error.hint() {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(if error.is_usage() { 2 } else { 1 })
    }
}
