//! The face of the module that serves requests: shared, immutable, without locks on the way of a key.
//!
//! [`Reader::handle`] takes a request and the caller as its connection knows him, looks at the published
//! state, and comes to one of the outcomes ([`crate::outcome`]). It asks the permission table before
//! anything is worked on; `apply` asks again for what changes state.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use casemate_crypto::digest;
use casemate_protocol::Error;
use casemate_protocol::identity::LogIndex;
use casemate_protocol::messages::{Answer, Ask, Empty, Lifecycle, Reply, decode_request};
use prost::Message;

use crate::activity::Activity;
use crate::authority::Authority;
use crate::command::{Author, Change, Request};
use crate::entropy::{Entropy, Time};
use crate::lifecycle::{self, ThisHsm, certificates, settings};
use crate::limits;
use crate::log_in::attempts::Attempts;
use crate::log_in::{LogIn, password, ticket};
use crate::objects::{self, OpenKeys};
use crate::outcome::{Answered, CallerChange, Outcome, Proposal, Wait};
use crate::permissions::{Action, Asker, action_of, permits};
use crate::sealing::Keyring;
use crate::secrets::Secrets;
use crate::shared::Shared;
use crate::state::State;
use crate::status::{LastHash, Surroundings};
use crate::window::RequestId;
use crate::{index_token, members, status, users};

/// One request, as it came.
#[derive(Clone)]
pub struct Call {
    /// The number in its frame.
    pub sequence: u64,
    /// The bytes of the message.
    pub request: Bytes,
    /// The time on this HSM.
    pub now: Time,
}

/// Who sends requests on a connection: known to the module's side, never told by a request.
#[derive(Clone)]
pub struct Caller {
    /// The peer's address.
    pub source: IpAddr,
    /// SHA-256 of the client certificate, if one was used.
    pub certificate: Option<[u8; 32]>,
    /// The connection's TLS exporter (RFC 9266).
    pub exporter: [u8; 32],
    /// The nonce that the hello told the client.
    pub nonce: [u8; 32],
    /// Who is logged in.
    pub log_in: Option<Arc<LogIn>>,
}

/// The reading face of the module. Cloning it costs a reference count.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

/// What a handler sees while it works on one request.
pub(crate) struct Context<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) state: &'a Arc<State>,
    pub(crate) keyring: &'a Arc<Keyring>,
    pub(crate) caller: &'a Caller,
    pub(crate) log_in: Option<&'a Arc<LogIn>>,
    pub(crate) now: Time,
    sequence: u64,
    request: &'a Bytes,
}

impl Context<'_> {
    /// Returns what seals a command on behalf of the one who asked. The digest of the request is taken
    /// here, not for requests that change nothing.
    pub(crate) fn author(&self) -> Authority {
        let author = self.log_in.map(|log_in| Author {
            user: log_in.user,
            role: log_in.role,
            epoch: log_in.epoch,
            log_in: log_in.id,
        });
        let request = self.log_in.map(|log_in| Request {
            id: RequestId { user: log_in.user, client: log_in.client, sequence: self.sequence },
            digest: request_digest(self.request),
        });
        // The applied time never runs back: a clock that was set back proposes the time of the state.
        let now = self.now.max(self.state.time);
        Authority { reader: self.reader.clone(), author, request, now }
    }

    /// Proposes a change on behalf of the one who asked.
    pub(crate) fn propose(&self, action: Action, change: Change) -> Outcome {
        self.author().propose(action, change)
    }

    /// Looks whether a write came before: then its first reply is the answer.
    fn repeated(&self) -> Option<Outcome> {
        let log_in = self.log_in?;
        let id = RequestId { user: log_in.user, client: log_in.client, sequence: self.sequence };
        match self.state.window.look_up(&id, &request_digest(self.request)) {
            Ok(None) => None,
            Ok(Some(reply)) => {
                let reply = Reply::decode(reply);
                let reply = reply.unwrap_or_else(|_error| Reply::error(Error::Internal));
                Some(Outcome::Reply(Answered::new(reply)))
            }
            Err(error) => Some(Outcome::error(error)),
        }
    }
}

