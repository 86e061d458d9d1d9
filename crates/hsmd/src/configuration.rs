//! The one configuration file: TOML, unknown keys refused by name and line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    /// A key is unknown or missing, or a value is of a wrong kind: the cause names line and key.
    #[error("the configuration {path} is wrong: {cause}")]
    Wrong { path: PathBuf, cause: String },
    /// A value is out of range.
    #[error("the configuration {path} is wrong: `{key}` must be {range}")]
    OutOfRange { path: PathBuf, key: &'static str, range: &'static str },
}

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// Where the log, snapshots and secrets lie.
    pub(crate) data_directory: PathBuf,
    /// The address that applications use: port 2223.
    pub(crate) listen: SocketAddr,
    /// The address that other HSMs use: port 2224. Without it the HSM stays alone.
    #[serde(default)]
    pub(crate) peer_listen: Option<SocketAddr>,
    /// HSMs of a cluster to join when the data directory is empty.
    #[serde(default)]
    pub(crate) join: Option<Join>,
    /// The TPM that says what this machine runs, for a cluster that asks for it.
    #[serde(default)]
    pub(crate) attestation: Option<Attestation>,
    /// The label of this HSM's zone.
    #[serde(default = "default_zone")]
    pub(crate) zone: String,
    /// The user to become when the daemon is started by root.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// How the module's secrets lie on disk.
    #[serde(default)]
    pub(crate) sealing: Sealing,
    /// Certificates of clients: whose are taken, and whether one must be shown.
    #[serde(default)]
    pub(crate) client_certificates: Option<ClientCertificates>,
    /// Made of it when the data directory is empty; without it an empty directory is refused.
    #[serde(default)]
    pub(crate) create: Option<Create>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) log: Log,
    #[serde(default)]
    pub(crate) sandbox: Sandbox,
}

/// How the module's secrets lie on disk.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "provider")]
pub(crate) enum Sealing {
    /// In a file that only the daemon's user can read: a stolen disk opens it.
    #[default]
    File,
    /// Under a passphrase, read from a file (a systemd credential, a pipe): a stolen disk does not open it.
    Passphrase { file: PathBuf },
}

/// Which cluster to join.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    /// Where its HSMs listen for others.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// The TPM of this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attestation {
    /// The kernel's resource manager, such as `/dev/tpmrm0`, or a socket of swtpm.
    pub(crate) tpm: PathBuf,
    /// The handle of the attestation key: P-256, ECDSA with SHA-256, no password.
    pub(crate) key: u32,
    /// The certificate of that key, by the customer's authority, PEM.
    pub(crate) certificate: PathBuf,
}

/// Which certificates of clients count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCertificates {
    /// The CA that issues them, PEM.
    pub(crate) ca: PathBuf,
    /// Whether a client without one is refused.
    #[serde(default)]
    pub(crate) required: bool,
}

/// What a new cluster is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub(crate) struct Create {
    #[serde(default)]
    pub(crate) fips_mode: bool,
    #[serde(default)]
    pub(crate) dev: bool,
    #[serde(default)]
    pub(crate) public_objects: bool,
    #[serde(default)]
    pub(crate) activation_open: bool,
    #[serde(default)]
    pub(crate) password_rounds: Option<u32>,
}

/// Limits, each with its reason in `docs/operate/configuration.md`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) requests_in_flight: usize,
    pub(crate) handshake_seconds: u64,
    pub(crate) idle_seconds: u64,
    pub(crate) workers: usize,
    pub(crate) polling_us: u64,
    pub(crate) snapshot_every: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            requests_in_flight: 1_024,
            handshake_seconds: 10,
            idle_seconds: 900,
            workers: 0,
            polling_us: 40,
            snapshot_every: 20_000,
        }
    }
}

