//! Elliptic curves: ECDSA (FIPS 186-5) and ECDH (SP 800-56A) on P-224, P-256, P-384, P-521 and secp256k1.

use crate::ffi;

use crate::digest::Hash;
use crate::error::check;
use crate::owned::{Owned, bignum};
use crate::{Error, Secret, digest, keys};

/// Writes an ECDSA signature as DER (RFC 3279 section 2.2.3): both numbers are big-endian. None if one is longer than any curve's.
#[must_use]
pub fn der_signature(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..)?;
        // A first bit that is set would make it negative; nothing at all is zero.
        let sign = digits.first().is_none_or(|byte| byte & 0x80 != 0);
        let length = u8::try_from(digits.len()).ok()?.checked_add(u8::from(sign))?;
        let front = [2, length, 0];
        Some([front.get(..2_usize.saturating_add(usize::from(sign)))?, digits].concat())
    };
    let both = [integer(r)?, integer(s)?].concat();
    let length = u8::try_from(both.len()).ok()?;
    // 128 and more is written with a byte that says how long the length is.
    let head: &[u8] = if length < 0x80 { &[0x30, length] } else { &[0x30, 0x81, length] };
    Some([head, &both].concat())
}

/// A curve of prime order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as its standard names it")]
pub enum Curve {
    P224,
    P256,
    P384,
    P521,
    Secp256k1,
}

/// Bytes of the longest raw signature: two scalars of P-521.
pub const SIGNATURE_BYTES_MAX: usize = 132;

impl Curve {
    /// All curves.
    pub const ALL: [Self; 5] = [Self::P224, Self::P256, Self::P384, Self::P521, Self::Secp256k1];

    /// Returns the bytes of a coordinate, and of a scalar.
    #[must_use]
    pub const fn field_bytes(self) -> usize {
        match self {
            Self::P224 => 28,
            Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    const fn nid(self) -> i32 {
        match self {
            Self::P224 => ffi::NID_secp224r1,
            Self::P256 => ffi::NID_X9_62_prime256v1,
            Self::P384 => ffi::NID_secp384r1,
            Self::P521 => ffi::NID_secp521r1,
            Self::Secp256k1 => ffi::NID_secp256k1,
        }
    }

    fn new_key(self) -> Result<Owned<ffi::EC_KEY>, Error> {
        // SAFETY: takes a number.
        Owned::new(unsafe { ffi::EC_KEY_new_by_curve_name(self.nid()) }, Error::Library)
    }

    fn of(key: &Owned<ffi::EC_KEY>) -> Option<Self> {
        // SAFETY: the key is live, and so is its group.
        let group = unsafe { ffi::EC_KEY_get0_group(key.as_ptr()) };
        // SAFETY: the group is a constant of the library.
        let nid = unsafe { ffi::EC_GROUP_get_curve_name(group) };
        Self::ALL.into_iter().find(|curve| curve.nid() == nid)
    }
}

fn wrap(key: &Owned<ffi::EC_KEY>) -> Result<Owned<ffi::EVP_PKEY>, Error> {
    // SAFETY: takes nothing.
    let wrapped = Owned::new(unsafe { ffi::EVP_PKEY_new() }, Error::Library)?;
    // SAFETY: both are live; the wrapper counts its own reference.
    check(unsafe { ffi::EVP_PKEY_set1_EC_KEY(wrapped.as_ptr(), key.as_ptr()) }, Error::Library)?;
    Ok(wrapped)
}

fn unwrap(wrapped: &Owned<ffi::EVP_PKEY>) -> Result<(Curve, Owned<ffi::EC_KEY>), Error> {
    // SAFETY: the wrapper is live; the function counts a reference for us, or returns null for another type.
    let key = unsafe { ffi::EVP_PKEY_get1_EC_KEY(wrapped.as_ptr()) };
    let key = Owned::new(key, Error::KeyInvalid)?;
    let curve = Curve::of(&key).ok_or(Error::KeyInvalid)?;
    Ok((curve, key))
}

/// A private key, with its public key.
pub struct PrivateKey {
    curve: Curve,
    key: Owned<ffi::EC_KEY>,
}

impl PrivateKey {
    /// Makes a key, and tests the pair.
    ///
    /// # Errors
    /// [`Error::Pairwise`] if the pair does not fit.
    pub fn generate(curve: Curve) -> Result<Self, Error> {
        let key = curve.new_key()?;
        // SAFETY: the key is live and new. The function tests the pair by itself (FIPS 140-3 IG 10.3.A).
        check(unsafe { ffi::EC_KEY_generate_key_fips(key.as_ptr()) }, Error::Pairwise)?;
        Ok(Self { curve, key })
    }

    /// Takes a scalar, most significant byte first, and computes the public key.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] if it is not 1 to the order less 1.
    pub fn from_scalar(curve: Curve, scalar: &[u8]) -> Result<Self, Error> {
        let significant = scalar.iter().skip_while(|&&byte| byte == 0).count();
        if significant == 0 || significant > curve.field_bytes() {
            return Err(Error::KeyInvalid);
        }
        let key = curve.new_key()?;
        let number = bignum(scalar)?;
        // SAFETY: the key is live, and so is its group.
        let group = unsafe { ffi::EC_KEY_get0_group(key.as_ptr()) };
        // SAFETY: both are live; the function refuses a number that is not below the order.
        let set = unsafe { ffi::EC_KEY_set_private_key(key.as_ptr(), number.as_ptr()) };
        check(set, Error::KeyInvalid)?;
        // SAFETY: the group is a constant of the library.
        let point = Owned::new(unsafe { ffi::EC_POINT_new(group) }, Error::Library)?;
        // SAFETY: all are live; the null ones are not used.
        let multiplied = unsafe {
            ffi::EC_POINT_mul(
                group,
                point.as_ptr(),
                number.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                std::ptr::null_mut(),
            )
        };
        check(multiplied, Error::KeyInvalid)?;
        // SAFETY: both are live; the key copies the point.
        let set = unsafe { ffi::EC_KEY_set_public_key(key.as_ptr(), point.as_ptr()) };
        check(set, Error::KeyInvalid)?;
        // SAFETY: the key is live.
        check(unsafe { ffi::EC_KEY_check_key(key.as_ptr()) }, Error::KeyInvalid)?;
        Ok(Self { curve, key })
    }

    /// Reads PKCS#8.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] if it is damaged or of another type.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let (curve, key) = unwrap(&keys::parse_pkcs8(pkcs8)?)?;
        // SAFETY: the key is live.
        check(unsafe { ffi::EC_KEY_check_key(key.as_ptr()) }, Error::KeyInvalid)?;
        Ok(Self { curve, key })
    }

    /// Writes PKCS#8.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        keys::marshal_pkcs8(&wrap(&self.key)?)
    }

