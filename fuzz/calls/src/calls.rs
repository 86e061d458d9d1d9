//! The calls, and their arguments.

use std::ptr;
use std::sync::OnceLock;

use cryptoki_sys as ck;

use crate::input::{Input, Room};
use crate::parameters::Parameter;

pub(crate) struct Caller<'a> {
    pub(crate) list: &'static ck::CK_FUNCTION_LIST_3_2,
    pub(crate) input: Input<'a>,
    sessions: Vec<ck::CK_SESSION_HANDLE>,
    objects: Vec<ck::CK_OBJECT_HANDLE>,
}

/// Calls a function of the list, and looks at what it says.
macro_rules! call {
    ($caller:expr, $name:ident ( $($argument:expr),* )) => {{
        let function = $caller.list.$name.expect("every function is there");
        // SAFETY: each pointer is NULL, or to memory of the length that is told beside it; all of it outlives the call.
        let code = unsafe { function($($argument),*) };
        assert_ne!(code, ck::CKR_GENERAL_ERROR, "{} met a fault of its own", stringify!($name));
        code
    }};
}

pub(crate) use call;

/// An attribute of a template, with the memory that it points at.
struct Attribute {
    kind: ck::CK_ATTRIBUTE_TYPE,
    value: crate::input::Readable,
}

/// The keys of the log-in that stays, once it was made.
static AT_HAND: OnceLock<Vec<ck::CK_OBJECT_HANDLE>> = OnceLock::new();

fn pin() -> Option<String> {
    std::env::var("CASEMATE_FUZZ_PIN").ok()
}

impl<'a> Caller<'a> {
    /// Begins an input in a session of its own. With a cluster the library stays initialised and logged in: a log-in takes longer than
    /// thousands of calls.
    pub(crate) fn begin(list: &'static ck::CK_FUNCTION_LIST_3_2, input: Input<'a>) -> Self {
        let mut caller = Self { list, input, sessions: Vec::new(), objects: Vec::new() };
        match pin() {
            Some(pin) => {
                let at_hand = AT_HAND.get_or_init(|| caller.log_in_for_good(&pin));
                caller.objects.clone_from(at_hand);
            }
            None => caller.initialize(),
        }
        caller.open(ck::CKF_SERIAL_SESSION | ck::CKF_RW_SESSION);
        caller
    }

    fn initialize(&self) {
        let mut arguments =
            ck::CK_C_INITIALIZE_ARGS { flags: ck::CKF_OS_LOCKING_OK, ..Default::default() };
        let code = call!(self, C_Initialize((&raw mut arguments).cast()));
        assert_eq!(code, ck::CKR_OK, "C_Initialize");
    }

    fn log_in_for_good(&self, pin: &str) -> Vec<ck::CK_OBJECT_HANDLE> {
        self.initialize();
        let mut session = 0;
        let flags = ck::CKF_SERIAL_SESSION | ck::CKF_RW_SESSION;
        let code = call!(self, C_OpenSession(0, flags, ptr::null_mut(), None, &raw mut session));
        assert_eq!(code, ck::CKR_OK, "C_OpenSession");
        let (pointer, length) = (pin.as_ptr().cast_mut(), pin.len() as ck::CK_ULONG);
        let code = call!(self, C_Login(session, ck::CKU_USER, pointer, length));
        assert_eq!(code, ck::CKR_OK, "C_Login");
        self.make_keys(session)
    }

    pub(crate) fn end(self) {
        if pin().is_none() {
            let code = call!(self, C_Finalize(ptr::null_mut()));
            assert_eq!(code, ck::CKR_OK, "C_Finalize");
            return;
        }
        for &session in &self.sessions {
            let code = call!(self, C_CloseSession(session));
            assert_eq!(code, ck::CKR_OK, "C_CloseSession");
        }
    }

    fn open(&mut self, flags: ck::CK_FLAGS) {
        let mut session = 0;
        let code = call!(self, C_OpenSession(0, flags, ptr::null_mut(), None, &raw mut session));
        if code == ck::CKR_OK {
            self.sessions.push(session);
        }
    }

    pub(crate) fn session(&mut self) -> ck::CK_SESSION_HANDLE {
        let which = self.input.byte();
        self.sessions
            .get(usize::from(which % 4))
            .copied()
            .unwrap_or_else(|| ck::CK_SESSION_HANDLE::from(which) << 32)
    }

    pub(crate) fn object(&mut self) -> ck::CK_OBJECT_HANDLE {
        let which = self.input.byte();
        self.objects.get(usize::from(which % 16)).copied().unwrap_or_else(|| which.into())
    }

