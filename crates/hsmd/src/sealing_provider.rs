//! The module's secrets at rest: a file of the data directory, in the clear or under a passphrase.
//!
//! | provider | stolen disk | host root, off-line | another program on the host |
//! | --- | --- | --- | --- |
//! | `file` | opens it | opens it | only as the daemon's user or root |
//! | `passphrase` | does not open it | if the passphrase lies there, too | likewise |
//!
//! The file is replaced whole: written under another name, synced, renamed. It ends with the SHA-256 of what stands before, so that
//! damage is named as such, and not taken for another passphrase or, worse, for other keys. The secrets of a new cluster
//! lie under a name of their own until the first entry of its log is on the disk: so a log or secrets without the other is
//! always a loss, never a beginning.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use casemate_cluster::testing;
use casemate_crypto::{Hash, Secret, aes, digest, kdf, random};
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};

use crate::configuration::Sealing;

const FILE: &str = "module.sealed";
/// The secrets of a cluster that is being made: nobody was told of it yet.
const CREATING: &str = "module.creating";
const UNFINISHED: &str = "module.unfinished";
/// The keys of a module that joins, until it has the cluster's state.
const JOINING: &str = "module.joining";
const DIGEST: usize = 32;
const DOMAIN: &str = "casemate/module-secrets/v1";
const ROUNDS: u32 = 600_000;
const PLAIN: u8 = 0;
const PASSPHRASE: u8 = 1;

/// Why the secrets cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealingError {
    #[error("the module's secrets cannot be read or written")]
    Io(#[from] io::Error),
    #[error(
        "module.sealed is damaged: restore it, or the whole HSM, from a copy; nothing was changed"
    )]
    Damaged,
    #[error("the module's secrets are sealed by another provider than `sealing.provider` says")]
    OtherProvider,
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    #[error("the passphrase file {path} cannot be read or is empty")]
    NoPassphrase { path: PathBuf },
}

impl From<CanonicalError> for SealingError {
    fn from(_: CanonicalError) -> Self {
        Self::Damaged
    }
}

/// Reads and writes the secrets.
pub(crate) struct SealingProvider {
    directory: PathBuf,
    passphrase: Option<Secret>,
    /// Held while the file is written: there is one unfinished file.
    writing: Mutex<()>,
}

impl SealingProvider {
    /// Reads the passphrase, if there is one: afterwards its file is out of reach.
    pub(crate) fn new(directory: &Path, sealing: &Sealing) -> Result<Self, SealingError> {
        let passphrase = match sealing {
            Sealing::File => None,
            Sealing::Passphrase { file } => {
                let missing = || SealingError::NoPassphrase { path: file.clone() };
                let text = std::fs::read(file).map_err(|_error: io::Error| missing())?;
                let text = Secret::from_vec(text);
                let trimmed = text.expose().trim_ascii_end();
                if trimmed.is_empty() {
                    return Err(missing());
                }
                Some(Secret::from_slice(trimmed))
            }
        };
        Ok(Self { directory: directory.to_owned(), passphrase, writing: Mutex::default() })
    }

