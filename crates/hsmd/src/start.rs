//! From a configuration to a serving HSM, and to its end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use casemate_cluster::disk::{Disk, RealDisk};
use casemate_cluster::{Alone, Begin, Cluster, Config, StoreError, Transport};
use casemate_hsm::Reader;
use nix::sys::signal::{SigSet, Signal};

use crate::clock::Clock;
use crate::configuration::Configuration;
use crate::hardening::{self, HardeningError};
use crate::module::{self, Module};
use crate::notify::notify;
use crate::peers::{Door, JoinError, Limits, Links, Messenger, follow, listen};
use crate::sealing_provider::{SealingError, SealingProvider};
use crate::server::{Server, ServerError};
use crate::tls::{Tls, TlsError, client_verifier};
use crate::tpm::{Tpm, TpmError};

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
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    #[error("TLS between HSMs cannot be set up")]
    Peers(#[source] rustls::Error),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    Tpm(#[from] TpmError),
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
            | Self::Tpm(TpmError::Device { .. } | TpmError::Certificate { .. })
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
            | Self::Signals(_)
            | Self::Thread(_)
            | Self::Peers(_)
            | Self::Join(_)
            | Self::Tpm(_) => 1,
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
    let peers = configuration.peer_listen.map(bind).transpose()?;
    let clients = configuration.client_certificates.as_ref();
    let clients = clients.map(|clients| client_verifier(&clients.ca)).transpose()?;
    // A TPM is asked by a module that joins, and never again.
    let joins = configuration.join.is_some() && !casemate_cluster::has_log(&disk)?;
    let attestation = configuration.attestation.as_ref().filter(|_| joins);
    let tpm = attestation.map(Tpm::open).transpose()?;
    hardening::become_user(configuration.user.as_deref(), &configuration.data_directory)?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    expect_loopback(configuration, configuration.create.as_ref().is_some_and(|create| create.dev))?;
    // From here on nothing outside the data directory is opened, and no thread was started before.
    let ports = configuration.peer_ports();
    hardening::sandbox(configuration.sandbox, &configuration.data_directory, &ports)?;
    let signals = wait_for_signals(signals)?;
    let module = module::begin(configuration, &disk, &provider, tpm)?;
    let (reader, joins) = (module.reader.clone(), matches!(module.begin, Begin::Joining));
    let cluster = open_cluster(configuration, disk, module, peers, &provider)?;
    if joins {
        if let Some(signal) = wait_for_state(&reader, &signals) {
            tracing::info!(%signal, "stopping before the cluster's state has come");
            return Ok(());
        }
        provider.joined()?;
    }
    expect_loopback(configuration, reader.is_dev())?;
    let clock = Arc::new(Clock::start());
    clock.not_before(reader.applied_time());
    #[cfg(feature = "testing")]
    hardening::probe(&configuration.data_directory);
    let tls = Tls::new(reader.clone(), Arc::clone(&clock), clients)?;
    let running = server.start(reader, cluster, provider, tls, clock)?;
    tracing::info!(listen = %configuration.listen, "ready");
    notify("READY=1");
    let signal = signals.recv().map_err(|_closed| StartError::Signals(nix::Error::ECHILD))?;
    tracing::info!(%signal, "stopping");
    notify("STOPPING=1");
    running.stop();
    Ok(())
}

/// Waits for the signals that end the daemon on a thread of its own: whoever waits for something else looks at the channel.
fn wait_for_signals(signals: SigSet) -> Result<Receiver<Signal>, StartError> {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name("casemate-signals".to_owned());
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    };
    thread.spawn(wait).map_err(StartError::Thread)?;
    Ok(receiver)
}

const LOOK: Duration = Duration::from_millis(10);

/// Waits until a module that joined has the cluster's state, or a signal comes.
fn wait_for_state(reader: &Reader, signals: &Receiver<Signal>) -> Option<Signal> {
    while reader.lifecycle().is_none() {
        if let Ok(signal) = signals.recv_timeout(LOOK) {
            return Some(signal);
        }
    }
    None
}

/// Opens the cluster, and the port to its other members if there is one.
fn open_cluster(
    configuration: &Configuration,
    disk: Arc<dyn Disk>,
    module: Module,
    listener: Option<TcpListener>,
    provider: &SealingProvider,
) -> Result<Arc<Cluster>, StartError> {
    let Module { reader, applier, begin, node, told, tls } = module;
    let snapshot_every = configuration.limits.snapshot_every;
    let config = Config { node, snapshot_every, ..Config::default() };
    let is_new = matches!(begin, Begin::Genesis { .. });
    let tls = Arc::new(tls);
    let door = Arc::new(Door::new(reader.clone(), node, told));
    let links = Arc::new(Links::new(Arc::clone(&tls), Arc::clone(&door)));
    let transport: Arc<dyn Transport> = match &listener {
        Some(_) => Arc::new(Messenger(Arc::clone(&links))),
        None => Arc::new(Alone),
    };
    let cluster = Arc::new(Cluster::open(config, disk, applier, begin, transport)?);
    if is_new {
        provider.created()?;
    }
    door.open(Arc::clone(&cluster));
    if let Some(listener) = listener {
        cluster.spawn(async move {
            if let Err(error) = listen(listener, tls, door, Limits::default()).await {
                tracing::error!(%error, "the port between HSMs cannot be served");
            }
        });
    }
    let thread = std::thread::Builder::new().name("casemate-members".to_owned());
    let followed = Arc::downgrade(&cluster);
    let directory = configuration.data_directory.clone();
    let watch = move || follow(&reader, &followed, &links, &directory);
    thread.spawn(watch).map_err(StartError::Thread)?;
    Ok(cluster)
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address);
    Ok(bound.map_err(|source| ServerError::Listen { address, source })?)
}

/// Refuses to serve a cluster in the open that was made for development: its CA lies beside its keys.
fn expect_loopback(configuration: &Configuration, dev: bool) -> Result<(), StartError> {
    let listen = configuration.listen;
    if dev && !listen.ip().is_loopback() {
        return Err(StartError::DevInTheOpen(listen));
    }
    Ok(())
}
