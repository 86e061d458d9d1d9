//! RSA encryption: PKCS#1 v1.5 and OAEP (RFC 8017 §7).
//!
//! Decryption by PKCS#1 v1.5 has no padding oracle: a ciphertext with wrong padding decrypts to a message that
//! is derived from the key and the ciphertext, in the same time, so that the caller (and whoever measures him) learns
//! nothing of the padding. AWS-LC has no such *implicit rejection*; ours follows the construction of OpenSSL 3.2 and
//! draft-irtf-cfrg-rsa-guidance, whose vectors it must meet, over the raw operation.

use std::hint::black_box;

use crate::ffi;
use zeroize::Zeroizing;

use super::{PrivateKey, PublicKey};
use crate::digest::Hash;
use crate::error::check;
use crate::owned::Owned;
use crate::{Error, Secret, hmac, keys};

/// Bytes of padding at least: 0, 2, eight that are not 0, and 0.
const PADDING_BYTES_MIN: usize = 11;

/// The parameters of OAEP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oaep<'a> {
    /// The hash of the label.
    pub hash: Hash,
    /// The hash of MGF1.
    pub mgf: Hash,
    /// The label.
    pub label: &'a [u8],
}

/// All ones if `a < b`, else 0, without a branch.
fn less(a: usize, b: usize) -> usize {
    let borrow = a ^ ((a ^ b) | (a.wrapping_sub(b) ^ a));
    0_usize.wrapping_sub(black_box(borrow) >> (usize::BITS - 1))
}

/// All ones if `byte` is 0, else 0, without a branch.
fn is_zero(byte: usize) -> usize {
    0_usize.wrapping_sub((!black_box(byte) & byte.wrapping_sub(1)) >> (usize::BITS - 1))
}

/// `a` where the mask is ones, `b` where it is zeros.
fn select(mask: usize, a: usize, b: usize) -> usize {
    let mask = black_box(mask);
    (mask & a) | (!mask & b)
}

/// Moves all bytes to the left by a secret distance, by as many passes as its number has bits; zeros come in from the right.
fn shift_left(bytes: &mut [u8], distance: usize) {
    for bit in 0..usize::BITS - bytes.len().leading_zeros() {
        let pass = 1 << bit;
        let mask = black_box(0_u8.wrapping_sub(u8::from(distance & pass != 0)));
        let fixed = bytes.len().saturating_sub(pass);
        for at in 0..bytes.len() {
            let from = if at < fixed { bytes[at + pass] } else { 0 };
            bytes[at] = (mask & from) | (!mask & bytes[at]);
        }
    }
}

/// The PRF of the draft, §7.1: HMAC-SHA-256(key, iteration ‖ label ‖ bits of the output), block after block.
fn prf(key: &[u8], label: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let bits = u16::try_from(length * 8).unwrap_or(u16::MAX).to_be_bytes();
    let mut out = Zeroizing::new(Vec::with_capacity(length + 32));
    for iteration in 0_u16.. {
        if out.len() >= length {
            break;
        }
        let parts: [&[u8]; 3] = [&iteration.to_be_bytes(), label, &bits];
        out.extend_from_slice(hmac::sign(Hash::Sha256, key, &parts).as_ref());
    }
    out.truncate(length);
    out
}

/// Chooses the length of the message for a wrong padding: the last of 128 candidates that is short enough.
fn rejected_length(candidates: &[u8], message_max: usize) -> usize {
    let mut mask = message_max;
    for shift in [1, 2, 4, 8] {
        mask |= mask >> shift;
    }
    candidates.chunks_exact(2).fold(0, |chosen, pair| {
        let candidate =
            pair.iter().fold(0_usize, |value, &byte| (value << 8) | usize::from(byte)) & mask;
        select(less(candidate, message_max), candidate, chosen)
    })
}

impl PrivateKey {
    /// Decrypts by PKCS#1 v1.5; wrong padding gives another message, not an error.
    ///
    /// # Errors
    /// [`Error::DataLength`] or [`Error::DataInvalid`] for what is no ciphertext of this modulus: its length, or a
    /// number that is not above 1 and below the modulus less 1 (SP 800-56B §7.1.2.1), which everybody can see.
    pub fn decrypt_pkcs1(&self, ciphertext: &[u8]) -> Result<Secret, Error> {
        let encoded = self.raw(ciphertext)?;
        // The FIPS library takes 0, 1 and the modulus less 1, which are their own roots.
        if self.is_its_own_root(ciphertext)? {
            return Err(Error::DataInvalid);
        }
        self.remove_pkcs1_padding(ciphertext, encoded.expose())
    }

