//! Keys from outside: made, used, found, wrapped and destroyed, and what is refused.

use crate::one_hsm::{Connection, Hsm, PASSWORD, describe, expect_done, expect_error};
use bytes::Bytes;
use casemate_protocol::messages::{
    Answer, Ask, DeriveKey, Ecdh, FindObjects, Gcm, GenerateKey, GenerateKeyPair, GetAttributes,
    MadeObject, MechanismUse, ObjectAndTemplate, ObjectReference, Operation, Parameter, UnwrapKey,
    Verify, WrapKey,
};
use casemate_protocol::{
    Attribute, AttributeType, Curve, Error, KeyType, Mechanism, ObjectClass, Role, Template,
};

pub(crate) fn plain(mechanism: Mechanism) -> Option<MechanismUse> {
    Some(MechanismUse { mechanism: mechanism.number(), parameter: None })
}

fn with(mechanism: Mechanism, parameter: Parameter) -> Option<MechanismUse> {
    Some(MechanismUse { mechanism: mechanism.number(), parameter: Some(parameter) })
}

pub(crate) fn flags(flags: &[(AttributeType, bool)]) -> Template {
    let attributes = flags.iter().map(|&(flag, value)| Attribute::flag(flag, value)).collect();
    Template { attributes }
}

fn token() -> Template {
    flags(&[(AttributeType::Token, true)])
}

pub(crate) struct User {
    pub(crate) hsm: Hsm,
    connection: Connection,
}

