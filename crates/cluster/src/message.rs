//! What members say to each other, as bytes: a description in JSON, then entries and pieces of files as they are.
//!
//! ```text
//! message = version (u8) ‖ parts (u32 BE) ‖ part*        part = length (u32 BE) ‖ bytes
//! ```
//!
//! The first part describes; the others are what must not grow by being described. Whatever cannot be read is refused whole.

use std::sync::Arc;

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{LogId, Vote};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cluster::Committed;
use crate::log_storage::{Entry, TypeConfig, decode_entry, encode_entry};
use crate::store::Meta;

const VERSION: u8 = 1;

/// A message that cannot be read, or not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of another member cannot be read: it may be of another version")]
pub(crate) struct Unreadable;

/// A piece of a snapshot's file.
pub(crate) struct Piece {
    pub(crate) vote: Vote<u64>,
    pub(crate) meta: Meta,
    pub(crate) offset: u64,
    pub(crate) last: bool,
    pub(crate) bytes: Vec<u8>,
}

/// What one member asks another.
pub(crate) enum Request {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    Piece(Piece),
    /// Commands to be proposed by the leader.
    Propose(Vec<Arc<[u8]>>),
    /// What the leader has committed.
    ReadIndex,
}

/// Why the one who was asked does not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refused {
    /// It does not lead.
    NotLeader,
    /// It cannot: it is stopping, its disk failed, or the request cannot be read.
    Unable,
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    /// More of the snapshot is expected from this offset on.
    More(u64),
    Snapshot(SnapshotResponse<u64>),
    Proposed(Vec<Committed>),
    ReadIndex(Option<LogId<u64>>),
    Refused(Refused),
}

#[derive(Serialize, Deserialize)]
enum Front {
    Append { vote: Vote<u64>, prev: Option<LogId<u64>>, commit: Option<LogId<u64>> },
    Vote(VoteRequest<u64>),
    Piece { vote: Vote<u64>, meta: Meta, offset: u64, last: bool },
    Propose,
    ReadIndex,
}

#[derive(Serialize, Deserialize)]
enum ReplyFront {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    More(u64),
    Snapshot(SnapshotResponse<u64>),
    /// The indexes; the replies are the parts.
    Proposed(Vec<u64>),
    ReadIndex(Option<LogId<u64>>),
    Refused(Refused),
}

fn write(front: &impl Serialize, parts: &[&[u8]]) -> Result<Vec<u8>, Unreadable> {
    let front = serde_json::to_vec(front).map_err(|_error| Unreadable)?;
    let bytes = parts.iter().map(|part| part.len() + 4).sum::<usize>() + front.len() + 9;
    let mut out = Vec::with_capacity(bytes);
    out.push(VERSION);
    let count = u32::try_from(parts.len() + 1).map_err(|_error| Unreadable)?;
    out.extend_from_slice(&count.to_be_bytes());
    for part in std::iter::once(front.as_slice()).chain(parts.iter().copied()) {
        let length = u32::try_from(part.len()).map_err(|_error| Unreadable)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    Ok(out)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Vec<&[u8]>), Unreadable> {
    let (version, rest) = bytes.split_first().ok_or(Unreadable)?;
    let (count, mut rest) = rest.split_first_chunk::<4>().ok_or(Unreadable)?;
    if *version != VERSION {
        return Err(Unreadable);
    }
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or(Unreadable)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_error| Unreadable)?;
        let (part, behind) = behind.split_at_checked(length).ok_or(Unreadable)?;
        parts.push(part);
        rest = behind;
    }
    let whole = u32::try_from(parts.len()) == Ok(u32::from_be_bytes(*count));
    if parts.is_empty() || !whole {
        return Err(Unreadable);
    }
    let front = serde_json::from_slice(parts.remove(0)).map_err(|_error| Unreadable)?;
    Ok((front, parts))
}

impl Request {
    /// Writes it.
    ///
    /// # Errors
    /// [`Unreadable`] if it is larger than a message may be.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Append(append) => {
                let entries = append.entries.iter().map(encode_entry);
                let entries =
                    entries.collect::<Result<Vec<_>, _>>().map_err(|_error| Unreadable)?;
                let parts: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
                let (vote, prev) = (append.vote, append.prev_log_id);
                write(&Front::Append { vote, prev, commit: append.leader_commit }, &parts)
            }
            Self::Vote(vote) => write(&Front::Vote(vote.clone()), &[]),
            Self::Piece(Piece { vote, meta, offset, last, bytes }) => {
                let (vote, offset, last) = (*vote, *offset, *last);
                write(&Front::Piece { vote, meta: meta.clone(), offset, last }, &[bytes])
            }
            Self::Propose(commands) => {
                let parts: Vec<&[u8]> = commands.iter().map(AsRef::as_ref).collect();
                write(&Front::Propose, &parts)
            }
            Self::ReadIndex => write(&Front::ReadIndex, &[]),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (front, parts) = read(bytes)?;
        match (front, parts.as_slice()) {
            (Front::Append { vote, prev, commit }, parts) => {
                let entries = parts.iter().map(|part| decode_entry(part));
                let entries: Vec<Entry> = entries.collect::<Option<_>>().ok_or(Unreadable)?;
                let follows = |pair: &[Entry]| {
                    pair.first().map(|entry| entry.log_id.index.checked_add(1))
                        == pair.last().map(|entry| Some(entry.log_id.index))
                };
                let first = prev.map_or(Some(0), |prev| prev.index.checked_add(1));
                let begins = entries.first().is_none_or(|entry| Some(entry.log_id.index) == first);
                if !begins || !entries.windows(2).all(follows) {
                    return Err(Unreadable);
                }
                Ok(Self::Append(AppendEntriesRequest {
                    vote,
                    prev_log_id: prev,
                    entries,
                    leader_commit: commit,
                }))
            }
            (Front::Vote(vote), []) => Ok(Self::Vote(vote)),
            (Front::Piece { vote, meta, offset, last }, [bytes]) => {
                Ok(Self::Piece(Piece { vote, meta, offset, last, bytes: bytes.to_vec() }))
            }
            (Front::Propose, commands) => {
                Ok(Self::Propose(commands.iter().map(|command| Arc::from(*command)).collect()))
            }
            (Front::ReadIndex, []) => Ok(Self::ReadIndex),
            _ => Err(Unreadable),
        }
    }
}

