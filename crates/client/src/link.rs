//! One connection, shared by threads without a thread of its own.
//!
//! A thread puts its frame into the queue; whoever can take the TLS state writes all that waits. Nobody holds that state while
//! the socket takes no more: the HSM may wait for its replies to be read before it reads on. Of the threads that wait for
//! replies one reads for all, and hands the role on when its own reply is there. A lone thread writes and reads by itself,
//! with no hop to another. Before it sleeps, the reader looks for more without sleeping, as long as that pays.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use casemate_crypto::Wiped;
use casemate_protocol::frame::{self, Frame};
use casemate_protocol::messages::ServerHello;
use casemate_protocol::{Error, limits as wire, statements};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::ClientConnection;

use crate::config::Config;
use crate::dial::{dial, greet, session};
use crate::error::AttemptError;
use crate::received::{decrypt, farewell};
use crate::seen::Told;
use crate::waiter::{Asking, Waiter, asking};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of another thread of the application leaves data that the next read or write finds broken, if it is.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What only the reader touches.
#[derive(Default)]
struct Reading {
    /// Bytes of the socket: two records of TLS at a time.
    received: Vec<u8>,
    input: Vec<u8>,
    fragments: BTreeMap<u64, Vec<u8>>,
    /// Those whose replies came with the last bytes.
    delivered: Vec<Arc<Waiter>>,
    /// Of the last looks without sleep, as bits: which found something.
    found: u16,
    skipped: u8,
}

/// A connection that greeted.
pub(crate) struct Link {
    address: String,
    socket: TcpStream,
    tls: Mutex<ClientConnection>,
    queue: Mutex<Vec<u8>>,
    waiters: Mutex<BTreeMap<u64, Arc<Waiter>>>,
    reading: Mutex<Reading>,
    /// Threads that have their replies and do not run yet.
    woken: AtomicUsize,
    broken: AtomicBool,
    /// Whether the TLS state has bytes that the socket did not take.
    unwritten: AtomicBool,
    /// Why the HSM ended the connection, if it said so.
    farewell: Mutex<Option<Error>>,
    polling: Duration,
    /// Threads of this process that may ask while one of them polls: half as many as there are cores.
    polls_among: usize,
    /// Which log-in of the client it has, and when to renew it.
    pub(crate) log_in: Mutex<LinkLogIn>,
    /// Whether its log-in is to be renewed before the next request.
    pub(crate) renew_now: AtomicBool,
    /// Which log-in it has, for a look without the lock.
    pub(crate) log_in_number: AtomicU64,
    /// The newest index that this HSM told on it.
    pub(crate) told: Told,
    hello: ServerHello,
    exporter: [u8; 32],
}

/// What a link knows of its log-in.
#[derive(Default)]
pub(crate) struct LinkLogIn {
    pub(crate) renew: Option<Instant>,
}

/// How long a frame is left for another thread to write. Threads that were woken write within tens of microseconds each; one that
/// does not run at all must not hold up the others.
const LEFT_FOR: Duration = Duration::from_millis(1);
/// How long a thread that cannot write waits before it looks whether it must read.
const LOOK_AFTER: Duration = Duration::from_millis(5);
/// Bytes taken from the socket at a time.
const RECEIVED_BYTES: usize = 32 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

