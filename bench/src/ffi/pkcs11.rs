//! A PKCS#11 module loaded by path, behind a safe face with just what the load needs.
//!
//! Calls go through the module's function list (PKCS#11 3.0, section 5.2), as applications call.
//! The module is loaded once per process and never unloaded: several modules do not survive that.

use std::path::Path;
use std::ptr;

use cryptoki_sys as ck;

use crate::error::Error;

/// Room for any output of the load: 16 KiB of ciphertext and its tag, or a signature.
const OUTPUT_ROOM: usize = 17 * 1024;

/// An object of a session, as the module names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectHandle(ck::CK_OBJECT_HANDLE);

/// A loaded and initialised module.
#[derive(Clone, Copy)]
pub(crate) struct Module {
    list: &'static ck::CK_FUNCTION_LIST,
}

/// One attribute of a template.
pub(crate) enum Attribute<'a> {
    /// A `CK_BBOOL`.
    Flag(ck::CK_ATTRIBUTE_TYPE, bool),
    /// A `CK_ULONG`.
    Number(ck::CK_ATTRIBUTE_TYPE, ck::CK_ULONG),
    /// A byte array or a string.
    Bytes(ck::CK_ATTRIBUTE_TYPE, &'a [u8]),
}

/// Looks a function up in the list, or says that the module lacks it.
macro_rules! function {
    ($list:expr, $name:ident) => {
        $list.$name.ok_or(Error::NoFunction(stringify!($name)))?
    };
}

impl Module {
    /// Loads the module at `path` and calls `C_Initialize` for use by many threads.
    ///
    /// # Errors
    /// [`Error::Load`] or [`Error::Pkcs11`].
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let load_error = |cause: String| Error::Load { path: path.to_path_buf(), cause };
        // SAFETY: loading runs the initialisers of a library that the caller of the benchmark
        // chose to measure; the same trust as linking against it.
        let library =
            unsafe { ck::Pkcs11::new(path) }.map_err(|cause| load_error(cause.to_string()))?;
        // Never unloaded: the function list below lies in the library's memory.
        let library = Box::leak(Box::new(library));
        if library.C_GetFunctionList.is_err() {
            return Err(load_error("it has no C_GetFunctionList".to_owned()));
        }
        let mut list = ptr::null_mut();
        // SAFETY: the function exists (checked above) and writes one pointer.
        let code = unsafe { library.C_GetFunctionList(&raw mut list) };
        check("C_GetFunctionList", code)?;
        // SAFETY: the module answered CKR_OK, so the pointer is null or a list of static life.
        let list = unsafe { list.as_ref() }.ok_or_else(|| load_error("no list".to_owned()))?;
        let mut arguments = ck::CK_C_INITIALIZE_ARGS {
            CreateMutex: None,
            DestroyMutex: None,
            LockMutex: None,
            UnlockMutex: None,
            flags: ck::CKF_OS_LOCKING_OK,
            pReserved: ptr::null_mut(),
        };
        let initialize = function!(list, C_Initialize);
        // SAFETY: the structure is of the type that the standard names and lives over the call.
        check("C_Initialize", unsafe { initialize((&raw mut arguments).cast()) })?;
        Ok(Self { list })
    }

    /// Opens a session to write on the first initialised token.
    ///
    /// # Errors
    /// [`Error::NoToken`] or what the module answered.
    pub(crate) fn open(self) -> Result<Session, Error> {
        let slot = self.first_token()?;
        let open = function!(self.list, C_OpenSession);
        let flags = ck::CKF_SERIAL_SESSION | ck::CKF_RW_SESSION;
        let mut handle = 0;
        // SAFETY: no callback is given, and `handle` is written by the call.
        let code = unsafe { open(slot, flags, ptr::null_mut(), None, &raw mut handle) };
        check("C_OpenSession", code)?;
        Ok(Session { list: self.list, handle })
    }

    fn first_token(self) -> Result<ck::CK_SLOT_ID, Error> {
        let get_list = function!(self.list, C_GetSlotList);
        let get_info = function!(self.list, C_GetTokenInfo);
        let mut slots: [ck::CK_SLOT_ID; 32] = [0; 32];
        let mut count = 32;
        // SAFETY: `slots` has room for `count` entries.
        let code = unsafe { get_list(ck::CK_TRUE, slots.as_mut_ptr(), &raw mut count) };
        check("C_GetSlotList", code)?;
        for &slot in slots.iter().take(usize::try_from(count).unwrap_or(0)) {
            let mut info = ck::CK_TOKEN_INFO::default();
            // SAFETY: `info` is the structure that the call fills.
            check("C_GetTokenInfo", unsafe { get_info(slot, &raw mut info) })?;
            if info.flags & ck::CKF_TOKEN_INITIALIZED != 0 {
                return Ok(slot);
            }
        }
        Err(Error::NoToken)
    }
}