impl User {
    pub(crate) fn new() -> Self {
        let mut hsm = Hsm::active();
        let connection = hsm.log_in("app", Role::CryptoUser);
        Self { hsm, connection }
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Answer {
        self.connection.ask(&mut self.hsm, ask)
    }

    fn made(&mut self, ask: Ask) -> ObjectReference {
        match self.ask(ask) {
            Answer::Made(MadeObject { object: Some(object), .. }) => object,
            answer => panic!("{}", describe(&answer)),
        }
    }

    fn pair(
        &mut self,
        mechanism: Mechanism,
        public: Template,
        private: Template,
    ) -> (ObjectReference, ObjectReference) {
        let request = GenerateKeyPair {
            mechanism: plain(mechanism),
            public: Some(public),
            private: Some(private),
        };
        match self.ask(Ask::GenerateKeyPair(request)) {
            Answer::PairMade(pair) => {
                (pair.public.unwrap().object.unwrap(), pair.private.unwrap().object.unwrap())
            }
            answer => panic!("{}", describe(&answer)),
        }
    }

    fn ec_pair(&mut self, curve: Curve) -> (ObjectReference, ObjectReference) {
        let mechanism = match curve {
            Curve::Ed25519 => Mechanism::EcEdwardsKeyPairGen,
            Curve::X25519 => Mechanism::EcMontgomeryKeyPairGen,
            _ => Mechanism::EcKeyPairGen,
        };
        let public = token().with(Attribute::new(AttributeType::EcParams, curve.ec_params()));
        self.pair(
            mechanism,
            public,
            flags(&[(AttributeType::Token, true), (AttributeType::Derive, true)]),
        )
    }

    pub(crate) fn aes(&mut self, template: Template) -> ObjectReference {
        let template = template.with(Attribute::number(AttributeType::ValueLen, 32));
        self.made(Ask::GenerateKey(GenerateKey {
            mechanism: plain(Mechanism::AesKeyGen),
            template: Some(template),
        }))
    }

    fn operate(
        &mut self,
        ask: fn(Operation) -> Ask,
        key: &ObjectReference,
        mechanism: Option<MechanismUse>,
        data: &[u8],
    ) -> Answer {
        let operation = Operation {
            key: Some(key.clone()),
            mechanism,
            data: Bytes::copy_from_slice(data),
            ..Operation::default()
        };
        self.ask(ask(operation))
    }

    fn data(
        &mut self,
        ask: fn(Operation) -> Ask,
        key: &ObjectReference,
        mechanism: Option<MechanismUse>,
        data: &[u8],
    ) -> Vec<u8> {
        match self.operate(ask, key, mechanism, data) {
            Answer::Data(data) => data.data.to_vec(),
            answer => panic!("{}", describe(&answer)),
        }
    }

    fn verify(
        &mut self,
        key: &ObjectReference,
        mechanism: Option<MechanismUse>,
        data: &[u8],
        signature: &[u8],
    ) -> Answer {
        let operation = Operation {
            key: Some(key.clone()),
            mechanism,
            data: Bytes::copy_from_slice(data),
            ..Operation::default()
        };
        self.ask(Ask::Verify(Verify {
            operation: Some(operation),
            signature: Bytes::copy_from_slice(signature),
        }))
    }

    pub(crate) fn attribute(
        &mut self,
        object: &ObjectReference,
        attribute: AttributeType,
    ) -> Result<Vec<u8>, Error> {
        let request =
            GetAttributes { object: Some(object.clone()), attributes: vec![attribute.number()] };
        let Answer::Attributes(mut found) = self.ask(Ask::GetAttributes(request)) else { panic!() };
        let answer = found.attributes.remove(0);
        answer.error.map_or(Ok(answer.value), |error| Err(error.into()))
    }

    fn find(&mut self, template: Template) -> Vec<u64> {
        let request = FindObjects { template: Some(template), ..FindObjects::default() };
        let Answer::Found(found) = self.ask(Ask::FindObjects(request)) else { panic!() };
        found.numbers
    }
}

#[test]
fn every_curve_signs_and_verifies() {
    let mut user = User::new();
    for curve in [Curve::P224, Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1] {
        let (public, private) = user.ec_pair(curve);
        let signature = user.data(Ask::Sign, &private, plain(Mechanism::EcdsaSha256), &[7; 32]);
        assert_eq!(signature.len(), 2 * curve.field_bytes());
        let verified = user.verify(&public, plain(Mechanism::EcdsaSha256), &[7; 32], &signature);
        expect_done(verified);
        expect_error(
            user.verify(&public, plain(Mechanism::EcdsaSha256), &[8; 32], &signature),
            Error::SignatureInvalid,
        );
        expect_error(
            user.verify(&public, plain(Mechanism::EcdsaSha256), &[8; 32], &signature[1..]),
            Error::SignatureLength,
        );
        expect_error(
            user.operate(Ask::Sign, &private, plain(Mechanism::EcdsaSha256), &[7; 31]),
            Error::DataLength,
        );
    }
    let (public, private) = user.ec_pair(Curve::Ed25519);
    let signature = user.data(Ask::Sign, &private, plain(Mechanism::Eddsa), b"message");
    expect_done(user.verify(&public, plain(Mechanism::Eddsa), b"message", &signature));
}

#[test]
fn rsa_and_ml_dsa_sign() {
    let mut user = User::new();
    let bits = Attribute::number(AttributeType::ModulusBits, 2048);
    let (public, private) = user.pair(Mechanism::RsaPkcsKeyPairGen, token().with(bits), token());
    for mechanism in [Mechanism::Sha256RsaPkcs, Mechanism::RsaPkcs] {
        let signature = user.data(Ask::Sign, &private, plain(mechanism), &[7; 32]);
        expect_done(user.verify(&public, plain(mechanism), &[7; 32], &signature));
    }
    let secret = user.data(Ask::Encrypt, &public, plain(Mechanism::RsaPkcs), b"secret");
    assert_eq!(user.data(Ask::Decrypt, &private, plain(Mechanism::RsaPkcs), &secret), b"secret");
    assert_eq!(
        user.attribute(&private, AttributeType::Modulus),
        user.attribute(&public, AttributeType::Modulus)
    );
    let set = Attribute::number(AttributeType::ParameterSet, 2);
    let (public, private) = user.pair(Mechanism::MlDsaKeyPairGen, token().with(set), token());
    let signature = user.data(Ask::Sign, &private, plain(Mechanism::MlDsa), b"message");
    expect_done(user.verify(&public, plain(Mechanism::MlDsa), b"message", &signature));
}

#[test]
fn aes_encrypts_as_token_and_session_key() {
    let mut user = User::new();
    for template in [token(), Template::default()] {
        let key = user.aes(template);
        let iv = |bytes| with(Mechanism::AesCbcPad, Parameter::Iv(bytes));
        let sealed = user.data(Ask::Encrypt, &key, iv(vec![1; 16]), b"some plaintext");
        assert_eq!(user.data(Ask::Decrypt, &key, iv(vec![1; 16]), &sealed), b"some plaintext");
        expect_error(
            user.operate(Ask::Encrypt, &key, iv(vec![1; 15]), b"x"),
            Error::MechanismParameterInvalid(0x1085),
        );
        let gcm = |iv: Vec<u8>| {
            with(Mechanism::AesGcm, Parameter::Gcm(Gcm { iv, aad: vec![5], tag_bits: 128 }))
        };
        let Answer::Data(sealed) = user.operate(Ask::Encrypt, &key, gcm(vec![]), b"plain") else {
            panic!()
        };
        assert_eq!(sealed.iv.len(), 12);
        assert_eq!(user.data(Ask::Decrypt, &key, gcm(sealed.iv.to_vec()), &sealed.data), b"plain");
        let mut damaged = sealed.data.to_vec();
        damaged[0] ^= 1;
        expect_error(
            user.operate(Ask::Decrypt, &key, gcm(sealed.iv.to_vec()), &damaged),
            Error::EncryptedDataInvalid,
        );
    }
}

#[test]
fn a_cmac_in_parts_is_that_of_the_whole() {
    let mut user = User::new();
    let key = user.aes(token());
    let whole = user.data(Ask::Sign, &key, plain(Mechanism::AesCmac), b"a message of some length");
    let mut part = |part, data: &'static [u8], state| {
        let operation = Operation {
            key: Some(key.clone()),
            mechanism: plain(Mechanism::AesCmac),
            data: data.into(),
            part,
            state,
            ..Operation::default()
        };
        let Answer::Data(data) = user.ask(Ask::Sign(operation)) else { panic!() };
        data
    };
    let first = part(1, b"a message", Bytes::new());
    let middle = part(2, b" of some", first.state);
    assert_eq!(part(3, b" length", middle.state).data, whole);
}

