//! Objects that are not the asker's, and templates that cannot be.

use casemate_protocol::messages::{
    Answer, Ask, CreateUser, FindObjects, GenerateKey, GetAttributes, MechanismUse,
    ObjectAndTemplate, ObjectReference, Operation,
};
use casemate_protocol::{
    Attribute, AttributeType, Error, KeyType, Mechanism, ObjectClass, Role, Template, limits,
};
use prost::Message as _;

use crate::watch::Watch;
use crate::wire::Wire;

pub(crate) fn plain(mechanism: Mechanism) -> Option<MechanismUse> {
    Some(MechanismUse { mechanism: mechanism.number(), parameter: None })
}

pub(crate) fn token() -> Template {
    Template::default().with(Attribute::flag(AttributeType::Token, true))
}

pub(crate) fn aes(wire: &mut Wire, template: Template) -> ObjectReference {
    let template = template.with(Attribute::number(AttributeType::ValueLen, 32));
    let ask = GenerateKey { mechanism: plain(Mechanism::AesKeyGen), template: Some(template) };
    match wire.ask(Ask::GenerateKey(ask)) {
        Answer::Made(made) => made.object.unwrap(),
        _ => panic!("no key"),
    }
}

fn second_user(address: &str) -> Wire {
    let mut admin = Wire::admin(address);
    let user = CreateUser {
        user: "other".to_owned(),
        role: Role::CryptoUser.number(),
        password: "letmein-other".to_owned(),
    };
    assert!(matches!(admin.ask(Ask::CreateUser(user)), Answer::User(_)));
    let mut wire = Wire::open(address);
    wire.log_in("other", "letmein-other", Role::CryptoUser);
    wire
}

fn encrypt(key: ObjectReference) -> Ask {
    Ask::Encrypt(Operation {
        key: Some(key),
        mechanism: plain(Mechanism::AesEcb),
        data: vec![0; 16].into(),
        ..Operation::default()
    })
}

/// Makes a request for an object.
type MakeAsk = fn(ObjectReference) -> Ask;

#[test]
fn a_key_of_another_user_is_as_absent_as_one_that_never_was() {
    let mut watch = Watch::start("");
    let address = watch.address();
    let mut owner = Wire::user(&address);
    let key = aes(&mut owner, token());
    let session = aes(&mut owner, Template::default());
    assert!(matches!(owner.ask(encrypt(key.clone())), Answer::Data(_)));
    let mut other = second_user(&address);
    watch.accept_changes();
    let absent = ObjectReference { number: 999_999, ..ObjectReference::default() };
    let asks: [(&str, MakeAsk); 6] = [
        ("encrypt", encrypt),
        ("destroy", Ask::DestroyObject),
        ("size", Ask::ObjectSize),
        ("attributes", |key| {
            Ask::GetAttributes(GetAttributes { object: Some(key), attributes: vec![] })
        }),
        ("change", |key| {
            let template = Template::default().with(Attribute::new(AttributeType::Label, "mine"));
            Ask::SetAttributes(ObjectAndTemplate { object: Some(key), template: Some(template) })
        }),
        ("copy", |key| {
            Ask::CopyObject(ObjectAndTemplate { object: Some(key), template: Some(token()) })
        }),
    ];
    for (what, ask) in asks {
        let (theirs, none) =
            (other.refusal(what, ask(key.clone())), other.refusal(what, ask(absent.clone())));
        assert_eq!(theirs, none, "{what}: it shows that the key exists");
        assert!(matches!(theirs, Error::ObjectNotFound | Error::KeyHandleInvalid), "{what}");
    }
    let find = FindObjects { template: Some(Template::default()), ..FindObjects::default() };
    let Answer::Found(found) = other.ask(Ask::FindObjects(find)) else { panic!("no search") };
    assert!(found.numbers.is_empty() && found.objects.is_empty());
    // A session object belongs to its log-in, and is sealed: of others, changed, cut or with a number besides.
    for (what, ask) in asks {
        let error = other.refusal(what, ask(session.clone()));
        assert!(
            matches!(
                error,
                Error::SessionKeyVoid | Error::ObjectNotFound | Error::KeyHandleInvalid
            ),
            "{what}: {error:?}"
        );
    }
    let blob = session.session.to_vec();
    for at in (0..blob.len()).step_by(5) {
        let mut changed = blob.clone();
        changed[at] ^= 0x10;
        let key = ObjectReference { number: 0, session: changed.into() };
        let error = owner.refusal("a changed session key", encrypt(key));
        assert!(
            matches!(error, Error::SessionKeyVoid | Error::KeyHandleInvalid),
            "{at}: {error:?}"
        );
    }
    for length in [1, 32, blob.len() - 1] {
        let key = ObjectReference { number: 0, session: blob[..length].to_vec().into() };
        owner.refusal("a session key cut off", encrypt(key));
    }
    let both = ObjectReference { number: key.number, session: blob.into() };
    owner.refusal("a number and a session key at once", encrypt(both));
    let nothing = ObjectReference::default();
    owner.refusal("no key at all", encrypt(nothing));
    assert!(matches!(owner.ask(encrypt(session)), Answer::Data(_)));
    watch.unharmed("objects of others");
}

