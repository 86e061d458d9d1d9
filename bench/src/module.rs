//! Any PKCS#11 module as a system under test.
//!
//! Every key is a token object, private and sensitive, for such keys are what an HSM is bought
//! for. Each thread of the load has its own session; the handles are shared, as the standard
//! allows (PKCS#11 3.0, section 5.6: a token object's handle serves all sessions that see it).

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use cryptoki_sys as ck;

use crate::error::Error;
use crate::ffi::pkcs11::{Attribute, Module, ObjectHandle, Session};
use crate::load::{Lane, Target};
use crate::operation::{DIGEST, DIGEST_INFO, MESSAGE, Operation};

/// Keys among which one is searched, unless a scenario fills the token itself.
pub(crate) const FIND_AMONG: u32 = 1000;

/// DER of the curves' object identifiers (RFC 5480, section 2.1.1.1).
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";

/// Threads that make the keys of the searches.
const FILLERS: usize = 32;

/// A loaded module, logged in, with the keys of the load.
pub(crate) struct ModuleTarget {
    module: Module,
    /// Keeps the log-in alive: a module logs out when an application's last session closes.
    session: Session,
    keys: BTreeMap<&'static str, ObjectHandle>,
    among: u32,
}

impl ModuleTarget {
    /// Loads the module and logs in. `among` keys will be made for the searches.
    ///
    /// # Errors
    /// What the loader or the module answered.
    pub(crate) fn new(path: &Path, pin: &str, among: u32) -> Result<Self, Error> {
        let module = Module::load(path)?;
        let mut session = module.open()?;
        session.log_in(pin)?;
        Ok(Self { module, session, keys: BTreeMap::new(), among })
    }

    fn key(&self, label: &'static str) -> Result<ObjectHandle, Error> {
        self.keys.get(label).copied().ok_or(Error::Found(0))
    }

    /// Finds the key of an operation, or makes it.
    fn key_for(&mut self, operation: Operation) -> Result<Option<ObjectHandle>, Error> {
        let Some(label) = label_of(operation) else { return Ok(None) };
        let class = match operation {
            Operation::Gcm16K => ck::CKO_SECRET_KEY,
            _ => ck::CKO_PRIVATE_KEY,
        };
        let wanted = [
            Attribute::Number(ck::CKA_CLASS, class),
            Attribute::Bytes(ck::CKA_LABEL, label.as_bytes()),
        ];
        if let Ok(key) = self.session.find_one(&wanted) {
            return Ok(Some(key));
        }
        let session = &mut self.session;
        let key = match operation {
            Operation::SignP256 => make_pair(session, label, &PairKind::Ec(P256))?,
            Operation::SignP384 => make_pair(session, label, &PairKind::Ec(P384))?,
            Operation::SignRsa2048 => make_pair(session, label, &PairKind::Rsa(2048))?,
            Operation::SignRsa4096 => make_pair(session, label, &PairKind::Rsa(4096))?,
            Operation::Gcm16K => make_aes(session, label, b"gcm")?,
            Operation::Empty | Operation::Create | Operation::FindLabel | Operation::FindId => {
                return Ok(None);
            }
        };
        Ok(Some(key))
    }

    /// Makes the numbered keys for the searches, unless the last one is there. Many threads, so
    /// that a module which gathers writes can show it.
    ///
    /// # Errors
    /// What the module answered.
    fn fill(&mut self) -> Result<(), Error> {
        let Some(last) = self.among.checked_sub(1) else { return Ok(()) };
        if self.session.find_one(&[label_attribute(&find_label(last))]).is_ok() {
            return Ok(());
        }
        let (module, among) = (self.module, self.among);
        thread::scope(|scope| {
            let fill_share = |first: u32| {
                move || {
                    let mut session = module.open()?;
                    let mut share = (first..among).step_by(FILLERS);
                    share.try_for_each(|number| make_numbered(&mut session, number))
                }
            };
            let mut fillers = Vec::with_capacity(FILLERS);
            for first in (0..).take(FILLERS) {
                fillers.push(scope.spawn(fill_share(first)));
            }
            fillers.into_iter().try_for_each(|it| it.join().unwrap_or(Err(Error::Panicked)))
        })
    }
}

impl Target for ModuleTarget {
    fn prepare(&mut self, operation: Operation) -> Result<(), Error> {
        if matches!(operation, Operation::FindLabel | Operation::FindId) {
            return self.fill();
        }
        if let (Some(label), Some(key)) = (label_of(operation), self.key_for(operation)?) {
            self.keys.insert(label, key);
        }
        Ok(())
    }

    fn lane(&self, operation: Operation, thread: usize) -> Result<Box<dyn Lane + '_>, Error> {
        let session = self.module.open()?;
        let sign = |session, label, mechanism, data| -> Result<Box<dyn Lane>, Error> {
            Ok(Box::new(Sign { session, key: self.key(label)?, mechanism, data }))
        };
        let start = u32::try_from(thread).unwrap_or(0).wrapping_mul(7919);
        match operation {
            Operation::Empty => Ok(Box::new(RandomByte(session))),
            Operation::SignP256 => sign(session, "bench-p256", ck::CKM_ECDSA, &DIGEST[..32]),
            Operation::SignP384 => sign(session, "bench-p384", ck::CKM_ECDSA, &DIGEST),
            Operation::SignRsa2048 => {
                sign(session, "bench-rsa2048", ck::CKM_RSA_PKCS, &DIGEST_INFO)
            }
            Operation::SignRsa4096 => {
                sign(session, "bench-rsa4096", ck::CKM_RSA_PKCS, &DIGEST_INFO)
            }
            Operation::Gcm16K => Ok(Box::new(Gcm {
                session,
                key: self.key("bench-aes")?,
                iv: [u8::try_from(thread).unwrap_or(u8::MAX); 12],
                count: 0,
                message: vec![7; MESSAGE],
            })),
            Operation::Create => Ok(Box::new(Create { session, thread, made: Vec::new() })),
            Operation::FindLabel | Operation::FindId => {
                let by_label = operation == Operation::FindLabel;
                Ok(Box::new(Find { session, by_label, next: start, among: self.among.max(1) }))
            }
        }
    }
}

