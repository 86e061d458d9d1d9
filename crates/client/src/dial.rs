//! The way to an HSM: an address becomes a socket, and the two sides greet each other.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use casemate_protocol::frame;
use casemate_protocol::messages::{ClientHello, PROTOCOL_MAX, PROTOCOL_MIN, ServerHello};
use prost::Message as _;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use crate::config::Config;
use crate::trust::Verifier;

/// Connects to the first address of a name that takes a connection.
pub(crate) fn dial(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Begins a session of TLS 1.3; the verifier knows afterwards why it refused.
pub(crate) fn session(config: &Config) -> io::Result<(ClientConnection, Arc<Verifier>)> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier::new(config.trust.clone(), Arc::clone(&provider)));
    let tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<_>);
    let mut tls = match &config.identity {
        Some(identity) => tls
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(io::Error::other)?,
        None => tls.with_no_client_auth(),
    };
    tls.resumption = rustls::client::Resumption::disabled();
    tls.enable_sni = false;
    let name = ServerName::try_from("casemate").map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::new(tls), name).map_err(io::Error::other)?;
    Ok((session, verifier))
}

/// The hello of each side, on a socket that still blocks.
pub(crate) fn greet(
    config: &Config,
    tls: &mut ClientConnection,
    socket: &mut TcpStream,
) -> io::Result<ServerHello> {
    let cluster = config.trust.as_ref().map(|trust| trust.cluster.as_bytes().to_vec());
    let hello = ClientHello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        cluster: cluster.unwrap_or_default(),
        software: concat!("casemate-client ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let mut frames = Vec::new();
    frame::write(&mut frames, 0, &hello.encode_to_vec()).map_err(io::Error::other)?;
    let mut stream = rustls::Stream::new(tls, socket);
    stream.write_all(&frames)?;
    stream.flush()?;
    let mut header = [0; frame::HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let header = frame::Header::decode(&header).map_err(io::Error::other)?;
    let mut payload = vec![0; header.length];
    stream.read_exact(&mut payload)?;
    ServerHello::decode(payload.as_slice()).map_err(io::Error::other)
}
