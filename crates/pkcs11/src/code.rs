//! Return codes: one mapping from each error of the wire and of the client to a `CKR_*` number.

use casemate_client::ClientError;
use casemate_protocol::Error;
use cryptoki_sys as ck;

/// A `CKR_*` number that is not `CKR_OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) ck::CK_RV);

/// What a function of the module comes to.
pub(crate) type Result<T> = std::result::Result<T, Code>;

impl Code {
    pub(crate) const ARGUMENTS_BAD: Self = Self(ck::CKR_ARGUMENTS_BAD);
    pub(crate) const ATTRIBUTE_VALUE_INVALID: Self = Self(ck::CKR_ATTRIBUTE_VALUE_INVALID);
    pub(crate) const BUFFER_TOO_SMALL: Self = Self(ck::CKR_BUFFER_TOO_SMALL);
    pub(crate) const DATA_LEN_RANGE: Self = Self(ck::CKR_DATA_LEN_RANGE);
    pub(crate) const DEVICE_ERROR: Self = Self(ck::CKR_DEVICE_ERROR);
    pub(crate) const FUNCTION_NOT_SUPPORTED: Self = Self(ck::CKR_FUNCTION_NOT_SUPPORTED);
    pub(crate) const GENERAL_ERROR: Self = Self(ck::CKR_GENERAL_ERROR);
    pub(crate) const KEY_HANDLE_INVALID: Self = Self(ck::CKR_KEY_HANDLE_INVALID);
    pub(crate) const MECHANISM_INVALID: Self = Self(ck::CKR_MECHANISM_INVALID);
    pub(crate) const MECHANISM_PARAM_INVALID: Self = Self(ck::CKR_MECHANISM_PARAM_INVALID);
    pub(crate) const NOT_INITIALIZED: Self = Self(ck::CKR_CRYPTOKI_NOT_INITIALIZED);
    pub(crate) const OBJECT_HANDLE_INVALID: Self = Self(ck::CKR_OBJECT_HANDLE_INVALID);
    pub(crate) const OPERATION_ACTIVE: Self = Self(ck::CKR_OPERATION_ACTIVE);
    pub(crate) const OPERATION_NOT_INITIALIZED: Self = Self(ck::CKR_OPERATION_NOT_INITIALIZED);
    pub(crate) const PIN_INCORRECT: Self = Self(ck::CKR_PIN_INCORRECT);
    pub(crate) const SESSION_HANDLE_INVALID: Self = Self(ck::CKR_SESSION_HANDLE_INVALID);
    pub(crate) const SLOT_ID_INVALID: Self = Self(ck::CKR_SLOT_ID_INVALID);
    pub(crate) const USER_NOT_LOGGED_IN: Self = Self(ck::CKR_USER_NOT_LOGGED_IN);

    /// Puts another code in the place of one, where a function names the same fault more exactly.
    pub(crate) fn instead_of(self, general: Self, exact: ck::CK_RV) -> Self {
        if self == general { Self(exact) } else { self }
    }
}

impl From<ClientError> for Code {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refused) => {
                tracing::debug!(cause = %refused, "refused");
                refused.into()
            }
            ClientError::Untrusted { .. } => {
                tracing::error!(cause = %error, "the HSM is not of this cluster");
                Self(ck::CKR_TOKEN_NOT_RECOGNIZED)
            }
            ClientError::Config(_) => Self::GENERAL_ERROR,
            ClientError::DeadlineExceeded { .. } => {
                // The client says once for each outage that no HSM answers.
                tracing::debug!(cause = %error, "a call failed");
                Self::DEVICE_ERROR
            }
            ClientError::Unexpected => {
                tracing::error!(cause = %error, "a call failed");
                Self::DEVICE_ERROR
            }
        }
    }
}

