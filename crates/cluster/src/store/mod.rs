//! The store: segments of the log, snapshots and the mark, as files of a [`Disk`]; and how they are read at start-up.
//!
//! Segments `log-<number>` hold records of entries, votes, cuts and purges, in the order in which they were written, so that one
//! fsync makes any number of them durable. A new segment begins with the vote and the purge mark, so that older
//! ones can be removed whole once a snapshot covers them. A snapshot `snapshot-<index>` is written under another name,
//! synced, and renamed. The file `mark` says up to where the log was durable.
//!
//! Reading decides between three things. What was never acknowledged and is not whole is cut off. What was never known to be durable
//! and is whole is kept, and written once more, because an fsync may have failed for it. All else that is not as it should
//! be is damage: nothing is changed, and the error names the file and the byte.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use openraft::{LogId, SnapshotMeta, Vote};
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::log_storage::Entry;
use crate::mark::{self, Mark};
use crate::member::Member;
use crate::record::{self, Chain, Check, FILE_HEADER, Found, VERSION};
use crate::snapshot_file::read_snapshot_meta;

pub(crate) const SEGMENT_MAGIC: &[u8; 8] = b"CSMTLOG\n";
pub(crate) const SNAPSHOT_MAGIC: &[u8; 8] = b"CSMTSNP\n";
pub(crate) const UNFINISHED: &str = "snapshot-unfinished";
/// A snapshot that is coming from another member.
pub(crate) const RECEIVING: &str = "snapshot-receiving";

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
    /// A file is not there.
    #[error("{file} is missing: restore it, or the whole HSM, from a copy; nothing was changed")]
    Missing {
        /// Its name.
        file: String,
    },
    /// An entry is whole, and yet the replica cannot read it.
    #[error(
        "{file}, byte {offset}: the entry does not open with this module's secrets, which are an older copy or those of another \
         HSM; nothing was changed"
    )]
    Unreadable {
        /// The segment.
        file: String,
        /// Where the entry is.
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
    /// A snapshot up to this entry came from another member, and is put in place next: the log may end before it.
    Received = 8,
    /// Entries up to this one were committed.
    Committed = 9,
}

pub(crate) type Meta = SnapshotMeta<u64, Member>;

/// What a store holds.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) vote: Option<Vote<u64>>,
    pub(crate) purged: Option<LogId<u64>>,
    /// Snapshots that came from other members, as far as the log does not begin behind them: one may be in its place while the next
    /// comes.
    pub(crate) received: BTreeSet<LogId<u64>>,
    /// The last entry that is known to be committed.
    pub(crate) committed: Option<LogId<u64>>,
    /// The same, as long as it is not written.
    pub(crate) unwritten_committed: Option<LogId<u64>>,
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// The newest whole snapshot.
    pub(crate) snapshot: Option<(String, Meta)>,
    /// The newest segment's number; 0 in a new store.
    pub(crate) segment: u64,
    /// Where its records end, in bytes and as a chain.
    pub(crate) length: u64,
    pub(crate) chain: Option<Chain>,
    /// Where in it the records begin of which nobody knows whether they are durable, and whether something torn lies behind its end.
    doubtful: u64,
    torn: bool,
    /// The last record that is known to be durable.
    pub(crate) mark: Mark,
    /// The highest index in each segment.
    pub(crate) segments: BTreeMap<u64, u64>,
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("log-{number:016x}")
}

pub(crate) fn snapshot_name(index: u64) -> String {
    format!("snapshot-{index:016x}")
}

pub(crate) fn number_of(name: &str, prefix: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(prefix)?, 16).ok()
}

pub(crate) fn damaged(file: &str, offset: usize) -> StoreError {
    StoreError::Damaged { file: file.to_owned(), offset: u64::try_from(offset).unwrap_or(u64::MAX) }
}