    /// Returns the scalar, as long as a coordinate.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn scalar(&self) -> Result<Secret, Error> {
        let mut bytes = zeroize::Zeroizing::new(vec![0; self.curve.field_bytes()]);
        // SAFETY: the key is live, and so is its scalar.
        let scalar = unsafe { ffi::EC_KEY_get0_private_key(self.key.as_ptr()) };
        // SAFETY: the buffer is as long as the order, and the scalar is below it.
        let done = unsafe { ffi::BN_bn2bin_padded(bytes.as_mut_ptr(), bytes.len(), scalar) };
        check(done, Error::Library)?;
        Ok(Secret::from_vec(std::mem::take(&mut *bytes)))
    }

    /// Returns the curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// Returns the public key.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_point(self.curve, &point_bytes(self.curve, &self.key)?)
    }

    /// Signs a digest: r ‖ s, each as long as a scalar. A digest longer than the order is cut (FIPS 186-5 §6.4.1).
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn sign(&self, digest: &[u8]) -> Result<Signature, Error> {
        // SAFETY: pointer and length are of one slice; the key is live and has a private part.
        let raw = unsafe { ffi::ECDSA_do_sign(digest.as_ptr(), digest.len(), self.key.as_ptr()) };
        let raw = Owned::new(raw, Error::Library)?;
        let (mut r, mut s) = (std::ptr::null(), std::ptr::null());
        // SAFETY: the signature is live, and so are its numbers while it is.
        unsafe { ffi::ECDSA_SIG_get0(raw.as_ptr(), &raw mut r, &raw mut s) };
        let width = self.curve.field_bytes();
        let mut bytes = [0; SIGNATURE_BYTES_MAX];
        let (front, rest) = bytes.split_at_mut(width);
        // SAFETY: the buffer is as long as the order, and both numbers are below it.
        check(unsafe { ffi::BN_bn2bin_padded(front.as_mut_ptr(), width, r) }, Error::Library)?;
        let back = rest.get_mut(..width).ok_or(Error::Library)?;
        // SAFETY: as above.
        check(unsafe { ffi::BN_bn2bin_padded(back.as_mut_ptr(), width, s) }, Error::Library)?;
        Ok(Signature { bytes, length: 2 * width })
    }

    /// Hashes and signs a message, as X.509 wants it: a DER sequence of r and s.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn sign_der(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>, Error> {
        let digest = digest::hash(hash, message);
        let digest = digest.as_ref();
        // SAFETY: the key is live.
        let size = unsafe { ffi::ECDSA_size(self.key.as_ptr()) };
        let mut out = vec![0; size];
        let mut length = 0;
        // SAFETY: the buffer is as long as the longest signature of this key; the first argument is not used.
        let done = unsafe {
            ffi::ECDSA_sign(
                0,
                digest.as_ptr(),
                digest.len(),
                out.as_mut_ptr(),
                &raw mut length,
                self.key.as_ptr(),
            )
        };
        check(done, Error::Library)?;
        out.truncate(usize::try_from(length).map_err(|_error| Error::Library)?);
        Ok(out)
    }

    /// Agrees on a secret: the x-coordinate of the shared point.
    ///
    /// # Errors
    /// [`Error::PublicKeyInvalid`] if the peer's key is of another curve.
    pub fn agree(&self, peer: &PublicKey) -> Result<Secret, Error> {
        if peer.curve != self.curve {
            return Err(Error::PublicKeyInvalid);
        }
        let mut out = zeroize::Zeroizing::new(vec![0; self.curve.field_bytes()]);
        // SAFETY: the peer's key is live, and so is its point.
        let point = unsafe { ffi::EC_KEY_get0_public_key(peer.key.as_ptr()) };
        // SAFETY: all are live, the buffer is as long as a coordinate, and there is no KDF.
        let length = unsafe {
            ffi::ECDH_compute_key(
                out.as_mut_ptr().cast(),
                out.len(),
                point,
                self.key.as_ptr(),
                None,
            )
        };
        if usize::try_from(length) != Ok(out.len()) {
            return Err(Error::PublicKeyInvalid);
        }
        Ok(Secret::from_vec(std::mem::take(&mut *out)))
    }
}

