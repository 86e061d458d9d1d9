//! The client of one cluster: calls, log-in, and what survives a lost connection.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use casemate_crypto::{Hash, Secret, Wiped, hmac, random};
use casemate_protocol::identity::ClusterId;
use casemate_protocol::messages::{
    Activate, Answer, Ask, Empty, Lifecycle, LogIn, LoggedIn as WireLoggedIn, Reply, Request,
    UseTicket,
};
use casemate_protocol::{Error, Role, statements};
use prost::Message as _;

use crate::config::Config;
use crate::core::{Attempts, Next};
use crate::error::{AttemptError, ClientError};
use crate::link::Link;

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The user's name, as the cluster has it.
    pub user: String,
    /// The user's role.
    pub role: Role,
}

/// What an HSM says of its cluster before anybody logs in.
#[derive(Clone, Debug)]
pub struct ClusterInfo {
    /// The cluster.
    pub cluster: ClusterId,
    /// Where it stands in its life.
    pub lifecycle: Lifecycle,
}

/// A log-in that every connection can take up.
struct Session {
    number: u64,
    who: LoggedIn,
    ticket: Vec<u8>,
    secret: Secret,
    /// For when the ticket has ended unused.
    password: Option<Secret>,
}

/// The client of one cluster. Calls may come from any number of threads.
pub struct Client {
    config: Config,
    /// Who this process is, for request ids.
    instance: [u8; 16],
    sequence: AtomicU64,
    session: Mutex<Option<Arc<Session>>>,
    /// Counts log-ins; 0 is none.
    session_number: AtomicU64,
    sessions_made: AtomicU64,
    log_in_anew: Mutex<()>,
    links: Mutex<Vec<Option<Arc<Link>>>>,
    /// Which address to try next.
    turn: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

/// Connections of one client to one HSM, at most.
const LINKS_MAX: usize = 16;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
            session: Mutex::default(),
            session_number: AtomicU64::new(0),
            sessions_made: AtomicU64::new(0),
            log_in_anew: Mutex::default(),
            links: Mutex::new(vec![None]),
            turn: AtomicUsize::new(0),
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
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut request = Request { ask: Some(ask), ..Request::default() };
        let mut attempts = Attempts::new(Instant::now() + deadline);
        loop {
            request.repeated = attempts.is_repeated();
            let message = Wiped::from(request.encode_to_vec());
            let error = match self.attempt(sequence, &message, attempts.deadline()) {
                Ok(answer) => {
                    self.is_back();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let logged_in = self.session_number.load(Ordering::Acquire) != 0;
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
        message: &[u8],
        deadline: Instant,
    ) -> Result<Answer, AttemptError> {
        let link = self.link(deadline)?;
        self.take_up_session(&link, deadline)?;
        decode(&link, link.round_trip(sequence, message, deadline)?)
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
            tracing::warn!(cause, "{what}");
        }
    }

    /// Ends an outage, if there was one.
    fn is_back(&self) {
        // A look first: every call comes here, and a write would take the line from the other threads.
        if self.down.load(Ordering::Relaxed) && self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("the HSM is back");
        }
    }

    /// Logs a connection in by ticket, if the client is logged in and the connection is not, or not for long.
    fn take_up_session(&self, link: &Link, deadline: Instant) -> Result<(), AttemptError> {
        let wanted = self.session_number.load(Ordering::Acquire);
        let has = link.log_in_number.load(Ordering::Acquire);
        if wanted == 0 && has == 0 {
            return Ok(());
        }
        let mut log_in = lock(&link.log_in);
        let has = link.log_in_number.load(Ordering::Acquire);
        let now = Instant::now();
        let due = log_in.renew.is_none_or(|renew| now >= renew);
        if has == wanted && !due {
            return Ok(());
        }
        let Some(session) = lock(&self.session).clone() else {
            // Logged out: a connection with a log-in is of no use any more.
            link.break_off();
            return Err(AttemptError::Unreachable {
                address: String::new(),
                cause: "logged out".to_owned(),
            });
        };
        let answer = match self.use_ticket(link, &session, deadline) {
            Err(AttemptError::Refused(Error::TicketInvalid)) => {
                self.log_in_anew(link, &session, deadline)?
            }
            answer => answer?,
        };
        log_in.renew = Some(now + Duration::from_secs(answer.seconds / 2));
        link.log_in_number.store(session.number, Ordering::Release);
        let renewed = Session {
            ticket: answer.ticket,
            secret: Secret::from_vec(answer.secret),
            who: session.who.clone(),
            password: session
                .password
                .as_ref()
                .map(|password| Secret::from_slice(password.expose())),
            ..*session
        };
        let mut current = lock(&self.session);
        if current.as_ref().is_some_and(|current| current.number == renewed.number) {
            *current = Some(Arc::new(renewed));
        }
        Ok(())
    }

