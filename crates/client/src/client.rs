//! The client of one cluster: calls, connections, and what survives a lost one. Log-in is in [`crate::log_in`].

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use casemate_crypto::{Wiped, random};
use casemate_protocol::identity::ClusterId;
use casemate_protocol::messages::{Activate, Answer, Ask, Empty, Lifecycle, Reply, Request};
use casemate_protocol::{Error, statements};
use prost::Message as _;

use crate::config::Config;
use crate::core::{Attempts, Next};
use crate::error::{AttemptError, ClientError};
use crate::link::Link;
use crate::log_in::LogInState;
use crate::seen::Seen;

/// What an HSM says of its cluster before anybody logs in.
#[derive(Clone, Debug)]
pub struct ClusterInfo {
    /// The cluster.
    pub cluster: ClusterId,
    /// Where it stands in its life.
    pub lifecycle: Lifecycle,
}

/// The client of one cluster. Calls may come from any number of threads.
pub struct Client {
    config: Config,
    /// Who this process is, for request ids.
    pub(crate) instance: [u8; 16],
    pub(crate) sequence: AtomicU64,
    pub(crate) log_in: LogInState,
    pub(crate) links: Mutex<Vec<Option<Arc<Link>>>>,
    /// Which address to try next.
    turn: AtomicUsize,
    seen: Seen,
    down: std::sync::atomic::AtomicBool,
}

/// Connections of one client to one HSM, at most.
const LINKS_MAX: usize = 16;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number per thread, so that threads spread over connections.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

impl Client {
    /// Makes a client; it connects when it is first needed.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut instance = [0; 16];
        random::fill(&mut instance);
        Self {
            config,
            instance,
            sequence: AtomicU64::new(1),
            log_in: LogInState::default(),
            links: Mutex::new(vec![None]),
            turn: AtomicUsize::new(0),
            seen: Seen::default(),
            down: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Asks, within the configured deadline.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn call(&self, ask: Ask) -> Result<Answer, ClientError> {
        self.call_within(ask, self.config.deadline)
    }

    /// Asks, within a deadline. The request keeps its id through all attempts, so it takes effect once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn call_within(&self, ask: Ask, deadline: Duration) -> Result<Answer, ClientError> {
        let mut request = Request { ask: Some(ask), ..Request::default() };
        let outcome = self.repeat(&mut request, deadline);
        wipe_password(&mut request);
        outcome
    }

