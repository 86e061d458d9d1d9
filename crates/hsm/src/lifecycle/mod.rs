//! The life of a cluster: made, initialised with the customer's certificate, activated.
//!
//! ```text
//! create ──▶ Uninitialized ──initialize──▶ Initialized ──activate──▶ Active
//!            cluster key and CSR           certificate and           first admin;
//!            made inside                   trust anchor              masking key made anew
//! ```
//!
//! The cluster's private key is made inside and lies in the replicated state, sealed. What the customer signs is
//! the CSR; the module takes the certificate only if it is for that key, names the cluster, and is signed by
//! the trust anchor. Activation is signed by a key under that anchor, over this cluster and this
//! connection, so that nobody who merely reaches the port becomes admin.

use std::sync::Arc;

use casemate_crypto::{Secret, digest, ec};
use casemate_protocol::canonical::Writer;
use casemate_protocol::identity::{ClusterId, Epoch, HsmId, Incarnation, UserId, UserName};
use casemate_protocol::messages::{Activate, Answer, Csr, Empty, Initialize, Lifecycle};
use casemate_protocol::{Error, Role, limits as wire, statements};

use crate::authority::Authority;
use crate::command::Change;
use crate::entropy::{Entropy, Time, draw};
use crate::limits;
use crate::log_in::password::{self, Verifier};
use crate::members::join;
use crate::outcome::{Answered, Outcome};
use crate::reader::{Caller, Context, Reader as ModuleReader};
use crate::sealing::{Keyring, Purpose};
use crate::secrets::{Own, Secrets};
use crate::shared::Shared;
use crate::{Applier, StartError};

pub(crate) mod certificates;
mod change;
pub(crate) mod settings;

pub(crate) use change::LifecycleChange;
pub use settings::Settings;

/// The name of the first admin, as AWS CloudHSM has it.
pub(crate) const FIRST_ADMIN: &str = "admin";

/// What the module knows of the machine it runs on.
#[derive(Clone, Debug)]
pub struct ThisHsm {
    /// Its id.
    pub id: HsmId,
    /// The address that clients use.
    pub address: String,
    /// The address that other HSMs use.
    pub peer_address: String,
    /// The label of its zone.
    pub zone: String,
    /// The version of its software.
    pub version: String,
    /// How its secrets lie on disk.
    pub protection: String,
}

/// The cluster itself, in the replicated state.
#[derive(Clone)]
pub(crate) struct ClusterState {
    pub(crate) id: ClusterId,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) settings: Settings,
    /// The cluster's private key, PKCS#8, sealed for [`Purpose::Token`].
    sealed_key: Vec<u8>,
    /// Its SubjectPublicKeyInfo, DER.
    spki: Vec<u8>,
    csr: Csr,
    /// DER; empty before initialisation.
    certificate: Vec<u8>,
    /// DER; empty before initialisation.
    trust_anchor: Vec<u8>,
}

impl ClusterState {
    /// Returns the customer's CA certificate, DER; empty before initialisation.
    pub(crate) fn trust_anchor(&self) -> &[u8] {
        &self.trust_anchor
    }

    /// The cluster's certificate, DER; empty before it is initialised.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Returns SHA-256 of the cluster key's SubjectPublicKeyInfo: what clients pin.
    pub(crate) fn key_sha256(&self) -> [u8; 32] {
        digest::sha256(&[&self.spki])
    }

    /// Opens the cluster's private key.
    ///
    /// # Errors
    /// [`Error::Internal`] if the state is not ours.
    pub(crate) fn open_key(&self, keyring: &Keyring) -> Result<Secret, Error> {
        let opened = keyring.open(Purpose::Token, &self.sealed_key);
        opened.map(|opened| opened.plaintext).map_err(|_error| Error::Internal)
    }
}

/// Makes a new cluster of one: its secrets, to be stored before anything else, and the first entry of its log.
///
/// # Errors
/// [`StartError`].
pub fn create(
    settings: &Settings,
    this: &ThisHsm,
    entropy: &dyn Entropy,
    now: Time,
) -> Result<(Secrets, Vec<u8>), StartError> {
    let own = Own::generate()?;
    let first = join::request(this, &own)?;
    let cluster = ClusterId::from_bytes(draw(entropy));
    let incarnation = Incarnation::from_bytes(draw(entropy));
    let key = ec::PrivateKey::generate(ec::Curve::P256)?;
    let csr = certificates::request(cluster, this, &key, own.identity())?;
    let secrets = Secrets::generate(cluster, incarnation, this.id, own);
    let keyring = Keyring::new(&secrets);
    let fields = Writer::new("casemate/cluster-key/v1").fixed(cluster.as_bytes()).finish();
    let change = LifecycleChange::Create {
        id: cluster,
        settings: settings.clone(),
        sealed_key: keyring.seal(Purpose::Token, &fields, key.to_pkcs8()?.expose()),
        spki: key.public_key()?.to_spki()?,
        csr,
        first: Box::new(first),
    };
    let command = crate::command::Command {
        id: casemate_protocol::identity::CommandId::from_bytes(draw(entropy)),
        proposer: this.id,
        time: now,
        author: None,
        request: None,
        change: Change::Lifecycle(change),
    };
    Ok((secrets, command.seal(&keyring)))
}