    pub(crate) fn hold<const N: usize>(&mut self, objects: [ck::CK_OBJECT_HANDLE; N]) {
        self.objects.extend(objects);
    }

    fn attributes(&mut self) -> Vec<Attribute> {
        let count = self.input.byte() % 6;
        let attribute =
            |input: &mut Input<'_>| Attribute { kind: input.number(), value: input.readable() };
        (0..count).map(|_| attribute(&mut self.input)).collect()
    }

    /// Makes one call; returns whether there is more input.
    pub(crate) fn step(&mut self) -> bool {
        match self.input.byte() % 20 {
            0 => {
                let flags = self.input.number();
                self.open(flags);
            }
            1 => self.close(),
            2 => self.create(),
            3 => self.get_attributes(),
            4 => self.find(),
            5 => self.digest(),
            6 => self.init(),
            7 => self.whole(),
            8 => self.part(),
            9 => self.last(),
            10 => self.generate(),
            11 => self.log_in(),
            12 => self.random(),
            13 => self.unwrap_or_derive(),
            14 => self.pair(),
            15 => self.wrap(),
            16 => self.kem(),
            17 => self.change(),
            18 => self.verify(),
            _ => self.message(),
        }
        !self.input.is_empty()
    }

    fn close(&mut self) {
        let session = self.session();
        if call!(self, C_CloseSession(session)) == ck::CKR_OK {
            self.sessions.retain(|open| *open != session);
        }
    }

    pub(crate) fn with_template(
        &mut self,
        go: impl FnOnce(&mut Self, *mut ck::CK_ATTRIBUTE, ck::CK_ULONG),
    ) {
        let mut attributes = self.attributes();
        let entry = |attribute: &mut Attribute| ck::CK_ATTRIBUTE {
            type_: attribute.kind,
            pValue: attribute.value.pointer().cast(),
            ulValueLen: attribute.value.length,
        };
        let mut entries: Vec<_> = attributes.iter_mut().map(entry).collect();
        let (pointer, count) = (entries.as_mut_ptr(), entries.len() as ck::CK_ULONG);
        // What is a template itself would be read as pointers: those bytes are not valid memory, so they are not given.
        let nested = |kind| kind & ck::CKF_ARRAY_ATTRIBUTE != 0;
        if !entries.iter().any(|entry| nested(entry.type_)) {
            go(self, pointer, count);
        }
    }

    fn create(&mut self) {
        let session = self.session();
        self.with_template(|caller, entries, count| {
            let mut object = 0;
            if call!(caller, C_CreateObject(session, entries, count, &raw mut object)) == ck::CKR_OK
            {
                caller.objects.push(object);
            }
        });
    }

    fn get_attributes(&mut self) {
        let (session, object, kind) = (self.session(), self.object(), self.input.number());
        let mut room = Room::new(&mut self.input);
        if kind & ck::CKF_ARRAY_ATTRIBUTE != 0 {
            return;
        }
        let mut entry = ck::CK_ATTRIBUTE {
            type_: kind,
            pValue: room.pointer().cast(),
            ulValueLen: room.length,
        };
        let code = call!(self, C_GetAttributeValue(session, object, &raw mut entry, 1));
        room.length = entry.ulValueLen;
        room.check("C_GetAttributeValue", code);
    }

    fn find(&mut self) {
        let session = self.session();
        self.with_template(|caller, entries, count| {
            let _code = call!(caller, C_FindObjectsInit(session, entries, count));
        });
        let (mut found, mut count) = ([0; 4], 0);
        if call!(self, C_FindObjects(session, found.as_mut_ptr(), 4, &raw mut count)) == ck::CKR_OK
        {
            assert!(count <= 4, "more were found than there was room for");
        }
        let _code = call!(self, C_FindObjectsFinal(session));
    }

    fn digest(&mut self) {
        let (session, kind) = (self.session(), self.input.number());
        let mut mechanism =
            ck::CK_MECHANISM { mechanism: kind, pParameter: ptr::null_mut(), ulParameterLen: 0 };
        let _code = call!(self, C_DigestInit(session, &raw mut mechanism));
        let mut data = self.input.readable();
        let mut room = Room::new(&mut self.input);
        let (pointer, length) = (data.pointer(), data.length);
        let code =
            call!(self, C_Digest(session, pointer, length, room.pointer(), &raw mut room.length));
        room.check("C_Digest", code);
        let _code = call!(self, C_DigestUpdate(session, pointer, length));
        let mut room = Room::new(&mut self.input);
        let code = call!(self, C_DigestFinal(session, room.pointer(), &raw mut room.length));
        room.check("C_DigestFinal", code);
    }