#[test]
fn templates_that_cannot_be_are_refused_by_name() {
    let watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let secret = || {
        token()
            .with(Attribute::number(AttributeType::Class, ObjectClass::SecretKey.number()))
            .with(Attribute::number(AttributeType::KeyType, KeyType::Aes.number()))
    };
    let valued = || secret().with(Attribute::new(AttributeType::Value, [7; 32]));
    let number = AttributeType::number;
    let repeated = {
        let mut template = valued();
        template.attributes.push(Attribute::new(AttributeType::Label, "one"));
        template.attributes.push(Attribute::new(AttributeType::Label, "two"));
        template
    };
    let many = Template {
        attributes: (0..200)
            .map(|at| Attribute { number: 0x8000_0000 + at, value: vec![] })
            .collect(),
    };
    let large = valued().with(Attribute::new(
        AttributeType::Application,
        vec![0; limits::ATTRIBUTE_VALUE_BYTES_MAX + 1],
    ));
    let unknown = {
        let mut template = valued();
        template.attributes.push(Attribute { number: 0xdead_beef, value: vec![1] });
        template
    };
    let with = |attribute: AttributeType, value: &[u8]| {
        let mut template = valued();
        template.set(Attribute::new(attribute, value));
        template
    };
    let cases: Vec<(&str, Template, Error)> = vec![
        ("no class", token(), Error::TemplateIncomplete(number(AttributeType::Class))),
        (
            "no key type",
            token().with(Attribute::number(AttributeType::Class, ObjectClass::SecretKey.number())),
            Error::TemplateIncomplete(number(AttributeType::KeyType)),
        ),
        ("no value", secret(), Error::TemplateIncomplete(number(AttributeType::Value))),
        ("a label twice", repeated, Error::AttributeRepeated(number(AttributeType::Label))),
        ("an unknown attribute", unknown, Error::AttributeTypeInvalid(0xdead_beef)),
        ("200 attributes", many, Error::TemplateTooLong),
        (
            "a value too large",
            large,
            Error::AttributeValueInvalid(number(AttributeType::Application)),
        ),
        (
            "a flag of no byte",
            with(AttributeType::Sensitive, &[]),
            Error::AttributeValueInvalid(number(AttributeType::Sensitive)),
        ),
        (
            "a flag of 2",
            with(AttributeType::Sensitive, &[2]),
            Error::AttributeValueInvalid(number(AttributeType::Sensitive)),
        ),
        (
            "a flag of 8 bytes",
            with(AttributeType::Sensitive, &[0; 8]),
            Error::AttributeValueInvalid(number(AttributeType::Sensitive)),
        ),
        (
            "a number of 4 bytes",
            with(AttributeType::ValueLen, &[0; 4]),
            Error::AttributeValueInvalid(number(AttributeType::ValueLen)),
        ),
        (
            "a class that is none",
            with(AttributeType::Class, &u64::MAX.to_be_bytes()),
            Error::AttributeValueInvalid(number(AttributeType::Class)),
        ),
        (
            "a date of letters",
            with(AttributeType::StartDate, b"tomorrow"),
            Error::AttributeValueInvalid(number(AttributeType::StartDate)),
        ),
        (
            "a label of 256 bytes",
            with(AttributeType::Label, &[b'x'; 256]),
            Error::AttributeValueInvalid(number(AttributeType::Label)),
        ),
        (
            "a length that the value has not",
            with(AttributeType::ValueLen, &16_u64.to_be_bytes()),
            Error::TemplateInconsistent(number(AttributeType::ValueLen)),
        ),
        (
            "a check value of another key",
            with(AttributeType::CheckValue, &[1, 2, 3]),
            Error::AttributeValueInvalid(number(AttributeType::CheckValue)),
        ),
        (
            "a local key",
            with(AttributeType::Local, &[1]),
            Error::AttributeReadOnly(number(AttributeType::Local)),
        ),
        (
            "a trusted key",
            with(AttributeType::Trusted, &[1]),
            Error::AttributeReadOnly(number(AttributeType::Trusted)),
        ),
        (
            "a modulus of a secret key",
            with(AttributeType::Modulus, &[1; 256]),
            Error::TemplateInconsistent(number(AttributeType::Modulus)),
        ),
        (
            "a template in a template that is none",
            with(AttributeType::WrapTemplate, &[0xff; 9]),
            Error::AttributeValueInvalid(number(AttributeType::WrapTemplate)),
        ),
        (
            "mechanisms of 7 bytes",
            with(AttributeType::AllowedMechanisms, &[0; 7]),
            Error::AttributeValueInvalid(number(AttributeType::AllowedMechanisms)),
        ),
    ];
    for (what, template, error) in cases {
        assert_eq!(wire.refusal(what, Ask::CreateObject(template)), error, "{what}");
    }
    for length in [0, 1, 15, 17, 31, 33, 64, 1_024, 65_536] {
        let mut template = secret();
        template.set(Attribute::new(AttributeType::Value, vec![7; length]));
        let error = wire.refusal("an AES key", Ask::CreateObject(template));
        assert_eq!(error, Error::KeySizeRange, "an AES key of {length} bytes");
    }
    for bytes in [0, 1, 15, 17, 64, u64::MAX] {
        let template = token().with(Attribute::number(AttributeType::ValueLen, bytes));
        let ask = GenerateKey { mechanism: plain(Mechanism::AesKeyGen), template: Some(template) };
        let error = wire.refusal("an AES key", Ask::GenerateKey(ask));
        assert_eq!(error, Error::KeySizeRange, "an AES key of {bytes} bytes");
    }
    for bytes in [0, 1_025, 1 << 40, u64::MAX] {
        let template = token().with(Attribute::number(AttributeType::ValueLen, bytes));
        let mechanism = plain(Mechanism::GenericSecretKeyGen);
        let ask = GenerateKey { mechanism, template: Some(template) };
        let error = wire.refusal("a secret", Ask::GenerateKey(ask));
        assert_eq!(error, Error::KeySizeRange, "a secret of {bytes} bytes");
    }
    // Searches are templates, too.
    let mut bad = Template::default();
    bad.attributes
        .push(Attribute { number: AttributeType::Token.number(), value: vec![9, 9] });
    let find = FindObjects { template: Some(bad), ..FindObjects::default() };
    wire.send(9_999, &crate::wire::message(Ask::FindObjects(find.clone()))).unwrap();
    wire.reply();
    let all = FindObjects {
        after: u64::MAX,
        limit: u64::MAX,
        attributes: vec![u64::MAX; 500],
        template: None,
    };
    wire.send(10_000, &crate::wire::message(Ask::FindObjects(all))).unwrap();
    wire.reply();
    assert!(!find.encode_to_vec().is_empty());
    watch.unharmed("templates");
}