/// Checks the header of a file; returns the check of the last record of the file before it.
pub(crate) fn check_header(
    name: &str,
    bytes: &[u8],
    magic: &[u8; 8],
    number: u64,
) -> Result<Check, StoreError> {
    let (found, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| damaged(name, 0))?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged(name, 8))?;
    let version = u32::from_be_bytes(*version);
    if found != magic || version == 0 {
        return Err(damaged(name, 0));
    }
    if version > VERSION {
        return Err(StoreError::NewerVersion { file: name.to_owned(), found: version });
    }
    let (found, rest) = rest.split_first_chunk::<8>().ok_or_else(|| damaged(name, 12))?;
    if u64::from_be_bytes(*found) != number {
        return Err(damaged(name, 12));
    }
    rest.first_chunk::<8>().copied().ok_or_else(|| damaged(name, 20))
}

pub(crate) fn decode<'a, T: Deserialize<'a>>(
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

/// Whether there is anything of a log on the disk.
///
/// # Errors
/// [`StoreError::Io`].
pub fn has_log(disk: &dyn Disk) -> Result<bool, StoreError> {
    let ours = |name: &String| {
        name == mark::FILE
            || number_of(name, "log-").is_some()
            || number_of(name, "snapshot-").is_some()
    };
    Ok(disk.list()?.iter().any(ours))
}

/// Reads the whole store; cuts off what was never acknowledged, and removes what a crash left half-written.
pub(crate) fn open(disk: &Arc<dyn Disk>) -> Result<Contents, StoreError> {
    let names = disk.list()?;
    let numbers = |prefix: &str| {
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| number_of(name, prefix)).collect();
        numbers.sort_unstable();
        numbers
    };
    let (segments, snapshots) = (numbers("log-"), numbers("snapshot-"));
    let Some(mark) = Mark::read(disk.as_ref())? else {
        return if segments.is_empty() && snapshots.is_empty() {
            Ok(Contents::default())
        } else {
            Err(StoreError::Missing { file: mark::FILE.to_owned() })
        };
    };
    let mut contents = Contents { mark, ..Contents::default() };
    if let Some(&newest) = snapshots.last() {
        let name = snapshot_name(newest);
        contents.snapshot = Some((name.clone(), read_snapshot_meta(disk, &name)?));
    }
    let mut before = None;
    for number in segments.iter().copied().filter(|number| *number <= mark.segment) {
        if contents.segment != 0 && number != contents.segment + 1 {
            return Err(StoreError::Missing { file: segment_name(contents.segment + 1) });
        }
        before = Some(read_segment(disk, number, before, &mut contents)?);
    }
    if contents.segment != mark.segment {
        return Err(StoreError::Missing { file: segment_name(mark.segment) });
    }
    begin_behind_received(&mut contents);
    check_whole(&contents, &segments)?;
    tidy(disk, &names, mark.segment)?;
    repair(disk, &mut contents)?;
    Ok(contents)
}

/// A snapshot that came from another member takes the place of a log that ends before it; a crash may have come in between.
fn begin_behind_received(contents: &mut Contents) {
    let covered = contents.snapshot.as_ref().and_then(|(_, meta)| meta.last_log_id);
    let last = contents.entries.values().next_back().map(|entry| entry.log_id);
    let received = covered.is_some_and(|covered| contents.received.contains(&covered));
    if received && covered > last.or(contents.purged) {
        contents.entries.clear();
        contents.purged = covered;
    }
}

/// Whether the entries begin where they must, and reach as far as they must.
fn check_whole(contents: &Contents, segments: &[u64]) -> Result<(), StoreError> {
    let covered =
        contents.snapshot.as_ref().and_then(|(_, meta)| meta.last_log_id).map(|id| id.index);
    let purged = contents.purged.map(|id| id.index);
    if purged.is_some() && covered < purged {
        let file = snapshot_name(purged.unwrap_or(0));
        return Err(StoreError::Missing { file: format!("{file}, or a later one,") });
    }
    let next = purged.map_or(0, |purged| purged + 1);
    let first = contents.entries.keys().next().copied();
    if first.is_some_and(|first| first != next) {
        let oldest = segments.first().copied().unwrap_or(0);
        return Err(if oldest > 1 {
            StoreError::Missing { file: segment_name(oldest - 1) }
        } else {
            damaged(&segment_name(oldest), FILE_HEADER)
        });
    }
    // A snapshot is taken of what the log holds: a log that ends before it is an older copy.
    let last = contents.entries.keys().next_back().copied().or(purged);
    if covered > last {
        let length = usize::try_from(contents.length).unwrap_or(usize::MAX);
        return Err(damaged(&segment_name(contents.segment), length));
    }
    Ok(())
}

