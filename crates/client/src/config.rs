//! `casemate.toml`: where the cluster is, and how it is known.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use casemate_protocol::identity::ClusterId;
use casemate_protocol::limits;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// None of the places has a file.
    #[error("no configuration: set CASEMATE_CONFIG, or make one of {}", .searched.join(", "))]
    NotFound {
        /// The places, in order.
        searched: Vec<String>,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is wrong: the cause names line and key.
    #[error("{path} is wrong: {cause}")]
    Wrong {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: ClusterSection,
    #[serde(default)]
    client: ClientSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterSection {
    id: Option<String>,
    addresses: Vec<String>,
    ca: Option<PathBuf>,
    cluster_key_sha256: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ClientSection {
    deadline_ms: Option<u64>,
    polling_us: Option<u64>,
    keep_password: Option<bool>,
    log_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// What the client shows if the HSMs ask for a certificate.
pub struct ClientIdentity {
    /// The certificate, and those that lead to its CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientIdentity({} certificates)", self.chain.len())
    }
}

impl ClientIdentity {
    fn read(certificate: &Path, key: &Path) -> Result<Self, String> {
        let said =
            |path: &Path, cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| said(certificate, &error))?;
        if chain.is_empty() {
            return Err(said(certificate, &"no certificate in PEM"));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| said(key, &error))?;
        Ok(Self { chain, key })
    }
}

/// How a cluster is known to be the one that is meant.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Its id, which its certificate names.
    pub cluster: ClusterId,
    /// The customer's CA, DER.
    pub ca: Vec<u8>,
    /// SHA-256 of the cluster key's SubjectPublicKeyInfo, if it is pinned.
    pub key_sha256: Option<[u8; 32]>,
}

/// What a client must know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of HSMs, `host:port`.
    pub addresses: Vec<String>,
    /// How the cluster is known; none for one that is not initialised yet.
    pub trust: Option<Trust>,
    /// How long a call may take.
    pub deadline: Duration,
    /// How long to look for a reply before sleeping.
    pub polling: Duration,
    /// Whether the password is kept in memory, to log in by it when a ticket has ended because nobody used it for an hour.
    pub keep_password: bool,
    /// Where the library writes its log, if anywhere.
    pub log_file: Option<PathBuf>,
    /// What it shows if an HSM asks for a certificate.
    pub identity: Option<Arc<ClientIdentity>>,
}

const FILE: &str = "casemate.toml";
const POLLING_US: u64 = 40;

impl Config {
    /// Makes the configuration for a cluster that has no certificate yet.
    #[must_use]
    pub fn uninitialized(address: &str) -> Self {
        Self {
            addresses: vec![address.to_owned()],
            trust: None,
            deadline: Duration::from_millis(limits::DEADLINE_MS),
            polling: Duration::ZERO,
            keep_password: false,
            log_file: None,
            identity: None,
        }
    }

    /// Returns the file that counts: `$CASEMATE_CONFIG`, then `./casemate.toml`, `~/.config/casemate/casemate.toml`,
    /// `/etc/casemate/casemate.toml`.
    ///
    /// # Errors
    /// [`ConfigError::NotFound`] with the places.
    pub fn path() -> Result<PathBuf, ConfigError> {
        if let Some(path) = std::env::var_os("CASEMATE_CONFIG") {
            return Ok(path.into());
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let mut places = vec![PathBuf::from(FILE)];
        places.extend(home.map(|home| home.join(".config/casemate").join(FILE)));
        places.push(Path::new("/etc/casemate").join(FILE));
        let searched = places.iter().map(|place| place.display().to_string()).collect();
        places.into_iter().find(|place| place.exists()).ok_or(ConfigError::NotFound { searched })
    }

    /// Finds and reads the configuration.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn find() -> Result<Self, ConfigError> {
        Self::load(&Self::path()?)
    }

