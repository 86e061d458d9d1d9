//! PKCS#8 (RFC 5958) and SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) of every asymmetric key, by the library's own parser.

use std::mem::MaybeUninit;

use crate::ffi;
use zeroize::Zeroize as _;

use crate::digest::Hash;
use crate::error::check;
use crate::owned::Owned;
use crate::{Error, Secret};

fn parse(
    bytes: &[u8],
    parse: unsafe extern "C" fn(*mut ffi::CBS) -> *mut ffi::EVP_PKEY,
) -> Result<Owned<ffi::EVP_PKEY>, Error> {
    let mut input = MaybeUninit::<ffi::CBS>::uninit();
    // SAFETY: the function fills `input` with the slice's pointer and length.
    unsafe { ffi::CBS_init(input.as_mut_ptr(), bytes.as_ptr(), bytes.len()) };
    // SAFETY: `input` was filled, and the slice outlives the call.
    let key = Owned::new(unsafe { parse(input.as_mut_ptr()) }, Error::KeyInvalid)?;
    // SAFETY: `input` is still what the parser left of it.
    let rest = unsafe { ffi::CBS_len(input.as_ptr()) };
    if rest == 0 { Ok(key) } else { Err(Error::KeyInvalid) }
}

/// Reads a private key as PKCS#8.
pub(crate) fn parse_pkcs8(bytes: &[u8]) -> Result<Owned<ffi::EVP_PKEY>, Error> {
    parse(bytes, ffi::EVP_parse_private_key)
}

/// Reads a public key as SubjectPublicKeyInfo.
pub(crate) fn parse_spki(bytes: &[u8]) -> Result<Owned<ffi::EVP_PKEY>, Error> {
    parse(bytes, ffi::EVP_parse_public_key)
}

fn marshal(
    key: &Owned<ffi::EVP_PKEY>,
    marshal: unsafe extern "C" fn(*mut ffi::CBB, *const ffi::EVP_PKEY) -> std::ffi::c_int,
) -> Result<Vec<u8>, Error> {
    let mut output = MaybeUninit::<ffi::CBB>::zeroed();
    // SAFETY: the function fills `output`.
    check(unsafe { ffi::CBB_init(output.as_mut_ptr(), 512) }, Error::Library)?;
    // SAFETY: `output` was filled, and the key is live.
    let done = unsafe { marshal(output.as_mut_ptr(), key.as_ptr()) };
    let mut bytes = std::ptr::null_mut();
    let mut length = 0;
    // SAFETY: `output` was filled; it is finished once, and hands out a buffer of `length` bytes.
    let finished = unsafe { ffi::CBB_finish(output.as_mut_ptr(), &raw mut bytes, &raw mut length) };
    if finished != 1 {
        // SAFETY: `output` was filled and not finished.
        unsafe { ffi::CBB_cleanup(output.as_mut_ptr()) };
        return Err(Error::Library);
    }
    // SAFETY: the library handed out `length` bytes at `bytes`, which are ours until they are freed below.
    let buffer = unsafe { std::slice::from_raw_parts_mut(bytes, length) };
    let copy = buffer.to_vec();
    buffer.zeroize();
    // SAFETY: the buffer is the library's, and freed once.
    unsafe { ffi::OPENSSL_free(bytes.cast()) };
    check(done, Error::Library).map(|()| copy)
}

/// Writes a private key as PKCS#8.
pub(crate) fn marshal_pkcs8(key: &Owned<ffi::EVP_PKEY>) -> Result<Secret, Error> {
    marshal(key, ffi::EVP_marshal_private_key).map(Secret::from_vec)
}

/// Writes a public key as SubjectPublicKeyInfo.
pub(crate) fn marshal_spki(key: &Owned<ffi::EVP_PKEY>) -> Result<Vec<u8>, Error> {
    marshal(key, ffi::EVP_marshal_public_key)
}

