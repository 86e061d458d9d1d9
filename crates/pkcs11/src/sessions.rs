//! Sessions: what an application has begun. They live here alone; no HSM knows of them, so none can lose one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::operations::cipher::Cipher;
use crate::operations::digest::Digest;
use crate::operations::find::Find;
use crate::operations::message::Message;
use crate::operations::sign::Signature;

/// Sessions of one application at one time: each costs a few hundred bytes.
pub(crate) const SESSIONS_MAX: usize = 100_000;

/// One session.
pub(crate) struct Session {
    pub(crate) handle: ck::CK_SESSION_HANDLE,
    pub(crate) writes: bool,
    active: Mutex<Active>,
}

/// The operations of a session, one of each kind.
#[derive(Default)]
pub(crate) struct Active {
    pub(crate) find: Option<Find>,
    pub(crate) digest: Option<Digest>,
    pub(crate) sign: Option<Signature>,
    pub(crate) verify: Option<Signature>,
    pub(crate) encrypt: Option<Cipher>,
    pub(crate) decrypt: Option<Cipher>,
    pub(crate) message_encrypt: Option<Message>,
    pub(crate) message_decrypt: Option<Message>,
}

impl Session {
    /// Returns what is active. A session is one thread's at a time, so nobody waits here.
    pub(crate) fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that objects of the token may be changed through this session.
    ///
    /// # Errors
    /// `CKR_SESSION_READ_ONLY`.
    pub(crate) const fn require_writes(&self) -> Result<()> {
        if self.writes { Ok(()) } else { Err(Code(ck::CKR_SESSION_READ_ONLY)) }
    }
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    open: RwLock<BTreeMap<ck::CK_SESSION_HANDLE, Arc<Session>>>,
    last: AtomicU64,
}

impl Sessions {
    /// Opens a session.
    ///
    /// # Errors
    /// `CKR_SESSION_COUNT`.
    pub(crate) fn open(&self, writes: bool) -> Result<ck::CK_SESSION_HANDLE> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= SESSIONS_MAX {
            return Err(Code(ck::CKR_SESSION_COUNT));
        }
        let handle = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let session = Session { handle, writes, active: Mutex::default() };
        open.insert(handle, Arc::new(session));
        Ok(handle)
    }

    /// Returns a session.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub(crate) fn get(&self, handle: ck::CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&handle).map(Arc::clone).ok_or(Code::SESSION_HANDLE_INVALID)
    }

    /// Closes a session; returns whether it was the last.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub(crate) fn close(&self, handle: ck::CK_SESSION_HANDLE) -> Result<bool> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.remove(&handle).map(drop).ok_or(Code::SESSION_HANDLE_INVALID)?;
        Ok(open.is_empty())
    }

    /// Closes all sessions.
    pub(crate) fn close_all(&self) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns how many are open, and how many of them may write.
    pub(crate) fn count(&self) -> (usize, usize) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        (open.len(), open.values().filter(|session| session.writes).count())
    }
}