    /// Logs in by password in the place of a ticket that ended because nobody used it: a server that had no visitor all night serves
    /// the first one in the morning. If the password is no longer right, the log-in has ended here too.
    fn log_in_anew(
        &self,
        link: &Link,
        session: &Session,
        deadline: Instant,
    ) -> Result<WireLoggedIn, AttemptError> {
        if link.log_in_number.load(Ordering::Acquire) != 0 {
            // The connection's own log-in ended, and with it all that the HSM answers there.
            link.break_off();
            return Err(AttemptError::Unreachable {
                address: String::new(),
                cause: "the log-in of the connection has ended".to_owned(),
            });
        }
        let _one_at_a_time = lock(&self.log_in_anew);
        let newer = lock(&self.session).clone();
        if let Some(newer) = newer.filter(|newer| newer.ticket != session.ticket) {
            return self.use_ticket(link, &newer, deadline);
        }
        let ended = AttemptError::Refused(Error::TicketInvalid);
        let Some(password) = &session.password else { return Err(ended) };
        let password = String::from_utf8_lossy(password.expose()).into_owned();
        let ask = LogIn {
            user: session.who.user.clone(),
            password,
            role: session.who.role.number(),
            client: self.instance.to_vec(),
        };
        let request = Request { ask: Some(Ask::LogIn(ask)), ..Request::default() };
        let message = Wiped::from(request.encode_to_vec());
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        match decode(link, link.round_trip(sequence, &message, deadline)?) {
            Ok(Answer::LoggedIn(logged_in)) => {
                tracing::info!("logged in again by password: the ticket was not used for too long");
                Ok(logged_in)
            }
            Err(AttemptError::Refused(Error::PasswordIncorrect | Error::UserLocked)) => {
                self.session_number.store(0, Ordering::Release);
                *lock(&self.session) = None;
                Err(ended)
            }
            Err(error) => Err(error),
            Ok(_) => Err(AttemptError::Refused(Error::Malformed)),
        }
    }

    fn use_ticket(
        &self,
        link: &Link,
        session: &Session,
        deadline: Instant,
    ) -> Result<WireLoggedIn, AttemptError> {
        let mut nonce = [0; 32];
        random::fill(&mut nonce);
        let message = statements::ticket_proof(link.exporter(), &nonce);
        let proof = hmac::sign(Hash::Sha256, session.secret.expose(), &[&message]);
        let ask = Ask::UseTicket(UseTicket {
            ticket: session.ticket.clone(),
            nonce: nonce.to_vec(),
            proof: proof.as_ref().to_vec(),
        });
        let request = Request { ask: Some(ask), ..Request::default() }.encode_to_vec();
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        match decode(link, link.round_trip(sequence, &request, deadline)?)? {
            Answer::LoggedIn(logged_in) => Ok(logged_in),
            _ => Err(AttemptError::Refused(Error::Malformed)),
        }
    }

    /// Makes every connection take the session up again.
    fn renew_all(&self) {
        for link in lock(&self.links).iter().flatten() {
            lock(&link.log_in).renew = None;
        }
    }

    fn drop_links(&self) {
        for slot in lock(&self.links).iter_mut() {
            if let Some(link) = slot.take() {
                link.break_off();
            }
        }
    }

    /// Logs in by password. What survives a lost connection is a ticket; the password is kept for when that has ended, unless the
    /// configuration says otherwise (`client.keep_password`).
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn log_in(
        &self,
        user: &str,
        password: &str,
        role: Option<Role>,
    ) -> Result<LoggedIn, ClientError> {
        if self.session_number.load(Ordering::Acquire) != 0 {
            return Err(ClientError::Refused(Error::AlreadyLoggedIn));
        }
        let ask = LogIn {
            user: user.to_owned(),
            password: password.to_owned(),
            role: role.map_or(0, Role::number),
            client: self.instance.to_vec(),
        };
        let answer = match self.call(Ask::LogIn(ask)) {
            // The first attempt's answer was lost: the connection is logged in, but its ticket is not known.
            Err(ClientError::Refused(Error::AlreadyLoggedIn)) => {
                self.drop_links();
                return self.log_in(user, password, role);
            }
            answer => answer?,
        };
        let Answer::LoggedIn(logged_in) = answer else { return Err(ClientError::Unexpected) };
        let role = Role::from_number(logged_in.role).ok_or(ClientError::Unexpected)?;
        let who = LoggedIn { user: logged_in.user, role };
        let number = self.sessions_made.fetch_add(1, Ordering::Relaxed) + 1;
        let session = Session {
            number,
            who: who.clone(),
            ticket: logged_in.ticket,
            secret: Secret::from_vec(logged_in.secret),
            password: self.config.keep_password.then(|| Secret::from_slice(password.as_bytes())),
        };
        *lock(&self.session) = Some(Arc::new(session));
        self.session_number.store(number, Ordering::Release);
        Ok(who)
    }

    /// Returns who is logged in.
    #[must_use]
    pub fn logged_in(&self) -> Option<LoggedIn> {
        lock(&self.session).as_ref().map(|session| session.who.clone())
    }

    /// Whether somebody is logged in.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.session_number.load(Ordering::Acquire) != 0
    }

    /// Ends the log-in here without a word to the cluster: for one that the cluster ended, as a change of the password does.
    pub fn forget_log_in(&self) {
        self.session_number.store(0, Ordering::Release);
        *lock(&self.session) = None;
        self.drop_links();
    }

    /// Logs out: here at once, and in the cluster, so that the ticket is worth nothing any more.
    ///
    /// # Errors
    /// [`ClientError`] if the cluster could not be told; here the log-in has ended all the same.
    pub fn log_out(&self) -> Result<(), ClientError> {
        if self.session_number.load(Ordering::Acquire) == 0 {
            return Err(ClientError::Refused(Error::LogInRequired));
        }
        let told = self
            .call_within(Ask::LogOut(Empty {}), self.config.deadline.min(Duration::from_secs(5)));
        self.forget_log_in();
        told.map(drop)
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
        let request = Request { ask: Some(Ask::Activate(ask)), ..Request::default() };
        let message = Wiped::from(request.encode_to_vec());
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let reply = link.round_trip(sequence, &message, deadline).map_err(final_error)?;
        decode(&link, reply).map(drop).map_err(final_error)
    }
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

fn decode(link: &Link, reply: Vec<u8>) -> Result<Answer, AttemptError> {
    let reply = Reply::decode(bytes::Bytes::from(reply));
    let reply =
        reply.map_err(|_error: prost::DecodeError| AttemptError::Refused(Error::Malformed))?;
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