impl Reply {
    /// Writes it; what cannot be written comes to nothing, which cannot be read.
    pub(crate) fn encode(self) -> Vec<u8> {
        let written = match self {
            Self::Append(response) => write(&ReplyFront::Append(response), &[]),
            Self::Vote(response) => write(&ReplyFront::Vote(response), &[]),
            Self::More(offset) => write(&ReplyFront::More(offset), &[]),
            Self::Snapshot(response) => write(&ReplyFront::Snapshot(response), &[]),
            Self::Proposed(committed) => {
                let indexes = committed.iter().map(|committed| committed.index).collect();
                let replies: Vec<&[u8]> =
                    committed.iter().map(|committed| committed.reply.as_slice()).collect();
                write(&ReplyFront::Proposed(indexes), &replies)
            }
            Self::ReadIndex(index) => write(&ReplyFront::ReadIndex(index), &[]),
            Self::Refused(refused) => write(&ReplyFront::Refused(refused), &[]),
        };
        written.unwrap_or_default()
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (front, parts) = read(bytes)?;
        match (front, parts.as_slice()) {
            (ReplyFront::Append(response), []) => Ok(Self::Append(response)),
            (ReplyFront::Vote(response), []) => Ok(Self::Vote(response)),
            (ReplyFront::More(offset), []) => Ok(Self::More(offset)),
            (ReplyFront::Snapshot(response), []) => Ok(Self::Snapshot(response)),
            (ReplyFront::Proposed(indexes), replies) if indexes.len() == replies.len() => {
                let committed = indexes.into_iter().zip(replies);
                let committed =
                    committed.map(|(index, reply)| Committed { index, reply: reply.to_vec() });
                Ok(Self::Proposed(committed.collect()))
            }
            (ReplyFront::ReadIndex(index), []) => Ok(Self::ReadIndex(index)),
            (ReplyFront::Refused(refused), []) => Ok(Self::Refused(refused)),
            _ => Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64) -> LogId<u64> {
        LogId::new(openraft::CommittedLeaderId::new(3, 1), index)
    }

    fn entry(index: u64) -> Entry {
        let batch = crate::log_storage::Batch(vec![Arc::from(&b"one"[..]), Arc::from(&b""[..])]);
        Entry { log_id: id(index), payload: openraft::EntryPayload::Normal(batch) }
    }

    fn append(prev: Option<u64>, indexes: &[u64]) -> Vec<u8> {
        let request = Request::Append(AppendEntriesRequest {
            vote: Vote::new(3, 1),
            prev_log_id: prev.map(id),
            entries: indexes.iter().copied().map(entry).collect(),
            leader_commit: Some(id(1)),
        });
        request.encode().unwrap()
    }

    fn requests() -> Vec<Vec<u8>> {
        let piece = Piece {
            vote: Vote::new(3, 1),
            meta: Meta::default(),
            offset: 7,
            last: true,
            bytes: b"pebble".to_vec(),
        };
        let others = [
            Request::Vote(VoteRequest::new(Vote::new(4, 2), None)),
            Request::Piece(piece),
            Request::Propose(vec![Arc::from(&b"command"[..]), Arc::from(&b""[..])]),
            Request::ReadIndex,
        ];
        let others = others.iter().map(|request| request.encode().unwrap());
        others.chain([append(None, &[0, 1]), append(Some(4), &[5, 6, 7])]).collect()
    }

    #[test]
    fn what_was_written_reads_back() {
        for bytes in requests() {
            assert_eq!(Request::decode(&bytes).unwrap().encode().unwrap(), bytes);
        }
        let committed = |index| Committed { index, reply: vec![1; 3] };
        for reply in [
            Reply::Append(AppendEntriesResponse::Success),
            Reply::More(9),
            Reply::Proposed(vec![committed(4), committed(5)]),
            Reply::ReadIndex(Some(id(3))),
            Reply::Refused(Refused::NotLeader),
        ] {
            let bytes = reply.encode();
            assert_eq!(Reply::decode(&bytes).unwrap().encode(), bytes);
        }
    }

    /// A malicious member may send anything.
    #[test]
    fn what_is_cut_changed_or_out_of_order_is_no_panic() {
        for bytes in requests() {
            for length in 0..bytes.len() {
                assert!(Request::decode(&bytes[..length]).is_err());
            }
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x41;
                // It may still be a request, but never a fault.
                drop(Request::decode(&changed));
                drop(Reply::decode(&changed));
            }
        }
        for (prev, indexes) in
            [(None, vec![1]), (Some(4), vec![4]), (Some(4), vec![5, 7]), (Some(u64::MAX), vec![0])]
        {
            assert!(Request::decode(&append(prev, &indexes)).is_err(), "{prev:?} {indexes:?}");
        }
    }
}