impl Link {
    /// Connects, checks the other side, greets.
    pub(crate) fn connect(
        config: &Config,
        address: &str,
        deadline: Instant,
    ) -> Result<Self, AttemptError> {
        let failed = |cause: &dyn std::fmt::Display| AttemptError::Unreachable {
            address: address.to_owned(),
            cause: cause.to_string(),
        };
        let left = deadline.saturating_duration_since(Instant::now()).min(CONNECT_TIMEOUT);
        let left = left.max(Duration::from_millis(1));
        let mut socket = dial(address, left).map_err(|error| failed(&error))?;
        let (mut tls, verifier) = session(config).map_err(|error| failed(&error))?;
        socket.set_read_timeout(Some(left)).map_err(|error| failed(&error))?;
        socket.set_write_timeout(Some(left)).map_err(|error| failed(&error))?;
        let hello =
            greet(config, &mut tls, &mut socket).map_err(|error| match verifier.refused() {
                Some(cause) => AttemptError::Untrusted { address: address.to_owned(), cause },
                None => failed(&error),
            })?;
        if let Some(error) = hello.error {
            return Err(AttemptError::Refused(error.into()));
        }
        let exporter = tls.export_keying_material([0; 32], statements::CHANNEL_BINDING_LABEL, None);
        let exporter = exporter.map_err(|error| failed(&error))?;
        socket.set_nonblocking(true).map_err(|error| failed(&error))?;
        tls.set_buffer_limit(None);
        Ok(Self {
            address: address.to_owned(),
            socket,
            tls: Mutex::new(tls),
            queue: Mutex::default(),
            waiters: Mutex::default(),
            reading: Mutex::default(),
            woken: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            unwritten: AtomicBool::new(false),
            farewell: Mutex::default(),
            polling: config.polling,
            polls_among: std::thread::available_parallelism()
                .map_or(1, |cores| (cores.get() / 2).max(1)),
            log_in: Mutex::default(),
            renew_now: AtomicBool::new(false),
            log_in_number: AtomicU64::new(0),
            told: Told::default(),
            hello,
            exporter,
        })
    }

    /// Returns whom it is connected to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns what the HSM said of itself.
    pub(crate) const fn hello(&self) -> &ServerHello {
        &self.hello
    }

    /// Returns the connection's TLS exporter.
    pub(crate) const fn exporter(&self) -> &[u8; 32] {
        &self.exporter
    }

