//! A client without manners: TLS and frames by hand, so that each byte can be wrong.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use casemate_crypto::{Hash, hmac};
use casemate_protocol::frame::{self, HEADER_BYTES, Header};
use casemate_protocol::messages::{
    Answer, Ask, ClientHello, LogIn, LoggedIn, Reply, Request, ServerHello, UseTicket,
};
use casemate_protocol::{Error, Role, statements};
use prost::Message as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Trusts whoever answers: the tests speak to a daemon that they started.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection of the test's own.
pub(crate) struct Wire {
    stream: StreamOwned<ClientConnection, TcpStream>,
    pub(crate) hello: ServerHello,
    greeted: bool,
    sequence: u64,
}

/// Connects without TLS.
pub(crate) fn tcp(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Returns everything that the other side still sends until it closes; fails if it does not close in time.
pub(crate) fn read_to_end(stream: &mut impl io::Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset
                        | io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::BrokenPipe
                ) =>
            {
                return all;
            }
            Err(error) => panic!("it was not closed: {error}"),
        }
    }
}

pub(crate) fn hello_of(hello: &ServerHello) -> ClientHello {
    ClientHello {
        protocol_min: 1,
        protocol_max: 1,
        cluster: hello.cluster.clone(),
        software: "borders".to_owned(),
    }
}

impl Wire {
    /// Makes a TLS connection and says nothing on it.
    pub(crate) fn tls(address: &str) -> Self {
        Self::try_tls(address).unwrap()
    }