/// The digest by which a repeated request is known: over its bytes, without the two fields that say what the
/// client has seen and that it repeats itself.
fn request_digest(request: &Bytes) -> [u8; 32] {
    let ask = decode_request(request.clone()).map(|request| {
        casemate_protocol::messages::Request { ask: request.ask, ..Default::default() }
            .encode_to_vec()
    });
    digest::sha256(&[ask.as_deref().unwrap_or(request)])
}

impl Reader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Proposes what the module does by itself, on nobody's behalf.
    pub(crate) fn propose_unasked(
        &self,
        change: Change,
        now: Time,
        finish: impl FnOnce(Reply) -> Answered + Send + 'static,
    ) -> Outcome {
        Outcome::Propose(self.own_authority(now).seal(change, &self.keyring(), finish))
    }

    /// Makes the proposal of what the module does by itself, whose reply nobody waits for.
    pub(crate) fn proposal_unasked(&self, change: Change, now: Time) -> Proposal {
        self.own_authority(now).seal(change, &self.keyring(), Answered::new)
    }

    fn own_authority(&self, now: Time) -> Authority {
        let now = now.max(self.state().time);
        Authority { reader: self.clone(), author: None, request: None, now }
    }

    /// Returns what seals a command of an author whose log-in is no connection's yet.
    pub(crate) fn authority(&self, author: Author, now: Time) -> Authority {
        let now = now.max(self.state().time);
        Authority { reader: self.clone(), author: Some(author), request: None, now }
    }

    /// Returns the published state.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.0.state.load().state)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        self.0.keyring()
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.0.entropy.as_ref()
    }

    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    pub(crate) fn last_hash(&self) -> &LastHash {
        &self.0.last_hash
    }

    pub(crate) fn open_keys(&self) -> &OpenKeys {
        &self.0.open_keys
    }

    /// Returns which HSM this is.
    #[must_use]
    pub fn this(&self) -> &ThisHsm {
        &self.0.this
    }

    /// Says how the HSMs reach each other: the status shows it.
    pub fn observe(&self, surroundings: Surroundings) {
        self.0.surroundings.store(Arc::new(surroundings));
    }

    /// Returns the numbers that those who serve add to.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.0.activity
    }

    pub(crate) fn surroundings(&self) -> Arc<Surroundings> {
        self.0.surroundings.load_full()
    }

    /// Returns where the cluster stands in its life; `None` before the first entry was applied.
    #[must_use]
    pub fn lifecycle(&self) -> Option<Lifecycle> {
        self.state().cluster.as_ref().map(|cluster| cluster.lifecycle)
    }

    /// Whether the cluster was made for development, on one machine.
    #[must_use]
    pub fn is_dev(&self) -> bool {
        self.state().settings().dev
    }

    /// Returns the index of the published state.
    #[must_use]
    pub fn index(&self) -> LogIndex {
        self.0.state.load().state.index
    }

    /// Returns the index token of the published state: goes into a reply when the connection has not had it yet.
    #[must_use]
    pub fn index_token(&self) -> Vec<u8> {
        self.0.state.load().token.clone()
    }

    /// Fills the module's part of a hello: protocol 0 and no connections, which the daemon sets.
    #[must_use]
    pub fn hello(&self, nonce: [u8; 32]) -> casemate_protocol::messages::ServerHello {
        let state = self.state();
        let secrets = self.0.secrets();
        casemate_protocol::messages::ServerHello {
            cluster: secrets.cluster().as_bytes().to_vec(),
            incarnation: secrets.incarnation().as_bytes().to_vec(),
            hsm: secrets.hsm().as_bytes().to_vec(),
            lifecycle: self.lifecycle().map_or(0, |lifecycle| lifecycle as u32),
            index: state.index.0,
            head: state.head.to_vec(),
            nonce: nonce.to_vec(),
            ..Default::default()
        }
    }

    /// Works on one request.
    #[must_use]
    pub fn handle(&self, caller: &Caller, call: Call) -> Outcome {
        let published = self.0.state.load();
        let keyring = self.0.keyring.load();
        let request = match decode_request(call.request.clone()) {
            Ok(request) => request,
            Err(error) => return Outcome::error(error),
        };
        let context = Context {
            reader: self,
            state: &published.state,
            keyring: &keyring,
            caller,
            log_in: caller.log_in.as_ref(),
            now: call.now,
            sequence: call.sequence,
            request: &call.request,
        };
        if !request.seen.is_empty()
            && let Some(index) = self.ahead(&context, &request.seen)
        {
            return self.wait_for(index, request.wait_ms, caller, call);
        }
        let Some(ask) = request.ask else { return Outcome::error(Error::UnknownRequest) };
        self.authorised(&context, caller, ask).into()
    }

    /// Returns the index of a token, if it is ahead of this HSM.
    fn ahead(&self, context: &Context<'_>, seen: &[u8]) -> Option<LogIndex> {
        let incarnation = self.0.secrets.load().incarnation();
        index_token::read(context.keyring, incarnation, seen)
            .filter(|index| *index > context.state.index)
    }

    fn wait_for(&self, index: LogIndex, wait_ms: u64, caller: &Caller, call: Call) -> Outcome {
        let asked = if wait_ms == 0 { limits::INDEX_WAIT_MS } else { wait_ms };
        let within_ms = asked.min(limits::INDEX_WAIT_MS);
        let (reader, caller) = (self.clone(), caller.clone());
        let job = move || {
            let outcome = reader.handle(&caller, call);
            // The one who drives it was wrong, or gave up waiting: not for ever round and round.
            if let Outcome::WaitFor(wait) = outcome { Outcome::Reply(wait.late()) } else { outcome }
        };
        Outcome::WaitFor(Wait { index: index.0, within_ms, job: Box::new(job) })
    }

    fn authorised(
        &self,
        context: &Context<'_>,
        caller: &Caller,
        ask: Ask,
    ) -> Result<Outcome, Error> {
        let action = action_of(&ask);
        let role = context.log_in.map(|log_in| log_in.role);
        permits(Asker::from(role), action)?;
        if let Some(log_in) = context.log_in {
            log_in.check(context.state, context.now)?;
        }
        self.stage(action)?;
        if changes_state(&ask)
            && let Some(outcome) = context.repeated()
        {
            return Ok(outcome);
        }
        match ask {
            Ask::Ping(_) => Ok(Outcome::answer(Answer::Done(Empty {}))),
            Ask::Status(_) => Ok(status::handle(self)),
            Ask::Settings(_) => Ok(settings::show(context)),
            Ask::ChangeSettings(request) => settings::change(context, request),
            Ask::Csr(_) => lifecycle::csr(context).map(Outcome::answer),
            Ask::Initialize(request) => lifecycle::initialize(context, &request),
            Ask::Activate(request) => lifecycle::activate(context, caller, &request),
            Ask::ListJoining(_) => Ok(members::list_joining(context)),
            Ask::AddHsm(request) => members::add(context, request),
            Ask::RemoveHsm(request) => members::remove(context, &request),
            Ask::LogIn(request) => Ok(password::handle(context, caller, &request)),
            Ask::UseTicket(request) => Ok(ticket::handle(context, caller, &request)),
            Ask::LogOut(_) => log_out(context),
            Ask::ConfirmPassword(password) => {
                password::confirm(context, &password, || Outcome::answer(Answer::Done(Empty {})))
            }
            Ask::ListUsers(_) => Ok(users::list(context)),
            Ask::CreateUser(request) => users::create(context, &request),
            Ask::ChangePassword(request) => users::change_password(context, &request),
            Ask::DeleteUser(request) => users::delete(context, &request),
            Ask::GenerateKey(_)
            | Ask::GenerateKeyPair(_)
            | Ask::CreateObject(_)
            | Ask::CopyObject(_)
            | Ask::DestroyObject(_)
            | Ask::SetAttributes(_)
            | Ask::GetAttributes(_)
            | Ask::FindObjects(_)
            | Ask::ObjectSize(_)
            | Ask::Sign(_)
            | Ask::Verify(_)
            | Ask::Encrypt(_)
            | Ask::Decrypt(_)
            | Ask::WrapKey(_)
            | Ask::UnwrapKey(_)
            | Ask::DeriveKey(_)
            | Ask::Encapsulate(_)
            | Ask::Decapsulate(_)
            | Ask::Random(_) => Ok(objects::handle(context, ask)),
        }
    }

    /// Checks that the cluster's life has come to where the action makes sense.
    fn stage(&self, action: Action) -> Result<(), Error> {
        let lifecycle = self.lifecycle().ok_or(Error::NotReady(limits::BUSY_MS))?;
        match (action, lifecycle) {
            (Action::ReadStatus | Action::Random, _)
            | (Action::Initialize, Lifecycle::Uninitialized)
            | (Action::Activate, Lifecycle::Initialized) => Ok(()),
            (Action::Initialize, _) => Err(Error::AlreadyInitialized),
            (Action::Activate, Lifecycle::Active) => Err(Error::AlreadyActivated),
            (_, Lifecycle::Active) => Ok(()),
            (_, Lifecycle::Initialized) => Err(Error::NotActivated),
            (_, Lifecycle::Uninitialized | Lifecycle::Zeroized) => Err(Error::NotInitialized),
        }
    }

    /// Returns the time of the last command that was applied.
    #[must_use]
    pub fn applied_time(&self) -> Time {
        self.0.state.load().state.time
    }

    /// Makes the TLS identity of this HSM: a fresh key, and a leaf certificate that the cluster key signs inside. It holds for
    /// clients whose clocks go with the module's time or with the machine's, should these differ.
    ///
    /// # Errors
    /// [`Error::NotReady`] before the first entry was applied.
    pub fn tls_identity(
        &self,
        machine: Time,
        now: Time,
    ) -> Result<certificates::TlsIdentity, Error> {
        certificates::tls_identity(self, machine, now)
    }

    /// Housekeeping, to be called about once a second: returns secrets to store when old masking keys are of no
    /// use any more. Call [`Reader::secrets_stored`] when they are on disk.
    #[must_use]
    pub fn secrets_to_store(&self, oldest_entry_version: u32) -> Option<Secrets> {
        let secrets = self.0.secrets();
        let stale = secrets.masking_keys().any(|(version, _)| version < oldest_entry_version);
        stale.then(|| secrets.without_masking_keys_before(oldest_entry_version))
    }

    /// Takes secrets into use that are on disk now.
    pub fn secrets_stored(&self, secrets: Secrets) {
        self.0.use_secrets(secrets);
    }
}

/// Whether a request may leave something behind in the replicated state, so that its retry must be known.
const fn changes_state(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::AddHsm(_)
            | Ask::RemoveHsm(_)
            | Ask::ChangeSettings(_)
            | Ask::CreateUser(_)
            | Ask::ChangePassword(_)
            | Ask::DeleteUser(_)
            | Ask::GenerateKey(_)
            | Ask::GenerateKeyPair(_)
            | Ask::CreateObject(_)
            | Ask::CopyObject(_)
            | Ask::DestroyObject(_)
            | Ask::SetAttributes(_)
            | Ask::UnwrapKey(_)
            | Ask::DeriveKey(_)
            | Ask::Encapsulate(_)
            | Ask::Decapsulate(_)
    )
}

fn log_out(context: &Context<'_>) -> Result<Outcome, Error> {
    let log_in = context.log_in.ok_or(Error::LogInRequired)?;
    let until = log_in.expires.after_ms(limits::CLOCK_TOLERANCE_MS);
    let change = Change::LogOut { log_in: log_in.id, until };
    let log_out = |reply| Answered { reply, caller: CallerChange::LoggedOut };
    Ok(context.author().propose_with(Action::LogOut, change, log_out))
}
