//! What may be said of an attribute, and when: at creation by function, and afterwards by change.
//!
//! The facts (form, classes, kind of change) are rows of `protocol::attributes`; here is what follows from
//! them. [`check_transition`] compares two headers, so that it needs no memory of how one became the other: the
//! handler asks it before a change is proposed, and `apply` asks it again.
//!
//! Defaults where a template is silent: PKCS#11's, and where that leaves it to the token: keys are sensitive and not
//! extractable; encrypt, decrypt, sign, verify, encapsulate and decapsulate are on, and derive for HKDF keys; wrap, unwrap and
//! derive are off, for a key that both wraps and decrypts gives other keys away.

use casemate_protocol::attributes::{Change, ValueForm};
use casemate_protocol::{Attribute, AttributeType, Error, KeyType, ObjectClass, Template};

use super::flags::Flags;
use super::object::{Header, flags_of};

/// How an object comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum Function {
    /// `C_GenerateKey`
    Generate,
    /// `C_GenerateKeyPair`
    GeneratePair,
    /// `C_CreateObject`
    Create,
    /// `C_UnwrapKey`, `C_DecapsulateKey`
    Unwrap,
    /// `C_DeriveKey`, `C_EncapsulateKey`
    Derive,
}

/// What a template may say of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It is the caller's to say.
    Given,
    /// It is material, or follows from it: the caller gives it when he gives the key.
    Material,
    /// The module alone says it.
    Computed,
}

/// Returns what a template may say of an attribute when an object of `class` comes to be by `function`.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named here is the caller's to say")]
pub(crate) fn rule(attribute: AttributeType, class: ObjectClass, function: Function) -> Rule {
    let brings_key = function == Function::Create;
    let material = if brings_key { Rule::Material } else { Rule::Computed };
    match attribute {
        AttributeType::UniqueId
        | AttributeType::Local
        | AttributeType::NeverExtractable
        | AttributeType::AlwaysSensitive
        | AttributeType::KeyGenMechanism => Rule::Computed,
        _ if attribute.is_key_material(class) => material,
        AttributeType::Value if class == ObjectClass::PublicKey => material,
        AttributeType::Modulus | AttributeType::EcPoint => material,
        AttributeType::PublicExponent if class == ObjectClass::PrivateKey => material,
        AttributeType::PublicKeyInfo if function != Function::Create => Rule::Computed,
        _ => Rule::Given,
    }
}

fn default_flag(flag: AttributeType, class: ObjectClass, key_type: Option<KeyType>) -> bool {
    let secret = matches!(class, ObjectClass::SecretKey | ObjectClass::PrivateKey);
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are false")]
    match flag {
        AttributeType::Private | AttributeType::Sensitive => secret,
        AttributeType::Modifiable | AttributeType::Copyable | AttributeType::Destroyable => true,
        AttributeType::Encrypt | AttributeType::Decrypt => {
            matches!(key_type, Some(KeyType::Rsa | KeyType::Aes))
        }
        AttributeType::Sign | AttributeType::Verify => {
            !matches!(key_type, None | Some(KeyType::EcMontgomery | KeyType::MlKem | KeyType::Hkdf))
        }
        AttributeType::Encapsulate | AttributeType::Decapsulate => key_type == Some(KeyType::MlKem),
        AttributeType::Derive => {
            matches!(key_type, Some(KeyType::Hkdf | KeyType::EcMontgomery)) && secret
        }
        _ => false,
    }
}

/// Reads the flags of a new object.
///
/// # Errors
/// [`Error::AttributeReadOnly`] for a flag that the module alone sets, [`Error::TemplateInconsistent`] for one that the class does not have.
pub(crate) fn new_flags(
    template: &Template,
    class: ObjectClass,
    key_type: Option<KeyType>,
    function: Function,
) -> Result<Flags, Error> {
    let mut flags = Flags::default();
    for flag in flags_of(class) {
        flags.set(flag, default_flag(flag, class, key_type));
    }
    for entry in &template.attributes {
        let attribute = entry.attribute()?;
        if attribute.row().form != ValueForm::Flag {
            continue;
        }
        let value = entry.as_flag()?;
        if rule(attribute, class, function) == Rule::Computed {
            return Err(Error::AttributeReadOnly(entry.number));
        }
        if !attribute.row().classes.contains(class) {
            // Programs say "no" of what a class cannot do anyway.
            if value {
                return Err(Error::TemplateInconsistent(entry.number));
            }
            continue;
        }
        if value && attribute == AttributeType::Trusted {
            return Err(Error::AttributeReadOnly(entry.number));
        }
        flags.set(attribute, value);
    }
    Ok(flags)
}

