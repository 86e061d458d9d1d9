//! From a proposal to its commit: batches, by this member if it leads, else through the one that does.
//!
//! While one batch is being written, what comes in waits and becomes the next. A batch whose fate is unknown (the leader was lost) is
//! proposed again as it is: a command that was applied is known by its request, and gets its first reply.

use std::sync::Arc;
use std::time::Duration;

use openraft::Raft;
use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, watch};

use crate::cluster::{Committed, Done, ProposeError};
use crate::log_storage::{Batch, TypeConfig};
use crate::member::{Member, Transport};
use crate::message::{Reply, Request};
use crate::runtime::{self, Instant};
use crate::state_machine::Applied;
use crate::writer::{Health, WriteHealth};

/// A command, and who waits for it.
pub(crate) struct Proposal {
    pub(crate) entry: Vec<u8>,
    pub(crate) done: Done,
}

/// Proposals that may wait: a second's worth of a fast disk.
pub(crate) const PROPOSALS_MAX: usize = 8_192;
/// Commands that become one entry at most, and their bytes.
const BATCH_COMMANDS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How often a write that takes long asks whether the disk is full, or the majority away.
const LOOK: Duration = Duration::from_millis(100);
/// How long a leader that reaches no majority keeps those who wait: longer than an election.
const QUORUM_PATIENCE_MS: u64 = 3_000;
/// How long a batch is tried before it is answered that there is no leader.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a leader may take for a batch that came from here.
const FORWARD_PATIENCE: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(20);

/// What became of a batch.
type Outcome = Result<Vec<Committed>, ProposeError>;

/// Proposes for this member.
pub(crate) struct Proposer {
    pub(crate) me: u64,
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) health: Arc<Health>,
    pub(crate) applied: watch::Receiver<Applied>,
}

/// Why Raft did not take a batch here.
enum Elsewhere {
    /// This one leads, as far as is known.
    Leader(u64, Member),
    /// Nobody, as far as is known.
    Nobody,
}

impl Proposer {
    /// Hands proposals to Raft in order. Nobody waits for a full disk without being told: those who are on their way then are answered at
    /// once.
    pub(crate) async fn run(self, mut proposals: mpsc::Receiver<Proposal>) {
        while let Some(first) = proposals.recv().await {
            let mut bytes = first.entry.len();
            let mut batch = vec![first];
            while batch.len() < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX {
                let Ok(next) = proposals.try_recv() else { break };
                bytes = bytes.saturating_add(next.entry.len());
                batch.push(next);
            }
            let (entries, waiting): (Vec<Arc<[u8]>>, Vec<Done>) = batch
                .into_iter()
                .map(|proposal| (Arc::from(proposal.entry), proposal.done))
                .unzip();
            let mut waiting = Some(waiting);
            let mut outcome = std::pin::pin!(self.commit(entries));
            let outcome = loop {
                if let Ok(outcome) = runtime::timeout(LOOK, &mut outcome).await {
                    break outcome;
                }
                if self.health.get() == WriteHealth::Full {
                    let queued = std::iter::from_fn(|| proposals.try_recv().ok());
                    let queued = queued.map(|proposal| proposal.done);
                    let all = waiting.take().into_iter().flatten().chain(queued);
                    all.for_each(|done| done(Err(ProposeError::DiskFull)));
                }
            };
            finish(outcome, waiting.unwrap_or_default());
        }
    }

    /// Commits a batch, wherever the leader is, and waits until it is applied here.
    async fn commit(&self, entries: Vec<Arc<[u8]>>) -> Outcome {
        let until = Instant::now() + PATIENCE;
        loop {
            match write_here(&self.raft, entries.clone()).await {
                Ok(outcome) => return outcome,
                Err(Elsewhere::Leader(leader, member)) if leader != self.me => {
                    if let Some(committed) = self.forward(leader, &member, &entries).await {
                        return self.wait_until_applied(committed, until).await;
                    }
                }
                Err(Elsewhere::Leader(..) | Elsewhere::Nobody) => {}
            }
            if Instant::now() >= until {
                return Err(ProposeError::NoLeader);
            }
            runtime::sleep(PAUSE).await;
        }
    }

    async fn forward(
        &self,
        leader: u64,
        member: &Member,
        entries: &[Arc<[u8]>],
    ) -> Option<Vec<Committed>> {
        let request = Request::Propose(entries.to_vec()).encode().ok()?;
        let reply = self.transport.call(leader, member, request, FORWARD_PATIENCE).await;
        match reply.ok().and_then(|reply| Reply::decode(&reply).ok()) {
            Some(Reply::Proposed(committed)) if committed.len() == entries.len() => Some(committed),
            _ => None,
        }
    }

    /// Whoever made a change here finds it here.
    async fn wait_until_applied(&self, committed: Vec<Committed>, until: Instant) -> Outcome {
        let last = committed.iter().map(|committed| committed.index).max().unwrap_or(0);
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|applied| applied.index >= last);
        match runtime::timeout_at(until + PATIENCE, reached).await {
            Ok(Ok(_)) => Ok(committed),
            Ok(Err(_closed)) => Err(ProposeError::Stopping),
            Err(_late) => Err(ProposeError::NoLeader),
        }
    }
}

/// Writes a batch by this member, if it leads.
async fn write_here(
    raft: &Raft<TypeConfig>,
    entries: Vec<Arc<[u8]>>,
) -> Result<Outcome, Elsewhere> {
    let mut written = std::pin::pin!(raft.client_write(Batch(entries)));
    let written = loop {
        if let Ok(written) = runtime::timeout(LOOK, &mut written).await {
            break written;
        }
        // A leader that is cut off does not step down by itself: nobody may wait for it for ever.
        let away = raft.metrics().borrow().millis_since_quorum_ack;
        if away.is_some_and(|ms| ms > QUORUM_PATIENCE_MS) {
            return Ok(Err(ProposeError::NoLeader));
        }
    };
    match written {
        Ok(written) => Ok(Ok(written.data.0)),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
            Err(match (to.leader_id, to.leader_node) {
                (Some(leader), Some(member)) => Elsewhere::Leader(leader, member),
                _ => Elsewhere::Nobody,
            })
        }
        Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_))) => {
            Err(Elsewhere::Nobody)
        }
        Err(RaftError::Fatal(_)) => Ok(Err(ProposeError::DiskFailed)),
    }
}

/// Writes what another member has forwarded; none if this one does not lead, or the fate is unknown.
pub(crate) async fn write_for_another(
    raft: &Raft<TypeConfig>,
    entries: Vec<Arc<[u8]>>,
) -> Option<Vec<Committed>> {
    let bytes = entries.iter().map(|entry| entry.len()).sum::<usize>();
    if entries.len() > BATCH_COMMANDS_MAX || bytes > BATCH_BYTES_MAX.saturating_mul(2) {
        return None;
    }
    match runtime::timeout(FORWARD_PATIENCE, write_here(raft, entries)).await {
        Ok(Ok(Ok(committed))) => Some(committed),
        _ => None,
    }
}

fn finish(outcome: Outcome, waiting: Vec<Done>) {
    match outcome {
        Ok(committed) => {
            for (done, committed) in waiting.into_iter().zip(committed) {
                done(Ok(committed));
            }
        }
        Err(cause) => waiting.into_iter().for_each(|done| done(Err(cause))),
    }
}
