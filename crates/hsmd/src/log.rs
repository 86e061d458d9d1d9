//! The log: text or JSON on standard error, never a secret. A panic says where, not what, and ends the process.

use std::error::Error;

use tracing_subscriber::filter::LevelFilter;

use crate::configuration::{Configuration, Format, Level};

/// Starts the log, and makes a panic end the process: a dead HSM is safe, a wrong one is not.
pub(crate) fn start(configuration: &Configuration) {
    let level = match configuration.log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    // openraft tells its story in detail, and an HSM that is away at each attempt: what an operator needs of it is told by ours.
    let openraft = if level == LevelFilter::DEBUG { "openraft=warn" } else { "openraft=off" };
    let filter = tracing_subscriber::EnvFilter::default()
        .add_directive(level.into())
        .add_directive(quiet(openraft, level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    match configuration.log.format {
        Format::Text => log.with_target(false).init(),
        Format::Json => log.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "the daemon met a fault of its own and stops");
        std::process::abort();
    }));
}

fn quiet(directive: &str, otherwise: LevelFilter) -> tracing_subscriber::filter::Directive {
    directive.parse().unwrap_or_else(|_error| otherwise.into())
}

/// Returns an error with its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
