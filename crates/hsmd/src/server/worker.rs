//! One worker: a poll loop with its own connections.
//!
//! After work it looks for more without sleeping for a few tens of microseconds, as long as that pays: the wake-up of a sleeping
//! thread costs more than a signature's way through TLS.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use casemate_hsm::Answered;
use mio::{Events, Interest, Poll, Token, Waker};

use super::Shared;
use super::connection::{Connection, Reading};
use super::memory::Held;

/// A new connection's parts.
pub(crate) struct Parts {
    pub(crate) stream: mio::net::TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) session: rustls::ServerConnection,
    /// Whether it is beyond the limit of connections: it is told so.
    pub(crate) surplus: bool,
}

/// What others send to a worker.
pub(crate) enum Message {
    Connection(Box<Parts>),
    Answer {
        connection: u64,
        sequence: u64,
        answered: Box<Answered>,
        /// The share of memory of its request.
        held: Held,
    },
    /// Take no more requests.
    Stop,
    /// End when what is written is sent.
    End,
}

/// When a worker takes what lies in its inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// It is woken.
    Now,
    /// More of the same is about to come: it need not be woken for each, and looks for itself after [`LOOK_AFTER`].
    WithTheNext,
}

#[derive(Default)]
struct Messages {
    list: Vec<Message>,
    /// Whether one of them is.
    urgent: bool,
}

/// How others reach a worker.
pub(crate) struct Inbox {
    messages: Mutex<Messages>,
    waker: Waker,
    /// Answers of other threads that the worker waits for.
    awaited: AtomicUsize,
}

impl Inbox {
    /// Sends a message that wakes the worker.
    pub(crate) fn send(&self, message: Message) {
        self.send_with(message, Urgency::Now);
    }

    /// Sends a message.
    pub(crate) fn send_with(&self, message: Message, urgency: Urgency) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.list.push(message);
        messages.urgent |= urgency == Urgency::Now;
        drop(messages);
        // Each wakes, not only the first: who pushed that may be a thread of the pool that has no time to go on.
        if urgency == Urgency::Now
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a worker could not be woken");
        }
    }

    /// One more answer will come.
    pub(crate) fn expect(&self) {
        self.awaited.fetch_add(1, Ordering::Relaxed);
    }

    fn is_awaiting(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }

    /// Takes the messages, if one of them is urgent or `due` says that they lay long enough.
    fn take(&self, due: bool) -> Vec<Message> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.urgent || due {
            messages.urgent = false;
            return std::mem::take(&mut messages.list);
        }
        Vec::new()
    }
}

const WAKER: Token = Token(usize::MAX);
const SWEEP: Duration = Duration::from_millis(500);
/// How long an answer may lie in the inbox that woke nobody: a few RSA-2048 signatures, which then share one wake-up, one write and
/// one wake-up of the client.
const LOOK_AFTER: Duration = Duration::from_millis(1);
const EVENTS: usize = 512;
/// Bytes taken from a socket at a time: two records of TLS.
const RECEIVED_BYTES: usize = 32 << 10;

/// Whether looking for more without sleeping pays: tried when it did lately, else now and then.
#[derive(Default)]
struct Polling {
    /// Of the last tries, as bits: which found something.
    found: u16,
    skipped: u8,
}

impl Polling {
    fn worth_a_try(&mut self) -> bool {
        if self.found.count_ones() >= 4 {
            return true;
        }
        self.skipped = self.skipped.wrapping_add(1);
        self.skipped.is_multiple_of(16)
    }

    fn tried(&mut self, found: bool) {
        self.found = (self.found << 1) | u16::from(found);
    }
}

/// One worker.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    poll: Poll,
    inbox: Arc<Inbox>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    polling: Polling,
    /// When the inbox was emptied.
    looked: Instant,
    /// Where bytes of a socket lie on their way into TLS.
    received: Vec<u8>,
}