/// A raw signature: r ‖ s.
pub struct Signature {
    bytes: [u8; SIGNATURE_BYTES_MAX],
    length: usize,
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

fn point_bytes(curve: Curve, key: &Owned<ffi::EC_KEY>) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; 1 + 2 * curve.field_bytes()];
    // SAFETY: the key is live, and so is its group.
    let group = unsafe { ffi::EC_KEY_get0_group(key.as_ptr()) };
    // SAFETY: the key is live, and so is its point.
    let point = unsafe { ffi::EC_KEY_get0_public_key(key.as_ptr()) };
    let form = ffi::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED;
    // SAFETY: all are live, and the buffer is as long as an uncompressed point.
    let length = unsafe {
        ffi::EC_POINT_point2oct(
            group,
            point,
            form,
            out.as_mut_ptr(),
            out.len(),
            std::ptr::null_mut(),
        )
    };
    if length == out.len() { Ok(out) } else { Err(Error::Library) }
}

/// A public key.
pub struct PublicKey {
    curve: Curve,
    key: Owned<ffi::EC_KEY>,
}

impl PublicKey {
    /// Reads a point, uncompressed or compressed (SEC 1 §2.3.4), and checks that it is on the curve. The hybrid form, which says
    /// one thing twice, is of X9.62 alone, and refused.
    ///
    /// # Errors
    /// [`Error::PublicKeyInvalid`].
    pub fn from_point(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        if !matches!(bytes.first(), Some(2..=4)) {
            return Err(Error::PublicKeyInvalid);
        }
        let key = curve.new_key()?;
        // SAFETY: the key is live, and so is its group.
        let group = unsafe { ffi::EC_KEY_get0_group(key.as_ptr()) };
        // SAFETY: the group is a constant of the library.
        let point = Owned::new(unsafe { ffi::EC_POINT_new(group) }, Error::Library)?;
        // SAFETY: all are live; pointer and length are of one slice. The function checks the curve's equation.
        let read = unsafe {
            ffi::EC_POINT_oct2point(
                group,
                point.as_ptr(),
                bytes.as_ptr(),
                bytes.len(),
                std::ptr::null_mut(),
            )
        };
        check(read, Error::PublicKeyInvalid)?;
        // SAFETY: both are live; the key copies the point.
        let set = unsafe { ffi::EC_KEY_set_public_key(key.as_ptr(), point.as_ptr()) };
        check(set, Error::PublicKeyInvalid)?;
        // SAFETY: the key is live.
        check(unsafe { ffi::EC_KEY_check_key(key.as_ptr()) }, Error::PublicKeyInvalid)?;
        Ok(Self { curve, key })
    }

    /// Reads SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::KeyInvalid`] if it is damaged or of another type.
    pub fn from_spki(spki: &[u8]) -> Result<Self, Error> {
        let (curve, key) = unwrap(&keys::parse_spki(spki)?)?;
        Ok(Self { curve, key })
    }

    /// Writes SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn to_spki(&self) -> Result<Vec<u8>, Error> {
        keys::marshal_spki(&wrap(&self.key)?)
    }

    /// Returns the point, uncompressed.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn point(&self) -> Result<Vec<u8>, Error> {
        point_bytes(self.curve, &self.key)
    }

    /// Returns the curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// Verifies r ‖ s on a digest.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        let width = self.curve.field_bytes();
        if signature.len() != 2 * width {
            return Err(Error::Signature);
        }
        let (r, s) = signature.split_at(width);
        // SAFETY: takes nothing.
        let raw = Owned::new(unsafe { ffi::ECDSA_SIG_new() }, Error::Library)?;
        let (r, s) = (bignum(r)?, bignum(s)?);
        // SAFETY: all are live; on success the signature owns the numbers, so they are released below.
        let set = unsafe { ffi::ECDSA_SIG_set0(raw.as_ptr(), r.as_ptr(), s.as_ptr()) };
        check(set, Error::Library)?;
        let _ = (r.release(), s.release());
        // SAFETY: pointer and length are of one slice; signature and key are live.
        let verified = unsafe {
            ffi::ECDSA_do_verify(digest.as_ptr(), digest.len(), raw.as_ptr(), self.key.as_ptr())
        };
        check(verified, Error::Signature)
    }
}