#[test]
fn secrets_do_not_show_and_rights_are_not_raised() {
    let mut user = User::new();
    let key = user.aes(token());
    expect(user.attribute(&key, AttributeType::Value), Error::AttributeSensitive(0x11));
    let mut set = |flag, value| {
        let request = ObjectAndTemplate {
            object: Some(key.clone()),
            template: Some(flags(&[(flag, value)])),
        };
        user.ask(Ask::SetAttributes(request))
    };
    expect_error(set(AttributeType::Sensitive, false), Error::AttributeReadOnly(0x103));
    expect_error(set(AttributeType::Extractable, true), Error::AttributeReadOnly(0x162));
    expect_done(set(AttributeType::Encrypt, false));
    let iv = with(Mechanism::AesCbcPad, Parameter::Iv(vec![0; 16]));
    expect_error(user.operate(Ask::Encrypt, &key, iv, b"x"), Error::KeyFunctionNotPermitted(0x104));
    let open = flags(&[(AttributeType::Sensitive, false), (AttributeType::Extractable, true)]);
    let visible = user.aes(open);
    assert_eq!(user.attribute(&visible, AttributeType::Value).map(|value| value.len()), Ok(32));
}

fn expect(found: Result<Vec<u8>, Error>, error: Error) {
    assert_eq!(found, Err(error));
}

#[test]
fn keys_are_found_by_label_id_and_class_by_their_owner_alone() {
    let mut user = User::new();
    let label = |text: &str| Attribute::new(AttributeType::Label, text.as_bytes());
    let first = user.aes(token().with(label("one")).with(Attribute::new(AttributeType::Id, [1])));
    let second = user.aes(token().with(label("two")));
    let one = Template::default().with(label("one"));
    assert_eq!(user.find(one.clone()), [first.number]);
    assert_eq!(
        user.find(Template::default().with(Attribute::new(AttributeType::Id, [1]))),
        [first.number]
    );
    let secret = Attribute::number(AttributeType::Class, ObjectClass::SecretKey.number());
    assert_eq!(user.find(Template::default().with(secret)), [first.number, second.number]);
    assert_eq!(
        user.find(Template::default().with(Attribute::number(AttributeType::Class, 0x8000_0001))),
        []
    );
    user.hsm.create_user("other", Role::CryptoUser);
    let mut other = user.hsm.log_in("other", Role::CryptoUser);
    let request = FindObjects { template: Some(one), ..FindObjects::default() };
    let Answer::Found(found) = other.ask(&mut user.hsm, Ask::FindObjects(request)) else {
        panic!()
    };
    assert_eq!(found.numbers, []);
    let sign = Operation {
        key: Some(first.clone()),
        mechanism: plain(Mechanism::AesCmac),
        ..Operation::default()
    };
    expect_error(other.ask(&mut user.hsm, Ask::Sign(sign)), Error::KeyHandleInvalid);
    expect_error(
        other.ask(&mut user.hsm, Ask::DestroyObject(first.clone())),
        Error::ObjectNotFound,
    );
    expect_done(user.ask(Ask::DestroyObject(first.clone())));
    expect_error(user.ask(Ask::DestroyObject(first)), Error::ObjectNotFound);
}

