//! Mechanisms and their parameters in C's form.

use std::ffi::c_void;
use std::ptr;

use cryptoki_sys as ck;

use crate::call::ulong;

/// A mechanism with its parameter.
#[derive(Clone, Copy, Debug)]
pub struct Mechanism<'a>(pub ck::CK_MECHANISM_TYPE, pub Parameter<'a>);

/// The parameter of a mechanism.
#[derive(Clone, Copy, Debug)]
pub enum Parameter<'a> {
    /// NULL.
    None,
    /// Bytes as they are: an IV.
    Bytes(&'a [u8]),
    /// A `CK_ULONG`: `CK_MAC_GENERAL_PARAMS`, or the handle of a key.
    Number(ck::CK_ULONG),
    /// `CK_KEY_DERIVATION_STRING_DATA`
    Data(&'a [u8]),
    /// `CK_GCM_PARAMS`
    Gcm {
        /// The caller's IV.
        iv: &'a [u8],
        /// What is authenticated and not encrypted.
        aad: &'a [u8],
        /// The length of the tag.
        tag_bits: ck::CK_ULONG,
    },
    /// `CK_RSA_PKCS_PSS_PARAMS`
    Pss {
        /// The digest mechanism.
        hash: ck::CK_MECHANISM_TYPE,
        /// The mask.
        mgf: ck::CK_RSA_PKCS_MGF_TYPE,
        /// The length of the salt.
        salt: ck::CK_ULONG,
    },
    /// `CK_RSA_PKCS_OAEP_PARAMS`
    Oaep {
        /// The digest mechanism.
        hash: ck::CK_MECHANISM_TYPE,
        /// The mask.
        mgf: ck::CK_RSA_PKCS_MGF_TYPE,
        /// The label.
        label: &'a [u8],
    },
    /// `CK_ECDH1_DERIVE_PARAMS` without a key derivation function.
    Ecdh {
        /// The other side's public key.
        public: &'a [u8],
    },
    /// `CK_HKDF_PARAMS`, extract and expand.
    Hkdf {
        /// The digest mechanism.
        hash: ck::CK_MECHANISM_TYPE,
        /// The salt, none if empty.
        salt: &'a [u8],
        /// The info.
        info: &'a [u8],
    },
    /// `CK_PKCS5_PBKD2_PARAMS2`
    Pbkdf2 {
        /// `CKP_PKCS5_PBKD2_HMAC_*`
        prf: ck::CK_ULONG,
        /// The salt.
        salt: &'a [u8],
        /// The rounds.
        rounds: ck::CK_ULONG,
        /// The password.
        password: &'a [u8],
    },
    /// `CK_SIGN_ADDITIONAL_CONTEXT`
    Context(&'a [u8]),
}

impl Mechanism<'_> {
    #[expect(clippy::too_many_lines, reason = "one structure of the standard after the other")]
    /// Makes the C structures, which live while `call` runs. They point at bytes that are only read.
    pub(crate) fn with<T>(&self, call: impl FnOnce(*mut ck::CK_MECHANISM) -> T) -> T {
        match self.1 {
            Parameter::None => self.given(ptr::null(), 0, call),
            Parameter::Bytes(bytes) => self.given(bytes.as_ptr().cast(), bytes.len(), call),
            Parameter::Number(number) => self.structure(&number, call),
            Parameter::Data(data) => {
                let (data, length) = part(data);
                let data = ck::CK_KEY_DERIVATION_STRING_DATA { pData: data, ulLen: length };
                self.structure(&data, call)
            }
            Parameter::Gcm { iv, aad, tag_bits } => {
                let ((iv, iv_length), (aad, aad_length)) = (part(iv), part(aad));
                let gcm = ck::CK_GCM_PARAMS {
                    pIv: iv,
                    ulIvLen: iv_length,
                    ulIvBits: iv_length.saturating_mul(8),
                    pAAD: aad,
                    ulAADLen: aad_length,
                    ulTagBits: tag_bits,
                };
                self.structure(&gcm, call)
            }
            Parameter::Pss { hash, mgf, salt } => {
                let pss = ck::CK_RSA_PKCS_PSS_PARAMS { hashAlg: hash, mgf, sLen: salt };
                self.structure(&pss, call)
            }
            Parameter::Oaep { hash, mgf, label } => {
                let (label, length) = part(label);
                let oaep = ck::CK_RSA_PKCS_OAEP_PARAMS {
                    hashAlg: hash,
                    mgf,
                    source: ck::CKZ_DATA_SPECIFIED,
                    pSourceData: label.cast(),
                    ulSourceDataLen: length,
                };
                self.structure(&oaep, call)
            }
            Parameter::Ecdh { public } => {
                let (public, length) = part(public);
                let ecdh = ck::CK_ECDH1_DERIVE_PARAMS {
                    kdf: ck::CKD_NULL,
                    ulSharedDataLen: 0,
                    pSharedData: ptr::null_mut(),
                    ulPublicDataLen: length,
                    pPublicData: public,
                };
                self.structure(&ecdh, call)
            }
            Parameter::Hkdf { hash, salt, info } => {
                let null = salt.is_empty();
                let ((salt, salt_length), (info, info_length)) = (part(salt), part(info));
                let hkdf = ck::CK_HKDF_PARAMS {
                    bExtract: ck::CK_TRUE,
                    bExpand: ck::CK_TRUE,
                    prfHashMechanism: hash,
                    ulSaltType: if null { ck::CKF_HKDF_SALT_NULL } else { ck::CKF_HKDF_SALT_DATA },
                    pSalt: salt,
                    ulSaltLen: salt_length,
                    hSaltKey: 0,
                    pInfo: info,
                    ulInfoLen: info_length,
                };
                self.structure(&hkdf, call)
            }
            Parameter::Pbkdf2 { prf, salt, rounds, password } => {
                let ((salt, salt_length), (password, length)) = (part(salt), part(password));
                let pbkdf2 = ck::CK_PKCS5_PBKD2_PARAMS2 {
                    saltSource: ck::CKZ_SALT_SPECIFIED,
                    pSaltSourceData: salt.cast(),
                    ulSaltSourceDataLen: salt_length,
                    iterations: rounds,
                    prf,
                    pPrfData: ptr::null_mut(),
                    ulPrfDataLen: 0,
                    pPassword: password,
                    ulPasswordLen: length,
                };
                self.structure(&pbkdf2, call)
            }
            Parameter::Context(context) => {
                let (context, length) = part(context);
                let context = ck::CK_SIGN_ADDITIONAL_CONTEXT {
                    hedgeVariant: ck::CKH_HEDGE_PREFERRED,
                    pContext: context,
                    ulContextLen: length,
                };
                self.structure(&context, call)
            }
        }
    }

    fn structure<S, T>(&self, structure: &S, call: impl FnOnce(*mut ck::CK_MECHANISM) -> T) -> T {
        self.given(ptr::from_ref(structure).cast(), size_of::<S>(), call)
    }

    fn given<T>(
        &self,
        parameter: *const c_void,
        length: usize,
        call: impl FnOnce(*mut ck::CK_MECHANISM) -> T,
    ) -> T {
        let mut mechanism = ck::CK_MECHANISM {
            mechanism: self.0,
            pParameter: parameter.cast_mut(),
            ulParameterLen: ulong(length),
        };
        call(&raw mut mechanism)
    }
}

/// Pointer and length of bytes, without the const that C's structures lack.
fn part(bytes: &[u8]) -> (*mut ck::CK_BYTE, ck::CK_ULONG) {
    (bytes.as_ptr().cast_mut(), ulong(bytes.len()))
}
