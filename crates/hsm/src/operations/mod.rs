//! Use of keys: one file per family, driven by the table of mechanisms.
//!
//! Every use goes through [`usable`]: the mechanism is one for this function, allowed in the cluster's mode, the key is
//! the caller's, of a type that fits, and its attributes permit it. Short operations run in place; what takes
//! longer than about 100 µs is handed to a pool.

use std::sync::Arc;

use casemate_protocol::mechanisms::{Functions, MechanismRow};
use casemate_protocol::messages::{Answer, Ask, Data, MechanismUse, ObjectReference};
use casemate_protocol::{
    AttributeType, Error, KeyType, Mechanism, ObjectClass, limits as wire, template,
};

use crate::entropy::Time;
use crate::log_in::password;
use crate::objects::access;
use crate::objects::key::OpenKey;
use crate::objects::object::{Header, Object};
use crate::outcome::Outcome;
use crate::reader::Context;

mod approved;
mod cipher;
mod derive;
mod generate;
mod parameters;
mod sign;
mod wrap;

/// Answers a request to use or make keys.
pub(crate) fn handle(context: &Context<'_>, ask: Ask) -> Result<Outcome, Error> {
    match ask {
        Ask::Sign(operation) => sign::sign(context, &operation),
        Ask::Verify(verify) => sign::verify(context, &verify),
        Ask::Encrypt(operation) => cipher::encrypt(context, &operation),
        Ask::Decrypt(operation) => cipher::decrypt(context, &operation),
        Ask::WrapKey(request) => wrap::wrap(context, &request),
        Ask::UnwrapKey(request) => wrap::unwrap(context, &request),
        Ask::DeriveKey(request) => derive::derive(context, &request),
        Ask::Encapsulate(request) => derive::encapsulate(context, &request),
        Ask::Decapsulate(request) => derive::decapsulate(context, &request),
        Ask::GenerateKey(request) => generate::key(context, &request),
        Ask::GenerateKeyPair(request) => generate::pair(context, &request),
        Ask::Random(length) => random(length),
        Ask::Ping(_)
        | Ask::Status(_)
        | Ask::Csr(_)
        | Ask::Initialize(_)
        | Ask::Activate(_)
        | Ask::Settings(_)
        | Ask::ListJoining(_)
        | Ask::AddHsm(_)
        | Ask::RemoveHsm(_)
        | Ask::ChangeSettings(_)
        | Ask::LogIn(_)
        | Ask::UseTicket(_)
        | Ask::LogOut(_)
        | Ask::ConfirmPassword(_)
        | Ask::CreateUser(_)
        | Ask::ListUsers(_)
        | Ask::ChangePassword(_)
        | Ask::DeleteUser(_)
        | Ask::CreateObject(_)
        | Ask::CopyObject(_)
        | Ask::DestroyObject(_)
        | Ask::SetAttributes(_)
        | Ask::GetAttributes(_)
        | Ask::FindObjects(_)
        | Ask::ObjectSize(_) => Err(Error::UnknownRequest),
    }
}

fn random(length: u64) -> Result<Outcome, Error> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > wire::RANDOM_BYTES_MAX {
        return Err(Error::DataLength);
    }
    let mut data = vec![0; length];
    casemate_crypto::random::fill(&mut data);
    Ok(data_answer(data))
}

/// Makes the outcome of an operation that gave bytes.
fn data_answer(data: Vec<u8>) -> Outcome {
    Outcome::answer(Answer::Data(Data { data: data.into(), ..Data::default() }))
}

/// Finds the row of a mechanism for a function.
fn row_for(
    context: &Context<'_>,
    mechanism: Option<&MechanismUse>,
    function: Functions,
) -> Result<&'static MechanismRow, Error> {
    let mechanism = mechanism.ok_or(Error::Malformed)?;
    let number = mechanism.mechanism;
    let invalid = Error::MechanismInvalid(number);
    let row = Mechanism::from_number(number).ok_or(invalid)?.row();
    if !row.functions.contains(function) {
        return Err(invalid);
    }
    if context.state.fips_mode() && !row.approved.allows(function) {
        return Err(Error::MechanismNotApproved(number));
    }
    let parameter = mechanism.parameter.as_ref();
    parameters::fits(parameter, row)?;
    if context.state.fips_mode() {
        approved::parameter(row, function, parameter)?;
    }
    Ok(row)
}

/// A key that the caller may use by a mechanism.
struct Usable {
    object: Arc<Object>,
    key: Arc<OpenKey>,
    row: &'static MechanismRow,
}

/// What a use needs of a key: the flag that permits it, and the function.
#[derive(Clone, Copy)]
struct Need {
    flag: AttributeType,
    function: Functions,
}

