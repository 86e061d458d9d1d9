//! The published attacks, by name: each is refused, or harmless.

use casemate_module::{Attribute, Code, Handle, Mechanism, Parameter, Session, ck};

use crate::as_application;
use crate::secrets::{MASK, Planted, plant, trusted};

const VALUE: [u8; 32] = *b"the value that nobody may see...";

/// One attack: what it tries, given a key that may not leave.
type Attack = fn(&mut Session, &Planted);

const ATTACKS: [(&str, Attack); 11] = [
    ("wrap, then decrypt with the same key", wrap_then_decrypt),
    ("wrap under a key of one's own making", wrap_under_my_own),
    ("take back what was set", take_back),
    ("copy with more rights", copy_with_more),
    ("read the value, whole or digested", read_it),
    ("derive a key that may be seen", derive_what_shows),
    ("derive away that only trusted keys may wrap", derive_away_the_trust),
    ("derive a piece that can be guessed", derive_a_piece),
    ("join with a key that may leave", join_with_mine),
    ("unwrap with weaker attributes", unwrap_weaker),
    ("get back what a trusted key wrapped", get_back_from_a_trusted_key),
];

#[test]
fn published_attacks_are_refused_or_harmless() {
    as_application("classics::published_attacks_are_refused_or_harmless", |module| {
        for (name, attack) in ATTACKS {
            let mut session = module.open().unwrap();
            for key_type in [ck::CKK_AES, ck::CKK_GENERIC_SECRET] {
                let stays = [(ck::CKA_SENSITIVE, true), (ck::CKA_EXTRACTABLE, false)];
                let secret = plant(&mut session, "it", key_type, VALUE, &stays);
                attack(&mut session, &secret);
            }
            println!("stopped: {name}");
        }
    });
}

fn aes(session: &mut Session, flags: &[ck::CK_ATTRIBUTE_TYPE]) -> Handle {
    let mut template = vec![
        Attribute::Flag(ck::CKA_TOKEN, false),
        Attribute::Number(ck::CKA_VALUE_LEN, 32),
        Attribute::Flag(ck::CKA_EXTRACTABLE, true),
    ];
    template.extend(flags.iter().map(|flag| Attribute::Flag(*flag, true)));
    session.generate(Mechanism(ck::CKM_AES_KEY_GEN, Parameter::None), &template).unwrap()
}

const WRAPPINGS: [Mechanism<'_>; 5] = [
    Mechanism(ck::CKM_AES_KEY_WRAP, Parameter::None),
    Mechanism(ck::CKM_AES_KEY_WRAP_KWP, Parameter::None),
    Mechanism(ck::CKM_AES_ECB, Parameter::None),
    Mechanism(ck::CKM_AES_CBC_PAD, Parameter::Bytes(&[0; 16])),
    Mechanism(ck::CKM_AES_GCM, Parameter::Gcm { iv: &[1; 12], aad: &[], tag_bits: 128 }),
];

fn refused<T: std::fmt::Debug>(outcome: Result<T, Code>, codes: &[ck::CK_RV]) {
    match outcome {
        Err(code) => assert!(codes.contains(&code.0), "{code}"),
        Ok(made) => panic!("it was done: {made:?}"),
    }
}

fn wrap_then_decrypt(session: &mut Session, secret: &Planted) {
    let both = aes(session, &[ck::CKA_WRAP, ck::CKA_DECRYPT]);
    for mechanism in WRAPPINGS {
        refused(session.wrap(mechanism, both, secret.key), &[ck::CKR_KEY_UNEXTRACTABLE]);
    }
}

fn wrap_under_my_own(session: &mut Session, secret: &Planted) {
    let known = [
        Attribute::Number(ck::CKA_CLASS, ck::CKO_SECRET_KEY),
        Attribute::Number(ck::CKA_KEY_TYPE, ck::CKK_AES),
        Attribute::Flag(ck::CKA_TOKEN, false),
        Attribute::Bytes(ck::CKA_VALUE, &[0; 32]),
        Attribute::Flag(ck::CKA_WRAP, true),
    ];
    let known = session.create(&known).unwrap();
    for mechanism in WRAPPINGS {
        refused(session.wrap(mechanism, known, secret.key), &[ck::CKR_KEY_UNEXTRACTABLE]);
    }
    // Only an admin says whom a key that leaves under trusted ones alone may trust.
    let trusted = [Attribute::Flag(ck::CKA_TRUSTED, true)];
    refused(session.set(known, &trusted), &[ck::CKR_ATTRIBUTE_READ_ONLY]);
    refused(session.copy(known, &trusted), &[ck::CKR_ATTRIBUTE_READ_ONLY]);
    let guarded = aes(session, &[ck::CKA_WRAP_WITH_TRUSTED]);
    for mechanism in WRAPPINGS {
        refused(session.wrap(mechanism, known, guarded), &[ck::CKR_KEY_NOT_WRAPPABLE]);
    }
    let unguarded = [Attribute::Flag(ck::CKA_WRAP_WITH_TRUSTED, false)];
    refused(session.set(guarded, &unguarded), &[ck::CKR_ATTRIBUTE_READ_ONLY]);
    refused(session.copy(guarded, &unguarded), &[ck::CKR_ATTRIBUTE_READ_ONLY]);
}

