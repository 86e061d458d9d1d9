//! The cluster as the daemon sees it: propose, confirm, serve other members, status, shut down. Raft runs on threads of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::{Raft, SnapshotPolicy};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::disk::Disk;
use crate::log_storage::{LogStorage, TypeConfig};
use crate::member::{Member, Transport};
use crate::network::Network;
use crate::proposals::{PROPOSALS_MAX, Proposal, Proposer};
use crate::reading::{Confirmed, Confirmer};
use crate::replica::Replica;
use crate::runtime::{self, Home};
use crate::serving::Shared;
use crate::state_machine::StateMachine;
use crate::status::{MemberStatus, MembershipError, Status};
use crate::store::{self, StoreError};
use crate::writer::{self, Health, WriteHealth};

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

/// How an HSM begins.
#[derive(Clone, Debug)]
pub enum Begin {
    /// As the first one of a new cluster, by this command. What an attempt before left of that is removed: the caller says that nobody
    /// was ever told of it.
    Genesis {
        /// The first command.
        entry: Vec<u8>,
        /// This HSM.
        member: Member,
    },
    /// With what it has on its disk.
    Existing,
    /// As one that joins: with nothing, until the leader sends it what there is.
    Joining,
}

/// Called once, with what became of a proposal.
pub type Done = Box<dyn FnOnce(Result<Committed, ProposeError>) + Send>;

/// A running replica.
pub struct Cluster {
    shared: Arc<Shared>,
    health: Arc<Health>,
    proposals: mpsc::Sender<Proposal>,
    confirmations: mpsc::UnboundedSender<Confirmed>,
    /// The writer's thread, behind the runtime that feeds it.
    writer: Option<std::thread::JoinHandle<()>>,
    home: Option<Home>,
}

fn raft_error(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Raft(error.to_string())
}

fn raft_config(config: &Config) -> Result<Arc<openraft::Config>, StoreError> {
    let raft = openraft::Config {
        cluster_name: "casemate".to_owned(),
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 600,
        // Entries and pieces of snapshots have time-outs of their own; this one bounds a piece's.
        install_snapshot_timeout: 30_000,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every),
        max_in_snapshot_log_to_keep: config.kept_entries,
        purge_batch_size: 1,
        ..openraft::Config::default()
    };
    raft.validate().map(Arc::new).map_err(|error| raft_error(&error))
}

impl Cluster {
    /// Opens the store and starts Raft. An HSM that is alone leads when this returns, and has applied every entry of its log; one of
    /// several has applied what it knows to be committed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open<R: Replica + Sync>(
        config: Config,
        disk: Arc<dyn Disk>,
        replica: R,
        begin: Begin,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StoreError> {
        let home = Home::threads()?;
        let opening = Self::open_in(&home, config, disk, replica, begin, transport);
        let opened = home.block_on(opening);
        let mut cluster = opened.ok_or_else(|| raft_error(&"nothing blocks in a simulation"))??;
        cluster.home = Some(home);
        Ok(cluster)
    }

    /// The same in a simulation ([`runtime`]), in the group of the task that runs now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_simulated<R: Replica + Sync>(
        config: Config,
        disk: Arc<dyn Disk>,
        replica: R,
        begin: Begin,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StoreError> {
        let home = Home::simulated().ok_or_else(|| raft_error(&"nothing is simulated"))?;
        let mut cluster = Self::open_in(&home, config, disk, replica, begin, transport).await?;
        cluster.home = Some(home);
        Ok(cluster)
    }

