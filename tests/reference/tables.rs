//! Mechanisms and attributes.

use std::fmt::Write as _;

use casemate_protocol::attributes::{ATTRIBUTES, Change, ValueForm};
use casemate_protocol::mechanisms::{Approved, Functions, MECHANISMS};
use casemate_protocol::{Curve, Hash, KeyType, ObjectClass};

const FUNCTIONS: [(Functions, &str); 12] = [
    (Functions::ENCRYPT, "encrypt"),
    (Functions::DECRYPT, "decrypt"),
    (Functions::DIGEST, "digest"),
    (Functions::SIGN, "sign"),
    (Functions::VERIFY, "verify"),
    (Functions::GENERATE, "generate"),
    (Functions::GENERATE_KEY_PAIR, "generate pair"),
    (Functions::WRAP, "wrap"),
    (Functions::UNWRAP, "unwrap"),
    (Functions::DERIVE, "derive"),
    (Functions::ENCAPSULATE, "encapsulate"),
    (Functions::DECAPSULATE, "decapsulate"),
];

fn functions(set: Functions) -> String {
    let names = FUNCTIONS.iter().filter(|(function, _)| set.contains(*function));
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn mechanisms() -> String {
    let mut page = String::from(
        "# Mechanisms\n\n\
         What each mechanism can be used for, as `C_GetMechanismInfo` says it. Sizes are bits for RSA and elliptic curves, bytes for\n\
         AES and secrets, and the parameter set's number for ML-DSA and ML-KEM. In FIPS mode a mechanism works for every function\n\
         (yes), for none (no), or for those named; [what it refuses beyond that](../operate/fips.md) depends on parameter and key.\n\n\
         | mechanism | number | key types | functions | sizes | parameter | FIPS mode |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in MECHANISMS {
        let kinds: Vec<_> = row.key_types.iter().map(|kind| kind.name()).collect();
        let sizes = match (row.key_size_min, row.key_size_max) {
            (0, 0) => String::new(),
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        let approved = match row.approved {
            Approved::Yes => "yes",
            Approved::VerifyOnly => "verify",
            Approved::SignOnly => "sign, verify",
            Approved::UnlessWrapping => "all but wrap",
            Approved::No => "no",
        };
        writeln!(
            page,
            "| `{}` | `{:#x}` | {} | {} | {sizes} | {:?} | {approved} |",
            row.name,
            row.mechanism.number(),
            kinds.join(", "),
            functions(row.functions),
            row.parameter
        )
        .unwrap();
    }
    page.push_str("\nCurves, as `--curve` of the command line names them: ");
    page.push_str(&Curve::ALL.map(|curve| format!("`{}`", curve.name())).join(", "));
    page.push_str(".\nKey types: ");
    page.push_str(&KeyType::ALL.map(|kind| format!("`{}`", kind.name())).join(", "));
    page.push_str(".\nHashes: ");
    page.push_str(&Hash::ALL.map(|hash| format!("`{hash:?}`")).join(", "));
    page.push_str(".\n");
    page
}

const CLASSES: [(ObjectClass, &str); 5] = [
    (ObjectClass::Data, "data"),
    (ObjectClass::Certificate, "certificate"),
    (ObjectClass::PublicKey, "public key"),
    (ObjectClass::PrivateKey, "private key"),
    (ObjectClass::SecretKey, "secret key"),
];

fn attributes() -> String {
    let mut page = String::from(
        "# Attributes\n\n\
         The attributes of objects, by the names that the command line uses in `--attributes` and `attr.NAME=VALUE`. What a template\n\
         leaves out has the default of PKCS#11, but for keys made inside, which are sensitive and may not leave.\n\n\
         | name | PKCS#11 | value | classes | may change |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in ATTRIBUTES {
        let has = CLASSES.iter().filter(|(class, _)| row.classes.contains(*class));
        let classes: Vec<_> = has.map(|(_, name)| *name).collect();
        let classes =
            if classes.len() == CLASSES.len() { "all".to_owned() } else { classes.join(", ") };
        let value = match row.form {
            ValueForm::Flag => "true or false",
            ValueForm::Number => "number",
            ValueForm::Bytes => "bytes, in hexadecimal",
            ValueForm::Text => "text",
            ValueForm::Date => "date",
            ValueForm::BigInteger => "large number, in hexadecimal",
            ValueForm::Template => "template",
            ValueForm::Mechanisms => "mechanisms",
        };
        let change = match row.change {
            Change::Never => "never",
            Change::Computed => "never: the HSM computes it",
            Change::Free => "at any time",
            Change::ToTrue => "to true, never back",
            Change::ToFalse => "to false, never back",
            Change::OnCopy => "in a copy",
            Change::ToTrueOnCopy => "to true, in a copy",
            Change::ToFalseOnCopy => "to false, in a copy",
            Change::AdminOnly => "by an admin",
        };
        writeln!(
            page,
            "| `{}` | `CKA_{:?}` `{:#x}` | {value} | {classes} | {change} |",
            row.name,
            row.attribute,
            row.attribute.number()
        )
        .unwrap();
    }
    page
}

/// `UniqueId` as PKCS#11 writes it: `UNIQUE_ID`.
fn as_constant(page: &str) -> String {
    let mut text = String::new();
    for part in page.split_inclusive("`CKA_") {
        let rest = text.ends_with("`CKA_");
        let end = if rest { part.find('`').unwrap_or(0) } else { 0 };
        for (index, letter) in part.char_indices() {
            if index < end && index > 0 && letter.is_ascii_uppercase() {
                text.push('_');
            }
            text.push(if index < end { letter.to_ascii_uppercase() } else { letter });
        }
    }
    text
}

#[test]
fn mechanisms_are_those_of_the_table() {
    crate::check("mechanisms.md", &mechanisms());
}

#[test]
fn attributes_are_those_of_the_table() {
    crate::check("attributes.md", &as_constant(&attributes()));
}

#[test]
fn constants_are_written_as_in_the_standard() {
    assert_eq!(as_constant("| `CKA_UniqueId` `0x4` |"), "| `CKA_UNIQUE_ID` `0x4` |");
}
