//! Return codes with their names, so that a failed test reads as the standard does.

use std::fmt;

use cryptoki_sys as ck;

/// A `CKR_*` number that is not `CKR_OK`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub ck::CK_RV);

macro_rules! names {
    ($($name:ident)*) => {
        const NAMES: &[(ck::CK_RV, &str)] = &[$((ck::$name, stringify!($name))),*];
    };
}

names! {
    CKR_HOST_MEMORY CKR_SLOT_ID_INVALID CKR_GENERAL_ERROR CKR_FUNCTION_FAILED CKR_ARGUMENTS_BAD CKR_ATTRIBUTE_READ_ONLY
    CKR_ATTRIBUTE_SENSITIVE CKR_ATTRIBUTE_TYPE_INVALID CKR_ATTRIBUTE_VALUE_INVALID CKR_ACTION_PROHIBITED CKR_DATA_INVALID
    CKR_DATA_LEN_RANGE CKR_DEVICE_ERROR CKR_DEVICE_MEMORY CKR_ENCRYPTED_DATA_INVALID CKR_ENCRYPTED_DATA_LEN_RANGE
    CKR_FUNCTION_NOT_SUPPORTED CKR_KEY_HANDLE_INVALID CKR_KEY_SIZE_RANGE CKR_KEY_TYPE_INCONSISTENT CKR_KEY_UNEXTRACTABLE
    CKR_KEY_FUNCTION_NOT_PERMITTED CKR_KEY_NOT_WRAPPABLE CKR_MECHANISM_INVALID CKR_MECHANISM_PARAM_INVALID
    CKR_OBJECT_HANDLE_INVALID CKR_OPERATION_ACTIVE CKR_OPERATION_NOT_INITIALIZED CKR_PIN_INCORRECT CKR_SESSION_COUNT
    CKR_SESSION_HANDLE_INVALID CKR_SESSION_READ_ONLY CKR_SIGNATURE_INVALID CKR_SIGNATURE_LEN_RANGE CKR_TEMPLATE_INCOMPLETE
    CKR_TEMPLATE_INCONSISTENT CKR_UNWRAPPING_KEY_HANDLE_INVALID CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT CKR_USER_NOT_LOGGED_IN
    CKR_WRAPPED_KEY_INVALID CKR_WRAPPED_KEY_LEN_RANGE CKR_WRAPPING_KEY_HANDLE_INVALID CKR_WRAPPING_KEY_TYPE_INCONSISTENT
    CKR_BUFFER_TOO_SMALL CKR_CURVE_NOT_SUPPORTED CKR_PUBLIC_KEY_INVALID CKR_CRYPTOKI_NOT_INITIALIZED
}

impl Code {
    /// Whether it names a cause: not one of the codes that modules give when they do not know what to say.
    #[must_use]
    pub const fn names_a_cause(self) -> bool {
        !matches!(
            self.0,
            ck::CKR_GENERAL_ERROR
                | ck::CKR_FUNCTION_FAILED
                | ck::CKR_DEVICE_ERROR
                | ck::CKR_HOST_MEMORY
                | ck::CKR_DEVICE_MEMORY
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => formatter.write_str(name),
            None => write!(formatter, "CKR {:#x}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
