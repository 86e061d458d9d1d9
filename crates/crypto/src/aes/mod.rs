//! AES (FIPS 197) with keys of 128, 192 and 256 bits: ECB, CBC, CTR (SP 800-38A), and in their own files GCM,
//! CMAC and key wrap.
//!
//! A [`Key`] keeps both key schedules, so that using it again costs the cipher alone.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use crate::ffi;
use zeroize::Zeroize as _;

use crate::{Error, Secret};

mod cmac;
mod gcm;
mod wrap;

pub use cmac::CmacState;
pub use gcm::{GCM_IV_BYTES, GCM_TAG_BYTES, GcmKey, open_gcm_once, seal_gcm_once};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 16;

/// A key schedule, wiped when dropped.
struct Schedule(ffi::AES_KEY);

impl Drop for Schedule {
    fn drop(&mut self) {
        self.0.rd_key.zeroize();
    }
}

/// An AES key.
pub struct Key {
    bytes: Secret,
    encrypt: Schedule,
    decrypt: OnceLock<Schedule>,
    gcm: OnceLock<GcmKey>,
}

type Expand =
    unsafe extern "C" fn(*const u8, std::ffi::c_uint, *mut ffi::AES_KEY) -> std::ffi::c_int;

fn schedule(key: &[u8], expand: Expand) -> Result<Schedule, Error> {
    let bits = match key.len() {
        16 => 128,
        24 => 192,
        32 => 256,
        _ => return Err(Error::KeyLength),
    };
    let mut schedule = MaybeUninit::<ffi::AES_KEY>::zeroed();
    // SAFETY: the key has `bits` bits, and the schedule is ours.
    let done = unsafe { expand(key.as_ptr(), bits, schedule.as_mut_ptr()) };
    if done != 0 {
        return Err(Error::KeyLength);
    }
    // SAFETY: it was zeroed, which is a valid value of this plain C struct, and then filled.
    Ok(Schedule(unsafe { schedule.assume_init() }))
}

fn whole_blocks(data: &[u8]) -> Result<(), Error> {
    if data.len() % BLOCK_BYTES == 0 { Ok(()) } else { Err(Error::DataLength) }
}

