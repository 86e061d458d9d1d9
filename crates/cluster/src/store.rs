//! The store: segments of the log, and snapshots, as files of a [`Disk`]; and how it is read at start-up.
//!
//! Segments `log-<number>` hold records of entries, votes, cuts and purges, in the order in which they were written, so that one
//! fsync makes any number of them durable. A new segment begins with the vote and the purge mark, so that older
//! ones can be removed whole once a snapshot covers them. A snapshot `snapshot-<index>` is written under another name,
//! synced, and renamed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use openraft::{LogId, SnapshotMeta, Vote};
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::log_storage::Entry;
use crate::record::{self, FILE_HEADER, Found, VERSION};

pub(crate) const SEGMENT_MAGIC: &[u8; 8] = b"CSMTLOG\n";
pub(crate) const SNAPSHOT_MAGIC: &[u8; 8] = b"CSMTSNP\n";
pub(crate) const UNFINISHED: &str = "snapshot-unfinished";

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory open.
    #[error("the data directory is in use by another process")]
    InUse,
    /// A file is damaged where it was already durable.
    #[error(
        "{file} is damaged at byte {offset}: restore it, or the whole HSM, from a copy; nothing was changed"
    )]
    Damaged {
        /// Its name.
        file: String,
        /// Where.
        offset: u64,
    },
    /// A file was written by a newer version.
    #[error(
        "{file} has format {found}, and this version reads up to {VERSION}: upgrade the daemon"
    )]
    NewerVersion {
        /// Its name.
        file: String,
        /// Its version.
        found: u32,
    },
    /// The disk does not work.
    #[error("the data directory cannot be read or written")]
    Io(#[from] io::Error),
    /// Raft does not start.
    #[error("Raft does not start: {0}")]
    Raft(String),
}

/// The kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Entry = 1,
    Vote = 2,
    /// Entries from this index on are void.
    Cut = 3,
    /// Entries up to this one are covered by a snapshot.
    Purge = 4,
    /// First record of a snapshot: its description.
    Meta = 5,
    /// A chunk of a snapshot.
    Chunk = 6,
    /// Last record of a snapshot.
    End = 7,
}

pub(crate) type Meta = SnapshotMeta<u64, openraft::BasicNode>;

/// What a store holds.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) vote: Option<Vote<u64>>,
    pub(crate) purged: Option<LogId<u64>>,
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// The newest whole snapshot.
    pub(crate) snapshot: Option<(String, Meta)>,
    /// The newest segment's number, and the sequence of its next record.
    pub(crate) segment: u64,
    pub(crate) next_sequence: u64,
    /// The highest index in each segment.
    pub(crate) segments: BTreeMap<u64, u64>,
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("log-{number:016x}")
}

pub(crate) fn snapshot_name(index: u64) -> String {
    format!("snapshot-{index:016x}")
}

fn number_of(name: &str, prefix: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(prefix)?, 16).ok()
}

fn damaged(file: &str, offset: usize) -> StoreError {
    StoreError::Damaged { file: file.to_owned(), offset: u64::try_from(offset).unwrap_or(u64::MAX) }
}

fn check_header(name: &str, bytes: &[u8], magic: &[u8; 8]) -> Result<(), StoreError> {
    let (found, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| damaged(name, 0))?;
    let (version, _) = rest.split_first_chunk::<4>().ok_or_else(|| damaged(name, 8))?;
    let version = u32::from_be_bytes(*version);
    if found != magic {
        return Err(damaged(name, 0));
    }
    if version > VERSION {
        return Err(StoreError::NewerVersion { file: name.to_owned(), found: version });
    }
    Ok(())
}

fn decode<'a, T: Deserialize<'a>>(
    name: &str,
    offset: usize,
    bytes: &'a [u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_error| damaged(name, offset))
}

/// Writes a value that only we read.
pub(crate) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

/// Reads the whole store; cuts a torn end off the newest segment, and removes what a crash left half-written.
pub(crate) fn open(disk: &Arc<dyn Disk>) -> Result<Contents, StoreError> {
    let names = disk.list()?;
    let mut contents = Contents::default();
    let snapshots = names.iter().filter(|name| number_of(name, "snapshot-").is_some());
    if let Some(newest) = snapshots.max() {
        contents.snapshot = Some((newest.clone(), read_snapshot_meta(disk, newest)?));
    }
    if names.iter().any(|name| name == UNFINISHED) {
        disk.remove(UNFINISHED)?;
    }
    let segments: Vec<u64> = names.iter().filter_map(|name| number_of(name, "log-")).collect();
    for (place, &number) in segments.iter().enumerate() {
        let last = place + 1 == segments.len();
        read_segment(disk, number, last, &mut contents)?;
    }
    let covered = contents.snapshot.as_ref().and_then(|(_, meta)| meta.last_log_id);
    let first = contents.entries.keys().next().copied();
    // Entries begin right behind what is purged, and the snapshot covers that.
    let gap = match (contents.purged.map(|id| id.index), covered.map(|id| id.index), first) {
        (Some(purged), covered, _) if covered.is_none_or(|covered| covered < purged) => true,
        (purged, _, Some(first)) => purged.map_or(0, |purged| purged + 1) != first,
        _ => false,
    };
    if gap {
        return Err(damaged(&segment_name(segments.first().copied().unwrap_or(0)), 0));
    }
    Ok(contents)
}