/// A session; one thread uses it at a time, which `&mut self` asserts.
pub(crate) struct Session {
    list: &'static ck::CK_FUNCTION_LIST,
    handle: ck::CK_SESSION_HANDLE,
}

impl Session {
    /// Logs the user in (once per process: the log-in covers all sessions).
    ///
    /// # Errors
    /// What the module answered; being logged in already is success.
    pub(crate) fn log_in(&mut self, pin: &str) -> Result<(), Error> {
        let log_in = function!(self.list, C_Login);
        let mut pin = pin.as_bytes().to_vec();
        // SAFETY: the PIN is readable for its length.
        let code = unsafe { log_in(self.handle, ck::CKU_USER, pin.as_mut_ptr(), ulong(pin.len())) };
        if code == ck::CKR_USER_ALREADY_LOGGED_IN {
            return Ok(());
        }
        check("C_Login", code)
    }

    /// Asks for one random byte.
    ///
    /// # Errors
    /// What the module answered.
    pub(crate) fn random_byte(&mut self) -> Result<(), Error> {
        let generate = function!(self.list, C_GenerateRandom);
        let mut byte = 0_u8;
        // SAFETY: one byte is writable.
        check("C_GenerateRandom", unsafe { generate(self.handle, &raw mut byte, 1) })
    }

    /// Signs `data` with `key`; the signature is dropped.
    ///
    /// # Errors
    /// What the module answered.
    pub(crate) fn sign(
        &mut self,
        mechanism: ck::CK_MECHANISM_TYPE,
        key: ObjectHandle,
        data: &[u8],
    ) -> Result<(), Error> {
        let begin = function!(self.list, C_SignInit);
        let sign = function!(self.list, C_Sign);
        let mut mechanism = plain(mechanism);
        // SAFETY: the mechanism has no parameter and lives over the call.
        check("C_SignInit", unsafe { begin(self.handle, &raw mut mechanism, key.0) })?;
        let mut signature = [0_u8; 512];
        let mut length = ulong(signature.len());
        // SAFETY: the module reads `data` (C's missing const) and writes at most `length` bytes.
        let code = unsafe {
            sign(
                self.handle,
                data.as_ptr().cast_mut(),
                ulong(data.len()),
                signature.as_mut_ptr(),
                &raw mut length,
            )
        };
        check("C_Sign", code)
    }

    /// Encrypts `data` by AES-GCM with this IV, no AAD and a tag of 128 bits; the ciphertext is
    /// dropped.
    ///
    /// # Errors
    /// What the module answered.
    pub(crate) fn encrypt(
        &mut self,
        iv: &[u8; 12],
        key: ObjectHandle,
        data: &[u8],
    ) -> Result<(), Error> {
        let begin = function!(self.list, C_EncryptInit);
        let encrypt = function!(self.list, C_Encrypt);
        let mut gcm = ck::CK_GCM_PARAMS {
            pIv: iv.as_ptr().cast_mut(),
            ulIvLen: ulong(iv.len()),
            ulIvBits: ulong(iv.len().saturating_mul(8)),
            pAAD: ptr::null_mut(),
            ulAADLen: 0,
            ulTagBits: 128,
        };
        let mut mechanism = ck::CK_MECHANISM {
            mechanism: ck::CKM_AES_GCM,
            pParameter: (&raw mut gcm).cast(),
            ulParameterLen: ulong(size_of::<ck::CK_GCM_PARAMS>()),
        };
        // SAFETY: parameter and IV live over the call; an IV that is not zero is only read.
        check("C_EncryptInit", unsafe { begin(self.handle, &raw mut mechanism, key.0) })?;
        let mut output = [0_u8; OUTPUT_ROOM];
        let mut length = ulong(output.len());
        // SAFETY: the module reads `data` and writes at most `length` bytes.
        let code = unsafe {
            encrypt(
                self.handle,
                data.as_ptr().cast_mut(),
                ulong(data.len()),
                output.as_mut_ptr(),
                &raw mut length,
            )
        };
        check("C_Encrypt", code)
    }

