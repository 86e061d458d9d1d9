//! The application port: one thread accepts, workers serve, a pool does what takes long.
//!
//! ```text
//! accept ──▶ worker (mio, its connections, short operations inline) ──Offload──▶ pool ─┐
//!              ▲                   └────────Propose──▶ cluster (Raft's threads) ──────┤
//!              └───────────────────────── inbox + waker ◀───────────────────────────────┘
//! ```
//!
//! A connection belongs to one worker for its life, so nothing on the way of a short operation is shared or locked.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use casemate_cluster::Cluster;
use casemate_hsm::{Reader, Secrets};

use crate::clock::Clock;
use crate::configuration::Configuration;
use crate::sealing_provider::SealingProvider;
use crate::tls::Tls;

mod connection;
mod memory;
mod pool;
mod refusals;
mod requests;
mod strangers;
mod worker;

use memory::Memory;
use pool::Pool;
use refusals::Refusals;
use worker::{Inbox, Message, Parts, Worker};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("the address {address} cannot be listened on")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("a thread of the server cannot be started")]
    Thread(#[source] io::Error),
}

/// Limits of connections, as the configuration has them.
#[derive(Clone, Copy)]
pub(crate) struct ConnectionLimits {
    pub(crate) in_flight: usize,
    pub(crate) handshake: Duration,
    pub(crate) idle: Duration,
    pub(crate) polling: Duration,
    pub(crate) workers: u32,
    /// Whether a client must show a certificate.
    pub(crate) certificate: bool,
}

/// What the threads of the server share.
pub(crate) struct Shared {
    pub(crate) reader: Reader,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) provider: SealingProvider,
    pub(crate) pool: Pool,
    /// For log-ins and new passwords, so that they wait for no key and no key for them.
    pub(crate) passwords: Pool,
    pub(crate) clock: Arc<Clock>,
    pub(crate) limits: ConnectionLimits,
    pub(crate) connections: AtomicUsize,
    /// Connections beyond the limit: they are told so, and end.
    pub(crate) surplus: AtomicUsize,
    pub(crate) refusals: Refusals,
    pub(crate) memory: Memory,
    pub(crate) stopping: AtomicBool,
    /// Requests that were taken and not answered yet.
    pub(crate) unanswered: AtomicUsize,
}

/// A server that has its address.
pub(crate) struct Server {
    listener: TcpListener,
    limits: ConnectionLimits,
    connections_max: usize,
    workers: usize,
}

/// A server that serves.
pub(crate) struct Running {
    shared: Arc<Shared>,
    inboxes: Vec<Arc<Inbox>>,
    threads: Vec<JoinHandle<()>>,
}

/// Connections beyond the limit that are greeted with the reason; further ones are closed at once.
const SURPLUS_MAX: usize = 256;

/// How long the end waits for what is in flight.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

impl Server {
    /// Takes the address.
    pub(crate) fn bind(configuration: &Configuration) -> Result<Self, ServerError> {
        let address = configuration.listen;
        let listener = TcpListener::bind(address);
        let listener = listener.map_err(|source| ServerError::Listen { address, source })?;
        let workers = configuration.workers();
        let limits = &configuration.limits;
        let limits = ConnectionLimits {
            in_flight: limits.requests_in_flight,
            handshake: Duration::from_secs(limits.handshake_seconds),
            idle: Duration::from_secs(limits.idle_seconds),
            polling: Duration::from_micros(limits.polling_us),
            workers: u32::try_from(workers).unwrap_or(1),
            certificate: configuration
                .client_certificates
                .as_ref()
                .is_some_and(|certificates| certificates.required),
        };
        let connections_max = configuration.limits.connections;
        Ok(Self { listener, limits, connections_max, workers })
    }

