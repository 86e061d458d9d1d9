//! Errors on the wire: one variant per cause, a number that is never reused, and what a retry would do.
//!
//! A border maps each variant once: PKCS#11 to `CKR_*`, the command line to text. The text is made on
//! the client's side; the wire carries number, argument and retry class only, so it leaks nothing
//! else. The list for people is `docs/reference/errors.md`.

/// What the client may do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// With the same request id, at once: nothing is known about the first attempt.
    SameId,
    /// After a new log-in by ticket or password.
    AfterLogIn,
    /// At another HSM, or at this one when it is well.
    Elsewhere,
    /// Here, after so many milliseconds.
    AfterMs(u64),
}

/// The number of an error on the wire: the same for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u32);

struct Number(u64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

fn attribute(number: u64) -> String {
    crate::AttributeType::from_number(number)
        .map_or_else(|| Number(number).to_string(), |known| known.row().name.to_owned())
}

fn mechanism(number: u64) -> String {
    crate::Mechanism::from_number(number)
        .map_or_else(|| Number(number).to_string(), |known| known.row().name.to_owned())
}

/// Why a request failed. The argument of a variant is the number of an attribute (`CKA_*`) or mechanism
/// (`CKM_*`), or milliseconds, as its text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[expect(missing_docs, reason = "the text of each says what happened and what to do")]
pub enum Error {
    #[error("the request is malformed: the client and the HSM may be of different versions")]
    Malformed,
    #[error("this HSM does not know the request: it may be of an older version")]
    UnknownRequest,
    #[error("no version of the protocol is known to both sides: upgrade the older one")]
    VersionUnsupported,
    #[error("this is another cluster than the configuration names")]
    ClusterMismatch,
    #[error("a frame is larger than 1 MiB")]
    FrameTooLarge,
    #[error("the request is larger than an HSM accepts")]
    MessageTooLarge,
    #[error("the HSM met a fault of its own: its log has the cause")]
    Internal,
    #[error("the HSM failed a self-test and serves nothing but its status")]
    SelfTestFailed,
    #[error("the HSM is busy: retry after {0} ms")]
    Busy(u64),
    #[error("the HSM is stopping")]
    ShuttingDown,
    #[error("the HSM is not ready: retry after {0} ms")]
    NotReady(u64),
    #[error("the HSM's disk is full, so it refuses changes; keys can still be used")]
    WritesRefusedDiskFull(u64),
    #[error("the HSM's disk failed, so it refuses changes; keys can still be used")]
    WritesRefusedDiskFailed,
    #[error(
        "no majority of the cluster's HSMs is reachable, so changes are refused; retry after {0} ms"
    )]
    NoMajority(u64),
    #[error("the deadline passed before an HSM answered")]
    DeadlineExceeded,
    #[error("the HSM serves as many connections as it may; retry after {0} ms")]
    ConnectionLimit(u64),
    #[error("this HSM is behind what the client has seen, and did not catch up in {0} ms")]
    IndexAhead(u64),
    #[error("the request id was used for another request")]
    RequestIdReused,
    #[error(
        "the request is older than the window in which a retry is known; look whether it took effect"
    )]
    RequestTooOld,
    #[error("the HSM's clock is wrong, so it makes no timed change: set its clock")]
    ClockSkew,
    #[error("this HSM was taken out of the cluster")]
    HsmRemoved,
    #[error("the cluster is not initialised: run `casemate cluster initialize`")]
    NotInitialized,
    #[error("the cluster is initialised already")]
    AlreadyInitialized,
    #[error("the cluster is not activated: run `casemate cluster activate`")]
    NotActivated,
    #[error("the cluster is activated already")]
    AlreadyActivated,
    #[error("the certificate is not for this cluster's key, or does not chain to the trust anchor")]
    CertificateInvalid,
    #[error("the certificate is expired, or not yet valid")]
    CertificateExpired,
    #[error("the trust anchor is not a self-signed CA certificate")]
    TrustAnchorInvalid,
    #[error("the activation is not signed by a key under the trust anchor")]
    ActivationRefused,
    #[error("what the module says of itself is not signed by its identity key, or makes no sense")]
    JoinInvalid,
    #[error("the admission is not signed by a key under the trust anchor, or is over")]
    AdmissionRefused,
    #[error(
        "the HSM is a member already, or was one: a module that was removed joins as a new one"
    )]
    HsmKnown,
    #[error("there is no such HSM in the cluster")]
    HsmNotFound,
    #[error("the last HSM cannot be taken out")]
    LastHsm,
    #[error("the cluster has as many HSMs as it may")]
    HsmLimit,
    #[error("the machine of the HSM does not show by its TPM that it runs what the cluster wants")]
    EvidenceRefused,
    #[error("the cluster's setting cannot have this value")]
    SettingInvalid,
    #[error("a log-in is needed")]
    LogInRequired,
    #[error("the key wants the user's password for each use")]
    PasswordRequired,
    #[error("the user's role may not do this")]
    RoleRefused,
    #[error("the user name or the password is wrong")]
    PasswordIncorrect,
    #[error("a password has 8 to 128 bytes, and no colon")]
    PasswordLength,
    #[error("the user is locked after wrong passwords: an admin unlocks it by a new password")]
    UserLocked,
    #[error("wrong passwords came before: the next attempt is possible in {0} ms")]
    LogInDelayed(u64),
    #[error("somebody is logged in already")]
    AlreadyLoggedIn,
    #[error("the ticket is not valid, or no longer: log in again")]
    TicketInvalid,
    #[error("a user name has 1 to 31 of a-z, 0-9 and _.@- and begins with a letter or digit")]
    UserNameInvalid,
    #[error("a user of that name exists")]
    UserExists,
    #[error("no user of that name and role exists")]
    UserNotFound,
    #[error("the user owns keys: delete or move them first")]
    UserOwnsKeys,
    #[error("the last admin cannot be deleted")]
    LastAdmin,
    #[error("the cluster has as many users as it may")]
    UserLimit,
    #[error("the cluster requires a client certificate")]
    ClientCertificateRequired,
    #[error("the object does not exist, or is not for this user to see")]
    ObjectNotFound,
    #[error("the key does not exist, or is not for this user to see")]
    KeyHandleInvalid,
    #[error("the attribute {} is unknown, or this class of object does not have it", attribute(*.0))]
    AttributeTypeInvalid(u64),
    #[error("the value of the attribute {} is not valid", attribute(*.0))]
    AttributeValueInvalid(u64),
    #[error("the attribute {} cannot be set here, or not to this value", attribute(*.0))]
    AttributeReadOnly(u64),
    #[error("the attribute {} is secret and never leaves the HSM in the clear", attribute(*.0))]
    AttributeSensitive(u64),
    #[error("the attribute {} is in the template twice", attribute(*.0))]
    AttributeRepeated(u64),
    #[error("the template lacks the attribute {}", attribute(*.0))]
    TemplateIncomplete(u64),
    #[error("the attribute {} contradicts the others, or does not fit this kind of object", attribute(*.0))]
    TemplateInconsistent(u64),
    #[error("a template has at most 128 attributes")]
    TemplateTooLong,
    #[error("an object has at most 128 KiB")]
    ObjectTooLarge,
    #[error("the cluster holds as many objects as it may")]
    ObjectLimit,
    #[error(
        "the object's attributes forbid this (CKA_MODIFIABLE, CKA_COPYABLE or CKA_DESTROYABLE is false)"
    )]
    ActionProhibited,
    #[error("only the owner of the key may do this")]
    NotOwner,
    #[error("the session key belongs to an earlier log-in, or was destroyed or changed")]
    SessionKeyVoid,
    #[error("the curve is not supported")]
    CurveNotSupported,
    #[error("the mechanism {} is unknown, or cannot be used for this", mechanism(*.0))]
    MechanismInvalid(u64),
    #[error("the parameter of the mechanism {} is not valid", mechanism(*.0))]
    MechanismParameterInvalid(u64),
    #[error("this use of the mechanism {} is not approved, and the cluster is in FIPS mode", mechanism(*.0))]
    MechanismNotApproved(u64),
    #[error("the parameter of the mechanism {} is not approved, and the cluster is in FIPS mode", mechanism(*.0))]
    ParameterNotApproved(u64),
    #[error("the key's curve or length is not approved for the mechanism {}, and the cluster is in FIPS mode", mechanism(*.0))]
    KeyNotApproved(u64),
    #[error("the key's type does not fit the mechanism {}", mechanism(*.0))]
    KeyTypeInconsistent(u64),
    #[error("the key's attribute {} does not permit this", attribute(*.0))]
    KeyFunctionNotPermitted(u64),
    #[error("the size of the key is out of range")]
    KeySizeRange,
    #[error("the key may not leave (CKA_EXTRACTABLE is false)")]
    KeyUnextractable,
    #[error(
        "the key cannot be wrapped by this key (CKA_WRAP_WITH_TRUSTED or a template forbids it)"
    )]
    KeyNotWrappable,
    #[error("the wrapping key's type does not fit the mechanism {}", mechanism(*.0))]
    WrappingKeyTypeInconsistent(u64),
    #[error("the wrapped key is damaged, or was wrapped by another key")]
    WrappedKeyInvalid,
    #[error("the wrapped key has a length that the mechanism does not give")]
    WrappedKeyLength,
    #[error("the data has a length that the mechanism does not accept")]
    DataLength,
    #[error("the data is not valid for the mechanism")]
    DataInvalid,
    #[error("the ciphertext is damaged, or was made by another key")]
    EncryptedDataInvalid,
    #[error("the ciphertext has a length that the mechanism does not give")]
    EncryptedDataLength,
    #[error("the signature is not valid")]
    SignatureInvalid,
    #[error("the signature has a length that the mechanism does not give")]
    SignatureLength,
    #[error("the public key is not valid: off its curve, of low order, or weak")]
    PublicKeyInvalid,
    #[error("the key is weak or inconsistent, and is refused")]
    KeyWeak,
    #[error(
        "the state of the multi-part operation is not one that an HSM of this cluster gave for this key"
    )]
    StateInvalid,
    #[error("the key was used for AES-GCM as often as FIPS mode allows: make a new one")]
    InvocationLimit,
    #[error("the key's end date has passed")]
    KeyExpired,
    /// An error that only a newer version knows.
    #[error(
        "the HSM reports error {code}, which this client does not know: it may be of an older version"
    )]
    Unknown { code: u32, argument: u64, retry: u32 },
}

