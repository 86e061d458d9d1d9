//! Parameters of mechanisms: the structure that the mechanism wants, filled from the input, with pointers into memory that is valid.

use std::ffi::c_void;
use std::ptr;

use cryptoki_sys as ck;

use crate::input::{Input, Readable};

/// A mechanism, and the memory that it points at: nothing of it may move while the mechanism is used.
pub(crate) struct Parameter {
    kind: ck::CK_MECHANISM_TYPE,
    /// The structure, or plain bytes; numbers, so that it is aligned as the library reads it.
    words: Vec<u64>,
    length: usize,
    /// What the structure points at.
    buffers: Vec<Readable>,
    /// An array of structures that it points at.
    fields: Vec<ck::CK_PRF_DATA_PARAM>,
    /// A structure of numbers that it points at.
    inner: Vec<u64>,
}

const PLAIN_BYTES: [usize; 8] = [0, 8, 16, 24, 40, 48, 64, 9];

impl Parameter {
    /// Reads one.
    pub(crate) fn read(input: &mut Input<'_>) -> Self {
        let kind = match input.byte() {
            0 => ck::CKM_AES_CBC_PAD,
            1 => ck::CKM_AES_GCM,
            2 => ck::CKM_ECDSA_SHA256,
            3 => ck::CKM_ECDH1_DERIVE,
            4 => ck::CKM_HKDF_DERIVE,
            5 => ck::CKM_RSA_PKCS_PSS,
            6 => ck::CKM_RSA_PKCS_OAEP,
            7 => ck::CKM_SP800_108_COUNTER_KDF,
            8 => ck::CKM_PKCS5_PBKD2,
            9 => ck::CKM_AES_CTR,
            10 => ck::CKM_EDDSA,
            11 => ck::CKM_CONCATENATE_BASE_AND_DATA,
            12 => ck::CKM_RSA_AES_KEY_WRAP,
            13 => ck::CKM_ML_DSA,
            14 => ck::CKM_SHA256_RSA_PKCS_PSS,
            15 => ck::CKM_XOR_BASE_AND_DATA,
            16 => ck::CKM_CONCATENATE_BASE_AND_KEY,
            17 => ck::CKM_SHA256_HMAC_GENERAL,
            18 => ck::CKM_AES_KEY_WRAP_KWP,
            19 => ck::CKM_RSA_PKCS_KEY_PAIR_GEN,
            20 => ck::CKM_EC_KEY_PAIR_GEN,
            21 => ck::CKM_AES_KEY_GEN,
            22 => ck::CKM_ML_KEM,
            23 => ck::CKM_ECDH1_COFACTOR_DERIVE,
            _ => input.number(),
        };
        let mut parameter = Self {
            kind,
            words: Vec::new(),
            length: 0,
            buffers: Vec::new(),
            fields: Vec::new(),
            inner: Vec::new(),
        };
        // Now and then zeros of another length; never the structure of another mechanism, whose numbers would be read as pointers.
        if input.byte() == 7 {
            parameter.zeros(PLAIN_BYTES[usize::from(input.byte() % 8)]);
        } else {
            parameter.fill(kind, input);
        }
        parameter
    }

    fn zeros(&mut self, length: usize) {
        self.words = vec![0; length.div_ceil(8)];
        self.length = length;
    }

    /// Puts a structure of numbers in place; structures of PKCS#11 have no others on this machine.
    fn put(&mut self, words: &[u64]) {
        self.words = words.to_vec();
        self.length = words.len() * 8;
    }

    fn buffer(&mut self, input: &mut Input<'_>) -> (u64, u64) {
        let mut buffer = input.readable();
        let (pointer, length) = (buffer.pointer() as u64, buffer.length);
        self.buffers.push(buffer);
        (pointer, length)
    }

