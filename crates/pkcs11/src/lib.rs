//! `libcasemate_pkcs11.so`: the PKCS#11 module of Casemate, interfaces 2.40, 3.0 and 3.2.
//!
//! ```text
//! application ─▶ entry::C_…  (pointers become slices, codes come out; all the unsafe code)
//!                   └▶ functions::…  (safe Rust: sessions, operations, objects)
//!                          └▶ casemate_client::Client  (connections, log-in, retries)
//! ```
//!
//! It is a guest in somebody's process: no threads, no exit hooks, no state that outlives `C_Finalize` but one small record. One slot
//! per cluster, its token always present even when every HSM is away. Handles of token objects are their numbers in the
//! cluster, so they stay the same in every process; session objects live here, sealed. Sessions, handles and log-ins know nothing of
//! connections: a restart of an HSM is not an error.
//!
//! Only the three functions by which all others are found are exported.
//!
//! Source: PKCS#11 3.2 (OASIS), §5 for the functions.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm
)]

mod abi;
mod attributes;
mod code;
mod entry;
mod functions;
mod interfaces;
mod library;
mod log;
mod mechanism;
mod objects;
mod operations;
mod pin;
mod process;
mod sessions;

use cryptoki_sys::{
    CK_FLAGS, CK_FUNCTION_LIST_PTR_PTR, CK_INTERFACE_PTR, CK_INTERFACE_PTR_PTR, CK_RV,
    CK_ULONG_PTR, CK_UTF8CHAR_PTR, CK_VERSION_PTR,
};

/// `C_GetFunctionList`: the functions of version 2.40.
///
/// # Safety
/// `list` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    // SAFETY: the caller's promise is passed on.
    unsafe { interfaces::function_list(list) }
}

/// `C_GetInterfaceList`: all interfaces.
///
/// # Safety
/// `interfaces` is NULL or has room for `*count` entries; `count` is NULL or may be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterfaceList(
    interfaces: CK_INTERFACE_PTR,
    count: CK_ULONG_PTR,
) -> CK_RV {
    // SAFETY: the caller's promise is passed on.
    unsafe { interfaces::list(interfaces, count) }
}

/// `C_GetInterface`: one interface by name, version and flags; 3.0 if they are not said.
///
/// # Safety
/// `name` is NULL or ends with a NUL; `version` is NULL or may be read; `interface` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterface(
    name: CK_UTF8CHAR_PTR,
    version: CK_VERSION_PTR,
    interface: CK_INTERFACE_PTR_PTR,
    flags: CK_FLAGS,
) -> CK_RV {
    // SAFETY: the caller's promise is passed on.
    unsafe { interfaces::find(name, version, interface, flags) }
}
