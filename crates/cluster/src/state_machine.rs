//! The state machine as openraft sees it: the replica, and its snapshots as files.

use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, PoisonError};

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    AnyError, BasicNode, EntryPayload, ErrorSubject, ErrorVerb, LogId, OptionalSend,
    RaftSnapshotBuilder, StorageError, StorageIOError, StoredMembership,
};

use crate::cluster::Committed;
use crate::disk::Disk;
use crate::log_storage::{Entry, Replies, TypeConfig};
use crate::record;
use crate::replica::Replica;
use crate::store::{
    Kind, Meta, SNAPSHOT_MAGIC, StoreError, UNFINISHED, encode, read_snapshot, snapshot_name,
};
use crate::testing;

/// The replica with what Raft must know of it.
pub(crate) struct StateMachine<R> {
    disk: Arc<dyn Disk>,
    replica: R,
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
    /// The newest snapshot: its file and description.
    snapshot: Arc<Mutex<Option<(String, Meta)>>>,
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
        Ok(Self { disk, replica, last, membership, snapshot: Arc::new(Mutex::new(snapshot)) })
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

type ChunkIterator = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// Writes one snapshot, while the replica goes on.
pub(crate) struct Builder {
    disk: Arc<dyn Disk>,
    chunks: Mutex<Option<ChunkIterator>>,
    meta: Meta,
    snapshot: Arc<Mutex<Option<(String, Meta)>>>,
}

impl Builder {
    fn write(&self) -> io::Result<String> {
        let chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let chunks = chunks.into_iter().flatten();
        let name = snapshot_name(self.meta.last_log_id.map_or(0, |id| id.index));
        if self.disk.list()?.iter().any(|found| found == UNFINISHED) {
            self.disk.remove(UNFINISHED)?;
        }
        testing::pass("snapshot-begun");
        let mut bytes = record::file_header(SNAPSHOT_MAGIC);
        record::write(&mut bytes, Kind::Meta as u8, 1, &encode(&self.meta)?);
        let mut sequence = 2;
        for chunk in chunks {
            record::write(&mut bytes, Kind::Chunk as u8, sequence, &chunk);
            sequence += 1;
            self.disk.append(UNFINISHED, &bytes)?;
            bytes.clear();
        }
        record::write(&mut bytes, Kind::End as u8, sequence, &[]);
        self.disk.append(UNFINISHED, &bytes)?;
        self.disk.sync(UNFINISHED)?;
        testing::pass("snapshot-written");
        self.disk.rename(UNFINISHED, &name)?;
        self.disk.sync_directory()?;
        testing::pass("snapshot-renamed");
        let older = self
            .disk
            .list()?
            .into_iter()
            .filter(|found| found.starts_with("snapshot-") && *found < name);
        for old in older {
            self.disk.remove(&old)?;
        }
        Ok(name)
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError<u64>> {
        let written = tokio::task::block_in_place(|| self.write());
        let name = written.map_err(|failed| error(ErrorVerb::Write, &failed))?;
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((name, self.meta.clone()));
        Ok(Snapshot { meta: self.meta.clone(), snapshot: Box::new(Cursor::new(Vec::new())) })
    }
}

impl<R: Replica + Sync> RaftStateMachine<TypeConfig> for StateMachine<R> {
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), StorageError<u64>> {
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
                EntryPayload::Normal(batch) => {
                    let apply = |command: &Arc<[u8]>| {
                        let index = self.replica.index().saturating_add(1);
                        Committed { index, reply: self.replica.apply(index, command) }
                    };
                    Replies(batch.0.iter().map(apply).collect())
                }
            });
        }
        self.replica.publish();
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
            chunks: Mutex::new(Some(self.replica.snapshot())),
            meta,
            snapshot: Arc::clone(&self.snapshot),
        }
    }

    async fn begin_receiving_snapshot(
        &mut self,
    ) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        _meta: &Meta,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        // A cluster of one receives no snapshot: this comes with members.
        let refused = io::Error::from(io::ErrorKind::Unsupported);
        Err(error(ErrorVerb::Write, &refused))
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<Snapshot<TypeConfig>>, StorageError<u64>> {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = snapshot.as_ref().map(|(_, meta)| meta.clone());
        Ok(meta.map(|meta| Snapshot { meta, snapshot: Box::new(Cursor::new(Vec::new())) }))
    }
}
