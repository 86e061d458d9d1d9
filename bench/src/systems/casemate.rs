//! Casemate: one HSM on loopback, reached over TLS through `libcasemate_pkcs11.so`.

use std::path::PathBuf;
use std::process::Command;

use super::{Name, Part, System, first_existing, run, scratch, subject};
use crate::error::Error;
use crate::process::{self, Pids};
use crate::worker::Worker;

/// Password of the crypto user `app` in clusters made here.
const PASSWORD: &str = "benchmark-only";

/// A cluster of one HSM, gone with its owner.
pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    network: u8,
}

impl Part for Cluster {}

impl Cluster {
    /// Starts it, as a user would: `casemate dev up --hsms 1`.
    ///
    /// # Errors
    /// If the programs are not built, or say why they cannot.
    pub(crate) fn start() -> Result<Self, Error> {
        // Loopback networks from 100 on, by process id, keep runs apart from each other and from
        // the network 0 of a person's own cluster.
        let network = u8::try_from(std::process::id() % 150).unwrap_or(0).saturating_add(100);
        let cluster = Self { directory: scratch()?, network };
        cluster.up()?;
        Ok(cluster)
    }

    /// Runs `casemate dev up` on the cluster's directory.
    ///
    /// # Errors
    /// What the command said.
    pub(crate) fn up(&self) -> Result<(), Error> {
        let mut command = Command::new(built("casemate")?);
        command
            .args(["dev", "up", "--hsms", "1", "--network", &self.network.to_string()])
            .args(["--admin-password", PASSWORD, "--user-password", PASSWORD, "--dir"])
            .arg(self.directory.path());
        run(&mut command).map(drop)
    }

    /// Runs `casemate dev down` on the cluster's directory.
    ///
    /// # Errors
    /// What the command said.
    pub(crate) fn down(&self) -> Result<(), Error> {
        let mut command = Command::new(built("casemate")?);
        run(command.args(["dev", "down", "--dir"]).arg(self.directory.path())).map(drop)
    }

    /// Returns the processes of the HSM.
    pub(crate) fn pids(&self) -> Pids {
        process::find("casemate-hsmd", &self.directory.path().display().to_string())
    }

    /// Returns the client's configuration file.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.path().join("casemate.toml")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.down() {
            eprintln!("cannot stop the cluster: {error}");
        }
    }
}

/// Starts a cluster and a worker that reaches it.
pub(super) fn start() -> Result<System, Error> {
    let cluster = Cluster::start()?;
    let server = cluster.pids();
    let environment = [("CASEMATE_CONFIG", cluster.configuration().display().to_string())];
    let module = built("libcasemate_pkcs11.so")?;
    let worker = Worker::start(Name::Casemate.text(), &subject(module, &pin()), &environment)?;
    let parts: Vec<Box<dyn Part>> = vec![Box::new(cluster)];
    Ok(System { name: Name::Casemate, worker, server, _parts: parts })
}

/// The PIN of the crypto user.
pub(crate) fn pin() -> String {
    format!("app:{PASSWORD}")
}

/// Finds what the same build made, beside this program.
pub(crate) fn built(file: &str) -> Result<PathBuf, Error> {
    let program = std::env::current_exe().map_err(Error::io("the path of this program"))?;
    let path = program.with_file_name(file);
    first_existing(file, &[&path.display().to_string()])
}
