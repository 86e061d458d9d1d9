//! From a configuration to a serving HSM, and to its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use casemate_cluster::disk::{Disk, RealDisk};
use casemate_cluster::{Alone, Begin, Cluster, Config, Member, StoreError};
use casemate_hsm::{Applier, Reader, Secrets, Settings, SystemEntropy, ThisHsm};
use casemate_protocol::identity::HsmId;
use nix::sys::signal::{SigSet, Signal};

use crate::clock::Clock;
use crate::configuration::Configuration;
use crate::hardening::{self, HardeningError};
use crate::notify::notify;
use crate::sealing_provider::{SealingError, SealingProvider};
use crate::server::{Server, ServerError};
use crate::tls::{Tls, TlsError, client_verifier};

/// Why the daemon does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the data directory {path} cannot be used")]
    Directory { path: String, source: io::Error },
    #[error("the data directory {path} is in use by another daemon")]
    InUse { path: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sealing(#[from] SealingError),
    #[error(
        "the data directory holds a log but no module.sealed: restore it, or the whole HSM, from a copy; nothing was changed"
    )]
    SecretsMissing,
    #[error(
        "the data directory holds module.sealed but no log: restore it, or the whole HSM, from a copy; nothing was changed"
    )]
    LogMissing,
    #[error(
        "the data directory {path} is empty, and the configuration has no [create]: nothing to start"
    )]
    Empty { path: String },
    #[error(
        "a cluster made with `dev = true` is for one machine: `listen` must be a loopback address, not {0}"
    )]
    DevInTheOpen(SocketAddr),
    #[error(transparent)]
    Module(#[from] casemate_hsm::StartError),
    #[error(transparent)]
    Hardening(#[from] HardeningError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("signals cannot be waited for")]
    Signals(#[from] nix::Error),
}

impl StartError {
    /// Returns the exit code that scripts rely on.
    pub(crate) const fn exit_code(error: &Self) -> u8 {
        match error {
            Self::InUse { .. } | Self::Store(StoreError::InUse) => 4,
            Self::Store(StoreError::NewerVersion { .. }) => 5,
            Self::Store(
                StoreError::Damaged { .. }
                | StoreError::Missing { .. }
                | StoreError::Unreadable { .. },
            )
            | Self::SecretsMissing
            | Self::LogMissing
            | Self::Sealing(SealingError::Damaged) => 3,
            Self::Empty { .. }
            | Self::DevInTheOpen(_)
            | Self::Tls(TlsError::ClientCa { .. })
            | Self::Hardening(HardeningError::UnknownUser(_))
            | Self::Sealing(
                SealingError::OtherProvider
                | SealingError::NoPassphrase { .. }
                | SealingError::WrongPassphrase,
            ) => 2,
            Self::Directory { .. }
            | Self::Store(_)
            | Self::Sealing(SealingError::Io(_))
            | Self::Module(_)
            | Self::Hardening(_)
            | Self::Tls(_)
            | Self::Server(_)
            | Self::Signals(_) => 1,
        }
    }
}

/// Runs until a signal ends it.
pub(crate) fn run(configuration: &Configuration) -> Result<(), StartError> {
    // Blocked in every thread: the main one waits for them below.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    hardening::before_secrets(configuration.limits.connections)?;
    let path = configuration.data_directory.display().to_string();
    let disk =
        RealDisk::open(&configuration.data_directory).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => StartError::InUse { path: path.clone() },
            _ => StartError::Directory { path: path.clone(), source },
        })?;
    let provider = SealingProvider::new(&configuration.data_directory, &configuration.sealing)?;
    let server = Server::bind(configuration)?;
    let clients = configuration.client_certificates.as_ref();
    let clients = clients.map(|clients| client_verifier(&clients.ca)).transpose()?;
    hardening::become_user(configuration.user.as_deref(), &configuration.data_directory)?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    expect_loopback(configuration, configuration.create.as_ref().is_some_and(|create| create.dev))?;
    let (reader, applier, genesis) = module(configuration, &disk, &provider)?;
    let config = Config {
        node: 1,
        snapshot_every: configuration.limits.snapshot_every,
        ..Config::default()
    };
    let is_new = genesis.is_some();
    let begin = genesis
        .map_or(Begin::Existing, |entry| Begin::Genesis { entry, member: Member::default() });
    let cluster = Cluster::open(config, disk, applier, begin, Arc::new(Alone))?;
    if is_new {
        provider.created()?;
    }
    expect_loopback(configuration, reader.is_dev())?;
    let clock = Arc::new(Clock::start());
    clock.not_before(reader.applied_time());
    hardening::sandbox(configuration.sandbox, &configuration.data_directory)?;
    #[cfg(feature = "testing")]
    hardening::probe(&configuration.data_directory);
    let tls = Tls::new(reader.clone(), Arc::clone(&clock), clients)?;
    let running = server.start(reader, Arc::new(cluster), provider, tls, clock)?;
    tracing::info!(listen = %configuration.listen, "ready");
    notify("READY=1");
    let signal = signals.wait()?;
    tracing::info!(%signal, "stopping");
    notify("STOPPING=1");
    running.stop();
    Ok(())
}

/// Refuses to serve a cluster in the open that was made for development: its CA lies beside its keys.
fn expect_loopback(configuration: &Configuration, dev: bool) -> Result<(), StartError> {
    let listen = configuration.listen;
    if dev && !listen.ip().is_loopback() {
        return Err(StartError::DevInTheOpen(listen));
    }
    Ok(())
}

/// Reads or makes the module.
fn module(
    configuration: &Configuration,
    disk: &Arc<dyn Disk>,
    provider: &SealingProvider,
) -> Result<(Reader, Applier, Option<Vec<u8>>), StartError> {
    let path = || configuration.data_directory.display().to_string();
    let has_log = casemate_cluster::has_log(disk.as_ref())?;
    let mut this = ThisHsm {
        id: HsmId::from_bytes([0; 10]),
        address: configuration.listen.to_string(),
        zone: configuration.zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protection: provider.name().to_owned(),
    };
    let (secrets, genesis) = match (provider.read()?, has_log, &configuration.create) {
        (Some(secrets), true, _) => {
            let secrets =
                Secrets::import(secrets.expose()).map_err(|_error| SealingError::Damaged)?;
            this.id = secrets.hsm();
            (secrets, None)
        }
        (Some(_), false, _) => return Err(StartError::LogMissing),
        (None, true, _) if !provider.was_creating() => return Err(StartError::SecretsMissing),
        (None, _, None) => return Err(StartError::Empty { path: path() }),
        // What a creation left that was interrupted is made anew: nobody was told of it.
        (None, _, Some(create)) => {
            let mut id = [0; 10];
            casemate_crypto::random::fill(&mut id);
            this.id = HsmId::from_bytes(id);
            let default = Settings::default();
            let settings = Settings {
                fips_mode: create.fips_mode,
                dev: create.dev,
                public_objects: create.public_objects,
                activation_open: create.activation_open,
                password_rounds: create.password_rounds.unwrap_or(default.password_rounds),
            };
            let (secrets, genesis) =
                casemate_hsm::create(&settings, &this, &SystemEntropy, Clock::machine())?;
            provider.create(&secrets.export())?;
            (secrets, Some(genesis))
        }
    };
    let (reader, applier) = casemate_hsm::start(secrets, this, Box::new(SystemEntropy))?;
    Ok((reader, applier, genesis))
}
