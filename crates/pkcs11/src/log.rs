//! The library's log: warnings and errors, one line each, to the file that the configuration names, else to standard error.
//!
//! It belongs to this library alone: the application's own subscriber, if it is written in Rust too, is another copy.

use std::fs::OpenOptions;
use std::sync::Mutex;

use casemate_client::Config;
use tracing::Level;
use tracing_subscriber::fmt;

/// Starts the log. Later calls in the same process change nothing.
pub(crate) fn start(config: Option<&Config>) {
    let file = config.and_then(|config| config.log_file.as_ref());
    let opened = file.map(|file| OpenOptions::new().create(true).append(true).open(file));
    let (file, failed) = match opened {
        Some(Ok(file)) => (Some(file), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    // `try_init` fails when the log was started before, which is as good.
    let builder = fmt().with_ansi(false).with_target(false);
    let started = match file {
        Some(file) => builder.with_max_level(Level::INFO).with_writer(Mutex::new(file)).try_init(),
        None => builder.with_max_level(Level::WARN).with_writer(std::io::stderr).try_init(),
    };
    if let (Ok(()), Some(error)) = (started, failed) {
        tracing::warn!(%error, "the log file of the configuration cannot be written");
    }
}
