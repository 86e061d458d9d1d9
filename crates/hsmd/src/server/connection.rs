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

use super::requests::{Way, drive};
use super::worker::{Inbox, Parts};
use super::{ConnectionLimits, Shared};

/// Bytes of replies that may wait for a slow peer before its requests are no longer read.
const UNSENT_MAX: usize = 4 << 20;
/// Bytes of fragments that one connection may have put together at a time.
const FRAGMENTS_MAX: usize = wire::MESSAGE_BYTES_MAX;

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
    fragments: BTreeMap<u64, Vec<u8>>,
    fragment_bytes: usize,
    in_flight: usize,
    /// Bytes written since the peer last took all of them.
    unsent: usize,
    /// The index token that was sent last.
    token: Vec<u8>,
    opened: Instant,
    used: Instant,
}

impl Connection {
    /// Begins a connection.
    pub(crate) fn new(number: u64, parts: Parts, limits: ConnectionLimits) -> Self {
        let (stream, peer, mut session) = parts;
        session.set_buffer_limit(None);
        let opened = Instant::now();
        Self {
            number,
            stream,
            peer,
            session,
            stage: Stage::Greeting,
            limits,
            input: Vec::new(),
            fragments: BTreeMap::new(),
            fragment_bytes: 0,
            in_flight: 0,
            unsent: 0,
            token: Vec::new(),
            opened,
            used: opened,
        }
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
    /// `room` is the worker's: what is received goes through it into TLS at once.
    pub(crate) fn serve(
        &mut self,
        shared: &Arc<Shared>,
        inbox: &Arc<Inbox>,
        room: &mut [u8],
    ) -> bool {
        let room_bytes = room.len();
        loop {
            // A slow peer must take its replies before its requests are read on; the socket holds it back.
            if self.unsent > UNSENT_MAX && !self.flush() {
                return false;
            }
            if self.unsent > UNSENT_MAX || self.in_flight >= self.limits.in_flight {
                return self.flush();
            }
            let mut received = match self.stream.read(room) {
                Ok(0) => return false,
                Ok(length) => room.get(..length).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => &[],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            // The next event comes with the next byte, once a read did not fill its buffer.
            let drained = received.len() < room_bytes;
            loop {
                if !self.decrypt(&mut received) || !self.take_frames(shared, inbox) {
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
            if drained {
                return true;
            }
        }
    }

    /// Takes what TLS has of what was received.
    fn decrypt(&mut self, received: &mut &[u8]) -> bool {
        if !received.is_empty()
            && let Err(error) = self.session.read_tls(received)
        {
            tracing::debug!(peer = %self.peer, %error, "TLS was refused");
            return false;
        }
        match self.session.process_new_packets() {
            Ok(state) => self.take_plaintext(state.plaintext_bytes_to_read()),
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "TLS was refused");
                false
            }
        }
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
        while goes_on && self.in_flight < self.limits.in_flight {
            match frame::read(&input[at..]) {
                Ok(None) => break,
                Ok(Some(Frame { header, payload, taken })) => {
                    at += taken;
                    goes_on = match self.assemble(header.sequence, header.more, payload) {
                        Ok(None) => true,
                        Ok(Some(message)) => self.message(shared, inbox, header.sequence, message),
                        Err(error) => self.protest(header.sequence, error),
                    };
                }
                Err(error) => goes_on = self.protest(0, error),
            }
        }
        self.input = input;
        self.input.drain(..at);
        goes_on
    }

    /// Puts fragments together: returns the message when it is whole.
    fn assemble(
        &mut self,
        sequence: u64,
        more: bool,
        payload: &[u8],
    ) -> Result<Option<Bytes>, Error> {
        let waiting = self.fragments.remove(&sequence);
        if waiting.is_none() && !more {
            return Ok(Some(Bytes::copy_from_slice(payload)));
        }
        let mut message = waiting.unwrap_or_default();
        self.fragment_bytes -= message.len();
        message.extend_from_slice(payload);
        if self.fragment_bytes + message.len() > FRAGMENTS_MAX
            || !matches!(self.stage, Stage::Open(_))
        {
            return Err(Error::MessageTooLarge);
        }
        if !more {
            return Ok(Some(message.into()));
        }
        self.fragment_bytes += message.len();
        self.fragments.insert(sequence, message);
        Ok(None)
    }

    /// Tells the peer what it did wrong, and ends the connection.
    fn protest(&mut self, sequence: u64, error: Error) -> bool {
        tracing::debug!(peer = %self.peer, %error, "the protocol was broken");
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
        let connection = self.number;
        let way =
            || Way { shared: Arc::clone(shared), inbox: Arc::clone(inbox), connection, sequence };
        match drive(outcome, way) {
            Some(answered) => self.reply(shared, sequence, answered),
            None => self.in_flight += 1,
        }
        true
    }

    fn greet(&mut self, shared: &Arc<Shared>, sequence: u64, message: &[u8]) -> bool {
        let Ok(hello) = ClientHello::decode(message) else {
            return self.protest(0, Error::Malformed);
        };
        if sequence != 0 {
            return self.protest(0, Error::Malformed);
        }
        if hello.protocol_max < PROTOCOL_MIN || hello.protocol_min > PROTOCOL_MAX {
            return self.protest(0, Error::VersionUnsupported);
        }
        let mut nonce = [0; 32];
        casemate_crypto::random::fill(&mut nonce);
        let mut answer = shared.reader.hello(nonce);
        if !hello.cluster.is_empty() && hello.cluster != answer.cluster {
            return self.protest(0, Error::ClusterMismatch);
        }
        let exporter =
            self.session.export_keying_material([0; 32], statements::CHANNEL_BINDING_LABEL, None);
        let Ok(exporter) = exporter else { return self.protest(0, Error::Internal) };
        answer.protocol = hello.protocol_max.min(PROTOCOL_MAX);
        answer.connections = self.limits.workers;
        self.write(0, &answer.encode_to_vec());
        let source = self.peer.ip();
        self.stage = Stage::Open(Box::new(Caller {
            source,
            certificate: None,
            exporter,
            nonce,
            log_in: None,
        }));
        true
    }

    /// Takes an answer that came from elsewhere.
    pub(crate) fn answer(&mut self, shared: &Arc<Shared>, sequence: u64, answered: Answered) {
        self.in_flight = self.in_flight.saturating_sub(1);
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

    fn write(&mut self, sequence: u64, message: &[u8]) {
        let mut frames = Vec::with_capacity(message.len() + frame::HEADER_BYTES);
        if let Err(error) = frame::write(&mut frames, sequence, message) {
            tracing::error!(%error, "a reply is too large");
            return;
        }
        self.unsent = self.unsent.saturating_add(frames.len());
        if let Err(error) = io::Write::write_all(&mut self.session.writer(), &frames) {
            tracing::debug!(%error, "a reply could not be written");
        }
    }

    /// Sends what waits; returns whether the connection goes on.
    pub(crate) fn flush(&mut self) -> bool {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.unsent = 0;
        !matches!(self.stage, Stage::Closing)
    }

    /// Ends it properly, as far as it goes without waiting.
    pub(crate) fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        self.flush();
    }
}
