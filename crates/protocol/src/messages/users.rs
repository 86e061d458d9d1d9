//! Users, log-ins by password and by ticket.

use prost::Message;

/// A log-in by password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct LogIn {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// Password.
    #[prost(string, tag = "2")]
    pub password: String,
    /// A [`crate::Role`] number, or 0 for whichever the user has.
    #[prost(uint32, tag = "3")]
    pub role: u32,
    /// The client instance (16 bytes).
    #[prost(bytes = "vec", tag = "4")]
    pub client: Vec<u8>,
}

/// A log-in by ticket.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct UseTicket {
    /// The ticket.
    #[prost(bytes = "vec", tag = "1")]
    pub ticket: Vec<u8>,
    /// 32 random bytes of the client.
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
    /// HMAC-SHA-256 with the ticket's secret over [`crate::statements::ticket_proof`].
    #[prost(bytes = "vec", tag = "3")]
    pub proof: Vec<u8>,
}

/// A user with a password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct CreateUser {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// A [`crate::Role`] number.
    #[prost(uint32, tag = "2")]
    pub role: u32,
    /// The (new) password.
    #[prost(string, tag = "3")]
    pub password: String,
}

/// A user.
#[derive(Clone, PartialEq, Message)]
pub struct NamedUser {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// A [`crate::Role`] number.
    #[prost(uint32, tag = "2")]
    pub role: u32,
}

/// A log-in that holds.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct LoggedIn {
    /// The ticket: opaque to the client.
    #[prost(bytes = "vec", tag = "1")]
    pub ticket: Vec<u8>,
    /// The ticket's secret (32 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub secret: Vec<u8>,
    /// The log-in (16 bytes).
    #[prost(bytes = "vec", tag = "3")]
    pub log_in: Vec<u8>,
    /// The user's name, folded.
    #[prost(string, tag = "4")]
    pub user: String,
    /// The user's [`crate::Role`] number.
    #[prost(uint32, tag = "5")]
    pub role: u32,
    /// Seconds until the ticket ends: renew it before.
    #[prost(uint64, tag = "6")]
    pub seconds: u64,
}

/// A user, as others may see it.
#[derive(Clone, PartialEq, Message)]
pub struct User {
    /// Name.
    #[prost(string, tag = "1")]
    pub user: String,
    /// A [`crate::Role`] number.
    #[prost(uint32, tag = "2")]
    pub role: u32,
    /// Whether it is locked.
    #[prost(bool, tag = "3")]
    pub locked: bool,
}

/// All users, by name.
#[derive(Clone, PartialEq, Message)]
pub struct Users {
    /// The users.
    #[prost(message, repeated, tag = "1")]
    pub users: Vec<User>,
}