    /// Reads a configuration. Paths in it are relative to it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::read(&read(path)?, path)
    }

    /// Reads what a configuration at `path` says.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(bytes: &[u8], path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let wrong = |cause: String| ConfigError::Wrong { path: name.clone(), cause };
        let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        let file: File = toml::from_str(text).map_err(|error| wrong(place(text, &error)))?;
        if file.cluster.addresses.is_empty() {
            return Err(wrong("`cluster.addresses` names no HSM".to_owned()));
        }
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        let trust = match (file.cluster.id, file.cluster.ca) {
            (Some(id), Some(ca)) => {
                let cluster =
                    id.parse().map_err(|error| wrong(format!("`cluster.id`: {error}")))?;
                let pem = read(&directory.join(&ca))?;
                let ca = pem_certificate(&pem)
                    .ok_or_else(|| wrong("`cluster.ca` holds no certificate in PEM".to_owned()))?;
                let pin = file.cluster.cluster_key_sha256.as_deref().map(read_pin);
                let pin = pin.map(|pin| {
                    pin.ok_or_else(|| {
                        wrong(
                            "`cluster.cluster_key_sha256` is not 64 hexadecimal digits".to_owned(),
                        )
                    })
                });
                Some(Trust { cluster, ca, key_sha256: pin.transpose()? })
            }
            _ => return Err(wrong("`cluster.id` and `cluster.ca` are needed".to_owned())),
        };
        let identity = match (file.client.certificate, file.client.key) {
            (Some(certificate), Some(key)) => {
                let read = ClientIdentity::read(&directory.join(certificate), &directory.join(key));
                Some(read.map_err(wrong)?)
            }
            (None, None) => None,
            _ => return Err(wrong("`client.certificate` and `client.key` go together".to_owned())),
        };
        Ok(Self {
            addresses: file.cluster.addresses,
            trust,
            deadline: Duration::from_millis(file.client.deadline_ms.unwrap_or(limits::DEADLINE_MS)),
            polling: Duration::from_micros(file.client.polling_us.unwrap_or(POLLING_US).min(1_000)),
            keep_password: file.client.keep_password.unwrap_or(true),
            log_file: file.client.log_file.map(|file| directory.join(file)),
            identity: identity.map(Arc::new),
        })
    }
}

/// Bytes of the largest file that is read: a configuration, a CA.
const FILE_BYTES_MAX: u64 = 1 << 20;

fn read(file: &Path) -> Result<Vec<u8>, ConfigError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file)
        .and_then(|open| open.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(cause) => Err(ConfigError::Unreadable { path: file.display().to_string(), cause }),
    }
}

/// Says on one line where a text is wrong, and why.
fn place(text: &str, error: &toml::de::Error) -> String {
    let cause = error.message().replace('\n', ", ");
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {cause}", before.matches('\n').count() + 1),
        None => cause,
    }
}

/// Reads the first certificate of a PEM file as DER.
pub(crate) fn pem_certificate(pem: &[u8]) -> Option<Vec<u8>> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).ok()?;
    (pem.label == "CERTIFICATE").then_some(pem.contents)
}

fn read_pin(text: &str) -> Option<[u8; 32]> {
    let mut pin = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in pin.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_that_names_the_line() {
        for text in
            ["[cluster]\naddresses = ['a:1']\nport = 3", "[cluster]\n\naddresses = [", "\n\n[x"]
        {
            let message = message(text);
            assert!(message.contains("line 3: "), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }

    fn message(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        std::fs::write(&path, text).unwrap();
        Config::load(&path).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn faults_are_named() {
        for (text, cause) in [
            ("", "missing field `cluster`"),
            ("[cluster]\naddresses = []", "names no HSM"),
            ("[cluster]\naddresses = ['a:1']\nport = 3", "port"),
            ("[cluster]\naddresses = ['a:1']", "`cluster.id` and `cluster.ca`"),
            ("[cluster]\naddresses = ['a:1']\nid = 'x'\nca = 'y'", "cluster-aaaaaaaaaaaaaaaa"),
            (
                "[cluster]\naddresses = ['a:1']\nid = 'cluster-aaaaaaaaaaaaaaaa'\nca = 'y'",
                "cannot be read",
            ),
        ] {
            assert!(message(text).contains(cause), "{text}: {}", message(text));
        }
    }

    #[test]
    fn the_manual_has_every_key_and_default() {
        const MANUAL: &str = include_str!("../../../docs/operate/configuration.md");
        let section = MANUAL.split("\n## ").find(|section| section.starts_with("casemate.toml"));
        let rows = section.unwrap().lines().filter(|line| line.starts_with("| `"));
        let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')));
        let rows: Vec<_> =
            cells.map(|mut cells| (cells.nth(1).unwrap(), cells.next().unwrap())).collect();
        let mut wanted = Vec::new();
        for section in ["cluster", "client"] {
            let addresses =
                if section == "client" { "[cluster]\naddresses = ['a:1']\n" } else { "" };
            let refusal = message(&format!("{addresses}[{section}]\nnonsense = 1"));
            let names = refusal.split("expected").nth(1).unwrap_or_else(|| panic!("{refusal}"));
            wanted.extend(
                names.split('`').skip(1).step_by(2).map(|name| format!("{section}.{name}")),
            );
        }
        let shown: Vec<_> = rows.iter().map(|(key, _)| (*key).to_owned()).collect();
        assert_eq!(shown, wanted);
        let default = |key: &str| rows.iter().find(|(known, _)| *known == key).unwrap().1;
        assert_eq!(default("client.deadline_ms"), limits::DEADLINE_MS.to_string());
        assert_eq!(default("client.polling_us"), POLLING_US.to_string());
    }
}
