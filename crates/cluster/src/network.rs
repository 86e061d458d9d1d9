//! Raft's requests to other members, over the transport.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;
use openraft::{AnyError, ErrorSubject, ErrorVerb, StorageError, StorageIOError, Vote};

use crate::disk::Disk;
use crate::log_storage::TypeConfig;
use crate::member::{Member, Transport};
use crate::message::{Piece, Reply, Request};

/// Bytes of a snapshot's file in one message.
const PIECE_BYTES: usize = 1 << 20;
/// How long one piece may take: the other side writes it, and checks the whole at the end.
const PIECE_PATIENCE: Duration = Duration::from_secs(30);

/// Makes the links to members.
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) disk: Arc<dyn Disk>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &Member) -> Link {
        Link {
            to: target,
            member: node.clone(),
            transport: Arc::clone(&self.transport),
            disk: Arc::clone(&self.disk),
        }
    }
}

/// The way to one member.
pub(crate) struct Link {
    to: u64,
    member: Member,
    transport: Arc<dyn Transport>,
    disk: Arc<dyn Disk>,
}

fn unreachable(cause: &(impl std::error::Error + 'static)) -> Unreachable {
    Unreachable::new(cause)
}

impl Link {
    async fn ask(&self, request: &Request, within: Duration) -> Result<Reply, Unreachable> {
        let request = request.encode().map_err(|error| unreachable(&error))?;
        let reply = self.transport.call(self.to, &self.member, request, within).await;
        let reply = reply.map_err(|error| unreachable(&error))?;
        Reply::decode(&reply).map_err(|error| unreachable(&error))
    }

    async fn send(
        &self,
        vote: Vote<u64>,
        snapshot: &Snapshot<TypeConfig>,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let name = snapshot.snapshot.name();
        let mut offset = 0;
        loop {
            let (bytes, last) = self.disk.read_at(name, offset, PIECE_BYTES).map_err(|error| {
                let error = AnyError::new(&error);
                StorageError::from(StorageIOError::new(
                    ErrorSubject::Snapshot(None),
                    ErrorVerb::Read,
                    error,
                ))
            })?;
            let piece = Piece { vote, meta: snapshot.meta.clone(), offset, last, bytes };
            match self.ask(&Request::Piece(piece), PIECE_PATIENCE).await? {
                Reply::Snapshot(response) => return Ok(response),
                // The other side says where it goes on: from the start, if it had begun to receive another.
                Reply::More(next) => offset = next,
                _ => return Err(unexpected().into()),
            }
        }
    }
}

fn unexpected() -> Unreachable {
    Unreachable::new(&io::Error::from(io::ErrorKind::InvalidData))
}

impl RaftNetwork<TypeConfig> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, Member, RaftError<u64>>> {
        match self.ask(&Request::Append(request), option.hard_ttl()).await? {
            Reply::Append(response) => Ok(response),
            _ => Err(unexpected().into()),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, Member, RaftError<u64>>> {
        match self.ask(&Request::Vote(request), option.hard_ttl()).await? {
            Reply::Vote(response) => Ok(response),
            _ => Err(unexpected().into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            sent = self.send(vote, &snapshot) => sent,
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(Duration::from_millis(100)))
    }
}
