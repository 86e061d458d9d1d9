//! The log as openraft sees it: entries in memory, and a channel to the thread that makes them durable.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, PoisonError};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, EntryPayload, LogId, LogState, Membership, OptionalSend, RaftLogReader, StorageError,
    StorageIOError, Vote,
};
use serde::{Deserialize, Serialize};

use crate::cluster::Committed;
use crate::member::Member;
use crate::runtime::Runtime;
use crate::state_machine::SnapshotFile;
use crate::store::{Contents, Kind, encode};
use crate::writer::{Job, Jobs};

openraft::declare_raft_types!(
    /// The types that Raft works with: opaque entries and replies.
    pub(crate) TypeConfig:
        D = Batch,
        R = Replies,
        Node = Member,
        SnapshotData = SnapshotFile,
        AsyncRuntime = Runtime,
);

/// Sealed commands that became one entry: openraft 0.9 waits for the disk entry by entry, so what waits together goes together.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Batch(pub(crate) Vec<Arc<[u8]>>);

impl Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} commands)", self.0.len())
    }
}

/// What `apply` returned for each command.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Replies(pub(crate) Vec<Committed>);

impl Debug for Replies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replies({})", self.0.len())
    }
}

pub(crate) type Entry = openraft::Entry<TypeConfig>;

/// An entry without its bytes.
#[derive(Serialize, Deserialize)]
enum Form {
    Blank,
    Membership(Membership<u64, Member>),
    Batch,
}

/// Writes an entry: its description, then each command, all with their lengths before them.
pub(crate) fn encode_entry(entry: &Entry) -> io::Result<Vec<u8>> {
    let (form, commands): (Form, &[Arc<[u8]>]) = match &entry.payload {
        EntryPayload::Blank => (Form::Blank, &[]),
        EntryPayload::Membership(membership) => (Form::Membership(membership.clone()), &[]),
        EntryPayload::Normal(batch) => (Form::Batch, &batch.0),
    };
    let front = encode(&(entry.log_id, form))?;
    let mut out = Vec::new();
    for part in std::iter::once(front.as_slice()).chain(commands.iter().map(AsRef::as_ref)) {
        let length = u32::try_from(part.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    Ok(out)
}

/// Reads an entry.
pub(crate) fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    let (front, mut rest) = part(bytes)?;
    let (log_id, form): (LogId<u64>, Form) = serde_json::from_slice(front).ok()?;
    let mut commands = Vec::new();
    while !rest.is_empty() {
        let (command, behind) = part(rest)?;
        commands.push(command.into());
        rest = behind;
    }
    let payload = match form {
        Form::Blank => EntryPayload::Blank,
        Form::Membership(membership) => EntryPayload::Membership(membership),
        Form::Batch => EntryPayload::Normal(Batch(commands)),
    };
    Some(Entry { log_id, payload })
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The log.
#[derive(Clone)]
pub(crate) struct LogStorage {
    node: u64,
    contents: Arc<Mutex<Contents>>,
    writer: Jobs,
}

fn storage_error(error: &(impl std::error::Error + 'static)) -> StorageError<u64> {
    StorageIOError::write(AnyError::new(error)).into()
}

impl LogStorage {
    pub(crate) fn new(node: u64, contents: Contents, writer: Jobs) -> Self {
        Self { node, contents: Arc::new(Mutex::new(contents)), writer }
    }

    fn contents(&self) -> std::sync::MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::result_large_err, reason = "the error is openraft's")]
    fn send(&self, job: Job) -> Result<(), StorageError<u64>> {
        self.writer
            .send(job)
            .map_err(|_error| storage_error(&io::Error::from(io::ErrorKind::BrokenPipe)))
    }

    async fn wait(
        &self,
        job: impl FnOnce(crate::writer::Done) -> Job,
    ) -> Result<(), StorageError<u64>> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.send(job(Box::new(move |result| {
            // Nobody waits any more if Raft stopped in between.
            drop(sender.send(result));
        })))?;
        match receiver.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(storage_error(&error)),
            Err(error) => Err(storage_error(&error)),
        }
    }
}

impl RaftLogReader<TypeConfig> for LogStorage {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        Ok(self.contents().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for LogStorage {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError<u64>> {
        let contents = self.contents();
        let last = contents.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: contents.purged, last_log_id: last.or(contents.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let vote = *vote;
        self.wait(|done| Job::Vote { vote, done }).await?;
        self.contents().vote = Some(vote);
        Ok(())
    }

    /// Asked at the start. Whoever led before it stopped is elected anew: openraft would let it go on in its old term, and then it
    /// would confirm reads behind what it knows to be committed, which is less than it had acknowledged.
    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        let vote = self.contents().vote;
        let led = vote.filter(|vote| vote.leader_id.voted_for() == Some(self.node));
        Ok(led.map(|vote| Vote { committed: false, ..vote }).or(vote))
    }

    /// Kept for the next time that something is written: it costs no fsync, and after a crash it may be older than it was.
    async fn save_committed(
        &mut self,
        committed: Option<LogId<u64>>,
    ) -> Result<(), StorageError<u64>> {
        let mut contents = self.contents();
        contents.committed = committed;
        contents.unwritten_committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<u64>>, StorageError<u64>> {
        let contents = self.contents();
        let last = contents.entries.values().next_back().map(|entry| entry.log_id);
        // What was cut off behind a crash was not committed, whatever is noted.
        Ok(contents.committed.min(last.or(contents.purged)))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let mut last_index = 0;
        {
            let mut contents = self.contents();
            if let Some(committed) = contents.unwritten_committed.take() {
                let bytes = encode(&committed).map_err(|error| storage_error(&error))?;
                records.push((Kind::Committed, bytes));
            }
            for entry in entries {
                last_index = entry.log_id.index;
                let bytes = encode_entry(&entry).map_err(|error| storage_error(&error))?;
                records.push((Kind::Entry, bytes));
                contents.entries.insert(last_index, entry);
            }
        }
        let done = Box::new(move |result| callback.log_io_completed(result));
        self.send(Job::Append { records, last_index, done })
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.contents().entries.split_off(&log_id.index);
        let from = encode(&log_id.index).map_err(|error| storage_error(&error))?;
        let records = vec![(Kind::Cut, from)];
        self.wait(|done| Job::Append { records, last_index: 0, done }).await
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        {
            let mut contents = self.contents();
            contents.entries = contents.entries.split_off(&(log_id.index + 1));
            contents.purged = Some(log_id);
        }
        self.send(Job::Purge { purged: log_id })
    }
}
