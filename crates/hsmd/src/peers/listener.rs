//! The side of 2224 that is called.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::{Identity, PeerTls, identity};
use super::wire::{self, Kind, Message};
use super::{House, Refusal};

/// Limits of the port.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once: two per HSM and some for those who join.
    pub(crate) connections: usize,
    /// Requests of one connection that are answered at once; others wait in the socket.
    pub(crate) in_flight: usize,
    /// How long TLS and the first message may take.
    pub(crate) greeting: Duration,
    /// How long a member may be silent: it sends heartbeats, or asks nothing for that long.
    pub(crate) idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            in_flight: 256,
            greeting: Duration::from_secs(5),
            idle: Duration::from_secs(60),
        }
    }
}

type Stream = TlsStream<TcpStream>;

struct Port<H> {
    house: Arc<H>,
    limits: Limits,
    open: AtomicUsize,
}

/// Counts a connection as long as it lives.
struct Counted<H>(Arc<Port<H>>);

impl<H> Drop for Counted<H> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves for ever.
pub(crate) async fn listen<H: House>(
    listener: std::net::TcpListener,
    tls: Arc<PeerTls>,
    house: Arc<H>,
    limits: Limits,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let port = Arc::new(Port { house, limits, open: AtomicUsize::new(0) });
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection between HSMs could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if port.open.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            port.open.fetch_sub(1, Ordering::Relaxed);
            tracing::debug!(%peer, "as many connections between HSMs as allowed");
            continue;
        }
        let counted = Counted(Arc::clone(&port));
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = greet(&counted.0, &acceptor, stream, peer).await {
                tracing::debug!(%error, %peer, "a connection between HSMs ended");
            }
        });
    }
}

async fn greet<H: House>(
    port: &Arc<Port<H>>,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let greeting = async {
        let mut stream = acceptor.accept(stream).await?;
        let who = identity(stream.get_ref().1.peer_certificates())
            .ok_or_else(|| io::Error::other("the peer shows no identity"))?;
        let first = wire::read(&mut stream, wire::STRANGER_BYTES_MAX).await?;
        Ok::<_, io::Error>((stream, who, first))
    };
    let (mut stream, who, first) = timeout(port.limits.greeting, greeting).await??;
    let Some(first) = first else { return Ok(()) };
    match first.kind {
        Kind::Join => {
            let payload = port.house.join(who, first.payload).await;
            answer(&mut stream, Kind::Join, payload).await
        }
        Kind::Hello => match port.house.receive(&who, &first.payload) {
            Ok(number) => {
                answer(&mut stream, Kind::Hello, port.house.hello()).await?;
                serve(port, stream, number, who).await
            }
            Err(refusal) => {
                warn_of(&refusal, peer.ip());
                // An empty hello: it is not received. Why, only a member may know.
                answer(&mut stream, Kind::Hello, Vec::new()).await
            }
        },
        Kind::Request | Kind::Reply => Err(io::Error::other("the peer did not say who it is")),
    }
}

fn warn_of(refusal: &Refusal, source: IpAddr) {
    tracing::warn!(%refusal, %source, "an HSM was turned away");
}

async fn answer(stream: &mut Stream, kind: Kind, payload: Vec<u8>) -> io::Result<()> {
    wire::write(stream, &Message { kind, sequence: 0, payload }).await?;
    stream.flush().await?;
    if kind == Kind::Join { stream.shutdown().await } else { Ok(()) }
}

async fn serve<H: House>(
    port: &Arc<Port<H>>,
    stream: Stream,
    from: u64,
    who: Identity,
) -> io::Result<()> {
    let (reader, writer) = tokio::io::split(stream);
    let mut reader = BufReader::new(reader);
    let (replies, outgoing) = mpsc::channel(port.limits.in_flight);
    let writing = tokio::spawn(write_replies(BufWriter::new(writer), outgoing));
    let room = Arc::new(Semaphore::new(port.limits.in_flight));
    let read = read_requests(port, &mut reader, (from, who), &room, &replies).await;
    drop(replies);
    writing.abort();
    read
}

async fn read_requests<H: House>(
    port: &Arc<Port<H>>,
    reader: &mut BufReader<ReadHalf<Stream>>,
    (from, who): (u64, Identity),
    room: &Arc<Semaphore>,
    replies: &mpsc::Sender<Message>,
) -> io::Result<()> {
    loop {
        let read = wire::read(reader, wire::MESSAGE_BYTES_MAX);
        let Some(message) = timeout(port.limits.idle, read).await?? else { return Ok(()) };
        if message.kind != Kind::Request {
            return Err(io::Error::other("a member sends requests, and nothing else"));
        }
        if !port.house.is_member(from, &who) {
            return Err(io::Error::other("the HSM is no member any more"));
        }
        let room = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
        let (port, replies) = (Arc::clone(port), replies.clone());
        tokio::spawn(async move {
            let payload = port.house.serve(from, message.payload).await;
            let reply = Message { kind: Kind::Reply, sequence: message.sequence, payload };
            if replies.send(reply).await.is_err() {
                tracing::debug!(from, "a reply came after the end of its connection");
            }
            drop(room);
        });
    }
}

async fn write_replies(
    mut writer: BufWriter<WriteHalf<Stream>>,
    mut outgoing: mpsc::Receiver<Message>,
) {
    while let Some(message) = outgoing.recv().await {
        let mut written = wire::write(&mut writer, &message).await;
        while let (Ok(()), Ok(message)) = (&written, outgoing.try_recv()) {
            written = wire::write(&mut writer, &message).await;
        }
        if written.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}