/// Where and how the log is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: Format,
    pub(crate) level: Level,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// Whether the process gives up rights that it does not need.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sandbox {
    /// As far as the kernel has it; what it lacks is logged.
    #[default]
    BestEffort,
    /// The daemon does not start without all of it.
    Required,
}

/// The port between HSMs, unless the configuration says another.
const PEER_PORT: u16 = 2224;

fn default_zone() -> String {
    "1".to_owned()
}

impl Configuration {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigurationError> {
        let unreadable = |cause| ConfigurationError::Unreadable { path: path.to_owned(), cause };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let wrong = |error| ConfigurationError::Wrong {
            path: path.to_owned(),
            cause: place(&text, &error),
        };
        let configuration: Self = toml::from_str(&text).map_err(wrong)?;
        configuration.check(path)?;
        Ok(configuration)
    }

    /// Returns the address that other HSMs are told: also of one that is alone.
    pub(crate) fn peer_address(&self) -> SocketAddr {
        self.peer_listen.unwrap_or_else(|| SocketAddr::new(self.listen.ip(), PEER_PORT))
    }

    /// Returns the ports of other HSMs, to which the process may connect; none if it stays alone.
    pub(crate) fn peer_ports(&self) -> Vec<u16> {
        let joined = self.join.iter().flat_map(|join| &join.addresses);
        let mut ports: Vec<u16> =
            self.peer_listen.iter().chain(joined).map(SocketAddr::port).collect();
        if !ports.is_empty() {
            ports.push(PEER_PORT);
        }
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn check(&self, path: &Path) -> Result<(), ConfigurationError> {
        let limits = &self.limits;
        let checks = [
            ("limits.connections", (1..=100_000).contains(&limits.connections), "1 to 100000"),
            (
                "limits.requests_in_flight",
                (1..=65_536).contains(&limits.requests_in_flight),
                "1 to 65536",
            ),
            (
                "limits.handshake_seconds",
                (1..=3_600).contains(&limits.handshake_seconds),
                "1 to 3600",
            ),
            ("limits.idle_seconds", (1..=86_400).contains(&limits.idle_seconds), "1 to 86400"),
            ("limits.workers", limits.workers <= 256, "0 (one per core) to 256"),
            ("limits.polling_us", limits.polling_us <= 1_000, "0 (off) to 1000"),
            (
                "limits.snapshot_every",
                (100..=10_000_000).contains(&limits.snapshot_every),
                "100 to 10000000",
            ),
            (
                "join",
                self.join.is_none() || (self.create.is_none() && self.peer_listen.is_some()),
                "without `create`, and with `peer_listen`",
            ),
            (
                "join.addresses",
                self.join.iter().all(|join| {
                    !join.addresses.is_empty() && !join.addresses.contains(&self.peer_address())
                }),
                "those of other HSMs",
            ),
            ("zone", !self.zone.is_empty() && self.zone.len() <= 64, "1 to 64 bytes"),
        ];
        match checks.into_iter().find(|(_, right, _)| !right) {
            None => Ok(()),
            Some((key, _, range)) => {
                Err(ConfigurationError::OutOfRange { path: path.to_owned(), key, range })
            }
        }
    }

    /// Returns how many workers serve applications.
    pub(crate) fn workers(&self) -> usize {
        match self.limits.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        }
    }
}

