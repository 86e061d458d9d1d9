//! Messages between HSMs on a stream: a length, a kind, a number, the bytes.
//!
//! ```text
//! length (u32 BE, of the payload) ‖ kind (u8) ‖ sequence (u64 BE) ‖ payload
//! ```
//!
//! What is behind the kinds is protobuf ([`casemate_protocol::messages`]) or, for Raft, the cluster's own.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes of one message: a batch of entries or a piece of a snapshot is far below.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Bytes of a message of somebody who is no member: a request to join.
pub(super) const STRANGER_BYTES_MAX: usize = 32 << 10;
const HEADER_BYTES: usize = 13;
/// Bytes for which memory is set aside before they have come.
const AHEAD_BYTES: usize = 64 << 10;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first one, of each side.
    Hello = 1,
    /// A request of a member.
    Request = 2,
    /// Its reply.
    Reply = 3,
    /// A request to join, and its reply.
    Join = 4,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Hello, Self::Request, Self::Reply, Self::Join]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// One message.
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) sequence: u64,
    pub(super) payload: Vec<u8>,
}

fn wrong(cause: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

/// Reads one message of at most so many bytes; `None` at the end of the stream.
pub(super) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes_max: usize,
) -> io::Result<Option<Message>> {
    let mut header = [0; HEADER_BYTES];
    if stream.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[1..]).await?;
    let [l0, l1, l2, l3, kind, sequence @ ..] = header;
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(wrong("a message is larger than allowed"));
    }
    let kind = Kind::from_number(kind).ok_or_else(|| wrong("a message of an unknown kind"))?;
    // Memory grows with what comes, not with what is announced.
    let mut payload = Vec::with_capacity(length.min(AHEAD_BYTES));
    let announced = u64::try_from(length).unwrap_or(u64::MAX);
    stream.take(announced).read_to_end(&mut payload).await?;
    if payload.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Message { kind, sequence: u64::from_be_bytes(sequence), payload }))
}

/// Writes one message; the caller flushes.
pub(super) async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    message: &Message,
) -> io::Result<()> {
    let too_large = || wrong("a message is larger than allowed");
    if message.payload.len() > MESSAGE_BYTES_MAX {
        return Err(too_large());
    }
    let length = u32::try_from(message.payload.len()).map_err(|_error| too_large())?;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&length.to_be_bytes());
    header.push(message.kind as u8);
    header.extend_from_slice(&message.sequence.to_be_bytes());
    stream.write_all(&header).await?;
    stream.write_all(&message.payload).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn encoded(kind: Kind, payload: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        block_on(write(&mut bytes, &Message { kind, sequence: 7, payload })).unwrap();
        bytes
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for kind in [Kind::Hello, Kind::Request, Kind::Reply, Kind::Join] {
            let bytes = encoded(kind, b"pebble".to_vec());
            let read = block_on(read(&mut bytes.as_slice(), 6)).unwrap().unwrap();
            assert_eq!(
                (read.kind, read.sequence, read.payload.as_slice()),
                (kind, 7, &b"pebble"[..])
            );
        }
        assert!(block_on(read(&mut &b""[..], 6)).unwrap().is_none());
    }

    #[test]
    fn what_is_cut_too_large_or_unknown_is_an_error() {
        let whole = encoded(Kind::Hello, b"pebble".to_vec());
        for length in 1..whole.len() {
            assert!(block_on(read(&mut &whole[..length], 6)).is_err(), "{length}");
        }
        assert!(block_on(read(&mut whole.as_slice(), 5)).is_err());
        let mut unknown = whole;
        unknown[4] = 9;
        assert!(block_on(read(&mut unknown.as_slice(), 6)).is_err());
        let announced = [&u32::MAX.to_be_bytes()[..], &[1; 9]].concat();
        assert!(block_on(read(&mut announced.as_slice(), MESSAGE_BYTES_MAX)).is_err());
        let mut out = Vec::new();
        let payload = vec![0; MESSAGE_BYTES_MAX + 1];
        let message = Message { kind: Kind::Request, sequence: 1, payload };
        assert!(block_on(write(&mut out, &message)).is_err() && out.is_empty());
    }
}
