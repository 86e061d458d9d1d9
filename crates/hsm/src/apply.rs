//! Applying the log: the only way in which state changes, the same on every HSM.
//!
//! `apply` has no clock, no luck and no I/O: whatever is random or timed is in the command. It opens the
//! sealed command and decides *again* on the state at that index, by the same table: the check before the
//! log was a courtesy, perhaps of an HSM that was behind. What does not open, or is refused, changes
//! nothing but the index and the head.

use std::io;
use std::sync::Arc;

use casemate_crypto::digest;
use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader as CanonicalReader, Writer};
use casemate_protocol::identity::{HsmId, LogIndex};
use casemate_protocol::messages::{Answer, Empty, Reply};
use prost::Message;

use crate::command::{Author, Change, Command};
use crate::limits;
use crate::members::Word;
use crate::objects::Object;
use crate::permissions::{Action, Asker, permits};
use crate::sealing::{Purpose, SealError};
use crate::shared::Shared;
use crate::state::State;

const SNAPSHOT_DOMAIN: &str = "casemate/snapshot/v2";
const CHUNK_DOMAIN: &str = "casemate/snapshot-chunk/v1";

/// Why a snapshot cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It cannot be read.
    #[error("the snapshot cannot be read")]
    Io(#[from] io::Error),
    /// A chunk is damaged, missing, in the wrong order, or of another snapshot or cluster.
    #[error("the snapshot's chunk {chunk} is damaged, out of order, or of another cluster")]
    Damaged {
        /// Its number, from 0.
        chunk: u64,
    },
}

/// Begins the chunks of a snapshot, each time that it is called.
pub type SnapshotChunks = dyn Fn() -> Box<dyn Iterator<Item = Vec<u8>> + Send> + Send + Sync;

/// The face of the module that the log drives.
pub struct Applier {
    pub(crate) state: State,
    pub(crate) shared: Arc<Shared>,
    /// Entries that did not open.
    unreadable: u64,
    /// The planted fault of the tests: authors are believed to be who they were.
    #[cfg(test)]
    pub(crate) believes_authors: bool,
}

impl Applier {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            state: State::default(),
            shared,
            unreadable: 0,
            #[cfg(test)]
            believes_authors: false,
        }
    }

    /// Applies one entry, and returns the encoded reply for the one who proposed it.
    ///
    /// # Panics
    /// If the index is not larger than the last: the log never goes back, and a module that is told so is safer dead.
    pub fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<u8> {
        assert!(index > self.state.index.0, "the log never goes back");
        self.state.head = digest::sha256(&[&self.state.head, &index.to_be_bytes(), entry]);
        self.state.index = LogIndex(index);
        let answer = match Command::open(&self.shared.keyring(), entry) {
            Ok(command) => self.decide(command),
            Err(error) => {
                let _: SealError = error;
                self.unreadable = self.unreadable.saturating_add(1);
                Err(Error::Internal)
            }
        };
        match answer {
            Ok(Decided::Fresh(answer)) => Reply::new(answer).encode_to_vec(),
            Ok(Decided::Before(reply)) => reply,
            Err(error) => Reply::error(error).encode_to_vec(),
        }
    }

    fn decide(&mut self, command: Command) -> Result<Decided, Error> {
        let now = self.state.time;
        self.expect_member(command.proposer)?;
        // The author is the one whose request it is.
        let (user, asker) = (command.author.map(|author| author.user), command.request);
        if asker.is_some_and(|request| Some(request.id.user) != user) {
            return Err(Error::Internal);
        }
        if command.time.after_ms(limits::RETRY_WINDOW_MS) < now {
            return Err(Error::RequestTooOld);
        }
        if let Some(request) = &command.request
            && let Some(reply) = self.state.window.look_up(&request.id, &request.digest)?
        {
            return Ok(Decided::Before(reply.to_vec()));
        }
        self.state.time = now.max(command.time);
        let author = command.author;
        self.authorise(author.as_ref())?;
        let time = self.state.time;
        let result = self.change(command.change, author.as_ref(), command.proposer);
        // A refusal is remembered too: the retry of a refused request is refused alike.
        if let Some(request) = command.request {
            let reply = match &result {
                Ok(answer) => Reply::new(answer.clone()),
                Err(error) => Reply::error(*error),
            };
            let reply = reply.encode_to_vec();
            self.state.window.remember(request.id, request.digest, reply, time);
        }
        self.state.window.forget_before(time);
        self.state.forget_log_ins();
        result.map(Decided::Fresh)
    }

    /// Checks that a member proposed the command: one that was taken out still has the keys that seal one, until they are made anew.
    fn expect_member(&self, proposer: HsmId) -> Result<(), Error> {
        #[cfg(test)]
        if self.believes_authors {
            return Ok(());
        }
        let first = self.state.cluster.is_none();
        let member = first || self.state.members.get(proposer).is_some();
        if member { Ok(()) } else { Err(Error::HsmRemoved) }
    }

    /// Checks that the one who asked is still who he was when he asked.
    fn authorise(&self, author: Option<&Author>) -> Result<(), Error> {
        #[cfg(test)]
        if self.believes_authors {
            return Ok(());
        }
        let Some(author) = author else { return Ok(()) };
        let user = self.state.users.get(author.user).ok_or(Error::TicketInvalid)?;
        let same = user.epoch == author.epoch && user.role == author.role;
        let holds = same && !self.state.is_revoked(author.log_in);
        if holds { Ok(()) } else { Err(Error::TicketInvalid) }
    }

    fn change(
        &mut self,
        change: Change,
        author: Option<&Author>,
        proposer: HsmId,
    ) -> Result<Answer, Error> {
        match change {
            Change::Lifecycle(change) => {
                change.apply(&mut self.state, &self.shared.keyring(), author)
            }
            Change::User(change) => change.apply(&mut self.state, author),
            Change::Member(change) => {
                let incarnation = self.shared.secrets().incarnation();
                change.apply(&mut self.state, Word { author, proposer }, incarnation)
            }
            Change::LogOut { log_in, until } => {
                let author = author.ok_or(Error::LogInRequired)?;
                permits(Asker::from(Some(author.role)), Action::LogOut)?;
                if author.log_in != log_in {
                    return Err(Error::RoleRefused);
                }
                // Another connection may hold a ticket that was renewed later than the one that logs out.
                let outlasts = self.state.time.after_ms(limits::REVOCATION_MS);
                self.state.revoke(log_in, until.max(outlasts));
                Ok(Answer::Done(Empty {}))
            }
            Change::Objects(command) => {
                let author = author.ok_or(Error::LogInRequired)?;
                command.apply(&mut self.state, author)
            }
        }
    }

    /// Returns how many entries did not open since the start. The one who drives the log must not go on behind one: the module
    /// has other secrets than those under which its log was written, and would serve as if the change had never been.
    #[must_use]
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Shows the state to the readers; called after each batch of entries.
    pub fn publish(&mut self) {
        self.shared.publish(self.state.clone());
    }

    /// Returns the index of the last entry that was applied.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.state.index.0
    }

    /// Takes a snapshot: cheap to take, and written while changes go on. Each chunk is sealed and says its
    /// number and whether it is the last, so none can be left out, added or moved. Each call of what is returned begins anew.
    #[must_use]
    pub fn snapshot(&self) -> Box<SnapshotChunks> {
        let (state, shared) = (self.state.clone(), Arc::clone(&self.shared));
        Box::new(move || Box::new(Chunks::new(state.clone(), Arc::clone(&shared))))
    }

    /// Installs a snapshot in place of the state.
    ///
    /// # Errors
    /// [`InstallError`]; the state is then as before.
    pub fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), InstallError> {
        let mut state = None;
        let mut number = 0_u64;
        let mut ended = false;
        for chunk in chunks {
            let damaged = InstallError::Damaged { chunk: number };
            let opened = self.shared.keyring().open(Purpose::Snapshot, &chunk?);
            let opened = opened.ok().filter(|_| !ended).ok_or(damaged)?;
            let read = read_chunk(&opened.fields, opened.plaintext.expose(), number, state);
            let (read, last) = read.map_err(|_error| InstallError::Damaged { chunk: number })?;
            state = Some(read);
            ended = last;
            number = number.saturating_add(1);
        }
        match state {
            Some(state) if ended => {
                self.state = state;
                self.publish();
                Ok(())
            }
            _ => Err(InstallError::Damaged { chunk: number }),
        }
    }
}

