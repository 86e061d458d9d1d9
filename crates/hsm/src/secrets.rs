//! The module's secrets: what it must have to be itself after a restart.
//!
//! The masking key (versioned) opens the replicated state; a second root is new with each incarnation
//! and never in a backup. Keys per purpose are derived from them ([`crate::sealing`]). The daemon
//! keeps the exported form under a sealing provider (design §5, "At rest").

use casemate_crypto::{Secret, random};
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};
use zeroize::Zeroizing;

const DOMAIN: &str = "casemate/secrets/v1";
const KEY_BYTES: usize = 32;
const MASKING_VERSIONS_MAX: u32 = 64;

/// The secrets of one module. They cannot be printed, and are wiped when dropped.
pub struct Secrets {
    cluster: ClusterId,
    incarnation: Incarnation,
    hsm: HsmId,
    /// In order of versions; never empty.
    masking: Vec<(u32, Secret)>,
    root: Secret,
    /// PKCS#8 of the module's identity key (P-256).
    identity: Secret,
}

fn fresh_key() -> Secret {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    random::fill(key.as_mut());
    Secret::from_slice(key.as_ref())
}

impl Secrets {
    /// Makes the secrets of the first module of a new cluster.
    pub(crate) fn generate(
        cluster: ClusterId,
        incarnation: Incarnation,
        hsm: HsmId,
        identity: Secret,
    ) -> Self {
        let masking = vec![(1, fresh_key())];
        Self { cluster, incarnation, hsm, masking, root: fresh_key(), identity }
    }

    /// Returns the same secrets with a new version of the masking key.
    pub(crate) fn with_new_masking_key(&self) -> Self {
        let mut next = self.duplicate();
        let version = next.masking.last().map_or(1, |(version, _)| version.saturating_add(1));
        next.masking.push((version, fresh_key()));
        next
    }

    /// Returns the same secrets without the versions of the masking key before `version`.
    pub(crate) fn without_masking_keys_before(&self, version: u32) -> Self {
        let mut next = self.duplicate();
        next.masking.retain(|(known, _)| *known >= version);
        next
    }

    /// Returns a copy.
    pub(crate) fn duplicate(&self) -> Self {
        let copy = |secret: &Secret| Secret::from_slice(secret.expose());
        Self {
            cluster: self.cluster,
            incarnation: self.incarnation,
            hsm: self.hsm,
            masking: self.masking.iter().map(|(version, key)| (*version, copy(key))).collect(),
            root: copy(&self.root),
            identity: copy(&self.identity),
        }
    }

    /// Returns the cluster.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Returns the incarnation.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Returns the HSM.
    #[must_use]
    pub const fn hsm(&self) -> HsmId {
        self.hsm
    }

    pub(crate) const fn incarnation_root(&self) -> &Secret {
        &self.root
    }

    pub(crate) fn masking_keys(&self) -> impl Iterator<Item = (u32, &Secret)> {
        self.masking.iter().map(|(version, key)| (*version, key))
    }

    /// Returns the form that the daemon seals and stores.
    #[must_use]
    pub fn export(&self) -> Secret {
        let mut writer = Writer::new(DOMAIN);
        writer
            .fixed(self.cluster.as_bytes())
            .fixed(self.incarnation.as_bytes())
            .fixed(self.hsm.as_bytes())
            .bytes(self.root.expose())
            .bytes(self.identity.expose())
            .u32(u32::try_from(self.masking.len()).unwrap_or(u32::MAX));
        for (version, key) in &self.masking {
            writer.u32(*version).bytes(key.expose());
        }
        Secret::from_vec(writer.finish())
    }

    /// Reads the exported form.
    ///
    /// # Errors
    /// [`CanonicalError`] if it is damaged or of another version.
    pub fn import(bytes: &[u8]) -> Result<Self, CanonicalError> {
        let mut reader = Reader::new(bytes, DOMAIN)?;
        let cluster = ClusterId::from_bytes(reader.fixed()?);
        let incarnation = Incarnation::from_bytes(reader.fixed()?);
        let hsm = HsmId::from_bytes(reader.fixed()?);
        let root = read_key(&mut reader)?;
        let identity = Secret::from_slice(reader.bytes()?);
        let count = reader.u32()?;
        if count == 0 || count > MASKING_VERSIONS_MAX {
            return Err(CanonicalError::Value);
        }
        let masking = (0..count).map(|_| Ok((reader.u32()?, read_key(&mut reader)?)));
        let masking = masking.collect::<Result<Vec<_>, CanonicalError>>()?;
        if !masking.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(CanonicalError::Value);
        }
        reader.finish()?;
        Ok(Self { cluster, incarnation, hsm, masking, root, identity })
    }
}

fn read_key(reader: &mut Reader<'_>) -> Result<Secret, CanonicalError> {
    let key = reader.bytes()?;
    if key.len() == KEY_BYTES { Ok(Secret::from_slice(key)) } else { Err(CanonicalError::Value) }
}
