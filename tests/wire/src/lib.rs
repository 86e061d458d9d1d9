//! The application port by hand: TLS, frames and hellos. One thread, one connection, no retry.
//!
//! For what the client library rightly does not do: the tests send bytes that are wrong, and the benchmark opens thousands of connections
//! from one process. It takes any certificate, for it speaks to a daemon that its caller started; the handshake's signature it checks,
//! because that work belongs to the cost.
#![forbid(unsafe_code)]

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use casemate_crypto::{Hash, hmac};
use casemate_protocol::frame::{self, HEADER_BYTES, Header};
use casemate_protocol::messages::{
    Answer, Ask, ClientHello, LogIn, PROTOCOL_MAX, PROTOCOL_MIN, Reply, Request, ServerHello,
    UseTicket,
};
use casemate_protocol::statements;
use prost::Message as _;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

mod anybody;

/// How long it waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Wire {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// What the other side said of itself.
    pub hello: ServerHello,
    greeted: bool,
    sequence: u64,
}

/// Connects without TLS.
///
/// # Errors
/// As the system says.
pub fn tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Returns the bytes of a request.
#[must_use]
pub fn message(ask: Ask) -> Vec<u8> {
    Request { ask: Some(ask), ..Request::default() }.encode_to_vec()
}

fn read<M: prost::Message + Default>(bytes: &[u8]) -> io::Result<M> {
    M::decode(bytes).map_err(io::Error::other)
}

impl Wire {
    /// Makes a TLS connection and says nothing on it.
    ///
    /// # Errors
    /// What TLS or the system says.
    pub fn tls(address: &str) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(anybody::Anybody(provider)))
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from("casemate").map_err(io::Error::other)?;
        let mut session =
            ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut socket = tcp(address)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let stream = StreamOwned::new(session, socket);
        Ok(Self { stream, hello: ServerHello::default(), greeted: false, sequence: 1 })
    }

    /// Makes a connection and greets, without naming a cluster.
    ///
    /// # Errors
    /// As [`Self::tls`] and [`Self::greet`]; a refusal stands in the hello.
    pub fn open(address: &str) -> io::Result<Self> {
        let mut wire = Self::tls(address)?;
        wire.hello = wire.greet(&ClientHello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            ..ClientHello::default()
        })?;
        Ok(wire)
    }

    /// Says hello, and returns the answer.
    ///
    /// # Errors
    /// As [`Self::receive`]; `InvalidData` if the answer is none.
    pub fn greet(&mut self, hello: &ClientHello) -> io::Result<ServerHello> {
        self.send(0, &hello.encode_to_vec())?;
        let (sequence, bytes) = self.receive()?;
        if sequence != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.greeted = true;
        read(&bytes)
    }

    /// Whether hellos were exchanged.
    #[must_use]
    pub const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What TLS or the system says.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a message as it should be.
    ///
    /// # Errors
    /// As [`Self::raw`].
    pub fn send(&mut self, sequence: u64, message: &[u8]) -> io::Result<()> {
        let mut frames = Vec::new();
        frame::write(&mut frames, sequence, message).map_err(io::Error::other)?;
        self.raw(&frames)
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// As [`Self::raw`].
    pub fn frame(&mut self, sequence: u64, more: bool, payload: &[u8]) -> io::Result<()> {
        let header = Header { length: payload.len(), more, sequence };
        let header = header.encode().map_err(io::Error::other)?;
        self.raw(&[&header, payload].concat())
    }

    /// Reads without writing first: what is not sent yet may wait for what is not read yet.
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = 0;
        while at < buffer.len() {
            match self.stream.conn.reader().read(&mut buffer[at..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => at += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.conn.read_tls(&mut self.stream.sock)? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.stream.conn.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives a message and its number.
    ///
    /// # Errors
    /// What TLS or the system says; `UnexpectedEof` if the other side closed.
    pub fn receive(&mut self) -> io::Result<(u64, Vec<u8>)> {
        let mut message = Vec::new();
        loop {
            let mut header = [0; HEADER_BYTES];
            self.read_exact(&mut header)?;
            let header = Header::decode(&header).map_err(io::Error::other)?;
            let start = message.len();
            message.resize(start + header.length, 0);
            self.read_exact(&mut message[start..])?;
            if !header.more {
                return Ok((header.sequence, message));
            }
        }
    }

    /// Receives an answer and the number of its request.
    ///
    /// # Errors
    /// As [`Self::receive`]; `InvalidData` if there is no answer in it.
    pub fn reply(&mut self) -> io::Result<(u64, Answer)> {
        let (sequence, bytes) = self.receive()?;
        let answer = read::<Reply>(&bytes)?.answer;
        Ok((sequence, answer.ok_or(io::ErrorKind::InvalidData)?))
    }

    /// Asks, and returns the answer.
    ///
    /// # Errors
    /// As [`Self::ask_as`].
    pub fn ask(&mut self, ask: Ask) -> io::Result<Answer> {
        self.sequence += 1;
        self.ask_as(self.sequence, ask)
    }

    /// Asks with a number, and returns the answer.
    ///
    /// # Errors
    /// As [`Self::send`] and [`Self::reply`]; `InvalidData` if another request was answered.
    pub fn ask_as(&mut self, sequence: u64, ask: Ask) -> io::Result<Answer> {
        self.send(sequence, &message(ask))?;
        let (answered, answer) = self.reply()?;
        if answered == sequence { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Logs in by password, with the role's number or 0.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn log_in(&mut self, user: &str, password: &str, role: u32) -> io::Result<Answer> {
        let (user, password) = (user.to_owned(), password.to_owned());
        self.ask(Ask::LogIn(LogIn { user, password, role, client: vec![7; 16] }))
    }

    /// Uses a ticket as its holder does, bound to the connection with this exporter.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn use_ticket(
        &mut self,
        ticket: &[u8],
        secret: &[u8],
        exporter: &[u8; 32],
    ) -> io::Result<Answer> {
        let nonce = [5; 32];
        let proof =
            hmac::sign(Hash::Sha256, secret, &[&statements::ticket_proof(exporter, &nonce)]);
        let (ticket, nonce, proof) = (ticket.to_vec(), nonce.to_vec(), proof.as_ref().to_vec());
        self.ask(Ask::UseTicket(UseTicket { ticket, nonce, proof }))
    }

    /// Returns what binds a proof to this connection.
    ///
    /// # Errors
    /// What TLS says.
    pub fn exporter(&self) -> io::Result<[u8; 32]> {
        let label = statements::CHANNEL_BINDING_LABEL;
        let exported = self.stream.conn.export_keying_material([0; 32], label, None);
        exported.map_err(io::Error::other)
    }

    /// Returns the socket below.
    #[must_use]
    pub const fn socket(&self) -> &TcpStream {
        &self.stream.sock
    }
}
