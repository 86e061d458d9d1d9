//! The way to an HSM: an address becomes a socket, and the two sides greet each other.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use casemate_protocol::frame;
use casemate_protocol::messages::{ClientHello, PROTOCOL_MAX, PROTOCOL_MIN, ServerHello};
use prost::Message as _;
use rustls::ClientConnection;

use crate::config::Config;

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
