//! The library's log: warnings and errors, one line each, to the file that the configuration names, else to standard error.
//!
//! It belongs to this library alone: the application's own subscriber, if it is written in Rust too, is another copy.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use casemate_client::Config;
use tracing::Level;
use tracing_subscriber::fmt;

/// Standard error without the lock of the standard library, which a child of `fork` might find taken.
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the pointer is good for the length; a file descriptor that is closed is an error.
        let written =
            unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        usize::try_from(written).map_err(|_error| io::Error::last_os_error())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens the file for each line: there are few, the file may be moved away meanwhile, and no descriptor stays.
fn open(path: &Path) -> Box<dyn Write> {
    match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => Box::new(file),
        Err(_) => Box::new(StandardError),
    }
}

/// Starts the log. Later calls in the same process change nothing.
pub(crate) fn start(config: Option<&Config>) {
    let builder = fmt().with_ansi(false).with_target(false);
    // It fails when the log was started before, which is as good.
    let _started = match config.and_then(|config| config.log_file.clone()) {
        Some(path) => {
            builder.with_max_level(Level::INFO).with_writer(move || open(&path)).try_init()
        }
        None => builder.with_max_level(Level::WARN).with_writer(|| StandardError).try_init(),
    };
}
