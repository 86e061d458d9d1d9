//! Records: how bytes lie in the files of the store, and what damage looks like.
//!
//! ```text
//! file   = magic (8) ‖ version (u32) ‖ number (u64) ‖ check of the last record of the file before (8) ‖ record*
//! record = length (u32) ‖ kind (u8) ‖ sequence (u64) ‖ durable (u64) ‖ before (8) ‖ check (8) ‖ payload (length bytes)
//! check  = first 8 bytes of SHA-256(length ‖ kind ‖ sequence ‖ durable ‖ before ‖ payload)
//! before = check of the record before; of a file's first one: first 8 bytes of SHA-256(header of the file)
//! ```
//!
//! Sequence numbers go up by one over all records of a file, and each record names the one before it, so none can be left out,
//! moved, or put back from an older copy. `durable` is the highest sequence that was known to be on the disk when the record was
//! written. So damage and a torn end are told apart: a wrong record is torn if nothing whole behind it says that it was durable
//! (a disk may write the sectors of one batch in any order, so whole records of that batch may lie behind it); then it
//! was never acknowledged, and is cut off. Every other wrong record is damage: the store refuses to start and names the place.
//! What was durable last of all is said by the mark, in a file of its own ([`crate::mark`]).

use casemate_crypto::digest;

/// The first bytes of a SHA-256: finds every accident; against whoever rewrites the disk, the seals inside count.
pub(crate) type Check = [u8; 8];

/// Bytes before a payload.
pub(crate) const RECORD_HEADER: usize = 37;
/// Bytes before the first record.
pub(crate) const FILE_HEADER: usize = 28;
/// The version that this build writes.
pub(crate) const VERSION: u32 = 1;
/// Bytes of the longest payload: an entry holds a batch of about 1 MiB, a chunk of a snapshot about 512 KiB.
const PAYLOAD_MAX: usize = 4 << 20;
/// A record whose sequence is this far ahead is none: it limits what a search behind damage takes for one.
const SEQUENCE_AHEAD: u64 = 1 << 20;

/// Where a file goes on: what the next record must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Its sequence.
    pub(crate) sequence: u64,
    /// The highest sequence that is known to be on the disk.
    pub(crate) durable: u64,
    /// The check of the record before.
    pub(crate) before: Check,
}

impl Chain {
    /// The chain behind the header of a file.
    pub(crate) fn behind(header: &[u8]) -> Self {
        Self { sequence: 1, durable: 0, before: first_8(digest::sha256(&[header])) }
    }

    /// Whether a record is the next one.
    fn takes(&self, record: &Record<'_>) -> bool {
        record.sequence == self.sequence && record.before == self.before
    }

    /// Goes past a record.
    pub(crate) fn pass(&mut self, record: &Record<'_>) {
        self.sequence = self.sequence.saturating_add(1);
        self.durable = self.durable.max(record.durable);
        self.before = record.check;
    }
}

/// One whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: u8,
    pub(crate) sequence: u64,
    pub(crate) durable: u64,
    pub(crate) before: Check,
    pub(crate) check: Check,
    pub(crate) payload: &'a [u8],
    /// Where the next one begins.
    pub(crate) end: usize,
}

/// What is at a place where a record should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Whole(Record<'a>),
    End,
    /// Cut or wrong, and nothing behind it says that it was durable.
    Torn,
    /// Wrong, although it was durable; or whole, but not the one that should be here.
    Damaged,
}

pub(crate) fn first_8(digest: [u8; 32]) -> Check {
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

fn front(length: u32, kind: u8, chain: &Chain) -> [u8; 29] {
    let mut front = [0; 29];
    front[..4].copy_from_slice(&length.to_be_bytes());
    front[4] = kind;
    front[5..13].copy_from_slice(&chain.sequence.to_be_bytes());
    front[13..21].copy_from_slice(&chain.durable.to_be_bytes());
    front[21..].copy_from_slice(&chain.before);
    front
}

/// Writes the header of a file: `before` is the check of the last record of the file before it, or zeros.
pub(crate) fn file_header(magic: &[u8; 8], number: u64, before: Check) -> Vec<u8> {
    [&magic[..], &VERSION.to_be_bytes(), &number.to_be_bytes(), &before].concat()
}

/// Appends a record to `out`, and goes past it.
pub(crate) fn write(out: &mut Vec<u8>, chain: &mut Chain, kind: u8, payload: &[u8]) {
    let front = front(u32::try_from(payload.len()).unwrap_or(u32::MAX), kind, chain);
    let check = first_8(digest::sha256(&[&front, payload]));
    out.extend_from_slice(&front);
    out.extend_from_slice(&check);
    out.extend_from_slice(payload);
    chain.sequence = chain.sequence.saturating_add(1);
    chain.before = check;
}

fn whole(bytes: &[u8], at: usize) -> Option<Record<'_>> {
    let rest = bytes.get(at..)?;
    let (front, _) = rest.split_first_chunk::<29>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (&kind, rest) = rest.split_first()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (durable, rest) = rest.split_first_chunk::<8>()?;
    let (before, rest) = rest.split_first_chunk::<8>()?;
    let (check, rest) = rest.split_first_chunk::<8>()?;
    let size =
        usize::try_from(u32::from_be_bytes(*length)).ok().filter(|size| *size <= PAYLOAD_MAX)?;
    let payload = rest.get(..size)?;
    let right = first_8(digest::sha256(&[front, payload])) == *check;
    right.then_some(Record {
        kind,
        sequence: u64::from_be_bytes(*sequence),
        durable: u64::from_be_bytes(*durable),
        before: *before,
        check: *check,
        payload,
        end: at + RECORD_HEADER + size,
    })
}