#[test]
fn session_keys_are_void_elsewhere_and_after_their_end() {
    let mut user = User::new();
    let key = user.aes(Template::default());
    let mac = |key: &ObjectReference| {
        Ask::Sign(Operation {
            key: Some(key.clone()),
            mechanism: plain(Mechanism::AesCmac),
            ..Operation::default()
        })
    };
    assert!(matches!(user.ask(mac(&key)), Answer::Data(_)));
    let mut second = user.hsm.log_in("app", Role::CryptoUser);
    expect_error(second.ask(&mut user.hsm, mac(&key)), Error::SessionKeyVoid);
    let mut damaged = key.session.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = ObjectReference { number: 0, session: damaged.into() };
    expect_error(user.ask(mac(&damaged)), Error::SessionKeyVoid);
    expect_done(user.ask(Ask::DestroyObject(key.clone())));
    expect_error(user.ask(mac(&key)), Error::SessionKeyVoid);
}

#[test]
fn keys_are_wrapped_and_unwrapped() {
    let mut user = User::new();
    let wrapping = user.aes(flags(&[(AttributeType::Wrap, true), (AttributeType::Unwrap, true)]));
    let fixed = user.aes(token());
    let wrap = |key: &ObjectReference| {
        Ask::WrapKey(WrapKey {
            wrapping_key: Some(wrapping.clone()),
            mechanism: plain(Mechanism::AesKeyWrapKwp),
            key: Some(key.clone()),
        })
    };
    expect_error(user.ask(wrap(&fixed)), Error::KeyUnextractable);
    let public = token().with(Attribute::new(AttributeType::EcParams, Curve::P256.ec_params()));
    let (public, private) = user.pair(
        Mechanism::EcKeyPairGen,
        public,
        flags(&[(AttributeType::Token, true), (AttributeType::Extractable, true)]),
    );
    let Answer::Data(wrapped) = user.ask(wrap(&private)) else { panic!() };
    let template = flags(&[(AttributeType::Token, true)])
        .with(Attribute::number(AttributeType::Class, ObjectClass::PrivateKey.number()))
        .with(Attribute::number(AttributeType::KeyType, KeyType::Ec.number()));
    let unwrap = |wrapped: Bytes| {
        Ask::UnwrapKey(UnwrapKey {
            unwrapping_key: Some(wrapping.clone()),
            mechanism: plain(Mechanism::AesKeyWrapKwp),
            wrapped,
            template: Some(template.clone()),
        })
    };
    let again = user.made(unwrap(wrapped.data.clone()));
    let signature = user.data(Ask::Sign, &again, plain(Mechanism::Ecdsa), &[1; 32]);
    expect_done(user.verify(&public, plain(Mechanism::Ecdsa), &[1; 32], &signature));
    assert_eq!(user.attribute(&again, AttributeType::NeverExtractable), Ok(vec![0]));
    let mut damaged = wrapped.data.to_vec();
    damaged[3] ^= 1;
    expect_error(user.ask(unwrap(damaged.into())), Error::WrappedKeyInvalid);
}

#[test]
fn two_sides_derive_the_same_key() {
    let mut user = User::new();
    for curve in [Curve::P256, Curve::X25519] {
        let (public_a, private_a) = user.ec_pair(curve);
        let (public_b, private_b) = user.ec_pair(curve);
        let mut derive = |private: ObjectReference, public: ObjectReference| {
            let public = user.attribute(&public, AttributeType::EcPoint).unwrap();
            let template =
                flags(&[(AttributeType::Sensitive, false), (AttributeType::Extractable, true)])
                    .with(Attribute::number(AttributeType::ValueLen, 32));
            let key = user.made(Ask::DeriveKey(DeriveKey {
                base_key: Some(private),
                mechanism: with(
                    Mechanism::Ecdh1Derive,
                    Parameter::Ecdh(Ecdh { kdf: 6, shared: vec![], public }),
                ),
                template: Some(template),
            }));
            user.attribute(&key, AttributeType::Value).unwrap()
        };
        assert_eq!(derive(private_a, public_b), derive(private_b, public_a));
    }
}

