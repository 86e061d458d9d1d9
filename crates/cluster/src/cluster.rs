//! The cluster as the daemon sees it: propose, confirm, status, shut down. Raft runs on threads of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Raft, SnapshotPolicy};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::disk::Disk;
use crate::log_storage::{Batch, LogStorage, TypeConfig};
use crate::replica::Replica;
use crate::state_machine::StateMachine;
use crate::store::{self, StoreError};
use crate::writer::{self, Health, Job, WriteHealth};

/// How a cluster runs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// This HSM's number in Raft.
    pub node: u64,
    /// Entries after which a snapshot is taken.
    pub snapshot_every: u64,
    /// Entries that stay in the log although a snapshot covers them.
    pub kept_entries: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { node: 1, snapshot_every: 20_000, kept_entries: 256 }
    }
}

/// An entry that is on disk and applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Committed {
    /// Its index among all entries.
    pub index: u64,
    /// What `apply` returned.
    pub reply: Vec<u8>,
}

/// Why an entry was not committed, as far as one knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// There is no room on the disk. What was on its way when that was found may still take effect when there is room: who asks
    /// again does it under the same id.
    #[error("the disk is full: changes are refused until there is room")]
    DiskFull,
    /// The disk failed: nothing more is written.
    #[error("the disk failed: changes are refused until the daemon is started again")]
    DiskFailed,
    /// Too much waits already: nothing was written.
    #[error("too many changes are waiting")]
    Busy,
    /// The cluster is stopping.
    #[error("the cluster is stopping")]
    Stopping,
    /// No leader.
    #[error("no leader is known")]
    NoLeader,
}

/// How the cluster is.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Whether this HSM leads.
    pub leads: bool,
    /// Raft's term.
    pub term: u64,
    /// The index of the last entry in the log.
    pub last_index: u64,
    /// The index applied.
    pub applied: u64,
    /// Whether changes can be written.
    pub write_health: WriteHealth,
    /// How many times bytes were made durable since the start.
    pub syncs: u64,
}

/// Called once, with what became of a proposal.
pub type Done = Box<dyn FnOnce(Result<Committed, ProposeError>) + Send>;

struct Proposal {
    entry: Vec<u8>,
    done: Done,
}

/// Proposals that may wait: a second's worth of a fast disk.
const PROPOSALS_MAX: usize = 8_192;

/// A running replica.
pub struct Cluster {
    raft: Raft<TypeConfig>,
    health: Arc<Health>,
    proposals: mpsc::Sender<Proposal>,
    disk: Arc<dyn Disk>,
    /// The end of the writer's thread, behind the runtime that feeds it.
    writer: Option<(Sender<Job>, std::thread::JoinHandle<()>)>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Cluster {
    /// Opens the store, starts Raft, and returns when this HSM leads and every entry of its log is applied.
    ///
    /// With `genesis` an empty store becomes a cluster of one, whose first command it is. What an attempt before left of that is
    /// removed: the caller says that nobody was ever told of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open<R: Replica + Sync>(
        config: Config,
        disk: Arc<dyn Disk>,
        replica: R,
        genesis: Option<Vec<u8>>,
    ) -> Result<Self, StoreError> {
        if genesis.is_some() {
            store::remove_unfinished(&disk)?;
        }
        let contents = store::open(&disk)?;
        let state_machine =
            StateMachine::open(Arc::clone(&disk), replica, contents.snapshot.clone())?;
        let unreadable = state_machine.unreadable();
        let (jobs, health, handle) = writer::start(Arc::clone(&disk), &contents)?;
        let log = LogStorage::new(contents, jobs.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("casemate-raft")
            .enable_time()
            .build()?;
        let raft_config = openraft::Config {
            cluster_name: "casemate".to_owned(),
            heartbeat_interval: 100,
            election_timeout_min: 300,
            election_timeout_max: 600,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every),
            max_in_snapshot_log_to_keep: config.kept_entries,
            purge_batch_size: 1,
            ..openraft::Config::default()
        };
        let raft_config =
            raft_config.validate().map_err(|error| StoreError::Raft(error.to_string()))?;
        let (proposals, receiver) = mpsc::channel(PROPOSALS_MAX);
        let raft = runtime.block_on(async {
            let raft = Raft::new(config.node, Arc::new(raft_config), NoPeers, log, state_machine);
            let raft = raft.await.map_err(|error| StoreError::Raft(error.to_string()))?;
            become_leader(&raft, config.node, genesis.is_some()).await?;
            Ok::<_, StoreError>(raft)
        });
        let raft = raft.map_err(|error| match unreadable.get() {
            Some(index) => store::unreadable(&disk, *index),
            None => error,
        })?;
        runtime.spawn(forward(raft.clone(), receiver, Arc::clone(&health)));
        let cluster = Self {
            raft,
            health,
            proposals,
            disk,
            writer: Some((jobs, handle)),
            runtime: Some(runtime),
        };
        if let Some(genesis) = genesis {
            cluster.propose_and_wait(genesis)?;
        }
        Ok(cluster)
    }