    /// Returns the name that the status shows.
    pub(crate) const fn name(&self) -> &'static str {
        if self.passphrase.is_some() { "passphrase" } else { "file" }
    }

    /// Reads the secrets; none if there are none yet.
    pub(crate) fn read(&self) -> Result<Option<Secret>, SealingError> {
        self.take(FILE)
    }

    /// Reads the keys of a module that joins; none if it does not.
    pub(crate) fn read_joining(&self) -> Result<Option<Secret>, SealingError> {
        self.take(JOINING)
    }

    /// Writes the keys of a module that joins, durably.
    pub(crate) fn write_joining(&self, keys: &Secret) -> Result<(), SealingError> {
        self.put(keys, JOINING)
    }

    /// The module has the cluster's state: from now on it is one like the others.
    pub(crate) fn joined(&self) -> Result<(), SealingError> {
        std::fs::remove_file(self.directory.join(JOINING))?;
        Ok(std::fs::File::open(&self.directory)?.sync_all()?)
    }

    fn take(&self, name: &str) -> Result<Option<Secret>, SealingError> {
        let bytes = match std::fs::read(self.directory.join(name)) {
            Ok(bytes) => Secret::from_vec(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (content, found) =
            bytes.expose().split_last_chunk::<DIGEST>().ok_or(SealingError::Damaged)?;
        if digest::sha256(&[content]) != *found {
            return Err(SealingError::Damaged);
        }
        let mut reader = Reader::new(content, DOMAIN)?;
        let secrets = match (reader.u8()?, &self.passphrase) {
            (PLAIN, None) => Secret::from_slice(reader.bytes()?),
            (PASSPHRASE, Some(passphrase)) => {
                let salt: [u8; 32] = reader.fixed()?;
                let rounds = reader.u32()?;
                let key = derive(passphrase, &salt, rounds)?;
                let opened = aes::open_gcm_once(key.expose(), DOMAIN.as_bytes(), reader.bytes()?);
                opened.map_err(|_error: casemate_crypto::Error| SealingError::WrongPassphrase)?
            }
            (PLAIN | PASSPHRASE, _) => return Err(SealingError::OtherProvider),
            _ => return Err(SealingError::Damaged),
        };
        reader.finish()?;
        Ok(Some(secrets))
    }

    /// Whether a cluster was being made when the daemon ended.
    pub(crate) fn was_creating(&self) -> bool {
        self.directory.join(CREATING).exists()
    }

    /// Writes the secrets of a new cluster durably: they count once [`SealingProvider::created`] was called.
    pub(crate) fn create(&self, secrets: &Secret) -> Result<(), SealingError> {
        self.put(secrets, CREATING)
    }

    /// The first entry of the new cluster's log is on the disk.
    pub(crate) fn created(&self) -> Result<(), SealingError> {
        testing::pass("cluster-written");
        std::fs::rename(self.directory.join(CREATING), self.directory.join(FILE))?;
        std::fs::File::open(&self.directory)?.sync_all()?;
        testing::pass("cluster-created");
        Ok(())
    }

    /// Writes the secrets durably.
    pub(crate) fn write(&self, secrets: &Secret) -> Result<(), SealingError> {
        self.put(secrets, FILE)
    }

    fn put(&self, secrets: &Secret, name: &str) -> Result<(), SealingError> {
        let bytes = self.seal(secrets)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished = self.directory.join(UNFINISHED);
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes.expose())?;
        file.sync_all()?;
        testing::pass("secrets-written");
        std::fs::rename(&unfinished, self.directory.join(name))?;
        std::fs::File::open(&self.directory)?.sync_all()?;
        testing::pass("secrets-renamed");
        Ok(())
    }

    fn seal(&self, secrets: &Secret) -> Result<Secret, SealingError> {
        let mut writer = Writer::new(DOMAIN);
        match &self.passphrase {
            None => {
                writer.u8(PLAIN).bytes(secrets.expose());
            }
            Some(passphrase) => {
                let mut salt = [0; 32];
                random::fill(&mut salt);
                let key = derive(passphrase, &salt, ROUNDS)?;
                let mut sealed = Vec::new();
                aes::seal_gcm_once(key.expose(), DOMAIN.as_bytes(), secrets.expose(), &mut sealed)
                    .map_err(|_error: casemate_crypto::Error| SealingError::Damaged)?;
                writer.u8(PASSPHRASE).fixed(&salt).u32(ROUNDS).bytes(&sealed);
            }
        }
        let content = Secret::from_vec(writer.finish());
        let digest = digest::sha256(&[content.expose()]);
        // Of its final size from the start, so that no part of it stays behind in memory.
        let mut bytes = Vec::with_capacity(content.expose().len() + DIGEST);
        bytes.extend_from_slice(content.expose());
        bytes.extend_from_slice(&digest);
        Ok(Secret::from_vec(bytes))
    }
}

fn derive(passphrase: &Secret, salt: &[u8; 32], rounds: u32) -> Result<Secret, SealingError> {
    let mut key = [0; 32];
    kdf::pbkdf2(Hash::Sha512, passphrase.expose(), salt, rounds, &mut key)
        .map_err(|_error: casemate_crypto::Error| SealingError::Damaged)?;
    Ok(Secret::from_slice(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_read_back_under_the_same_provider_only() {
        let directory = tempfile::tempdir().unwrap();
        let phrase = |name: &str, text: &str| {
            let file = directory.path().join(name);
            std::fs::write(&file, text).unwrap();
            SealingProvider::new(directory.path(), &Sealing::Passphrase { file })
        };
        let file = SealingProvider::new(directory.path(), &Sealing::File).unwrap();
        let right = phrase("right", "open sesame\n").unwrap();
        let wrong = phrase("wrong", "open barley").unwrap();
        assert!(file.read().unwrap().is_none());
        file.write(&Secret::from_slice(b"pebble")).unwrap();
        assert_eq!(file.read().unwrap().unwrap().expose(), b"pebble");
        assert!(matches!(right.read(), Err(SealingError::OtherProvider)));
        right.write(&Secret::from_slice(b"pebble")).unwrap();
        assert_eq!(right.read().unwrap().unwrap().expose(), b"pebble");
        assert!(matches!(wrong.read(), Err(SealingError::WrongPassphrase)));
        let bytes = std::fs::read(directory.path().join(FILE)).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"pebble"));
        assert!(phrase("empty", "\n").is_err());
    }

    #[test]
    fn a_flip_anywhere_is_damage_and_no_other_secret() {
        let directory = tempfile::tempdir().unwrap();
        let provider = SealingProvider::new(directory.path(), &Sealing::File).unwrap();
        provider.write(&Secret::from_slice(b"pebble")).unwrap();
        let path = directory.path().join(FILE);
        let right = std::fs::read(&path).unwrap();
        for flipped in 0..right.len() {
            let mut wrong = right.clone();
            wrong[flipped] ^= 1;
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(provider.read(), Err(SealingError::Damaged)), "{flipped}");
        }
        for length in 0..right.len() {
            std::fs::write(&path, &right[..length]).unwrap();
            assert!(matches!(provider.read(), Err(SealingError::Damaged)), "{length}");
        }
    }
}