const SIGN: Need = Need { flag: AttributeType::Sign, function: Functions::SIGN };
const VERIFY: Need = Need { flag: AttributeType::Verify, function: Functions::VERIFY };
const ENCRYPT: Need = Need { flag: AttributeType::Encrypt, function: Functions::ENCRYPT };
const DECRYPT: Need = Need { flag: AttributeType::Decrypt, function: Functions::DECRYPT };
const WRAP: Need = Need { flag: AttributeType::Wrap, function: Functions::WRAP };
const UNWRAP: Need = Need { flag: AttributeType::Unwrap, function: Functions::UNWRAP };
const DERIVE: Need = Need { flag: AttributeType::Derive, function: Functions::DERIVE };
const ENCAPSULATE: Need =
    Need { flag: AttributeType::Encapsulate, function: Functions::ENCAPSULATE };
const DECAPSULATE: Need =
    Need { flag: AttributeType::Decapsulate, function: Functions::DECAPSULATE };

/// Finds a key and opens it, if the caller may use it so.
fn usable(
    context: &Context<'_>,
    reference: Option<&ObjectReference>,
    mechanism: Option<&MechanismUse>,
    need: Need,
) -> Result<Usable, Error> {
    let row = row_for(context, mechanism, need.function)?;
    let object = access::find(context, reference, Error::KeyHandleInvalid)?;
    let user = context.log_in.ok_or(Error::LogInRequired)?.user;
    let public = object.class() == ObjectClass::PublicKey;
    if !public && !object.is_for(user) {
        return Err(Error::KeyHandleInvalid);
    }
    let number = row.mechanism.number();
    if !object.key_type().is_some_and(|key_type| row.key_types.contains(&key_type)) {
        let wrapping = matches!(need.flag, AttributeType::Wrap | AttributeType::Unwrap);
        return Err(if wrapping {
            Error::WrappingKeyTypeInconsistent(number)
        } else {
            Error::KeyTypeInconsistent(number)
        });
    }
    if !need.flag.row().classes.contains(object.class()) || !object.has(need.flag) {
        return Err(Error::KeyFunctionNotPermitted(need.flag.number()));
    }
    // The functions whose requests carry a password ask for it themselves; the others have no step in which a program could give one.
    let asks = matches!(need.flag, AttributeType::Sign | AttributeType::Decrypt);
    if !asks && object.has(AttributeType::AlwaysAuthenticate) {
        return Err(Error::PasswordRequired);
    }
    if object.is_restricted() {
        check_restrictions(&object.header(), row.mechanism, need, context.now)?;
    }
    let key = access::open(context, &object)?;
    if context.state.fips_mode() {
        approved::key(row, need.function, &key)?;
    }
    Ok(Usable { object, key, row })
}

/// Checks dates and `CKA_ALLOWED_MECHANISMS`. What was made while a key was valid may be verified, decrypted and unwrapped
/// afterwards.
fn check_restrictions(
    header: &Header,
    mechanism: Mechanism,
    need: Need,
    now: Time,
) -> Result<(), Error> {
    let allowed = header.value(AttributeType::AllowedMechanisms).unwrap_or_default();
    if !allowed.is_empty() && !template::allowed_mechanisms(allowed).any(|known| known == mechanism)
    {
        return Err(Error::MechanismInvalid(mechanism.number()));
    }
    let makes = matches!(
        need.flag,
        AttributeType::Sign
            | AttributeType::Encrypt
            | AttributeType::Wrap
            | AttributeType::Derive
            | AttributeType::Encapsulate
    );
    let today = date(now);
    let date_of = |attribute| header.value(attribute).filter(|value| !value.is_empty());
    let early = date_of(AttributeType::StartDate).is_some_and(|start| today.as_bytes() < start);
    let late = date_of(AttributeType::EndDate).is_some_and(|end| today.as_bytes() > end);
    if makes && (early || late) { Err(Error::KeyExpired) } else { Ok(()) }
}

/// The date in UTC as eight digits: days since 1970 by the proleptic Gregorian calendar.
fn date(now: Time) -> String {
    let days = i64::try_from(now.seconds() / 86_400).unwrap_or(i64::MAX);
    let date = time::Date::from_ordinal_date(1970, 1)
        .ok()
        .and_then(|epoch| epoch.checked_add(time::Duration::days(days)));
    date.map_or_else(String::new, |date| {
        format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
    })
}

