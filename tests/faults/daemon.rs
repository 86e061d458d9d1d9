//! One daemon, started directly on the directory of a cluster: fast, with an environment, and its end is seen.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use casemate_client::{Client, Config};
use casemate_protocol::messages::{Ask, Empty};
use casemate_tests::{Build, Cluster, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Entries after which a snapshot is taken: the least that the configuration allows.
pub(crate) const SNAPSHOT_EVERY: u64 = 100;

/// A cluster of one whose daemon the test starts and ends itself.
pub(crate) struct Prepared {
    pub(crate) cluster: Cluster,
}

impl Prepared {
    /// Makes an active cluster, with frequent snapshots, and stops it.
    pub(crate) fn new() -> Self {
        let cluster = Cluster::start(Build::Plain).unwrap();
        cluster.dev(&["down"]).unwrap();
        let path = cluster.path().join("hsm-1/hsmd.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let limits = format!("{text}\n[limits]\nsnapshot_every = {SNAPSHOT_EVERY}\n");
        std::fs::write(&path, limits).unwrap();
        Self { cluster }
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.cluster.path().join("hsm-1")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.cluster.data()
    }

    /// Begins to start the daemon.
    pub(crate) fn spawn(&self, build: Build, environment: &[(&str, &str)]) -> Daemon {
        Daemon::spawn(&self.directory(), build, environment)
    }

    /// Starts the daemon, and waits until it serves.
    pub(crate) fn start(&self, build: Build, environment: &[(&str, &str)]) -> Daemon {
        let mut daemon = self.spawn(build, environment);
        self.wait(&mut daemon);
        daemon
    }

    /// Waits until the daemon says that it is ready: for one that this machine's clients do not trust.
    pub(crate) fn wait_until_ready(&self, daemon: &mut Daemon) {
        let start = Instant::now();
        while !daemon.log().contains("ready") {
            assert!(daemon.ended().is_none(), "it ended: {}", daemon.log());
            assert!(start.elapsed() < PATIENCE, "it is not ready: {}", daemon.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the daemon serves.
    pub(crate) fn wait(&self, daemon: &mut Daemon) {
        let client = self.cluster.client().unwrap();
        let start = Instant::now();
        while client.call_within(Ask::Ping(Empty {}), Duration::from_millis(500)).is_err() {
            assert!(daemon.ended().is_none(), "it ended: {}", daemon.log());
            assert!(start.elapsed() < PATIENCE, "it does not serve: {}", daemon.log());
        }
    }

    /// Makes a client that is logged in as `app`, with a deadline for each call.
    pub(crate) fn user(&self, deadline: Duration) -> Client {
        self.user_at(None, deadline)
    }

    /// The same over another address, such as a relay's.
    pub(crate) fn user_at(&self, address: Option<String>, deadline: Duration) -> Client {
        let mut config = Config::load(&self.cluster.config_path()).unwrap();
        config.deadline = deadline;
        if let Some(address) = address {
            config.addresses = vec![address];
        }
        let client = Client::new(config);
        let role = Some(casemate_protocol::Role::CryptoUser);
        client.log_in("app", casemate_tests::USER_PASSWORD, role).unwrap();
        client
    }

    /// Starts the daemon on a data directory where it must refuse to; returns its exit code and what it said.
    pub(crate) fn refusal(&self) -> (i32, String) {
        let mut daemon = self.spawn(Build::Plain, &[]);
        let status = daemon.wait_for_end();
        (status.code().unwrap_or(-1), daemon.log())
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    ended: Option<ExitStatus>,
    log: PathBuf,
    /// Where this daemon's part of the log begins.
    log_from: usize,
}

impl Daemon {
    pub(crate) fn spawn(directory: &Path, build: Build, environment: &[(&str, &str)]) -> Self {
        let log = directory.join("log");
        let log_from = std::fs::read(&log).map_or(0, |bytes| bytes.len());
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(program(build, "casemate-hsmd"))
            .arg("--config")
            .arg(directory.join("hsmd.toml"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, ended: None, log, log_from }
    }

    /// Returns what it wrote to its log since it was started.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap();
        String::from_utf8_lossy(&bytes[self.log_from.min(bytes.len())..]).into_owned()
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        }
    }

    /// Waits until it ends, within patience.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether it was killed by SIGKILL within a time.
    pub(crate) fn was_killed_within(&mut self, time: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < time {
            if let Some(status) = self.ended() {
                assert_eq!(status.signal(), Some(9), "{}", self.log());
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_for_end();
    }

    /// Stops it properly.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait_for_end();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // It may have ended by itself since.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
