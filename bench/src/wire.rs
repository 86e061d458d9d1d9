//! A bare client of the application port: TLS, hello, ping. One thread, one connection, no retry.
//!
//! For thousands of connections from one process, which the client library rightly avoids, and for
//! the empty call without PKCS#11. It checks no certificate: it sends no secret and measures a
//! daemon on loopback that the driver started itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use casemate_crypto::{Hash, hmac};
use casemate_protocol::messages::{
    Answer, Ask, ClientHello, Empty, LogIn, PROTOCOL_MAX, PROTOCOL_MIN, Reply, Request,
    ServerHello, UseTicket,
};
use casemate_protocol::{frame, statements};
use prost::Message;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::error::Error;

/// A connection after both hellos.
pub(crate) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    sequence: u64,
    input: Vec<u8>,
}

/// What a log-in leaves to come back with.
pub(crate) struct Ticket {
    ticket: Vec<u8>,
    secret: Vec<u8>,
}

impl Connection {
    /// Connects, and exchanges hellos.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn open(address: &str) -> Result<Self, Error> {
        let tcp = TcpStream::connect(address).map_err(wire)?;
        tcp.set_nodelay(true).map_err(wire)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let configuration = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(wire)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer {
                schemes: algorithms.supported_schemes(),
                provider,
            }))
            .with_no_client_auth();
        let name = ServerName::try_from("casemate.invalid").map_err(wire)?;
        let tls = ClientConnection::new(Arc::new(configuration), name).map_err(wire)?;
        let mut connection =
            Self { stream: StreamOwned::new(tls, tcp), sequence: 0, input: Vec::new() };
        let hello = ClientHello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            cluster: Vec::new(),
            software: "casemate-bench".to_owned(),
        };
        let answer = connection.exchange(0, &hello.encode_to_vec())?;
        match ServerHello::decode(answer.as_slice()).map_err(wire)?.error {
            None => Ok(connection),
            Some(error) => Err(wire(format!("refused with code {}", error.code))),
        }
    }

    /// Sends the empty request and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn ping(&mut self) -> Result<(), Error> {
        match self.ask(Ask::Ping(Empty {}))? {
            Answer::Done(_) => Ok(()),
            _ => Err(wire("a ping was not answered by Done")),
        }
    }

    /// Logs in by password and returns the ticket.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn log_in(&mut self, user: &str, password: &str) -> Result<Ticket, Error> {
        self.logged_in(Ask::LogIn(LogIn {
            user: user.to_owned(),
            password: password.to_owned(),
            role: 0,
            client: vec![7; 16],
        }))
    }

    /// Logs in by ticket and returns the renewed one.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn use_ticket(&mut self, ticket: &Ticket) -> Result<Ticket, Error> {
        let nonce = [9; 32];
        let label = statements::CHANNEL_BINDING_LABEL;
        let exporter = self.stream.conn.export_keying_material([0; 32], label, None);
        let statement = statements::ticket_proof(&exporter.map_err(wire)?, &nonce);
        let proof = hmac::sign(Hash::Sha256, &ticket.secret, &[&statement]);
        self.logged_in(Ask::UseTicket(UseTicket {
            ticket: ticket.ticket.clone(),
            nonce: nonce.to_vec(),
            proof: proof.as_ref().to_vec(),
        }))
    }

    fn logged_in(&mut self, ask: Ask) -> Result<Ticket, Error> {
        match self.ask(ask)? {
            Answer::LoggedIn(it) => Ok(Ticket { ticket: it.ticket, secret: it.secret }),
            Answer::Error(error) => Err(wire(format!("log-in refused, code {}", error.code))),
            _ => Err(wire("a log-in was answered by something else")),
        }
    }

    fn ask(&mut self, ask: Ask) -> Result<Answer, Error> {
        self.sequence += 1;
        let request = Request { ask: Some(ask), ..Request::default() };
        let answer = self.exchange(self.sequence, &request.encode_to_vec())?;
        let reply = Reply::decode(answer.as_slice()).map_err(wire)?;
        reply.answer.ok_or_else(|| wire("a reply without an answer"))
    }

    fn exchange(&mut self, sequence: u64, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut output = Vec::with_capacity(frame::HEADER_BYTES + message.len());
        frame::write(&mut output, sequence, message).map_err(wire)?;
        self.stream.write_all(&output).map_err(wire)?;
        self.stream.flush().map_err(wire)?;
        loop {
            if let Some(found) = frame::read(&self.input).map_err(wire)? {
                let payload = found.payload.to_vec();
                let taken = found.taken;
                self.input.drain(..taken);
                return Ok(payload);
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).map_err(wire)?;
            if count == 0 {
                return Err(wire("the HSM closed the connection"));
            }
            self.input.extend_from_slice(&buffer[..count]);
        }
    }
}

fn wire(cause: impl ToString) -> Error {
    Error::Wire(cause.to_string())
}

/// Accepts any certificate, but checks the handshake's signature: that work belongs to the cost.
#[derive(Debug)]
struct AnyServer {
    schemes: Vec<SignatureScheme>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyServer {
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
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
