//! `casemate-hsmd` as its operator starts it: the exit codes that scripts rely on.

use std::path::Path;
use std::process::Command;

use casemate_tests::{Build, program};

use crate::shell::{Said, Shell};

fn daemon(directory: &Path, configuration: &str) -> Said {
    std::fs::write(directory.join("hsmd.toml"), configuration).unwrap();
    let mut command = Command::new(program(Build::Plain, "casemate-hsmd"));
    command.current_dir(directory).args(["--config", "hsmd.toml"]).output().unwrap().into()
}

#[test]
fn a_wrong_configuration_is_2() {
    let directory = tempfile::tempdir().unwrap();
    let listen = "data_directory = 'data'\nlisten = '127.0.0.1:0'\n";
    daemon(directory.path(), &format!("{listen}nonsense = 1\n")).ended(2, "nonsense");
    daemon(directory.path(), listen).ended(2, "the configuration has no [create]");
    let missing = Command::new(program(Build::Plain, "casemate-hsmd"))
        .args(["--config", "/nowhere/x"])
        .output();
    Said::from(missing.unwrap()).ended(2, "/nowhere/x");
    let usage = Command::new(program(Build::Plain, "casemate-hsmd")).arg("--colour").output();
    Said::from(usage.unwrap()).ended(2, "usage: casemate-hsmd");
}

#[test]
fn a_cluster_for_development_is_not_served_in_the_open() {
    let directory = tempfile::tempdir().unwrap();
    let open = "data_directory = 'data'\nlisten = '0.0.0.0:0'\n";
    let create = daemon(directory.path(), &format!("{open}[create]\ndev = true\n"));
    create.ended(2, "must be a loopback address, not 0.0.0.0:0");
    assert_eq!(std::fs::read_dir(directory.path().join("data")).unwrap().count(), 1, "the lock");
    // Nor when the configuration does not say any more what the cluster is.
    let shell = Shell::start();
    shell.cluster.dev(&["down"]).unwrap();
    let data = shell.cluster.data().display().to_string();
    let text = format!("data_directory = '{data}'\nlisten = '0.0.0.0:0'\n");
    daemon(directory.path(), &text).ended(2, "must be a loopback address, not 0.0.0.0:0");
}

#[test]
fn damaged_data_is_3() {
    let shell = Shell::start();
    shell.cluster.dev(&["down"]).unwrap();
    let data = shell.cluster.data();
    let entries = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let log = entries.filter(|path| path.display().to_string().contains("log-")).min().unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[200] ^= 0xff;
    std::fs::write(&log, bytes).unwrap();
    let text = format!("data_directory = '{}'\nlisten = '127.0.0.1:0'\n", data.display());
    daemon(shell.cluster.work(), &text).ended(3, "is damaged at byte");
}

#[test]
fn a_directory_in_use_is_4() {
    let shell = Shell::start();
    let data = shell.cluster.data().display().to_string();
    let text = format!("data_directory = '{data}'\nlisten = '127.0.0.1:0'\n");
    daemon(shell.cluster.work(), &text).ended(4, "in use by another daemon");
}
