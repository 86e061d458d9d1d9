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
mod hex;
mod join_policy;
mod key;
mod members;
mod output;
mod status;
mod user;

use arguments::{Arguments, Cluster, Group};
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
    if let Some(cluster) = &arguments.cluster_id
        && asks_the_cluster(&arguments.group)
    {
        credentials::expect_cluster(cluster)?;
    }
    match arguments.group {
        Group::Dev(command) => dev::run(command, output),
        Group::Cluster(command) => cluster::run(command, arguments.cluster_id.as_deref(), output),
        Group::Login(login) => user::login(&login, output),
        Group::User(command) => user::run(command, output),
        Group::Key(command) => key::run(command, output),
        Group::Crypto(command) => crypto::run(command, output),
        Group::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "casemate", &mut script);
            output.raw(&script)
        }
        Group::Man { directory: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            output.raw(&page)
        }
        Group::Man { directory: Some(directory) } => {
            std::fs::create_dir_all(&directory)?;
            clap_mangen::generate_to(Arguments::command(), &directory)?;
            let text = format!("{} holds the manual pages", directory.display());
            output.result(&text, serde_json::json!({ "path": directory.display().to_string() }));
            Ok(())
        }
    }
}

/// Whether a command uses the client configuration.
const fn asks_the_cluster(group: &Group) -> bool {
    match group {
        Group::Cluster(
            Cluster::Status(_)
            | Cluster::Activate(_)
            | Cluster::ListJoining
            | Cluster::AddHsm(_)
            | Cluster::SetJoinPolicy(_)
            | Cluster::RemoveHsm { .. },
        )
        | Group::Login(_)
        | Group::User(_)
        | Group::Key(_)
        | Group::Crypto(_) => true,
        Group::Cluster(Cluster::Initialize(_) | Cluster::VerifyCsr { .. })
        | Group::Dev(_)
        | Group::Completions { .. }
        | Group::Man { .. } => false,
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
