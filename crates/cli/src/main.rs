//! `casemate`: the command line.
//!
//! One file per group of commands; [`output`] is the only place that prints. Exit codes: 0 done; 1 refused or failed, with one line of
//! cause on standard error; 2 wrong usage.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

mod arguments;
mod cluster;
mod credentials;
mod crypto;
mod dev;
mod error;
mod key;
mod output;
mod user;

use arguments::{Arguments, Group};
use error::CliError;
use output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    match run(arguments, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.error(&error),
    }
}

fn run(arguments: Arguments, output: &Output) -> Result<(), CliError> {
    match arguments.group {
        Group::Dev(command) => dev::run(command, output),
        Group::Cluster(command) => cluster::run(command, output),
        Group::Login(login) => user::login(&login, output),
        Group::User(command) => user::run(command, output),
        Group::Key(command) => key::run(command, output),
        Group::Crypto(command) => crypto::run(command, output),
        Group::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "casemate", &mut script);
            output.raw(&script)
        }
        Group::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            output.raw(&page)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_consistent() {
        Arguments::command().debug_assert();
    }
}