    fn repeat(&self, request: &mut Request, deadline: Duration) -> Result<Answer, ClientError> {
        let mut sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut attempts = Attempts::new(Instant::now() + deadline);
        loop {
            request.repeated = attempts.is_repeated();
            let error = match self.attempt(sequence, request, attempts.deadline()) {
                Ok(answer) => {
                    self.is_back();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let too_old = matches!(error, AttemptError::Refused(Error::RequestTooOld));
            if too_old && !request.repeated && Instant::now() < attempts.deadline() {
                // It was never sent before, so it took no effect: other threads were so quick that its number left the window.
                sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let logged_in = self.is_logged_in();
            match attempts.after(&error, logged_in, Instant::now()) {
                Next::Again(pause) => std::thread::sleep(pause),
                Next::LogIn => self.renew_all(),
                Next::GiveUp => return Err(final_error(error)),
                Next::TooLate => {
                    let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
                    let cause = attempts.cause();
                    self.is_away("no HSM answers in time", &cause);
                    return Err(ClientError::DeadlineExceeded { deadline_ms, cause });
                }
            }
        }
    }

    fn attempt(
        &self,
        sequence: u64,
        request: &mut Request,
        deadline: Instant,
    ) -> Result<Answer, AttemptError> {
        let link = self.link(deadline)?;
        self.take_up_session(&link, deadline)?;
        request.seen = self.seen.for_hsm(&link.told);
        let message = Wiped::from(request.encode_to_vec());
        self.read(&link, link.round_trip(sequence, &message, deadline)?)
    }

    /// Reads a reply, and notes what it shows of the cluster's log.
    pub(crate) fn read(&self, link: &Link, reply: Vec<u8>) -> Result<Answer, AttemptError> {
        decode(link, reply, &self.seen)
    }

    /// Returns a connection for this thread, and makes one if there is none that works.
    fn link(&self, deadline: Instant) -> Result<Arc<Link>, AttemptError> {
        let place;
        {
            let links = lock(&self.links);
            place = thread_number() % links.len().max(1);
            let link = links.get(place).and_then(Option::as_ref);
            if let Some(link) = link.filter(|link| !link.is_broken()) {
                return Ok(Arc::clone(link));
            }
        }
        let link = Arc::new(self.connect(deadline)?);
        let mut links = lock(&self.links);
        let wanted = usize::try_from(link.hello().connections).unwrap_or(1).clamp(1, LINKS_MAX);
        if links.len() < wanted {
            links.resize(wanted, None);
        }
        match links.get_mut(place) {
            // Another thread was faster: its connection is used, and this one ends.
            Some(Some(other)) if !other.is_broken() => Ok(Arc::clone(other)),
            Some(slot) => {
                *slot = Some(Arc::clone(&link));
                Ok(link)
            }
            None => Ok(link),
        }
    }

    fn connect(&self, deadline: Instant) -> Result<Link, AttemptError> {
        let addresses = &self.config.addresses;
        let first = self.turn.load(Ordering::Relaxed);
        let mut failed =
            AttemptError::Unreachable { address: String::new(), cause: "no address".to_owned() };
        for offset in 0..addresses.len() {
            let at = (first + offset) % addresses.len().max(1);
            let Some(address) = addresses.get(at) else { continue };
            match Link::connect(&self.config, address, deadline) {
                Ok(link) => {
                    self.turn.store(at, Ordering::Relaxed);
                    return Ok(link);
                }
                Err(error) => failed = error,
            }
        }
        self.is_away("no HSM can be reached", &failed.to_string());
        Err(failed)
    }

    /// Says that no HSM answers: one line for each outage, however many calls fail in it.
    fn is_away(&self, what: &str, cause: &str) {
        if !self.down.swap(true, Ordering::Relaxed) {
            tracing::warn!(%cause, "{what}");
        }
    }

    /// Ends an outage, if there was one.
    fn is_back(&self) {
        // A look first: every call comes here, and a write would take the line from the other threads.
        if self.down.load(Ordering::Relaxed) && self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("the HSM is back");
        }
    }

    pub(crate) fn drop_links(&self) {
        for slot in lock(&self.links).iter_mut() {
            if let Some(link) = slot.take() {
                link.break_off();
            }
        }
    }

    /// Returns what an HSM says of its cluster.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn cluster(&self) -> Result<ClusterInfo, ClientError> {
        self.call(Ask::Ping(Empty {}))?;
        let link = self.link(Instant::now() + self.config.deadline).map_err(final_error)?;
        let hello = link.hello();
        let cluster = hello.cluster.as_slice().try_into().map(ClusterId::from_bytes);
        let cluster =
            cluster.map_err(|_error: std::array::TryFromSliceError| ClientError::Unexpected)?;
        let lifecycle = Lifecycle::from_number(hello.lifecycle).ok_or(ClientError::Unexpected)?;
        Ok(ClusterInfo { cluster, lifecycle })
    }

    /// Activates the cluster: `sign` signs the statement by a key under the trust anchor, whose certificate (PEM) goes with it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn activate(
        &self,
        password: &str,
        sign: impl Fn(&[u8]) -> Vec<u8>,
        certificate: &str,
    ) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.config.deadline;
        let link = self.link(deadline).map_err(final_error)?;
        let hello = link.hello();
        let cluster = hello.cluster.as_slice().try_into().map(ClusterId::from_bytes);
        let nonce: Result<[u8; 32], _> = hello.nonce.as_slice().try_into();
        let (Ok(cluster), Ok(nonce)) = (cluster, nonce) else {
            return Err(ClientError::Unexpected);
        };
        // The signature is bound to this connection, so this request is not repeated on another.
        let signature = sign(&statements::activation(cluster, link.exporter(), &nonce));
        let ask = Activate {
            password: password.to_owned(),
            signature,
            certificate: certificate.to_owned(),
        };
        let mut request = Request { ask: Some(Ask::Activate(ask)), ..Request::default() };
        let message = Wiped::from(request.encode_to_vec());
        wipe_password(&mut request);
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let reply = link.round_trip(sequence, &message, deadline).map_err(final_error)?;
        self.read(&link, reply).map(drop).map_err(final_error)
    }
}

/// Wipes the password of a request that was sent.
pub(crate) fn wipe_password(request: &mut Request) {
    drop(request.ask.as_mut().and_then(Ask::take_password).map(|it| Wiped::from(it.into_bytes())));
}

fn final_error(error: AttemptError) -> ClientError {
    match error {
        AttemptError::Refused(refused) => ClientError::Refused(refused),
        AttemptError::Untrusted { address, cause } => ClientError::Untrusted { address, cause },
        AttemptError::Unreachable { .. } | AttemptError::Late { .. } => {
            ClientError::DeadlineExceeded { deadline_ms: 0, cause: error.to_string() }
        }
    }
}

fn decode(link: &Link, reply: Vec<u8>, seen: &Seen) -> Result<Answer, AttemptError> {
    let reply = Reply::decode(bytes::Bytes::from(reply));
    let reply =
        reply.map_err(|_error: prost::DecodeError| AttemptError::Refused(Error::Malformed))?;
    if !reply.index.is_empty() {
        seen.take(&reply.index, &link.told);
    }
    match reply.answer {
        Some(Answer::Error(error)) => {
            let error = Error::from(error);
            if error == Error::ShuttingDown {
                link.break_off();
            }
            Err(AttemptError::Refused(error))
        }
        Some(answer) => Ok(answer),
        None => Err(AttemptError::Refused(Error::Malformed)),
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.drop_links();
    }
}
