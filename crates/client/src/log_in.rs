//! Log-in: by password once, on every connection by ticket, and by password again when the ticket has ended unused.
//!
//! A log-in has a number here. A connection that has another number, or whose own log-in is due, takes the log-in up before it carries
//! a request. Whoever logs in holds the gate, so that two of them do not take turns at replacing each other, and a wrong password
//! is tried once and not once per connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use casemate_crypto::{Hash, Secret, Wiped, hmac, random};
use casemate_protocol::messages::{
    Answer, Ask, Empty, LogIn, LoggedIn as WireLoggedIn, Request, UseTicket,
};
use casemate_protocol::{Error, Role, statements};
use prost::Message as _;

use crate::client::{Client, lock, wipe_password};
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

/// A log-in that every connection can take up.
#[derive(Clone)]
struct Session {
    number: u64,
    who: LoggedIn,
    ticket: Vec<u8>,
    secret: Arc<Secret>,
    /// For when the ticket has ended unused.
    password: Option<Arc<Secret>>,
}

/// What a client knows of its log-in.
#[derive(Default)]
pub(crate) struct LogInState {
    session: Mutex<Option<Arc<Session>>>,
    /// The number of the log-in; 0 is none.
    number: AtomicU64,
    made: AtomicU64,
    /// Held by whoever logs in.
    gate: Mutex<()>,
}

const ENDED: AttemptError = AttemptError::Refused(Error::TicketInvalid);

