//! One HSM of a local cluster: its files and its process.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::CliError;

/// How long an HSM may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// The file that names the daemon of an HSM, if it is not that of this installation.
const DAEMON: &str = "daemon";

/// What the name of a daemon's process begins with.
const PROCESS: &str = "casemate-hsmd";

/// One HSM.
pub(crate) struct Hsm {
    pub(crate) number: u8,
    directory: PathBuf,
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    Ok(())
}

/// The daemon of this installation.
fn installed_daemon() -> PathBuf {
    let beside =
        std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("casemate-hsmd")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("casemate-hsmd"))
}

/// The address of an HSM for applications.
pub(crate) fn address(network: u8, number: u8) -> String {
    format!("127.{network}.{number}.1:2223")
}

/// Its address for other HSMs.
pub(crate) fn peer_address(network: u8, number: u8) -> String {
    format!("127.{network}.{number}.1:2224")
}

impl Hsm {
    /// The HSM with that number.
    pub(crate) fn at(directory: &Path, number: u8) -> Self {
        Self { number, directory: directory.join(format!("hsm-{number}")) }
    }

    /// Returns its address for applications, by its configuration.
    pub(crate) fn address(&self) -> Result<String, CliError> {
        let text = std::fs::read_to_string(self.directory.join("hsmd.toml"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("listen = \""));
        let address = line.map(|line| line.trim_end_matches('"').to_owned());
        address.ok_or_else(|| CliError::Failed(format!("HSM {} has no address", self.number)))
    }

    /// Whether it was prepared.
    pub(crate) fn exists(&self) -> bool {
        self.directory.join("hsmd.toml").exists()
    }

    /// Removes all that it has.
    pub(crate) fn remove(&self) -> Result<(), CliError> {
        Ok(std::fs::remove_dir_all(&self.directory)?)
    }

    /// Writes its configuration.
    ///
    /// The first HSM makes the cluster; the others join it at `first`'s address. One that stays alone listens for no other.
    pub(crate) fn prepare(&self, network: u8, alone: bool, fips: bool) -> Result<(), CliError> {
        std::fs::create_dir_all(&self.directory)?;
        let data = std::path::absolute(self.directory.join("data"))?;
        let begins = if self.number == 1 {
            format!("[create]\ndev = true\npublic_objects = true\nfips_mode = {fips}\n")
        } else {
            format!("[join]\naddresses = [\"{}\"]\n", peer_address(network, 1))
        };
        let peers = if alone {
            String::new()
        } else {
            format!("peer_listen = \"{}\"\n", peer_address(network, self.number))
        };
        let text = format!(
            "# An HSM of a local cluster, made by `casemate dev up`.\n\
             data_directory = \"{}\"\nlisten = \"{}\"\n{peers}zone = \"{}\"\n\n{begins}",
            data.display(),
            address(network, self.number),
            self.number,
        );
        std::fs::write(self.directory.join("hsmd.toml"), text)?;
        Ok(())
    }

    /// Runs another daemon from its next start on; none is that of this installation.
    pub(crate) fn choose_daemon(&self, daemon: Option<&Path>) -> Result<(), CliError> {
        let chosen = self.directory.join(DAEMON);
        match daemon {
            Some(daemon) => {
                let daemon = std::path::absolute(daemon)?;
                if !daemon.is_file() {
                    return Err(CliError::Failed(format!(
                        "there is no daemon {}",
                        daemon.display()
                    )));
                }
                // By its name `running` tells it from a process that got its number since.
                let name = daemon.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if !name.starts_with(PROCESS) {
                    return Err(CliError::Failed(format!(
                        "the name of a daemon begins with {PROCESS}, not so {}",
                        daemon.display()
                    )));
                }
                std::fs::write(chosen, daemon.as_os_str().as_encoded_bytes())?;
            }
            None if chosen.exists() => std::fs::remove_file(chosen)?,
            None => {}
        }
        Ok(())
    }

    /// Returns the daemon that was chosen for it, if it is not that of this installation.
    pub(crate) fn chosen_daemon(&self) -> Option<PathBuf> {
        std::fs::read_to_string(self.directory.join(DAEMON)).ok().map(PathBuf::from)
    }

    /// Returns the process, if it runs.
    pub(crate) fn running(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.directory.join("pid")).ok()?;
        let pid: i32 = text.trim().parse().ok()?;
        // The number may have gone to another process since.
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        // Its other threads may still be ending, and with them what they hold: the address, the lock on the data.
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let ended = zombie && threads <= 1;
        (name.trim().starts_with(PROCESS) && !ended).then_some(pid)
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&self) -> Result<(), CliError> {
        if self.running().is_some() {
            return Ok(());
        }
        let log = OpenOptions::new().create(true).append(true).open(self.directory.join("log"))?;
        let program = self.chosen_daemon().unwrap_or_else(installed_daemon);
        let child = Command::new(&program)
            .arg("--config")
            .arg(self.directory.join("hsmd.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(|cause| CliError::File { path: program.display().to_string(), cause })?;
        std::fs::write(self.directory.join("pid"), child.id().to_string())?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), CliError> {
        let Some(pid) = self.running() else { return Ok(()) };
        kill(Pid::from_raw(pid), signal).map_err(|error| {
            CliError::Failed(format!("HSM {} cannot be signalled: {error}", self.number))
        })?;
        let start = Instant::now();
        while self.running().is_some() {
            if start.elapsed() > STOP_PATIENCE {
                return Err(CliError::Failed(format!("HSM {} does not stop", self.number)));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops it properly.
    pub(crate) fn stop(&self) -> Result<(), CliError> {
        self.signal(Signal::SIGTERM)
    }

    /// Kills it at once.
    pub(crate) fn kill(&self) -> Result<(), CliError> {
        self.signal(Signal::SIGKILL)
    }

    /// Returns why it ended, by its log: on one line, without the lines that only point at a place of a file.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let Some((_, said)) = log.rsplit_once("casemate-hsmd: ") else {
            return format!("see {}", self.directory.join("log").display());
        };
        let lines = said.lines().filter(|line| !line.contains(" |") && !line.trim().is_empty());
        lines.collect::<Vec<_>>().join(": ")
    }
}
