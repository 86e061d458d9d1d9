//! Key derivation: HKDF (RFC 5869), PBKDF2 (SP 800-132), SP 800-108r1 in counter mode, X9.63, one-step (SP 800-56C).

use crate::ffi;

use crate::aes;
use crate::digest::{Digest, Hash, Hasher};
use crate::error::check;
use crate::{Error, Secret, hmac};

/// Extracts a pseudorandom key (RFC 5869 §2.2). No salt is as good as one of zeros.
#[must_use]
pub fn hkdf_extract(hash: Hash, salt: &[u8], secret: &[u8]) -> Secret {
    Secret::from_slice(hmac::sign(hash, salt, &[secret]).as_ref())
}

/// Expands a pseudorandom key (RFC 5869 §2.3) to `length` bytes.
///
/// # Errors
/// [`Error::DataLength`] beyond 255 blocks.
pub fn hkdf_expand(hash: Hash, key: &[u8], info: &[u8], length: usize) -> Result<Secret, Error> {
    let mut out = zeroize::Zeroizing::new(vec![0; length]);
    // SAFETY: each pointer goes with the length of its slice.
    let done = unsafe {
        ffi::HKDF_expand(
            out.as_mut_ptr(),
            out.len(),
            hash.md(),
            key.as_ptr(),
            key.len(),
            info.as_ptr(),
            info.len(),
        )
    };
    check(done, Error::DataLength)?;
    Ok(Secret::from_slice(&out))
}

/// Derives a key from a password.
///
/// # Errors
/// [`Error::Parameter`] if there are no rounds.
pub fn pbkdf2(
    hash: Hash,
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    out: &mut [u8],
) -> Result<(), Error> {
    if rounds == 0 {
        return Err(Error::Parameter);
    }
    // SAFETY: each pointer goes with the length of its slice.
    let done = unsafe {
        ffi::PKCS5_PBKDF2_HMAC(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            rounds,
            hash.md(),
            out.len(),
            out.as_mut_ptr(),
        )
    };
    check(done, Error::Library)
}

/// The PRF of SP 800-108.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prf {
    /// HMAC with a hash function.
    Hmac(Hash),
    /// AES-CMAC; the key is an AES key.
    AesCmac,
}

/// One field of the PRF's input in each iteration (SP 800-108r1 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The iteration, from 1, in so many bytes.
    Counter {
        /// 1 to 4.
        width_bytes: usize,
        /// Least significant byte first.
        little_endian: bool,
    },
    /// Bits of the output, in so many bytes.
    Length {
        /// 1 to 8.
        width_bytes: usize,
        /// Least significant byte first.
        little_endian: bool,
        /// Counts whole PRF blocks instead of the key.
        whole_blocks: bool,
    },
    /// Bytes: label, separator, context.
    Bytes(Vec<u8>),
}

fn number(value: u64, width_bytes: usize, little_endian: bool) -> Result<Vec<u8>, Error> {
    let bytes = value.to_be_bytes();
    let (front, back) =
        bytes.split_at(bytes.len().checked_sub(width_bytes).ok_or(Error::Parameter)?);
    if width_bytes == 0 || front.iter().any(|&byte| byte != 0) {
        return Err(Error::Parameter);
    }
    let mut back = back.to_vec();
    if little_endian {
        back.reverse();
    }
    Ok(back)
}

