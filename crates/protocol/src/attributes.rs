//! The attributes of objects: number, name, form of the value, classes that have it, and when it may change.
//!
//! One row of one table says all of this; templates, searches, the C border and the command line ask
//! it. What a role or the state of an object allows beyond that is decided in the module.
//!
//! Source: PKCS#11 3.2 §4.2 to §4.9 (attributes) and §4.1.1 (footnotes on when each may be set).

use crate::objects::ObjectClass;

/// The form of an attribute's value. On the wire a number is 8 bytes, big-endian, and a flag is one byte,
/// 0 or 1; a list of mechanisms is such numbers one after the other; a template is an encoded
/// [`crate::Template`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    /// `CK_BBOOL`
    Flag,
    /// `CK_ULONG`
    Number,
    /// A byte string.
    Bytes,
    /// RFC 2279 (UTF-8) text; PKCS#11 does not check it, nor do we.
    Text,
    /// `CK_DATE`: empty, or the eight digits of year, month and day.
    Date,
    /// An unsigned integer, most significant byte first.
    BigInteger,
    /// An array of attributes.
    Template,
    /// An array of `CK_MECHANISM_TYPE`.
    Mechanisms,
}

/// When `C_SetAttributeValue` and `C_CopyObject` may change an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is given at creation and stays.
    Never,
    /// The module computes it; no template may hold it, but for creation where the standard allows (`CKA_CHECK_VALUE`).
    Computed,
    /// At any time, either way.
    Free,
    /// From false to true, never back.
    ToTrue,
    /// From true to false, never back.
    ToFalse,
    /// In a copy only, either way.
    OnCopy,
    /// In a copy only, as the copy's home.
    ToTrueOnCopy,
    /// In a copy only, from true to false.
    ToFalseOnCopy,
    /// By an admin only (`CKA_TRUSTED`).
    AdminOnly,
}

/// A set of object classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes(u8);

impl Classes {
    const DATA: Self = Self(1);
    const CERTIFICATE: Self = Self(2);
    const PUBLIC: Self = Self(4);
    const PRIVATE: Self = Self(8);
    const SECRET: Self = Self(16);
    const EVERY: Self = Self(31);
    const KEYS: Self = Self(28);
    const PAIR: Self = Self(12);
    const OPAQUE: Self = Self(24);
    const PUBLIC_OR_SECRET: Self = Self(20);
    const VALUED: Self = Self(31);
    const TRUSTABLE: Self = Self(22);
    const CHECKED: Self = Self(18);
    const SUBJECT: Self = Self(14);
    const IDENTIFIED: Self = Self(30);
    const DATED: Self = Self(30);
    const INFO: Self = Self(14);

