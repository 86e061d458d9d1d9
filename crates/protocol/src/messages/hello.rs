//! The first frame of each side, and where a cluster stands in its life.

use prost::Message;

use super::WireError;

/// First frame of the client (sequence 0).
#[derive(Clone, PartialEq, Message)]
pub struct ClientHello {
    /// Oldest protocol version it speaks.
    #[prost(uint32, tag = "1")]
    pub protocol_min: u32,
    /// Newest protocol version it speaks.
    #[prost(uint32, tag = "2")]
    pub protocol_max: u32,
    /// The cluster it means (10 bytes), empty if it does not know one yet.
    #[prost(bytes = "vec", tag = "3")]
    pub cluster: Vec<u8>,
    /// Its name and version, for the log.
    #[prost(string, tag = "4")]
    pub software: String,
}

/// First frame of the HSM (sequence 0).
#[derive(Clone, PartialEq, Message)]
pub struct ServerHello {
    /// The protocol version to speak; 0 with `error`.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// The cluster (10 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub cluster: Vec<u8>,
    /// The incarnation (16 bytes), empty before initialisation.
    #[prost(bytes = "vec", tag = "3")]
    pub incarnation: Vec<u8>,
    /// The HSM (10 bytes).
    #[prost(bytes = "vec", tag = "4")]
    pub hsm: Vec<u8>,
    /// A [`Lifecycle`] number.
    #[prost(uint32, tag = "5")]
    pub lifecycle: u32,
    /// The index applied.
    #[prost(uint64, tag = "6")]
    pub index: u64,
    /// The head of the log's hash chain at `index` (32 bytes).
    #[prost(bytes = "vec", tag = "7")]
    pub head: Vec<u8>,
    /// How many connections let a busy client use all of this HSM's workers.
    #[prost(uint32, tag = "8")]
    pub connections: u32,
    /// Random bytes (32) for the activation statement and the like.
    #[prost(bytes = "vec", tag = "9")]
    pub nonce: Vec<u8>,
    /// Why the connection will be closed, if it will.
    #[prost(message, optional, tag = "10")]
    pub error: Option<WireError>,
}

/// Where a cluster stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifecycle {
    /// It has a key and a CSR, and waits for the customer's signature.
    Uninitialized = 1,
    /// It has its certificate, and waits for activation.
    Initialized = 2,
    /// It serves.
    Active = 3,
    /// Its secrets were wiped.
    Zeroized = 4,
}

impl Lifecycle {
    /// Reads the number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Uninitialized, Self::Initialized, Self::Active, Self::Zeroized]
            .into_iter()
            .find(|&state| state as u32 == number)
    }

    /// Returns the name, as the AWS API has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uninitialized => "UNINITIALIZED",
            Self::Initialized => "INITIALIZED",
            Self::Active => "ACTIVE",
            Self::Zeroized => "ZEROIZED",
        }
    }
}
