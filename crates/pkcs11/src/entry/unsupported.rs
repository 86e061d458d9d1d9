//! What the library does not do, and why.
//!
//! | function | why |
//! | --- | --- |
//! | `C_InitToken`, `C_InitPIN` | users and clusters are made by admins, with the command `casemate` |
//! | `C_GetOperationState`, `C_SetOperationState` | an operation would carry secrets in the clear |
//! | `C_SignRecover`, `C_VerifyRecover` and their `Init` | raw RSA by another name; `CKM_RSA_X_509` does it |
//! | `C_DigestEncryptUpdate` and its kin | no program asks for them, and they save no round trip |
//! | `C_EncryptMessageBegin`, `…Next`, `C_DecryptMessageBegin`, `…Next` | a message is authenticated as a whole before any of it is shown |
//! | `C_MessageSign…`, `C_MessageVerify…` | no mechanism of ours has them |
//! | `C_Async…`, `C_GetSessionValidationFlags` | sessions are synchronous, and no validation is claimed |
//! | `C_WrapKeyAuthenticated`, `C_UnwrapKeyAuthenticated` | `CKM_AES_GCM` wraps with its AAD in the parameter |
//! | `C_GetFunctionStatus`, `C_CancelFunction` | legacy functions, which must say so |
//!
//! One function per number of arguments serves them all: none looks at what it was given.

use cryptoki_sys as ck;

use crate::abi::enter;
use crate::code::Code;

pub(crate) unsafe extern "C" fn C_InitToken(
    _slot: ck::CK_SLOT_ID,
    _pin: ck::CK_UTF8CHAR_PTR,
    _pin_length: ck::CK_ULONG,
    _label: ck::CK_UTF8CHAR_PTR,
) -> ck::CK_RV {
    enter(|_| {
        tracing::warn!(
            "a cluster is made by `casemate cluster initialize` and `activate`, not by C_InitToken"
        );
        Err(Code::FUNCTION_NOT_SUPPORTED)
    })
}

pub(crate) unsafe extern "C" fn not_parallel(_session: ck::CK_SESSION_HANDLE) -> ck::CK_RV {
    enter(|_| Err(Code(ck::CKR_FUNCTION_NOT_PARALLEL)))
}

fn refuse() -> ck::CK_RV {
    enter(|_| Err(Code::FUNCTION_NOT_SUPPORTED))
}

pub(crate) unsafe extern "C" fn refuse_1<A>(_: A) -> ck::CK_RV {
    refuse()
}

pub(crate) unsafe extern "C" fn refuse_3<A, B, C>(_: A, _: B, _: C) -> ck::CK_RV {
    refuse()
}

pub(crate) unsafe extern "C" fn refuse_5<A, B, C, D, E>(_: A, _: B, _: C, _: D, _: E) -> ck::CK_RV {
    refuse()
}

pub(crate) unsafe extern "C" fn refuse_7<A, B, C, D, E, F, G>(
    _: A,
    _: B,
    _: C,
    _: D,
    _: E,
    _: F,
    _: G,
) -> ck::CK_RV {
    refuse()
}

pub(crate) unsafe extern "C" fn refuse_8<A, B, C, D, E, F, G, H>(
    _: A,
    _: B,
    _: C,
    _: D,
    _: E,
    _: F,
    _: G,
    _: H,
) -> ck::CK_RV {
    refuse()
}

pub(crate) unsafe extern "C" fn refuse_10<A, B, C, D, E, F, G, H, I, J>(
    _: A,
    _: B,
    _: C,
    _: D,
    _: E,
    _: F,
    _: G,
    _: H,
    _: I,
    _: J,
) -> ck::CK_RV {
    refuse()
}