/// Makes a context for an operation with a key.
pub(crate) fn context(key: &Owned<ffi::EVP_PKEY>) -> Result<Owned<ffi::EVP_PKEY_CTX>, Error> {
    // SAFETY: the key is live, and the context counts its own reference; no engine.
    let context = unsafe { ffi::EVP_PKEY_CTX_new(key.as_ptr(), std::ptr::null_mut()) };
    Owned::new(context, Error::Library)
}

/// Makes a context for an algorithm without a key.
pub(crate) fn context_for(algorithm: std::ffi::c_int) -> Result<Owned<ffi::EVP_PKEY_CTX>, Error> {
    // SAFETY: takes a number; no engine.
    let context = unsafe { ffi::EVP_PKEY_CTX_new_id(algorithm, std::ptr::null_mut()) };
    Owned::new(context, Error::Library)
}

type GetRaw = unsafe extern "C" fn(*const ffi::EVP_PKEY, *mut u8, *mut usize) -> std::ffi::c_int;

/// Reads a raw form of a key: asks for its length, then for its bytes.
pub(crate) fn raw(key: &Owned<ffi::EVP_PKEY>, get: GetRaw) -> Result<Secret, Error> {
    let mut length = 0;
    // SAFETY: null asks for the length.
    check(unsafe { get(key.as_ptr(), std::ptr::null_mut(), &raw mut length) }, Error::Library)?;
    let mut bytes = zeroize::Zeroizing::new(vec![0; length]);
    // SAFETY: the buffer is as long as `length` says.
    check(unsafe { get(key.as_ptr(), bytes.as_mut_ptr(), &raw mut length) }, Error::Library)?;
    bytes.truncate(length);
    Ok(Secret::from_vec(std::mem::take(&mut *bytes)))
}

/// Verifies a signature by the public key of a certificate: RSA PKCS#1 v1.5 or ECDSA (DER) with `hash`, or Ed25519.
///
/// # Errors
/// [`Error::KeyInvalid`] for a key that cannot be read, [`Error::Signature`] otherwise.
pub fn verify_spki(spki: &[u8], hash: Hash, message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let key = parse_spki(spki)?;
    // SAFETY: takes nothing.
    let context = Owned::new(unsafe { ffi::EVP_MD_CTX_new() }, Error::Library)?;
    // SAFETY: the key is live.
    let ed25519 = unsafe { ffi::EVP_PKEY_id(key.as_ptr()) } == ffi::EVP_PKEY_ED25519;
    let md = if ed25519 { std::ptr::null() } else { hash.md() };
    // SAFETY: context and key are live; nothing else is asked for.
    let done = unsafe {
        ffi::EVP_DigestVerifyInit(
            context.as_ptr(),
            std::ptr::null_mut(),
            md,
            std::ptr::null_mut(),
            key.as_ptr(),
        )
    };
    check(done, Error::KeyInvalid)?;
    // SAFETY: each pointer goes with the length of its slice.
    let verified = unsafe {
        ffi::EVP_DigestVerify(
            context.as_ptr(),
            signature.as_ptr(),
            signature.len(),
            message.as_ptr(),
            message.len(),
        )
    };
    check(verified, Error::Signature)
}

/// Writes a raw private key (Ed25519, X25519) as PKCS#8 (RFC 8410).
pub(crate) fn raw_to_pkcs8(algorithm: std::ffi::c_int, key: &[u8]) -> Result<Secret, Error> {
    // SAFETY: pointer and length are of one slice; no engine.
    let key = unsafe {
        ffi::EVP_PKEY_new_raw_private_key(algorithm, std::ptr::null_mut(), key.as_ptr(), key.len())
    };
    marshal_pkcs8(&Owned::new(key, Error::KeyLength)?)
}

/// Reads PKCS#8 of a raw private key of this algorithm.
pub(crate) fn raw_from_pkcs8(algorithm: std::ffi::c_int, pkcs8: &[u8]) -> Result<Secret, Error> {
    let key = parse_pkcs8(pkcs8)?;
    // SAFETY: the key is live.
    if unsafe { ffi::EVP_PKEY_id(key.as_ptr()) } != algorithm {
        return Err(Error::KeyInvalid);
    }
    raw(&key, ffi::EVP_PKEY_get_raw_private_key)
}