impl Worker {
    /// Makes a worker.
    pub(crate) fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let inbox =
            Arc::new(Inbox { messages: Mutex::default(), waker, awaited: AtomicUsize::new(0) });
        Ok(Self {
            shared,
            poll,
            inbox,
            connections: BTreeMap::new(),
            next: 0,
            polling: Polling::default(),
            looked: Instant::now(),
            received: vec![0; RECEIVED_BYTES],
        })
    }

    /// Returns how others reach it.
    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }

    /// Serves until it is told to end.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut swept = Instant::now();
        let mut taken = 0;
        loop {
            if let Err(error) = self.wait(&mut events, taken == 1)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a worker cannot wait for events");
                return;
            }
            taken = 0;
            for event in &events {
                if event.token() == WAKER {
                    continue;
                }
                let ends = event.is_read_closed() || event.is_error();
                let reading = if ends { Reading::ToTheEnd } else { Reading::UntilDrained };
                taken += self.serve(event.token().0 as u64, reading);
            }
            if self.read_inbox() {
                return self.end();
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.sweep(swept);
            }
        }
    }

    /// Waits for events. Behind a lone request it first looks for the next one without sleeping: where several come at once there are
    /// threads that need the cores.
    fn wait(&mut self, events: &mut Events, lone: bool) -> io::Result<()> {
        let bound = self.shared.limits.polling;
        // Who awaits answers of the pool would take the core from it by polling.
        let awaiting = self.inbox.is_awaiting();
        if lone && !awaiting && !bound.is_zero() && self.polling.worth_a_try() {
            let start = Instant::now();
            loop {
                self.poll.poll(events, Some(Duration::ZERO))?;
                if !events.is_empty() {
                    self.polling.tried(true);
                    return Ok(());
                }
                if start.elapsed() >= bound {
                    self.polling.tried(false);
                    break;
                }
                std::hint::spin_loop();
            }
        }
        self.poll.poll(events, Some(if awaiting { LOOK_AFTER } else { SWEEP }))
    }

    /// Serves a connection; returns how many requests it took.
    fn serve(&mut self, number: u64, reading: Reading) -> u64 {
        let Some(connection) = self.connections.get_mut(&number) else { return 0 };
        let before = connection.requests();
        if !connection.serve(&self.shared, &self.inbox, &mut self.received, reading) {
            self.close(number);
            return 0;
        }
        let taken = connection.requests() - before;
        if taken > 0 {
            self.shared.reader.activity().took(taken);
        }
        taken
    }

    fn close(&mut self, number: u64) {
        if let Some(mut connection) = self.connections.remove(&number) {
            connection.deregister(self.poll.registry());
            self.shared.closed(connection.is_surplus());
        }
    }

    /// Returns whether it is the end.
    fn read_inbox(&mut self) -> bool {
        let mut end = false;
        let mut answered = Vec::new();
        let due = self.looked.elapsed() >= LOOK_AFTER;
        let messages = self.inbox.take(due);
        if due || !messages.is_empty() {
            self.looked = Instant::now();
        }
        for message in messages {
            match message {
                Message::Connection(parts) => self.open(*parts),
                Message::Answer { connection, sequence, answered: answer, held } => {
                    self.shared.unanswered.fetch_sub(1, Ordering::SeqCst);
                    self.inbox.awaited.fetch_sub(1, Ordering::Relaxed);
                    if let Some(open) = self.connections.get_mut(&connection) {
                        open.answer(&self.shared, sequence, *answer, &held);
                        answered.push(connection);
                    }
                }
                Message::Stop => {}
                Message::End => end = true,
            }
        }
        answered.dedup();
        for number in answered {
            let flushed = self.connections.get_mut(&number).is_some_and(Connection::flush);
            // Requests that waited in the connection's buffers may go on.
            if flushed {
                self.serve(number, Reading::ToTheEnd);
            } else {
                self.close(number);
            }
        }
        end
    }

    fn open(&mut self, parts: Parts) {
        let number = self.next;
        self.next += 1;
        let surplus = parts.surplus;
        let mut connection = Connection::new(number, parts, &self.shared);
        let Ok(token) = usize::try_from(number) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = connection.register(self.poll.registry(), Token(token), interest) {
            tracing::warn!(%error, "a connection could not be registered");
            self.shared.closed(surplus);
            return;
        }
        self.connections.insert(number, connection);
        self.serve(number, Reading::ToTheEnd);
    }

    fn sweep(&mut self, now: Instant) {
        let over = self.connections.iter().filter(|(_, connection)| connection.is_over(now));
        let over: Vec<u64> = over.map(|(number, _)| *number).collect();
        for number in over {
            self.close(number);
        }
    }

    fn end(mut self) {
        for connection in self.connections.values_mut() {
            connection.say_goodbye();
        }
    }
}
