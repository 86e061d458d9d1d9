//! For fuzzing: the store as the start reads it, and files whose checks are right, so that what they hold is reached.

use std::io;
use std::sync::Arc;

use crate::disk::Disk;
use crate::mark::{self, Mark};
use crate::record::{self, Chain, FILE_HEADER, Found};
use crate::simulated_disk::SimulatedDisk;
use crate::store::{self, SEGMENT_MAGIC, SNAPSHOT_MAGIC, StoreError};

/// Reads a store as the start does, and mends what the start mends.
///
/// # Errors
/// [`StoreError`].
pub fn read_store(disk: &Arc<dyn Disk>) -> Result<(), StoreError> {
    store::open(disk).map(drop)
}

/// The two kinds of files with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A segment of the log.
    Segment,
    /// A snapshot.
    Snapshot,
}

/// Makes a file from records, each a kind and a payload, with numbers and checks as they should be. `before` is the segment before.
#[must_use]
pub fn file_of(
    kind: FileKind,
    number: u64,
    before: Option<&[u8]>,
    records: &[(u8, &[u8])],
) -> Vec<u8> {
    let magic = match kind {
        FileKind::Segment => SEGMENT_MAGIC,
        FileKind::Snapshot => SNAPSHOT_MAGIC,
    };
    let before = before.map_or([0; 8], |bytes| end_of(bytes, usize::MAX).before);
    let mut bytes = record::file_header(magic, number, before);
    let mut chain = Chain::behind(&bytes);
    for (kind, payload) in records {
        record::write(&mut bytes, &mut chain, *kind, payload);
        chain.durable = chain.sequence.saturating_sub(1);
    }
    bytes
}

/// The chain behind the first so many records of a file.
fn end_of(bytes: &[u8], records: usize) -> Chain {
    let mut chain = Chain::behind(bytes.get(..FILE_HEADER).unwrap_or_default());
    let mut at = FILE_HEADER;
    for _ in 0..records {
        let Found::Whole(record) = record::read(bytes, at, &chain) else { break };
        chain.pass(&record);
        at = record.end;
    }
    chain
}

/// Makes the mark of a log whose newest segment is `segment`, with so many of its records known to be durable.
///
/// # Errors
/// None on a disk in memory.
pub fn mark_of(number: u64, segment: &[u8], records: usize) -> io::Result<Vec<u8>> {
    let disk = SimulatedDisk::default();
    let chain = end_of(segment, records);
    let sequence = chain.sequence.saturating_sub(1);
    Mark::default().begin(&disk, number, sequence, chain.before)?;
    disk.read(mark::FILE)
}