/// Maps what the library says of an operation.
fn operation_error(error: casemate_crypto::Error, row: &MechanismRow) -> Error {
    match error {
        casemate_crypto::Error::KeyLength => Error::KeySizeRange,
        casemate_crypto::Error::KeyInvalid => Error::KeyWeak,
        casemate_crypto::Error::PublicKeyInvalid => Error::PublicKeyInvalid,
        casemate_crypto::Error::DataLength => Error::DataLength,
        casemate_crypto::Error::DataInvalid => Error::DataInvalid,
        casemate_crypto::Error::Parameter => {
            Error::MechanismParameterInvalid(row.mechanism.number())
        }
        casemate_crypto::Error::Decryption => Error::EncryptedDataInvalid,
        casemate_crypto::Error::Signature => Error::SignatureInvalid,
        casemate_crypto::Error::Pairwise | casemate_crypto::Error::SelfTest(_) => {
            Error::SelfTestFailed
        }
        casemate_crypto::Error::Library => Error::Internal,
    }
}

/// Whether an operation with the private half takes so long that it would hold others up.
fn is_slow(key: &OpenKey) -> bool {
    match key {
        OpenKey::Rsa(_)
        | OpenKey::MlDsa(_)
        | OpenKey::MlKem(_)
        | OpenKey::MlDsaPublic(_)
        | OpenKey::MlKemPublic(_) => true,
        OpenKey::Ec(key) => !matches!(
            key.curve(),
            casemate_crypto::ec::Curve::P256 | casemate_crypto::ec::Curve::P384
        ),
        OpenKey::EcPublic(key) => key.curve() != casemate_crypto::ec::Curve::P256,
        OpenKey::Aes(_)
        | OpenKey::Secret(_)
        | OpenKey::RsaPublic(_)
        | OpenKey::Ed25519(_)
        | OpenKey::Ed25519Public(_)
        | OpenKey::X25519(_)
        | OpenKey::X25519Public
        | OpenKey::None => false,
    }
}

/// Data from which on symmetric operations take about 100 µs.
const LONG_DATA_BYTES: usize = 128 << 10;

/// Runs an operation in place, or in a pool if it is slow.
fn run(slow: bool, operation: impl FnOnce() -> Result<Answer, Error> + Send + 'static) -> Outcome {
    if slow { Outcome::offload(move || Outcome::of(operation())) } else { Outcome::of(operation()) }
}

/// Runs an operation with a key that may want the user's password for each use (`CKA_ALWAYS_AUTHENTICATE`, PKCS#11 3.2 §5.6.8). The
/// password comes with the request itself: a token that stood for it could be used twice, or by another.
fn run_confirmed(
    context: &Context<'_>,
    wants_password: bool,
    (password, slow): (&str, bool),
    operation: impl FnOnce() -> Result<Answer, Error> + Send + 'static,
) -> Result<Outcome, Error> {
    if !wants_password {
        return Ok(run(slow, operation));
    }
    if password.is_empty() {
        return Err(Error::PasswordRequired);
    }
    password::confirm(context, password, move || run(slow, operation))
}

/// The bytes of an open secret key.
fn secret_bytes(key: &OpenKey) -> Option<&[u8]> {
    match key {
        OpenKey::Aes(key) => Some(key.secret().expose()),
        OpenKey::Secret(secret) => Some(secret.expose()),
        OpenKey::Rsa(_)
        | OpenKey::RsaPublic(_)
        | OpenKey::Ec(_)
        | OpenKey::EcPublic(_)
        | OpenKey::Ed25519(_)
        | OpenKey::Ed25519Public(_)
        | OpenKey::X25519(_)
        | OpenKey::X25519Public
        | OpenKey::MlDsa(_)
        | OpenKey::MlDsaPublic(_)
        | OpenKey::MlKem(_)
        | OpenKey::MlKemPublic(_)
        | OpenKey::None => None,
    }
}

/// Whether a key type may be made from so many secret bytes by derivation: its usual length, if it has one.
const fn usual_length(key_type: KeyType) -> Option<usize> {
    match key_type {
        KeyType::Aes
        | KeyType::GenericSecret
        | KeyType::Hkdf
        | KeyType::Rsa
        | KeyType::Ec
        | KeyType::EcEdwards
        | KeyType::EcMontgomery
        | KeyType::MlKem
        | KeyType::MlDsa => None,
        KeyType::HmacSha1 => Some(20),
        KeyType::HmacSha224 => Some(28),
        KeyType::HmacSha256 => Some(32),
        KeyType::HmacSha384 => Some(48),
        KeyType::HmacSha512 => Some(64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(Time(0)), "19700101");
        assert_eq!(date(Time(951_782_400_000)), "20000229");
        assert_eq!(date(Time(1_800_000_000_000)), "20270115");
    }
}
