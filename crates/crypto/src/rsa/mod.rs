//! RSA (RFC 8017), 2048 to 4096 bits: keys here, signatures and encryption in their own files.
//!
//! Private operations are AWS-LC's: blinded, with CRT, in constant time.

use crate::ffi;

use crate::error::check;
use crate::owned::{Owned, bignum};
use crate::{Error, Secret, keys};

mod encrypt;
mod sign;

pub use encrypt::Oaep;
pub use sign::Pss;

/// The smallest modulus, in bits (SP 800-131A).
pub const MODULUS_BITS_MIN: usize = 2_048;
/// The largest modulus, in bits.
pub const MODULUS_BITS_MAX: usize = 4_096;
/// 2^16 + 1.
pub const PUBLIC_EXPONENT: &[u8] = &[1, 0, 1];

/// The numbers of a private key, most significant byte first.
pub struct Components {
    /// n
    pub modulus: Vec<u8>,
    /// e
    pub public_exponent: Vec<u8>,
    /// d
    pub private_exponent: Secret,
    /// p
    pub prime_1: Secret,
    /// q
    pub prime_2: Secret,
    /// d mod (p − 1)
    pub exponent_1: Secret,
    /// d mod (q − 1)
    pub exponent_2: Secret,
    /// q⁻¹ mod p
    pub coefficient: Secret,
}

fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|&byte| byte != 0).map_or(&[][..], |at| &number[at..]);
    significant
        .first()
        .map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

