//! Frames: how messages travel on a connection.
//!
//! ```text
//!  0        4       5            13
//! ├────────┼───────┼────────────┼──────────── …
//! │ length │ flags │ sequence   │ payload (length bytes)
//! │ u32 BE │       │ u64 BE     │
//! ```
//!
//! A message larger than [`limits::FRAME_BYTES_MAX`] is cut into fragments with one sequence number; all
//! but the last carry [`MORE`]. The sequence number counts the requests of a client instance, and a
//! reply has that of its request, so replies may come in any order. Sequence 0 is the hello of each side.

use crate::error::Error;
use crate::limits;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 13;
/// Flag: the message goes on in another frame.
pub const MORE: u8 = 1;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload.
    pub length: usize,
    /// Whether the message goes on in another frame.
    pub more: bool,
    /// The request's number; 0 for the hello.
    pub sequence: u64,
}

impl Header {
    /// Reads a header, and checks it before anything is allocated.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`], or [`Error::Malformed`] if a flag is unknown or a fragment is empty.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        let [l0, l1, l2, l3, flags, sequence @ ..] = *bytes;
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3]))
            .map_err(|_error: std::num::TryFromIntError| Error::FrameTooLarge)?;
        if length > limits::FRAME_BYTES_MAX {
            return Err(Error::FrameTooLarge);
        }
        let more = flags == MORE;
        if (flags & !MORE) != 0 || (more && length == 0) {
            return Err(Error::Malformed);
        }
        Ok(Self { length, more, sequence: u64::from_be_bytes(sequence) })
    }

    /// Writes a header.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`].
    pub fn encode(self) -> Result<[u8; HEADER_BYTES], Error> {
        if self.length > limits::FRAME_BYTES_MAX {
            return Err(Error::FrameTooLarge);
        }
        let length = u32::try_from(self.length)
            .map_err(|_error: std::num::TryFromIntError| Error::FrameTooLarge)?;
        let mut bytes = [0; HEADER_BYTES];
        let (front, sequence) = bytes.split_at_mut(5);
        let (front, flags) = front.split_at_mut(4);
        front.copy_from_slice(&length.to_be_bytes());
        flags.fill(if self.more { MORE } else { 0 });
        sequence.copy_from_slice(&self.sequence.to_be_bytes());
        Ok(bytes)
    }
}

/// Appends a message to `out`, in as many frames as it needs.
///
/// # Errors
/// [`Error::MessageTooLarge`] beyond [`limits::MESSAGE_BYTES_MAX`]; `out` is then as before.
pub fn write(out: &mut Vec<u8>, sequence: u64, message: &[u8]) -> Result<(), Error> {
    if message.len() > limits::MESSAGE_BYTES_MAX {
        return Err(Error::MessageTooLarge);
    }
    let mut rest = message;
    loop {
        let (payload, after) = rest.split_at(rest.len().min(limits::FRAME_BYTES_MAX));
        let header = Header { length: payload.len(), more: !after.is_empty(), sequence };
        out.extend_from_slice(&header.encode()?);
        out.extend_from_slice(payload);
        if after.is_empty() {
            return Ok(());
        }
        rest = after;
    }
}

/// A frame at the start of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What stands before the payload.
    pub header: Header,
    /// The payload.
    pub payload: &'a [u8],
    /// Bytes of the input that the frame takes.
    pub taken: usize,
}

/// Reads the first frame of `input`; `None` if it is not whole yet.
///
/// # Errors
/// As [`Header::decode`].
pub fn read(input: &[u8]) -> Result<Option<Frame<'_>>, Error> {
    let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let header = Header::decode(header)?;
    let Some(payload) = rest.get(..header.length) else { return Ok(None) };
    Ok(Some(Frame { header, payload, taken: HEADER_BYTES.saturating_add(header.length) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn frames_read_back(sequence: u64, message: Vec<u8>) {
            let mut out = Vec::new();
            write(&mut out, sequence, &message).unwrap();
            let Frame { header, payload, taken } = read(&out).unwrap().unwrap();
            prop_assert_eq!(header, Header { length: message.len(), more: false, sequence });
            prop_assert_eq!(payload, &message[..]);
            prop_assert_eq!(taken, out.len());
            out.pop();
            prop_assert_eq!(read(&out).unwrap(), None);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(input: Vec<u8>) {
            let read = read(&input);
            prop_assert_eq!(read.is_ok_and(|frame| frame.is_some_and(|frame| frame.taken > input.len())), false);
        }
    }

    #[test]
    fn a_frame_of_one_byte_more_than_the_limit_is_refused() {
        let header = |length: usize| Header { length, more: false, sequence: 1 };
        assert!(header(limits::FRAME_BYTES_MAX).encode().is_ok());
        assert_eq!(header(limits::FRAME_BYTES_MAX + 1).encode(), Err(Error::FrameTooLarge));
        let mut bytes = header(limits::FRAME_BYTES_MAX).encode().unwrap();
        bytes[3] = 1;
        assert_eq!(Header::decode(&bytes), Err(Error::FrameTooLarge));
    }

    #[test]
    fn a_large_message_is_cut() {
        let message = vec![7; limits::FRAME_BYTES_MAX * 2 + 5];
        let mut out = Vec::new();
        write(&mut out, 9, &message).unwrap();
        let mut rest = &out[..];
        let mut whole = Vec::new();
        let mut more = Vec::new();
        while let Some(Frame { header, payload, taken }) = read(rest).unwrap() {
            whole.extend_from_slice(payload);
            more.push(header.more);
            rest = &rest[taken..];
        }
        assert_eq!(whole, message);
        assert_eq!(more, [true, true, false]);
        assert_eq!(
            write(&mut out, 9, &vec![0; limits::MESSAGE_BYTES_MAX + 1]),
            Err(Error::MessageTooLarge)
        );
    }

    #[test]
    fn unknown_flags_and_empty_fragments_are_refused() {
        let mut bytes = Header { length: 1, more: false, sequence: 1 }.encode().unwrap();
        bytes[4] = 2;
        assert_eq!(Header::decode(&bytes), Err(Error::Malformed));
        let empty = Header { length: 0, more: true, sequence: 1 }.encode().unwrap();
        assert_eq!(Header::decode(&empty), Err(Error::Malformed));
    }
}
