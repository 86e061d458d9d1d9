//! What the library, its slot, its token and its mechanisms are (PKCS#11 3.2 §5.4 and §5.5).

use casemate_protocol::Mechanism;
use casemate_protocol::mechanisms::{Functions, MECHANISMS};
use casemate_protocol::messages::{Answer, Ask};
use casemate_protocol::{KeyType, limits};
use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::library::{Library, unexpected};
use crate::pin;
use crate::sessions::SESSIONS_MAX;

/// The version of PKCS#11 that the library implements.
const CRYPTOKI: ck::CK_VERSION = ck::CK_VERSION { major: 3, minor: 2 };

const fn version() -> ck::CK_VERSION {
    ck::CK_VERSION { major: 0, minor: 1 }
}

/// Pads with blanks, never a NUL (PKCS#11 3.2 §3.1).
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = text.bytes().chain(std::iter::repeat(b' '));
    std::array::from_fn(|_| bytes.next().unwrap_or(b' '))
}

const MANUFACTURER: &str = "Casemate";

/// `C_GetInfo`
pub(crate) fn info() -> ck::CK_INFO {
    ck::CK_INFO {
        cryptokiVersion: CRYPTOKI,
        manufacturerID: padded(MANUFACTURER),
        flags: 0,
        libraryDescription: padded("Casemate PKCS#11 module"),
        libraryVersion: version(),
    }
}

/// `C_GetSlotInfo`
pub(crate) fn slot_info() -> ck::CK_SLOT_INFO {
    ck::CK_SLOT_INFO {
        slotDescription: padded("Casemate cluster"),
        manufacturerID: padded(MANUFACTURER),
        flags: ck::CKF_TOKEN_PRESENT,
        hardwareVersion: version(),
        firmwareVersion: version(),
    }
}

/// `C_GetTokenInfo`: all of it is known without a word to an HSM.
pub(crate) fn token_info(library: &Library) -> ck::CK_TOKEN_INFO {
    let cluster = library.client.config().trust.as_ref().map(|trust| trust.cluster.to_string());
    let serial = cluster.as_deref().and_then(|id| id.strip_prefix("cluster-")).unwrap_or_default();
    let (sessions, writing) = library.sessions.count();
    let number = |count: usize| count as ck::CK_ULONG;
    ck::CK_TOKEN_INFO {
        label: padded("casemate"),
        manufacturerID: padded(MANUFACTURER),
        model: padded("Casemate HSM"),
        serialNumber: padded(serial),
        flags: ck::CKF_RNG
            | ck::CKF_LOGIN_REQUIRED
            | ck::CKF_USER_PIN_INITIALIZED
            | ck::CKF_TOKEN_INITIALIZED,
        ulMaxSessionCount: number(SESSIONS_MAX),
        ulSessionCount: number(sessions),
        ulMaxRwSessionCount: number(SESSIONS_MAX),
        ulRwSessionCount: number(writing),
        ulMaxPinLen: number(pin::BYTES_MAX),
        ulMinPinLen: number(pin::BYTES_MIN),
        ulTotalPublicMemory: ck::CK_UNAVAILABLE_INFORMATION,
        ulFreePublicMemory: ck::CK_UNAVAILABLE_INFORMATION,
        ulTotalPrivateMemory: ck::CK_UNAVAILABLE_INFORMATION,
        ulFreePrivateMemory: ck::CK_UNAVAILABLE_INFORMATION,
        hardwareVersion: version(),
        firmwareVersion: version(),
        utcTime: padded(""),
    }
}

/// The numbers of all mechanisms, in the order of the table.
pub(crate) fn mechanisms() -> Vec<ck::CK_MECHANISM_TYPE> {
    MECHANISMS.iter().map(|row| row.mechanism.number()).collect()
}

/// `C_GetMechanismInfo`
pub(crate) fn mechanism_info(number: ck::CK_MECHANISM_TYPE) -> Result<ck::CK_MECHANISM_INFO> {
    let row = Mechanism::from_number(number).ok_or(Code::MECHANISM_INVALID)?.row();
    let on_curve = |key_type: &KeyType| {
        matches!(key_type, KeyType::Ec | KeyType::EcEdwards | KeyType::EcMontgomery)
    };
    let mut flags = row.functions.0;
    if row.key_types.iter().any(on_curve) {
        flags |= ck::CKF_EC_F_P | ck::CKF_EC_OID | ck::CKF_EC_UNCOMPRESS;
    }
    if row.mechanism == Mechanism::AesGcm {
        flags |= ck::CKF_MESSAGE_ENCRYPT | ck::CKF_MESSAGE_DECRYPT;
    }
    let (mut least, mut most) = (row.key_size_min, row.key_size_max);
    if row.functions.contains(Functions::DIGEST) {
        (least, most) = (0, 0);
    }
    Ok(ck::CK_MECHANISM_INFO { ulMinKeySize: least, ulMaxKeySize: most, flags })
}

/// `C_GenerateRandom`
pub(crate) fn random(library: &Library, length: usize) -> Result<Vec<u8>> {
    let mut random = Vec::with_capacity(length.min(1 << 20));
    while random.len() < length {
        let wanted = length.saturating_sub(random.len()).min(limits::RANDOM_BYTES_MAX);
        let Answer::Data(answer) = library.call(Ask::Random(wanted as u64))? else {
            return unexpected();
        };
        if answer.data.len() != wanted {
            return unexpected();
        }
        random.extend_from_slice(&answer.data);
    }
    Ok(random)
}
