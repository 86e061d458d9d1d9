//! The function lists and the interfaces by which an application finds them (PKCS#11 3.2 §5.4.4 to §5.4.6).
//!
//! The newest list begins as the older ones do, so it is written once and the others take its fields.

use std::cell::UnsafeCell;
use std::ffi::CStr;

use cryptoki_sys as ck;

use crate::abi::{self, Place, enter_bare};
use crate::code::{Code, Result};
use crate::entry::{cipher, digest, general, key, message, object, session, sign, unsupported};

const VERSION_2_40: ck::CK_VERSION = ck::CK_VERSION { major: 2, minor: 40 };
const VERSION_3_0: ck::CK_VERSION = ck::CK_VERSION { major: 3, minor: 0 };
const VERSION_3_2: ck::CK_VERSION = ck::CK_VERSION { major: 3, minor: 2 };

static LIST_3_2: ck::CK_FUNCTION_LIST_3_2 = ck::CK_FUNCTION_LIST_3_2 {
    version: VERSION_3_2,
    C_Initialize: Some(general::C_Initialize),
    C_Finalize: Some(general::C_Finalize),
    C_GetInfo: Some(general::C_GetInfo),
    C_GetFunctionList: Some(crate::C_GetFunctionList),
    C_GetSlotList: Some(general::C_GetSlotList),
    C_GetSlotInfo: Some(general::C_GetSlotInfo),
    C_GetTokenInfo: Some(general::C_GetTokenInfo),
    C_GetMechanismList: Some(general::C_GetMechanismList),
    C_GetMechanismInfo: Some(general::C_GetMechanismInfo),
    C_InitToken: Some(unsupported::C_InitToken),
    C_InitPIN: Some(unsupported::refuse_3),
    C_SetPIN: Some(session::C_SetPIN),
    C_OpenSession: Some(session::C_OpenSession),
    C_CloseSession: Some(session::C_CloseSession),
    C_CloseAllSessions: Some(session::C_CloseAllSessions),
    C_GetSessionInfo: Some(session::C_GetSessionInfo),
    C_GetOperationState: Some(unsupported::refuse_3),
    C_SetOperationState: Some(unsupported::refuse_5),
    C_Login: Some(session::C_Login),
    C_Logout: Some(session::C_Logout),
    C_CreateObject: Some(object::C_CreateObject),
    C_CopyObject: Some(object::C_CopyObject),
    C_DestroyObject: Some(object::C_DestroyObject),
    C_GetObjectSize: Some(object::C_GetObjectSize),
    C_GetAttributeValue: Some(object::C_GetAttributeValue),
    C_SetAttributeValue: Some(object::C_SetAttributeValue),
    C_FindObjectsInit: Some(object::C_FindObjectsInit),
    C_FindObjects: Some(object::C_FindObjects),
    C_FindObjectsFinal: Some(object::C_FindObjectsFinal),
    C_EncryptInit: Some(cipher::C_EncryptInit),
    C_Encrypt: Some(cipher::C_Encrypt),
    C_EncryptUpdate: Some(cipher::C_EncryptUpdate),
    C_EncryptFinal: Some(cipher::C_EncryptFinal),
    C_DecryptInit: Some(cipher::C_DecryptInit),
    C_Decrypt: Some(cipher::C_Decrypt),
    C_DecryptUpdate: Some(cipher::C_DecryptUpdate),
    C_DecryptFinal: Some(cipher::C_DecryptFinal),
    C_DigestInit: Some(digest::C_DigestInit),
    C_Digest: Some(digest::C_Digest),
    C_DigestUpdate: Some(digest::C_DigestUpdate),
    C_DigestKey: Some(digest::C_DigestKey),
    C_DigestFinal: Some(digest::C_DigestFinal),
    C_SignInit: Some(sign::C_SignInit),
    C_Sign: Some(sign::C_Sign),
    C_SignUpdate: Some(sign::C_SignUpdate),
    C_SignFinal: Some(sign::C_SignFinal),
    C_SignRecoverInit: Some(unsupported::refuse_3),
    C_SignRecover: Some(unsupported::refuse_5),
    C_VerifyInit: Some(sign::C_VerifyInit),
    C_Verify: Some(sign::C_Verify),
    C_VerifyUpdate: Some(sign::C_VerifyUpdate),
    C_VerifyFinal: Some(sign::C_VerifyFinal),
    C_VerifyRecoverInit: Some(unsupported::refuse_3),
    C_VerifyRecover: Some(unsupported::refuse_5),
    C_DigestEncryptUpdate: Some(unsupported::refuse_5),
    C_DecryptDigestUpdate: Some(unsupported::refuse_5),
    C_SignEncryptUpdate: Some(unsupported::refuse_5),
    C_DecryptVerifyUpdate: Some(unsupported::refuse_5),
    C_GenerateKey: Some(key::C_GenerateKey),
    C_GenerateKeyPair: Some(key::C_GenerateKeyPair),
    C_WrapKey: Some(key::C_WrapKey),
    C_UnwrapKey: Some(key::C_UnwrapKey),
    C_DeriveKey: Some(key::C_DeriveKey),
    C_SeedRandom: Some(general::C_SeedRandom),
    C_GenerateRandom: Some(general::C_GenerateRandom),
    C_GetFunctionStatus: Some(unsupported::not_parallel),
    C_CancelFunction: Some(unsupported::not_parallel),
    C_WaitForSlotEvent: Some(general::C_WaitForSlotEvent),
    C_GetInterfaceList: Some(crate::C_GetInterfaceList),
    C_GetInterface: Some(crate::C_GetInterface),
    C_LoginUser: Some(session::C_LoginUser),
    C_SessionCancel: Some(session::C_SessionCancel),
    C_MessageEncryptInit: Some(message::C_MessageEncryptInit),
    C_EncryptMessage: Some(message::C_EncryptMessage),
    C_EncryptMessageBegin: Some(unsupported::refuse_5),
    C_EncryptMessageNext: Some(unsupported::refuse_8),
    C_MessageEncryptFinal: Some(message::C_MessageEncryptFinal),
    C_MessageDecryptInit: Some(message::C_MessageDecryptInit),
    C_DecryptMessage: Some(message::C_DecryptMessage),
    C_DecryptMessageBegin: Some(unsupported::refuse_5),
    C_DecryptMessageNext: Some(unsupported::refuse_8),
    C_MessageDecryptFinal: Some(message::C_MessageDecryptFinal),
    C_MessageSignInit: Some(unsupported::refuse_3),
    C_SignMessage: Some(unsupported::refuse_7),
    C_SignMessageBegin: Some(unsupported::refuse_3),
    C_SignMessageNext: Some(unsupported::refuse_7),
    C_MessageSignFinal: Some(unsupported::refuse_1),
    C_MessageVerifyInit: Some(unsupported::refuse_3),
    C_VerifyMessage: Some(unsupported::refuse_7),
    C_VerifyMessageBegin: Some(unsupported::refuse_3),
    C_VerifyMessageNext: Some(unsupported::refuse_7),
    C_MessageVerifyFinal: Some(unsupported::refuse_1),
    C_EncapsulateKey: Some(key::C_EncapsulateKey),
    C_DecapsulateKey: Some(key::C_DecapsulateKey),
    C_VerifySignatureInit: Some(sign::C_VerifySignatureInit),
    C_VerifySignature: Some(sign::C_VerifySignature),
    C_VerifySignatureUpdate: Some(sign::C_VerifySignatureUpdate),
    C_VerifySignatureFinal: Some(sign::C_VerifySignatureFinal),
    C_GetSessionValidationFlags: Some(unsupported::refuse_3),
    C_AsyncComplete: Some(unsupported::refuse_3),
    C_AsyncGetID: Some(unsupported::refuse_3),
    C_AsyncJoin: Some(unsupported::refuse_5),
    C_WrapKeyAuthenticated: Some(unsupported::refuse_8),
    C_UnwrapKeyAuthenticated: Some(unsupported::refuse_10),
};