#[test]
fn a_kem_gives_both_sides_one_key() {
    let mut user = User::new();
    let set = Attribute::number(AttributeType::ParameterSet, 2);
    let (public, private) = user.pair(Mechanism::MlKemKeyPairGen, token().with(set), token());
    let template = flags(&[(AttributeType::Sensitive, false), (AttributeType::Extractable, true)]);
    let request = DeriveKey {
        base_key: Some(public),
        mechanism: plain(Mechanism::MlKem),
        template: Some(template.clone()),
    };
    let Answer::Encapsulated(made) = user.ask(Ask::Encapsulate(request)) else { panic!() };
    let request = UnwrapKey {
        unwrapping_key: Some(private),
        mechanism: plain(Mechanism::MlKem),
        wrapped: made.ciphertext,
        template: Some(template),
    };
    let theirs = user.made(Ask::Decapsulate(request));
    let ours = made.made.unwrap().object.unwrap();
    assert_eq!(
        user.attribute(&ours, AttributeType::Value),
        user.attribute(&theirs, AttributeType::Value)
    );
}

#[test]
fn a_restart_keeps_every_key_usable() {
    let mut user = User::new();
    let (public, private) = user.ec_pair(Curve::P256);
    for snapshot in [false, true] {
        let mut hsm = user.hsm.restart(snapshot);
        let connection = hsm.log_in("app", Role::CryptoUser);
        let mut again = User { hsm, connection };
        let signature = again.data(Ask::Sign, &private, plain(Mechanism::Ecdsa), &[1; 32]);
        expect_done(user.verify(&public, plain(Mechanism::Ecdsa), &[1; 32], &signature));
    }
}

#[test]
fn an_admin_uses_no_key() {
    let mut user = User::new();
    let (_, private) = user.ec_pair(Curve::P256);
    let mut admin = user.hsm.log_in("admin", Role::Admin);
    let sign = Operation {
        key: Some(private),
        mechanism: plain(Mechanism::Ecdsa),
        data: Bytes::from_static(&[1; 32]),
        ..Operation::default()
    };
    expect_error(admin.ask(&mut user.hsm, Ask::Sign(sign)), Error::RoleRefused);
    let generate = GenerateKey { mechanism: plain(Mechanism::AesKeyGen), template: None };
    expect_error(admin.ask(&mut user.hsm, Ask::GenerateKey(generate)), Error::RoleRefused);
}

/// A derivation that asks for a key that may be read.
fn readable(base: &ObjectReference, mechanism: Option<MechanismUse>, bytes: u64) -> Ask {
    let template = flags(&[(AttributeType::Sensitive, false), (AttributeType::Extractable, true)])
        .with(Attribute::number(AttributeType::ValueLen, bytes));
    Ask::DeriveKey(DeriveKey { base_key: Some(base.clone()), mechanism, template: Some(template) })
}

#[test]
fn a_parameter_of_another_mechanism_gives_no_key_away() {
    let mut user = User::new();
    let derive = || flags(&[(AttributeType::Derive, true)]);
    let base = user.aes(derive());
    let other = user.aes(derive());
    // HKDF hides its base, so the template may say "readable"; the parameter of a concatenation would show the base.
    for mechanism in [Mechanism::HkdfDerive, Mechanism::Sp800108CounterKdf] {
        for parameter in [Parameter::Key(other.clone()), Parameter::Data(vec![1])] {
            expect_error(
                user.ask(readable(&base, with(mechanism, parameter), 32)),
                Error::MechanismParameterInvalid(mechanism.number()),
            );
        }
    }
}

