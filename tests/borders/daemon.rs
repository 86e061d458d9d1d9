//! A daemon that no cluster was made of yet: for what is handed in before anybody can log in.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use casemate_tests::{Build, Network, program};

use crate::wire::{PATIENCE, Wire};

/// A running daemon, killed when dropped.
pub(crate) struct Daemon {
    directory: tempfile::TempDir,
    network: Network,
    child: Child,
}

impl Daemon {
    /// Starts it with an empty data directory.
    pub(crate) fn start() -> Self {
        let (directory, network) = (tempfile::tempdir().unwrap(), Network::take().unwrap());
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let text = format!(
            "data_directory = '{}'\nlisten = '127.{}.1.1:2223'\n[create]\npassword_rounds = 1000\n",
            data.display(),
            network.number()
        );
        let (child, _) = spawn(directory.path(), &text);
        let daemon = Self { directory, network, child };
        let start = Instant::now();
        while Wire::try_open(&daemon.address()).is_err() {
            assert!(start.elapsed() < PATIENCE, "{}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    pub(crate) fn address(&self) -> String {
        format!("127.{}.1.1:2223", self.network.number())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Checks that it is the same and met no fault.
    pub(crate) fn alive(&mut self, what: &str) {
        assert!(self.child.try_wait().unwrap().is_none(), "{what}: {}", self.log());
        crate::watch::no_fault(&self.log(), what);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has seen.
        let _killed = self.child.kill().is_ok();
        let _reaped = self.child.wait().is_ok();
    }
}

fn spawn(directory: &Path, configuration: &str) -> (Child, PathBuf) {
    let (path, log) = (directory.join("hsmd.toml"), directory.join("log"));
    std::fs::write(&path, configuration).unwrap();
    let errors = std::fs::File::create(&log).unwrap();
    let mut command = Command::new(program(Build::Plain, "casemate-hsmd"));
    command
        .arg("--config")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors);
    (command.spawn().unwrap(), log)
}

/// Runs a daemon that must end by itself, and returns its exit code and what it said.
pub(crate) fn ends(directory: &Path, configuration: &str) -> (Option<i32>, String) {
    let (mut child, log) = spawn(directory, configuration);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it runs: {}", std::fs::read_to_string(log).unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    (status.code(), std::fs::read_to_string(log).unwrap())
}