static LIST_3_0: ck::CK_FUNCTION_LIST_3_0 = ck::CK_FUNCTION_LIST_3_0 {
    version: VERSION_3_0,
    C_Initialize: LIST_3_2.C_Initialize,
    C_Finalize: LIST_3_2.C_Finalize,
    C_GetInfo: LIST_3_2.C_GetInfo,
    C_GetFunctionList: LIST_3_2.C_GetFunctionList,
    C_GetSlotList: LIST_3_2.C_GetSlotList,
    C_GetSlotInfo: LIST_3_2.C_GetSlotInfo,
    C_GetTokenInfo: LIST_3_2.C_GetTokenInfo,
    C_GetMechanismList: LIST_3_2.C_GetMechanismList,
    C_GetMechanismInfo: LIST_3_2.C_GetMechanismInfo,
    C_InitToken: LIST_3_2.C_InitToken,
    C_InitPIN: LIST_3_2.C_InitPIN,
    C_SetPIN: LIST_3_2.C_SetPIN,
    C_OpenSession: LIST_3_2.C_OpenSession,
    C_CloseSession: LIST_3_2.C_CloseSession,
    C_CloseAllSessions: LIST_3_2.C_CloseAllSessions,
    C_GetSessionInfo: LIST_3_2.C_GetSessionInfo,
    C_GetOperationState: LIST_3_2.C_GetOperationState,
    C_SetOperationState: LIST_3_2.C_SetOperationState,
    C_Login: LIST_3_2.C_Login,
    C_Logout: LIST_3_2.C_Logout,
    C_CreateObject: LIST_3_2.C_CreateObject,
    C_CopyObject: LIST_3_2.C_CopyObject,
    C_DestroyObject: LIST_3_2.C_DestroyObject,
    C_GetObjectSize: LIST_3_2.C_GetObjectSize,
    C_GetAttributeValue: LIST_3_2.C_GetAttributeValue,
    C_SetAttributeValue: LIST_3_2.C_SetAttributeValue,
    C_FindObjectsInit: LIST_3_2.C_FindObjectsInit,
    C_FindObjects: LIST_3_2.C_FindObjects,
    C_FindObjectsFinal: LIST_3_2.C_FindObjectsFinal,
    C_EncryptInit: LIST_3_2.C_EncryptInit,
    C_Encrypt: LIST_3_2.C_Encrypt,
    C_EncryptUpdate: LIST_3_2.C_EncryptUpdate,
    C_EncryptFinal: LIST_3_2.C_EncryptFinal,
    C_DecryptInit: LIST_3_2.C_DecryptInit,
    C_Decrypt: LIST_3_2.C_Decrypt,
    C_DecryptUpdate: LIST_3_2.C_DecryptUpdate,
    C_DecryptFinal: LIST_3_2.C_DecryptFinal,
    C_DigestInit: LIST_3_2.C_DigestInit,
    C_Digest: LIST_3_2.C_Digest,
    C_DigestUpdate: LIST_3_2.C_DigestUpdate,
    C_DigestKey: LIST_3_2.C_DigestKey,
    C_DigestFinal: LIST_3_2.C_DigestFinal,
    C_SignInit: LIST_3_2.C_SignInit,
    C_Sign: LIST_3_2.C_Sign,
    C_SignUpdate: LIST_3_2.C_SignUpdate,
    C_SignFinal: LIST_3_2.C_SignFinal,
    C_SignRecoverInit: LIST_3_2.C_SignRecoverInit,
    C_SignRecover: LIST_3_2.C_SignRecover,
    C_VerifyInit: LIST_3_2.C_VerifyInit,
    C_Verify: LIST_3_2.C_Verify,
    C_VerifyUpdate: LIST_3_2.C_VerifyUpdate,
    C_VerifyFinal: LIST_3_2.C_VerifyFinal,
    C_VerifyRecoverInit: LIST_3_2.C_VerifyRecoverInit,
    C_VerifyRecover: LIST_3_2.C_VerifyRecover,
    C_DigestEncryptUpdate: LIST_3_2.C_DigestEncryptUpdate,
    C_DecryptDigestUpdate: LIST_3_2.C_DecryptDigestUpdate,
    C_SignEncryptUpdate: LIST_3_2.C_SignEncryptUpdate,
    C_DecryptVerifyUpdate: LIST_3_2.C_DecryptVerifyUpdate,
    C_GenerateKey: LIST_3_2.C_GenerateKey,
    C_GenerateKeyPair: LIST_3_2.C_GenerateKeyPair,
    C_WrapKey: LIST_3_2.C_WrapKey,
    C_UnwrapKey: LIST_3_2.C_UnwrapKey,
    C_DeriveKey: LIST_3_2.C_DeriveKey,
    C_SeedRandom: LIST_3_2.C_SeedRandom,
    C_GenerateRandom: LIST_3_2.C_GenerateRandom,
    C_GetFunctionStatus: LIST_3_2.C_GetFunctionStatus,
    C_CancelFunction: LIST_3_2.C_CancelFunction,
    C_WaitForSlotEvent: LIST_3_2.C_WaitForSlotEvent,
    C_GetInterfaceList: LIST_3_2.C_GetInterfaceList,
    C_GetInterface: LIST_3_2.C_GetInterface,
    C_LoginUser: LIST_3_2.C_LoginUser,
    C_SessionCancel: LIST_3_2.C_SessionCancel,
    C_MessageEncryptInit: LIST_3_2.C_MessageEncryptInit,
    C_EncryptMessage: LIST_3_2.C_EncryptMessage,
    C_EncryptMessageBegin: LIST_3_2.C_EncryptMessageBegin,
    C_EncryptMessageNext: LIST_3_2.C_EncryptMessageNext,
    C_MessageEncryptFinal: LIST_3_2.C_MessageEncryptFinal,
    C_MessageDecryptInit: LIST_3_2.C_MessageDecryptInit,
    C_DecryptMessage: LIST_3_2.C_DecryptMessage,
    C_DecryptMessageBegin: LIST_3_2.C_DecryptMessageBegin,
    C_DecryptMessageNext: LIST_3_2.C_DecryptMessageNext,
    C_MessageDecryptFinal: LIST_3_2.C_MessageDecryptFinal,
    C_MessageSignInit: LIST_3_2.C_MessageSignInit,
    C_SignMessage: LIST_3_2.C_SignMessage,
    C_SignMessageBegin: LIST_3_2.C_SignMessageBegin,
    C_SignMessageNext: LIST_3_2.C_SignMessageNext,
    C_MessageSignFinal: LIST_3_2.C_MessageSignFinal,
    C_MessageVerifyInit: LIST_3_2.C_MessageVerifyInit,
    C_VerifyMessage: LIST_3_2.C_VerifyMessage,
    C_VerifyMessageBegin: LIST_3_2.C_VerifyMessageBegin,
    C_VerifyMessageNext: LIST_3_2.C_VerifyMessageNext,
    C_MessageVerifyFinal: LIST_3_2.C_MessageVerifyFinal,
};

