//! Templates: lists of attributes, as they come from callers and travel on the wire.
//!
//! A template is a claim of somebody outside: nothing in it is checked before [`Template::check`] has
//! run, which refuses repeated attributes, unknown ones and values of a wrong form or size, by name.

use prost::Message;

use crate::attributes::{AttributeType, ValueForm};
use crate::error::Error;
use crate::limits;
use crate::mechanisms::Mechanism;
use crate::objects::{KeyType, ObjectClass};

/// One attribute: its number and its value in wire form ([`ValueForm`]).
#[derive(Clone, PartialEq, Eq, Hash, Message)]
#[prost(skip_debug)]
pub struct Attribute {
    /// The `CKA_*` number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl Attribute {
    /// Makes an attribute from a value in wire form.
    #[must_use]
    pub fn new(attribute: AttributeType, value: impl Into<Vec<u8>>) -> Self {
        Self { number: attribute.number(), value: value.into() }
    }

    /// Makes a flag.
    #[must_use]
    pub fn flag(attribute: AttributeType, value: bool) -> Self {
        Self::new(attribute, [u8::from(value)])
    }

    /// Makes a number.
    #[must_use]
    pub fn number(attribute: AttributeType, value: u64) -> Self {
        Self::new(attribute, value.to_be_bytes())
    }

    /// Returns which attribute it is.
    ///
    /// # Errors
    /// [`Error::AttributeTypeInvalid`] if Casemate does not know it.
    pub fn attribute(&self) -> Result<AttributeType, Error> {
        AttributeType::from_number(self.number).ok_or(Error::AttributeTypeInvalid(self.number))
    }

    fn invalid(&self) -> Error {
        Error::AttributeValueInvalid(self.number)
    }

    /// Reads a flag.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`] if it is not one byte, 0 or 1.
    pub fn as_flag(&self) -> Result<bool, Error> {
        match self.value.as_slice() {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.invalid()),
        }
    }

    /// Reads a number.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`] if it has not 8 bytes.
    pub fn as_number(&self) -> Result<u64, Error> {
        let bytes = <[u8; 8]>::try_from(self.value.as_slice());
        bytes
            .map(u64::from_be_bytes)
            .map_err(|_error: std::array::TryFromSliceError| self.invalid())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only two have a limit of their own")]
    fn check(&self) -> Result<(), Error> {
        let row = self.attribute()?.row();
        let limit = match row.attribute {
            AttributeType::Label => limits::LABEL_BYTES_MAX,
            AttributeType::Id => limits::ID_BYTES_MAX,
            _ => limits::ATTRIBUTE_VALUE_BYTES_MAX,
        };
        if self.value.len() > limit {
            return Err(self.invalid());
        }
        match row.form {
            ValueForm::Flag => self.as_flag().map(drop),
            ValueForm::Number => self.as_number().map(drop),
            ValueForm::Date => {
                let digits = self.value.iter().all(u8::is_ascii_digit);
                let sized = matches!(self.value.len(), 0 | 8);
                if digits && sized { Ok(()) } else { Err(self.invalid()) }
            }
            ValueForm::Mechanisms if self.value.len() % 8 != 0 => Err(self.invalid()),
            ValueForm::Template => {
                let inner = Template::decode(self.value.as_slice());
                inner.map_err(|_error: prost::DecodeError| self.invalid())?.check_nested()
            }
            ValueForm::Bytes | ValueForm::Text | ValueForm::BigInteger | ValueForm::Mechanisms => {
                Ok(())
            }
        }
    }
}

/// A list of attributes.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
#[prost(skip_debug)]
pub struct Template {
    /// The attributes, in the caller's order.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<Attribute>,
}

impl Template {
    /// Returns the value of `attribute`, if it is there.
    #[must_use]
    pub fn find(&self, attribute: AttributeType) -> Option<&Attribute> {
        self.attributes.iter().find(|entry| entry.number == attribute.number())
    }

    /// Reads a flag, if it is there.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`].
    pub fn flag(&self, attribute: AttributeType) -> Result<Option<bool>, Error> {
        self.find(attribute).map(Attribute::as_flag).transpose()
    }

    /// Reads a number, if it is there.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`].
    pub fn number(&self, attribute: AttributeType) -> Result<Option<u64>, Error> {
        self.find(attribute).map(Attribute::as_number).transpose()
    }

    /// Returns the bytes of `attribute`, if it is there.
    #[must_use]
    pub fn bytes(&self, attribute: AttributeType) -> Option<&[u8]> {
        self.find(attribute).map(|entry| entry.value.as_slice())
    }