    /// Generates a secret key.
    ///
    /// # Errors
    /// What the module answered.
    pub(crate) fn generate_key(
        &mut self,
        mechanism: ck::CK_MECHANISM_TYPE,
        template: &[Attribute<'_>],
    ) -> Result<ObjectHandle, Error> {
        let generate = function!(self.list, C_GenerateKey);
        let mut mechanism = plain(mechanism);
        let mut template = Template::new(template);
        let mut handle = 0;
        // SAFETY: mechanism and template live over the call; `handle` is written by it.
        let code = unsafe {
            generate(
                self.handle,
                &raw mut mechanism,
                template.entries.as_mut_ptr(),
                ulong(template.entries.len()),
                &raw mut handle,
            )
        };
        check("C_GenerateKey", code)?;
        Ok(ObjectHandle(handle))
    }

    /// Generates a key pair and returns the private key.
    ///
    /// # Errors
    /// What the module answered.
    pub(crate) fn generate_pair(
        &mut self,
        mechanism: ck::CK_MECHANISM_TYPE,
        public: &[Attribute<'_>],
        private: &[Attribute<'_>],
    ) -> Result<ObjectHandle, Error> {
        let generate = function!(self.list, C_GenerateKeyPair);
        let mut mechanism = plain(mechanism);
        let mut public = Template::new(public);
        let mut private = Template::new(private);
        let (mut public_handle, mut private_handle) = (0, 0);
        // SAFETY: mechanism and templates live over the call; both handles are written by it.
        let code = unsafe {
            generate(
                self.handle,
                &raw mut mechanism,
                public.entries.as_mut_ptr(),
                ulong(public.entries.len()),
                private.entries.as_mut_ptr(),
                ulong(private.entries.len()),
                &raw mut public_handle,
                &raw mut private_handle,
            )
        };
        check("C_GenerateKeyPair", code)?;
        Ok(ObjectHandle(private_handle))
    }

    /// Finds the objects that match, at most two.
    ///
    /// # Errors
    /// What the module answered, or [`Error::Found`] if it is not exactly one.
    pub(crate) fn find_one(&mut self, template: &[Attribute<'_>]) -> Result<ObjectHandle, Error> {
        let begin = function!(self.list, C_FindObjectsInit);
        let find = function!(self.list, C_FindObjects);
        let end = function!(self.list, C_FindObjectsFinal);
        let mut template = Template::new(template);
        // SAFETY: the template lives over the call.
        let code = unsafe {
            begin(self.handle, template.entries.as_mut_ptr(), ulong(template.entries.len()))
        };
        check("C_FindObjectsInit", code)?;
        let mut found: [ck::CK_OBJECT_HANDLE; 2] = [0; 2];
        let mut count = 0;
        // SAFETY: `found` has room for two handles.
        let code = unsafe { find(self.handle, found.as_mut_ptr(), 2, &raw mut count) };
        check("C_FindObjects", code)?;
        // SAFETY: ends the search begun above.
        check("C_FindObjectsFinal", unsafe { end(self.handle) })?;
        match (count, found) {
            (1, [handle, _]) => Ok(ObjectHandle(handle)),
            (other, _) => Err(Error::Found(usize::try_from(other).unwrap_or(usize::MAX))),
        }
    }

    /// Destroys an object.
    ///
    /// # Errors
    /// What the module answered.
    pub(crate) fn destroy(&mut self, object: ObjectHandle) -> Result<(), Error> {
        let destroy = function!(self.list, C_DestroyObject);
        // SAFETY: two numbers.
        check("C_DestroyObject", unsafe { destroy(self.handle, object.0) })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(close) = self.list.C_CloseSession {
            // SAFETY: a number. Nothing can be done about a refusal here.
            let _ = unsafe { close(self.handle) };
        }
    }
}

/// A template in C's form; borrows the values it points to.
struct Template<'a> {
    entries: Vec<ck::CK_ATTRIBUTE>,
    _values: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> Template<'a> {
    fn new(attributes: &'a [Attribute<'a>]) -> Self {
        static TRUE: ck::CK_BBOOL = ck::CK_TRUE;
        static FALSE: ck::CK_BBOOL = ck::CK_FALSE;
        let entries = attributes.iter().map(|attribute| match attribute {
            Attribute::Flag(type_, value) => {
                let value: *const ck::CK_BBOOL =
                    if *value { &raw const TRUE } else { &raw const FALSE };
                entry(*type_, value.cast(), 1)
            }
            Attribute::Number(type_, value) => {
                entry(*type_, ptr::from_ref(value).cast(), size_of::<ck::CK_ULONG>())
            }
            Attribute::Bytes(type_, value) => entry(*type_, value.as_ptr().cast(), value.len()),
        });
        Self { entries: entries.collect(), _values: std::marker::PhantomData }
    }
}

/// One entry; the standard's structure has no const, but input templates are only read.
fn entry(
    type_: ck::CK_ATTRIBUTE_TYPE,
    value: *const std::ffi::c_void,
    length: usize,
) -> ck::CK_ATTRIBUTE {
    ck::CK_ATTRIBUTE { type_, pValue: value.cast_mut(), ulValueLen: ulong(length) }
}

fn plain(mechanism: ck::CK_MECHANISM_TYPE) -> ck::CK_MECHANISM {
    ck::CK_MECHANISM { mechanism, pParameter: ptr::null_mut(), ulParameterLen: 0 }
}

fn check(function: &'static str, code: ck::CK_RV) -> Result<(), Error> {
    if code == ck::CKR_OK { Ok(()) } else { Err(Error::Pkcs11 { function, code }) }
}

fn ulong(length: usize) -> ck::CK_ULONG {
    ck::CK_ULONG::try_from(length).unwrap_or(ck::CK_ULONG::MAX)
}