static LIST_2_40: ck::CK_FUNCTION_LIST = ck::CK_FUNCTION_LIST {
    version: VERSION_2_40,
    C_Initialize: LIST_3_2.C_Initialize,
    C_Finalize: LIST_3_2.C_Finalize,
    C_GetInfo: LIST_3_2.C_GetInfo,
    C_GetFunctionList: LIST_3_2.C_GetFunctionList,
    C_GetSlotList: LIST_3_2.C_GetSlotList,
    C_GetSlotInfo: LIST_3_2.C_GetSlotInfo,
    C_GetTokenInfo: LIST_3_2.C_GetTokenInfo,
    C_GetMechanismList: LIST_3_2.C_GetMechanismList,
    C_GetMechanismInfo: LIST_3_2.C_GetMechanismInfo,
    C_InitToken: LIST_3_2.C_InitToken,
    C_InitPIN: LIST_3_2.C_InitPIN,
    C_SetPIN: LIST_3_2.C_SetPIN,
    C_OpenSession: LIST_3_2.C_OpenSession,
    C_CloseSession: LIST_3_2.C_CloseSession,
    C_CloseAllSessions: LIST_3_2.C_CloseAllSessions,
    C_GetSessionInfo: LIST_3_2.C_GetSessionInfo,
    C_GetOperationState: LIST_3_2.C_GetOperationState,
    C_SetOperationState: LIST_3_2.C_SetOperationState,
    C_Login: LIST_3_2.C_Login,
    C_Logout: LIST_3_2.C_Logout,
    C_CreateObject: LIST_3_2.C_CreateObject,
    C_CopyObject: LIST_3_2.C_CopyObject,
    C_DestroyObject: LIST_3_2.C_DestroyObject,
    C_GetObjectSize: LIST_3_2.C_GetObjectSize,
    C_GetAttributeValue: LIST_3_2.C_GetAttributeValue,
    C_SetAttributeValue: LIST_3_2.C_SetAttributeValue,
    C_FindObjectsInit: LIST_3_2.C_FindObjectsInit,
    C_FindObjects: LIST_3_2.C_FindObjects,
    C_FindObjectsFinal: LIST_3_2.C_FindObjectsFinal,
    C_EncryptInit: LIST_3_2.C_EncryptInit,
    C_Encrypt: LIST_3_2.C_Encrypt,
    C_EncryptUpdate: LIST_3_2.C_EncryptUpdate,
    C_EncryptFinal: LIST_3_2.C_EncryptFinal,
    C_DecryptInit: LIST_3_2.C_DecryptInit,
    C_Decrypt: LIST_3_2.C_Decrypt,
    C_DecryptUpdate: LIST_3_2.C_DecryptUpdate,
    C_DecryptFinal: LIST_3_2.C_DecryptFinal,
    C_DigestInit: LIST_3_2.C_DigestInit,
    C_Digest: LIST_3_2.C_Digest,
    C_DigestUpdate: LIST_3_2.C_DigestUpdate,
    C_DigestKey: LIST_3_2.C_DigestKey,
    C_DigestFinal: LIST_3_2.C_DigestFinal,
    C_SignInit: LIST_3_2.C_SignInit,
    C_Sign: LIST_3_2.C_Sign,
    C_SignUpdate: LIST_3_2.C_SignUpdate,
    C_SignFinal: LIST_3_2.C_SignFinal,
    C_SignRecoverInit: LIST_3_2.C_SignRecoverInit,
    C_SignRecover: LIST_3_2.C_SignRecover,
    C_VerifyInit: LIST_3_2.C_VerifyInit,
    C_Verify: LIST_3_2.C_Verify,
    C_VerifyUpdate: LIST_3_2.C_VerifyUpdate,
    C_VerifyFinal: LIST_3_2.C_VerifyFinal,
    C_VerifyRecoverInit: LIST_3_2.C_VerifyRecoverInit,
    C_VerifyRecover: LIST_3_2.C_VerifyRecover,
    C_DigestEncryptUpdate: LIST_3_2.C_DigestEncryptUpdate,
    C_DecryptDigestUpdate: LIST_3_2.C_DecryptDigestUpdate,
    C_SignEncryptUpdate: LIST_3_2.C_SignEncryptUpdate,
    C_DecryptVerifyUpdate: LIST_3_2.C_DecryptVerifyUpdate,
    C_GenerateKey: LIST_3_2.C_GenerateKey,
    C_GenerateKeyPair: LIST_3_2.C_GenerateKeyPair,
    C_WrapKey: LIST_3_2.C_WrapKey,
    C_UnwrapKey: LIST_3_2.C_UnwrapKey,
    C_DeriveKey: LIST_3_2.C_DeriveKey,
    C_SeedRandom: LIST_3_2.C_SeedRandom,
    C_GenerateRandom: LIST_3_2.C_GenerateRandom,
    C_GetFunctionStatus: LIST_3_2.C_GetFunctionStatus,
    C_CancelFunction: LIST_3_2.C_CancelFunction,
    C_WaitForSlotEvent: LIST_3_2.C_WaitForSlotEvent,
};

