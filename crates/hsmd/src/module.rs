//! How the module of this HSM begins: made with a new cluster, as it was before, or let into a cluster of others.

use std::sync::Arc;

use casemate_cluster::disk::Disk;
use casemate_cluster::{Begin, Member};
use casemate_crypto::Secret;
use casemate_hsm::{
    Applier, Joiner, MemberAddress, Reader, Secrets, Settings, SystemEntropy, ThisHsm,
};
use casemate_protocol::identity::HsmId;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::Clock;
use crate::configuration::{Configuration, Create, Join};
use crate::peers::{Identity, PeerTls, identity, join};
use crate::sealing_provider::{SealingError, SealingProvider};
use crate::start::StartError;
use crate::tpm::Tpm;

/// A module that begins.
pub(crate) struct Module {
    pub(crate) reader: Reader,
    pub(crate) applier: Applier,
    pub(crate) begin: Begin,
    /// Its number among the members.
    pub(crate) node: u64,
    /// Who the members are, as it was told when it joined.
    pub(crate) told: Vec<MemberAddress>,
    pub(crate) tls: PeerTls,
}

/// How it begins, and with what.
enum Kind {
    New { entry: Vec<u8> },
    Existing,
    Joining { told: Vec<MemberAddress> },
}

fn this(configuration: &Configuration, provider: &SealingProvider) -> ThisHsm {
    ThisHsm {
        id: HsmId::from_bytes([0; 10]),
        address: configuration.listen.to_string(),
        peer_address: configuration.peer_address().to_string(),
        zone: configuration.zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protection: provider.name().to_owned(),
    }
}

fn new_id() -> HsmId {
    let mut id = [0; 10];
    casemate_crypto::random::fill(&mut id);
    HsmId::from_bytes(id)
}

/// Makes what shows a module's identity to other HSMs.
fn peer_tls(hsm: HsmId, key: &Secret) -> Result<(PeerTls, Identity), StartError> {
    let certificate = CertificateDer::from(casemate_hsm::identity_certificate(hsm, key)?);
    let who = identity(Some(std::slice::from_ref(&certificate)));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.expose().to_vec()));
    let tls = PeerTls::new(&certificate, &key).map_err(StartError::Peers)?;
    Ok((tls, who.unwrap_or_default()))
}

/// Reads, makes, or lets in.
pub(crate) fn begin(
    configuration: &Configuration,
    disk: &Arc<dyn Disk>,
    provider: &SealingProvider,
    tpm: Option<Tpm>,
) -> Result<Module, StartError> {
    let path = || configuration.data_directory.display().to_string();
    let has_log = casemate_cluster::has_log(disk.as_ref())?;
    let this = this(configuration, provider);
    let joining = provider.read_joining()?;
    let (secrets, this, kind) = match (provider.read()?, has_log, &configuration.create) {
        // Until it has the cluster's state, a module that joins asks again at each start.
        (secrets, ..)
            if joining.is_some() || (secrets.is_none() && configuration.join.is_some()) =>
        {
            let join = configuration.join.as_ref().ok_or(StartError::Empty { path: path() })?;
            join_a_cluster(this, joining.as_ref(), provider, join, tpm)?
        }
        (Some(secrets), true, _) => {
            let secrets =
                Secrets::import(secrets.expose()).map_err(|_error| SealingError::Damaged)?;
            let this = ThisHsm { id: secrets.hsm(), ..this };
            (secrets, this, Kind::Existing)
        }
        (Some(_), false, _) => return Err(StartError::LogMissing),
        (None, true, _) if !provider.was_creating() => return Err(StartError::SecretsMissing),
        (None, _, None) => return Err(StartError::Empty { path: path() }),
        // What a creation left that was interrupted is made anew: nobody was told of it.
        (None, _, Some(create)) => make_a_cluster(this, provider, create)?,
    };
    let node = secrets.node();
    let (tls, identity) = peer_tls(secrets.hsm(), secrets.identity())?;
    let address = configuration.peer_address().to_string();
    let (reader, applier) = casemate_hsm::start(secrets, this, Box::new(SystemEntropy))?;
    let (begin, told) = match kind {
        Kind::New { entry } => {
            (Begin::Genesis { entry, member: Member { address, identity } }, Vec::new())
        }
        Kind::Existing => (Begin::Existing, Vec::new()),
        Kind::Joining { told } => (Begin::Joining, told),
    };
    Ok(Module { reader, applier, begin, node, told, tls })
}

fn make_a_cluster(
    this: ThisHsm,
    provider: &SealingProvider,
    create: &Create,
) -> Result<(Secrets, ThisHsm, Kind), StartError> {
    let this = ThisHsm { id: new_id(), ..this };
    let default = Settings::default();
    let settings = Settings {
        fips_mode: create.fips_mode,
        dev: create.dev,
        public_objects: create.public_objects,
        activation_open: create.activation_open,
        password_rounds: create.password_rounds.unwrap_or(default.password_rounds),
        ..default
    };
    let (secrets, entry) =
        casemate_hsm::create(&settings, &this, &SystemEntropy, Clock::machine())?;
    provider.create(&secrets.export())?;
    Ok((secrets, this, Kind::New { entry }))
}

fn join_a_cluster(
    this: ThisHsm,
    joining: Option<&Secret>,
    provider: &SealingProvider,
    wanted: &Join,
    tpm: Option<Tpm>,
) -> Result<(Secrets, ThisHsm, Kind), StartError> {
    let joiner = match joining {
        Some(keys) => {
            Joiner::import(keys.expose(), this.clone()).map_err(|_error| SealingError::Damaged)?
        }
        None => {
            let joiner = Joiner::new(ThisHsm { id: new_id(), ..this.clone() })?;
            provider.write_joining(&joiner.export())?;
            joiner
        }
    };
    let (tls, _) = peer_tls(joiner.id(), joiner.identity())?;
    let (secrets, told) = join(&joiner, &tls, &wanted.addresses, tpm)?;
    provider.write(&secrets.export())?;
    let this = ThisHsm { id: joiner.id(), ..this };
    Ok((secrets, this, Kind::Joining { told }))
}