/// What the table says of one error.
struct Row {
    code: u32,
    class: Class,
}

#[derive(Clone, Copy)]
enum Class {
    Never,
    AfterLogIn,
    Elsewhere,
    AfterMs,
}

impl Class {
    const fn number(self) -> u32 {
        match self {
            Self::Never => 0,
            Self::AfterLogIn => 2,
            Self::Elsewhere => 3,
            Self::AfterMs => 4,
        }
    }
}

const fn row(code: u32, class: Class) -> Row {
    Row { code, class }
}

impl Error {
    #[rustfmt::skip]
    #[expect(clippy::too_many_lines, reason = "the table of errors is data: one line each")]
    const fn row(self) -> Row {
        match self {
            Self::Malformed => row(1, Class::Never),
            Self::UnknownRequest => row(2, Class::Never),
            Self::VersionUnsupported => row(3, Class::Never),
            Self::ClusterMismatch => row(4, Class::Never),
            Self::FrameTooLarge => row(5, Class::Never),
            Self::MessageTooLarge => row(6, Class::Never),
            Self::Internal => row(7, Class::Elsewhere),
            Self::SelfTestFailed => row(8, Class::Elsewhere),
            Self::Busy(_) => row(9, Class::AfterMs),
            Self::ShuttingDown => row(10, Class::Elsewhere),
            Self::NotReady(_) => row(11, Class::AfterMs),
            Self::WritesRefusedDiskFull(_) => row(12, Class::AfterMs),
            Self::WritesRefusedDiskFailed => row(13, Class::Elsewhere),
            Self::NoMajority(_) => row(14, Class::AfterMs),
            Self::DeadlineExceeded => row(15, Class::Never),
            Self::ConnectionLimit(_) => row(16, Class::AfterMs),
            Self::IndexAhead(_) => row(17, Class::Elsewhere),
            Self::RequestIdReused => row(18, Class::Never),
            Self::RequestTooOld => row(19, Class::Never),
            Self::ClockSkew => row(20, Class::Elsewhere),
            Self::HsmRemoved => row(21, Class::Elsewhere),
            Self::NotInitialized => row(40, Class::Never),
            Self::AlreadyInitialized => row(41, Class::Never),
            Self::NotActivated => row(42, Class::Never),
            Self::AlreadyActivated => row(43, Class::Never),
            Self::CertificateInvalid => row(44, Class::Never),
            Self::CertificateExpired => row(45, Class::Never),
            Self::TrustAnchorInvalid => row(46, Class::Never),
            Self::ActivationRefused => row(47, Class::Never),
            Self::JoinInvalid => row(48, Class::Never),
            Self::AdmissionRefused => row(49, Class::Never),
            Self::HsmKnown => row(50, Class::Never),
            Self::HsmNotFound => row(51, Class::Never),
            Self::LastHsm => row(52, Class::Never),
            Self::HsmLimit => row(53, Class::Never),
            Self::EvidenceRefused => row(56, Class::Never),
            Self::SettingInvalid => row(54, Class::Never),
            Self::LogInRequired => row(60, Class::AfterLogIn),
            Self::PasswordRequired => row(75, Class::Never),
            Self::RoleRefused => row(61, Class::Never),
            Self::PasswordIncorrect => row(62, Class::Never),
            Self::PasswordLength => row(63, Class::Never),
            Self::UserLocked => row(64, Class::Never),
            Self::LogInDelayed(_) => row(65, Class::Never),
            Self::AlreadyLoggedIn => row(66, Class::Never),
            Self::TicketInvalid => row(67, Class::AfterLogIn),
            Self::UserNameInvalid => row(68, Class::Never),
            Self::UserExists => row(69, Class::Never),
            Self::UserNotFound => row(70, Class::Never),
            Self::UserOwnsKeys => row(71, Class::Never),
            Self::LastAdmin => row(72, Class::Never),
            Self::UserLimit => row(73, Class::Never),
            Self::ClientCertificateRequired => row(74, Class::Never),
            Self::ObjectNotFound => row(100, Class::Never),
            Self::KeyHandleInvalid => row(101, Class::Never),
            Self::AttributeTypeInvalid(_) => row(102, Class::Never),
            Self::AttributeValueInvalid(_) => row(103, Class::Never),
            Self::AttributeReadOnly(_) => row(104, Class::Never),
            Self::AttributeSensitive(_) => row(105, Class::Never),
            Self::AttributeRepeated(_) => row(106, Class::Never),
            Self::TemplateIncomplete(_) => row(107, Class::Never),
            Self::TemplateInconsistent(_) => row(108, Class::Never),
            Self::TemplateTooLong => row(109, Class::Never),
            Self::ObjectTooLarge => row(110, Class::Never),
            Self::ObjectLimit => row(111, Class::Never),
            Self::ActionProhibited => row(112, Class::Never),
            Self::NotOwner => row(113, Class::Never),
            Self::SessionKeyVoid => row(114, Class::Never),
            Self::CurveNotSupported => row(115, Class::Never),
            Self::MechanismInvalid(_) => row(140, Class::Never),
            Self::MechanismParameterInvalid(_) => row(141, Class::Never),
            Self::MechanismNotApproved(_) => row(142, Class::Never),
            Self::KeyTypeInconsistent(_) => row(143, Class::Never),
            Self::KeyFunctionNotPermitted(_) => row(144, Class::Never),
            Self::KeySizeRange => row(145, Class::Never),
            Self::KeyUnextractable => row(146, Class::Never),
            Self::KeyNotWrappable => row(147, Class::Never),
            Self::WrappingKeyTypeInconsistent(_) => row(148, Class::Never),
            Self::WrappedKeyInvalid => row(149, Class::Never),
            Self::WrappedKeyLength => row(150, Class::Never),
            Self::DataLength => row(151, Class::Never),
            Self::DataInvalid => row(152, Class::Never),
            Self::EncryptedDataInvalid => row(153, Class::Never),
            Self::EncryptedDataLength => row(154, Class::Never),
            Self::SignatureInvalid => row(155, Class::Never),
            Self::SignatureLength => row(156, Class::Never),
            Self::PublicKeyInvalid => row(157, Class::Never),
            Self::KeyWeak => row(158, Class::Never),
            Self::StateInvalid => row(159, Class::Never),
            Self::InvocationLimit => row(160, Class::Never),
            Self::KeyExpired => row(161, Class::Never),
            Self::ParameterNotApproved(_) => row(162, Class::Never),
            Self::KeyNotApproved(_) => row(163, Class::Never),
            Self::Unknown { code, .. } => row(code, Class::Never),
        }
    }

    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        ErrorCode(self.row().code)
    }

    /// Returns what the client may do.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "the table has all others")]
    pub const fn retry(self) -> Retry {
        let number = match self {
            Self::Unknown { retry, .. } => retry,
            _ => self.row().class.number(),
        };
        match number {
            1 => Retry::SameId,
            2 => Retry::AfterLogIn,
            3 => Retry::Elsewhere,
            4 => Retry::AfterMs(self.argument()),
            _ => Retry::Never,
        }
    }

    /// Returns the argument on the wire; 0 if there is none.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have none")]
    #[rustfmt::skip]
    pub const fn argument(self) -> u64 {
        match self {
            Self::Busy(argument)
            | Self::NotReady(argument)
            | Self::WritesRefusedDiskFull(argument)
            | Self::NoMajority(argument)
            | Self::ConnectionLimit(argument)
            | Self::IndexAhead(argument)
            | Self::LogInDelayed(argument)
            | Self::AttributeTypeInvalid(argument)
            | Self::AttributeValueInvalid(argument)
            | Self::AttributeReadOnly(argument)
            | Self::AttributeSensitive(argument)
            | Self::AttributeRepeated(argument)
            | Self::TemplateIncomplete(argument)
            | Self::TemplateInconsistent(argument)
            | Self::MechanismInvalid(argument)
            | Self::MechanismParameterInvalid(argument)
            | Self::MechanismNotApproved(argument)
            | Self::ParameterNotApproved(argument)
            | Self::KeyNotApproved(argument)
            | Self::KeyTypeInconsistent(argument)
            | Self::KeyFunctionNotPermitted(argument)
            | Self::WrappingKeyTypeInconsistent(argument)
            | Self::Unknown { argument, .. } => argument,
            _ => 0,
        }
    }

    /// Returns the three numbers of the wire: code, argument, retry class.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "the table has all others")]
    pub const fn to_wire(self) -> (u32, u64, u32) {
        let retry = match self {
            Self::Unknown { retry, .. } => retry,
            _ => self.row().class.number(),
        };
        (self.row().code, self.argument(), retry)
    }

    /// Reads the three numbers of the wire; what this version does not know stays usable as
    /// [`Error::Unknown`], with its retry class.
    #[must_use]
    #[rustfmt::skip]
    #[expect(clippy::too_many_lines, reason = "the table of errors is data: one line each")]
    pub const fn from_wire(code: u32, argument: u64, retry: u32) -> Self {
        match code {
            1 => Self::Malformed,
            2 => Self::UnknownRequest,
            3 => Self::VersionUnsupported,
            4 => Self::ClusterMismatch,
            5 => Self::FrameTooLarge,
            6 => Self::MessageTooLarge,
            7 => Self::Internal,
            8 => Self::SelfTestFailed,
            9 => Self::Busy(argument),
            10 => Self::ShuttingDown,
            11 => Self::NotReady(argument),
            12 => Self::WritesRefusedDiskFull(argument),
            13 => Self::WritesRefusedDiskFailed,
            14 => Self::NoMajority(argument),
            15 => Self::DeadlineExceeded,
            16 => Self::ConnectionLimit(argument),
            17 => Self::IndexAhead(argument),
            18 => Self::RequestIdReused,
            19 => Self::RequestTooOld,
            20 => Self::ClockSkew,
            21 => Self::HsmRemoved,
            40 => Self::NotInitialized,
            41 => Self::AlreadyInitialized,
            42 => Self::NotActivated,
            43 => Self::AlreadyActivated,
            44 => Self::CertificateInvalid,
            45 => Self::CertificateExpired,
            46 => Self::TrustAnchorInvalid,
            47 => Self::ActivationRefused,
            48 => Self::JoinInvalid,
            49 => Self::AdmissionRefused,
            50 => Self::HsmKnown,
            51 => Self::HsmNotFound,
            52 => Self::LastHsm,
            53 => Self::HsmLimit,
            56 => Self::EvidenceRefused,
            54 => Self::SettingInvalid,
            60 => Self::LogInRequired,
            61 => Self::RoleRefused,
            62 => Self::PasswordIncorrect,
            63 => Self::PasswordLength,
            64 => Self::UserLocked,
            65 => Self::LogInDelayed(argument),
            66 => Self::AlreadyLoggedIn,
            67 => Self::TicketInvalid,
            68 => Self::UserNameInvalid,
            69 => Self::UserExists,
            70 => Self::UserNotFound,
            71 => Self::UserOwnsKeys,
            72 => Self::LastAdmin,
            73 => Self::UserLimit,
            74 => Self::ClientCertificateRequired,
            75 => Self::PasswordRequired,
            100 => Self::ObjectNotFound,
            101 => Self::KeyHandleInvalid,
            102 => Self::AttributeTypeInvalid(argument),
            103 => Self::AttributeValueInvalid(argument),
            104 => Self::AttributeReadOnly(argument),
            105 => Self::AttributeSensitive(argument),
            106 => Self::AttributeRepeated(argument),
            107 => Self::TemplateIncomplete(argument),
            108 => Self::TemplateInconsistent(argument),
            109 => Self::TemplateTooLong,
            110 => Self::ObjectTooLarge,
            111 => Self::ObjectLimit,
            112 => Self::ActionProhibited,
            113 => Self::NotOwner,
            114 => Self::SessionKeyVoid,
            115 => Self::CurveNotSupported,
            140 => Self::MechanismInvalid(argument),
            141 => Self::MechanismParameterInvalid(argument),
            142 => Self::MechanismNotApproved(argument),
            143 => Self::KeyTypeInconsistent(argument),
            144 => Self::KeyFunctionNotPermitted(argument),
            145 => Self::KeySizeRange,
            146 => Self::KeyUnextractable,
            147 => Self::KeyNotWrappable,
            148 => Self::WrappingKeyTypeInconsistent(argument),
            149 => Self::WrappedKeyInvalid,
            150 => Self::WrappedKeyLength,
            151 => Self::DataLength,
            152 => Self::DataInvalid,
            153 => Self::EncryptedDataInvalid,
            154 => Self::EncryptedDataLength,
            155 => Self::SignatureInvalid,
            156 => Self::SignatureLength,
            157 => Self::PublicKeyInvalid,
            158 => Self::KeyWeak,
            159 => Self::StateInvalid,
            160 => Self::InvocationLimit,
            161 => Self::KeyExpired,
            162 => Self::ParameterNotApproved(argument),
            163 => Self::KeyNotApproved(argument),
            _ => Self::Unknown { code, argument, retry },
        }
    }

    /// Returns one of each error that this version knows, in order of codes: for tables and tests.
    pub fn every() -> impl Iterator<Item = Self> {
        (0..1_000)
            .map(|code| Self::from_wire(code, 0, 0))
            .filter(|error| !matches!(error, Self::Unknown { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_reads_back() {
        for error in Error::every() {
            let (code, argument, retry) = error.to_wire();
            assert_eq!(Error::from_wire(code, argument, retry), error);
            assert!(!error.to_string().is_empty());
        }
        assert_eq!(Error::every().count(), 93);
    }

    #[test]
    fn an_unknown_error_keeps_its_retry_class() {
        assert_eq!(Error::from_wire(9_999, 250, 4).retry(), Retry::AfterMs(250));
        assert_eq!(Error::from_wire(9_999, 0, 77).retry(), Retry::Never);
    }

    #[test]
    fn texts_name_what_they_speak_of() {
        assert_eq!(
            Error::AttributeReadOnly(0x103).to_string(),
            "the attribute sensitive cannot be set here, or not to this value"
        );
        assert!(Error::MechanismInvalid(0xdead).to_string().contains("0xdead"));
    }
}
