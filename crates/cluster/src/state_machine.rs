//! The state machine as openraft sees it: the replica, and its snapshots as files.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    AnyError, EntryPayload, ErrorSubject, ErrorVerb, LogId, OptionalSend, RaftSnapshotBuilder,
    StorageError, StorageIOError, StoredMembership,
};

use crate::cluster::Committed;
use crate::disk::Disk;
use crate::log_storage::{Batch, Entry, Replies, TypeConfig};
use crate::member::Member;
use crate::record::{self, Chain};
use crate::replica::{Replica, ReplicaError, Snapshot as ReplicaSnapshot};
use crate::runtime;
use crate::snapshot_file::read_snapshot;
use crate::store::{Kind, Meta, SNAPSHOT_MAGIC, StoreError, UNFINISHED, encode, snapshot_name};
use crate::testing;
use crate::writer::{Job, Jobs};

/// A snapshot is a file of the disk.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFile(pub(crate) String);

impl SnapshotFile {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// How far entries are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// In Raft's count, of batches.
    pub(crate) log_id: Option<LogId<u64>>,
    /// In the replica's count, of commands.
    pub(crate) index: u64,
}

/// The replica with what Raft must know of it.
pub(crate) struct StateMachine<R> {
    disk: Arc<dyn Disk>,
    replica: R,
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, Member>,
    /// The newest snapshot: its file and description.
    snapshot: Arc<Mutex<Option<(String, Meta)>>>,
    /// The entry that could not be read, if one could not.
    unreadable: Arc<OnceLock<u64>>,
    /// Told after each batch.
    applied: watch::Sender<Applied>,
    /// What makes the log durable.
    log: Option<Jobs>,
}

fn error(verb: ErrorVerb, error: &(impl std::error::Error + 'static)) -> StorageError<u64> {
    StorageIOError::new(ErrorSubject::StateMachine, verb, AnyError::new(error)).into()
}

impl<R: Replica> StateMachine<R> {
    /// Starts from the newest snapshot, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        mut replica: R,
        snapshot: Option<(String, Meta)>,
    ) -> Result<Self, StoreError> {
        let (mut last, mut membership) = (None, StoredMembership::default());
        if let Some((name, meta)) = &snapshot {
            install(&disk, name, &mut replica)?;
            last = meta.last_log_id;
            membership = meta.last_membership.clone();
        }
        let snapshot = Arc::new(Mutex::new(snapshot));
        let unreadable = Arc::default();
        let applied = watch::Sender::new(Applied { log_id: last, index: replica.index() });
        Ok(Self { disk, replica, last, membership, snapshot, unreadable, applied, log: None })
    }

    /// From now on a snapshot waits for the log.
    pub(crate) fn wait_for_log(&mut self, log: Jobs) {
        self.log = Some(log);
    }

    /// Returns where it is told how far entries are applied.
    pub(crate) fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    fn tell(&self) {
        self.applied.send_replace(Applied { log_id: self.last, index: self.replica.index() });
    }

    /// Returns where the first entry that could not be read is told.
    pub(crate) fn unreadable(&self) -> Arc<OnceLock<u64>> {
        Arc::clone(&self.unreadable)
    }

    fn apply_batch(&mut self, batch: &Batch) -> Result<Replies, ReplicaError> {
        let apply = |command: &Arc<[u8]>| {
            let index = self.replica.index().saturating_add(1);
            Ok(Committed { index, reply: self.replica.apply(index, command)? })
        };
        batch.0.iter().map(apply).collect::<Result<_, _>>().map(Replies)
    }
}

fn install<R: Replica>(
    disk: &Arc<dyn Disk>,
    name: &str,
    replica: &mut R,
) -> Result<(), StoreError> {
    let mut result = Ok(());
    read_snapshot(disk, name, |_, chunks| {
        result = replica.install(&mut chunks.into_iter().map(Ok));
    })?;
    result.map_err(|_error| StoreError::Damaged { file: name.to_owned(), offset: 0 })
}

/// Writes one snapshot, while the replica goes on.
pub(crate) struct Builder {
    disk: Arc<dyn Disk>,
    chunks: ReplicaSnapshot,
    meta: Meta,
    snapshot: Arc<Mutex<Option<(String, Meta)>>>,
    log: Option<Jobs>,
}