    pub(crate) fn try_tls(address: &str) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from("casemate").unwrap();
        let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let stream = StreamOwned::new(session, socket);
        Ok(Self { stream, hello: ServerHello::default(), greeted: false, sequence: 1 })
    }

    /// Makes a connection and greets, without naming a cluster.
    pub(crate) fn open(address: &str) -> Self {
        Self::try_open(address).unwrap()
    }

    pub(crate) fn try_open(address: &str) -> io::Result<Self> {
        let mut wire = Self::try_tls(address)?;
        let hello = ClientHello { protocol_min: 1, protocol_max: 1, ..ClientHello::default() };
        wire.hello = wire.greet(&hello)?;
        Ok(wire)
    }

    /// Says hello, and returns the answer.
    pub(crate) fn greet(&mut self, hello: &ClientHello) -> io::Result<ServerHello> {
        self.send(0, &hello.encode_to_vec())?;
        let (sequence, bytes) = self.receive()?;
        assert_eq!(sequence, 0);
        self.greeted = true;
        Ok(ServerHello::decode(bytes.as_slice()).unwrap())
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a message as it should be.
    pub(crate) fn send(&mut self, sequence: u64, message: &[u8]) -> io::Result<()> {
        let mut frames = Vec::new();
        frame::write(&mut frames, sequence, message).unwrap();
        self.raw(&frames)
    }

    /// Sends one frame.
    pub(crate) fn frame(&mut self, sequence: u64, more: bool, payload: &[u8]) -> io::Result<()> {
        let header = Header { length: payload.len(), more, sequence }.encode().unwrap();
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

    /// Receives a message.
    pub(crate) fn receive(&mut self) -> io::Result<(u64, Vec<u8>)> {
        let mut message = Vec::new();
        loop {
            let mut header = [0; HEADER_BYTES];
            self.read_exact(&mut header)?;
            let header = Header::decode(&header).unwrap();
            let start = message.len();
            message.resize(start + header.length, 0);
            self.read_exact(&mut message[start..])?;
            if !header.more {
                return Ok((header.sequence, message));
            }
        }
    }

    /// Receives a reply and the number of its request.
    pub(crate) fn reply(&mut self) -> (u64, Answer) {
        let (sequence, bytes) = self.receive().unwrap();
        (sequence, Reply::decode(bytes.as_slice()).unwrap().answer.unwrap())
    }

    /// Asks, and returns the answer.
    pub(crate) fn ask(&mut self, ask: Ask) -> Answer {
        self.sequence += 1;
        self.ask_as(self.sequence, ask)
    }

    pub(crate) fn ask_as(&mut self, sequence: u64, ask: Ask) -> Answer {
        self.send(sequence, &message(ask)).unwrap();
        let (answered, answer) = self.reply();
        assert_eq!(answered, sequence);
        answer
    }

    /// Asks what must fail, and returns why it did.
    pub(crate) fn refusal(&mut self, what: &str, ask: Ask) -> Error {
        match self.ask(ask) {
            Answer::Error(error) => Error::from(error),
            _ => panic!("{what}: it was done"),
        }
    }

    /// Whether the other side closed the connection, and with which last error of a request.
    pub(crate) fn closed(&mut self) -> Option<Error> {
        let mut last = None;
        loop {
            match self.receive() {
                Ok((0, bytes)) if !self.greeted => {
                    let hello = ServerHello::decode(bytes.as_slice()).unwrap();
                    last = hello.error.map(Error::from).or(last);
                }
                Ok((_, bytes)) => {
                    let reply = Reply::decode(bytes.as_slice()).unwrap();
                    if let Some(Answer::Error(error)) = reply.answer {
                        last = Some(error.into());
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::UnexpectedEof
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::BrokenPipe
                    ) =>
                {
                    return last;
                }
                Err(error) => panic!("it was not closed: {error}"),
            }
        }
    }

    pub(crate) fn try_log_in(
        &mut self,
        user: &str,
        password: &str,
        role: u32,
    ) -> Result<LoggedIn, Error> {
        let client = vec![7; 16];
        let ask = LogIn { user: user.to_owned(), password: password.to_owned(), role, client };
        match self.ask(Ask::LogIn(ask)) {
            Answer::LoggedIn(logged_in) => Ok(logged_in),
            Answer::Error(error) => Err(error.into()),
            _ => panic!("another answer"),
        }
    }

    /// Makes a connection and logs the crypto user `app` in.
    pub(crate) fn user(address: &str) -> Self {
        let mut wire = Self::open(address);
        wire.log_in("app", casemate_tests::USER_PASSWORD, Role::CryptoUser);
        wire
    }

    pub(crate) fn admin(address: &str) -> Self {
        let mut wire = Self::open(address);
        wire.log_in("admin", casemate_tests::ADMIN_PASSWORD, Role::Admin);
        wire
    }

    pub(crate) fn log_in(&mut self, user: &str, password: &str, role: Role) -> LoggedIn {
        self.try_log_in(user, password, role.number()).unwrap()
    }

    pub(crate) fn exporter(&self) -> [u8; 32] {
        let label = statements::CHANNEL_BINDING_LABEL;
        self.stream.conn.export_keying_material([0; 32], label, None).unwrap()
    }

    /// Uses a ticket as its holder does, bound to the connection with this exporter.
    pub(crate) fn use_ticket(
        &mut self,
        ticket: &[u8],
        secret: &[u8],
        exporter: &[u8; 32],
    ) -> Result<LoggedIn, Error> {
        let nonce = [5; 32];
        let proof =
            hmac::sign(Hash::Sha256, secret, &[&statements::ticket_proof(exporter, &nonce)]);
        let proof = proof.as_ref().to_vec();
        match self.ask(Ask::UseTicket(UseTicket {
            ticket: ticket.to_vec(),
            nonce: nonce.to_vec(),
            proof,
        })) {
            Answer::LoggedIn(logged_in) => Ok(logged_in),
            Answer::Error(error) => Err(error.into()),
            _ => panic!("another answer"),
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream.sock
    }
}

/// Returns the bytes of a request.
pub(crate) fn message(ask: Ask) -> Vec<u8> {
    Request { ask: Some(ask), ..Request::default() }.encode_to_vec()
}
