//! Loading a module and opening sessions.

use std::path::{Path, PathBuf};
use std::ptr;

use cryptoki_sys as ck;

use crate::call::{check, function};
use crate::code::Code;
use crate::session::Session;

/// Why there is no module.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be loaded.
    Open(PathBuf, String),
    /// It has no interface of version 3.2.
    NoInterface,
    /// It refused.
    Refused(Code),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(path, cause) => write!(formatter, "{}: {cause}", path.display()),
            Self::NoInterface => formatter.write_str("no interface of version 3.2"),
            Self::Refused(code) => write!(formatter, "C_Initialize: {code}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// A loaded and initialised module.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    list: &'static ck::CK_FUNCTION_LIST_3_2,
}

impl Module {
    /// Loads the module at `path` and calls `C_Initialize` for use by many threads.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: runs the initialisers of a library that the test chose, as if it were linked against it.
        let library = unsafe { ck::Pkcs11::new(path) }
            .map_err(|cause| LoadError::Open(path.to_path_buf(), cause.to_string()))?;
        // Never unloaded: the function list lies in the library's memory.
        let library = Box::leak(Box::new(library));
        let get =
            library.C_GetInterface.as_ref().map_err(|_missing| LoadError::NoInterface).copied()?;
        let mut version = ck::CK_VERSION { major: 3, minor: 2 };
        let mut interface = ptr::null_mut();
        // SAFETY: NULL for the name is "PKCS 11"; version and pointer live over the call.
        let code = unsafe { get(ptr::null_mut(), &raw mut version, &raw mut interface, 0) };
        check(code).map_err(LoadError::Refused)?;
        // SAFETY: CKR_OK was said, so that it is null or an interface of static life.
        let interface: &ck::CK_INTERFACE =
            unsafe { interface.as_ref() }.ok_or(LoadError::NoInterface)?;
        // SAFETY: the interface of version 3.2 is this structure, of static life.
        let list = unsafe { interface.pFunctionList.cast::<ck::CK_FUNCTION_LIST_3_2>().as_ref() };
        let list = list.ok_or(LoadError::NoInterface)?;
        initialize(list).map_err(LoadError::Refused)?;
        Ok(Self { list })
    }

    /// Opens a session that may write.
    ///
    /// # Errors
    /// What the module answered.
    pub fn open(self) -> Result<Session, Code> {
        let slots = function!(self.list, C_GetSlotList);
        let open = function!(self.list, C_OpenSession);
        let (mut slot, mut count) = (0, 1);
        // SAFETY: there is room for one slot, as `count` says.
        check(unsafe { slots(ck::CK_TRUE, &raw mut slot, &raw mut count) })?;
        let flags = ck::CKF_SERIAL_SESSION | ck::CKF_RW_SESSION;
        let mut session = 0;
        // SAFETY: no callback is given, and `session` lives over the call.
        check(unsafe { open(slot, flags, ptr::null_mut(), None, &raw mut session) })?;
        Ok(Session::new(self.list, session))
    }
}

fn initialize(list: &ck::CK_FUNCTION_LIST_3_2) -> Result<(), Code> {
    let initialize = function!(list, C_Initialize);
    let mut arguments = ck::CK_C_INITIALIZE_ARGS {
        CreateMutex: None,
        DestroyMutex: None,
        LockMutex: None,
        UnlockMutex: None,
        flags: ck::CKF_OS_LOCKING_OK,
        pReserved: ptr::null_mut(),
    };
    // SAFETY: the structure that the standard names; it lives over the call.
    check(unsafe { initialize((&raw mut arguments).cast()) })
}
