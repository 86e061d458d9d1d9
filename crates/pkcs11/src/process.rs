//! The one place that holds the library of this process, and sees a fork.
//!
//! A child of `fork` shares memory as it was, locks that other threads held included, and sockets that the parent goes on using.
//! So it must touch neither: an `atfork` handler counts, the record of a parent is recognised by its count and left alone, and
//! `C_Initialize` makes a new one. Until then every function of the child says `CKR_CRYPTOKI_NOT_INITIALIZED`
//! (PKCS#11 3.2 §5.4). A record is never freed: one per loading and fork that initialises, a few dozen bytes.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::library::Library;

/// The record of one process.
struct Process {
    forks: u64,
    library: RwLock<Option<Arc<Library>>>,
    /// The parent's record: tools that look for leaks see by it that it stays on purpose.
    _parent: AtomicPtr<Self>,
}

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());
static FORKS: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}

/// Returns this process' record, if it has one.
fn current() -> Option<&'static Process> {
    let pointer = PROCESS.load(Ordering::Acquire);
    // SAFETY: the pointer is null, or came from `Box::leak` below and is never freed.
    let process = unsafe { pointer.as_ref() }?;
    (process.forks == FORKS.load(Ordering::Relaxed)).then_some(process)
}

/// Returns this process' record, and makes it if need be.
fn current_or_new() -> Result<&'static Process> {
    if !WATCHED.swap(true, Ordering::SeqCst) {
        // SAFETY: the handler only counts. The C library forgets it when this library is unloaded.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
        if failed != 0 {
            WATCHED.store(false, Ordering::SeqCst);
            return Err(Code(ck::CKR_HOST_MEMORY));
        }
    }
    loop {
        if let Some(process) = current() {
            return Ok(process);
        }
        let before = PROCESS.load(Ordering::Acquire);
        let forks = FORKS.load(Ordering::Relaxed);
        let (library, _parent) = (RwLock::new(None), AtomicPtr::new(before));
        let fresh = Box::into_raw(Box::new(Process { forks, library, _parent }));
        let set = PROCESS.compare_exchange(before, fresh, Ordering::AcqRel, Ordering::Acquire);
        if set.is_err() {
            // SAFETY: `fresh` came from `Box::into_raw` above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

/// Returns the library.
///
/// # Errors
/// `CKR_CRYPTOKI_NOT_INITIALIZED`.
pub(crate) fn library() -> Result<Arc<Library>> {
    let process = current().ok_or(Code::NOT_INITIALIZED)?;
    let library = process.library.read().unwrap_or_else(PoisonError::into_inner);
    library.clone().ok_or(Code::NOT_INITIALIZED)
}

/// Puts a library in.
///
/// # Errors
/// `CKR_CRYPTOKI_ALREADY_INITIALIZED`, or why there is none.
pub(crate) fn initialize(make: impl FnOnce() -> Result<Library>) -> Result<()> {
    let process = current_or_new()?;
    let mut library = process.library.write().unwrap_or_else(PoisonError::into_inner);
    if library.is_some() {
        return Err(Code(ck::CKR_CRYPTOKI_ALREADY_INITIALIZED));
    }
    *library = Some(Arc::new(make()?));
    Ok(())
}

/// Takes the library out. Calls of other threads end with what they have.
///
/// # Errors
/// `CKR_CRYPTOKI_NOT_INITIALIZED`.
pub(crate) fn finalize() -> Result<()> {
    let process = current().ok_or(Code::NOT_INITIALIZED)?;
    let mut library = process.library.write().unwrap_or_else(PoisonError::into_inner);
    let taken = library.take().ok_or(Code::NOT_INITIALIZED)?;
    drop(library);
    // The last call that still holds it closes the connections.
    drop(taken);
    Ok(())
}