/// Checks the form of a public key: odd modulus of a legal size, odd exponent of 65,537 to 2^64 (FIPS 186-5 §A.1.1
/// wants 2^16 < e < 2^256; the library takes 64 bits), and no trace of the ROCA generator.
fn check_public(modulus: &[u8], exponent: &[u8]) -> Result<(), Error> {
    let size = bits(modulus);
    if !(MODULUS_BITS_MIN..=MODULUS_BITS_MAX).contains(&size) {
        return Err(Error::KeyLength);
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let sized = (17..=64).contains(&bits(exponent));
    if !odd(modulus) || !odd(exponent) || !sized || has_roca_fingerprint(modulus) {
        return Err(Error::KeyInvalid);
    }
    Ok(())
}

/// Whether a modulus looks as if Infineon's RSALib made it (CVE-2017-15361): modulo each of these primes it lies in the
/// group that 65537 generates. A random modulus does so with a probability of about 2^-28.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] =
        [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|&prime| {
        let residue =
            modulus.iter().fold(0_u32, |residue, &byte| (residue * 256 + u32::from(byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * (65_537 % prime) % prime;
            power == residue
        })
    })
}

fn bytes_of(number: *const ffi::BIGNUM) -> Result<Secret, Error> {
    if number.is_null() {
        return Err(Error::KeyInvalid);
    }
    // SAFETY: the number is live: it belongs to a key that the caller holds.
    let length = unsafe { ffi::BN_num_bytes(number) } as usize;
    let mut bytes = zeroize::Zeroizing::new(vec![0; length]);
    // SAFETY: the buffer is as long as the number.
    let done = unsafe { ffi::BN_bn2bin_padded(bytes.as_mut_ptr(), length, number) };
    check(done, Error::Library)?;
    Ok(Secret::from_vec(std::mem::take(&mut *bytes)))
}

fn wrap(key: &Owned<ffi::RSA>) -> Result<Owned<ffi::EVP_PKEY>, Error> {
    // SAFETY: takes nothing.
    let wrapped = Owned::new(unsafe { ffi::EVP_PKEY_new() }, Error::Library)?;
    // SAFETY: both are live; the wrapper counts its own reference.
    check(unsafe { ffi::EVP_PKEY_set1_RSA(wrapped.as_ptr(), key.as_ptr()) }, Error::Library)?;
    Ok(wrapped)
}

fn unwrap(wrapped: &Owned<ffi::EVP_PKEY>) -> Result<Owned<ffi::RSA>, Error> {
    // SAFETY: the wrapper is live; the function counts a reference for us, or returns null for another type.
    Owned::new(unsafe { ffi::EVP_PKEY_get1_RSA(wrapped.as_ptr()) }, Error::KeyInvalid)
}

/// A private key, with its public key.
pub struct PrivateKey {
    key: Owned<ffi::RSA>,
    public: PublicKey,
    /// SHA-256 of the private exponent, as long as the modulus: the key of implicit rejection.
    rejection: Secret,
}

impl PrivateKey {
    /// Makes a key, and tests the pair. Takes up to seconds.
    ///
    /// # Errors
    /// [`Error::KeyLength`] for a size that is not 2048 to 4096 in steps of 256; [`Error::KeyInvalid`] for an exponent
    /// that is not odd and 65,537 to 2^64.
    pub fn generate(modulus_bits: usize, public_exponent: &[u8]) -> Result<Self, Error> {
        let size = i32::try_from(modulus_bits).map_err(|_error| Error::KeyLength)?;
        let legal = (MODULUS_BITS_MIN..=MODULUS_BITS_MAX).contains(&modulus_bits);
        if !legal || modulus_bits % 256 != 0 {
            return Err(Error::KeyLength);
        }
        let odd = public_exponent.last().is_some_and(|last| last % 2 == 1);
        if !odd || !(17..=64).contains(&bits(public_exponent)) {
            return Err(Error::KeyInvalid);
        }
        // SAFETY: takes nothing.
        let key = Owned::new(unsafe { ffi::RSA_new() }, Error::Library)?;
        let exponent = bignum(public_exponent)?;
        // SAFETY: both are live; no callback.
        let made = unsafe {
            ffi::RSA_generate_key_ex(key.as_ptr(), size, exponent.as_ptr(), std::ptr::null_mut())
        };
        check(made, Error::Library)?;
        // SAFETY: the key is live. Checks the numbers and tests the pair (FIPS 140-3 IG 10.3.A).
        check(unsafe { ffi::RSA_check_fips(key.as_ptr()) }, Error::Pairwise)?;
        Self::new(key)
    }

    fn new(key: Owned<ffi::RSA>) -> Result<Self, Error> {
        let (mut n, mut e, mut d) = (std::ptr::null(), std::ptr::null(), std::ptr::null());
        // SAFETY: the key is live, and so are its numbers while it is.
        unsafe { ffi::RSA_get0_key(key.as_ptr(), &raw mut n, &raw mut e, &raw mut d) };
        let public = PublicKey::new(bytes_of(n)?.expose(), bytes_of(e)?.expose())?;
        let exponent = bytes_of(d)?;
        let padding = public.modulus_bytes().saturating_sub(exponent.len());
        let zeros = vec![0; padding];
        let rejection = crate::digest::sha256(&[&zeros, exponent.expose()]);
        Ok(Self { key, public, rejection: Secret::from_slice(&rejection) })
    }

    /// Takes the numbers of a key, and checks that they fit each other.
    ///
    /// # Errors
    /// [`Error::KeyLength`] for a modulus that is too small or too large; [`Error::KeyInvalid`] if the numbers contradict each other or
    /// the key is weak.
    pub fn from_components(parts: &Components) -> Result<Self, Error> {
        check_public(&parts.modulus, &parts.public_exponent)?;
        let number = |secret: &Secret| bignum(secret.expose());
        let (n, e) = (bignum(&parts.modulus)?, bignum(&parts.public_exponent)?);
        let (d, p, q) =
            (number(&parts.private_exponent)?, number(&parts.prime_1)?, number(&parts.prime_2)?);
        let (dp, dq) = (number(&parts.exponent_1)?, number(&parts.exponent_2)?);
        let iq = number(&parts.coefficient)?;
        // SAFETY: all are live; the key copies them, and checks that they fit each other.
        let key = unsafe {
            ffi::RSA_new_private_key(
                n.as_ptr(),
                e.as_ptr(),
                d.as_ptr(),
                p.as_ptr(),
                q.as_ptr(),
                dp.as_ptr(),
                dq.as_ptr(),
                iq.as_ptr(),
            )
        };
        Self::checked(Owned::new(key, Error::KeyInvalid)?)
    }

    fn checked(key: Owned<ffi::RSA>) -> Result<Self, Error> {
        // SAFETY: the key is live.
        check(unsafe { ffi::RSA_check_key(key.as_ptr()) }, Error::KeyInvalid)?;
        let key = Self::new(key)?;
        key.components()?;
        Ok(key)
    }

    /// Reads PKCS#8.
    ///
    /// # Errors
    /// As [`PrivateKey::from_components`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        Self::checked(unwrap(&keys::parse_pkcs8(pkcs8)?)?)
    }

    /// Writes PKCS#8.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        keys::marshal_pkcs8(&wrap(&self.key)?)
    }

    /// Returns the numbers of the key.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] if it lacks some.
    pub fn components(&self) -> Result<Components, Error> {
        let (mut n, mut e, mut d) = (std::ptr::null(), std::ptr::null(), std::ptr::null());
        // SAFETY: the key is live, and so are its numbers while it is.
        unsafe { ffi::RSA_get0_key(self.key.as_ptr(), &raw mut n, &raw mut e, &raw mut d) };
        let (mut p, mut q) = (std::ptr::null(), std::ptr::null());
        // SAFETY: as above.
        unsafe { ffi::RSA_get0_factors(self.key.as_ptr(), &raw mut p, &raw mut q) };
        let (mut dp, mut dq, mut iq) = (std::ptr::null(), std::ptr::null(), std::ptr::null());
        // SAFETY: as above.
        unsafe {
            ffi::RSA_get0_crt_params(self.key.as_ptr(), &raw mut dp, &raw mut dq, &raw mut iq);
        }
        Ok(Components {
            modulus: bytes_of(n)?.expose().to_vec(),
            public_exponent: bytes_of(e)?.expose().to_vec(),
            private_exponent: bytes_of(d)?,
            prime_1: bytes_of(p)?,
            prime_2: bytes_of(q)?,
            exponent_1: bytes_of(dp)?,
            exponent_2: bytes_of(dq)?,
            coefficient: bytes_of(iq)?,
        })
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The raw private operation (`CKM_RSA_X_509`): the input is as long as the modulus, and below it.
    ///
    /// # Errors
    /// [`Error::DataLength`] or [`Error::DataInvalid`].
    pub fn raw(&self, input: &[u8]) -> Result<Secret, Error> {
        let size = self.public.modulus_bytes();
        if input.len() != size {
            return Err(Error::DataLength);
        }
        let mut out = zeroize::Zeroizing::new(vec![0; size]);
        let mut length = 0;
        // SAFETY: the key is live; each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::RSA_decrypt(
                self.key.as_ptr(),
                &raw mut length,
                out.as_mut_ptr(),
                out.len(),
                input.as_ptr(),
                input.len(),
                ffi::RSA_NO_PADDING,
            )
        };
        check(done, Error::DataInvalid)?;
        Ok(Secret::from_vec(std::mem::take(&mut *out)))
    }
}