/// Whether a whole record from `at` on says that the one with number `expected` was durable: only where its sequence number is
/// plausible is its check computed.
fn says_durable(bytes: &[u8], at: usize, expected: u64) -> bool {
    (at..bytes.len().saturating_sub(RECORD_HEADER - 1)).any(|place| {
        let number = |from: usize| {
            let found = bytes.get(place + from..place + from + 8);
            found.and_then(|found| found.try_into().ok()).map_or(0, u64::from_be_bytes)
        };
        (expected..expected.saturating_add(SEQUENCE_AHEAD)).contains(&number(5))
            && number(13) >= expected
            && whole(bytes, place).is_some()
    })
}

/// Reads what is at `at`, where the record that `chain` awaits should be.
pub(crate) fn read<'a>(bytes: &'a [u8], at: usize, chain: &Chain) -> Found<'a> {
    if at == bytes.len() {
        return Found::End;
    }
    match whole(bytes, at) {
        Some(record) if chain.takes(&record) => Found::Whole(record),
        Some(_) => Found::Damaged,
        None if says_durable(bytes, at + 1, chain.sequence) => Found::Damaged,
        None => Found::Torn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8; 8] = b"CSMTTST\n";
    const SIZE: usize = RECORD_HEADER + 40;

    /// Batches of so many records each; a batch is written when the one before it is durable.
    fn file(batches: &[u8]) -> Vec<u8> {
        let mut out = file_header(MAGIC, 1, [0; 8]);
        let mut chain = Chain::behind(&out);
        for records in batches {
            for number in 0..*records {
                write(&mut out, &mut chain, 7, &[number; 40]);
            }
            chain.durable = chain.sequence - 1;
        }
        out
    }

    /// Reads to the end, or to what is wrong: how many whole records there are, and what comes behind them.
    fn scan(bytes: &[u8]) -> (usize, Found<'_>) {
        let mut chain = Chain::behind(&bytes[..FILE_HEADER]);
        let (mut at, mut count) = (FILE_HEADER, 0);
        loop {
            match read(bytes, at, &chain) {
                Found::Whole(record) => {
                    chain.pass(&record);
                    (at, count) = (record.end, count + 1);
                }
                found => return (count, found),
            }
        }
    }

    #[test]
    fn records_read_back() {
        assert_eq!(scan(&file(&[1, 2, 3])), (6, Found::End));
        assert_eq!(scan(&file(&[])), (0, Found::End));
    }

    #[test]
    fn a_cut_is_torn() {
        let bytes = file(&[1, 1, 1]);
        let last = FILE_HEADER + 2 * SIZE;
        for cut in last + 1..bytes.len() {
            assert_eq!(scan(&bytes[..cut]), (2, Found::Torn), "{cut}");
        }
    }

    #[test]
    fn a_flip_in_what_was_durable_is_damage_and_in_the_last_batch_torn() {
        let bytes = file(&[1, 2, 3]);
        let last_batch = FILE_HEADER + 3 * SIZE;
        for flipped in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[flipped] ^= 0x40;
            let (count, found) = scan(&wrong);
            if flipped < last_batch {
                assert_eq!(found, Found::Damaged, "{flipped}");
            } else {
                let record = (flipped - FILE_HEADER) / SIZE;
                assert_eq!((count, found), (record, Found::Torn), "{flipped}");
            }
        }
    }

    #[test]
    fn a_hole_in_the_last_batch_is_torn_although_whole_records_lie_behind_it() {
        let mut bytes = file(&[2, 3]);
        bytes[FILE_HEADER + 2 * SIZE..][..SIZE].fill(0);
        assert_eq!(scan(&bytes), (2, Found::Torn));
    }

    #[test]
    fn records_that_are_swapped_left_out_or_of_another_file_are_damage() {
        let bytes = file(&[1, 1, 1]);
        let place = |number: usize| FILE_HEADER + number * SIZE..FILE_HEADER + (number + 1) * SIZE;
        let mut swapped = bytes.clone();
        swapped[place(0)].copy_from_slice(&bytes[place(1)]);
        swapped[place(1)].copy_from_slice(&bytes[place(0)]);
        assert_eq!(scan(&swapped), (0, Found::Damaged));
        let mut without = bytes.clone();
        without.drain(place(1));
        assert_eq!(scan(&without), (1, Found::Damaged));
        // The same place of a file that went another way: whole, with the right number, and yet not the one.
        let mut other = bytes;
        other[place(2)].copy_from_slice(&file(&[2, 1])[place(2)]);
        assert_eq!(scan(&other), (2, Found::Damaged));
    }
}