/// Reads the attributes of a new object that are no flags: those of the caller into the header, material apart.
///
/// # Errors
/// [`Error::AttributeReadOnly`] for what the module alone says, [`Error::TemplateInconsistent`] for what the class does not have.
pub(crate) fn new_attributes(
    template: &Template,
    class: ObjectClass,
    function: Function,
) -> Result<Vec<(AttributeType, Vec<u8>)>, Error> {
    let mut attributes = Vec::new();
    for entry in &template.attributes {
        let attribute = entry.attribute()?;
        let row = attribute.row();
        let apart = matches!(
            attribute,
            AttributeType::Class | AttributeType::KeyType | AttributeType::ValueLen
        ) || row.form == ValueForm::Flag;
        if apart {
            continue;
        }
        if !row.classes.contains(class) {
            return Err(Error::TemplateInconsistent(entry.number));
        }
        match rule(attribute, class, function) {
            Rule::Computed => return Err(Error::AttributeReadOnly(entry.number)),
            Rule::Material if attribute.is_key_material(class) => {}
            Rule::Material | Rule::Given => attributes.push((attribute, entry.value.clone())),
        }
    }
    attributes.sort_by_key(|(attribute, _)| *attribute);
    Ok(attributes)
}

/// Who changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Its owner, in place.
    Owner,
    /// Its owner, in a copy.
    Copier,
    /// An admin, who may set `CKA_TRUSTED` and nothing else.
    Admin,
}

fn may_change(attribute: AttributeType, from: bool, to: bool, who: Who) -> bool {
    match (attribute.row().change, who) {
        (Change::AdminOnly, who) => who == Who::Admin,
        (_, Who::Admin) | (Change::Never | Change::Computed, _) => false,
        (Change::Free, _) => true,
        (Change::ToTrue, _) => !from && to,
        (Change::ToFalse, _) => from && !to,
        (Change::OnCopy | Change::ToTrueOnCopy, who) => who == Who::Copier,
        (Change::ToFalseOnCopy, who) => who == Who::Copier && from && !to,
    }
}

/// Checks that `new` may follow `old`: same object (or a copy of it), and each difference allowed by its row.
///
/// # Errors
/// [`Error::AttributeReadOnly`] names the attribute; [`Error::ActionProhibited`] if the object may not be changed or copied at all.
pub(crate) fn check_transition(old: &Header, new: &Header, who: Who) -> Result<(), Error> {
    let gate = match who {
        Who::Owner | Who::Admin => AttributeType::Modifiable,
        Who::Copier => AttributeType::Copyable,
    };
    if !old.flags.has(gate) {
        return Err(Error::ActionProhibited);
    }
    let same = old.class == new.class
        && old.key_type == new.key_type
        && old.size == new.size
        && old.origin == new.origin;
    if !same {
        return Err(Error::AttributeReadOnly(AttributeType::Class.number()));
    }
    for flag in flags_of(old.class) {
        let (from, to) = (old.flags.has(flag), new.flags.has(flag));
        // A copy that is no token object any more needs no "private" of its own kind; all else follows the row.
        if from != to && !may_change(flag, from, to, who) {
            return Err(Error::AttributeReadOnly(flag.number()));
        }
    }
    check_trusted(new)?;
    let attributes = old.attributes.iter().chain(&new.attributes).map(|(attribute, _)| *attribute);
    for attribute in attributes {
        let differs = old.value(attribute) != new.value(attribute);
        if differs && !may_change(attribute, false, true, who) {
            return Err(Error::AttributeReadOnly(attribute.number()));
        }
    }
    Ok(())
}

