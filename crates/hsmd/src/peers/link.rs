//! The side of 2224 that calls: one connection to each member, made when it is first needed.
//!
//! A request that cannot be sent or answered fails at once, and the cluster tries again: nothing is queued for an HSM that is away.
//! A connection on which nothing came for two seconds although something was asked is given up: behind a partition TCP would wait
//! much longer than the partition lasted.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls::{Identity, PeerTls, identity};
use super::wire::{self, Kind, Message};

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("another key answers at the address")]
    OtherIdentity,
    #[error("the HSM does not receive this one")]
    NotReceived,
    #[error("no answer in time")]
    Late,
    #[error("the connection broke")]
    Broken,
    #[error("too much waits for this HSM")]
    Busy,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long no connection is tried after one that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long a member may leave everything unanswered.
const SILENCE: Duration = Duration::from_secs(2);
/// Requests that wait to be written to one member.
const WAITING_MAX: usize = 256;

type Stream = TlsStream<TcpStream>;
type Answer = oneshot::Sender<Result<Vec<u8>, LinkError>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) identity: Identity,
}

struct Outgoing {
    request: Vec<u8>,
    answer: Answer,
}

/// What is sent on a connection and not answered yet.
struct Pending {
    answers: BTreeMap<u64, Answer>,
    /// When something was last received, or asked while nothing was unanswered.
    heard: Instant,
}

struct Open {
    place: Place,
    outgoing: mpsc::Sender<Outgoing>,
    /// Whether the last attempt to reach it failed.
    away: Arc<AtomicBool>,
}

/// What this HSM says first, and what it makes of what the other says.
pub(crate) trait Greeting: Send + Sync + 'static {
    /// The first message.
    fn hello(&self) -> Vec<u8>;
    /// Whether the other side is fit, by its hello.
    fn judge(&self, member: u64, hello: &[u8]) -> Result<(), LinkError>;
}

/// The connections to all members.
pub(crate) struct Links<G> {
    tls: Arc<PeerTls>,
    greeting: Arc<G>,
    open: Mutex<BTreeMap<u64, Open>>,
}

impl<G: Greeting> Links<G> {
    /// Makes them; none is open.
    pub(crate) fn new(tls: Arc<PeerTls>, greeting: Arc<G>) -> Self {
        Self { tls, greeting, open: Mutex::default() }
    }

    /// Returns the members that the last attempt did not reach.
    pub(crate) fn away(&self) -> Vec<u64> {
        let open = lock(&self.open);
        let away = open.iter().filter(|(_, open)| open.away.load(Ordering::Relaxed));
        away.map(|(member, _)| *member).collect()
    }

    /// Asks a member. To be called on the runtime of the connections.
    pub(crate) async fn call(
        &self,
        member: u64,
        place: Place,
        request: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        let (answer, answered) = oneshot::channel();
        let outgoing = self.outgoing(member, place);
        outgoing.try_send(Outgoing { request, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LinkError::Busy,
            mpsc::error::TrySendError::Closed(_) => LinkError::Broken,
        })?;
        match timeout(within, answered).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_closed)) => Err(LinkError::Broken),
            Err(_elapsed) => Err(LinkError::Late),
        }
    }

    fn outgoing(&self, member: u64, place: Place) -> mpsc::Sender<Outgoing> {
        let mut open = lock(&self.open);
        if let Some(open) = open.get(&member)
            && open.place == place
            && !open.outgoing.is_closed()
        {
            return open.outgoing.clone();
        }
        let (outgoing, waiting) = mpsc::channel(WAITING_MAX);
        let away = Arc::new(AtomicBool::new(false));
        let link = Link {
            away: Arc::clone(&away),
            member,
            place: place.clone(),
            tls: Arc::clone(&self.tls),
            greeting: Arc::clone(&self.greeting),
        };
        tokio::spawn(link.run(waiting));
        open.insert(member, Open { place, outgoing: outgoing.clone(), away });
        outgoing
    }
}

/// One connection, and the next one when it broke.
struct Link<G> {
    away: Arc<AtomicBool>,
    member: u64,
    place: Place,
    tls: Arc<PeerTls>,
    greeting: Arc<G>,
}