/// A public key.
pub struct PublicKey {
    key: Owned<ffi::RSA>,
    modulus_bits: usize,
}

impl PublicKey {
    /// Takes modulus and exponent, most significant byte first.
    ///
    /// # Errors
    /// [`Error::KeyLength`] or [`Error::KeyInvalid`].
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, Error> {
        check_public(modulus, exponent)?;
        let (n, e) = (bignum(modulus)?, bignum(exponent)?);
        // SAFETY: both are live; the key copies them.
        let key = unsafe { ffi::RSA_new_public_key(n.as_ptr(), e.as_ptr()) };
        Ok(Self { key: Owned::new(key, Error::KeyInvalid)?, modulus_bits: bits(modulus) })
    }

    /// Reads SubjectPublicKeyInfo: returns modulus and exponent.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`].
    pub fn numbers_from_spki(spki: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let key = unwrap(&keys::parse_spki(spki)?)?;
        let (mut n, mut e) = (std::ptr::null(), std::ptr::null());
        // SAFETY: the key is live, and so are its numbers while it is; null is not asked for.
        unsafe { ffi::RSA_get0_key(key.as_ptr(), &raw mut n, &raw mut e, std::ptr::null_mut()) };
        Ok((bytes_of(n)?.expose().to_vec(), bytes_of(e)?.expose().to_vec()))
    }

    /// Writes SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_spki(&self) -> Result<Vec<u8>, Error> {
        keys::marshal_spki(&wrap(&self.key)?)
    }

    fn modulus(&self) -> Result<Vec<u8>, Error> {
        let mut n = std::ptr::null();
        let (e, d) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the key is live, and so is its modulus while it is; null is not asked for.
        unsafe { ffi::RSA_get0_key(self.key.as_ptr(), &raw mut n, e, d) };
        bytes_of(n).map(|modulus| modulus.expose().to_vec())
    }

    /// Returns the bits of the modulus.
    #[must_use]
    pub const fn modulus_bits(&self) -> usize {
        self.modulus_bits
    }

    /// Returns the bytes of the modulus.
    #[must_use]
    pub const fn modulus_bytes(&self) -> usize {
        self.modulus_bits.div_ceil(8)
    }

    /// The raw public operation (`CKM_RSA_X_509`): the input is as long as the modulus, and below it.
    ///
    /// # Errors
    /// [`Error::DataLength`] or [`Error::DataInvalid`].
    pub fn raw(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        if input.len() != self.modulus_bytes() {
            return Err(Error::DataLength);
        }
        self.encrypt_with(input, ffi::RSA_NO_PADDING).map_err(|_error| Error::DataInvalid)
    }

    fn encrypt_with(&self, input: &[u8], padding: i32) -> Result<Vec<u8>, Error> {
        let mut out = vec![0; self.modulus_bytes()];
        let mut length = 0;
        // SAFETY: the key is live; each pointer goes with the length of its slice.
        let done = unsafe {
            ffi::RSA_encrypt(
                self.key.as_ptr(),
                &raw mut length,
                out.as_mut_ptr(),
                out.len(),
                input.as_ptr(),
                input.len(),
                padding,
            )
        };
        check(done, Error::DataLength).map(|()| out)
    }
}
