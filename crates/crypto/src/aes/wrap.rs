//! AES key wrap: KW (RFC 3394) and KWP (RFC 5649), both SP 800-38F.

use crate::ffi;

use super::Key;
use crate::error::check;
use crate::{Error, Secret};

const SEMIBLOCK: usize = 8;

impl Key {
    /// Wraps by KW; an IV other than the standard's is the caller's.
    ///
    /// # Errors
    /// [`Error::DataLength`] if the data is not at least two whole semiblocks.
    pub fn wrap(&self, iv: Option<&[u8; SEMIBLOCK]>, data: &[u8]) -> Result<Vec<u8>, Error> {
        if data.len() < 2 * SEMIBLOCK || data.len() % SEMIBLOCK != 0 {
            return Err(Error::DataLength);
        }
        let mut out = vec![0; data.len() + SEMIBLOCK];
        let iv = iv.map_or(std::ptr::null(), |iv| iv.as_ptr());
        // SAFETY: `out` is a semiblock longer than `data`; the IV is null or one semiblock; the schedule is live.
        let length = unsafe {
            ffi::AES_wrap_key(
                &raw const self.encrypt.0,
                iv,
                out.as_mut_ptr(),
                data.as_ptr(),
                data.len(),
            )
        };
        if usize::try_from(length) == Ok(out.len()) { Ok(out) } else { Err(Error::Library) }
    }

    /// Unwraps by KW.
    ///
    /// # Errors
    /// [`Error::DataLength`], or [`Error::Decryption`] if it is not what was wrapped.
    pub fn unwrap(&self, iv: Option<&[u8; SEMIBLOCK]>, data: &[u8]) -> Result<Secret, Error> {
        if data.len() < 3 * SEMIBLOCK || data.len() % SEMIBLOCK != 0 {
            return Err(Error::DataLength);
        }
        let mut out = zeroize::Zeroizing::new(vec![0; data.len() - SEMIBLOCK]);
        let iv = iv.map_or(std::ptr::null(), |iv| iv.as_ptr());
        let schedule = self.decrypt_schedule()?;
        // SAFETY: `out` is a semiblock shorter than `data`; the IV is null or one semiblock; the schedule is live.
        let length = unsafe {
            ffi::AES_unwrap_key(
                &raw const schedule.0,
                iv,
                out.as_mut_ptr(),
                data.as_ptr(),
                data.len(),
            )
        };
        if usize::try_from(length) == Ok(out.len()) {
            Ok(Secret::from_vec(std::mem::take(&mut *out)))
        } else {
            Err(Error::Decryption)
        }
    }

    /// Wraps by KWP.
    ///
    /// # Errors
    /// [`Error::DataLength`] if there is nothing to wrap.
    pub fn wrap_padded(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        if data.is_empty() {
            return Err(Error::DataLength);
        }
        let mut out = vec![0; data.len() + 2 * SEMIBLOCK];
        let mut length = 0;
        // SAFETY: `out` has room for the padding and a semiblock, as its length says; the schedule is live.
        let done = unsafe {
            ffi::AES_wrap_key_padded(
                &raw const self.encrypt.0,
                out.as_mut_ptr(),
                &raw mut length,
                out.len(),
                data.as_ptr(),
                data.len(),
            )
        };
        check(done, Error::Library)?;
        out.truncate(length);
        Ok(out)
    }

    /// Unwraps by KWP.
    ///
    /// # Errors
    /// [`Error::DataLength`], or [`Error::Decryption`] if it is not what was wrapped.
    pub fn unwrap_padded(&self, data: &[u8]) -> Result<Secret, Error> {
        if data.len() < 2 * SEMIBLOCK || data.len() % SEMIBLOCK != 0 {
            return Err(Error::DataLength);
        }
        let mut out = zeroize::Zeroizing::new(vec![0; data.len()]);
        let mut length = 0;
        let schedule = self.decrypt_schedule()?;
        // SAFETY: `out` is as long as `data`, as its length says; the schedule is live.
        let done = unsafe {
            ffi::AES_unwrap_key_padded(
                &raw const schedule.0,
                out.as_mut_ptr(),
                &raw mut length,
                out.len(),
                data.as_ptr(),
                data.len(),
            )
        };
        check(done, Error::Decryption)?;
        out.truncate(length);
        Ok(Secret::from_slice(&out))
    }
}
