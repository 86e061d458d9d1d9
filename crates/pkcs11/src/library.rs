//! The library between `C_Initialize` and `C_Finalize`: one cluster's client, sessions and objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use casemate_client::{Client, Config};
use casemate_protocol::messages::{Answer, Ask};
use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::objects::Objects;
use crate::sessions::{Session, Sessions};

/// The one slot: a cluster, for ever the same number.
pub(crate) const SLOT: ck::CK_SLOT_ID = 0;

/// The library.
pub(crate) struct Library {
    pub(crate) client: Client,
    pub(crate) sessions: Sessions,
    pub(crate) objects: Objects,
    /// The number of the log-in to which session objects and facts belong.
    log_in_seen: AtomicU64,
}

impl Library {
    /// Reads the configuration; connects to nobody.
    ///
    /// # Errors
    /// `CKR_GENERAL_ERROR` without a usable configuration: the log says what is wrong with it.
    pub(crate) fn new() -> Result<Self> {
        let config = Config::find();
        crate::log::start(config.as_ref().ok());
        let config = config.map_err(|cause| {
            tracing::error!(%cause, "casemate cannot start");
            Code::GENERAL_ERROR
        })?;
        let client = Client::new(config);
        let (sessions, objects) = (Sessions::default(), Objects::default());
        Ok(Self { client, sessions, objects, log_in_seen: AtomicU64::new(0) })
    }

    /// Asks the cluster.
    ///
    /// # Errors
    /// The code of the cause.
    pub(crate) fn call(&self, ask: Ask) -> Result<Answer> {
        self.client.call(ask).map_err(Code::from)
    }

    /// Returns a session.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub(crate) fn session(&self, handle: ck::CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        self.notice_log_in();
        self.sessions.get(handle)
    }

    /// Forgets what was bound to an earlier log-in, when there is another or none: it may have changed by itself.
    fn notice_log_in(&self) {
        let number = self.client.log_in_number();
        if self.log_in_seen.load(Ordering::Relaxed) != number
            && self.log_in_seen.swap(number, Ordering::Relaxed) != 0
        {
            self.objects.forget_all();
        }
    }

    /// Whether somebody is logged in.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.client.is_logged_in()
    }

    /// Ends the log-in, and what depends on it.
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN`.
    pub(crate) fn log_out(&self) -> Result<()> {
        if !self.is_logged_in() {
            return Err(Code::USER_NOT_LOGGED_IN);
        }
        self.objects.forget_all();
        if let Err(cause) = self.client.log_out() {
            // Here the log-in has ended; what could not be revoked is said (design §6).
            tracing::warn!(%cause, "the cluster could not be told of the log-out: its ticket ends by itself");
        }
        // What was under way meanwhile may have made more.
        self.objects.forget_all();
        Ok(())
    }
}

/// The answer was none of those that the request has.
pub(crate) fn unexpected<T>() -> Result<T> {
    tracing::error!("the HSM answered something else than was asked: it may be of another version");
    Err(Code::DEVICE_ERROR)
}