    /// Whether a number below the modulus is 0, 1 or the modulus less 1. Nothing of this is secret.
    fn is_its_own_root(&self, number: &[u8]) -> Result<bool, Error> {
        let Some((last, front)) = number.split_last() else { return Ok(false) };
        if *last <= 1 && front.iter().all(|&byte| byte == 0) {
            return Ok(true);
        }
        let modulus = self.public.modulus()?;
        // The modulus is odd, so that 1 less changes its last byte alone.
        let Some((modulus_last, modulus_front)) = modulus.split_last() else { return Ok(false) };
        Ok(front == modulus_front && *last == modulus_last ^ 1)
    }

    /// The part of [`PrivateKey::decrypt_pkcs1`] that comes after the raw operation, apart so that its time can be measured.
    ///
    /// # Errors
    /// [`Error::DataLength`] if `encoded` is not as long as the modulus.
    #[doc(hidden)]
    pub fn remove_pkcs1_padding(&self, ciphertext: &[u8], encoded: &[u8]) -> Result<Secret, Error> {
        let size = self.public.modulus_bytes();
        if encoded.len() != size {
            return Err(Error::DataLength);
        }
        let key = hmac::sign(Hash::Sha256, self.rejection.expose(), &[ciphertext]);
        let candidates = prf(key.as_ref(), b"length", 256);
        let alternative = prf(key.as_ref(), b"message", size);
        // A message may be as long as the modulus less two bytes and eight of padding; the separator is one more.
        let rejected = rejected_length(&candidates, size - 2 - 8);
        let (good, separator) = find_separator(encoded);
        let start = select(good, separator + 1, size - rejected);
        let mut out = Zeroizing::new(vec![0; size]);
        let mask = u8::try_from(good & 0xff).map_err(|_error| Error::Library)?;
        for ((to, &right), &wrong) in out.iter_mut().zip(encoded).zip(alternative.iter()) {
            *to = (black_box(mask) & right) | (!black_box(mask) & wrong);
        }
        // To the front, touching every byte whatever the start is: no copy is shorter for another message.
        shift_left(&mut out, start);
        out.truncate(size - start);
        Ok(Secret::from_vec(std::mem::take(&mut *out)))
    }

    /// Decrypts by OAEP.
    ///
    /// # Errors
    /// [`Error::DataLength`] for another length than the modulus', [`Error::Decryption`] for all else, alike.
    pub fn decrypt_oaep(&self, oaep: Oaep<'_>, ciphertext: &[u8]) -> Result<Secret, Error> {
        if ciphertext.len() != self.public.modulus_bytes() {
            return Err(Error::DataLength);
        }
        let context = keys::context(&super::wrap(&self.key)?)?;
        // SAFETY: the context is live and new.
        check(unsafe { ffi::EVP_PKEY_decrypt_init(context.as_ptr()) }, Error::Library)?;
        set_oaep(&context, oaep)?;
        let mut out = Zeroizing::new(vec![0; self.public.modulus_bytes()]);
        let mut length = out.len();
        // SAFETY: each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::EVP_PKEY_decrypt(
                context.as_ptr(),
                out.as_mut_ptr(),
                &raw mut length,
                ciphertext.as_ptr(),
                ciphertext.len(),
            )
        };
        check(done, Error::Decryption)?;
        Ok(Secret::from_slice(out.get(..length).ok_or(Error::Library)?))
    }
}

/// Looks for the byte 0 that ends the padding, over all bytes: a mask that says whether the padding is right, and its place.
fn find_separator(encoded: &[u8]) -> (usize, usize) {
    let mut good = usize::MAX;
    let mut found = 0;
    let mut separator = 0;
    for (at, &byte) in encoded.iter().enumerate() {
        let byte = usize::from(byte);
        match at {
            0 => good &= is_zero(byte),
            1 => good &= is_zero(byte ^ 2),
            _ => {
                let first = is_zero(byte) & !found;
                separator = select(first, at, separator);
                found |= first;
            }
        }
    }
    good &= found;
    good &= !less(separator, PADDING_BYTES_MIN - 1);
    (good, separator)
}