/// Derives `length` bytes by SP 800-108r1 in counter mode, with the fields in the order given.
///
/// # Errors
/// [`Error::Parameter`] if a number does not fit its width or there is not exactly one counter;
/// [`Error::KeyLength`] if the PRF does not take the key.
pub fn counter(prf: Prf, key: &[u8], fields: &[Field], length: usize) -> Result<Secret, Error> {
    let counters = fields.iter().filter(|field| matches!(field, Field::Counter { .. })).count();
    if counters != 1 || length == 0 {
        return Err(Error::Parameter);
    }
    let block = match prf {
        Prf::Hmac(hash) => hash.output_bytes(),
        Prf::AesCmac => aes::BLOCK_BYTES,
    };
    let cmac_key = match prf {
        Prf::Hmac(_) => None,
        Prf::AesCmac => Some(aes::Key::new(key)?),
    };
    let blocks = length.div_ceil(block);
    let mut out = zeroize::Zeroizing::new(Vec::with_capacity(blocks * block));
    for iteration in 1..=blocks {
        let input = counter_input(fields, iteration, length, blocks * block)?;
        match (prf, &cmac_key) {
            (Prf::Hmac(hash), _) => {
                out.extend_from_slice(hmac::sign(hash, key, &[&input]).as_ref());
            }
            (Prf::AesCmac, Some(key)) => out.extend_from_slice(&key.cmac(&input)),
            (Prf::AesCmac, None) => return Err(Error::Library),
        }
    }
    Ok(Secret::from_slice(out.get(..length).ok_or(Error::Library)?))
}

fn counter_input(
    fields: &[Field],
    iteration: usize,
    length: usize,
    whole: usize,
) -> Result<Vec<u8>, Error> {
    let wide = |value: usize| u64::try_from(value).map_err(|_error| Error::Parameter);
    let mut input = Vec::new();
    for field in fields {
        match field {
            Field::Counter { width_bytes, little_endian } => {
                input.extend(number(wide(iteration)?, *width_bytes, *little_endian)?);
            }
            Field::Length { width_bytes, little_endian, whole_blocks } => {
                let bytes = if *whole_blocks { whole } else { length };
                input.extend(number(wide(bytes)?.saturating_mul(8), *width_bytes, *little_endian)?);
            }
            Field::Bytes(bytes) => input.extend_from_slice(bytes),
        }
    }
    Ok(input)
}

/// The usual layout of SP 800-108r1 §4.1 with HMAC: counter (32 bits) ‖ label ‖ 0 ‖ context, without a length.
/// What sealing derives its keys by; `out` is filled.
///
/// # Panics
/// Never: HMAC takes any key.
pub fn counter_hmac(hash: Hash, key: &[u8], label: &[u8], context: &[u8], out: &mut [u8]) {
    for (iteration, chunk) in (1_u32..).zip(out.chunks_mut(hash.output_bytes())) {
        let block = hmac::sign(hash, key, &[&iteration.to_be_bytes(), label, &[0], context]);
        chunk.iter_mut().zip(block.as_ref()).for_each(|(to, from)| *to = *from);
    }
}

/// Derives by ANSI X9.63 (SEC 1 §3.6.1): Hash(secret ‖ counter ‖ shared info).
#[must_use]
pub fn x963(hash: Hash, secret: &[u8], shared_info: &[u8], length: usize) -> Secret {
    hash_counter(hash, length, |hasher, counter| {
        hasher.update(secret);
        hasher.update(counter);
        hasher.update(shared_info);
    })
}

/// Derives by the one-step KDF of SP 800-56C r2 §4 with a hash: Hash(counter ‖ secret ‖ fixed info).
#[must_use]
pub fn one_step(hash: Hash, secret: &[u8], fixed_info: &[u8], length: usize) -> Secret {
    hash_counter(hash, length, |hasher, counter| {
        hasher.update(counter);
        hasher.update(secret);
        hasher.update(fixed_info);
    })
}

fn hash_counter(hash: Hash, length: usize, feed: impl Fn(&mut Hasher, &[u8])) -> Secret {
    let mut out = zeroize::Zeroizing::new(Vec::with_capacity(length + hash.output_bytes()));
    let mut counter = 1_u32;
    while out.len() < length {
        let mut hasher = Hasher::new(hash);
        feed(&mut hasher, &counter.to_be_bytes());
        let block: Digest = hasher.finish();
        out.extend_from_slice(block.as_ref());
        counter = counter.wrapping_add(1);
    }
    out.truncate(length);
    Secret::from_slice(&out)
}
