//! Requests and replies: the schema of the application port, in protobuf.
//!
//! Field numbers are for ever. A request with a field that the HSM does not know is refused
//! ([`decode_request`]), for it would be half understood; unknown fields of a reply are ignored. The
//! one who asks is the connection's log-in, never a field of the request.
//!
//! Messages that carry passwords, tickets or key material have no `Debug`.

use bytes::Bytes;
use prost::{Message, Oneof};

use crate::error::Error;
use crate::template::Template;

mod cluster;
mod hello;
mod members;
mod objects;
mod operations;
mod parameters;
mod users;

pub use cluster::{
    Activate, ChangeSettings, Csr, HsmStatus, Initialize, JoinPolicy, Measurements, Register,
    Registers, Settings, Status,
};
pub use hello::{ClientHello, Lifecycle, ServerHello};
pub use members::{
    AddHsm, Challenge, Evidence, Handover, JoinAnswer, JoinRequest, JoinRequests, Joining,
    PeerHello, RemoveHsm,
};
pub use objects::{
    AttributeAnswer, Attributes, FindObjects, Found, FoundObject, GenerateKey, GenerateKeyPair,
    GetAttributes, MadeObject, MadePair, ObjectAndTemplate, ObjectReference,
};
pub use operations::{Data, DeriveKey, Encapsulated, Operation, Part, UnwrapKey, Verify, WrapKey};
pub use parameters::{
    Counter, CounterKdf, CounterKdfField, Ecdh, Eddsa, Gcm, Hkdf, MechanismUse, MlDsa, Oaep,
    Parameter, Pbkdf2, Pss, RsaAes,
};
pub use users::{CreateUser, LogIn, LoggedIn, NamedUser, UseTicket, User, Users};

/// The oldest version of the protocol that this build speaks.
pub const PROTOCOL_MIN: u32 = 1;

/// The newest version of the protocol that this build speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// One request.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Request {
    /// The index token of the newest state that the client has seen, when the HSM may not know that
    /// it has been seen ([`Reply::index`]).
    #[prost(bytes = "vec", tag = "1")]
    pub seen: Vec<u8>,
    /// Milliseconds that the client will still wait; 0 if it does not say.
    #[prost(uint64, tag = "2")]
    pub wait_ms: u64,
    /// Whether this may be a repetition of a request that was sent before.
    #[prost(bool, tag = "3")]
    pub repeated: bool,
    /// What is asked.
    #[prost(
        oneof = "Ask",
        tags = "10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 30, 31, 32, 33, 40, 41, 42, 43, 44, 45, 46, 47, 48, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59"
    )]
    pub ask: Option<Ask>,
}