    /// Whether `class` is in the set.
    #[must_use]
    pub const fn contains(self, class: ObjectClass) -> bool {
        let bit = match class {
            ObjectClass::Data => Self::DATA.0,
            ObjectClass::Certificate => Self::CERTIFICATE.0,
            ObjectClass::PublicKey => Self::PUBLIC.0,
            ObjectClass::PrivateKey => Self::PRIVATE.0,
            ObjectClass::SecretKey => Self::SECRET.0,
        };
        self.0 & bit != 0
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct AttributeRow {
    /// The attribute.
    pub attribute: AttributeType,
    /// The name that the command line uses (AWS's where AWS has one).
    pub name: &'static str,
    /// The form of its value.
    pub form: ValueForm,
    /// When it may change after creation.
    pub change: Change,
    /// The classes that have it.
    pub classes: Classes,
}

/// The attributes that Casemate knows; the discriminant is the `CKA_*` number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
#[expect(missing_docs, reason = "each is named as PKCS#11 names it")]
pub enum AttributeType {
    Class = 0x0,
    Token = 0x1,
    Private = 0x2,
    Label = 0x3,
    UniqueId = 0x4,
    Application = 0x10,
    Value = 0x11,
    ObjectIdentifier = 0x12,
    CertificateType = 0x80,
    Issuer = 0x81,
    SerialNumber = 0x82,
    Trusted = 0x86,
    CertificateCategory = 0x87,
    JavaMidpSecurityDomain = 0x88,
    Url = 0x89,
    HashOfSubjectPublicKey = 0x8a,
    HashOfIssuerPublicKey = 0x8b,
    NameHashAlgorithm = 0x8c,
    CheckValue = 0x90,
    KeyType = 0x100,
    Subject = 0x101,
    Id = 0x102,
    Sensitive = 0x103,
    Encrypt = 0x104,
    Decrypt = 0x105,
    Wrap = 0x106,
    Unwrap = 0x107,
    Sign = 0x108,
    SignRecover = 0x109,
    Verify = 0x10a,
    VerifyRecover = 0x10b,
    Derive = 0x10c,
    StartDate = 0x110,
    EndDate = 0x111,
    Modulus = 0x120,
    ModulusBits = 0x121,
    PublicExponent = 0x122,
    PrivateExponent = 0x123,
    Prime1 = 0x124,
    Prime2 = 0x125,
    Exponent1 = 0x126,
    Exponent2 = 0x127,
    Coefficient = 0x128,
    PublicKeyInfo = 0x129,
    ValueLen = 0x161,
    Extractable = 0x162,
    Local = 0x163,
    NeverExtractable = 0x164,
    AlwaysSensitive = 0x165,
    KeyGenMechanism = 0x166,
    Modifiable = 0x170,
    Copyable = 0x171,
    Destroyable = 0x172,
    EcParams = 0x180,
    EcPoint = 0x181,
    AlwaysAuthenticate = 0x202,
    WrapWithTrusted = 0x210,
    ParameterSet = 0x61d,
    Encapsulate = 0x633,
    Decapsulate = 0x634,
    Seed = 0x637,
    WrapTemplate = 0x40000211,
    UnwrapTemplate = 0x40000212,
    DeriveTemplate = 0x40000213,
    AllowedMechanisms = 0x40000600,
}

/// The table, in order of numbers.
#[rustfmt::skip]
pub const ATTRIBUTES: &[AttributeRow] = &[
    row(AttributeType::Class, "class", ValueForm::Number, Change::Never, Classes::EVERY),
    row(AttributeType::Token, "token", ValueForm::Flag, Change::ToTrueOnCopy, Classes::EVERY),
    row(AttributeType::Private, "private", ValueForm::Flag, Change::OnCopy, Classes::EVERY),
    row(AttributeType::Label, "label", ValueForm::Text, Change::Free, Classes::EVERY),
    row(AttributeType::UniqueId, "unique-id", ValueForm::Text, Change::Computed, Classes::EVERY),
    row(AttributeType::Application, "application", ValueForm::Text, Change::Free, Classes::DATA),
    row(AttributeType::Value, "value", ValueForm::Bytes, Change::Never, Classes::VALUED),
    row(AttributeType::ObjectIdentifier, "object-id", ValueForm::Bytes, Change::Free, Classes::DATA),
    row(AttributeType::CertificateType, "certificate-type", ValueForm::Number, Change::Never, Classes::CERTIFICATE),
    row(AttributeType::Issuer, "issuer", ValueForm::Bytes, Change::Free, Classes::CERTIFICATE),
    row(AttributeType::SerialNumber, "serial-number", ValueForm::Bytes, Change::Free, Classes::CERTIFICATE),
    row(AttributeType::Trusted, "trusted", ValueForm::Flag, Change::AdminOnly, Classes::TRUSTABLE),
    row(AttributeType::CertificateCategory, "certificate-category", ValueForm::Number, Change::Never, Classes::CERTIFICATE),
    row(AttributeType::JavaMidpSecurityDomain, "java-midp-security-domain", ValueForm::Number, Change::Never, Classes::CERTIFICATE),
    row(AttributeType::Url, "url", ValueForm::Text, Change::Never, Classes::CERTIFICATE),
    row(AttributeType::HashOfSubjectPublicKey, "hash-of-subject-public-key", ValueForm::Bytes, Change::Never, Classes::CERTIFICATE),
    row(AttributeType::HashOfIssuerPublicKey, "hash-of-issuer-public-key", ValueForm::Bytes, Change::Never, Classes::CERTIFICATE),
    row(AttributeType::NameHashAlgorithm, "name-hash-algorithm", ValueForm::Number, Change::Never, Classes::CERTIFICATE),
    row(AttributeType::CheckValue, "check-value", ValueForm::Bytes, Change::Computed, Classes::CHECKED),
    row(AttributeType::KeyType, "key-type", ValueForm::Number, Change::Never, Classes::KEYS),
    row(AttributeType::Subject, "subject", ValueForm::Bytes, Change::Free, Classes::SUBJECT),
    row(AttributeType::Id, "id", ValueForm::Bytes, Change::Free, Classes::IDENTIFIED),
    row(AttributeType::Sensitive, "sensitive", ValueForm::Flag, Change::ToTrue, Classes::OPAQUE),
    row(AttributeType::Encrypt, "encrypt", ValueForm::Flag, Change::Free, Classes::PUBLIC_OR_SECRET),
    row(AttributeType::Decrypt, "decrypt", ValueForm::Flag, Change::Free, Classes::OPAQUE),
    row(AttributeType::Wrap, "wrap", ValueForm::Flag, Change::Free, Classes::PUBLIC_OR_SECRET),
    row(AttributeType::Unwrap, "unwrap", ValueForm::Flag, Change::Free, Classes::OPAQUE),
    row(AttributeType::Sign, "sign", ValueForm::Flag, Change::Free, Classes::OPAQUE),
    row(AttributeType::SignRecover, "sign-recover", ValueForm::Flag, Change::Free, Classes::PRIVATE),
    row(AttributeType::Verify, "verify", ValueForm::Flag, Change::Free, Classes::PUBLIC_OR_SECRET),
    row(AttributeType::VerifyRecover, "verify-recover", ValueForm::Flag, Change::Free, Classes::PUBLIC),
    row(AttributeType::Derive, "derive", ValueForm::Flag, Change::Free, Classes::KEYS),
    row(AttributeType::StartDate, "start-date", ValueForm::Date, Change::Free, Classes::DATED),
    row(AttributeType::EndDate, "end-date", ValueForm::Date, Change::Free, Classes::DATED),
    row(AttributeType::Modulus, "modulus", ValueForm::BigInteger, Change::Never, Classes::PAIR),
    row(AttributeType::ModulusBits, "modulus-size-bits", ValueForm::Number, Change::Never, Classes::PUBLIC),
    row(AttributeType::PublicExponent, "public-exponent", ValueForm::BigInteger, Change::Never, Classes::PAIR),
    row(AttributeType::PrivateExponent, "private-exponent", ValueForm::BigInteger, Change::Never, Classes::PRIVATE),
    row(AttributeType::Prime1, "prime-1", ValueForm::BigInteger, Change::Never, Classes::PRIVATE),
    row(AttributeType::Prime2, "prime-2", ValueForm::BigInteger, Change::Never, Classes::PRIVATE),
    row(AttributeType::Exponent1, "exponent-1", ValueForm::BigInteger, Change::Never, Classes::PRIVATE),
    row(AttributeType::Exponent2, "exponent-2", ValueForm::BigInteger, Change::Never, Classes::PRIVATE),
    row(AttributeType::Coefficient, "coefficient", ValueForm::BigInteger, Change::Never, Classes::PRIVATE),
    row(AttributeType::PublicKeyInfo, "public-key-info", ValueForm::Bytes, Change::Never, Classes::INFO),
    row(AttributeType::ValueLen, "key-length-bytes", ValueForm::Number, Change::Never, Classes::SECRET),
    row(AttributeType::Extractable, "extractable", ValueForm::Flag, Change::ToFalse, Classes::OPAQUE),
    row(AttributeType::Local, "local", ValueForm::Flag, Change::Computed, Classes::KEYS),
    row(AttributeType::NeverExtractable, "never-extractable", ValueForm::Flag, Change::Computed, Classes::OPAQUE),
    row(AttributeType::AlwaysSensitive, "always-sensitive", ValueForm::Flag, Change::Computed, Classes::OPAQUE),
    row(AttributeType::KeyGenMechanism, "key-gen-mechanism", ValueForm::Number, Change::Computed, Classes::KEYS),
    row(AttributeType::Modifiable, "modifiable", ValueForm::Flag, Change::ToFalseOnCopy, Classes::EVERY),
    row(AttributeType::Copyable, "copyable", ValueForm::Flag, Change::ToFalse, Classes::EVERY),
    row(AttributeType::Destroyable, "destroyable", ValueForm::Flag, Change::Free, Classes::EVERY),
    row(AttributeType::EcParams, "ec-params", ValueForm::Bytes, Change::Never, Classes::PAIR),
    row(AttributeType::EcPoint, "ec-point", ValueForm::Bytes, Change::Never, Classes::PUBLIC),
    row(AttributeType::AlwaysAuthenticate, "always-authenticate", ValueForm::Flag, Change::Never, Classes::PRIVATE),
    row(AttributeType::WrapWithTrusted, "wrap-with-trusted", ValueForm::Flag, Change::ToTrue, Classes::OPAQUE),
    row(AttributeType::ParameterSet, "parameter-set", ValueForm::Number, Change::Never, Classes::PAIR),
    row(AttributeType::Encapsulate, "encapsulate", ValueForm::Flag, Change::Free, Classes::PUBLIC),
    row(AttributeType::Decapsulate, "decapsulate", ValueForm::Flag, Change::Free, Classes::PRIVATE),
    row(AttributeType::Seed, "seed", ValueForm::Bytes, Change::Never, Classes::PRIVATE),
    row(AttributeType::WrapTemplate, "wrap-template", ValueForm::Template, Change::Never, Classes::PUBLIC_OR_SECRET),
    row(AttributeType::UnwrapTemplate, "unwrap-template", ValueForm::Template, Change::Never, Classes::OPAQUE),
    row(AttributeType::DeriveTemplate, "derive-template", ValueForm::Template, Change::Never, Classes::OPAQUE),
    row(AttributeType::AllowedMechanisms, "allowed-mechanisms", ValueForm::Mechanisms, Change::Never, Classes::KEYS),
];

const fn row(
    attribute: AttributeType,
    name: &'static str,
    form: ValueForm,
    change: Change,
    classes: Classes,
) -> AttributeRow {
    AttributeRow { attribute, name, form, change, classes }
}

impl AttributeType {
    /// Returns the `CKA_*` number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// Reads a `CKA_*` number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let found = ATTRIBUTES.binary_search_by_key(&number, |row| row.attribute.number()).ok()?;
        ATTRIBUTES.get(found).map(|row| row.attribute)
    }

    /// Reads the name that the command line uses.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ATTRIBUTES.iter().find(|row| row.name == name).map(|row| row.attribute)
    }