    fn fill(&mut self, kind: ck::CK_MECHANISM_TYPE, input: &mut Input<'_>) {
        match kind {
            ck::CKM_AES_GCM => {
                let (iv, iv_length) = self.buffer(input);
                let bits = input.number();
                let (aad, aad_length) = self.buffer(input);
                let tag_bits = input.number();
                self.put(&[iv, iv_length, bits, aad, aad_length, tag_bits]);
            }
            ck::CKM_ECDH1_DERIVE | ck::CKM_ECDH1_COFACTOR_DERIVE => {
                let kdf = input.number();
                let (shared, shared_length) = self.buffer(input);
                let (public, public_length) = self.buffer(input);
                self.put(&[kdf, shared_length, shared, public_length, public]);
            }
            ck::CKM_HKDF_DERIVE => {
                // Two flags of one byte lie in the first word.
                let flags = u64::from(input.byte() & 1) | (u64::from(input.byte() & 1) << 8);
                let (hash, salt_type) = (hash(input), input.number());
                let (salt, salt_length) = self.buffer(input);
                let salt_key = input.number();
                let (info, info_length) = self.buffer(input);
                self.put(&[flags, hash, salt_type, salt, salt_length, salt_key, info, info_length]);
            }
            ck::CKM_RSA_PKCS_PSS | ck::CKM_SHA256_RSA_PKCS_PSS => {
                let words = [hash(input), input.number(), input.number()];
                self.put(&words);
            }
            ck::CKM_RSA_PKCS_OAEP => {
                let words = self.oaep(input);
                self.put(&words);
            }
            ck::CKM_RSA_AES_KEY_WRAP => {
                let bits = [128, 192, 256, input.number()][usize::from(input.byte() % 4)];
                self.inner = self.oaep(input).to_vec();
                self.put(&[bits, self.inner.as_ptr() as u64]);
            }
            ck::CKM_CONCATENATE_BASE_AND_KEY | ck::CKM_SHA256_HMAC_GENERAL => {
                let word = input.number();
                self.put(&[word]);
            }
            ck::CKM_SP800_108_COUNTER_KDF => self.counter_kdf(input),
            ck::CKM_PKCS5_PBKD2 => self.pbkdf2(input),
            ck::CKM_AES_CTR => {
                let words = [input.number(), input.number(), input.number()];
                self.put(&words);
            }
            ck::CKM_EDDSA => {
                let flag = u64::from(input.byte() & 1);
                let (context, length) = self.buffer(input);
                self.put(&[flag, length, context]);
            }
            ck::CKM_CONCATENATE_BASE_AND_DATA | ck::CKM_XOR_BASE_AND_DATA => {
                let (data, length) = self.buffer(input);
                self.put(&[data, length]);
            }
            ck::CKM_ML_DSA => {
                let variant = input.number();
                let (context, length) = self.buffer(input);
                self.put(&[variant, context, length]);
            }
            _ => self.zeros(PLAIN_BYTES[usize::from(input.byte() % 8)]),
        }
    }

    fn oaep(&mut self, input: &mut Input<'_>) -> [u64; 5] {
        let (hash, mgf, source) = (hash(input), input.number(), input.number());
        let (label, length) = self.buffer(input);
        [hash, mgf, source, label, length]
    }

    fn pbkdf2(&mut self, input: &mut Input<'_>) {
        let (salt, salt_length) = self.buffer(input);
        let (source, rounds, prf) = (input.number(), input.number() & 0xfff, input.number());
        let (data, data_length) = self.buffer(input);
        let (password, length) = self.buffer(input);
        self.put(&[source, salt, salt_length, rounds, prf, data, data_length, password, length]);
    }

    fn counter_kdf(&mut self, input: &mut Input<'_>) {
        let prf = input.number();
        for _ in 0..input.byte() % 5 {
            let kind = input.number();
            let (value, length) = self.buffer(input);
            self.fields.push(ck::CK_PRF_DATA_PARAM {
                type_: kind,
                pValue: value as *mut c_void,
                ulValueLen: length,
            });
        }
        let (fields, count) = (self.fields.as_mut_ptr() as u64, self.fields.len() as u64);
        self.put(&[prf, count, fields, 0, 0]);
    }

    /// Returns the mechanism.
    pub(crate) fn mechanism(&mut self) -> ck::CK_MECHANISM {
        let pointer = self.words.as_mut_ptr().cast();
        ck::CK_MECHANISM {
            mechanism: self.kind,
            pParameter: if self.length == 0 { ptr::null_mut() } else { pointer },
            ulParameterLen: self.length as ck::CK_ULONG,
        }
    }
}

/// A hash, or what is none.
fn hash(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        0 => ck::CKM_SHA_1,
        1 => ck::CKM_SHA256,
        2 => ck::CKM_SHA384,
        3 => ck::CKM_SHA512,
        _ => input.number(),
    }
}