/// What a request asks.
#[derive(Clone, PartialEq, Oneof)]
#[prost(skip_debug)]
pub enum Ask {
    /// Does nothing: measures the way. Answered by [`Answer::Done`].
    #[prost(message, tag = "10")]
    Ping(Empty),
    /// Answered by [`Answer::Status`]; needs no log-in.
    #[prost(message, tag = "11")]
    Status(Empty),
    /// Answered by [`Answer::Csr`]; needs no log-in.
    #[prost(message, tag = "12")]
    Csr(Empty),
    /// Hands in the signed cluster certificate. Answered by [`Answer::Done`].
    #[prost(message, tag = "13")]
    Initialize(Initialize),
    /// Sets the first admin's password. Answered by [`Answer::Done`].
    #[prost(message, tag = "14")]
    Activate(Activate),
    /// Answered by [`Answer::Settings`]; needs no log-in.
    #[prost(message, tag = "15")]
    Settings(Empty),
    /// Modules that asked this HSM to join. Answered by [`Answer::JoinRequests`].
    #[prost(message, tag = "16")]
    ListJoining(Empty),
    /// Lets a module in. Answered by [`Answer::Done`].
    #[prost(message, tag = "17")]
    AddHsm(AddHsm),
    /// Takes an HSM out. Answered by [`Answer::Done`].
    #[prost(message, tag = "18")]
    RemoveHsm(RemoveHsm),
    /// Answered by [`Answer::Settings`].
    #[prost(message, tag = "19")]
    ChangeSettings(ChangeSettings),
    /// Answered by [`Answer::LoggedIn`].
    #[prost(message, tag = "20")]
    LogIn(LogIn),
    /// Logs in by ticket, or renews it. Answered by [`Answer::LoggedIn`].
    #[prost(message, tag = "21")]
    UseTicket(UseTicket),
    /// Ends the log-in for good, with all its tickets and session keys. Answered by [`Answer::Done`].
    #[prost(message, tag = "22")]
    LogOut(Empty),
    /// Checks once more the password of the one who is logged in. Answered by [`Answer::Done`].
    #[prost(string, tag = "23")]
    ConfirmPassword(String),
    /// Answered by [`Answer::User`].
    #[prost(message, tag = "30")]
    CreateUser(CreateUser),
    /// Answered by [`Answer::Users`].
    #[prost(message, tag = "31")]
    ListUsers(Empty),
    /// Changes one's own password or, by an admin, another's. Answered by [`Answer::User`].
    #[prost(message, tag = "32")]
    ChangePassword(CreateUser),
    /// Answered by [`Answer::User`].
    #[prost(message, tag = "33")]
    DeleteUser(NamedUser),
    /// Makes a secret key. Answered by [`Answer::Made`].
    #[prost(message, tag = "40")]
    GenerateKey(GenerateKey),
    /// Makes a key pair. Answered by [`Answer::PairMade`].
    #[prost(message, tag = "41")]
    GenerateKeyPair(GenerateKeyPair),
    /// Makes an object from given values. Answered by [`Answer::Made`].
    #[prost(message, tag = "42")]
    CreateObject(Template),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "43")]
    CopyObject(ObjectAndTemplate),
    /// Answered by [`Answer::Done`].
    #[prost(message, tag = "44")]
    DestroyObject(ObjectReference),
    /// Answered by [`Answer::Done`] for token objects, by [`Answer::Made`] for session objects.
    #[prost(message, tag = "45")]
    SetAttributes(ObjectAndTemplate),
    /// Answered by [`Answer::Attributes`].
    #[prost(message, tag = "46")]
    GetAttributes(GetAttributes),
    /// Searches token objects. Answered by [`Answer::Found`].
    #[prost(message, tag = "47")]
    FindObjects(FindObjects),
    /// Answered by [`Answer::Number`]: about how many bytes an object fills.
    #[prost(message, tag = "48")]
    ObjectSize(ObjectReference),
    /// Answered by [`Answer::Data`] (a signature or a state), [`Data::state`] between parts.
    #[prost(message, tag = "50")]
    Sign(Operation),
    /// Answered by [`Answer::Done`], or by [`Answer::Data`] between parts.
    #[prost(message, tag = "51")]
    Verify(Verify),
    /// Answered by [`Answer::Data`].
    #[prost(message, tag = "52")]
    Encrypt(Operation),
    /// Answered by [`Answer::Data`].
    #[prost(message, tag = "53")]
    Decrypt(Operation),
    /// Answered by [`Answer::Data`].
    #[prost(message, tag = "54")]
    WrapKey(WrapKey),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "55")]
    UnwrapKey(UnwrapKey),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "56")]
    DeriveKey(DeriveKey),
    /// Answered by [`Answer::Encapsulated`].
    #[prost(message, tag = "57")]
    Encapsulate(DeriveKey),
    /// Answered by [`Answer::Made`].
    #[prost(message, tag = "58")]
    Decapsulate(UnwrapKey),
    /// So many random bytes, at most [`crate::limits::RANDOM_BYTES_MAX`]. Answered by [`Answer::Data`].
    #[prost(uint64, tag = "59")]
    Random(u64),
}

impl Ask {
    /// Takes the password out, if there is one, so that whoever sent it can wipe it.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "few requests carry a password")]
    pub fn take_password(&mut self) -> Option<String> {
        let password = match self {
            Self::LogIn(log_in) => &mut log_in.password,
            Self::Activate(activate) => &mut activate.password,
            Self::CreateUser(user) | Self::ChangePassword(user) => &mut user.password,
            Self::ConfirmPassword(password) => password,
            Self::Sign(operation) | Self::Decrypt(operation) => &mut operation.password,
            _ => return None,
        };
        Some(std::mem::take(password)).filter(|password| !password.is_empty())
    }
}

/// Nothing.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}

/// One reply.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Reply {
    /// The index token of the state that it saw, if it is newer than the last one on this connection.
    #[prost(bytes = "vec", tag = "1")]
    pub index: Vec<u8>,
    /// The answer, or why there is none.
    #[prost(
        oneof = "Answer",
        tags = "2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23"
    )]
    pub answer: Option<Answer>,
}

/// What a reply answers.
#[derive(Clone, PartialEq, Oneof)]
#[prost(skip_debug)]
pub enum Answer {
    /// It failed.
    #[prost(message, tag = "2")]
    Error(WireError),
    /// It is done.
    #[prost(message, tag = "3")]
    Done(Empty),
    /// See [`Ask::Status`].
    #[prost(message, tag = "10")]
    Status(Status),
    /// See [`Ask::Csr`].
    #[prost(message, tag = "11")]
    Csr(Csr),
    /// See [`Ask::LogIn`].
    #[prost(message, tag = "12")]
    LoggedIn(LoggedIn),
    /// A user.
    #[prost(message, tag = "13")]
    User(User),
    /// All users.
    #[prost(message, tag = "14")]
    Users(Users),
    /// A new object, or a session object's new form.
    #[prost(message, tag = "15")]
    Made(MadeObject),
    /// A new key pair.
    #[prost(message, tag = "16")]
    PairMade(MadePair),
    /// Attributes of an object.
    #[prost(message, tag = "17")]
    Attributes(Attributes),
    /// A page of a search.
    #[prost(message, tag = "18")]
    Found(Found),
    /// A number.
    #[prost(uint64, tag = "19")]
    Number(u64),
    /// Bytes that an operation gave.
    #[prost(message, tag = "20")]
    Data(Data),
    /// See [`Ask::Encapsulate`].
    #[prost(message, tag = "21")]
    Encapsulated(Encapsulated),
    /// See [`Ask::Settings`].
    #[prost(message, tag = "22")]
    Settings(Settings),
    /// See [`Ask::ListJoining`].
    #[prost(message, tag = "23")]
    JoinRequests(JoinRequests),
}

