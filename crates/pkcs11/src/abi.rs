//! The border to C: pointers and lengths become slices here, once; panics and errors become codes.
//!
//! All functions rest on one promise of the caller (PKCS#11 3.2 §5.2): a pointer that is not NULL points at as many items as the length
//! beside it says, for as long as the call takes, and nobody else writes there meanwhile. A NULL with a length, and lengths that no
//! memory has, are refused; what else a caller gets wrong no library can see.
//!
//! Input and output may be the same memory (`C_Encrypt` in place), so outputs are written through raw pointers, after
//! the input was copied.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::library::Library;
use crate::process;

/// Runs a function: the library must be initialised, and no panic leaves it.
pub(crate) fn enter(call: impl FnOnce(&Arc<Library>) -> Result<()>) -> ck::CK_RV {
    enter_bare(|| call(&process::library()?))
}

/// Keeps the library mapped while a thread lives that used it.
///
/// The cryptographic library leaves a destructor with each thread; a thread that ends after `dlclose` would run into memory that is
/// gone. A value of ours with a destructor makes the C library wait with unmapping until the thread has ended.
struct Keep;

impl Drop for Keep {
    fn drop(&mut self) {}
}

thread_local! {
    static KEEP: Keep = const { Keep };
}

/// Runs a function that needs no library.
pub(crate) fn enter_bare(call: impl FnOnce() -> Result<()>) -> ck::CK_RV {
    // At the end of a thread there is nothing to keep any more.
    let _kept = KEEP.try_with(|_| ()).is_ok();
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => ck::CKR_OK,
        Ok(Err(code)) => code.0,
        Err(_panic) => {
            tracing::error!("the library met a fault of its own");
            ck::CKR_GENERAL_ERROR
        }
    }
}

/// Turns a length into one that memory can have.
///
/// # Errors
/// `CKR_ARGUMENTS_BAD` for more bytes than an address space has.
pub(crate) fn length_of<T>(length: ck::CK_ULONG) -> Result<usize> {
    let length = usize::try_from(length).map_err(|_error| Code::ARGUMENTS_BAD)?;
    let bytes = length.checked_mul(size_of::<T>());
    match bytes.map(isize::try_from) {
        Some(Ok(_)) => Ok(length),
        Some(Err(_)) | None => Err(Code::ARGUMENTS_BAD),
    }
}

/// Turns a pointer and a length into a slice. NULL with length 0 is an empty one.
///
/// # Safety
/// The caller's promise (see the module), for as long as the slice lives.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, length: ck::CK_ULONG) -> Result<&'a [T]> {
    let length = length_of::<T>(length)?;
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Code::ARGUMENTS_BAD);
    }
    // SAFETY: not null, aligned, of a length that memory has; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// The same for a slice that is written.
///
/// # Safety
/// The caller's promise, and nobody else looks at it meanwhile.
pub(crate) unsafe fn slice_mut<'a, T>(
    pointer: *mut T,
    length: ck::CK_ULONG,
) -> Result<&'a mut [T]> {
    let length = length_of::<T>(length)?;
    if length == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Code::ARGUMENTS_BAD);
    }
    // SAFETY: not null, aligned, of a length that memory has; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
}

/// Turns a pointer into a reference.
///
/// # Errors
/// `CKR_ARGUMENTS_BAD` for NULL.
///
/// # Safety
/// The caller's promise, for as long as the reference lives.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T) -> Result<&'a T> {
    if !pointer.is_aligned() {
        return Err(Code::ARGUMENTS_BAD);
    }
    // SAFETY: aligned; not null is asked; the rest is the caller's promise.
    unsafe { pointer.as_ref() }.ok_or(Code::ARGUMENTS_BAD)
}

/// A place that gets one value.
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    /// Checks a pointer before anything is done, so that nothing is done in vain.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL.
    ///
    /// # Safety
    /// The caller's promise, until the value is written.
    pub(crate) unsafe fn new(pointer: *mut T) -> Result<Self> {
        if pointer.is_null() || !pointer.is_aligned() {
            return Err(Code::ARGUMENTS_BAD);
        }
        Ok(Self(pointer))
    }

    /// Writes the value.
    pub(crate) fn set(self, value: T) {
        // SAFETY: not null and aligned; `new`'s caller promised that it may be written.
        unsafe { self.0.write(value) }
    }
}

/// A buffer for bytes whose length is told beside it: NULL asks how long it must be.
pub(crate) struct Output {
    buffer: *mut u8,
    capacity: usize,
    length: *mut ck::CK_ULONG,
}

impl Output {
    /// Checks the pointers.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` if there is no place for the length.
    ///
    /// # Safety
    /// The caller's promise, until the output is written.
    pub(crate) unsafe fn new(buffer: *mut u8, length: *mut ck::CK_ULONG) -> Result<Self> {
        // SAFETY: the caller's promise.
        let said = *unsafe { reference(length.cast_const()) }?;
        // Of a buffer that is longer than memory only the beginning will be used.
        let capacity = usize::try_from(said).unwrap_or(usize::MAX).min(isize::MAX.unsigned_abs());
        Ok(Self { buffer, capacity, length })
    }

    /// Makes the output of a function that has none.
    pub(crate) const fn is_query(&self) -> bool {
        self.buffer.is_null()
    }

    /// Whether so many bytes fit.
    pub(crate) const fn holds(&self, bytes: usize) -> bool {
        bytes <= self.capacity
    }

    /// Says how long the output is.
    pub(crate) fn say_length(&self, bytes: usize) {
        // SAFETY: `new` saw that it is not null and aligned; the caller promised that it may be written.
        unsafe { self.length.write(bytes as ck::CK_ULONG) }
    }

    /// Answers a question for the length, and refuses a buffer that is too small, without ending the operation.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL`; the length is said.
    pub(crate) fn settle(&self, bytes: usize) -> Result<Settled> {
        if self.is_query() {
            self.say_length(bytes);
            return Ok(Settled::Asked);
        }
        if !self.holds(bytes) {
            self.say_length(bytes);
            return Err(Code::BUFFER_TOO_SMALL);
        }
        Ok(Settled::Fits)
    }

    /// Writes the output.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL`; the length is said.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        if self.settle(bytes.len())? == Settled::Fits {
            // SAFETY: the buffer is not null and has room, as its caller promised; `bytes` is memory of our own.
            unsafe { self.buffer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            self.say_length(bytes.len());
        }
        Ok(())
    }
}

/// What became of the question whether a buffer suffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Only the length was asked, and was told.
    Asked,
    /// There is room.
    Fits,
}