const MORE: [Attribute<'_>; 2] =
    [Attribute::Flag(ck::CKA_SENSITIVE, false), Attribute::Flag(ck::CKA_EXTRACTABLE, true)];

fn take_back(session: &mut Session, secret: &Planted) {
    for attribute in MORE {
        refused(session.set(secret.key, &[attribute]), &[ck::CKR_ATTRIBUTE_READ_ONLY]);
    }
}

fn copy_with_more(session: &mut Session, secret: &Planted) {
    for attribute in MORE {
        refused(session.copy(secret.key, &[attribute]), &[ck::CKR_ATTRIBUTE_READ_ONLY]);
    }
    let copy = session.copy(secret.key, &[]).unwrap();
    refused(session.get(copy, ck::CKA_VALUE), &[ck::CKR_ATTRIBUTE_SENSITIVE]);
}

fn read_it(session: &mut Session, secret: &Planted) {
    refused(session.get(secret.key, ck::CKA_VALUE), &[ck::CKR_ATTRIBUTE_SENSITIVE]);
    // The check value of an AES key is three bytes of a ciphertext (PKCS#11 3.2 §4.10.2), and no part of the key.
    if let Ok(check) = session.get(secret.key, ck::CKA_CHECK_VALUE) {
        assert!(!VALUE.windows(3).any(|part| part == check), "{check:?}");
    }
}

/// Asks for a derived key that may be seen; returns it, if there is one.
fn derive(
    session: &mut Session,
    mechanism: Mechanism<'_>,
    base: Handle,
    bytes: Option<ck::CK_ULONG>,
) -> Result<Handle, Code> {
    let mut template = vec![
        Attribute::Number(ck::CKA_CLASS, ck::CKO_SECRET_KEY),
        Attribute::Number(ck::CKA_KEY_TYPE, ck::CKK_GENERIC_SECRET),
        Attribute::Flag(ck::CKA_TOKEN, false),
    ];
    template.extend(MORE);
    template.extend(bytes.map(|bytes| Attribute::Number(ck::CKA_VALUE_LEN, bytes)));
    session.derive(mechanism, base, &template)
}

/// Those that still show the base in what they make.
const SHOWING: [Mechanism<'_>; 4] = [
    Mechanism(ck::CKM_CONCATENATE_BASE_AND_DATA, Parameter::Data(&[1])),
    Mechanism(ck::CKM_CONCATENATE_DATA_AND_BASE, Parameter::Data(&[1; 16])),
    Mechanism(ck::CKM_XOR_BASE_AND_DATA, Parameter::Data(&[MASK; 32])),
    Mechanism(ck::CKM_XOR_BASE_AND_DATA, Parameter::Data(&[MASK; 64])),
];

fn derive_what_shows(session: &mut Session, secret: &Planted) {
    for mechanism in SHOWING {
        let Ok(made) = derive(session, mechanism, secret.key, None) else { continue };
        refused(session.get(made, ck::CKA_VALUE), &[ck::CKR_ATTRIBUTE_SENSITIVE]);
        let wrapping = aes(session, &[ck::CKA_WRAP]);
        refused(session.wrap(WRAPPINGS[1], wrapping, made), &[ck::CKR_KEY_UNEXTRACTABLE]);
    }
}

/// Found by the search: a key that shows its base must not leave where the base may not.
fn derive_away_the_trust(session: &mut Session, _secret: &Planted) {
    let guarded = aes(session, &[ck::CKA_WRAP_WITH_TRUSTED, ck::CKA_DERIVE]);
    let wrapping = aes(session, &[ck::CKA_WRAP]);
    let refusals = [ck::CKR_KEY_NOT_WRAPPABLE, ck::CKR_KEY_UNEXTRACTABLE];
    for mechanism in SHOWING {
        let Ok(made) = derive(session, mechanism, guarded, None) else { continue };
        refused(session.wrap(WRAPPINGS[1], wrapping, made), &refusals);
    }
    let mine = derive_source(session);
    for (base, other) in [(mine, guarded), (guarded, mine)] {
        let join = Mechanism(ck::CKM_CONCATENATE_BASE_AND_KEY, Parameter::Number(other));
        let made = derive(session, join, base, None).unwrap();
        refused(session.wrap(WRAPPINGS[1], wrapping, made), &refusals);
    }
}

fn derive_a_piece(session: &mut Session, secret: &Planted) {
    for mechanism in SHOWING {
        for bytes in [1, 2, 8, 16, 31] {
            let made = derive(session, mechanism, secret.key, Some(bytes));
            refused(made, &[ck::CKR_KEY_SIZE_RANGE]);
        }
    }
    for short in [&[MASK][..], &[MASK; 31]] {
        let xor = Mechanism(ck::CKM_XOR_BASE_AND_DATA, Parameter::Data(short));
        refused(derive(session, xor, secret.key, None), &[ck::CKR_KEY_SIZE_RANGE]);
    }
}

fn join_with_mine(session: &mut Session, secret: &Planted) {
    let mine = derive_source(session);
    for (base, other) in [(mine, secret.key), (secret.key, mine)] {
        let join = Mechanism(ck::CKM_CONCATENATE_BASE_AND_KEY, Parameter::Number(other));
        let made = derive(session, join, base, None).unwrap();
        refused(session.get(made, ck::CKA_VALUE), &[ck::CKR_ATTRIBUTE_SENSITIVE]);
        refused(derive(session, join, base, Some(4)), &[ck::CKR_KEY_SIZE_RANGE]);
    }
}

fn derive_source(session: &mut Session) -> Handle {
    let mut template = vec![
        Attribute::Number(ck::CKA_CLASS, ck::CKO_SECRET_KEY),
        Attribute::Number(ck::CKA_KEY_TYPE, ck::CKK_GENERIC_SECRET),
        Attribute::Flag(ck::CKA_TOKEN, false),
        Attribute::Bytes(ck::CKA_VALUE, b"mine"),
        Attribute::Flag(ck::CKA_DERIVE, true),
    ];
    template.extend(MORE);
    session.create(&template).unwrap()
}

/// What may leave comes back as its owner says, for he could have read it; what may not leave never comes to be wrapped bytes, and
/// what a key forces on all that it unwraps holds.
fn unwrap_weaker(session: &mut Session, secret: &Planted) {
    let wrapping = aes(session, &[ck::CKA_WRAP, ck::CKA_UNWRAP]);
    for mechanism in WRAPPINGS {
        refused(session.wrap(mechanism, wrapping, secret.key), &[ck::CKR_KEY_UNEXTRACTABLE]);
    }
    // The secret as wrapping key of its own kind wraps nothing that tells of itself.
    let leaves = aes(session, &[]);
    if let Ok(wrapped) = session.wrap(WRAPPINGS[0], secret.key, leaves) {
        assert!(!secret.is_seen_in(&wrapped));
    }
}

/// Whoever owns a trusted key may wrap by it what leaves under trusted keys alone, and sees nothing of it all the same.
fn get_back_from_a_trusted_key(session: &mut Session, _secret: &Planted) {
    let trusted = trusted(session);
    let guarded = aes(session, &[ck::CKA_WRAP_WITH_TRUSTED]);
    let mine = aes(session, &[ck::CKA_WRAP]);
    for right in [ck::CKA_DECRYPT, ck::CKA_ENCRYPT, ck::CKA_DERIVE] {
        let right = [Attribute::Flag(right, true)];
        refused(session.set(trusted, &right), &[ck::CKR_TEMPLATE_INCONSISTENT]);
        refused(session.copy(trusted, &right), &[ck::CKR_TEMPLATE_INCONSISTENT]);
    }
    let back = |flag, value| {
        let class = Attribute::Number(ck::CKA_CLASS, ck::CKO_SECRET_KEY);
        let key_type = Attribute::Number(ck::CKA_KEY_TYPE, ck::CKK_AES);
        [class, key_type, Attribute::Flag(flag, value)]
    };
    for mechanism in WRAPPINGS {
        let wrapped = session.wrap(mechanism, trusted, guarded).unwrap();
        let not_permitted = [ck::CKR_KEY_FUNCTION_NOT_PERMITTED];
        refused(session.decrypt(mechanism, trusted, &wrapped), &not_permitted);
        refused(session.encrypt(mechanism, trusted, &[0; 32]), &not_permitted);
        for weak in [ck::CKA_SENSITIVE, ck::CKA_WRAP_WITH_TRUSTED] {
            let outcome = session.unwrap(mechanism, trusted, &wrapped, &back(weak, false));
            refused(outcome, &[ck::CKR_TEMPLATE_INCONSISTENT]);
        }
        let leaves = back(ck::CKA_EXTRACTABLE, true);
        let again = session.unwrap(mechanism, trusted, &wrapped, &leaves).unwrap();
        refused(session.get(again, ck::CKA_VALUE), &[ck::CKR_ATTRIBUTE_SENSITIVE]);
        refused(session.wrap(mechanism, mine, again), &[ck::CKR_KEY_NOT_WRAPPABLE]);
    }
}