impl From<Error> for Code {
    #[expect(clippy::too_many_lines, reason = "the mapping is data: one line per cause")]
    fn from(error: Error) -> Self {
        Self(match error {
            Error::ClusterMismatch => ck::CKR_TOKEN_NOT_RECOGNIZED,
            Error::FrameTooLarge | Error::MessageTooLarge | Error::DataLength => {
                ck::CKR_DATA_LEN_RANGE
            }
            Error::SelfTestFailed => ck::CKR_FIPS_SELF_TEST_FAILED,
            Error::WritesRefusedDiskFull(_) | Error::ObjectLimit => ck::CKR_DEVICE_MEMORY,
            Error::NotInitialized | Error::NotActivated => ck::CKR_TOKEN_NOT_INITIALIZED,
            Error::LogInRequired | Error::PasswordRequired | Error::TicketInvalid => {
                ck::CKR_USER_NOT_LOGGED_IN
            }
            Error::PasswordIncorrect | Error::UserNotFound | Error::UserNameInvalid => {
                ck::CKR_PIN_INCORRECT
            }
            Error::PasswordLength => ck::CKR_PIN_LEN_RANGE,
            Error::UserLocked | Error::LogInDelayed(_) => ck::CKR_PIN_LOCKED,
            Error::AlreadyLoggedIn => ck::CKR_USER_ALREADY_LOGGED_IN,
            Error::ObjectNotFound => ck::CKR_OBJECT_HANDLE_INVALID,
            Error::KeyHandleInvalid | Error::SessionKeyVoid => ck::CKR_KEY_HANDLE_INVALID,
            Error::AttributeTypeInvalid(_) => ck::CKR_ATTRIBUTE_TYPE_INVALID,
            Error::AttributeValueInvalid(_) | Error::KeyWeak => ck::CKR_ATTRIBUTE_VALUE_INVALID,
            Error::AttributeReadOnly(_) => ck::CKR_ATTRIBUTE_READ_ONLY,
            Error::AttributeSensitive(_) => ck::CKR_ATTRIBUTE_SENSITIVE,
            Error::TemplateIncomplete(_) => ck::CKR_TEMPLATE_INCOMPLETE,
            Error::AttributeRepeated(_)
            | Error::TemplateInconsistent(_)
            | Error::TemplateTooLong => ck::CKR_TEMPLATE_INCONSISTENT,
            Error::ObjectTooLarge => ck::CKR_TOKEN_RESOURCE_EXCEEDED,
            Error::ActionProhibited | Error::NotOwner | Error::RoleRefused => {
                ck::CKR_ACTION_PROHIBITED
            }
            Error::CurveNotSupported => ck::CKR_CURVE_NOT_SUPPORTED,
            Error::MechanismInvalid(_) | Error::MechanismNotApproved(_) => {
                ck::CKR_MECHANISM_INVALID
            }
            Error::MechanismParameterInvalid(_) | Error::ParameterNotApproved(_) => {
                ck::CKR_MECHANISM_PARAM_INVALID
            }
            Error::KeyTypeInconsistent(_) => ck::CKR_KEY_TYPE_INCONSISTENT,
            Error::KeyFunctionNotPermitted(_) | Error::KeyExpired => {
                ck::CKR_KEY_FUNCTION_NOT_PERMITTED
            }
            Error::KeySizeRange | Error::KeyNotApproved(_) => ck::CKR_KEY_SIZE_RANGE,
            Error::KeyUnextractable => ck::CKR_KEY_UNEXTRACTABLE,
            Error::KeyNotWrappable => ck::CKR_KEY_NOT_WRAPPABLE,
            Error::WrappingKeyTypeInconsistent(_) => ck::CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
            Error::WrappedKeyInvalid => ck::CKR_WRAPPED_KEY_INVALID,
            Error::WrappedKeyLength => ck::CKR_WRAPPED_KEY_LEN_RANGE,
            Error::DataInvalid => ck::CKR_DATA_INVALID,
            Error::EncryptedDataInvalid => ck::CKR_ENCRYPTED_DATA_INVALID,
            Error::EncryptedDataLength => ck::CKR_ENCRYPTED_DATA_LEN_RANGE,
            Error::SignatureInvalid => ck::CKR_SIGNATURE_INVALID,
            Error::SignatureLength => ck::CKR_SIGNATURE_LEN_RANGE,
            Error::PublicKeyInvalid => ck::CKR_PUBLIC_KEY_INVALID,
            Error::StateInvalid => ck::CKR_SAVED_STATE_INVALID,
            Error::InvocationLimit => ck::CKR_KEY_EXHAUSTED,
            Error::Malformed
            | Error::UnknownRequest
            | Error::VersionUnsupported
            | Error::Internal
            | Error::Busy(_)
            | Error::ShuttingDown
            | Error::NotReady(_)
            | Error::WritesRefusedDiskFailed
            | Error::NoMajority(_)
            | Error::DeadlineExceeded
            | Error::ConnectionLimit(_)
            | Error::IndexAhead(_)
            | Error::RequestIdReused
            | Error::RequestTooOld
            | Error::ClockSkew
            | Error::AlreadyInitialized
            | Error::AlreadyActivated
            | Error::CertificateInvalid
            | Error::CertificateExpired
            | Error::TrustAnchorInvalid
            | Error::ActivationRefused
            | Error::HsmRemoved
            | Error::SettingInvalid
            | Error::JoinInvalid
            | Error::AdmissionRefused
            | Error::HsmKnown
            | Error::HsmNotFound
            | Error::LastHsm
            | Error::HsmLimit
            | Error::EvidenceRefused
            | Error::UserExists
            | Error::UserOwnsKeys
            | Error::LastAdmin
            | Error::UserLimit
            | Error::ClientCertificateRequired
            | Error::Unknown { .. } => ck::CKR_DEVICE_ERROR,
        })
    }
}