    /// Whether it can still be used.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Ends it: everybody who waits tries another.
    pub(crate) fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
        for waiter in lock(&self.waiters).values() {
            waiter.thread.unpark();
        }
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn round_trip(
        &self,
        sequence: u64,
        message: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, AttemptError> {
        let _asking = Asking::begin();
        let waiter = Arc::new(Waiter::new());
        lock(&self.waiters).insert(sequence, Arc::clone(&waiter));
        let mut queue = lock(&self.queue);
        let first = queue.is_empty();
        let written = frame::write(&mut queue, sequence, message);
        drop(queue);
        let result = written.map_err(AttemptError::Refused).and_then(|()| {
            // Those who were woken for their replies are about to ask too: the last of them writes for all. The first who leaves a
            // frame sees to it that they do; so one timer wakes for all.
            let left = self.woken.load(Ordering::SeqCst) > 0;
            if !left {
                self.send(deadline);
            }
            self.wait(&waiter, left && first, deadline)
        });
        if result.is_err() {
            if lock(&self.waiters).remove(&sequence).is_none() {
                // The reply came after all, and its reader counts this thread among those that it wakes.
                while !waiter.done.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                self.write_for_those_before(&waiter, deadline);
            }
            // It may have been woken to read for all.
            self.hand_on();
        }
        result
    }

    fn unreachable(&self, cause: &dyn std::fmt::Display) -> AttemptError {
        AttemptError::Unreachable { address: self.address.clone(), cause: cause.to_string() }
    }

    /// Writes what waits, unless somebody is at it who will look again; stays until the socket took it. If nobody else reads meanwhile it
    /// does: the HSM may take no more before its replies are taken.
    fn send(&self, deadline: Instant) {
        while self.write_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Whoever sends or reads next sees to the rest.
                return;
            }
            let reading = self.reading.try_lock().ok();
            let mut wanted = PollFlags::POLLOUT;
            wanted.set(PollFlags::POLLIN, reading.is_some());
            // If another reads, it may end and leave the role to this thread, which does not sleep where it would be woken.
            let pause = if reading.is_some() { Duration::from_secs(1) } else { LOOK_AFTER };
            let waited = self.wait_for(wanted, left.min(pause));
            let read = match reading {
                Some(mut reading) => waited.and_then(|_| self.read(&mut reading)),
                None => waited,
            };
            if let Err(error) = read {
                tracing::debug!(%error, address = self.address, "the connection broke while writing");
                return self.break_off();
            }
            self.hand_on();
        }
    }

    /// Writes what waits as far as the socket takes it; returns whether this thread must see to the rest.
    fn write_some(&self) -> bool {
        loop {
            let tls = if self.unwritten.load(Ordering::Acquire) {
                Some(lock(&self.tls))
            } else {
                self.tls.try_lock().ok()
            };
            let Some(mut tls) = tls else { return false };
            let waiting = Wiped::from(std::mem::take(&mut *lock(&self.queue)));
            if !waiting.is_empty() || tls.wants_write() {
                self.write(&mut tls, &waiting);
            }
            drop(tls);
            if self.is_broken() {
                return false;
            }
            if self.unwritten.load(Ordering::Acquire) {
                return true;
            }
            if lock(&self.queue).is_empty() {
                return false;
            }
        }
    }

    fn write(&self, tls: &mut ClientConnection, plaintext: &[u8]) {
        let written = tls.writer().write_all(plaintext).and_then(|()| {
            while tls.wants_write() {
                match tls.write_tls(&mut &self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(false)
        });
        match written {
            Ok(blocked) => self.unwritten.store(blocked, Ordering::Release),
            Err(error) => {
                tracing::debug!(%error, address = self.address, "the connection broke while writing");
                self.break_off();
            }
        }
    }

    fn wait_for(&self, flags: PollFlags, time: Duration) -> io::Result<bool> {
        let mut sockets = [PollFd::new(self.socket.as_fd(), flags)];
        let ms = u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        match poll(&mut sockets, PollTimeout::from(ms)) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for a reply; `left` says that this thread's frame was the first that was left for another thread to write.
    fn wait(
        &self,
        waiter: &Arc<Waiter>,
        mut left: bool,
        deadline: Instant,
    ) -> Result<Vec<u8>, AttemptError> {
        loop {
            if waiter.done.load(Ordering::Acquire) {
                let reply = lock(&waiter.reply).take();
                if let Some(reply) = reply {
                    self.write_for_those_before(waiter, deadline);
                    return Ok(reply);
                }
            }
            if self.is_broken() {
                let farewell = *lock(&self.farewell);
                return Err(farewell.map_or_else(
                    || self.unreachable(&"the connection broke"),
                    |error| self.unreachable(&format!("the HSM ended the connection: {error}")),
                ));
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(AttemptError::Late { address: self.address.clone() });
            }
            let Ok(mut reading) = self.reading.try_lock() else {
                // Whoever reads wakes this thread for its reply, or to take the role over.
                if std::mem::take(&mut left) {
                    std::thread::park_timeout(LEFT_FOR.min(deadline - now));
                    if !waiter.done.load(Ordering::Acquire) && !lock(&self.queue).is_empty() {
                        self.send(deadline);
                    }
                } else {
                    std::thread::park_timeout(deadline - now);
                }
                continue;
            };
            // Who reads may sleep long: nothing may be left unwritten; what the socket does not take it sees to.
            if !lock(&self.queue).is_empty() {
                self.write_some();
            }
            left = false;
            self.read_for_all(&mut reading, waiter, deadline);
            drop(reading);
            self.hand_on();
        }
    }

    /// The last of those who were woken together writes what the others have asked meanwhile.
    fn write_for_those_before(&self, waiter: &Waiter, deadline: Instant) {
        let counted = waiter.counted.load(Ordering::Acquire);
        if counted
            && self.woken.fetch_sub(1, Ordering::SeqCst) == 1
            && !lock(&self.queue).is_empty()
        {
            self.send(deadline);
        }
    }

    /// Wakes one who waits, so that somebody reads.
    fn hand_on(&self) {
        let waiters = lock(&self.waiters);
        if let Some(next) = waiters.values().find(|waiter| !waiter.done.load(Ordering::Acquire)) {
            next.thread.unpark();
        }
    }

    fn read_for_all(&self, reading: &mut Reading, waiter: &Waiter, deadline: Instant) {
        while !waiter.done.load(Ordering::Acquire) && !self.is_broken() {
            let now = Instant::now();
            if now >= deadline {
                return;
            }
            match self.read(reading) {
                Ok(true) => {}
                Ok(false) => {
                    if let Err(error) = self.sleep(reading, deadline - now) {
                        tracing::debug!(%error, address = self.address, "the connection broke");
                        self.break_off();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, address = self.address, "the connection broke");
                    self.break_off();
                }
            }
        }
    }

    /// Waits for something to read: first without sleeping, if that pays.
    fn sleep(&self, reading: &mut Reading, left: Duration) -> io::Result<()> {
        reading.skipped = reading.skipped.wrapping_add(1);
        let mut wanted = PollFlags::POLLIN;
        // The one who reads sees to what nobody else does.
        wanted.set(PollFlags::POLLOUT, self.unwritten.load(Ordering::Acquire));
        let pays = reading.found.count_ones() >= 4 || reading.skipped % 16 == 0;
        // Other threads, woken or about to be, need the cores more than one who looks.
        let pays = pays && asking() <= self.polls_among;
        if pays && !self.polling.is_zero() {
            let start = Instant::now();
            while start.elapsed() < self.polling {
                if self.wait_for(wanted, Duration::ZERO)? {
                    reading.found = (reading.found << 1) | 1;
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            reading.found <<= 1;
        }
        self.wait_for(wanted, left.min(Duration::from_secs(30)).max(Duration::from_millis(1)))?;
        Ok(())
    }

    /// Reads what is there; returns whether there was anything.
    fn read(&self, reading: &mut Reading) -> io::Result<bool> {
        if reading.received.is_empty() {
            reading.received = vec![0; RECEIVED_BYTES];
        }
        let length = match (&self.socket).read(&mut reading.received) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut received = reading.received.get(..length).unwrap_or_default();
        let mut end = Ok(());
        if !received.is_empty() {
            let mut tls = lock(&self.tls);
            while !received.is_empty() && end.is_ok() {
                end = decrypt(&mut tls, &mut received, &mut reading.input);
            }
        }
        // Somebody may have queued while the TLS state was taken here. The one who reads does not wait for the socket.
        if self.unwritten.load(Ordering::Acquire) || !lock(&self.queue).is_empty() {
            self.write_some();
        }
        // What came before the end of the connection is delivered before that is told.
        self.deliver(reading)?;
        end.map(|()| length > 0)
    }

    /// Gives out the replies that came whole, also those before a message that breaks the connection.
    fn deliver(&self, reading: &mut Reading) -> io::Result<()> {
        let taken = self.take_messages(reading);
        self.wake(&mut reading.delivered);
        taken
    }

    fn take_messages(&self, reading: &mut Reading) -> io::Result<()> {
        let input = std::mem::take(&mut reading.input);
        let mut at = 0;
        while let Some(Frame { header, payload, taken }) =
            frame::read(&input[at..]).map_err(io::Error::other)?
        {
            at += taken;
            let mut message = reading.fragments.remove(&header.sequence).unwrap_or_default();
            message.extend_from_slice(payload);
            if message.len() > wire::MESSAGE_BYTES_MAX {
                return Err(io::Error::other(Error::MessageTooLarge));
            }
            if header.more {
                reading.fragments.insert(header.sequence, message);
                continue;
            }
            if header.sequence == 0 {
                // Behind its hello, the HSM says there why it ends the connection.
                *lock(&self.farewell) = farewell(&message);
                continue;
            }
            let waiter = lock(&self.waiters).remove(&header.sequence);
            if let Some(waiter) = waiter {
                *lock(&waiter.reply) = Some(message);
                reading.delivered.push(waiter);
            }
        }
        reading.input = input;
        reading.input.drain(..at);
        Ok(())
    }

    /// Wakes those whose replies came. All are counted before the first is woken: it may run at once, and leaves its next frame to the
    /// last of them only if it knows that there will be one.
    fn wake(&self, delivered: &mut Vec<Arc<Waiter>>) {
        let own = std::thread::current().id();
        let others = delivered.iter().filter(|waiter| waiter.thread.id() != own).count();
        self.woken.fetch_add(others, Ordering::SeqCst);
        for waiter in delivered.drain(..) {
            // The reader's own reply wakes nobody.
            let other = waiter.thread.id() != own;
            waiter.counted.store(other, Ordering::Release);
            waiter.done.store(true, Ordering::Release);
            if other {
                waiter.thread.unpark();
            }
        }
    }
}
