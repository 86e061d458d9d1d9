//! Records: how bytes lie in the files of the store, and what damage looks like.
//!
//! ```text
//! file   = magic (8) ‖ version (u32) ‖ record*
//! record = length (u32) ‖ kind (u8) ‖ sequence (u64) ‖ check (8) ‖ payload (length bytes)
//! check  = first 8 bytes of SHA-256(length ‖ kind ‖ sequence ‖ payload)
//! ```
//!
//! Sequence numbers go up by one over all records of a file. A crash may tear the end of the newest file: a record that is
//! cut or wrong, with no whole record behind it. That end was never acknowledged, and is cut off. A wrong record with a whole one
//! behind it, or in any older file, is damage: the store refuses to start and names the place.

use casemate_crypto::digest;

/// Bytes before a payload.
pub(crate) const RECORD_HEADER: usize = 21;
/// Bytes before the first record.
pub(crate) const FILE_HEADER: usize = 12;
/// The version that this build writes.
pub(crate) const VERSION: u32 = 1;
/// Bytes of the longest payload: an entry holds an object of 128 KiB at most, a chunk of a snapshot 1 MiB.
const PAYLOAD_MAX: usize = 4 << 20;
/// A record whose sequence is this far ahead is none: it limits what a search behind damage takes for one.
const SEQUENCE_AHEAD: u64 = 1 << 20;

/// One whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: u8,
    pub(crate) sequence: u64,
    pub(crate) payload: &'a [u8],
    /// Where the next one begins.
    pub(crate) end: usize,
}

/// What is at a place where a record should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Whole(Record<'a>),
    End,
    /// Cut or wrong, and nothing whole behind it.
    Torn,
    /// Wrong, with something whole behind it.
    Damaged,
}

fn check(length: u32, kind: u8, sequence: u64, payload: &[u8]) -> [u8; 8] {
    let head = [&length.to_be_bytes()[..], &[kind], &sequence.to_be_bytes()].concat();
    let [a, b, c, d, e, f, g, h, ..] = digest::sha256(&[&head, payload]);
    [a, b, c, d, e, f, g, h]
}

/// Writes the header of a file.
pub(crate) fn file_header(magic: &[u8; 8]) -> Vec<u8> {
    [&magic[..], &VERSION.to_be_bytes()].concat()
}

/// Appends a record to `out`.
pub(crate) fn write(out: &mut Vec<u8>, kind: u8, sequence: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(kind);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&check(length, kind, sequence, payload));
    out.extend_from_slice(payload);
}

fn whole(bytes: &[u8], at: usize) -> Option<Record<'_>> {
    let rest = bytes.get(at..)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (&kind, rest) = rest.split_first()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (found, rest) = rest.split_first_chunk::<8>()?;
    let size =
        usize::try_from(u32::from_be_bytes(*length)).ok().filter(|size| *size <= PAYLOAD_MAX)?;
    let payload = rest.get(..size)?;
    let sequence = u64::from_be_bytes(*sequence);
    let right = check(u32::from_be_bytes(*length), kind, sequence, payload) == *found;
    right.then_some(Record { kind, sequence, payload, end: at + RECORD_HEADER + size })
}

/// Whether a whole record begins anywhere from `at` on: only where its sequence number is plausible is its check computed.
fn any_whole(bytes: &[u8], at: usize, expected: u64) -> bool {
    (at..bytes.len().saturating_sub(RECORD_HEADER - 1)).any(|place| {
        let sequence = bytes.get(place + 5..place + 13).and_then(|found| found.try_into().ok());
        let sequence = sequence.map_or(0, u64::from_be_bytes);
        (expected..expected.saturating_add(SEQUENCE_AHEAD)).contains(&sequence)
            && whole(bytes, place).is_some()
    })
}

/// Reads what is at `at`, where the record with number `expected` should be.
pub(crate) fn read(bytes: &[u8], at: usize, expected: u64) -> Found<'_> {
    if at == bytes.len() {
        return Found::End;
    }
    match whole(bytes, at) {
        Some(record) if record.sequence == expected => Found::Whole(record),
        Some(_) => Found::Damaged,
        None if any_whole(bytes, at + 1, expected) => Found::Damaged,
        None => Found::Torn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut out = Vec::new();
        for sequence in 1..=3 {
            write(&mut out, 7, sequence, &[u8::try_from(sequence).unwrap(); 40]);
        }
        out
    }

    #[test]
    fn records_read_back() {
        let bytes = three();
        let Found::Whole(first) = read(&bytes, 0, 1) else { panic!() };
        assert_eq!((first.kind, first.payload), (7, &[1; 40][..]));
        let Found::Whole(second) = read(&bytes, first.end, 2) else { panic!() };
        let Found::Whole(third) = read(&bytes, second.end, 3) else { panic!() };
        assert_eq!(read(&bytes, third.end, 4), Found::End);
    }

    #[test]
    fn a_cut_is_torn_and_a_flip_before_the_last_record_is_damage() {
        let bytes = three();
        let last = 2 * (RECORD_HEADER + 40);
        for cut in last + 1..bytes.len() {
            assert_eq!(read(&bytes[..cut], last, 3), Found::Torn, "{cut}");
        }
        for flipped in 0..last {
            let mut wrong = bytes.clone();
            wrong[flipped] ^= 0x40;
            let mut at = 0;
            let mut sequence = 1;
            let found = loop {
                match read(&wrong, at, sequence) {
                    Found::Whole(record) => (at, sequence) = (record.end, sequence + 1),
                    found => break found,
                }
            };
            assert_eq!(found, Found::Damaged, "{flipped}");
        }
    }
}
