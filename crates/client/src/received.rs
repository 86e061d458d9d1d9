//! What comes from an HSM: bytes of the socket through TLS, and the word with which it ends a connection.

use std::io::{self, Read as _};

use casemate_protocol::Error;
use casemate_protocol::messages::{Answer, Reply};
use prost::Message as _;
use rustls::ClientConnection;

/// Returns why the HSM ends the connection, if a message says so.
pub(crate) fn farewell(message: &[u8]) -> Option<Error> {
    match Reply::decode(message).ok()?.answer? {
        Answer::Error(error) => Some(error.into()),
        _ => None,
    }
}

/// Takes what TLS has of what was received.
pub(crate) fn decrypt(
    tls: &mut ClientConnection,
    received: &mut &[u8],
    input: &mut Vec<u8>,
) -> io::Result<()> {
    tls.read_tls(received)?;
    let state = tls.process_new_packets().map_err(io::Error::other)?;
    take(tls, input, state.plaintext_bytes_to_read())
}

/// Takes so many bytes of plaintext.
fn take(tls: &mut ClientConnection, input: &mut Vec<u8>, length: usize) -> io::Result<()> {
    if length == 0 {
        // The other side's end of the connection is told by a read of nothing.
        return match tls.reader().read(&mut [0; 1]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(_) => Ok(()),
        };
    }
    let start = input.len();
    input.resize(start + length, 0);
    tls.reader().read_exact(&mut input[start..])
}
