//! Reading what is current: this member confirms with the leader how far entries are committed, and waits until it has applied them.
//!
//! What waits together is confirmed together: one round to a majority for any number of log-ins.

use std::sync::Arc;
use std::time::Duration;

use openraft::{LogId, Raft};
use tokio::sync::{mpsc, watch};

use crate::cluster::ProposeError;
use crate::log_storage::TypeConfig;
use crate::member::Transport;
use crate::message::{Reply, Request};
use crate::runtime::{self, Instant};
use crate::state_machine::Applied;

/// Called once, when what is applied here is current, or cannot be confirmed.
pub type Confirmed = Box<dyn FnOnce(Result<(), ProposeError>) + Send>;

/// How long it is tried.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one round may take.
const ROUND_PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Confirms for this member.
pub(crate) struct Confirmer {
    pub(crate) me: u64,
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) applied: watch::Receiver<Applied>,
}

impl Confirmer {
    pub(crate) async fn run(self, mut asking: mpsc::UnboundedReceiver<Confirmed>) {
        while let Some(first) = asking.recv().await {
            let mut waiting = vec![first];
            while let Ok(next) = asking.try_recv() {
                waiting.push(next);
            }
            let until = Instant::now() + PATIENCE;
            let confirmed = runtime::timeout_at(until, self.confirm()).await;
            let confirmed = confirmed.unwrap_or(Err(ProposeError::NoLeader));
            waiting.into_iter().for_each(|done| done(confirmed));
        }
    }

    async fn confirm(&self) -> Result<(), ProposeError> {
        loop {
            let round = runtime::timeout(ROUND_PATIENCE, self.committed()).await;
            if let Ok(Some(committed)) = round {
                let mut applied = self.applied.clone();
                let reached = applied.wait_for(|applied| applied.log_id >= committed).await;
                return reached.map(drop).map_err(|_closed| ProposeError::Stopping);
            }
            runtime::sleep(PAUSE).await;
        }
    }

    /// What the leader has committed, as a majority confirms that it leads.
    async fn committed(&self) -> Option<Option<LogId<u64>>> {
        let (leader, member) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            let leader = metrics.current_leader?;
            (leader, metrics.membership_config.membership().get_node(&leader)?.clone())
        };
        if leader == self.me {
            return committed_here(&self.raft).await;
        }
        let request = Request::ReadIndex.encode().ok()?;
        let reply = self.transport.call(leader, &member, request, ROUND_PATIENCE).await.ok()?;
        match Reply::decode(&reply).ok()? {
            Reply::ReadIndex(committed) => Some(committed),
            _ => None,
        }
    }
}

/// What this member has committed, if it leads and a majority says so.
pub(crate) async fn committed_here(raft: &Raft<TypeConfig>) -> Option<Option<LogId<u64>>> {
    raft.get_read_log_id().await.ok().map(|(committed, _applied)| committed)
}
