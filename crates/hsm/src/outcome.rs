//! What becomes of a request: the outcomes, and how a connection's log-in changes with them.
//!
//! The daemon drives an [`Outcome`] to its end: it runs jobs in a pool, confirms the leader's index,
//! replicates proposals, and sends the reply that comes last. The module itself does none of this.

use std::sync::Arc;

use casemate_crypto::Secret;
use casemate_protocol::Error;
use casemate_protocol::messages::{Answer, Reply};

use crate::log_in::LogIn;

/// Work that goes on elsewhere and comes to an outcome itself.
pub type Job = Box<dyn FnOnce() -> Outcome + Send>;

/// What becomes of a request.
pub enum Outcome {
    /// It is answered.
    Reply(Answered),
    /// It changes state: replicate the entry, then call `finish` with what `apply` returned.
    Propose(Proposal),
    /// It takes longer than about 100 µs: run it in a pool, and go on with what it returns.
    Offload(Job),
    /// It stretches a password, which takes a tenth of a second on purpose: run it in a pool of its own, so that log-ins hold up no key.
    Stretch(Job),
    /// It must first know the leader's index: confirm it, then run this.
    ConfirmThen(Job),
    /// Its client has seen more elsewhere: wait until that is applied here, then go on in a pool.
    WaitFor(Wait),
}

/// A request that waits for the log.
pub struct Wait {
    /// The index that must be applied and published here.
    pub index: u64,
    /// How long, in milliseconds; what is behind then is answered by [`Wait::late`].
    pub within_ms: u64,
    /// Then this.
    pub job: Job,
}

impl Wait {
    /// Returns the answer of an HSM that did not catch up in time.
    #[must_use]
    pub fn late(&self) -> Answered {
        Answered::new(Reply::error(Error::IndexAhead(self.within_ms)))
    }
}

/// Turns what `apply` returned, or why an entry was not committed, into the answer.
pub type Finish = Box<dyn FnOnce(Result<&[u8], Error>) -> Answered + Send>;

/// An answer, and what it does to its connection.
pub struct Answered {
    /// The reply.
    pub reply: Reply,
    /// What becomes of the connection's log-in.
    pub caller: CallerChange,
}

/// What becomes of the log-in of a connection.
pub enum CallerChange {
    /// It stays.
    Same,
    /// This one holds from now on.
    LoggedIn(Arc<LogIn>),
    /// Nobody is logged in any more.
    LoggedOut,
}

/// A change of state that awaits its majority.
pub struct Proposal {
    /// The sealed command.
    pub entry: Vec<u8>,
    /// New secrets of this module: seal and store them durably *before* the entry is proposed.
    pub persist: Option<Secret>,
    /// Turns what `apply` returned, or why the entry was not committed, into the answer.
    pub finish: Finish,
}

impl Outcome {
    /// Makes the outcome of an answer that leaves the log-in alone.
    #[must_use]
    pub const fn answer(answer: Answer) -> Self {
        Self::Reply(Answered::new(Reply::new(answer)))
    }

    /// Makes the outcome of a failure.
    #[must_use]
    pub fn error(error: Error) -> Self {
        Self::Reply(Answered::new(Reply::error(error)))
    }

    /// Makes the outcome of a result.
    #[must_use]
    pub fn of(result: Result<Answer, Error>) -> Self {
        match result {
            Ok(answer) => Self::answer(answer),
            Err(error) => Self::error(error),
        }
    }

    /// Makes an outcome that a pool finishes.
    #[must_use]
    pub fn offload(job: impl FnOnce() -> Self + Send + 'static) -> Self {
        Self::Offload(Box::new(job))
    }

    /// Makes an outcome that the pool for passwords finishes.
    #[must_use]
    pub fn stretch(job: impl FnOnce() -> Self + Send + 'static) -> Self {
        Self::Stretch(Box::new(job))
    }
}

impl From<Result<Self, Error>> for Outcome {
    fn from(result: Result<Self, Error>) -> Self {
        result.unwrap_or_else(Self::error)
    }
}

impl Answered {
    /// Makes an answer that leaves the log-in alone.
    #[must_use]
    pub const fn new(reply: Reply) -> Self {
        Self { reply, caller: CallerChange::Same }
    }
}