fn read_segment(
    disk: &Arc<dyn Disk>,
    number: u64,
    last: bool,
    contents: &mut Contents,
) -> Result<(), StoreError> {
    let name = segment_name(number);
    let bytes = disk.read(&name)?;
    if last && bytes.len() < FILE_HEADER {
        // The segment was begun when the power went: nothing in it was acknowledged.
        disk.remove(&name)?;
        disk.sync_directory()?;
        return Ok(());
    }
    check_header(&name, &bytes, SEGMENT_MAGIC)?;
    let mut at = FILE_HEADER;
    let mut sequence = 1;
    let mut highest = 0;
    loop {
        match record::read(&bytes, at, sequence) {
            Found::End => break,
            Found::Torn if last => {
                tracing::warn!(
                    file = name,
                    offset = at,
                    "cut off a torn end, which was never acknowledged"
                );
                disk.truncate(&name, u64::try_from(at).unwrap_or(u64::MAX))?;
                disk.sync(&name)?;
                break;
            }
            Found::Torn | Found::Damaged => return Err(damaged(&name, at)),
            Found::Whole(record) => {
                let index = replay(&name, at, record.kind, record.payload, contents)?;
                highest = highest.max(index);
                at = record.end;
                sequence += 1;
            }
        }
    }
    contents.segments.insert(number, highest);
    contents.segment = number;
    contents.next_sequence = sequence;
    Ok(())
}

fn replay(
    name: &str,
    at: usize,
    kind: u8,
    payload: &[u8],
    contents: &mut Contents,
) -> Result<u64, StoreError> {
    if kind == Kind::Entry as u8 {
        let entry = crate::log_storage::decode_entry(payload).ok_or_else(|| damaged(name, at))?;
        let index = entry.log_id.index;
        contents.entries.insert(index, entry);
        return Ok(index);
    }
    if kind == Kind::Vote as u8 {
        contents.vote = Some(decode(name, at, payload)?);
    } else if kind == Kind::Cut as u8 {
        let from: u64 = decode(name, at, payload)?;
        contents.entries.split_off(&from);
    } else if kind == Kind::Purge as u8 {
        let purged: LogId<u64> = decode(name, at, payload)?;
        contents.entries = contents.entries.split_off(&(purged.index + 1));
        contents.purged = contents.purged.max(Some(purged));
    } else {
        return Err(damaged(name, at));
    }
    Ok(0)
}

fn read_snapshot_meta(disk: &Arc<dyn Disk>, name: &str) -> Result<Meta, StoreError> {
    let mut meta = None;
    read_snapshot(disk, name, |found, _| {
        meta = Some(found.clone());
    })?;
    meta.ok_or_else(|| damaged(name, FILE_HEADER))
}

/// Reads a snapshot whole: calls `take` with its description and all its chunks.
pub(crate) fn read_snapshot(
    disk: &Arc<dyn Disk>,
    name: &str,
    mut take: impl FnMut(&Meta, Vec<Vec<u8>>),
) -> Result<(), StoreError> {
    let bytes = disk.read(name)?;
    check_header(name, &bytes, SNAPSHOT_MAGIC)?;
    let mut at = FILE_HEADER;
    let mut meta: Option<Meta> = None;
    let mut chunks = Vec::new();
    for sequence in 1.. {
        let Found::Whole(record) = record::read(&bytes, at, sequence) else {
            return Err(damaged(name, at));
        };
        match &meta {
            None if record.kind == Kind::Meta as u8 => {
                meta = Some(decode(name, at, record.payload)?);
            }
            Some(_) if record.kind == Kind::Chunk as u8 => chunks.push(record.payload.to_vec()),
            Some(meta) if record.kind == Kind::End as u8 && record.end == bytes.len() => {
                take(meta, chunks);
                return Ok(());
            }
            _ => return Err(damaged(name, at)),
        }
        at = record.end;
    }
    Err(damaged(name, at))
}
