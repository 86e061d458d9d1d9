//! Why a benchmark could not run.

use std::io;
use std::path::PathBuf;

/// What stopped a measurement, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// AWS-LC refused a call that cannot fail with sound inputs.
    #[error("AWS-LC refused {0}: the library or this benchmark is broken")]
    Raw(&'static str),
    /// The module could not be loaded.
    #[error("cannot load the PKCS#11 module {path}: {cause}")]
    Load {
        /// The file that was asked for.
        path: PathBuf,
        /// What the loader said.
        cause: String,
    },
    /// A PKCS#11 function failed.
    #[error("{function} answered CKR 0x{code:08X}")]
    Pkcs11 {
        /// Name of the C function.
        function: &'static str,
        /// The `CK_RV` it returned.
        code: cryptoki_sys::CK_RV,
    },
    /// The module has no entry for a function in its list.
    #[error("the module does not offer {0}")]
    NoFunction(&'static str),
    /// The module shows no initialised token.
    #[error("the module shows no initialised token: check its configuration")]
    NoToken,
    /// A search for one object found another number of them.
    #[error("the search for one object found {0}")]
    Found(usize),
    /// A system under test does not have this operation.
    #[error("not offered here")]
    NotOffered,
    /// A program that is needed is not there, or failed.
    #[error("{program}: {cause}")]
    Program {
        /// What was started.
        program: String,
        /// What went wrong.
        cause: String,
    },
    /// A cell failed that must not.
    #[error("a load failed: {0}")]
    Cell(String),
    /// The bare connection to a daemon broke.
    #[error("the connection to the HSM: {0}")]
    Wire(String),
    /// A worker process said something else than was expected.
    #[error("the worker for {system} broke off: {cause}")]
    Worker {
        /// The system it measures.
        system: String,
        /// What it said, or that it ended.
        cause: String,
    },
    /// A thread of the load panicked.
    #[error("a thread of the load panicked; its message is on standard error")]
    Panicked,
    /// The document has no place for the table.
    #[error("{0} has no pair of lines <!-- bench:begin --> and <!-- bench:end -->: add them")]
    NoMarkers(PathBuf),
    /// Reading or writing failed.
    #[error("{what}: {cause}")]
    Io {
        /// What was read or written.
        what: String,
        /// The system's answer.
        cause: io::Error,
    },
}

impl Error {
    /// Wraps a system error with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |cause| Self::Io { what, cause }
    }
}
