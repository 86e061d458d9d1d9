//! Owners of C objects: each frees its object once, and freeing wipes what is secret (AWS-LC's `*_free` do).

use std::ptr::NonNull;

use crate::ffi;

use crate::Error;

/// A C type that has a function to free it.
pub(crate) trait Free {
    /// Frees the object.
    ///
    /// # Safety
    /// `object` is owned by the caller and not used afterwards.
    unsafe fn free(object: *mut Self);
}

/// Owns one C object.
pub(crate) struct Owned<T: Free>(NonNull<T>);

// SAFETY: the owned types are plain memory without ties to a thread.
unsafe impl<T: Free> Send for Owned<T> {}
// SAFETY: AWS-LC documents that its key objects may be used by several threads at once as long as none changes them
// (rsa.h, ec_key.h, evp.h "thread-safety"); contexts are only used through `&mut`.
unsafe impl<T: Free> Sync for Owned<T> {}

impl<T: Free> Owned<T> {
    /// Takes ownership of what a function of the library returned; null means that it failed.
    pub(crate) fn new(object: *mut T, error: Error) -> Result<Self, Error> {
        NonNull::new(object).map(Self).ok_or(error)
    }

    /// Returns the pointer, for calls that read or (by the library's locks) change the object.
    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Gives the object away.
    pub(crate) fn release(self) -> *mut T {
        let pointer = self.0.as_ptr();
        #[expect(clippy::mem_forget, reason = "the new owner frees it")]
        std::mem::forget(self);
        pointer
    }
}

impl<T: Free> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: this is the only owner, and it ends here.
        unsafe { T::free(self.0.as_ptr()) };
    }
}

macro_rules! free {
    ($($type:ident, $free:ident;)*) => {$(
        impl Free for ffi::$type {
            unsafe fn free(object: *mut Self) {
                // SAFETY: the caller owns the object.
                unsafe { ffi::$free(object) };
            }
        }
    )*};
}
free! {
    BIGNUM, BN_clear_free;
    EC_KEY, EC_KEY_free;
    EC_POINT, EC_POINT_free;
    ECDSA_SIG, ECDSA_SIG_free;
    EVP_AEAD_CTX, EVP_AEAD_CTX_free;
    EVP_MD_CTX, EVP_MD_CTX_free;
    EVP_PKEY, EVP_PKEY_free;
    EVP_PKEY_CTX, EVP_PKEY_CTX_free;
    HMAC_CTX, HMAC_CTX_free;
    RSA, RSA_free;
}

/// Reads a big integer, most significant byte first.
pub(crate) fn bignum(bytes: &[u8]) -> Result<Owned<ffi::BIGNUM>, Error> {
    // SAFETY: pointer and length are of one slice; null asks for a new object.
    let number = unsafe { ffi::BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) };
    Owned::new(number, Error::Library)
}
