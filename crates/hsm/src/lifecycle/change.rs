//! Changes in the life of a cluster, as commands: encoded, and decided again on the state at their index.

use std::sync::Arc;

use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{ClusterId, UserId};
use casemate_protocol::messages::{Answer, ChangeSettings, Csr, Empty, JoinRequest, Lifecycle};

use prost::Message as _;

use super::{ClusterState, Settings, certificates, first_admin, settings};
use crate::command::Author;
use crate::log_in::password::Verifier;
use crate::members::join;
use crate::sealing::Keyring;
use crate::state::State;
use crate::users::{decode_verifier, encode_verifier};

/// A change in the life of a cluster.
pub(crate) enum LifecycleChange {
    /// The first entry of every log.
    Create {
        id: ClusterId,
        settings: Settings,
        sealed_key: Vec<u8>,
        spki: Vec<u8>,
        csr: Csr,
        /// The first HSM.
        first: Box<JoinRequest>,
    },
    /// The customer's certificate (DER) and trust anchor (DER).
    Initialize { certificate: Vec<u8>, trust_anchor: Vec<u8> },
    /// The first admin.
    Activate { id: UserId, verifier: Verifier },
    /// Settings, by an admin.
    Settings(ChangeSettings),
}

impl LifecycleChange {
    /// Writes it into a command.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Create { id, settings, sealed_key, spki, csr, first } => {
                writer.u8(1).fixed(id.as_bytes());
                settings.encode(writer);
                writer.bytes(sealed_key).bytes(spki);
                encode_csr(csr, writer);
                writer.bytes(&first.encode_to_vec());
            }
            Self::Initialize { certificate, trust_anchor } => {
                writer.u8(2).bytes(certificate).bytes(trust_anchor);
            }
            Self::Activate { id, verifier } => {
                writer.u8(3).fixed(id.as_bytes());
                encode_verifier(verifier, writer);
            }
            Self::Settings(change) => {
                writer.u8(4).bytes(&change.encode_to_vec());
            }
        }
    }

    /// Reads it from a command.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        match reader.u8()? {
            1 => Ok(Self::Create {
                id: ClusterId::from_bytes(reader.fixed()?),
                settings: Settings::decode(reader)?,
                sealed_key: reader.bytes()?.to_vec(),
                spki: reader.bytes()?.to_vec(),
                csr: decode_csr(reader)?,
                first: JoinRequest::decode(reader.bytes()?)
                    .map(Box::new)
                    .map_err(|_error: prost::DecodeError| CanonicalError::Value)?,
            }),
            2 => {
                let certificate = reader.bytes()?.to_vec();
                Ok(Self::Initialize { certificate, trust_anchor: reader.bytes()?.to_vec() })
            }
            3 => {
                let id = UserId::from_bytes(reader.fixed()?);
                Ok(Self::Activate { id, verifier: decode_verifier(reader)? })
            }
            4 => ChangeSettings::decode(reader.bytes()?)
                .map(Self::Settings)
                .map_err(|_error: prost::DecodeError| CanonicalError::Value),
            _ => Err(CanonicalError::Value),
        }
    }

    /// Decides again, and changes the state.
    ///
    /// # Errors
    /// Why not; the state is then as before.
    pub(crate) fn apply(
        self,
        state: &mut State,
        keyring: &Keyring,
        author: Option<&Author>,
    ) -> Result<Answer, Error> {
        match self {
            Self::Create { id, settings, sealed_key, spki, csr, first } => {
                if state.cluster.is_some() {
                    return Err(Error::AlreadyInitialized);
                }
                let cluster = ClusterState {
                    id,
                    lifecycle: Lifecycle::Uninitialized,
                    settings,
                    sealed_key,
                    spki,
                    csr,
                    certificate: Vec::new(),
                    trust_anchor: Vec::new(),
                };
                cluster.open_key(keyring)?;
                join::check_request(&first)?;
                state.members.put(join::hsm_of(&first)?, *first);
                state.cluster = Some(Arc::new(cluster));
            }
            Self::Initialize { certificate, trust_anchor } => {
                initialize(state, certificate, trust_anchor)?;
            }
            Self::Activate { id, verifier } => activate(state, id, verifier)?,
            Self::Settings(change) => return settings::apply(state, author, &change),
        }
        Ok(Answer::Done(Empty {}))
    }
}

fn initialize(state: &mut State, certificate: Vec<u8>, trust_anchor: Vec<u8>) -> Result<(), Error> {
    let cluster = state.cluster.as_ref().ok_or(Error::NotInitialized)?;
    if cluster.lifecycle != Lifecycle::Uninitialized {
        return Err(Error::AlreadyInitialized);
    }
    certificates::check_cluster_certificate(
        cluster.id,
        &cluster.spki,
        &certificate,
        &trust_anchor,
        state.time,
    )?;
    let mut next = ClusterState::clone(cluster);
    next.lifecycle = Lifecycle::Initialized;
    next.certificate = certificate;
    next.trust_anchor = trust_anchor;
    state.cluster = Some(Arc::new(next));
    Ok(())
}

fn activate(state: &mut State, id: UserId, verifier: Verifier) -> Result<(), Error> {
    let cluster = state.cluster.as_ref().ok_or(Error::NotInitialized)?;
    match cluster.lifecycle {
        Lifecycle::Initialized => {}
        Lifecycle::Active => return Err(Error::AlreadyActivated),
        Lifecycle::Uninitialized | Lifecycle::Zeroized => return Err(Error::NotInitialized),
    }
    let mut next = ClusterState::clone(cluster);
    next.lifecycle = Lifecycle::Active;
    state.users.put(first_admin(id, verifier)?);
    state.cluster = Some(Arc::new(next));
    Ok(())
}

fn encode_csr(csr: &Csr, writer: &mut Writer) {
    writer
        .bytes(csr.csr.as_bytes())
        .bytes(csr.module_certificate.as_bytes())
        .bytes(&csr.evidence)
        .bytes(&csr.hsm);
}

fn decode_csr(reader: &mut Reader<'_>) -> Result<Csr, CanonicalError> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .map_err(|_error: std::string::FromUtf8Error| CanonicalError::Value)
    };
    Ok(Csr {
        csr: text(reader.bytes()?)?,
        module_certificate: text(reader.bytes()?)?,
        evidence: reader.bytes()?.to_vec(),
        hsm: reader.bytes()?.to_vec(),
    })
}

impl ClusterState {
    /// Writes it for a snapshot.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.fixed(self.id.as_bytes()).u32(self.lifecycle as u32);
        self.settings.encode(writer);
        writer
            .bytes(&self.sealed_key)
            .bytes(&self.spki)
            .bytes(&self.certificate)
            .bytes(&self.trust_anchor);
        encode_csr(&self.csr, writer);
    }

    /// Reads it from a snapshot.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        Ok(Self {
            id: ClusterId::from_bytes(reader.fixed()?),
            lifecycle: Lifecycle::from_number(reader.u32()?).ok_or(CanonicalError::Value)?,
            settings: Settings::decode(reader)?,
            sealed_key: reader.bytes()?.to_vec(),
            spki: reader.bytes()?.to_vec(),
            certificate: reader.bytes()?.to_vec(),
            trust_anchor: reader.bytes()?.to_vec(),
            csr: decode_csr(reader)?,
        })
    }
}
