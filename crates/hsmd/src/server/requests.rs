//! From an outcome to its answer: jobs to the pool, proposals to the cluster, the answer back to the connection's worker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use casemate_cluster::ProposeError;
use casemate_hsm::{Answered, Job, Outcome, Proposal};
use casemate_protocol::Error;
use casemate_protocol::messages::Reply;

use super::Shared;
use super::memory::Held;
use super::pool::Pool;
use super::worker::{Inbox, Message, Urgency};

/// Where an answer goes: the worker, the connection (by a number that is never used again), the request.
pub(crate) struct Way {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) connection: u64,
    pub(crate) sequence: u64,
    /// The share of memory of its request.
    pub(crate) held: Held,
}

impl Way {
    fn send(self, answered: Answered, urgency: Urgency) {
        let message = Message::Answer {
            connection: self.connection,
            sequence: self.sequence,
            answered: Box::new(answered),
            held: self.held,
        };
        self.inbox.send_with(message, urgency);
    }

    fn fail(self, error: Error) {
        self.send(Answered::new(Reply::error(error)), Urgency::Now);
    }
}

const BUSY_MS: u64 = 25;
const DISK_FULL_MS: u64 = 1_000;
const NO_LEADER_MS: u64 = 200;

const fn wire_error(error: ProposeError) -> Error {
    match error {
        ProposeError::DiskFull => Error::WritesRefusedDiskFull(DISK_FULL_MS),
        ProposeError::DiskFailed => Error::WritesRefusedDiskFailed,
        ProposeError::Busy => Error::Busy(BUSY_MS),
        ProposeError::Stopping => Error::ShuttingDown,
        ProposeError::NoLeader => Error::NoMajority(NO_LEADER_MS),
    }
}

/// Drives an outcome: returns the answer if it is there at once, else it comes to the inbox.
pub(crate) fn drive(outcome: Outcome, way: impl FnOnce() -> Way) -> Option<Answered> {
    match outcome {
        Outcome::Reply(answered) => Some(answered),
        outcome => {
            let way = way();
            way.shared.unanswered.fetch_add(1, Ordering::SeqCst);
            way.inbox.expect();
            go_on(outcome, way, Urgency::Now);
            None
        }
    }
}

/// Goes on with an outcome: what waits comes to its inbox in the end. The urgency is that of an answer which is there now.
pub(crate) fn go_on(outcome: Outcome, way: Way, urgency: Urgency) {
    match outcome {
        Outcome::Reply(answered) => way.send(answered, urgency),
        Outcome::Offload(job) => submit(job, way, |shared| &shared.pool),
        Outcome::Stretch(job) => submit(job, way, |shared| &shared.passwords),
        Outcome::ConfirmThen(job) => {
            let shared = Arc::clone(&way.shared);
            shared.cluster.confirm(Box::new(move |confirmed| match confirmed {
                Ok(()) => go_on(job(), way, Urgency::Now),
                Err(error) => way.fail(wire_error(error)),
            }));
        }
        Outcome::WaitFor(wait) => {
            let shared = Arc::clone(&way.shared);
            let (index, within) = (wait.index, Duration::from_millis(wait.within_ms));
            let waited = move |reached: bool| {
                if reached {
                    submit(wait.job, way, |shared| &shared.pool);
                } else {
                    way.send(wait.late(), Urgency::Now);
                }
            };
            shared.cluster.wait_for(index, within, Box::new(waited));
        }
        Outcome::Propose(proposal) => propose(proposal, way),
    }
}

fn submit(job: Job, way: Way, pool: impl FnOnce(&Shared) -> &Pool) {
    let shared = Arc::clone(&way.shared);
    if let Err((_job, way)) = pool(&shared).submit((job, way)) {
        way.fail(Error::Busy(BUSY_MS));
    }
}

fn propose(proposal: Proposal, way: Way) {
    // New secrets first: what is sealed under them must be readable after a crash. This runs in the pool.
    if let Some(secrets) = &proposal.persist
        && let Err(error) = way.shared.persist(secrets)
    {
        return way.fail(error);
    }
    let finish = proposal.finish;
    let shared = Arc::clone(&way.shared);
    shared.cluster.propose(
        proposal.entry,
        Box::new(move |result| {
            let answered = match &result {
                Ok(committed) => finish(Ok(&committed.reply)),
                Err(error) => finish(Err(wire_error(*error))),
            };
            way.send(answered, Urgency::Now);
        }),
    );
}