/// A secret key that is trusted wraps and unwraps, but shows nothing of what it wrapped: it neither decrypts nor encrypts (by a counter
/// that is the same), no key with its value and other rights is derived of it, and it does not leave. A public key shows nothing; who has
/// its other half is the admin's to know.
fn check_trusted(new: &Header) -> Result<(), Error> {
    if !new.flags.has(AttributeType::Trusted) || new.class != ObjectClass::SecretKey {
        return Ok(());
    }
    let barred = [
        AttributeType::Decrypt,
        AttributeType::Encrypt,
        AttributeType::Derive,
        AttributeType::Extractable,
    ];
    let open = barred.into_iter().find(|flag| new.flags.has(*flag));
    let shown = (!new.flags.has(AttributeType::Sensitive)).then_some(AttributeType::Sensitive);
    match open.or(shown) {
        None => Ok(()),
        Some(flag) => Err(Error::TemplateInconsistent(flag.number())),
    }
}

/// Returns the header with the template's values in it.
///
/// # Errors
/// [`Error::AttributeTypeInvalid`] for an attribute that the class does not have; what else is not allowed,
/// [`check_transition`] says.
pub(crate) fn changed(old: &Header, template: &Template) -> Result<Header, Error> {
    template.check()?;
    let mut new = old.clone();
    for entry in &template.attributes {
        let attribute = entry.attribute()?;
        let row = attribute.row();
        if !row.classes.contains(old.class) {
            return Err(Error::AttributeTypeInvalid(entry.number));
        }
        if row.form == ValueForm::Flag {
            new.flags.set(attribute, entry.as_flag()?);
        } else if is_same(old, entry, attribute) {
            continue;
        } else if attribute.is_key_material(old.class)
            || matches!(row.change, Change::Never | Change::Computed)
        {
            return Err(Error::AttributeReadOnly(entry.number));
        } else {
            new.set(attribute, entry.value.clone());
        }
    }
    Ok(new)
}

fn is_same(old: &Header, entry: &Attribute, attribute: AttributeType) -> bool {
    let number = casemate_protocol::identity::ObjectNumber(0);
    attribute != AttributeType::UniqueId
        && old.visible(number, attribute).as_deref() == Some(entry.value.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::attributes::ATTRIBUTES;
    use strum::VariantArray as _;

    /// Walks the whole table: no cell lets a caller say what only the module may say, or bring material in by the back door.
    #[test]
    fn every_cell_of_class_attribute_and_function() {
        let mut cells = 0;
        for row in ATTRIBUTES {
            for class in ObjectClass::ALL.into_iter().filter(|class| row.classes.contains(*class)) {
                for &function in Function::VARIANTS {
                    let rule = rule(row.attribute, class, function);
                    if row.change == Change::Computed && row.attribute != AttributeType::CheckValue
                    {
                        assert_eq!(rule, Rule::Computed, "{} {class:?} {function:?}", row.name);
                    }
                    if row.attribute.is_key_material(class) {
                        let right = if function == Function::Create {
                            Rule::Material
                        } else {
                            Rule::Computed
                        };
                        assert_eq!(rule, right, "{} {class:?} {function:?}", row.name);
                    }
                    cells += 1;
                }
            }
        }
        assert!(cells > 500, "{cells}");
    }

    #[test]
    fn rights_are_only_lowered() {
        for who in [Who::Owner, Who::Copier] {
            assert!(may_change(AttributeType::Sensitive, false, true, who));
            assert!(!may_change(AttributeType::Sensitive, true, false, who));
            assert!(may_change(AttributeType::Extractable, true, false, who));
            assert!(!may_change(AttributeType::Extractable, false, true, who));
            assert!(!may_change(AttributeType::WrapWithTrusted, true, false, who));
            assert!(!may_change(AttributeType::Trusted, false, true, who));
            assert!(!may_change(AttributeType::NeverExtractable, false, true, who));
        }
        assert!(may_change(AttributeType::Trusted, false, true, Who::Admin));
        assert!(!may_change(AttributeType::Label, false, true, Who::Admin));
        assert!(!may_change(AttributeType::Token, false, true, Who::Owner));
    }
}