const fn label_of(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::SignP256 => Some("bench-p256"),
        Operation::SignP384 => Some("bench-p384"),
        Operation::SignRsa2048 => Some("bench-rsa2048"),
        Operation::SignRsa4096 => Some("bench-rsa4096"),
        Operation::Gcm16K => Some("bench-aes"),
        Operation::Empty | Operation::Create | Operation::FindLabel | Operation::FindId => None,
    }
}

enum PairKind {
    Ec(&'static [u8]),
    Rsa(ck::CK_ULONG),
}

fn make_pair(session: &mut Session, label: &str, kind: &PairKind) -> Result<ObjectHandle, Error> {
    let mut public = vec![
        Attribute::Flag(ck::CKA_TOKEN, true),
        Attribute::Flag(ck::CKA_VERIFY, true),
        label_attribute(label),
    ];
    let mechanism = match *kind {
        PairKind::Ec(curve) => {
            public.push(Attribute::Bytes(ck::CKA_EC_PARAMS, curve));
            ck::CKM_EC_KEY_PAIR_GEN
        }
        PairKind::Rsa(bits) => {
            public.push(Attribute::Number(ck::CKA_MODULUS_BITS, bits));
            public.push(Attribute::Bytes(ck::CKA_PUBLIC_EXPONENT, b"\x01\x00\x01"));
            ck::CKM_RSA_PKCS_KEY_PAIR_GEN
        }
    };
    let private = [
        Attribute::Flag(ck::CKA_TOKEN, true),
        Attribute::Flag(ck::CKA_PRIVATE, true),
        Attribute::Flag(ck::CKA_SENSITIVE, true),
        Attribute::Flag(ck::CKA_SIGN, true),
        label_attribute(label),
    ];
    session.generate_pair(mechanism, &public, &private)
}

fn make_aes(session: &mut Session, label: &str, id: &[u8]) -> Result<ObjectHandle, Error> {
    let template = [
        Attribute::Flag(ck::CKA_TOKEN, true),
        Attribute::Flag(ck::CKA_PRIVATE, true),
        Attribute::Flag(ck::CKA_SENSITIVE, true),
        Attribute::Flag(ck::CKA_ENCRYPT, true),
        Attribute::Flag(ck::CKA_DECRYPT, true),
        Attribute::Number(ck::CKA_VALUE_LEN, 32),
        Attribute::Bytes(ck::CKA_ID, id),
        label_attribute(label),
    ];
    session.generate_key(ck::CKM_AES_KEY_GEN, &template)
}

/// Makes the AES key with this number, for the searches.
///
/// # Errors
/// What the module answered.
fn make_numbered(session: &mut Session, number: u32) -> Result<(), Error> {
    make_aes(session, &find_label(number), &number.to_be_bytes()).map(drop)
}

/// The label of a numbered key.
fn find_label(number: u32) -> String {
    format!("find-{number:07}")
}

fn label_attribute(label: &str) -> Attribute<'_> {
    Attribute::Bytes(ck::CKA_LABEL, label.as_bytes())
}

/// `C_GenerateRandom` of one byte: the smallest request that every module sends to its HSM.
struct RandomByte(Session);

impl Lane for RandomByte {
    fn step(&mut self) -> Result<(), Error> {
        self.0.random_byte()
    }
}

struct Sign {
    session: Session,
    key: ObjectHandle,
    mechanism: ck::CK_MECHANISM_TYPE,
    data: &'static [u8],
}

impl Lane for Sign {
    fn step(&mut self) -> Result<(), Error> {
        self.session.sign(self.mechanism, self.key, self.data)
    }
}

struct Gcm {
    session: Session,
    key: ObjectHandle,
    iv: [u8; 12],
    count: u64,
    message: Vec<u8>,
}

impl Lane for Gcm {
    fn step(&mut self) -> Result<(), Error> {
        self.count += 1;
        self.iv[4..].copy_from_slice(&self.count.to_be_bytes());
        self.session.encrypt(&self.iv, self.key, &self.message)
    }
}

struct Create {
    session: Session,
    thread: usize,
    made: Vec<ObjectHandle>,
}

impl Lane for Create {
    fn step(&mut self) -> Result<(), Error> {
        let label = format!("made-{}-{}", self.thread, self.made.len());
        self.made.push(make_aes(&mut self.session, &label, label.as_bytes())?);
        Ok(())
    }

    fn clean(&mut self) -> Result<(), Error> {
        self.made.drain(..).try_for_each(|key| self.session.destroy(key))
    }
}

struct Find {
    session: Session,
    by_label: bool,
    next: u32,
    among: u32,
}

impl Lane for Find {
    fn step(&mut self) -> Result<(), Error> {
        // A stride that is prime to the number of keys visits all of them, in no helpful order.
        self.next = self.next.wrapping_add(104_729) % self.among;
        if self.by_label {
            let label = find_label(self.next);
            self.session.find_one(&[label_attribute(&label)]).map(drop)
        } else {
            let id = self.next.to_be_bytes();
            self.session.find_one(&[Attribute::Bytes(ck::CKA_ID, &id)]).map(drop)
        }
    }
}