impl<G: Greeting> Link<G> {
    async fn run(self, mut waiting: mpsc::Receiver<Outgoing>) {
        let mut pause = FIRST_PAUSE;
        // Ends when the member's place has changed: then nobody holds the other end.
        while let Some(first) = waiting.recv().await {
            match self.connect().await {
                Ok(stream) => {
                    if self.away.swap(false, Ordering::Relaxed) {
                        tracing::info!(member = self.member, "the HSM is reached again");
                    }
                    pause = FIRST_PAUSE;
                    converse(stream, first, &mut waiting).await;
                }
                Err(error) => {
                    if !self.away.swap(true, Ordering::Relaxed) {
                        tracing::warn!(member = self.member, address = self.place.address, %error, "an HSM is not reached");
                    }
                    fail(first, &error);
                    let until = Instant::now() + pause;
                    while let Ok(Some(next)) = tokio::time::timeout_at(until, waiting.recv()).await
                    {
                        fail(next, &error);
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn connect(&self) -> Result<Stream, LinkError> {
        let connecting = async {
            let mut stream = dial(&self.tls, &self.place.address).await?;
            if identity(stream.get_ref().1.peer_certificates()) != Some(self.place.identity) {
                return Err(LinkError::OtherIdentity);
            }
            let hello = exchange(&mut stream, Kind::Hello, self.greeting.hello()).await?;
            if hello.is_empty() {
                return Err(LinkError::NotReceived);
            }
            self.greeting.judge(self.member, &hello)?;
            Ok(stream)
        };
        timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(LinkError::Late))
    }
}

fn fail(outgoing: Outgoing, error: &LinkError) {
    // Who asked may have given up.
    let _told = outgoing.answer.send(Err(error.clone())).is_ok();
}

fn unreachable(error: &io::Error) -> LinkError {
    LinkError::Unreachable(error.to_string())
}

async fn dial(tls: &PeerTls, address: &str) -> Result<Stream, LinkError> {
    // No name is looked up: the module has no resolver.
    let address: SocketAddr =
        address.parse().map_err(|error| LinkError::Unreachable(format!("{address}: {error}")))?;
    let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
    let name = ServerName::from(address.ip());
    let connector = TlsConnector::from(Arc::clone(&tls.client));
    connector.connect(name, stream).await.map_err(|error| unreachable(&error))
}

async fn exchange(stream: &mut Stream, kind: Kind, payload: Vec<u8>) -> Result<Vec<u8>, LinkError> {
    let exchanged = async {
        wire::write(stream, &Message { kind, sequence: 0, payload }).await?;
        stream.flush().await?;
        wire::read(stream, wire::STRANGER_BYTES_MAX).await
    };
    match exchanged.await {
        Ok(Some(reply)) if reply.kind == kind => Ok(reply.payload),
        Ok(_) => Err(LinkError::Broken),
        Err(error) => Err(unreachable(&error)),
    }
}

/// Asks a member to be let in: one request on a connection of its own. Who answers is told, too.
pub(crate) async fn ask_to_join(
    tls: &PeerTls,
    address: &str,
    request: Vec<u8>,
) -> Result<(Identity, Vec<u8>), LinkError> {
    let asking = async {
        let mut stream = dial(tls, address).await?;
        let who = identity(stream.get_ref().1.peer_certificates()).ok_or(LinkError::Broken)?;
        Ok((who, exchange(&mut stream, Kind::Join, request).await?))
    };
    timeout(CONNECT_TIMEOUT, asking).await.unwrap_or(Err(LinkError::Late))
}

/// Sends and receives until the connection breaks; then all that is unanswered fails.
async fn converse(stream: Stream, first: Outgoing, waiting: &mut mpsc::Receiver<Outgoing>) {
    let (reader, writer) = tokio::io::split(stream);
    let pending = Mutex::new(Pending { answers: BTreeMap::new(), heard: Instant::now() });
    tokio::select! {
        () = send(BufWriter::new(writer), first, waiting, &pending) => {}
        () = receive(BufReader::new(reader), &pending) => {}
        () = silence(&pending) => {}
    }
    let unanswered = std::mem::take(&mut lock(&pending).answers);
    for answer in unanswered.into_values() {
        // Who asked may have given up.
        let _told = answer.send(Err(LinkError::Broken)).is_ok();
    }
}

async fn send(
    mut writer: BufWriter<WriteHalf<Stream>>,
    first: Outgoing,
    waiting: &mut mpsc::Receiver<Outgoing>,
    pending: &Mutex<Pending>,
) {
    let mut sequence = 0;
    let mut next = Some(first);
    while let Some(outgoing) = next.take() {
        sequence += 1;
        {
            let mut pending = lock(pending);
            pending.answers.retain(|_, answer| !answer.is_closed());
            if pending.answers.is_empty() {
                pending.heard = Instant::now();
            }
            pending.answers.insert(sequence, outgoing.answer);
        }
        let message = Message { kind: Kind::Request, sequence, payload: outgoing.request };
        if wire::write(&mut writer, &message).await.is_err() {
            return;
        }
        next = match waiting.try_recv() {
            Ok(outgoing) => Some(outgoing),
            Err(_) => {
                if writer.flush().await.is_err() {
                    return;
                }
                waiting.recv().await
            }
        };
    }
}

async fn receive(mut reader: BufReader<ReadHalf<Stream>>, pending: &Mutex<Pending>) {
    while let Ok(Some(message)) = wire::read(&mut reader, wire::MESSAGE_BYTES_MAX).await {
        if message.kind != Kind::Reply {
            return;
        }
        let answer = {
            let mut pending = lock(pending);
            pending.heard = Instant::now();
            pending.answers.remove(&message.sequence)
        };
        if let Some(answer) = answer {
            // Who asked may have given up.
            let _told = answer.send(Ok(message.payload)).is_ok();
        }
    }
}

/// Ends when something was asked and nothing was heard for too long.
async fn silence(pending: &Mutex<Pending>) {
    loop {
        tokio::time::sleep(SILENCE / 4).await;
        let pending = lock(pending);
        if !pending.answers.is_empty() && pending.heard.elapsed() >= SILENCE {
            return;
        }
    }
}