/// Removes what a crash left half-written: a snapshot, and a segment that the mark does not know yet, which holds nothing.
fn tidy(disk: &Arc<dyn Disk>, names: &[String], newest: u64) -> Result<(), StoreError> {
    let unknown = |name: &&String| number_of(name, "log-").is_some_and(|number| number > newest);
    for name in names.iter().filter(unknown) {
        // The mark is an older copy.
        if entries_of(&disk.read(name)?).next().is_some() {
            return Err(damaged(mark::FILE, 0));
        }
    }
    let unfinished = names.iter().filter(|name| *name == UNFINISHED || *name == RECEIVING);
    let mut removed = false;
    for name in names.iter().filter(unknown).chain(unfinished) {
        tracing::warn!(file = name, "removed a file that was begun and never used");
        disk.remove(name)?;
        removed = true;
    }
    if removed {
        disk.sync_directory()?;
    }
    Ok(())
}

/// Reads a segment; returns the check of its last record.
fn read_segment(
    disk: &Arc<dyn Disk>,
    number: u64,
    before: Option<Check>,
    contents: &mut Contents,
) -> Result<Check, StoreError> {
    let name = segment_name(number);
    let bytes = disk.read(&name)?;
    let found = check_header(&name, &bytes, SEGMENT_MAGIC, number)?;
    let mut chain = Chain::behind(bytes.get(..FILE_HEADER).unwrap_or_default());
    if before.is_some_and(|before| before != found) {
        // Either this header is wrong, which its first record tells, or the segment before has another end than it had.
        return Err(match record::read(&bytes, FILE_HEADER, &chain) {
            Found::Whole(_) => damaged(
                &segment_name(number - 1),
                usize::try_from(contents.length).unwrap_or(usize::MAX),
            ),
            Found::End | Found::Torn | Found::Damaged => damaged(&name, 20),
        });
    }
    let mark = contents.mark;
    let newest = number == mark.segment;
    let (mut at, mut highest, mut doubtful, mut torn) = (FILE_HEADER, 0, FILE_HEADER, false);
    loop {
        let must_be = newest && chain.sequence <= mark.sequence;
        match record::read(&bytes, at, &chain) {
            Found::End | Found::Torn if must_be => return Err(damaged(&name, at)),
            Found::End => break,
            Found::Torn if newest => {
                torn = true;
                break;
            }
            Found::Torn | Found::Damaged => return Err(damaged(&name, at)),
            Found::Whole(record) => {
                if newest && record.sequence == mark.sequence && record.check != mark.check {
                    return Err(damaged(&name, at));
                }
                let index = replay(&name, at, record.kind, record.payload, contents)?;
                highest = highest.max(index);
                if record.durable > chain.durable {
                    doubtful = at;
                }
                at = record.end;
                if must_be {
                    doubtful = at;
                }
                chain.pass(&record);
            }
        }
    }
    contents.segments.insert(number, highest);
    contents.segment = number;
    contents.length = u64::try_from(at).unwrap_or(u64::MAX);
    contents.doubtful = u64::try_from(doubtful).unwrap_or(u64::MAX);
    contents.torn = torn;
    contents.chain = Some(chain);
    Ok(chain.before)
}

/// Cuts a torn end off the newest segment, and writes once more what is whole and perhaps not durable: an fsync may have failed for
/// it, and the next one would not say so.
fn repair(disk: &Arc<dyn Disk>, contents: &mut Contents) -> io::Result<()> {
    let name = segment_name(contents.segment);
    let Some(chain) = &mut contents.chain else { return Ok(()) };
    if contents.torn {
        let offset = contents.length;
        tracing::warn!(file = name, offset, "cut off a torn end, which was never acknowledged");
        disk.truncate(&name, offset)?;
    }
    if contents.doubtful < contents.length {
        let bytes = disk.read(&name)?;
        let from = usize::try_from(contents.doubtful).map_err(io::Error::other)?;
        disk.overwrite(&name, contents.doubtful, bytes.get(from..).unwrap_or_default())?;
    }
    if contents.torn || contents.doubtful < contents.length {
        disk.sync(&name)?;
    }
    chain.durable = chain.sequence.saturating_sub(1);
    Ok(())
}