const NAME: &CStr = c"PKCS 11";

/// The interfaces. The first is for who does not say which: 3.0, for programs of its time do not all know what to do with a newer
/// one (OpenSC's spy lets it pass unseen), and who needs 3.2 asks for it.
///
/// They lie in memory that may be written: OpenSC's spy puts its own list there, as the pointer to non-constant allows it to.
struct Interfaces(UnsafeCell<[ck::CK_INTERFACE; 3]>);

// SAFETY: this library writes nothing there, and a program that does answers for it.
unsafe impl Sync for Interfaces {}

static INTERFACES: Interfaces = Interfaces(UnsafeCell::new([
    interface((&raw const LIST_3_0).cast()),
    interface((&raw const LIST_3_2).cast()),
    interface((&raw const LIST_2_40).cast()),
]));

const VERSIONS: [ck::CK_VERSION; 3] = [VERSION_3_0, VERSION_3_2, VERSION_2_40];

const fn interface(list: *const std::ffi::c_void) -> ck::CK_INTERFACE {
    ck::CK_INTERFACE {
        pInterfaceName: NAME.as_ptr().cast::<ck::CK_UTF8CHAR>().cast_mut(),
        pFunctionList: list.cast_mut(),
        flags: ck::CKF_INTERFACE_FORK_SAFE,
    }
}

