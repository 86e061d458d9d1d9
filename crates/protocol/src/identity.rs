//! Identifiers, each a type of its own, so that one is never taken for another.
//!
//! Ids of clusters and HSMs print as AWS CloudHSM's do (`cluster-` or `hsm-` and 16 letters of
//! RFC 4648 base32 in lower case); the others print as hexadecimal.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The prefix or the length is another.
    #[error("an id looks like {0}-aaaaaaaaaaaaaaaa: that prefix, then 16 of a-z and 2-7")]
    Form(&'static str),
    /// The bytes have another length.
    #[error("an id of this kind has {0} bytes")]
    Length(usize),
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn write_base32(bytes: [u8; 10], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let value = bytes.iter().fold(0_u128, |value, &byte| (value << 8) | u128::from(byte));
    for position in (0..16_u32).rev() {
        let digit = (value >> position.saturating_mul(5)) & 31;
        let letter = usize::try_from(digit).ok().and_then(|digit| BASE32.get(digit));
        fmt::Write::write_char(f, char::from(letter.copied().unwrap_or(b'?')))?;
    }
    Ok(())
}

fn read_base32(text: &str) -> Option<[u8; 10]> {
    if text.len() != 16 {
        return None;
    }
    let mut value = 0_u128;
    for letter in text.bytes() {
        let digit = BASE32.iter().position(|&known| known == letter)?;
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    let [_, _, _, _, _, _, bytes @ ..] = value.to_be_bytes();
    Some(bytes)
}

/// Names one cluster for ever; a restored cluster keeps it and differs in its [`Incarnation`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId([u8; 10]);

/// Names one HSM of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HsmId([u8; 10]);

macro_rules! named_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// Makes an id of 10 random bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 10]) -> Self {
                Self(bytes)
            }

            /// Returns the 10 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 10] {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "-"))?;
                write_base32(self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = IdentityError;
            fn from_str(text: &str) -> Result<Self, IdentityError> {
                text.strip_prefix(concat!($prefix, "-"))
                    .and_then(read_base32)
                    .map(Self)
                    .ok_or(IdentityError::Form($prefix))
            }
        }
    };
}
named_id!(ClusterId, "cluster");
named_id!(HsmId, "hsm");

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes an id of 16 random bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl TryFrom<&[u8]> for $name {
            type Error = IdentityError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdentityError> {
                bytes.try_into().map(Self).map_err(|_error: std::array::TryFromSliceError| IdentityError::Length(16))
            }
        }
    };
}
random_id!(
    /// One life of a cluster: new at initialisation and at each restore.
    Incarnation
);
random_id!(
    /// A user, never reused when a name is.
    UserId
);
random_id!(
    /// One log-in, from password to log-out; every ticket of it carries this.
    LogInId
);
random_id!(
    /// One process that uses the client library; the first half of a request id.
    ClientInstance
);
random_id!(
    /// An object, random and never used again.
    ObjectId
);
random_id!(
    /// One command in the log.
    CommandId
);

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}
counter!(
    /// A position in the replicated log; the first entry has index 1.
    LogIndex
);
counter!(
    /// The number of a token object: given by `apply`, never used again, shown as `CKA_UNIQUE_ID`
    /// and as the key reference of the command line.
    ObjectNumber
);
counter!(
    /// Counts the changes of one object; a sealed form of an older generation is void.
    Generation
);
counter!(
    /// Counts what voids a user's log-ins: password, factor, role, lock, deletion.
    Epoch
);
counter!(
    /// The second half of a request id: counts a client instance's requests.
    Sequence
);

/// The longest legal name is 31 bytes of `[a-z0-9][a-z0-9_.@-]*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// Reads a name; ASCII capitals are folded, as AWS's clients do.
    ///
    /// # Errors
    /// [`crate::Error::UserNameInvalid`] if it is not a legal name.
    pub fn new(name: &str) -> Result<Self, crate::Error> {
        let name = name.to_ascii_lowercase();
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let legal = name.len() <= crate::limits::USER_NAME_BYTES_MAX
            && name.bytes().next().is_some_and(letter)
            && name.bytes().all(|byte| letter(byte) || b"_.@-".contains(&byte));
        if legal { Ok(Self(name)) } else { Err(crate::Error::UserNameInvalid) }
    }

    /// Returns the folded name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_prints() {
        let id = ClusterId::from_bytes([0, 1, 2, 3, 250, 251, 252, 253, 254, 255]);
        assert_eq!(id.to_string().len(), "cluster-".len() + 16);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("hsm-aaaaaaaaaaaaaaaa".parse(), Ok(HsmId::from_bytes([0; 10])));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "cluster-", "cluster-aaaaaaaaaaaaaaa1", "cluster-aaaaaaaaaaaaaaaaa", "hsm-aaaa"]
        {
            assert_eq!(text.parse::<ClusterId>(), Err(IdentityError::Form("cluster")), "{text}");
        }
    }

    #[test]
    fn names_are_folded_and_checked() {
        assert_eq!(UserName::new("Alice").unwrap().as_str(), "alice");
        assert!(UserName::new(&"a".repeat(31)).is_ok());
        for name in ["", "a:b", "-a", "ä", &"a".repeat(32), "a b", "a\0"] {
            assert_eq!(UserName::new(name), Err(crate::Error::UserNameInvalid), "{name}");
        }
    }
}