    fn propose_and_wait(&self, entry: Vec<u8>) -> Result<(), StoreError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.propose(
            entry,
            Box::new(move |result| {
                // The receiver waits below.
                let _sent = sender.send(result.map(drop)).is_ok();
            }),
        );
        match receiver.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StoreError::Raft(error.to_string())),
            Err(error) => Err(StoreError::Raft(error.to_string())),
        }
    }

    /// Proposes an entry: `done` is called when it is on disk and applied, or refused. Never blocks.
    pub fn propose(&self, entry: Vec<u8>, done: Done) {
        match self.health.get() {
            WriteHealth::Ok => {}
            WriteHealth::Full => return done(Err(ProposeError::DiskFull)),
            WriteHealth::Failed => return done(Err(ProposeError::DiskFailed)),
        }
        if let Err(error) = self.proposals.try_send(Proposal { entry, done }) {
            let (proposal, cause) = match error {
                mpsc::error::TrySendError::Full(proposal) => (proposal, ProposeError::Busy),
                mpsc::error::TrySendError::Closed(proposal) => (proposal, ProposeError::Stopping),
            };
            (proposal.done)(Err(cause));
        }
    }

    /// Confirms that what is applied here is what the leader has committed: `done` is called when it is.
    pub fn confirm(&self, done: Box<dyn FnOnce(Result<(), ProposeError>) + Send>) {
        // The one voter is its own majority: what it has applied is what is committed, also when its disk fails afterwards.
        done(if self.status().leads { Ok(()) } else { Err(ProposeError::NoLeader) });
    }

    /// Returns how the cluster is.
    #[must_use]
    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        Status {
            leads: metrics.current_leader == Some(metrics.id),
            term: metrics.current_term,
            last_index: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.map_or(0, |id| id.index),
            write_health: self.health.get(),
            syncs: self.disk.syncs(),
        }
    }

    /// Takes a snapshot now, in the background.
    pub fn snapshot_now(&self) {
        let raft = self.raft.clone();
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                if let Err(error) = raft.trigger().snapshot().await {
                    tracing::warn!(%error, "no snapshot was taken");
                }
            });
        }
    }

    /// Stops: what was proposed before is written first.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let raft = self.raft.clone();
            runtime.block_on(async move {
                if let Err(error) = raft.shutdown().await {
                    tracing::warn!(%error, "Raft did not stop cleanly");
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
        self.writer.take();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn become_leader(raft: &Raft<TypeConfig>, node: u64, create: bool) -> Result<(), StoreError> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Raft(error.to_string());
    let initialized = raft.is_initialized().await.map_err(|error| failed(&error))?;
    if !initialized {
        if !create {
            return Err(StoreError::Raft("the store is empty".to_owned()));
        }
        raft.initialize(BTreeSet::from([node])).await.map_err(|error| failed(&error))?;
    } else {
        raft.trigger().elect().await.map_err(|error| failed(&error))?;
    }
    let wait = raft.wait(Some(Duration::from_secs(30)));
    wait.current_leader(node, "the one voter leads").await.map_err(|error| failed(&error))?;
    let last = raft.metrics().borrow().last_log_index;
    let wait = raft.wait(Some(Duration::from_secs(300)));
    wait.applied_index_at_least(last, "the log is applied")
        .await
        .map_err(|error| failed(&error))?;
    Ok(())
}

/// Commands that become one entry at most, and their bytes.
const BATCH_COMMANDS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Hands proposals to Raft in order: while one entry is being written, what comes in waits and becomes the next.
///
/// Nobody waits for a full disk without being told: those who are on their way then are answered at once.
async fn forward(
    raft: Raft<TypeConfig>,
    mut proposals: mpsc::Receiver<Proposal>,
    health: Arc<Health>,
) {
    while let Some(first) = proposals.recv().await {
        let mut bytes = first.entry.len();
        let mut batch = vec![first];
        while batch.len() < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX {
            let Ok(next) = proposals.try_recv() else { break };
            bytes = bytes.saturating_add(next.entry.len());
            batch.push(next);
        }
        let (entries, waiting): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|proposal| (Arc::from(proposal.entry), proposal.done)).unzip();
        let mut waiting = Some(waiting);
        let mut written = std::pin::pin!(raft.client_write(Batch(entries)));
        let written = loop {
            if let Ok(written) = tokio::time::timeout(FULL_DISK_LOOK, &mut written).await {
                break written;
            }
            if health.get() == WriteHealth::Full {
                let queued = std::iter::from_fn(|| proposals.try_recv().ok());
                let queued = queued.map(|proposal| proposal.done);
                waiting
                    .take()
                    .into_iter()
                    .flatten()
                    .chain(queued)
                    .for_each(|done| done(Err(ProposeError::DiskFull)));
            }
        };
        finish(written, waiting.unwrap_or_default());
    }
}

/// How often a write that takes long asks whether the disk is full.
const FULL_DISK_LOOK: Duration = Duration::from_millis(100);

type Written = Result<
    openraft::raft::ClientWriteResponse<TypeConfig>,
    RaftError<u64, openraft::error::ClientWriteError<u64, BasicNode>>,
>;

fn finish(written: Written, waiting: Vec<Done>) {
    let cause = match written {
        Ok(written) => {
            for (done, committed) in waiting.into_iter().zip(written.data.0) {
                done(Ok(committed));
            }
            return;
        }
        Err(RaftError::APIError(_not_leader)) => ProposeError::NoLeader,
        Err(RaftError::Fatal(_)) => ProposeError::DiskFailed,
    };
    waiting.into_iter().for_each(|done| done(Err(cause)));
}

/// The network of a cluster of one: nobody is there. Members bring another.
struct NoPeers;

impl RaftNetworkFactory<TypeConfig> for NoPeers {
    type Network = Self;

    async fn new_client(&mut self, _target: u64, _node: &BasicNode) -> Self {
        Self
    }
}

fn nobody<E: std::error::Error>() -> RPCError<u64, BasicNode, E> {
    RPCError::Unreachable(Unreachable::new(&std::io::Error::from(std::io::ErrorKind::NotConnected)))
}

impl RaftNetwork<TypeConfig> for NoPeers {
    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        Err(nobody())
    }

    async fn install_snapshot(
        &mut self,
        _request: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<
        InstallSnapshotResponse<u64>,
        RPCError<u64, BasicNode, RaftError<u64, InstallSnapshotError>>,
    > {
        Err(nobody())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        Err(nobody())
    }
}
