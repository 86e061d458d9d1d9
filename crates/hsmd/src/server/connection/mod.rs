//! One connection: TLS, frames, requests in any order, replies as they come.
//!
//! Everything that a peer may make grow has a bound: bytes not yet decrypted, fragments of a request, requests in flight, replies
//! not yet taken. A peer that breaks the protocol is told why, once, and the connection ends.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use casemate_hsm::{Answered, Call, Caller, CallerChange, Outcome};
use casemate_protocol::frame::{self, Frame};
use casemate_protocol::messages::{
    ClientHello, PROTOCOL_MAX, PROTOCOL_MIN, Reply, ServerHello, WireError,
};
use casemate_protocol::{Error, limits as wire, statements};
use mio::{Interest, Registry, Token};
use prost::Message as _;

use super::memory::{Held, Memory};
use super::requests::{Way, drive};
use super::worker::{Inbox, Parts};
use super::{ConnectionLimits, Shared, strangers};

mod sending;

/// Bytes of replies that may wait for a slow peer before its requests are no longer read.
const UNSENT_MAX: usize = 4 << 20;
/// Bytes of requests in flight, each within the limit of a message, from which on no more are read.
const IN_FLIGHT_BYTES_MAX: usize = wire::MESSAGE_BYTES_MAX;
/// Requests in flight on a connection without a log-in.
const STRANGER_IN_FLIGHT: usize = 16;
/// Milliseconds that a client beyond the limit of connections is told to wait.
const SURPLUS_MS: u64 = 250;
/// Milliseconds that a client is told to wait for memory.
const MEMORY_MS: u64 = 100;

/// How far a socket is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Until a read does not fill its buffer: the next event comes with the next byte.
    UntilDrained,
    /// Until there is nothing: the peer's end may have come with the last byte, and no other event tells of it.
    ToTheEnd,
}

enum Stage {
    /// TLS is not done, or no hello came yet.
    Greeting,
    /// Requests.
    Open(Box<Caller>),
    /// What is written is sent, then it ends.
    Closing,
}

/// One connection.
pub(crate) struct Connection {
    number: u64,
    stream: mio::net::TcpStream,
    peer: SocketAddr,
    session: rustls::ServerConnection,
    stage: Stage,
    limits: ConnectionLimits,
    /// Plaintext that is not a whole frame yet.
    input: Vec<u8>,
    /// Requests whose fragments are not all there.
    fragments: BTreeMap<u64, (Vec<u8>, Held)>,
    fragment_bytes: usize,
    in_flight: usize,
    /// Bytes of the large ones among them.
    in_flight_bytes: usize,
    /// The share of memory of replies that are not taken yet.
    unsent_held: Held,
    memory: Memory,
    /// Whether whole frames wait in `input` until there is room.
    backlog: bool,
    /// Whether its first bytes were looked at.
    seen: bool,
    surplus: bool,
    /// Bytes written since the peer last took all of them.
    unsent: usize,
    /// The index token that was sent last.
    token: Vec<u8>,
    opened: Instant,
    used: Instant,
    /// Requests taken so far.
    requests: u64,
}

impl Connection {
    /// Begins a connection.
    pub(crate) fn new(number: u64, parts: Parts, shared: &Shared) -> Self {
        let Parts { stream, peer, mut session, surplus } = parts;
        session.set_buffer_limit(None);
        let opened = Instant::now();
        Self {
            number,
            stream,
            peer,
            session,
            stage: Stage::Greeting,
            limits: shared.limits,
            input: Vec::new(),
            fragments: BTreeMap::new(),
            fragment_bytes: 0,
            in_flight: 0,
            in_flight_bytes: 0,
            unsent_held: Held::default(),
            memory: shared.memory.clone(),
            backlog: false,
            seen: false,
            surplus,
            unsent: 0,
            token: Vec::new(),
            opened,
            used: opened,
            requests: 0,
        }
    }

