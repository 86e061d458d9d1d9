//! `casemate-hsmd` as its operator starts it: the exit codes that scripts rely on.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use casemate_tests::{Build, Network, program};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::shell::{Said, Shell};

/// Starts a daemon that must refuse to serve; one that serves would be stopped after half a minute.
fn daemon(directory: &Path, configuration: &str) -> Said {
    std::fs::write(directory.join("hsmd.toml"), configuration).unwrap();
    let mut command = Command::new("timeout");
    command
        .arg("30")
        .arg(program(Build::Plain, "casemate-hsmd"))
        .args(["--config", "hsmd.toml"]);
    command.current_dir(directory).output().unwrap().into()
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

#[test]
fn the_service_manager_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let network = Network::take().unwrap();
    let text = format!(
        "data_directory = 'data'\nlisten = '127.{}.1.1:2223'\n[create]\ndev = true\n",
        network.number()
    );
    std::fs::write(directory.path().join("hsmd.toml"), text).unwrap();
    let socket = directory.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let said = || {
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let mut command = Command::new(program(Build::Plain, "casemate-hsmd"));
    command.current_dir(directory.path()).args(["--config", "hsmd.toml"]);
    let mut child = command.env("NOTIFY_SOCKET", &socket).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(said(), "READY=1");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(said(), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Installs the programs of a directory.
fn install(programs: &Path, destination: &Path) -> Said {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/install");
    let mut command = Command::new(script);
    command.arg(destination).env("CASEMATE_BIN", programs).output().unwrap().into()
}

#[test]
fn a_package_has_every_file_and_keeps_what_an_operator_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let programs = program(Build::Plain, "casemate").parent().unwrap().to_owned();
    install(&programs, directory.path()).done();
    let path = |name: &str| directory.path().join(name);
    let unit =
        std::fs::read_to_string(path("usr/lib/systemd/system/casemate-hsmd.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/")).unwrap();
    assert!(path(start).exists(), "{start}");
    assert!(unit.contains("Type=notify") && unit.contains("RestartPreventExitStatus=2 3 4 5"));
    for name in [
        "usr/bin/casemate",
        "usr/lib/casemate/libcasemate_pkcs11.so",
        "usr/share/man/man1/casemate-key-list.1",
        "usr/bin/casemate-exporter",
        "usr/lib/systemd/system/casemate-exporter.service",
        "usr/share/casemate/prometheus/casemate.rules.yml",
        "usr/share/casemate/grafana/casemate.json",
    ] {
        assert!(path(name).exists(), "{name}");
    }
    // What is installed is a configuration that the daemon takes.
    let configuration = path("etc/casemate/hsmd.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let elsewhere = text.replace("/var/lib/casemate", "/dev/null/casemate");
    daemon(directory.path(), &elsewhere).ended(1, "/dev/null/casemate");
    std::fs::write(&configuration, "# mine").unwrap();
    install(&programs, directory.path()).done();
    assert_eq!(std::fs::read_to_string(&configuration).unwrap(), "# mine");
}

#[test]
fn a_build_for_tests_is_not_packaged() {
    let directory = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let link = |name: &str, build: Build| {
        std::os::unix::fs::symlink(program(build, name), programs.path().join(name)).unwrap();
    };
    link("casemate", Build::Testing);
    link("casemate-hsmd", Build::Testing);
    link("casemate-exporter", Build::Plain);
    install(programs.path(), directory.path()).refused("has no libcasemate_pkcs11.so: build first");
    link("libcasemate_pkcs11.so", Build::Plain);
    install(programs.path(), directory.path()).refused("is a build for tests");
    assert!(!directory.path().join("usr").exists());
}