/// Says on one line where a text is wrong, and why.
fn place(text: &str, error: &toml::de::Error) -> String {
    let cause = error.message().replace('\n', ", ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {cause}", before.matches('\n').count() + 1),
        None => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Configuration, ConfigurationError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hsmd.toml");
        std::fs::write(&path, text).unwrap();
        Configuration::load(&path)
    }

    #[test]
    fn the_least_configuration_is_two_lines() {
        let configuration = load("data_directory = '/d'\nlisten = '127.0.0.1:2223'").unwrap();
        assert_eq!(configuration.limits.connections, 8_192);
        assert!(matches!(configuration.sealing, Sealing::File));
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let message = |text: &str| load(text).map(drop).unwrap_err().to_string();
        let unknown = message("data_directory = '/d'\nlisten = '127.0.0.1:2223'\nlisten_on = 1");
        assert!(unknown.contains("line 3") && unknown.contains("listen_on"), "{unknown}");
        assert_eq!(unknown.lines().count(), 1, "{unknown}");
        let missing = message("listen = '127.0.0.1:2223'");
        assert!(missing.contains("data_directory"), "{missing}");
        let address = message("data_directory = '/d'\nlisten = 'here'");
        assert!(address.contains("line 2"), "{address}");
        let range =
            message("data_directory = '/d'\nlisten = '127.0.0.1:2223'\n[limits]\nconnections = 0");
        assert!(range.contains("limits.connections") && range.contains("1 to 100000"), "{range}");
        let absent =
            Configuration::load(Path::new("/nowhere/hsmd.toml")).map(drop).unwrap_err().to_string();
        assert!(absent.contains("/nowhere/hsmd.toml"), "{absent}");
    }

    /// The rows of the manual: key, default.
    fn manual() -> Vec<(String, Option<String>)> {
        const MANUAL: &str = include_str!("../../../docs/operate/configuration.md");
        let section =
            MANUAL.split("\n## ").find(|section| section.starts_with("hsmd.toml")).unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let cell = |row: &str, index: usize| row.split('|').nth(index).unwrap().trim().to_owned();
        let bare = |cell: String| cell.trim_matches('`').to_owned();
        rows.map(|row| {
            (bare(cell(row, 1)), Some(bare(cell(row, 2))).filter(|text| !text.is_empty()))
        })
        .collect()
    }

    const LEAST: &str = "data_directory = '/d'\nlisten = '127.0.0.1:2223'\n";

    #[test]
    fn the_manual_has_every_default() {
        // Sections that there are only if they are written, with what they cannot be without.
        let (mut top, mut tables) =
            (LEAST.to_owned(), "client_certificates.ca = '/ca'\n".to_owned());
        for (key, default) in manual() {
            let Some(default) = default else { continue };
            match key.split_once('.') {
                None => top.push_str(&format!("{key} = {default}\n")),
                Some(_) => tables.push_str(&format!("{key} = {default}\n")),
            }
        }
        let written = load(&format!("{top}{tables}")).unwrap();
        let silent =
            load(&format!("{LEAST}[create]\n[client_certificates]\nca = '/ca'\n")).unwrap();
        // The rounds' default belongs to the module.
        let rounds = casemate_hsm::Settings::default().password_rounds;
        let silent = format!("{silent:?}")
            .replace("password_rounds: None", &format!("password_rounds: Some({rounds})"));
        assert_eq!(format!("{written:?}"), silent);
    }

    #[test]
    fn the_manual_has_every_key() {
        let mut sections = vec![String::new()];
        let mut wanted = Vec::new();
        while let Some(section) = sections.pop() {
            // The refusal of an unknown key names those that there are.
            let text = match section.as_str() {
                "" => format!("nonsense = 1\n{LEAST}"),
                section => format!("{LEAST}[{section}]\nnonsense = 1\n"),
            };
            let refusal = load(&text).map(drop).unwrap_err().to_string();
            let names = refusal.split("expected").nth(1).unwrap_or_else(|| panic!("{refusal}"));
            for name in names.split('`').skip(1).step_by(2) {
                let key =
                    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
                if ["client_certificates", "create", "join", "limits", "log"]
                    .contains(&key.as_str())
                {
                    sections.push(key.clone());
                }
                wanted.push(key);
            }
        }
        // Sections with defaults of their own are shown by their keys.
        wanted.retain(|key| !["limits", "log"].contains(&key.as_str()));
        let mut shown: Vec<_> = manual().into_iter().map(|(key, _)| key).collect();
        wanted.sort();
        shown.sort();
        assert_eq!(shown, wanted);
    }
}