/// How long to wait after a snapshot that could not be written; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Builder {
    /// Writes it, and puts it in place.
    async fn write(&self) -> io::Result<String> {
        let index = self.meta.last_log_id.map_or(0, |id| id.index);
        runtime::blocking(|| self.write_unfinished(index))?;
        self.wait_for_log().await?;
        testing::pass("snapshot-written");
        runtime::blocking(|| self.put_in_place(snapshot_name(index)))
    }

    fn write_unfinished(&self, index: u64) -> io::Result<()> {
        self.discard()?;
        testing::pass("snapshot-begun");
        let mut bytes = record::file_header(SNAPSHOT_MAGIC, index, [0; 8]);
        let mut chain = Chain::behind(&bytes);
        record::write(&mut bytes, &mut chain, Kind::Meta as u8, &encode(&self.meta)?);
        for chunk in (self.chunks)() {
            record::write(&mut bytes, &mut chain, Kind::Chunk as u8, &chunk);
            self.disk.append(UNFINISHED, &bytes)?;
            bytes.clear();
        }
        record::write(&mut bytes, &mut chain, Kind::End as u8, &[]);
        self.disk.append(UNFINISHED, &bytes)?;
        self.disk.sync(UNFINISHED)
    }

    fn put_in_place(&self, name: String) -> io::Result<String> {
        self.disk.rename(UNFINISHED, &name)?;
        self.disk.sync_directory()?;
        testing::pass("snapshot-renamed");
        if let Err(error) = self.remove_older(&name) {
            tracing::warn!(%error, "an older snapshot could not be removed: the next one tries again");
        }
        Ok(name)
    }

    /// Sees to it that the log on this disk reaches as far as the snapshot: entries that a majority has are applied before they are durable
    /// here, and a log that ends before its snapshot is taken for an older copy.
    async fn wait_for_log(&self) -> io::Result<()> {
        let (Some(log), Some(last)) = (&self.log, self.meta.last_log_id) else { return Ok(()) };
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |written| {
            // The receiver waits below.
            let _told = sender.send(written).is_ok();
        });
        let records = vec![(Kind::Committed, encode(&last)?)];
        let stopped = || io::Error::from(io::ErrorKind::BrokenPipe);
        log.send(Job::Append { records, last_index: 0, done }).map_err(|_error| stopped())?;
        receiver.await.map_err(|_error| stopped())?
    }

    fn remove_older(&self, name: &str) -> io::Result<()> {
        let names = self.disk.list()?;
        let older = |found: &&String| found.starts_with("snapshot-") && found.as_str() < name;
        names.iter().filter(older).try_for_each(|old| self.disk.remove(old))
    }

    fn discard(&self) -> io::Result<()> {
        if self.disk.list()?.iter().any(|found| found == UNFINISHED) {
            self.disk.remove(UNFINISHED)?;
        }
        Ok(())
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    /// Tries until it succeeds: openraft takes an error for the end of the node, and a full disk is none.
    /// Meanwhile the log goes on, and what a snapshot would have made superfluous stays.
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError<u64>> {
        let mut pause = FIRST_PAUSE;
        let name = loop {
            let failed = match self.write().await {
                Ok(name) => break name,
                Err(failed) => failed,
            };
            // The part must not take the room that the log needs.
            let discarded = self.discard().is_ok();
            tracing::warn!(error = %failed, discarded, ?pause, "no snapshot was written: it is tried again");
            runtime::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        };
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((name.clone(), self.meta.clone()));
        Ok(Snapshot { meta: self.meta.clone(), snapshot: Box::new(SnapshotFile(name)) })
    }
}

impl<R: Replica + Sync> RaftStateMachine<TypeConfig> for StateMachine<R> {
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, Member>), StorageError<u64>> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Replies>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        for entry in entries {
            self.last = Some(entry.log_id);
            replies.push(match entry.payload {
                EntryPayload::Blank => Replies::default(),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Replies::default()
                }
                EntryPayload::Normal(batch) => match self.apply_batch(&batch) {
                    Ok(replies) => replies,
                    Err(unreadable) => {
                        let index = entry.log_id.index;
                        tracing::error!(index, error = %unreadable, "an entry cannot be read");
                        // Only the first is told: nothing is applied behind it.
                        let _first = self.unreadable.set(index).is_ok();
                        return Err(error(ErrorVerb::Read, &unreadable));
                    }
                },
            });
        }
        self.replica.publish();
        self.tell();
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let index = self.last.map_or(0, |id| id.index);
        let meta = Meta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
            snapshot_id: format!("{index:016x}"),
        };
        Builder {
            disk: Arc::clone(&self.disk),
            chunks: self.replica.snapshot(),
            meta,
            snapshot: Arc::clone(&self.snapshot),
            log: self.log.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError<u64>> {
        // Pieces of a snapshot are received by ours (`receive.rs`), not by openraft.
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError<u64>> {
        let SnapshotFile(name) = *snapshot;
        install(&self.disk, &name, &mut self.replica)
            .map_err(|damaged| error(ErrorVerb::Read, &damaged))?;
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some((name, meta.clone()));
        self.replica.publish();
        self.tell();
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<Snapshot<TypeConfig>>, StorageError<u64>> {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = snapshot.clone();
        Ok(snapshot.map(|(name, meta)| Snapshot { meta, snapshot: Box::new(SnapshotFile(name)) }))
    }
}
