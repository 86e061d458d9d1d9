//! Safe cryptography over AWS-LC (draft of the parts that the module's core needs).
#![allow(clippy::all, missing_docs, warnings)]
use aws_lc_sys as ffi;
pub mod random {
    pub fn fill(out: &mut [u8]) {
        let r = unsafe { super::ffi::RAND_bytes(out.as_mut_ptr(), out.len()) };
        assert_eq!(r, 1);
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}
impl Hash {
    fn md(self) -> *const ffi::EVP_MD {
        unsafe {
            match self {
                Hash::Sha1 => ffi::EVP_sha1(),
                Hash::Sha224 => ffi::EVP_sha224(),
                Hash::Sha256 => ffi::EVP_sha256(),
                Hash::Sha384 => ffi::EVP_sha384(),
                Hash::Sha512 => ffi::EVP_sha512(),
            }
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("failed")]
    Internal,
}
pub struct Secret(zeroize::Zeroizing<Vec<u8>>);
impl Secret {
    pub fn from_slice(s: &[u8]) -> Self {
        Self(zeroize::Zeroizing::new(s.to_vec()))
    }
    pub fn from_vec(s: Vec<u8>) -> Self {
        Self(zeroize::Zeroizing::new(s))
    }
    pub fn random(n: usize) -> Self {
        let mut v = vec![0; n];
        random::fill(&mut v);
        Self::from_vec(v)
    }
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && unsafe { ffi::CRYPTO_memcmp(a.as_ptr().cast(), b.as_ptr().cast(), a.len()) } == 0
}
pub fn is_fips_library() -> bool {
    false
}
pub mod digest {
    use super::*;
    pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        let mut x = Hasher::new(Hash::Sha256);
        for p in parts {
            x.update(p);
        }
        x.finish().try_into().unwrap()
    }
    pub fn hash(h: Hash, data: &[u8]) -> Vec<u8> {
        let mut x = Hasher::new(h);
        x.update(data);
        x.finish()
    }
    pub struct Hasher(*mut ffi::EVP_MD_CTX);
    impl Hasher {
        pub fn new(h: Hash) -> Self {
            unsafe {
                let c = ffi::EVP_MD_CTX_new();
                ffi::EVP_DigestInit(c, h.md());
                Self(c)
            }
        }
        pub fn update(&mut self, d: &[u8]) {
            unsafe {
                ffi::EVP_DigestUpdate(self.0, d.as_ptr().cast(), d.len());
            }
        }
        pub fn finish(self) -> Vec<u8> {
            let mut o = vec![0; 64];
            let mut n = 0;
            unsafe {
                ffi::EVP_DigestFinal(self.0, o.as_mut_ptr(), &mut n);
                ffi::EVP_MD_CTX_free(self.0);
            }
            o.truncate(n as usize);
            o
        }
    }
}
pub mod hmac {
    use super::*;
    pub struct Signer(*mut ffi::HMAC_CTX);
    impl Signer {
        pub fn new(h: Hash, key: &[u8]) -> Self {
            unsafe {
                let c = ffi::HMAC_CTX_new();
                ffi::HMAC_Init_ex(c, key.as_ptr().cast(), key.len(), h.md(), std::ptr::null_mut());
                Self(c)
            }
        }
        pub fn update(&mut self, d: &[u8]) {
            unsafe {
                ffi::HMAC_Update(self.0, d.as_ptr(), d.len());
            }
        }
        pub fn finish(self) -> Vec<u8> {
            let mut o = vec![0; 64];
            let mut n = 0;
            unsafe {
                ffi::HMAC_Final(self.0, o.as_mut_ptr(), &mut n);
                ffi::HMAC_CTX_free(self.0);
            }
            o.truncate(n as usize);
            o
        }
    }
    pub fn sign_parts(h: Hash, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let mut s = Signer::new(h, key);
        for p in parts {
            s.update(p);
        }
        s.finish()
    }
}
pub mod kdf {
    use super::*;
    pub fn counter_hmac(h: Hash, key: &[u8], label: &[u8], context: &[u8], out: &mut [u8]) {
        let info = [label, &[0], context].concat();
        let r = unsafe {
            ffi::KBKDF_ctr_hmac(
                out.as_mut_ptr(),
                out.len(),
                h.md(),
                key.as_ptr(),
                key.len(),
                info.as_ptr(),
                info.len(),
            )
        };
        assert_eq!(r, 1);
    }
    pub fn pbkdf2(h: Hash, p: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
        let r = unsafe {
            ffi::PKCS5_PBKDF2_HMAC(
                p.as_ptr().cast(),
                p.len(),
                salt.as_ptr(),
                salt.len(),
                rounds,
                h.md(),
                out.len(),
                out.as_mut_ptr(),
            )
        };
        assert_eq!(r, 1);
    }
}
pub mod aes {
    use super::*;
    pub fn seal_gcm_once(key: &[u8], aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) {
        unsafe {
            let c = ffi::EVP_AEAD_CTX_new(ffi::EVP_aead_aes_256_gcm(), key.as_ptr(), key.len(), 16);
            let mut iv = [0; 12];
            random::fill(&mut iv);
            out.extend_from_slice(&iv);
            let at = out.len();
            out.resize(at + plaintext.len() + 16, 0);
            let mut n = 0;
            let r = ffi::EVP_AEAD_CTX_seal(
                c,
                out[at..].as_mut_ptr(),
                &mut n,
                plaintext.len() + 16,
                iv.as_ptr(),
                12,
                plaintext.as_ptr(),
                plaintext.len(),
                aad.as_ptr(),
                aad.len(),
            );
            assert_eq!(r, 1);
            ffi::EVP_AEAD_CTX_free(c);
        }
    }
    pub fn open_gcm_once(key: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        unsafe {
            let (iv, ct) = sealed.split_at_checked(12).ok_or(Error::Internal)?;
            let mut out = vec![0; ct.len()];
            let mut n = 0;
            let c = ffi::EVP_AEAD_CTX_new(ffi::EVP_aead_aes_256_gcm(), key.as_ptr(), key.len(), 16);
            let r = ffi::EVP_AEAD_CTX_open(
                c,
                out.as_mut_ptr(),
                &mut n,
                out.len(),
                iv.as_ptr(),
                12,
                ct.as_ptr(),
                ct.len(),
                aad.as_ptr(),
                aad.len(),
            );
            ffi::EVP_AEAD_CTX_free(c);
            if r != 1 {
                return Err(Error::Internal);
            }
            out.truncate(n);
            Ok(Secret::from_vec(out))
        }
    }
}
pub mod ec {
    use super::*;
    #[derive(Clone, Copy)]
    pub enum Curve {
        P256,
    }
    pub struct PrivateKey(*mut ffi::EVP_PKEY);
    pub struct PublicKey(Vec<u8>);
    unsafe fn take(mut cbb: ffi::CBB) -> Vec<u8> {
        unsafe {
            let mut p = std::ptr::null_mut();
            let mut n = 0;
            ffi::CBB_finish(&mut cbb, &mut p, &mut n);
            let v = std::slice::from_raw_parts(p, n).to_vec();
            ffi::OPENSSL_free(p.cast());
            v
        }
    }
    impl PrivateKey {
        pub fn generate(_c: Curve) -> Result<Self, Error> {
            unsafe {
                let k = ffi::EC_KEY_new_by_curve_name(ffi::NID_X9_62_prime256v1);
                ffi::EC_KEY_generate_key(k);
                let p = ffi::EVP_PKEY_new();
                ffi::EVP_PKEY_assign_EC_KEY(p, k);
                Ok(Self(p))
            }
        }
        pub fn from_pkcs8(b: &[u8]) -> Result<Self, Error> {
            unsafe {
                let mut c = std::mem::zeroed();
                ffi::CBS_init(&mut c, b.as_ptr(), b.len());
                let p = ffi::EVP_parse_private_key(&mut c);
                if p.is_null() { Err(Error::Internal) } else { Ok(Self(p)) }
            }
        }
        pub fn to_pkcs8(&self) -> Result<Secret, Error> {
            unsafe {
                let mut c = std::mem::zeroed();
                ffi::CBB_init(&mut c, 200);
                ffi::EVP_marshal_private_key(&mut c, self.0);
                Ok(Secret::from_vec(take(c)))
            }
        }
        pub fn public_key(&self) -> PublicKey {
            unsafe {
                let mut c = std::mem::zeroed();
                ffi::CBB_init(&mut c, 200);
                ffi::EVP_marshal_public_key(&mut c, self.0);
                PublicKey(take(c))
            }
        }
        pub fn sign_der(&self, h: Hash, data: &[u8]) -> Result<Vec<u8>, Error> {
            unsafe {
                let c = ffi::EVP_MD_CTX_new();
                ffi::EVP_DigestSignInit(
                    c,
                    std::ptr::null_mut(),
                    h.md(),
                    std::ptr::null_mut(),
                    self.0,
                );
                let mut o = vec![0; 100];
                let mut n = 100;
                let r = ffi::EVP_DigestSign(c, o.as_mut_ptr(), &mut n, data.as_ptr(), data.len());
                ffi::EVP_MD_CTX_free(c);
                if r != 1 {
                    return Err(Error::Internal);
                }
                o.truncate(n);
                Ok(o)
            }
        }
    }
    impl PublicKey {
        pub fn to_spki(&self) -> Result<Vec<u8>, Error> {
            Ok(self.0.clone())
        }
    }
}
pub fn verify_spki(spki: &[u8], h: Hash, data: &[u8], sig: &[u8]) -> Result<(), Error> {
    unsafe {
        let mut c = std::mem::zeroed();
        ffi::CBS_init(&mut c, spki.as_ptr(), spki.len());
        let p = ffi::EVP_parse_public_key(&mut c);
        if p.is_null() {
            return Err(Error::Internal);
        }
        let x = ffi::EVP_MD_CTX_new();
        ffi::EVP_DigestVerifyInit(x, std::ptr::null_mut(), h.md(), std::ptr::null_mut(), p);
        let r = ffi::EVP_DigestVerify(x, sig.as_ptr(), sig.len(), data.as_ptr(), data.len());
        ffi::EVP_MD_CTX_free(x);
        ffi::EVP_PKEY_free(p);
        if r == 1 { Ok(()) } else { Err(Error::Internal) }
    }
}
pub mod self_test {
    pub fn run() -> Result<(), super::Error> {
        Ok(())
    }
}