impl Key {
    /// Takes a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            bytes: Secret::from_slice(key),
            encrypt: schedule(key, ffi::AES_set_encrypt_key)?,
            decrypt: OnceLock::new(),
            gcm: OnceLock::new(),
        })
    }

    /// Returns the key's bytes.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.bytes
    }

    fn decrypt_schedule(&self) -> Result<&Schedule, Error> {
        if let Some(schedule) = self.decrypt.get() {
            return Ok(schedule);
        }
        let schedule = schedule(self.bytes.expose(), ffi::AES_set_decrypt_key)?;
        Ok(self.decrypt.get_or_init(|| schedule))
    }

    /// Returns the key prepared for GCM.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn gcm(&self) -> Result<&GcmKey, Error> {
        if let Some(key) = self.gcm.get() {
            return Ok(key);
        }
        let key = GcmKey::new(self.bytes.expose())?;
        Ok(self.gcm.get_or_init(|| key))
    }

    /// Encrypts one block.
    #[must_use]
    pub fn encrypt_block(&self, block: &[u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
        let mut out = [0; BLOCK_BYTES];
        // SAFETY: both buffers hold one block, and the schedule is live.
        unsafe { ffi::AES_encrypt(block.as_ptr(), out.as_mut_ptr(), &raw const self.encrypt.0) };
        out
    }

    /// Encrypts whole blocks by ECB.
    ///
    /// # Errors
    /// [`Error::DataLength`] if a block is not whole.
    pub fn encrypt_ecb(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        whole_blocks(data)?;
        let mut out = Vec::with_capacity(data.len());
        for block in data.chunks_exact(BLOCK_BYTES) {
            out.extend_from_slice(
                &self.encrypt_block(block.try_into().map_err(|_error| Error::DataLength)?),
            );
        }
        Ok(out)
    }

    /// Decrypts whole blocks by ECB.
    ///
    /// # Errors
    /// [`Error::DataLength`] if a block is not whole.
    pub fn decrypt_ecb(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        whole_blocks(data)?;
        let schedule = self.decrypt_schedule()?;
        let mut out = vec![0; data.len()];
        for (block, to) in data.chunks_exact(BLOCK_BYTES).zip(out.chunks_exact_mut(BLOCK_BYTES)) {
            // SAFETY: both chunks are one block, and the schedule is live.
            unsafe { ffi::AES_decrypt(block.as_ptr(), to.as_mut_ptr(), &raw const schedule.0) };
        }
        Ok(out)
    }

    /// Encrypts whole blocks by CBC.
    ///
    /// # Errors
    /// [`Error::DataLength`] if a block is not whole.
    pub fn encrypt_cbc(&self, iv: &[u8; BLOCK_BYTES], data: &[u8]) -> Result<Vec<u8>, Error> {
        whole_blocks(data)?;
        Ok(cbc(&self.encrypt, iv, data, 1))
    }

    /// Decrypts whole blocks by CBC.
    ///
    /// # Errors
    /// [`Error::DataLength`] if a block is not whole.
    pub fn decrypt_cbc(&self, iv: &[u8; BLOCK_BYTES], data: &[u8]) -> Result<Vec<u8>, Error> {
        whole_blocks(data)?;
        Ok(cbc(self.decrypt_schedule()?, iv, data, 0))
    }

    /// Encrypts by CBC with padding (RFC 5652 §6.3).
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn encrypt_cbc_pad(&self, iv: &[u8; BLOCK_BYTES], data: &[u8]) -> Result<Vec<u8>, Error> {
        let padding = BLOCK_BYTES - data.len() % BLOCK_BYTES;
        let mut padded = zeroize::Zeroizing::new(Vec::with_capacity(data.len() + padding));
        padded.extend_from_slice(data);
        padded
            .resize(data.len() + padding, u8::try_from(padding).map_err(|_error| Error::Library)?);
        self.encrypt_cbc(iv, &padded)
    }

    /// Decrypts by CBC and takes the padding off. The padding is checked in a time that does not depend on it;
    /// that it is wrong is told, as PKCS#11 wants it: who may not know needs a mode that authenticates.
    ///
    /// # Errors
    /// [`Error::DataLength`] if a block is not whole or there is none; [`Error::Decryption`] for wrong padding.
    pub fn decrypt_cbc_pad(&self, iv: &[u8; BLOCK_BYTES], data: &[u8]) -> Result<Vec<u8>, Error> {
        if data.is_empty() {
            return Err(Error::DataLength);
        }
        let mut out = self.decrypt_cbc(iv, data)?;
        let last = usize::from(out.last().copied().ok_or(Error::DataLength)?);
        let tail = out.iter().rev().take(BLOCK_BYTES).enumerate();
        let wrong =
            tail.fold(u8::from(last == 0) | u8::from(last > BLOCK_BYTES), |wrong, (at, &byte)| {
                wrong | (u8::from(at < last) & u8::from(usize::from(byte) != last))
            });
        if wrong != 0 {
            out.zeroize();
            return Err(Error::Decryption);
        }
        out.truncate(out.len() - last);
        Ok(out)
    }

    /// Encrypts or decrypts by CTR with a counter of the block's last `bits` bits.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `bits` is not 1 to 128; [`Error::DataLength`] if the counter would wrap.
    pub fn ctr(&self, block: &[u8; BLOCK_BYTES], bits: u32, data: &[u8]) -> Result<Vec<u8>, Error> {
        if !(1..=128).contains(&bits) {
            return Err(Error::Parameter);
        }
        let counter = u128::from_be_bytes(*block);
        let mask = u128::MAX >> (128 - bits);
        let blocks =
            u128::try_from(data.len().div_ceil(BLOCK_BYTES)).map_err(|_error| Error::DataLength)?;
        // A counter may run from its value to its end and no further: then each block is used once.
        if blocks > 0 && blocks - 1 > mask - (counter & mask) {
            return Err(Error::DataLength);
        }
        let mut out = vec![0; data.len()];
        let mut counter = *block;
        let mut stream = [0; BLOCK_BYTES];
        let mut used = 0;
        // SAFETY: `out` is as long as `data`, the others hold one block, the schedule is live.
        unsafe {
            ffi::AES_ctr128_encrypt(
                data.as_ptr(),
                out.as_mut_ptr(),
                data.len(),
                &raw const self.encrypt.0,
                counter.as_mut_ptr(),
                stream.as_mut_ptr(),
                &raw mut used,
            );
        }
        stream.zeroize();
        Ok(out)
    }
}

fn cbc(schedule: &Schedule, iv: &[u8; BLOCK_BYTES], data: &[u8], encrypt: i32) -> Vec<u8> {
    let mut out = vec![0; data.len()];
    let mut chain = *iv;
    // SAFETY: `out` is as long as `data`, which is whole blocks; the chain is one block; the schedule is live.
    unsafe {
        ffi::AES_cbc_encrypt(
            data.as_ptr(),
            out.as_mut_ptr(),
            data.len(),
            &raw const schedule.0,
            chain.as_mut_ptr(),
            encrypt,
        );
    }
    out
}
