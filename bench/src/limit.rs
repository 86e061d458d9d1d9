//! The raw limit: AWS-LC in this process, with no PKCS#11, no TLS and no other process.

use crate::error::Error;
use crate::ffi::aws_lc::{EcKey, GcmKey, RsaKey};
use crate::load::{Lane, Target};
use crate::operation::{DIGEST, MESSAGE, Operation};

/// AWS-LC itself as a system under test. Each thread has its own key.
pub(crate) struct Limit;

impl Target for Limit {
    fn prepare(&mut self, _operation: Operation) -> Result<(), Error> {
        Ok(())
    }

    fn lane(&self, operation: Operation, _thread: usize) -> Result<Box<dyn Lane + '_>, Error> {
        Ok(match operation {
            Operation::SignP256 => Box::new(Ecdsa { key: EcKey::p256()?, digest: &DIGEST[..32] }),
            Operation::SignP384 => Box::new(Ecdsa { key: EcKey::p384()?, digest: &DIGEST }),
            Operation::SignRsa2048 => Box::new(Rsa::new(2048)?),
            Operation::SignRsa4096 => Box::new(Rsa::new(4096)?),
            Operation::Gcm16K => Box::new(Gcm::new()?),
            Operation::Empty | Operation::Create | Operation::FindLabel | Operation::FindId => {
                return Err(Error::NotOffered);
            }
        })
    }
}

struct Ecdsa {
    key: EcKey,
    digest: &'static [u8],
}

impl Lane for Ecdsa {
    fn step(&mut self) -> Result<(), Error> {
        self.key.sign(self.digest)
    }
}

struct Rsa {
    key: RsaKey,
    digest: [u8; 32],
}

impl Rsa {
    fn new(bits: i32) -> Result<Self, Error> {
        let mut digest = [0; 32];
        digest.copy_from_slice(&DIGEST[..32]);
        Ok(Self { key: RsaKey::generate(bits)?, digest })
    }
}

impl Lane for Rsa {
    fn step(&mut self) -> Result<(), Error> {
        self.key.sign(&self.digest)
    }
}

struct Gcm {
    key: GcmKey,
    count: u64,
    message: Vec<u8>,
    output: Vec<u8>,
}

impl Gcm {
    fn new() -> Result<Self, Error> {
        let key = GcmKey::new(b"0123456789abcdef0123456789abcdef")?;
        Ok(Self { key, count: 0, message: vec![7; MESSAGE], output: vec![0; MESSAGE + 16] })
    }
}

impl Lane for Gcm {
    fn step(&mut self) -> Result<(), Error> {
        self.count += 1;
        let mut nonce = [1; 12];
        nonce[4..].copy_from_slice(&self.count.to_be_bytes());
        self.key.seal(&nonce, &self.message, &mut self.output)
    }
}