enum Decided {
    Fresh(Answer),
    Before(Vec<u8>),
}

/// Adds a chunk to the state that was read so far; returns whether it was the last.
fn read_chunk(
    fields: &[u8],
    plaintext: &[u8],
    number: u64,
    state: Option<State>,
) -> Result<(State, bool), CanonicalError> {
    let mut header = CanonicalReader::new(fields, CHUNK_DOMAIN)?;
    let index = LogIndex(header.u64()?);
    let found = header.u64()?;
    let last = header.u8()? == 1;
    let objects = header.u64()?;
    header.finish()?;
    let mut reader = CanonicalReader::new(plaintext, SNAPSHOT_DOMAIN)?;
    let mut state = match state {
        None => State::decode_front(&mut reader)?,
        Some(state) => state,
    };
    if found != number || index != state.index {
        return Err(CanonicalError::Value);
    }
    for _ in 0..objects {
        state.objects.insert(Object::decode(&mut reader)?);
    }
    reader.finish()?;
    Ok((state, last))
}

/// Writes a snapshot chunk by chunk.
struct Chunks {
    shared: Arc<Shared>,
    state: State,
    number: u64,
    /// The number of the last object that was written; `None` when all is written.
    after: Option<u64>,
}

impl Chunks {
    const fn new(state: State, shared: Arc<Shared>) -> Self {
        Self { shared, state, number: 0, after: Some(0) }
    }
}

impl Iterator for Chunks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let after = self.after?;
        let mut body = Writer::new(SNAPSHOT_DOMAIN);
        if self.number == 0 {
            self.state.encode_front(&mut body);
        }
        let mut plaintext = body.finish();
        let mut objects = 0_u64;
        self.after = None;
        for object in self.state.objects.iter_after(after) {
            if plaintext.len() >= limits::SNAPSHOT_CHUNK_BYTES {
                // There is one more: the next chunk begins behind the last one that was written.
                self.after = object.number().0.checked_sub(1);
                break;
            }
            let mut writer = Writer::default();
            object.encode(&mut writer);
            plaintext.extend_from_slice(&writer.finish());
            objects = objects.saturating_add(1);
        }
        let fields = Writer::new(CHUNK_DOMAIN)
            .u64(self.state.index.0)
            .u64(self.number)
            .u8(u8::from(self.after.is_none()))
            .u64(objects)
            .finish();
        self.number = self.number.saturating_add(1);
        let plaintext = zeroize::Zeroizing::new(plaintext);
        Some(self.shared.keyring().seal(Purpose::Snapshot, &fields, &plaintext))
    }
}