    /// Reads `CKA_CLASS`, if it is there.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`] if no class of ours has the number.
    pub fn class(&self) -> Result<Option<ObjectClass>, Error> {
        let class = |number| {
            ObjectClass::from_number(number)
                .ok_or(Error::AttributeValueInvalid(AttributeType::Class.number()))
        };
        self.number(AttributeType::Class)?.map(class).transpose()
    }

    /// Reads `CKA_KEY_TYPE`, if it is there.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`] if no key type of ours has the number.
    pub fn key_type(&self) -> Result<Option<KeyType>, Error> {
        let key_type = |number| {
            KeyType::from_number(number)
                .ok_or(Error::AttributeValueInvalid(AttributeType::KeyType.number()))
        };
        self.number(AttributeType::KeyType)?.map(key_type).transpose()
    }

    /// Puts `attribute` in, in place of an earlier value.
    pub fn set(&mut self, attribute: Attribute) {
        match self.attributes.iter_mut().find(|entry| entry.number == attribute.number) {
            Some(entry) => *entry = attribute,
            None => self.attributes.push(attribute),
        }
    }

    /// Adds an attribute: for building a template in one expression.
    #[must_use]
    pub fn with(mut self, attribute: Attribute) -> Self {
        self.set(attribute);
        self
    }

    /// Checks the form of every attribute.
    ///
    /// # Errors
    /// The cause, with the number of the attribute: unknown, repeated, or of a wrong form or size.
    pub fn check(&self) -> Result<(), Error> {
        if self.attributes.len() > limits::TEMPLATE_ENTRIES_MAX {
            return Err(Error::TemplateTooLong);
        }
        let bytes: usize = self.attributes.iter().map(|entry| entry.value.len()).sum();
        if bytes > limits::OBJECT_BYTES_MAX {
            return Err(Error::ObjectTooLarge);
        }
        for (position, entry) in self.attributes.iter().enumerate() {
            entry.check()?;
            let earlier = self.attributes.iter().take(position);
            if earlier.into_iter().any(|other| other.number == entry.number) {
                return Err(Error::AttributeRepeated(entry.number));
            }
        }
        Ok(())
    }

    /// Checks a template inside a template: it holds no third one.
    fn check_nested(&self) -> Result<(), Error> {
        let nested = |entry: &&Attribute| {
            entry.attribute().is_ok_and(|attribute| attribute.row().form == ValueForm::Template)
        };
        match self.attributes.iter().find(nested) {
            Some(entry) => Err(entry.invalid()),
            None => self.check(),
        }
    }
}

/// Reads the value of `CKA_ALLOWED_MECHANISMS`; numbers that Casemate does not know allow nothing.
pub fn allowed_mechanisms(value: &[u8]) -> impl Iterator<Item = Mechanism> + '_ {
    value
        .chunks_exact(8)
        .filter_map(|chunk| <[u8; 8]>::try_from(chunk).ok())
        .filter_map(|bytes| Mechanism::from_number(u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let label = |length: usize| Attribute::new(AttributeType::Label, vec![b'a'; length]);
        let check = |attributes: Vec<Attribute>| Template { attributes }.check();
        assert_eq!(check(vec![label(255)]), Ok(()));
        assert_eq!(check(vec![label(256)]), Err(Error::AttributeValueInvalid(3)));
        assert_eq!(check(vec![label(1), label(1)]), Err(Error::AttributeRepeated(3)));
        assert_eq!(
            check(vec![Attribute::new(AttributeType::Sign, [2])]),
            Err(Error::AttributeValueInvalid(0x108))
        );
        assert_eq!(
            check(vec![Attribute::new(AttributeType::Class, [2])]),
            Err(Error::AttributeValueInvalid(0))
        );
        let unknown = Attribute { number: 0x9999, value: vec![] };
        assert_eq!(check(vec![unknown.clone()]), Err(Error::AttributeTypeInvalid(0x9999)));
        assert_eq!(check(vec![unknown; 129]), Err(Error::TemplateTooLong));
    }

    #[test]
    fn a_template_holds_templates_one_deep() {
        let inner = Template::default().with(Attribute::flag(AttributeType::Sign, true));
        let middle = Template::default()
            .with(Attribute::new(AttributeType::WrapTemplate, inner.encode_to_vec()));
        let outer = Template::default()
            .with(Attribute::new(AttributeType::WrapTemplate, middle.encode_to_vec()));
        assert_eq!(middle.check(), Ok(()));
        assert_eq!(outer.check(), Err(Error::AttributeValueInvalid(0x4000_0211)));
    }
}