/// Starts the module on its secrets; the state comes by [`Applier::install`] and [`Applier::apply`].
///
/// # Errors
/// [`StartError::Cryptography`] if a power-on self-test fails.
pub fn start(
    secrets: Secrets,
    this: ThisHsm,
    entropy: Box<dyn Entropy>,
) -> Result<(ModuleReader, Applier), StartError> {
    casemate_crypto::self_test::run()?;
    let shared = Shared::new(secrets, this, entropy);
    Ok((ModuleReader::new(Arc::clone(&shared)), Applier::new(shared)))
}

/// Answers a request for the CSR.
pub(crate) fn csr(context: &Context<'_>) -> Result<Answer, Error> {
    let cluster = context.state.cluster.as_ref().ok_or(Error::NotReady(limits::BUSY_MS))?;
    Ok(Answer::Csr(cluster.csr.clone()))
}

/// Answers a request to initialise: the early check is a courtesy, `apply` checks the same.
pub(crate) fn initialize(context: &Context<'_>, request: &Initialize) -> Result<Outcome, Error> {
    let limit = wire::CERTIFICATE_BYTES_MAX;
    if request.certificate.len() > limit || request.trust_anchor.len() > limit {
        return Err(Error::CertificateInvalid);
    }
    let cluster = context.state.cluster.as_ref().ok_or(Error::NotReady(limits::BUSY_MS))?;
    let trust_anchor =
        certificates::read_pem(&request.trust_anchor).ok_or(Error::TrustAnchorInvalid)?;
    let certificate =
        certificates::read_pem(&request.certificate).ok_or(Error::CertificateInvalid)?;
    certificates::check_cluster_certificate(
        cluster.id,
        &cluster.spki,
        &certificate,
        &trust_anchor,
        context.now,
    )?;
    let change = LifecycleChange::Initialize { certificate, trust_anchor };
    Ok(context.propose(crate::permissions::Action::Initialize, Change::Lifecycle(change)))
}

/// Answers a request to activate: makes the masking key anew, then proposes the first admin.
pub(crate) fn activate(
    context: &Context<'_>,
    caller: &Caller,
    request: &Activate,
) -> Result<Outcome, Error> {
    let cluster = context.state.cluster.as_ref().ok_or(Error::NotReady(limits::BUSY_MS))?;
    let secret = password::check_form(&request.password)?;
    if !cluster.settings.activation_open {
        let statement = statements::activation(cluster.id, &caller.exporter, &caller.nonce);
        certificates::check_signature_under(
            &cluster.trust_anchor,
            &request.certificate,
            (&statement, &request.signature),
            context.now,
        )?;
    }
    let authority = context.author();
    let reader = context.reader.clone();
    let id = UserId::from_bytes(draw(reader.entropy()));
    let salt = draw(reader.entropy());
    let rounds = cluster.settings.password_rounds;
    Ok(Outcome::offload(move || {
        Verifier::new(&secret, salt, rounds)
            .map(|verifier| {
                propose_activation(reader, authority, LifecycleChange::Activate { id, verifier })
            })
            .into()
    }))
}

/// Proposes the activation together with a new masking key: what is sealed afterwards is sealed under that,
/// and the old one opens what was before.
fn propose_activation(
    reader: ModuleReader,
    authority: Authority,
    change: LifecycleChange,
) -> Outcome {
    let secrets = reader.shared().activation_secrets();
    let persist = secrets.export();
    let keyring = reader.keyring();
    let mut proposal = authority.seal(Change::Lifecycle(change), &keyring, move |reply| {
        if matches!(reply.answer, Some(Answer::Done(Empty {}))) {
            reader.shared().use_secrets(secrets);
        }
        Answered::new(reply)
    });
    proposal.persist = Some(persist);
    Outcome::Propose(proposal)
}

/// Makes the first admin.
fn first_admin(id: UserId, verifier: Verifier) -> Result<crate::users::User, Error> {
    let name = UserName::new(FIRST_ADMIN)?;
    Ok(crate::users::User { id, name, role: Role::Admin, epoch: Epoch(1), verifier, locked: false })
}
