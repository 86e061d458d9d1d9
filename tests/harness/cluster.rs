//! A cluster of one: `casemate dev up`, and what a test does to it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use casemate_client::{Client, ClientError, Config};
use casemate_protocol::Role;

use crate::network::Network;
use crate::programs::{Build, program};

/// Why a test could not do what it meant to.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The system refused.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// A program failed.
    #[error("`casemate {arguments}` ended with {code:?}: {said}")]
    Program {
        /// What it was asked.
        arguments: String,
        /// Its exit code.
        code: Option<i32>,
        /// What it wrote.
        said: String,
    },
    /// A call failed.
    #[error("{0}")]
    Client(#[from] ClientError),
}

/// A running cluster; it is wiped when dropped.
#[derive(Debug)]
pub struct Cluster {
    directory: tempfile::TempDir,
    network: Network,
    build: Build,
    environment: Vec<(String, String)>,
}

const APPLICATION: &str = "CASEMATE_TEST_APPLICATION";

/// Whether this process was started by [`Cluster::application`].
#[must_use]
pub fn is_application() -> bool {
    std::env::var_os(APPLICATION).is_some()
}

/// The password of `admin`.
pub const ADMIN_PASSWORD: &str = "letmein-admin";
/// The password of `app`.
pub const USER_PASSWORD: &str = "letmein-app";

impl Cluster {
    /// Starts a cluster.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn start(build: Build) -> Result<Self, TestError> {
        Self::start_with(build, &[])
    }

    /// Starts a cluster with further arguments of `casemate dev up`.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn start_with(build: Build, arguments: &[&str]) -> Result<Self, TestError> {
        let cluster = Self::empty(build)?;
        cluster.up(arguments)?;
        Ok(cluster)
    }

    /// Takes a directory and a network for a cluster that is not made yet.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn empty(build: Build) -> Result<Self, TestError> {
        let (directory, network) = (tempfile::tempdir()?, Network::take()?);
        Ok(Self { directory, network, build, environment: Vec::new() })
    }

    /// Runs `casemate dev up` with further arguments.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn up(&self, arguments: &[&str]) -> Result<String, TestError> {
        let number = self.network.number().to_string();
        let mut all = vec!["up", "--network", &number];
        if !arguments.contains(&"--hsms") {
            all.extend(["--hsms", "1"]);
        }
        all.extend(["--admin-password", ADMIN_PASSWORD, "--user-password", USER_PASSWORD]);
        all.extend(arguments);
        self.dev(&all)
    }

    /// Sets a variable for every program that is started from now on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a variable back.
    pub fn unset_environment(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// Runs `casemate dev VERB … --dir DIR`.
    ///
    /// # Errors
    /// [`TestError::Program`] unless it succeeds.
    pub fn dev(&self, arguments: &[&str]) -> Result<String, TestError> {
        let directory = self.path().display().to_string();
        let mut all = vec!["dev"];
        all.extend(arguments);
        all.extend(["--dir", &directory]);
        self.casemate(&all)
    }

    /// Runs `casemate …` with this cluster's configuration and returns what it wrote.
    ///
    /// # Errors
    /// [`TestError::Program`] unless it succeeds.
    pub fn casemate(&self, arguments: &[&str]) -> Result<String, TestError> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let said = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
        let code = output.status.code();
        Err(TestError::Program { arguments: arguments.join(" "), code, said })
    }

    /// Runs `casemate …` with this cluster's configuration, whatever comes of it.
    ///
    /// # Errors
    /// [`TestError::System`] if it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Output, TestError> {
        let mut command = Command::new(program(self.build, "casemate"));
        command.env("CASEMATE_CONFIG", self.config_path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command.args(arguments).output()?)
    }

    /// Returns the command that runs a test of this very program again, as an application with this cluster's configuration: a
    /// module reads its environment when it is loaded, and that of a test's own process is not the test's to change.
    ///
    /// # Errors
    /// [`TestError::System`] if this program cannot be found.
    pub fn application(&self, test: &str) -> Result<Command, TestError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([test, "--exact", "--nocapture"]);
        command.env("CASEMATE_CONFIG", self.config_path()).env(APPLICATION, "1");
        Ok(command)
    }

    /// Returns the directory that `casemate dev up` made.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("cluster")
    }

    /// Returns a directory for the test's own files.
    #[must_use]
    pub fn work(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the data directory of the HSM.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("hsm-1/data")
    }

    /// Returns the client's configuration.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.path().join("casemate.toml")
    }

    /// Returns `host:port` of the HSM.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.{}.1.1:2223", self.network.number())
    }

    /// Returns what the daemon logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("hsm-1/log")).unwrap_or_default()
    }

    /// Returns the process id in the daemon's pid file.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.pid_of(1)
    }

    /// Returns the process id of the HSM with that number.
    #[must_use]
    pub fn pid_of(&self, number: u8) -> Option<i32> {
        let file = self.path().join(format!("hsm-{number}/pid"));
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Makes a client that is not logged in.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn client(&self) -> Result<Client, TestError> {
        Ok(Client::new(Config::load(&self.config_path()).map_err(ClientError::from)?))
    }

    /// Makes a client that is logged in as the crypto user `app`.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn user(&self) -> Result<Client, TestError> {
        let client = self.client()?;
        client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser))?;
        Ok(client)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Best effort: a test that killed the daemon leaves nothing to stop.
        drop(self.dev(&["wipe"]));
    }
}