    /// Returns how many requests were taken so far.
    pub(crate) const fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        registry.register(&mut self.stream, token, interest)
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) {
        if let Err(error) = registry.deregister(&mut self.stream) {
            tracing::debug!(%error, "a connection was not registered");
        }
    }

    /// Whether it is beyond the limit of connections.
    pub(crate) const fn is_surplus(&self) -> bool {
        self.surplus
    }

    /// Whether it idled or took too long to greet.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Greeting | Stage::Closing => {
                now.duration_since(self.opened) > self.limits.handshake
            }
            Stage::Open(_) => {
                self.in_flight == 0 && now.duration_since(self.used) > self.limits.idle
            }
        }
    }

    /// Reads, works and writes as far as it goes; returns whether the connection goes on.
    ///
    /// `room` is the worker's: what is received goes through it into TLS at once. `reading` says whether the next event tells of
    /// what comes next.
    pub(crate) fn serve(
        &mut self,
        shared: &Arc<Shared>,
        inbox: &Arc<Inbox>,
        room: &mut [u8],
        reading: Reading,
    ) -> bool {
        let room_bytes = room.len();
        loop {
            // A slow peer must take its replies before its requests are read on; the socket holds it back.
            if self.unsent > UNSENT_MAX && !self.flush() {
                return false;
            }
            if self.backlog && !self.is_full() && !self.take_frames(shared, inbox) {
                self.flush();
                return false;
            }
            if self.backlog && self.unsent > UNSENT_MAX && self.flush() && self.unsent == 0 {
                continue;
            }
            if self.backlog || self.is_full() {
                return self.flush();
            }
            let mut received = match self.stream.read(room) {
                Ok(0) => return false,
                Ok(length) => room.get(..length).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => &[],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            if !self.seen && !self.look_at_first_bytes(shared, received) {
                return false;
            }
            let drained = match reading {
                Reading::ToTheEnd => received.is_empty(),
                Reading::UntilDrained => received.len() < room_bytes,
            };
            loop {
                let open = self.decrypt(shared, &mut received);
                if !self.take_frames(shared, inbox) || !open {
                    // What says why goes out, as far as it goes.
                    self.flush();
                    return false;
                }
                if received.is_empty() {
                    break;
                }
            }
            if !self.flush() {
                return false;
            }
            if drained && !self.backlog {
                return true;
            }
        }
    }

    /// Takes what TLS has of what was received; returns whether the connection goes on.
    fn decrypt(&mut self, shared: &Shared, received: &mut &[u8]) -> bool {
        if !received.is_empty()
            && let Err(error) = self.session.read_tls(received)
        {
            tracing::debug!(peer = %self.peer, %error, "TLS takes no more");
            return false;
        }
        match self.session.process_new_packets() {
            Ok(state) => self.take_plaintext(state.plaintext_bytes_to_read()),
            Err(error) => {
                shared.refusals.log(self.peer, &strangers::tls_cause(&error));
                false
            }
        }
    }

    /// Whether no more requests are taken until some are answered and the answers are on their way.
    fn is_full(&self) -> bool {
        let limit = match &self.stage {
            Stage::Open(caller) if caller.log_in.is_some() => self.limits.in_flight,
            Stage::Greeting | Stage::Open(_) | Stage::Closing => {
                self.limits.in_flight.min(STRANGER_IN_FLIGHT)
            }
        };
        self.in_flight >= limit
            || self.in_flight_bytes > IN_FLIGHT_BYTES_MAX
            || self.unsent > UNSENT_MAX
    }

    /// Tells a peer that speaks HTTP where it is; returns whether the connection goes on.
    ///
    /// What it asked was read, so that the answer is not lost with a reset.
    fn look_at_first_bytes(&mut self, shared: &Shared, received: &[u8]) -> bool {
        self.seen = !received.is_empty();
        // A byte at a time is no HTTP of a browser.
        if !received.first_chunk().is_some_and(|first| strangers::is_http(*first)) {
            return true;
        }
        shared.refusals.log(self.peer, &"it speaks HTTP, not TLS");
        let told = io::Write::write(&mut self.stream, strangers::HTTP_ANSWER).is_ok();
        tracing::debug!(peer = %self.peer, told, "a peer that speaks HTTP");
        false
    }

    /// Takes so many bytes of plaintext: what TLS has, of which it lets no more gather than a few records.
    fn take_plaintext(&mut self, length: usize) -> bool {
        if length == 0 {
            // The peer's end of the connection is told by a read of nothing.
            return !matches!(self.session.reader().read(&mut [0; 1]), Ok(0));
        }
        let start = self.input.len();
        self.input.resize(start + length, 0);
        self.used = Instant::now();
        self.session.reader().read_exact(&mut self.input[start..]).is_ok()
    }

    fn take_frames(&mut self, shared: &Arc<Shared>, inbox: &Arc<Inbox>) -> bool {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        let mut goes_on = true;
        self.backlog = false;
        while goes_on {
            if self.is_full() {
                // Frames that are whole wait here, and nothing is read on to them.
                self.backlog = at < input.len();
                break;
            }
            match frame::read(&input[at..]) {
                Ok(None) => {
                    // What is not whole yet is no larger than it may become.
                    let waits = input.len() - at;
                    if waits > self.message_bytes_max() + frame::HEADER_BYTES {
                        goes_on = self.protest(shared, 0, Error::MessageTooLarge);
                    }
                    break;
                }
                Ok(Some(Frame { header, payload, taken })) => {
                    at += taken;
                    let message = self.assemble(shared, header.sequence, header.more, payload);
                    goes_on = match message {
                        Ok(None) => true,
                        Ok(Some((message, held))) => {
                            self.message(shared, inbox, header.sequence, message, held)
                        }
                        Err(error) => self.protest(shared, header.sequence, error),
                    };
                }
                Err(error) => goes_on = self.protest(shared, 0, error),
            }
        }
        self.input = input;
        self.input.drain(..at);
        goes_on
    }

    /// Returns how many bytes a message may have, by what is known of the peer.
    fn message_bytes_max(&self) -> usize {
        match &self.stage {
            Stage::Open(caller) if caller.log_in.is_some() => wire::MESSAGE_BYTES_MAX,
            Stage::Open(_) => wire::STRANGER_BYTES_MAX,
            Stage::Greeting | Stage::Closing => wire::HELLO_BYTES_MAX,
        }
    }

    /// Puts fragments together: returns the message when it is whole.
    fn assemble(
        &mut self,
        shared: &Shared,
        sequence: u64,
        more: bool,
        payload: &[u8],
    ) -> Result<Option<(Bytes, Held)>, Error> {
        let waiting = self.fragments.remove(&sequence);
        let known = waiting.is_some();
        let (mut message, mut held) = waiting.unwrap_or_default();
        self.fragment_bytes -= message.len();
        let length = message.len() + payload.len();
        let too_many = more && self.fragments.len() >= wire::MESSAGES_BEGUN_MAX;
        if self.fragment_bytes + length > self.message_bytes_max() || too_many {
            return Err(Error::MessageTooLarge);
        }
        if !held.resize(&shared.memory, length) {
            return Err(Error::Busy(MEMORY_MS));
        }
        if !known && !more {
            return Ok(Some((Bytes::copy_from_slice(payload), held)));
        }
        message.extend_from_slice(payload);
        if !more {
            return Ok(Some((message.into(), held)));
        }
        self.fragment_bytes += length;
        self.fragments.insert(sequence, (message, held));
        Ok(None)
    }

    /// Tells the peer what it did wrong, and ends the connection.
    fn protest(&mut self, shared: &Shared, sequence: u64, error: Error) -> bool {
        shared.refusals.log(self.peer, &error);
        self.end_with(sequence, error)
    }

    fn end_with(&mut self, sequence: u64, error: Error) -> bool {
        if matches!(self.stage, Stage::Greeting) {
            let hello =
                ServerHello { error: Some(WireError::from(error)), ..ServerHello::default() };
            self.write(0, &hello.encode_to_vec());
        } else {
            self.write(sequence, &Reply::error(error).encode_to_vec());
        }
        self.stage = Stage::Closing;
        false
    }

    fn message(
        &mut self,
        shared: &Arc<Shared>,
        inbox: &Arc<Inbox>,
        sequence: u64,
        message: Bytes,
        held: Held,
    ) -> bool {
        let outcome = match &self.stage {
            Stage::Greeting => return self.greet(shared, sequence, &message),
            Stage::Closing => return true,
            Stage::Open(_) if shared.stopping.load(Ordering::Relaxed) => {
                Outcome::error(Error::ShuttingDown)
            }
            Stage::Open(caller) => shared
                .reader
                .handle(caller, Call { sequence, request: message, now: shared.clock.now() }),
        };
        self.requests += 1;
        let connection = self.number;
        let bytes = held.bytes();
        let way = || Way {
            shared: Arc::clone(shared),
            inbox: Arc::clone(inbox),
            connection,
            sequence,
            held,
        };
        match drive(outcome, way) {
            Some(answered) => self.reply(shared, sequence, answered),
            None => {
                self.in_flight += 1;
                self.in_flight_bytes += bytes;
            }
        }
        true
    }

    fn greet(&mut self, shared: &Arc<Shared>, sequence: u64, message: &[u8]) -> bool {
        let Ok(hello) = ClientHello::decode(message) else {
            return self.protest(shared, 0, Error::Malformed);
        };
        if sequence != 0 {
            return self.protest(shared, 0, Error::Malformed);
        }
        if self.surplus {
            return self.end_with(0, Error::ConnectionLimit(SURPLUS_MS));
        }
        if hello.protocol_max < PROTOCOL_MIN || hello.protocol_min > PROTOCOL_MAX {
            return self.protest(shared, 0, Error::VersionUnsupported);
        }
        let certificate = self.session.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.map(|der| casemate_crypto::digest::sha256(&[der]));
        if self.limits.certificate && certificate.is_none() {
            return self.end_with(0, Error::ClientCertificateRequired);
        }
        let mut nonce = [0; 32];
        casemate_crypto::random::fill(&mut nonce);
        let mut answer = shared.reader.hello(nonce);
        if !hello.cluster.is_empty() && hello.cluster != answer.cluster {
            return self.protest(shared, 0, Error::ClusterMismatch);
        }
        let exporter =
            self.session.export_keying_material([0; 32], statements::CHANNEL_BINDING_LABEL, None);
        let Ok(exporter) = exporter else { return self.protest(shared, 0, Error::Internal) };
        answer.protocol = hello.protocol_max.min(PROTOCOL_MAX);
        answer.connections = self.limits.workers;
        self.write(0, &answer.encode_to_vec());
        let source = self.peer.ip();
        self.stage =
            Stage::Open(Box::new(Caller { source, certificate, exporter, nonce, log_in: None }));
        true
    }

    /// Takes an answer that came from elsewhere.
    pub(crate) fn answer(
        &mut self,
        shared: &Arc<Shared>,
        sequence: u64,
        answered: Answered,
        held: &Held,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(held.bytes());
        self.reply(shared, sequence, answered);
    }

    fn reply(&mut self, shared: &Arc<Shared>, sequence: u64, answered: Answered) {
        if let Stage::Open(caller) = &mut self.stage {
            match answered.caller {
                CallerChange::Same => {}
                CallerChange::LoggedIn(log_in) => caller.log_in = Some(log_in),
                CallerChange::LoggedOut => caller.log_in = None,
            }
        }
        let mut reply = answered.reply;
        let token = shared.reader.index_token();
        if token != self.token {
            reply.index.clone_from(&token);
            self.token = token;
        }
        self.write(sequence, &reply.encode_to_vec());
    }
}
