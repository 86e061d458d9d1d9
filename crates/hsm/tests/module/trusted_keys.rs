//! Trusted keys (`CKA_TRUSTED`, `CKA_WRAP_WITH_TRUSTED`): what may become one, and that nothing it wrapped is seen by it.

use casemate_protocol::messages::{
    Answer, Ask, ObjectAndTemplate, ObjectReference, UnwrapKey, WrapKey,
};
use casemate_protocol::{
    Attribute, AttributeType, Error, KeyType, Mechanism, ObjectClass, Role, Template,
};

use crate::keys::{User, flags, plain};
use crate::one_hsm::{expect_done, expect_error};

/// What a trusted key must not be.
const BARRED: [(AttributeType, bool); 5] = [
    (AttributeType::Decrypt, true),
    (AttributeType::Encrypt, true),
    (AttributeType::Derive, true),
    (AttributeType::Extractable, true),
    (AttributeType::Sensitive, false),
];

/// A key that wraps and unwraps, and has one of [`BARRED`], or none.
fn wrapping(user: &mut User, barred: Option<AttributeType>) -> ObjectReference {
    let right = [AttributeType::Token, AttributeType::Wrap, AttributeType::Unwrap];
    let right = right.map(|flag| (flag, true)).into_iter();
    let rest = BARRED.map(|(flag, value)| (flag, value == (barred == Some(flag)))).into_iter();
    user.aes(flags(&right.chain(rest).collect::<Vec<_>>()))
}

fn changed(object: &ObjectReference, flag: AttributeType) -> ObjectAndTemplate {
    ObjectAndTemplate { object: Some(object.clone()), template: Some(flags(&[(flag, true)])) }
}

fn trust(user: &mut User, key: &ObjectReference) -> Answer {
    let mut admin = user.hsm.log_in("admin", Role::Admin);
    admin.ask(&mut user.hsm, Ask::SetAttributes(changed(key, AttributeType::Trusted)))
}

#[test]
fn a_key_that_could_show_what_it_wraps_is_not_trusted() {
    let mut user = User::new();
    for (flag, _) in BARRED {
        let key = wrapping(&mut user, Some(flag));
        expect_error(trust(&mut user, &key), Error::TemplateInconsistent(flag.number()));
    }
    let key = wrapping(&mut user, None);
    expect_done(trust(&mut user, &key));
    // Nor does it learn it later, or in a copy, which is trusted as well.
    for flag in [AttributeType::Decrypt, AttributeType::Encrypt, AttributeType::Derive] {
        let inconsistent = Error::TemplateInconsistent(flag.number());
        expect_error(user.ask(Ask::SetAttributes(changed(&key, flag))), inconsistent);
        expect_error(user.ask(Ask::CopyObject(changed(&key, flag))), inconsistent);
    }
}

#[test]
fn what_a_trusted_key_unwraps_stays_and_leaves_under_trusted_keys_alone() {
    let mut user = User::new();
    let key = wrapping(&mut user, None);
    expect_done(trust(&mut user, &key));
    let leaves = [AttributeType::Token, AttributeType::Extractable, AttributeType::WrapWithTrusted];
    let guarded = user.aes(flags(&leaves.map(|flag| (flag, true))));
    let wrap = |by: &ObjectReference| {
        Ask::WrapKey(WrapKey {
            wrapping_key: Some(by.clone()),
            mechanism: plain(Mechanism::AesKeyWrap),
            key: Some(guarded.clone()),
        })
    };
    let untrusted = wrapping(&mut user, None);
    expect_error(user.ask(wrap(&untrusted)), Error::KeyNotWrappable);
    let Answer::Data(wrapped) = user.ask(wrap(&key)) else { panic!() };
    let mut unwrap = |template: Template| {
        let template = template
            .with(Attribute::number(AttributeType::Class, ObjectClass::SecretKey.number()))
            .with(Attribute::number(AttributeType::KeyType, KeyType::Aes.number()));
        user.ask(Ask::UnwrapKey(UnwrapKey {
            unwrapping_key: Some(key.clone()),
            mechanism: plain(Mechanism::AesKeyWrap),
            wrapped: wrapped.data.clone(),
            template: Some(template),
        }))
    };
    let stays = [AttributeType::Sensitive, AttributeType::WrapWithTrusted];
    for flag in stays {
        let inconsistent = Error::TemplateInconsistent(flag.number());
        expect_error(unwrap(flags(&[(flag, false)])), inconsistent);
    }
    let extractable = flags(&[(AttributeType::Extractable, true)]);
    let Answer::Made(back) = unwrap(extractable) else { panic!() };
    let back = back.object.unwrap();
    for flag in stays {
        assert_eq!(user.attribute(&back, flag), Ok(vec![1]), "{flag:?}");
    }
}