    /// A mechanism with its parameter, as C would pass it.
    pub(crate) fn with_mechanism(&mut self, go: impl FnOnce(&mut Self, *mut ck::CK_MECHANISM)) {
        let mut parameter = Parameter::read(&mut self.input);
        let mut mechanism = parameter.mechanism();
        go(self, &raw mut mechanism);
    }

    fn init(&mut self) {
        let (session, key, which) = (self.session(), self.object(), self.input.byte());
        self.with_mechanism(|caller, mechanism| {
            let _code = match which % 6 {
                0 => call!(caller, C_SignInit(session, mechanism, key)),
                1 => call!(caller, C_VerifyInit(session, mechanism, key)),
                2 => call!(caller, C_EncryptInit(session, mechanism, key)),
                3 => call!(caller, C_DecryptInit(session, mechanism, key)),
                4 => call!(caller, C_MessageEncryptInit(session, mechanism, key)),
                _ => call!(caller, C_SignInit(session, ptr::null_mut(), key)),
            };
        });
    }

    fn whole(&mut self) {
        let (session, which) = (self.session(), self.input.byte());
        let (mut data, mut room) = (self.input.readable(), Room::new(&mut self.input));
        let (from, length, out, said) =
            (data.pointer(), data.length, room.pointer(), &raw mut room.length);
        let code = match which % 3 {
            0 => call!(self, C_Sign(session, from, length, out, said)),
            1 => call!(self, C_Encrypt(session, from, length, out, said)),
            _ => call!(self, C_Decrypt(session, from, length, out, said)),
        };
        room.check("C_Sign, C_Encrypt or C_Decrypt", code);
    }

    fn part(&mut self) {
        let (session, which) = (self.session(), self.input.byte());
        let (mut data, mut room) = (self.input.readable(), Room::new(&mut self.input));
        let (from, length, out, said) =
            (data.pointer(), data.length, room.pointer(), &raw mut room.length);
        let code = match which % 4 {
            0 => call!(self, C_SignUpdate(session, from, length)),
            1 => call!(self, C_VerifyUpdate(session, from, length)),
            2 => call!(self, C_EncryptUpdate(session, from, length, out, said)),
            _ => call!(self, C_DecryptUpdate(session, from, length, out, said)),
        };
        room.check("C_EncryptUpdate or C_DecryptUpdate", code);
    }

    fn last(&mut self) {
        let (session, which) = (self.session(), self.input.byte());
        let mut room = Room::new(&mut self.input);
        let (out, said) = (room.pointer(), &raw mut room.length);
        let code = match which % 3 {
            0 => call!(self, C_SignFinal(session, out, said)),
            1 => call!(self, C_EncryptFinal(session, out, said)),
            _ => call!(self, C_DecryptFinal(session, out, said)),
        };
        room.check("C_SignFinal, C_EncryptFinal or C_DecryptFinal", code);
    }

    fn generate(&mut self) {
        let session = self.session();
        self.with_template(|caller, entries, count| {
            caller.with_mechanism(|caller, mechanism| {
                let mut key = 0;
                let code =
                    call!(caller, C_GenerateKey(session, mechanism, entries, count, &raw mut key));
                if code == ck::CKR_OK {
                    caller.objects.push(key);
                }
            });
        });
    }

    fn log_in(&mut self) {
        let (session, who) = (self.session(), self.input.number());
        let mut tried = self.input.readable();
        // With a cluster, wrong passwords would lock the user of the fuzzer.
        if pin().is_none() {
            let _code = call!(self, C_Login(session, who, tried.pointer(), tried.length));
        }
    }

    fn random(&mut self) {
        let session = self.session();
        let mut room = Room::new(&mut self.input);
        let (out, length) = (room.pointer(), room.length);
        let code = call!(self, C_GenerateRandom(session, out, length));
        room.check("C_GenerateRandom", code);
    }

    fn unwrap_or_derive(&mut self) {
        let (session, base, which) = (self.session(), self.object(), self.input.byte());
        let mut wrapped = self.input.readable();
        let (from, length) = (wrapped.pointer(), wrapped.length);
        self.with_template(|caller, entries, count| {
            caller.with_mechanism(|caller, mechanism| {
                let mut key = 0;
                let made = &raw mut key;
                let code = match which % 2 {
                    0 => call!(
                        caller,
                        C_UnwrapKey(session, mechanism, base, from, length, entries, count, made)
                    ),
                    _ => call!(caller, C_DeriveKey(session, mechanism, base, entries, count, made)),
                };
                if code == ck::CKR_OK {
                    caller.objects.push(key);
                }
            });
        });
    }
}
