//! The module's secrets: what it must have to be itself after a restart.
//!
//! The masking key (versioned) opens the replicated state; a second root is new with each incarnation
//! and never in a backup. Keys per purpose are derived from them ([`crate::sealing`]). The daemon
//! keeps the exported form under a sealing provider (design §5, "At rest").

use casemate_crypto::{Secret, ec, hybrid, random};
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};
use zeroize::Zeroizing;

const DOMAIN: &str = "casemate/secrets/v2";
const GIVEN_DOMAIN: &str = "casemate/given/v1";
const KEY_BYTES: usize = 32;
const MASKING_VERSIONS_MAX: u32 = 64;

/// The keys of the module itself, which no other has.
pub(crate) struct Own {
    /// PKCS#8 of the identity key (P-256): it signs, and shows on the port between HSMs who this is.
    identity: Secret,
    /// The stored form of the key by which the cluster's secrets are sealed for this module.
    receiving: Secret,
}

impl Own {
    /// Makes them.
    ///
    /// # Errors
    /// If the library does not.
    pub(crate) fn generate() -> Result<Self, casemate_crypto::Error> {
        let identity = ec::PrivateKey::generate(ec::Curve::P256)?.to_pkcs8()?;
        Ok(Self { identity, receiving: hybrid::PrivateKey::generate()?.to_bytes()? })
    }

    /// Returns the identity key, PKCS#8.
    pub(crate) const fn identity(&self) -> &Secret {
        &self.identity
    }

    /// Opens the receiving key.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn receiving_key(&self) -> Result<hybrid::PrivateKey, casemate_crypto::Error> {
        hybrid::PrivateKey::from_bytes(self.receiving.expose())
    }

    /// The identity key of one and the receiving key of another.
    #[cfg(test)]
    pub(crate) fn mixed(identity: &Self, receiving: &Self) -> Self {
        Self { receiving: receiving.duplicate().receiving, ..identity.duplicate() }
    }

    /// Returns a copy.
    pub(crate) fn duplicate(&self) -> Self {
        let copy = |secret: &Secret| Secret::from_slice(secret.expose());
        Self { identity: copy(&self.identity), receiving: copy(&self.receiving) }
    }

    /// Writes them.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.identity.expose()).bytes(self.receiving.expose());
    }

    /// Reads what [`Own::encode`] wrote.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let identity = Secret::from_slice(reader.bytes()?);
        Ok(Self { identity, receiving: Secret::from_slice(reader.bytes()?) })
    }
}

/// The secrets of one module. They cannot be printed, and are wiped when dropped.
pub struct Secrets {
    cluster: ClusterId,
    incarnation: Incarnation,
    hsm: HsmId,
    /// Its number among the members.
    node: u64,
    /// In order of versions; never empty.
    masking: Vec<(u32, Secret)>,
    root: Secret,
    own: Own,
}

/// The number of the first HSM of a cluster.
pub(crate) const FIRST_NODE: u64 = 1;

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
        own: Own,
    ) -> Self {
        let masking = vec![(1, fresh_key())];
        Self { cluster, incarnation, hsm, node: FIRST_NODE, masking, root: fresh_key(), own }
    }

    /// Makes the secrets of a module that was let in, of what it was given.
    ///
    /// # Errors
    /// [`CanonicalError`] if that is damaged.
    pub(crate) fn of_given(
        (cluster, incarnation): (ClusterId, Incarnation),
        (hsm, node): (HsmId, u64),
        own: Own,
        given: &[u8],
    ) -> Result<Self, CanonicalError> {
        let mut reader = Reader::new(given, GIVEN_DOMAIN)?;
        let root = read_key(&mut reader)?;
        let masking = read_masking(&mut reader)?;
        reader.finish()?;
        Ok(Self { cluster, incarnation, hsm, node, masking, root, own })
    }

    /// Returns what all modules of the cluster share.
    pub(crate) fn given(&self) -> Secret {
        let mut writer = Writer::new(GIVEN_DOMAIN);
        writer.bytes(self.root.expose());
        self.encode_masking(&mut writer);
        Secret::from_vec(writer.finish())
    }

    fn encode_masking(&self, writer: &mut Writer) {
        writer.u32(u32::try_from(self.masking.len()).unwrap_or(u32::MAX));
        for (version, key) in &self.masking {
            writer.u32(*version).bytes(key.expose());
        }
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
            node: self.node,
            masking: self.masking.iter().map(|(version, key)| (*version, copy(key))).collect(),
            root: copy(&self.root),
            own: self.own.duplicate(),
        }
    }

    /// Returns the keys of the module itself.
    pub(crate) const fn own(&self) -> &Own {
        &self.own
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

    /// Returns its number among the members.
    #[must_use]
    pub const fn node(&self) -> u64 {
        self.node
    }

    /// Returns the module's identity key, PKCS#8: for the connections to other HSMs.
    #[must_use]
    pub const fn identity(&self) -> &Secret {
        self.own.identity()
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
            .u64(self.node)
            .bytes(self.root.expose());
        self.own.encode(&mut writer);
        self.encode_masking(&mut writer);
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
        let node = reader.u64()?;
        let root = read_key(&mut reader)?;
        let own = Own::decode(&mut reader)?;
        let masking = read_masking(&mut reader)?;
        reader.finish()?;
        Ok(Self { cluster, incarnation, hsm, node, masking, root, own })
    }
}

fn read_masking(reader: &mut Reader<'_>) -> Result<Vec<(u32, Secret)>, CanonicalError> {
    let count = reader.u32()?;
    if count == 0 || count > MASKING_VERSIONS_MAX {
        return Err(CanonicalError::Value);
    }
    let masking = (0..count).map(|_| Ok((reader.u32()?, read_key(reader)?)));
    let masking = masking.collect::<Result<Vec<_>, CanonicalError>>()?;
    if masking.is_sorted_by(|(a, _), (b, _)| a < b) {
        Ok(masking)
    } else {
        Err(CanonicalError::Value)
    }
}

fn read_key(reader: &mut Reader<'_>) -> Result<Secret, CanonicalError> {
    let key = reader.bytes()?;
    if key.len() == KEY_BYTES { Ok(Secret::from_slice(key)) } else { Err(CanonicalError::Value) }
}