    /// Returns its row.
    #[must_use]
    pub fn row(self) -> &'static AttributeRow {
        let found = ATTRIBUTES.binary_search_by_key(&self, |row| row.attribute);
        #[expect(
            clippy::indexing_slicing,
            reason = "a test walks the table: each attribute has a row"
        )]
        &ATTRIBUTES[found.unwrap_or(usize::MAX)]
    }

    /// Whether the value is key material that `CKA_SENSITIVE` or the lack of `CKA_EXTRACTABLE` hides
    /// (PKCS#11 3.2 §4.1.1, footnote 7). `CKA_VALUE` is, for secret and private keys.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "all else is public by its nature")]
    pub const fn is_key_material(self, class: ObjectClass) -> bool {
        match self {
            Self::Value => matches!(class, ObjectClass::SecretKey | ObjectClass::PrivateKey),
            Self::PrivateExponent
            | Self::Prime1
            | Self::Prime2
            | Self::Exponent1
            | Self::Exponent2
            | Self::Coefficient
            | Self::Seed => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_its_row_in_order() {
        assert!(ATTRIBUTES.is_sorted_by(|a, b| a.attribute.number() < b.attribute.number()));
        for row in ATTRIBUTES {
            assert_eq!(AttributeType::from_number(row.attribute.number()), Some(row.attribute));
            assert_eq!(AttributeType::from_name(row.name), Some(row.attribute));
            assert_eq!(row.attribute.row().name, row.name);
        }
    }
}
