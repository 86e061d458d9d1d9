//! `casemate-hsmd`: the daemon of one HSM.
//!
//! ```text
//! configuration ─▶ log ─▶ secrets ─▶ module (hsm) ─▶ cluster ─▶ hardening ─▶ server (workers, pool)
//! ```
//!
//! One process is one HSM: no HTTP, no SQL, no shell, no key material outside its memory. Exit codes: 0 stopped,
//! 1 failed, 2 wrong configuration, 3 damaged data, 4 directory in use, 5 data of a newer version.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

mod clock;
mod configuration;
mod hardening;
mod log;
mod module;
mod notify;
mod peers;
mod sealing_provider;
mod server;
mod start;
mod system_calls;
mod tls;
mod tpm;

use configuration::Configuration;
use start::StartError;

const USAGE: &str =
    "usage: casemate-hsmd [--config FILE | --version]    (default: /etc/casemate/hsmd.toml)";

/// What the arguments ask for.
enum Wanted {
    Serve(PathBuf),
    Version,
    Nonsense,
}

fn wanted() -> Wanted {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, ..) => Wanted::Serve(PathBuf::from("/etc/casemate/hsmd.toml")),
        (Some(flag), Some(path), None) if flag == "--config" => Wanted::Serve(PathBuf::from(path)),
        (Some(flag), None, None) if flag == "--version" => Wanted::Version,
        _ => Wanted::Nonsense,
    }
}

/// Name, version, and what is unusual about this build: packages are never made of one with `testing`.
fn version() -> String {
    let library = if casemate_crypto::is_fips_library() { " fips" } else { "" };
    let testing = if cfg!(feature = "testing") { " testing" } else { "" };
    format!("casemate-hsmd {}{library}{testing}", env!("CARGO_PKG_VERSION"))
}

#[expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "before the log is set up there is nowhere else to say it"
)]
fn main() -> ExitCode {
    let path = match wanted() {
        Wanted::Serve(path) => path,
        Wanted::Version => {
            println!("{}", version());
            return ExitCode::SUCCESS;
        }
        Wanted::Nonsense => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let configuration = match Configuration::load(&path) {
        Ok(configuration) => configuration,
        Err(error) => {
            eprintln!("casemate-hsmd: {error}");
            return ExitCode::from(2);
        }
    };
    log::start(&configuration);
    match start::run(&configuration) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let chain = log::chain(&error);
            tracing::error!("{chain}");
            eprintln!("casemate-hsmd: {chain}");
            ExitCode::from(StartError::exit_code(&error))
        }
    }
}