#[test]
fn a_key_is_not_cut_into_pieces_small_enough_to_guess() {
    let mut user = User::new();
    let base = user.aes(flags(&[(AttributeType::Derive, true)]));
    let data = |length| Parameter::Data(vec![0; length]);
    let range = Error::KeySizeRange;
    for (mechanism, parameter, bytes) in [
        (Mechanism::ConcatenateBaseAndData, data(1), 1),
        (Mechanism::ConcatenateDataAndBase, data(16), 17),
        (Mechanism::ConcatenateBaseAndKey, Parameter::Key(base.clone()), 1),
        (Mechanism::XorBaseAndData, data(32), 1),
        (Mechanism::XorBaseAndData, data(1), 1),
    ] {
        let answer = user.ask(readable(&base, with(mechanism, parameter), bytes));
        let Answer::Error(error) = answer else { panic!("{mechanism:?}: it was cut") };
        assert_eq!(Error::from(error), range, "{mechanism:?}");
    }
    // Whole, the secrecy of the base goes with it.
    let whole = user.made(readable(&base, with(Mechanism::XorBaseAndData, data(32)), 32));
    let sensitive = AttributeType::Value.number();
    assert_eq!(
        user.attribute(&whole, AttributeType::Value),
        Err(Error::AttributeSensitive(sensitive))
    );
}

#[test]
fn a_key_that_wants_the_password_for_each_use_works_with_it_and_only_then() {
    let mut user = User::new();
    let private = [AttributeType::Token, AttributeType::AlwaysAuthenticate, AttributeType::Derive];
    let private = flags(&private.map(|flag| (flag, true)));
    let curve = Attribute::new(AttributeType::EcParams, Curve::P256.ec_params());
    let (public, key) = user.pair(Mechanism::EcKeyPairGen, token().with(curve), private);
    let digest = [7; 32];
    let mut sign = |password: &str| {
        user.ask(Ask::Sign(Operation {
            key: Some(key.clone()),
            mechanism: plain(Mechanism::Ecdsa),
            data: Bytes::copy_from_slice(&digest),
            password: password.to_owned(),
            ..Operation::default()
        }))
    };
    expect_error(sign(""), Error::PasswordRequired);
    expect_error(sign("another password"), Error::PasswordIncorrect);
    expect_error(sign("short"), Error::PasswordIncorrect);
    let Answer::Data(signature) = sign(PASSWORD) else { panic!() };
    // Once more: the use before is no permission.
    expect_error(sign(""), Error::PasswordRequired);
    expect_done(user.verify(&public, plain(Mechanism::Ecdsa), &digest, &signature.data));
    // Decryption likewise, by a key that works in a pool.
    let bits = token().with(Attribute::number(AttributeType::ModulusBits, 2048));
    let private = flags(
        &[AttributeType::Token, AttributeType::AlwaysAuthenticate, AttributeType::Decrypt]
            .map(|flag| (flag, true)),
    );
    let (public, rsa) = user.pair(Mechanism::RsaPkcsKeyPairGen, bits, private);
    let ciphertext = user.data(Ask::Encrypt, &public, plain(Mechanism::RsaPkcs), b"text");
    let mut decrypt = |password: &str| {
        user.ask(Ask::Decrypt(Operation {
            key: Some(rsa.clone()),
            mechanism: plain(Mechanism::RsaPkcs),
            data: Bytes::copy_from_slice(&ciphertext),
            password: password.to_owned(),
            ..Operation::default()
        }))
    };
    expect_error(decrypt(""), Error::PasswordRequired);
    expect_error(decrypt("another password"), Error::PasswordIncorrect);
    let Answer::Data(plaintext) = decrypt(PASSWORD) else { panic!() };
    assert_eq!(&plaintext.data[..], b"text");
    // No other function has a step in which a program could give a password.
    let (other, _) = user.ec_pair(Curve::P256);
    let point = user.attribute(&other, AttributeType::EcPoint).unwrap();
    let ecdh = Parameter::Ecdh(Ecdh { kdf: 1, shared: vec![], public: point });
    let derive = DeriveKey {
        base_key: Some(key.clone()),
        mechanism: with(Mechanism::Ecdh1Derive, ecdh),
        template: Some(token()),
    };
    expect_error(user.ask(Ask::DeriveKey(derive)), Error::PasswordRequired);
    // It stays so for ever, and a copy has it, too.
    let off = flags(&[(AttributeType::AlwaysAuthenticate, false)]);
    let change = ObjectAndTemplate { object: Some(key.clone()), template: Some(off) };
    let number = AttributeType::AlwaysAuthenticate.number();
    expect_error(user.ask(Ask::SetAttributes(change.clone())), Error::AttributeReadOnly(number));
    expect_error(user.ask(Ask::CopyObject(change)), Error::AttributeReadOnly(number));
}

