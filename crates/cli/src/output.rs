//! The only place that prints: for people, or as JSON for programs.
#![expect(clippy::print_stderr, reason = "printing is the job of this file")]

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::CliError;

/// How long nobody wonders.
const PATIENCE: Duration = Duration::from_secs(1);

/// How to print.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads what is printed.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the result: `text` for people, `data` for programs.
    pub(crate) fn result(&self, text: &str, data: Value) {
        if self.json {
            print(answer(0, &data).as_bytes());
        } else {
            print(format!("{text}\n").as_bytes());
        }
    }

    /// Prints a result in place of the one before: on a terminal at its top, elsewhere one behind the other. Says whether anybody reads.
    pub(crate) fn renewed(&self, text: &str, data: &Value) -> bool {
        let printed = if self.json {
            answer(0, data)
        } else if io::stdout().is_terminal() {
            // To the top, each line to its end, and all below.
            format!("\x1b[H{}\x1b[K\n\x1b[J", text.replace('\n', "\x1b[K\n"))
        } else {
            format!("{text}\n\n")
        };
        let mut output = io::stdout().lock();
        output.write_all(printed.as_bytes()).and_then(|()| output.flush()).is_ok()
    }

    /// Says what is going on, where a person waits.
    pub(crate) fn progress(&self, text: &str) {
        if !self.json && io::stderr().is_terminal() {
            eprintln!("{text} …");
        }
    }

    /// Does what may take long, and says after a second what a person waits for.
    pub(crate) fn waiting<T>(&self, what: &'static str, work: impl FnOnce() -> T) -> T {
        if self.json || !io::stderr().is_terminal() {
            return work();
        }
        let (done, waits) = mpsc::channel::<()>();
        let teller = std::thread::spawn(move || {
            if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what} …");
            }
        });
        let result = work();
        drop(done);
        // It only prints, and what it could not print is not missed.
        let _ended = teller.join().is_ok();
        result
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        write(bytes).map_err(Into::into)
    }

    /// Prints an error, and returns the exit code for it.
    pub(crate) fn error(&self, error: &CliError) -> ExitCode {
        if self.json {
            print(answer(1, &json!(error.to_string())).as_bytes());
        }
        eprintln!("casemate: {error}");
        if let Some(hint) = error.hint() {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(if error.is_usage() { 2 } else { 1 })
    }
}

/// What a program reads: the code first, so that a person finds it, too.
fn answer(code: u8, data: &Value) -> String {
    format!("{{\"error_code\":{code},\"data\":{data}}}\n")
}

/// Writes to standard output. A reader that has seen enough (`casemate man | head`) is not an error.
fn write(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a result, and says on standard error where that fails.
fn print(bytes: &[u8]) {
    if let Err(error) = write(bytes) {
        eprintln!("casemate: standard output: {error}");
    }
}
