//! What other members ask, answered.

use std::sync::Arc;

use openraft::Raft;
use openraft::storage::Snapshot;
use tokio::sync::{Mutex, watch};

use crate::disk::Disk;
use crate::log_storage::TypeConfig;
use crate::message::{Piece, Refused, Reply, Request};
use crate::proposals::write_for_another;
use crate::reading::committed_here;
use crate::receive::{Received, Receiver};
use crate::state_machine::{Applied, SnapshotFile};
use crate::writer::Jobs;

/// What requests of other members need.
pub(crate) struct Shared {
    pub(crate) node: u64,
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) jobs: Jobs,
    pub(crate) applied: watch::Receiver<Applied>,
    pub(crate) receiver: Mutex<Receiver>,
}

impl Shared {
    /// Answers one request; what cannot be read is refused.
    pub(crate) async fn answer(&self, request: &[u8]) -> Reply {
        let Ok(request) = Request::decode(request) else { return Reply::Refused(Refused::Unable) };
        let refused = Reply::Refused(Refused::Unable);
        match request {
            Request::Append(request) => {
                self.raft.append_entries(request).await.map_or(refused, Reply::Append)
            }
            Request::Vote(request) => self.raft.vote(request).await.map_or(refused, Reply::Vote),
            Request::Piece(piece) => self.receive(piece).await,
            Request::Propose(entries) => {
                let committed = write_for_another(&self.raft, entries).await;
                committed.map_or(Reply::Refused(Refused::NotLeader), Reply::Proposed)
            }
            Request::ReadIndex => {
                let committed = committed_here(&self.raft).await;
                committed.map_or(Reply::Refused(Refused::NotLeader), Reply::ReadIndex)
            }
        }
    }

    async fn receive(&self, piece: Piece) -> Reply {
        let received = self.receiver.lock().await.take(&self.disk, &self.jobs, &piece).await;
        let name = match received {
            Ok(Received::More(offset)) => return Reply::More(offset),
            Ok(Received::Whole(name)) => name,
            Err(error) => {
                tracing::warn!(%error, "a snapshot of another HSM could not be taken");
                return Reply::Refused(Refused::Unable);
            }
        };
        let snapshot = Snapshot { meta: piece.meta, snapshot: Box::new(SnapshotFile(name)) };
        let installed = self.raft.install_full_snapshot(piece.vote, snapshot).await;
        installed.map_or(Reply::Refused(Refused::Unable), Reply::Snapshot)
    }
}