fn set_oaep(context: &Owned<ffi::EVP_PKEY_CTX>, oaep: Oaep<'_>) -> Result<(), Error> {
    let context = context.as_ptr();
    // SAFETY: the context is live.
    let set = unsafe { ffi::EVP_PKEY_CTX_set_rsa_padding(context, ffi::RSA_PKCS1_OAEP_PADDING) };
    check(set, Error::Library)?;
    // SAFETY: the context is live, the hash a constant of the library.
    let set = unsafe { ffi::EVP_PKEY_CTX_set_rsa_oaep_md(context, oaep.hash.md()) };
    check(set, Error::Parameter)?;
    // SAFETY: as above.
    let set = unsafe { ffi::EVP_PKEY_CTX_set_rsa_mgf1_md(context, oaep.mgf.md()) };
    check(set, Error::Parameter)?;
    if oaep.label.is_empty() {
        return Ok(());
    }
    // SAFETY: takes a length.
    let label = unsafe { ffi::OPENSSL_malloc(oaep.label.len()) }.cast::<u8>();
    if label.is_null() {
        return Err(Error::Library);
    }
    // SAFETY: both are good for the label's length, and do not overlap: one is new.
    unsafe { std::ptr::copy_nonoverlapping(oaep.label.as_ptr(), label, oaep.label.len()) };
    // SAFETY: the context takes ownership of the label if it succeeds.
    let set = unsafe { ffi::EVP_PKEY_CTX_set0_rsa_oaep_label(context, label, oaep.label.len()) };
    if set != 1 {
        // SAFETY: the label is still ours.
        unsafe { ffi::OPENSSL_free(label.cast()) };
    }
    check(set, Error::Parameter)
}

impl PublicKey {
    /// Encrypts by PKCS#1 v1.5.
    ///
    /// # Errors
    /// [`Error::DataLength`] if it is longer than the modulus less 11.
    pub fn encrypt_pkcs1(&self, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        self.encrypt_with(plaintext, ffi::RSA_PKCS1_PADDING)
    }

    /// Encrypts by OAEP.
    ///
    /// # Errors
    /// [`Error::DataLength`] if it is too long for the modulus and the hash.
    pub fn encrypt_oaep(&self, oaep: Oaep<'_>, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let context = keys::context(&super::wrap(&self.key)?)?;
        // SAFETY: the context is live and new.
        check(unsafe { ffi::EVP_PKEY_encrypt_init(context.as_ptr()) }, Error::Library)?;
        set_oaep(&context, oaep)?;
        let mut out = vec![0; self.modulus_bytes()];
        let mut length = out.len();
        // SAFETY: each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::EVP_PKEY_encrypt(
                context.as_ptr(),
                out.as_mut_ptr(),
                &raw mut length,
                plaintext.as_ptr(),
                plaintext.len(),
            )
        };
        check(done, Error::DataLength).map(|()| out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_all_or_nothing() {
        for (a, b) in [(0, 0), (0, 1), (1, 0), (5, 5), (4, 5), (usize::MAX, 0), (0, usize::MAX)] {
            assert_eq!(less(a, b), if a < b { usize::MAX } else { 0 }, "{a} {b}");
        }
        for byte in 0..=255 {
            assert_eq!(is_zero(byte), if byte == 0 { usize::MAX } else { 0 });
        }
    }

    #[test]
    fn bytes_move_to_the_left_by_every_distance() {
        for length in [0_u8, 1, 2, 7, 8, 9, 255] {
            let bytes: Vec<u8> = (1..=length).collect();
            for distance in 0..=bytes.len() {
                let mut moved = bytes.clone();
                shift_left(&mut moved, distance);
                assert_eq!(moved[..bytes.len() - distance], bytes[distance..]);
                assert!(moved[bytes.len() - distance..].iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn separators_are_found_as_the_standard_says() {
        let encode = |padding: &[u8]| [&[0, 2][..], padding, &[0, 7, 7]].concat();
        let right = encode(&[1; 8]);
        assert_eq!(find_separator(&right), (usize::MAX, 10));
        assert_eq!(find_separator(&encode(&[1; 7])).0, 0);
        assert_eq!(find_separator(&[0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]).0, 0);
        let mut wrong = right.clone();
        wrong[1] = 1;
        assert_eq!(find_separator(&wrong).0, 0);
        wrong = right;
        wrong[0] = 1;
        assert_eq!(find_separator(&wrong).0, 0);
    }
}