    /// Starts to serve.
    pub(crate) fn start(
        self,
        reader: Reader,
        cluster: Arc<Cluster>,
        provider: SealingProvider,
        tls: Tls,
        clock: Arc<Clock>,
    ) -> Result<Running, ServerError> {
        let pool = Pool::start(self.workers).map_err(ServerError::Thread)?;
        let passwords = Pool::for_passwords().map_err(ServerError::Thread)?;
        let shared = Arc::new(Shared {
            reader,
            cluster,
            provider,
            pool,
            passwords,
            clock,
            limits: self.limits,
            connections: AtomicUsize::new(0),
            surplus: AtomicUsize::new(0),
            refusals: Refusals::default(),
            memory: Memory::default(),
            stopping: AtomicBool::new(false),
            unanswered: AtomicUsize::new(0),
        });
        let mut inboxes = Vec::new();
        let mut threads = Vec::new();
        for number in 0..self.workers {
            let worker = Worker::new(Arc::clone(&shared)).map_err(ServerError::Thread)?;
            inboxes.push(worker.inbox());
            let thread = std::thread::Builder::new().name(format!("casemate-worker-{number}"));
            threads.push(thread.spawn(move || worker.run()).map_err(ServerError::Thread)?);
        }
        let (accepting, all) = (Arc::clone(&shared), inboxes.clone());
        let thread = std::thread::Builder::new().name("casemate-accept".to_owned());
        let accept = move || accept(&self.listener, &accepting, &tls, &all, self.connections_max);
        // It ends with the process: nothing wakes it from waiting for a connection.
        thread.spawn(accept).map_err(ServerError::Thread)?;
        Ok(Running { shared, inboxes, threads })
    }
}

fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    tls: &Tls,
    inboxes: &[Arc<Inbox>],
    connections_max: usize,
) {
    let mut turn = 0_usize;
    let mut refused = 0_u64;
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, most often: what is open goes on, and the next try is not at once.
                tracing::warn!(%error, "a connection could not be accepted");
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let surplus = shared.connections.load(Ordering::Relaxed) >= connections_max;
        if surplus {
            refused += 1;
            if refused.is_power_of_two() {
                tracing::warn!(refused, "as many connections as allowed: others are refused");
            }
            if shared.surplus.load(Ordering::Relaxed) >= SURPLUS_MAX {
                continue;
            }
        }
        let inbox = &inboxes[turn % inboxes.len().max(1)];
        if let Err(error) = hand_over((stream, peer), surplus, shared, tls, inbox) {
            tracing::debug!(%error, %peer, "a connection ended at once");
        }
        turn = turn.wrapping_add(1);
    }
}

fn hand_over(
    (stream, peer): (TcpStream, SocketAddr),
    surplus: bool,
    shared: &Arc<Shared>,
    tls: &Tls,
    inbox: &Inbox,
) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let session = rustls::ServerConnection::new(tls.config()).map_err(io::Error::other)?;
    shared.opened(surplus);
    let stream = mio::net::TcpStream::from_std(stream);
    inbox.send(Message::Connection(Box::new(Parts { stream, peer, session, surplus })));
    Ok(())
}

impl Shared {
    fn opened(&self, surplus: bool) {
        self.count(surplus).fetch_add(1, Ordering::Relaxed);
        self.reader.activity().opened();
    }

    /// A connection ended, within the limit or beyond.
    pub(crate) fn closed(&self, surplus: bool) {
        self.count(surplus).fetch_sub(1, Ordering::Relaxed);
        self.reader.activity().closed();
    }

    /// Returns what counts connections: those within the limit, or those beyond.
    const fn count(&self, surplus: bool) -> &AtomicUsize {
        if surplus { &self.surplus } else { &self.connections }
    }

    /// Seals and stores new secrets.
    pub(crate) fn persist(
        &self,
        secrets: &casemate_crypto::Secret,
    ) -> Result<(), casemate_protocol::Error> {
        let readable = Secrets::import(secrets.expose()).is_ok();
        match self.provider.write(secrets) {
            Ok(()) if readable => Ok(()),
            Ok(()) => Err(casemate_protocol::Error::Internal),
            Err(error) => {
                tracing::error!(%error, "the module's secrets could not be stored");
                Err(casemate_protocol::Error::WritesRefusedDiskFailed)
            }
        }
    }
}

impl Running {
    /// Stops: no new requests, what is in flight is finished within a bound.
    pub(crate) fn stop(self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for inbox in &self.inboxes {
            inbox.send(Message::Stop);
        }
        let started = std::time::Instant::now();
        while self.shared.unanswered.load(Ordering::SeqCst) > 0 && started.elapsed() < STOP_PATIENCE
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        for inbox in &self.inboxes {
            inbox.send(Message::End);
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker met a fault");
            }
        }
    }
}