/// Takes a lock that others hold while they wait for an HSM, by the deadline.
fn lock_by<T>(mutex: &Mutex<T>, deadline: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn late(link: &Link) -> AttemptError {
    AttemptError::Late { address: link.address().to_owned() }
}

fn unreachable(link: &Link, cause: &str) -> AttemptError {
    AttemptError::Unreachable { address: link.address().to_owned(), cause: cause.to_owned() }
}

impl LogInState {
    fn session(&self) -> Option<Arc<Session>> {
        lock(&self.session).clone()
    }

    /// Puts a session in the place of the one with that number, unless that has ended meanwhile.
    fn replace(&self, number: u64, session: Session) -> bool {
        let mut current = lock(&self.session);
        let there = current.as_ref().is_some_and(|current| current.number == number);
        if there {
            self.number.store(session.number, Ordering::Release);
            *current = Some(Arc::new(session));
        }
        there
    }

    /// Ends the session with that number.
    fn end(&self, number: u64) {
        let mut current = lock(&self.session);
        if current.as_ref().is_some_and(|current| current.number == number) {
            *current = None;
            self.number.store(0, Ordering::Release);
        }
    }

    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Client {
    /// Logs a connection in by ticket, if the client is logged in and the connection is not, or not for long.
    pub(crate) fn take_up_session(
        &self,
        link: &Link,
        deadline: Instant,
    ) -> Result<(), AttemptError> {
        let wanted = self.log_in.number.load(Ordering::Acquire);
        let has = link.log_in_number.load(Ordering::Acquire);
        if wanted == 0 && has == 0 {
            return Ok(());
        }
        let Some(mut log_in) = lock_by(&link.log_in, deadline) else { return Err(late(link)) };
        let has = link.log_in_number.load(Ordering::Acquire);
        let now = Instant::now();
        let due =
            link.renew_now.load(Ordering::Acquire) || log_in.renew.is_none_or(|renew| now >= renew);
        if has == wanted && !due {
            return Ok(());
        }
        let Some(session) = self.log_in.session() else {
            // Logged out: a connection with a log-in is of no use any more.
            link.break_off();
            return Err(unreachable(link, "logged out"));
        };
        link.renew_now.store(false, Ordering::Release);
        let (renewed, seconds) = match self.use_ticket(link, &session, deadline) {
            Err(AttemptError::Refused(Error::TicketInvalid)) => {
                self.log_in_anew(link, &session, deadline)?
            }
            answer => renewed(&session, session.number, answer?),
        };
        let number = renewed.number;
        if !self.log_in.replace(session.number, renewed)
            && self.log_in.number.load(Ordering::Acquire) != number
        {
            link.break_off();
            return Err(unreachable(link, "logged out"));
        }
        log_in.renew = Some(now + Duration::from_secs(seconds / 2));
        link.log_in_number.store(number, Ordering::Release);
        Ok(())
    }

    /// Logs in by password in the place of a ticket that ended because nobody used it: a server that had no visitor all night serves
    /// the first one in the morning. If the password is no longer right, the log-in has ended here too.
    fn log_in_anew(
        &self,
        link: &Link,
        session: &Session,
        deadline: Instant,
    ) -> Result<(Session, u64), AttemptError> {
        if link.log_in_number.load(Ordering::Acquire) != 0 {
            // The connection's own log-in ended, and with it all that the HSM answers there.
            link.break_off();
            return Err(unreachable(link, "the log-in of the connection has ended"));
        }
        let Some(_gate) = lock_by(&self.log_in.gate, deadline) else { return Err(late(link)) };
        let Some(current) = self.log_in.session() else { return Err(ENDED) };
        if current.ticket != session.ticket {
            // Another thread was faster.
            let answer = self.use_ticket(link, &current, deadline)?;
            return Ok(renewed(&current, current.number, answer));
        }
        let Some(password) = &current.password else {
            self.log_in.end(current.number);
            return Err(ENDED);
        };
        loop {
            let role = Some(current.who.role);
            let message = self.log_in_request(&current.who.user, password.expose(), role);
            let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
            match self.read(link, link.round_trip(sequence, &message, deadline)?) {
                Ok(Answer::LoggedIn(answer)) => {
                    tracing::info!(
                        "logged in again by password: the ticket was not used for too long"
                    );
                    return Ok(renewed(&current, self.log_in.next(), answer));
                }
                Err(AttemptError::Refused(Error::PasswordIncorrect | Error::UserLocked)) => {
                    self.log_in.end(current.number);
                    return Err(ENDED);
                }
                // The connection had a log-in of its own that ended: by another it can be tried.
                Err(AttemptError::Refused(Error::TicketInvalid | Error::AlreadyLoggedIn)) => {
                    link.break_off();
                    return Err(unreachable(link, "the log-in of the connection has ended"));
                }
                Err(AttemptError::Refused(Error::LogInDelayed(ms))) => {
                    let pause = Duration::from_millis(ms.max(1));
                    if Instant::now() + pause >= deadline {
                        return Err(late(link));
                    }
                    std::thread::sleep(pause);
                }
                Err(error) => return Err(error),
                Ok(_) => return Err(AttemptError::Refused(Error::Malformed)),
            }
        }
    }

    fn log_in_request(&self, user: &str, password: &[u8], role: Option<Role>) -> Wiped {
        let ask = LogIn {
            user: user.to_owned(),
            password: String::from_utf8_lossy(password).into_owned(),
            role: role.map_or(0, Role::number),
            client: self.instance.to_vec(),
        };
        let mut request = Request { ask: Some(Ask::LogIn(ask)), ..Request::default() };
        let message = Wiped::from(request.encode_to_vec());
        wipe_password(&mut request);
        message
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
        match self.read(link, link.round_trip(sequence, &request, deadline)?)? {
            Answer::LoggedIn(logged_in) => Ok(logged_in),
            _ => Err(AttemptError::Refused(Error::Malformed)),
        }
    }

    /// Makes every connection take the session up again.
    pub(crate) fn renew_all(&self) {
        for link in lock(&self.links).iter().flatten() {
            link.renew_now.store(true, Ordering::Release);
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
        let _gate = lock(&self.log_in.gate);
        if self.is_logged_in() {
            return Err(ClientError::Refused(Error::AlreadyLoggedIn));
        }
        let ask = || {
            Ask::LogIn(LogIn {
                user: user.to_owned(),
                password: password.to_owned(),
                role: role.map_or(0, Role::number),
                client: self.instance.to_vec(),
            })
        };
        let answer = match self.call(ask()) {
            // The first attempt's answer was lost: the connection is logged in, but its ticket is not known.
            Err(ClientError::Refused(Error::AlreadyLoggedIn)) => {
                self.drop_links();
                self.call(ask())?
            }
            answer => answer?,
        };
        let Answer::LoggedIn(logged_in) = answer else { return Err(ClientError::Unexpected) };
        let role = Role::from_number(logged_in.role).ok_or(ClientError::Unexpected)?;
        let who = LoggedIn { user: logged_in.user, role };
        let kept = self.config().keep_password;
        let session = Session {
            number: self.log_in.next(),
            who: who.clone(),
            ticket: logged_in.ticket,
            secret: Arc::new(Secret::from_vec(logged_in.secret)),
            password: kept.then(|| Arc::new(Secret::from_slice(password.as_bytes()))),
        };
        let number = session.number;
        *lock(&self.log_in.session) = Some(Arc::new(session));
        self.log_in.number.store(number, Ordering::Release);
        Ok(who)
    }

    /// Returns who is logged in.
    #[must_use]
    pub fn logged_in(&self) -> Option<LoggedIn> {
        self.log_in.session().map(|session| session.who.clone())
    }

    /// Whether somebody is logged in.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.log_in_number() != 0
    }

    /// Returns the number of the log-in, which changes with each: what was bound to an earlier one is void. 0 is none.
    #[must_use]
    pub fn log_in_number(&self) -> u64 {
        self.log_in.number.load(Ordering::Acquire)
    }

    /// Ends the log-in here without a word to the cluster: for one that the cluster ended, as a change of the password does.
    pub fn forget_log_in(&self) {
        self.log_in.number.store(0, Ordering::Release);
        *lock(&self.log_in.session) = None;
        self.drop_links();
    }

    /// Logs out: here at once, and in the cluster, so that the ticket is worth nothing any more.
    ///
    /// # Errors
    /// [`ClientError`] if the cluster could not be told; here the log-in has ended all the same.
    pub fn log_out(&self) -> Result<(), ClientError> {
        let session = self.log_in.session();
        let session = session.ok_or(ClientError::Refused(Error::LogInRequired))?;
        // Nobody logs in anew by its password while the cluster is told.
        self.log_in
            .replace(session.number, Session { password: None, ..Session::clone(&session) });
        let told = self
            .call_within(Ask::LogOut(Empty {}), self.config().deadline.min(Duration::from_secs(5)));
        self.forget_log_in();
        told.map(drop)
    }
}

/// The session as an HSM renewed it, and how many seconds it holds.
fn renewed(session: &Session, number: u64, answer: WireLoggedIn) -> (Session, u64) {
    let secret = Arc::new(Secret::from_vec(answer.secret));
    let password = session.password.clone();
    let who = session.who.clone();
    (Session { number, who, ticket: answer.ticket, secret, password }, answer.seconds)
}