    async fn open_in<R: Replica + Sync>(
        home: &Home,
        config: Config,
        disk: Arc<dyn Disk>,
        replica: R,
        begin: Begin,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StoreError> {
        if matches!(begin, Begin::Genesis { .. }) {
            store::remove_unfinished(&disk)?;
        }
        let contents = store::open(&disk)?;
        let mut state_machine =
            StateMachine::open(Arc::clone(&disk), replica, contents.snapshot.clone())?;
        let (unreadable, applied) = (state_machine.unreadable(), state_machine.applied());
        let (jobs, health, handle) = writer::start(Arc::clone(&disk), &contents, home)?;
        state_machine.wait_for_log(jobs.clone());
        let log = LogStorage::new(config.node, contents, jobs.clone());
        let network = Network { transport: Arc::clone(&transport), disk: Arc::clone(&disk) };
        let raft_config = raft_config(&config)?;
        let raft = async {
            let raft = Raft::new(config.node, raft_config, network, log, state_machine);
            let raft = raft.await.map_err(|error| raft_error(&error))?;
            start(&raft, config.node, &begin).await?;
            Ok::<_, StoreError>(raft)
        };
        let raft = raft.await.map_err(|error| match unreadable.get() {
            Some(index) => store::unreadable(&disk, *index),
            None => error,
        })?;
        let (me, health_of_writer) = (config.node, Arc::clone(&health));
        let (proposals, receiver) = mpsc::channel(PROPOSALS_MAX);
        let proposer = Proposer {
            me,
            raft: raft.clone(),
            transport: Arc::clone(&transport),
            health: health_of_writer,
            applied: applied.clone(),
        };
        let way = home.way();
        drop(way.spawn(proposer.run(receiver)));
        let (confirmations, asking) = mpsc::unbounded_channel();
        let confirmer = Confirmer { me, raft: raft.clone(), transport, applied: applied.clone() };
        drop(way.spawn(confirmer.run(asking)));
        let receiver = Mutex::default();
        let shared = Arc::new(Shared { node: me, raft, disk, jobs, applied, receiver });
        let cluster = Self { shared, health, proposals, confirmations, writer: handle, home: None };
        if let Begin::Genesis { entry, .. } = begin {
            cluster.propose_and_wait(entry).await?;
        }
        Ok(cluster)
    }

    async fn propose_and_wait(&self, entry: Vec<u8>) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.propose(
            entry,
            Box::new(move |result| {
                // The receiver waits below.
                let _sent = sender.send(result.map(drop)).is_ok();
            }),
        );
        match receiver.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(raft_error(&error)),
            Err(error) => Err(raft_error(&error)),
        }
    }

    /// Proposes an entry: `done` is called when it is on the disks of a majority and applied here, or refused. Never blocks.
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

    /// Confirms that what is applied here is what the leader has committed: `done` is called when it is. Never blocks.
    pub fn confirm(&self, done: Confirmed) {
        // The one voter is its own majority: what it has applied is what is committed, also when its disk fails afterwards.
        if self.is_alone() {
            return done(if self.leads() { Ok(()) } else { Err(ProposeError::NoLeader) });
        }
        if let Err(mpsc::error::SendError(done)) = self.confirmations.send(done) {
            done(Err(ProposeError::Stopping));
        }
    }

    /// Waits until this HSM has applied an entry that a client has seen elsewhere: `done` is told whether it came in time. Never blocks.
    pub fn wait_for(&self, index: u64, within: Duration, done: Box<dyn FnOnce(bool) + Send>) {
        let Some(home) = &self.home else { return done(false) };
        let mut applied = self.shared.applied.clone();
        drop(home.way().spawn(async move {
            let reached = applied.wait_for(|applied| applied.index >= index);
            done(matches!(runtime::timeout(within, reached).await, Ok(Ok(_))));
        }));
    }

    /// Runs something on Raft's threads: what carries its messages belongs there.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(home) = &self.home {
            drop(home.way().spawn(future));
        }
    }

    /// Answers what another member asks. The transport says which one it is, and that it is one.
    pub fn serve(&self, request: Vec<u8>) -> impl Future<Output = Vec<u8>> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let way = self.home.as_ref().map(Home::way);
        async move {
            let Some(way) = way else { return Vec::new() };
            // On Raft's own threads: whoever carries messages may have others.
            way.spawn(async move { shared.answer(&request).await.encode() })
                .await
                .unwrap_or_default()
        }
    }

    /// Takes a member in: first it gets what there is, then it votes.
    ///
    /// # Errors
    /// [`MembershipError`]; the membership is then as it was, or the member is there and does not vote yet.
    pub fn add_voter(&self, node: u64, member: Member) -> Result<(), MembershipError> {
        self.block_on(self.add_voter_simulated(node, member))
    }

    /// Takes a member out.
    ///
    /// # Errors
    /// [`MembershipError`]; the membership is then as it was.
    pub fn remove(&self, node: u64) -> Result<(), MembershipError> {
        self.block_on(self.remove_simulated(node))
    }

    /// [`Self::add_voter`] for those who may not block.
    ///
    /// # Errors
    /// As there.
    pub async fn add_voter_simulated(
        &self,
        node: u64,
        member: Member,
    ) -> Result<(), MembershipError> {
        let raft = &self.shared.raft;
        raft.add_learner(node, member, true).await?;
        let mut voters = voters(raft);
        voters.insert(node);
        raft.change_membership(voters, false).await?;
        Ok(())
    }

    /// [`Self::remove`] for those who may not block.
    ///
    /// # Errors
    /// As there.
    pub async fn remove_simulated(&self, node: u64) -> Result<(), MembershipError> {
        let mut voters = voters(&self.shared.raft);
        voters.remove(&node);
        self.shared.raft.change_membership(voters, false).await?;
        Ok(())
    }

    fn block_on(
        &self,
        change: impl Future<Output = Result<(), MembershipError>>,
    ) -> Result<(), MembershipError> {
        let home = self.home.as_ref().ok_or(MembershipError::NotLeader)?;
        home.block_on(change).unwrap_or(Err(MembershipError::NotLeader))
    }

    fn is_alone(&self) -> bool {
        let metrics = self.shared.raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().voter_ids().eq([self.shared.node])
    }

    fn leads(&self) -> bool {
        self.shared.raft.metrics().borrow().current_leader == Some(self.shared.node)
    }

    /// Returns how the cluster is.
    #[must_use]
    pub fn status(&self) -> Status {
        let metrics = self.shared.raft.metrics();
        let metrics = metrics.borrow();
        let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
        let matched = |node: &u64| {
            let replication = metrics.replication.as_ref()?;
            Some(replication.get(node)?.map_or(0, |log_id| log_id.index))
        };
        let members = metrics.membership_config.nodes().map(|(node, member)| MemberStatus {
            node: *node,
            member: member.clone(),
            voter: voters.contains(node),
            matched: matched(node),
        });
        Status {
            leads: metrics.current_leader == Some(metrics.id),
            leader: metrics.current_leader,
            members: members.collect(),
            term: metrics.current_term,
            last_index: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.map_or(0, |id| id.index),
            write_health: self.health.get(),
            syncs: self.shared.disk.syncs(),
        }
    }

    /// Takes a snapshot now, in the background.
    pub fn snapshot_now(&self) {
        let raft = self.shared.raft.clone();
        if let Some(home) = &self.home {
            drop(home.way().spawn(async move {
                if let Err(error) = raft.trigger().snapshot().await {
                    tracing::warn!(%error, "no snapshot was taken");
                }
            }));
        }
    }

    /// Stops: what was proposed before is written first, if there is room on the disk.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.health.end();
        // What is simulated ends with its group.
        if let Some(Home::Threads(runtime)) = self.home.take() {
            let raft = self.shared.raft.clone();
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

fn voters(raft: &Raft<TypeConfig>) -> BTreeSet<u64> {
    raft.metrics().borrow().membership_config.membership().voter_ids().collect()
}

const START_PATIENCE: Duration = Duration::from_secs(30);
const REPLAY_PATIENCE: Duration = Duration::from_secs(300);

async fn start(raft: &Raft<TypeConfig>, node: u64, begin: &Begin) -> Result<(), StoreError> {
    let initialized = raft.is_initialized().await.map_err(|error| raft_error(&error))?;
    match begin {
        Begin::Joining => return Ok(()),
        Begin::Existing if !initialized => {
            return Err(StoreError::Raft("the store is empty".to_owned()));
        }
        Begin::Existing if !voters(raft).iter().eq([&node]) => return Ok(()),
        Begin::Existing => raft.trigger().elect().await.map_err(|error| raft_error(&error))?,
        Begin::Genesis { member, .. } => {
            let members = BTreeMap::from([(node, member.clone())]);
            raft.initialize(members).await.map_err(|error| raft_error(&error))?;
        }
    }
    let wait = raft.wait(Some(START_PATIENCE));
    wait.current_leader(node, "the one voter leads")
        .await
        .map_err(|error| raft_error(&error))?;
    let last = raft.metrics().borrow().last_log_index;
    let wait = raft.wait(Some(REPLAY_PATIENCE));
    let applied = wait.applied_index_at_least(last, "the log is applied").await;
    applied.map(drop).map_err(|error| raft_error(&error))
}