/// `C_GetFunctionList`
///
/// # Safety
/// The caller's promise ([`crate::abi`]).
pub(crate) unsafe fn function_list(list: ck::CK_FUNCTION_LIST_PTR_PTR) -> ck::CK_RV {
    enter_bare(|| {
        // SAFETY: the caller's promise.
        unsafe { Place::new(list) }?.set((&raw const LIST_2_40).cast_mut());
        Ok(())
    })
}

/// `C_GetInterfaceList`
///
/// # Safety
/// The caller's promise.
pub(crate) unsafe fn list(list: ck::CK_INTERFACE_PTR, count: ck::CK_ULONG_PTR) -> ck::CK_RV {
    enter_bare(|| {
        // SAFETY: they are there as long as the library is, and nobody of ours writes them.
        let interfaces = unsafe { &*INTERFACES.0.get() };
        // SAFETY: the caller's promise.
        unsafe { general::write_list(list, count, interfaces) }
    })
}

/// `C_GetInterface`
///
/// # Safety
/// The caller's promise; `name` ends with a NUL.
pub(crate) unsafe fn find(
    name: ck::CK_UTF8CHAR_PTR,
    version: ck::CK_VERSION_PTR,
    interface: ck::CK_INTERFACE_PTR_PTR,
    flags: ck::CK_FLAGS,
) -> ck::CK_RV {
    enter_bare(|| {
        // SAFETY: the caller's promise.
        let place = unsafe { Place::new(interface) }?;
        // SAFETY: the caller's promise: not null, it ends with a NUL.
        let other = !name.is_null() && unsafe { CStr::from_ptr(name.cast()) } != NAME;
        let wanted = if version.is_null() {
            None
        } else {
            // SAFETY: the caller's promise; it is not null.
            Some(unsafe { abi::reference(version.cast_const()) }?)
        };
        if other || flags & !ck::CKF_INTERFACE_FORK_SAFE != 0 {
            return Err(Code(ck::CKR_FUNCTION_FAILED));
        }
        place.set(by_version(wanted)?);
        Ok(())
    })
}

fn by_version(wanted: Option<&ck::CK_VERSION>) -> Result<ck::CK_INTERFACE_PTR> {
    let is_wanted = |version: &ck::CK_VERSION| {
        wanted.is_none_or(|wanted| (wanted.major, wanted.minor) == (version.major, version.minor))
    };
    let found = VERSIONS.iter().position(is_wanted).ok_or(Code(ck::CKR_FUNCTION_FAILED))?;
    Ok(INTERFACES.0.get().cast::<ck::CK_INTERFACE>().wrapping_add(found))
}