/// Names the entry that cannot be read.
pub(crate) fn unreadable(disk: &Arc<dyn Disk>, index: u64) -> StoreError {
    let (file, offset) = place_of(disk, index).unwrap_or_else(|| ("the log".to_owned(), 0));
    StoreError::Unreadable { file, offset }
}

/// Entries that making a cluster writes: its membership, the leader's first, the first command.
const FIRST_ENTRIES: usize = 8;

/// Removes what a creation left that was interrupted: nothing but the first entries of a log.
///
/// # Errors
/// [`StoreError::Damaged`] if there is more than that: it is somebody's cluster.
pub(crate) fn remove_unfinished(disk: &Arc<dyn Disk>) -> Result<(), StoreError> {
    let names = disk.list()?;
    let ours = |name: &&String| {
        number_of(name, "log-").is_some() || number_of(name, "snapshot-").is_some()
    };
    let files: Vec<&String> = names.iter().filter(ours).collect();
    if let Some(first) = files.first() {
        let begun = files.len() == 1 && **first == segment_name(1);
        if !begun || entries_of(&disk.read(first)?).count() > FIRST_ENTRIES {
            return Err(damaged(first, 0));
        }
    }
    // The mark goes first: without it the rest is nothing.
    let mark = names.iter().filter(|name| *name == mark::FILE);
    for name in mark.chain(files) {
        disk.remove(name)?;
    }
    disk.sync_directory()?;
    Ok(())
}

/// Finds the record of an entry.
fn place_of(disk: &Arc<dyn Disk>, index: u64) -> Option<(String, u64)> {
    let names = disk.list().ok()?;
    names.into_iter().filter(|name| number_of(name, "log-").is_some()).find_map(|name| {
        let bytes = disk.read(&name).ok()?;
        let place = entries_of(&bytes).find_map(|(at, found)| (found == index).then_some(at));
        place.map(|at| (name, u64::try_from(at).unwrap_or(u64::MAX)))
    })
}

/// The places of the entries of a segment, each with its index.
fn entries_of(bytes: &[u8]) -> impl Iterator<Item = (usize, u64)> {
    let mut chain = Chain::behind(bytes.get(..FILE_HEADER).unwrap_or_default());
    let mut at = FILE_HEADER;
    let records = std::iter::from_fn(move || {
        let Found::Whole(record) = record::read(bytes, at, &chain) else { return None };
        chain.pass(&record);
        Some((std::mem::replace(&mut at, record.end), record))
    });
    records.filter(|(_, record)| record.kind == Kind::Entry as u8).filter_map(|(at, record)| {
        let entry = crate::log_storage::decode_entry(record.payload)?;
        Some((at, entry.log_id.index))
    })
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
        let last = contents.entries.keys().next_back().copied();
        let before = last.or_else(|| contents.purged.map(|purged| purged.index));
        let follows = last.is_some_and(|last| last.checked_add(1) == Some(index));
        // A start behind a snapshot that was received, whose power was lost before the log said that it begins there.
        let received = contents.received.iter().find(|id| id.index.checked_add(1) == Some(index));
        match received.copied() {
            Some(received) if !follows && Some(received.index) > before => {
                contents.entries.clear();
                contents.purged = Some(received);
            }
            _ if last.is_some() && !follows => return Err(damaged(name, at)),
            _ => {}
        }
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
        let next = purged.index.checked_add(1).ok_or_else(|| damaged(name, at))?;
        contents.entries = contents.entries.split_off(&next);
        contents.purged = contents.purged.max(Some(purged));
    } else if kind == Kind::Received as u8 {
        contents.received.insert(decode(name, at, payload)?);
    } else if kind == Kind::Committed as u8 {
        contents.committed = Some(decode(name, at, payload)?);
    } else {
        return Err(damaged(name, at));
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