/// An error in three numbers ([`crate::Error::to_wire`]).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct WireError {
    /// The number of the error.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Its argument.
    #[prost(uint64, tag = "2")]
    pub argument: u64,
    /// Its retry class.
    #[prost(uint32, tag = "3")]
    pub retry: u32,
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        let (code, argument, retry) = error.to_wire();
        Self { code, argument, retry }
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::from_wire(error.code, error.argument, error.retry)
    }
}

/// Reads a request, and refuses one with unknown, repeated or wastefully written fields.
///
/// The canonical form of a message is its shortest: whatever was not understood, or was written twice or in more
/// bytes than needed, makes the input longer than what was understood.
///
/// # Errors
/// [`Error::Malformed`], or [`Error::UnknownRequest`] if nothing known is asked.
pub fn decode_request(bytes: Bytes) -> Result<Request, Error> {
    let length = bytes.len();
    let request = Request::decode(bytes).map_err(|_error: prost::DecodeError| Error::Malformed)?;
    match request.ask {
        None => Err(Error::UnknownRequest),
        Some(_) if request.encoded_len() != length => Err(Error::Malformed),
        Some(_) => Ok(request),
    }
}

impl Reply {
    /// Makes a reply.
    #[must_use]
    pub const fn new(answer: Answer) -> Self {
        Self { index: Vec::new(), answer: Some(answer) }
    }

    /// Makes the reply that says that it is done.
    #[must_use]
    pub const fn done() -> Self {
        Self::new(Answer::Done(Empty {}))
    }

    /// Makes the reply that says why not.
    #[must_use]
    pub fn error(error: Error) -> Self {
        Self::new(Answer::Error(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign() -> Request {
        let operation = Operation {
            key: Some(ObjectReference { number: 7, session: Bytes::new() }),
            mechanism: Some(MechanismUse { mechanism: 0x1041, parameter: None }),
            data: Bytes::from_static(&[1; 32]),
            part: 0,
            state: Bytes::new(),
            ..Operation::default()
        };
        Request { ask: Some(Ask::Sign(operation)), ..Request::default() }
    }

    /// The list of tags and the variants must agree: a tag without a variant would be a fault that anybody can cause.
    #[test]
    fn every_tag_is_a_request_or_refused() {
        for tag in 1..=2_000_u32 {
            for kind in [0, 2] {
                let mut bytes = Vec::new();
                prost::encoding::encode_varint(u64::from(tag << 3 | kind), &mut bytes);
                bytes.push(0);
                drop(decode_request(bytes.into()));
            }
        }
    }

    #[test]
    fn a_password_is_taken_out_of_every_request_that_has_one() {
        let password = || "a-planted-password".to_owned();
        let user = || CreateUser { password: password(), ..CreateUser::default() };
        let operation = || Operation { password: password(), ..Operation::default() };
        for mut ask in [
            Ask::LogIn(LogIn { password: password(), ..LogIn::default() }),
            Ask::Activate(Activate { password: password(), ..Activate::default() }),
            Ask::CreateUser(user()),
            Ask::ChangePassword(user()),
            Ask::ConfirmPassword(password()),
            Ask::Sign(operation()),
            Ask::Decrypt(operation()),
        ] {
            assert_eq!(ask.take_password(), Some(password()));
            assert_eq!(ask.take_password(), None);
            let left = Request { ask: Some(ask), ..Request::default() }.encode_to_vec();
            assert!(!left.windows(7).any(|window| window == b"planted"));
        }
        assert_eq!(Ask::Random(8).take_password(), None);
    }

    #[test]
    fn a_request_reads_back() {
        let bytes = sign().encode_to_vec();
        assert!(decode_request(bytes.into()).is_ok_and(|request| request == sign()));
    }

    #[test]
    fn unknown_and_repeated_fields_are_refused() {
        let mut bytes = sign().encode_to_vec();
        bytes.extend_from_slice(&[0x98, 0x06, 0x01]);
        assert!(decode_request(bytes.into()).is_err_and(|error| error == Error::Malformed));
        let mut twice = sign().encode_to_vec();
        twice.extend_from_slice(&sign().encode_to_vec());
        assert!(decode_request(twice.into()).is_err_and(|error| error == Error::Malformed));
        assert!(decode_request(Bytes::new()).is_err_and(|error| error == Error::UnknownRequest));
        assert!(decode_request(Bytes::from_static(&[0xff])).is_err());
    }

    #[test]
    fn an_error_crosses_the_wire() {
        let Some(Answer::Error(wire)) = Reply::error(Error::Busy(40)).answer else { panic!() };
        assert_eq!(Error::from(wire), Error::Busy(40));
    }
}
