//! Casemate: one HSM on loopback, reached over TLS through `libcasemate_pkcs11.so`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Name, Part, System, first_existing, run, scratch};
use crate::error::Error;
use crate::module::FIND_AMONG;
use crate::process::{self, Pids};
use crate::worker::{Subject, Worker};

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

    /// Makes both sides sleep at once when there is nothing to do. The HSM must be down.
    ///
    /// # Errors
    /// If a configuration file cannot be changed.
    pub(crate) fn turn_polling_off(&self) -> Result<(), Error> {
        append(&self.directory.path().join("hsm-1/hsmd.toml"), "\n[limits]\npolling_us = 0\n")?;
        append(&self.configuration(), "\n[client]\npolling_us = 0\n")
    }

    /// Starts a worker that reaches it, for searches among so many keys.
    ///
    /// # Errors
    /// If the module is not built, or the worker cannot be started.
    pub(crate) fn worker(&self, among: u32) -> Result<Worker, Error> {
        let environment = [("CASEMATE_CONFIG", self.configuration().display().to_string())];
        let (user, password) = Self::crypto_user();
        let pin = format!("{user}:{password}");
        let subject = Subject::Module { path: built("libcasemate_pkcs11.so")?, pin, among };
        Worker::start(Name::Casemate.text(), &subject, &environment)
    }

    /// Returns name and password of the crypto user.
    pub(crate) const fn crypto_user() -> (&'static str, &'static str) {
        ("app", PASSWORD)
    }

    /// Returns the address of the HSM's application port.
    ///
    /// # Errors
    /// If the client's configuration names none.
    pub(crate) fn address(&self) -> Result<String, Error> {
        let path = self.configuration();
        let text = fs::read_to_string(&path).map_err(Error::io(path.display().to_string()))?;
        let found = text.split(['"', '\'']).find(|word| word.starts_with("127."));
        let missing = || Error::Wire(format!("{} names no address on loopback", path.display()));
        let address = found.ok_or_else(missing)?;
        Ok(if address.contains(':') { address.to_owned() } else { format!("{address}:2223") })
    }

    /// Returns the client's configuration file.
    fn configuration(&self) -> PathBuf {
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
    let worker = cluster.worker(FIND_AMONG)?;
    let parts: Vec<Box<dyn Part>> = vec![Box::new(cluster)];
    Ok(System { name: Name::Casemate, worker, server, _parts: parts })
}

fn append(path: &Path, text: &str) -> Result<(), Error> {
    let file = fs::OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(Error::io(path.display().to_string()))
}

/// Finds what the same build made, beside this program.
fn built(file: &str) -> Result<PathBuf, Error> {
    let program = std::env::current_exe().map_err(Error::io("the path of this program"))?;
    let path = program.with_file_name(file);
    first_existing(file, &[&path.display().to_string()])
}