#[test]
fn guesses_at_the_password_of_a_use_are_counted_as_log_ins_are() {
    let mut user = User::new();
    let private = flags(&[(AttributeType::Token, true), (AttributeType::AlwaysAuthenticate, true)]);
    let curve = Attribute::new(AttributeType::EcParams, Curve::P256.ec_params());
    let (_, key) = user.pair(Mechanism::EcKeyPairGen, token().with(curve), private);
    let mut guess = || {
        user.ask(Ask::Sign(Operation {
            key: Some(key.clone()),
            mechanism: plain(Mechanism::Ecdsa),
            data: Bytes::copy_from_slice(&[7; 32]),
            password: "another password".to_owned(),
            ..Operation::default()
        }))
    };
    for _ in 0..casemate_hsm::limits::FREE_ATTEMPTS {
        expect_error(guess(), Error::PasswordIncorrect);
    }
    let Answer::Error(error) = guess() else { panic!() };
    assert!(matches!(Error::from(error), Error::LogInDelayed(_)));
}

/// `CKA_DERIVE_TEMPLATE` binds what is derived, its length too: a key that may give 32 bytes gives no 16 of them.
#[test]
fn the_template_of_a_base_key_binds_what_is_derived_and_how_long_it_is() {
    use prost::Message as _;
    let mut user = User::new();
    let forced = Template::default()
        .with(Attribute::number(AttributeType::KeyType, KeyType::GenericSecret.number()))
        .with(Attribute::number(AttributeType::ValueLen, 32))
        .with(Attribute::flag(AttributeType::Derive, true));
    let template = flags(&[(AttributeType::Token, true), (AttributeType::Derive, true)])
        .with(Attribute::number(AttributeType::ValueLen, 32))
        .with(Attribute::new(AttributeType::DeriveTemplate, forced.encode_to_vec()));
    let base = user.made(Ask::GenerateKey(GenerateKey {
        mechanism: plain(Mechanism::GenericSecretKeyGen),
        template: Some(template),
    }));
    let hkdf = casemate_protocol::messages::Hkdf {
        extract: true,
        expand: true,
        hash: casemate_protocol::Hash::Sha256.number(),
        ..Default::default()
    };
    let mut derive = |length: Option<u64>, derives: bool| {
        let mut template = flags(&[(AttributeType::Derive, derives)])
            .with(Attribute::number(AttributeType::Class, ObjectClass::SecretKey.number()))
            .with(Attribute::number(AttributeType::KeyType, KeyType::GenericSecret.number()));
        if let Some(length) = length {
            template = template.with(Attribute::number(AttributeType::ValueLen, length));
        }
        user.ask(Ask::DeriveKey(DeriveKey {
            base_key: Some(base.clone()),
            mechanism: with(Mechanism::HkdfDerive, Parameter::Hkdf(hkdf.clone())),
            template: Some(template),
        }))
    };
    let right = derive(Some(32), true);
    assert!(matches!(right, Answer::Made(_)), "{}", describe(&right));
    let inconsistent = |attribute: AttributeType| Error::TemplateInconsistent(attribute.number());
    expect_error(derive(Some(16), true), inconsistent(AttributeType::ValueLen));
    // Where the caller is silent, the base key says it.
    let silent = derive(None, true);
    let Answer::Made(MadeObject { object: Some(object), .. }) = silent else {
        panic!("{}", describe(&silent))
    };
    expect_error(derive(Some(32), false), inconsistent(AttributeType::Derive));
    assert_eq!(user.attribute(&object, AttributeType::ValueLen), Ok(32_u64.to_be_bytes().to_vec()));
    // It is not taken away again.
    let none = Attribute::new(AttributeType::DeriveTemplate, Template::default().encode_to_vec());
    let change =
        ObjectAndTemplate { object: Some(base), template: Some(Template::default().with(none)) };
    let read_only = Error::AttributeReadOnly(AttributeType::DeriveTemplate.number());
    expect_error(user.ask(Ask::SetAttributes(change.clone())), read_only);
    expect_error(user.ask(Ask::CopyObject(change)), read_only);
}
