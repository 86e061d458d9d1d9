//! The flags of an object, as one word.

use casemate_protocol::AttributeType;

/// The flag attributes, in the order of their bits. The order is for ever: it is in every sealed header.
const ORDER: [AttributeType; 24] = [
    AttributeType::Token,
    AttributeType::Private,
    AttributeType::Trusted,
    AttributeType::Sensitive,
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::Wrap,
    AttributeType::Unwrap,
    AttributeType::Sign,
    AttributeType::SignRecover,
    AttributeType::Verify,
    AttributeType::VerifyRecover,
    AttributeType::Derive,
    AttributeType::Extractable,
    AttributeType::Local,
    AttributeType::NeverExtractable,
    AttributeType::AlwaysSensitive,
    AttributeType::Modifiable,
    AttributeType::Copyable,
    AttributeType::Destroyable,
    AttributeType::AlwaysAuthenticate,
    AttributeType::WrapWithTrusted,
    AttributeType::Encapsulate,
    AttributeType::Decapsulate,
];

/// A set of flags that are true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u32);

fn bit(attribute: AttributeType) -> u32 {
    let place =
        ORDER.iter().position(|&flag| flag == attribute).and_then(|at| u32::try_from(at).ok());
    place.map_or(0, |place| 1 << place)
}

impl Flags {
    /// Reads the word.
    pub(crate) const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// Returns the word.
    pub(crate) const fn word(self) -> u32 {
        self.0
    }

    /// Whether a flag is true.
    pub(crate) fn has(self, attribute: AttributeType) -> bool {
        self.0 & bit(attribute) != 0
    }

    /// Sets a flag.
    pub(crate) fn set(&mut self, attribute: AttributeType, value: bool) {
        if value {
            self.0 |= bit(attribute);
        } else {
            self.0 &= !bit(attribute);
        }
    }

    /// All flag attributes.
    pub(crate) fn all() -> impl Iterator<Item = AttributeType> {
        ORDER.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::attributes::{ATTRIBUTES, ValueForm};

    #[test]
    fn every_flag_has_a_bit() {
        for row in ATTRIBUTES.iter().filter(|row| row.form == ValueForm::Flag) {
            assert!(ORDER.contains(&row.attribute), "{}", row.name);
        }
        assert!(ORDER.iter().all(|flag| flag.row().form == ValueForm::Flag));
    }
}
