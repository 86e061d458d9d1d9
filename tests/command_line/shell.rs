//! A person at a shell: a cluster, its configuration, and who is logged in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use casemate_tests::{ADMIN_PASSWORD, Build, Cluster, USER_PASSWORD, program};
use serde_json::Value;

/// A shell in the directory of a cluster of its own.
pub(crate) struct Shell {
    pub(crate) cluster: Cluster,
    role: &'static str,
    pin: String,
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
    }
}

impl Said {
    /// The output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.error, "", "a command that succeeds says nothing on standard error");
        self.out
    }

    /// A command that must have been refused with exit code 1 and this cause.
    #[track_caller]
    pub(crate) fn refused(self, cause: &str) {
        self.ended(1, cause);
    }

    /// A command that must have ended so, with this cause on standard error.
    #[track_caller]
    pub(crate) fn ended(self, code: i32, cause: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.error.contains(cause), "{self:?}");
    }
}

/// Runs `casemate` with nothing of the caller's own set-up.
pub(crate) fn casemate(directory: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
    let mut command = Command::new(program(Build::Plain, "casemate"));
    command.current_dir(directory).env("HOME", directory);
    for name in ["CASEMATE_CONFIG", "CASEMATE_ROLE", "CASEMATE_PIN"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    command.args(arguments).output().unwrap().into()
}

impl Shell {
    /// Starts a cluster; the crypto user is logged in.
    pub(crate) fn start() -> Self {
        let cluster = Cluster::start(Build::Plain).unwrap();
        Self { cluster, role: "crypto-user", pin: format!("app:{USER_PASSWORD}") }
    }

    /// Is the admin from now on.
    pub(crate) fn admin(mut self) -> Self {
        self.role = "admin";
        self.pin = format!("admin:{ADMIN_PASSWORD}");
        self
    }

    pub(crate) fn run(&self, line: &str) -> Said {
        self.run_as(self.role, &self.pin, line)
    }

    pub(crate) fn run_as(&self, role: &str, pin: &str, line: &str) -> Said {
        let config = self.cluster.config_path().display().to_string();
        let environment =
            [("CASEMATE_CONFIG", config.as_str()), ("CASEMATE_ROLE", role), ("CASEMATE_PIN", pin)];
        let arguments: Vec<_> = line.split_whitespace().collect();
        casemate(self.cluster.work(), &environment, &arguments)
    }

    /// Runs a command with `--json` that must succeed, and returns its data.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let value: Value =
            serde_json::from_str(&self.run(&format!("--json {line}")).done()).unwrap();
        assert_eq!(value["error_code"], 0, "{value}");
        value["data"].clone()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.cluster.work().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).unwrap();
    }

    /// Runs OpenSSL in the directory; it must succeed.
    #[track_caller]
    pub(crate) fn openssl(&self, line: &str) -> Vec<u8> {
        openssl(self.cluster.work(), line)
    }
}

/// Runs OpenSSL; it must succeed.
#[track_caller]
pub(crate) fn openssl(directory: &Path, line: &str) -> Vec<u8> {
    let output =
        Command::new("openssl").current_dir(directory).args(line.split_whitespace()).output();
    let output = output.expect("openssl is installed by tests/setup/install");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
