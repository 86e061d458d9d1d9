//! Keys that are none, data that was changed, and keys that must not leave.

use casemate_crypto::{ec, rsa};
use casemate_protocol::messages::{
    Answer, Ask, DeriveKey, Ecdh, Gcm, GenerateKeyPair, MechanismUse, Oaep, ObjectReference,
    Operation, Parameter, UnwrapKey, Verify, WrapKey,
};
use casemate_protocol::{
    Attribute, AttributeType, Curve, Error, KeyType, Mechanism, ObjectClass, Role, Template,
};
use casemate_tests::{ADMIN_PASSWORD, USER_PASSWORD};

use crate::objects::{aes, plain, token};
use crate::watch::Watch;
use crate::wire::Wire;

fn with(mechanism: Mechanism, parameter: Parameter) -> Option<MechanismUse> {
    Some(MechanismUse { mechanism: mechanism.number(), parameter: Some(parameter) })
}

fn of(class: ObjectClass, kind: KeyType) -> Template {
    token()
        .with(Attribute::number(AttributeType::Class, class.number()))
        .with(Attribute::number(AttributeType::KeyType, kind.number()))
}

fn pair(
    wire: &mut Wire,
    mechanism: Mechanism,
    public: Template,
    private: Template,
) -> (ObjectReference, ObjectReference) {
    let ask = GenerateKeyPair {
        mechanism: plain(mechanism),
        public: Some(public),
        private: Some(private),
    };
    match wire.ask(Ask::GenerateKeyPair(ask)) {
        Answer::PairMade(pair) => {
            (pair.public.unwrap().object.unwrap(), pair.private.unwrap().object.unwrap())
        }
        Answer::Error(error) => panic!("{mechanism:?}: {}", Error::from(error)),
        _ => panic!("no pair"),
    }
}

/// `CKA_ALWAYS_AUTHENTICATE`: the daemon itself wants the password, whatever a client leaves out, and a use before is no permission.
#[test]
fn a_use_that_wants_the_password_is_refused_to_whoever_gives_none() {
    let mut watch = Watch::start("");
    let mut wire = Wire::open(&watch.address());
    let ticket = wire.log_in("app", USER_PASSWORD, Role::CryptoUser);
    let public = token().with(Attribute::new(AttributeType::EcParams, Curve::P256.ec_params()));
    let private = token().with(Attribute::flag(AttributeType::AlwaysAuthenticate, true));
    let (_, key) = pair(&mut wire, Mechanism::EcKeyPairGen, public, private);
    watch.accept_changes();
    let sign = |password: &str| {
        let password = password.to_owned();
        let mechanism = plain(Mechanism::Ecdsa);
        Ask::Sign(Operation { password, ..operation(&key, mechanism, &[7; 32]) })
    };
    let (none, wrong) = (Error::PasswordRequired, Error::PasswordIncorrect);
    assert_eq!(wire.refusal("no password", sign("")), none);
    assert_eq!(wire.refusal("a wrong one", sign("letmein-ape")), wrong);
    assert_eq!(data(&mut wire, sign(USER_PASSWORD)).len(), 64);
    assert_eq!(wire.refusal("an admin's", sign(ADMIN_PASSWORD)), wrong);
    assert!(matches!(wire.ask(Ask::ConfirmPassword(USER_PASSWORD.to_owned())), Answer::Done(_)));
    for what in ["after a use", "after a confirmation"] {
        assert_eq!(wire.refusal(what, sign("")), none, "{what}");
    }
    // Nor on another connection of the same log-in.
    let mut other = Wire::open(&watch.address());
    let exporter = other.exporter();
    other.use_ticket(&ticket.ticket, &ticket.secret, &exporter).unwrap();
    assert_eq!(other.refusal("by ticket", sign("")), none);
    watch.unharmed("uses without the password");
}

#[test]
fn points_that_are_on_no_curve_are_no_keys() {
    let watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let create = |curve: Curve, kind: KeyType, point: &[u8]| {
        let template = of(ObjectClass::PublicKey, kind)
            .with(Attribute::new(AttributeType::EcParams, curve.ec_params()))
            .with(Attribute::new(AttributeType::EcPoint, point));
        Ask::CreateObject(template)
    };
    let good =
        ec::PrivateKey::generate(ec::Curve::P256).unwrap().public_key().unwrap().point().unwrap();
    let (x, y) = good[1..].split_at(32);
    let mut off = good.clone();
    off[64] ^= 1;
    let hybrid = [&[6 | (y[31] & 1)][..], x, y].concat();
    let wrong_sign = [&[6 | (1 ^ y[31] & 1)][..], x, y].concat();
    let not_reduced = [&[4][..], &[0xff; 32], y].concat();
    let long = [&good[..], &[0]].concat();
    let p384 =
        ec::PrivateKey::generate(ec::Curve::P384).unwrap().public_key().unwrap().point().unwrap();
    for (what, point) in [
        ("nothing", &[][..]),
        ("infinity", &[0]),
        ("zeros", &[0; 65]),
        ("the origin", &[&[4][..], &[0; 64]].concat()),
        ("off the curve", &off),
        ("hybrid", &hybrid),
        ("hybrid of the wrong sign", &wrong_sign),
        ("not reduced", &not_reduced),
        ("one byte more", &long),
        ("one byte less", &good[..64]),
        ("of another curve", &p384),
        ("huge", &[4; 60_000]),
    ] {
        let error = wire.refusal(what, create(Curve::P256, KeyType::Ec, point));
        let value = Error::AttributeValueInvalid(AttributeType::EcPoint.number());
        assert!(error == Error::PublicKeyInvalid || error == value, "{what}: {error:?}");
    }
    let error =
        wire.refusal("a curve of another type", create(Curve::P256, KeyType::EcEdwards, &good));
    assert_eq!(error, Error::TemplateInconsistent(AttributeType::EcParams.number()));
    for params in [&[][..], &[6, 1, 0], &[0x30, 0], &[6, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7]] {
        let template = of(ObjectClass::PublicKey, KeyType::Ec)
            .with(Attribute::new(AttributeType::EcParams, params))
            .with(Attribute::new(AttributeType::EcPoint, good.clone()));
        assert_eq!(wire.refusal("a curve", Ask::CreateObject(template)), Error::CurveNotSupported);
    }
    // A scalar of nothing, of zero, and of the order or more.
    for scalar in [&[][..], &[0; 32], &[0xff; 32], &[1; 33]] {
        let template = of(ObjectClass::PrivateKey, KeyType::Ec)
            .with(Attribute::new(AttributeType::EcParams, Curve::P256.ec_params()))
            .with(Attribute::new(AttributeType::Value, scalar));
        let error = wire.refusal("a scalar", Ask::CreateObject(template));
        assert!(
            matches!(error, Error::KeyWeak | Error::KeySizeRange | Error::AttributeValueInvalid(_)),
            "{} bytes: {error:?}",
            scalar.len()
        );
    }
    // Agreement with points that would give the private key away, or nothing.
    let derive = token().with(Attribute::flag(AttributeType::Derive, true));
    let curve = |curve: Curve| {
        Template::default().with(Attribute::new(AttributeType::EcParams, curve.ec_params()))
    };
    let session = || derive.clone().with(Attribute::flag(AttributeType::Token, false));
    let (_, p256) = pair(&mut wire, Mechanism::EcKeyPairGen, curve(Curve::P256), session());
    let (_, x25519) =
        pair(&mut wire, Mechanism::EcMontgomeryKeyPairGen, curve(Curve::X25519), session());
    let mut one = [0; 32];
    one[0] = 1;
    let low_order_8 = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ];
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for (what, key, point) in [
        ("P-256, off the curve", &p256, &off[..]),
        ("P-256, infinity", &p256, &[0]),
        ("X25519, zero", &x25519, &[0; 32]),
        ("X25519, one", &x25519, &one),
        ("X25519, order 8", &x25519, &low_order_8),
        ("X25519, minus one", &x25519, &minus_one),
        ("X25519, 31 bytes", &x25519, &[9; 31]),
    ] {
        let ecdh = Ecdh { kdf: 1, shared: vec![], public: point.to_vec() };
        let template = Template::default().with(Attribute::number(AttributeType::ValueLen, 16));
        let ask = DeriveKey {
            base_key: Some(key.clone()),
            mechanism: with(Mechanism::Ecdh1Derive, Parameter::Ecdh(ecdh)),
            template: Some(template),
        };
        let error = wire.refusal(what, Ask::DeriveKey(ask));
        assert!(
            matches!(error, Error::PublicKeyInvalid | Error::MechanismParameterInvalid(_)),
            "{what}: {error:?}"
        );
    }
    watch.unharmed("points");
}

#[test]
fn weak_rsa_keys_are_no_keys() {
    let watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let key = rsa::PrivateKey::generate(2_048, rsa::PUBLIC_EXPONENT).unwrap();
    let other = rsa::PrivateKey::generate(2_048, rsa::PUBLIC_EXPONENT).unwrap();
    let (parts, theirs) = (key.components().unwrap(), other.components().unwrap());
    let public = |modulus: &[u8], exponent: &[u8]| {
        Ask::CreateObject(
            of(ObjectClass::PublicKey, KeyType::Rsa)
                .with(Attribute::new(AttributeType::Modulus, modulus))
                .with(Attribute::new(AttributeType::PublicExponent, exponent)),
        )
    };
    let changed = |place: usize, to: u8| {
        let mut modulus = parts.modulus.clone();
        modulus[place] = to;
        modulus
    };
    let e = rsa::PUBLIC_EXPONENT;
    // 65537^k mod M has the fingerprint of the generator of CVE-2017-15361: 1 has it, and so has any product of the primes plus 1.
    for (what, modulus, exponent) in [
        ("even", changed(255, parts.modulus[255] & 0xfe), e),
        ("of 2047 bits", changed(0, 0x7f), e),
        ("of 1024 bits", parts.modulus[128..].to_vec(), e),
        ("of 4104 bits", [&[1][..], &parts.modulus, &parts.modulus].concat(), e),
        ("empty", vec![], e),
        ("zero", vec![0; 256], e),
        ("with e = 0", parts.modulus.clone(), &[0][..]),
        ("with e = 1", parts.modulus.clone(), &[1]),
        ("with e = 3", parts.modulus.clone(), &[3]),
        ("with an even e", parts.modulus.clone(), &[1, 0, 0]),
        ("with an empty e", parts.modulus.clone(), &[]),
        ("with a huge e", parts.modulus.clone(), &[0xff; 64]),
    ] {
        let error = wire.refusal(what, public(&modulus, exponent));
        assert!(matches!(error, Error::KeyWeak | Error::KeySizeRange), "{what}: {error:?}");
    }
    type Change<'a> = (&'a str, Box<dyn Fn(&mut Vec<Attribute>) + 'a>);
    let set = |attribute: AttributeType, value: &[u8]| {
        let entry = Attribute::new(attribute, value);
        Box::new(move |attributes: &mut Vec<Attribute>| {
            attributes.retain(|known| known.number != entry.number);
            attributes.push(entry.clone());
        })
    };
    let cases: Vec<Change<'_>> = vec![
        ("the modulus of another key", set(AttributeType::Modulus, &theirs.modulus)),
        ("p = q", set(AttributeType::Prime2, parts.prime_1.expose())),
        ("a prime of another key", set(AttributeType::Prime1, theirs.prime_1.expose())),
        (
            "the private exponent of another key",
            set(AttributeType::PrivateExponent, theirs.private_exponent.expose()),
        ),
        ("a coefficient of one", set(AttributeType::Coefficient, &[1])),
        ("a wrong exponent 1", set(AttributeType::Exponent1, &[3])),
        ("primes of one", set(AttributeType::Prime1, &[1])),
        ("a private exponent of zero", set(AttributeType::PrivateExponent, &[])),
        ("e = 1", set(AttributeType::PublicExponent, &[1])),
    ];
    for (what, change) in cases {
        let mut template = of(ObjectClass::PrivateKey, KeyType::Rsa)
            .with(Attribute::new(AttributeType::Modulus, parts.modulus.clone()))
            .with(Attribute::new(AttributeType::PublicExponent, parts.public_exponent.clone()))
            .with(Attribute::new(AttributeType::PrivateExponent, parts.private_exponent.expose()))
            .with(Attribute::new(AttributeType::Prime1, parts.prime_1.expose()))
            .with(Attribute::new(AttributeType::Prime2, parts.prime_2.expose()))
            .with(Attribute::new(AttributeType::Exponent1, parts.exponent_1.expose()))
            .with(Attribute::new(AttributeType::Exponent2, parts.exponent_2.expose()))
            .with(Attribute::new(AttributeType::Coefficient, parts.coefficient.expose()));
        change(&mut template.attributes);
        let error = wire.refusal(what, Ask::CreateObject(template));
        assert_eq!(error, Error::KeyWeak, "{what}");
    }
    for (what, bits, exponent) in [
        ("no bits", 0, e),
        ("1024 bits", 1_024, e),
        ("2047 bits", 2_047, e),
        ("2049 bits", 2_049, e),
        ("16384 bits", 16_384, e),
        ("all bits", u64::MAX, e),
        ("e = 1", 2_048, &[1][..]),
        ("e = 2", 2_048, &[2]),
        ("e of 100 bytes", 2_048, &[0xff; 100]),
    ] {
        let public = Template::default()
            .with(Attribute::number(AttributeType::ModulusBits, bits))
            .with(Attribute::new(AttributeType::PublicExponent, exponent));
        let mechanism = plain(Mechanism::RsaPkcsKeyPairGen);
        let ask =
            GenerateKeyPair { mechanism, public: Some(public), private: Some(Template::default()) };
        let error = wire.refusal(what, Ask::GenerateKeyPair(ask));
        let value = Error::AttributeValueInvalid(AttributeType::PublicExponent.number());
        assert!(error == Error::KeySizeRange || error == value, "{what}: {error:?}");
    }
    watch.unharmed("weak RSA keys");
}

fn operation(key: &ObjectReference, mechanism: Option<MechanismUse>, data: &[u8]) -> Operation {
    Operation {
        key: Some(key.clone()),
        mechanism,
        data: data.to_vec().into(),
        ..Operation::default()
    }
}

fn data(wire: &mut Wire, ask: Ask) -> Vec<u8> {
    match wire.ask(ask) {
        Answer::Data(data) => data.data.to_vec(),
        Answer::Error(error) => panic!("{}", Error::from(error)),
        _ => panic!("another answer"),
    }
}

#[test]
fn damaged_ciphertext_and_signatures_are_refused_and_tell_nothing() {
    let watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let rights = Template::default()
        .with(Attribute::flag(AttributeType::Wrap, true))
        .with(Attribute::flag(AttributeType::Unwrap, true));
    let key = aes(&mut wire, rights);
    let gcm = |bits| Parameter::Gcm(Gcm { iv: vec![7; 12], aad: vec![1], tag_bits: bits });
    for (mechanism, parameter) in [
        (Mechanism::AesGcm, Some(gcm(128))),
        (Mechanism::AesKeyWrap, None),
        (Mechanism::AesKeyWrapKwp, None),
    ] {
        let mechanism_use = Some(MechanismUse { mechanism: mechanism.number(), parameter });
        let whole = data(&mut wire, Ask::Encrypt(operation(&key, mechanism_use.clone(), &[5; 32])));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let error = wire
                .refusal("damaged", Ask::Decrypt(operation(&key, mechanism_use.clone(), &damaged)));
            assert_eq!(error, Error::EncryptedDataInvalid, "{mechanism:?} at {at}");
        }
        for length in [0, 1, 7, 8, 12, whole.len() - 1] {
            let error = wire.refusal(
                "cut",
                Ask::Decrypt(operation(&key, mechanism_use.clone(), &whole[..length])),
            );
            assert!(
                matches!(
                    error,
                    Error::EncryptedDataInvalid | Error::EncryptedDataLength | Error::DataLength
                ),
                "{mechanism:?} of {length}: {error:?}"
            );
        }
    }
    let iv = || with(Mechanism::AesCbcPad, Parameter::Iv(vec![0; 16]));
    let whole = data(&mut wire, Ask::Encrypt(operation(&key, iv(), &[5; 32])));
    let mut said = std::collections::BTreeSet::new();
    for change in 0..=255 {
        let mut damaged = whole.clone();
        damaged[31] ^= change;
        if let Answer::Error(error) = wire.ask(Ask::Decrypt(operation(&key, iv(), &damaged))) {
            said.insert(Error::from(error).code());
        }
    }
    assert_eq!(said.len(), 1, "padding has one error: {said:?}");
    for length in [1, 15, 17, 31] {
        for mechanism in [Mechanism::AesEcb, Mechanism::AesCbc, Mechanism::AesCbcPad] {
            let parameter = (mechanism != Mechanism::AesEcb).then(|| Parameter::Iv(vec![0; 16]));
            let mechanism_use = Some(MechanismUse { mechanism: mechanism.number(), parameter });
            let error =
                wire.refusal("odd", Ask::Decrypt(operation(&key, mechanism_use, &vec![1; length])));
            assert!(
                matches!(
                    error,
                    Error::EncryptedDataLength | Error::DataLength | Error::EncryptedDataInvalid
                ),
                "{mechanism:?} of {length}: {error:?}"
            );
        }
    }
    let bits = Template::default().with(Attribute::number(AttributeType::ModulusBits, 2_048));
    let (public, private) =
        pair(&mut wire, Mechanism::RsaPkcsKeyPairGen, bits, Template::default());
    let oaep =
        || with(Mechanism::RsaPkcsOaep, Parameter::Oaep(Oaep { hash: 3, mgf: 3, label: vec![] }));
    let whole = data(&mut wire, Ask::Encrypt(operation(&public, oaep(), b"secret")));
    for at in (0..whole.len()).step_by(17) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let error = wire.refusal("OAEP", Ask::Decrypt(operation(&private, oaep(), &damaged)));
        assert!(
            matches!(error, Error::EncryptedDataInvalid | Error::DataInvalid),
            "{at}: {error:?}"
        );
    }
    // PKCS#1 v1.5 gives no oracle: a damaged ciphertext decrypts, always to the same other message.
    let pkcs = || plain(Mechanism::RsaPkcs);
    let whole = data(&mut wire, Ask::Encrypt(operation(&public, pkcs(), b"secret")));
    for at in (1..whole.len()).step_by(17) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let first = data(&mut wire, Ask::Decrypt(operation(&private, pkcs(), &damaged)));
        let second = data(&mut wire, Ask::Decrypt(operation(&private, pkcs(), &damaged)));
        assert_eq!(first, second, "{at}");
        assert_ne!(first, b"secret", "{at}");
    }
    let signature = data(&mut wire, Ask::Sign(operation(&private, pkcs(), &[7; 32])));
    let verify = |data: &[u8], signature: &[u8]| {
        let operation = Some(operation(&public, pkcs(), data));
        Ask::Verify(Verify { operation, signature: signature.to_vec().into() })
    };
    assert!(matches!(wire.ask(verify(&[7; 32], &signature)), Answer::Done(_)));
    let mut damaged = signature.clone();
    damaged[100] ^= 1;
    assert_eq!(wire.refusal("a signature", verify(&[7; 32], &damaged)), Error::SignatureInvalid);
    assert_eq!(wire.refusal("other data", verify(&[8; 32], &signature)), Error::SignatureInvalid);
    for length in [0, 1, 255, 257, 5_000] {
        let error = wire.refusal("a length", verify(&[7; 32], &vec![1; length]));
        assert!(
            matches!(error, Error::SignatureLength | Error::SignatureInvalid),
            "{length}: {error:?}"
        );
    }
    let error =
        wire.refusal("too much for RSA", Ask::Encrypt(operation(&public, pkcs(), &[1; 246])));
    assert_eq!(error, Error::DataLength);
    watch.unharmed("damaged data");
}

#[test]
fn keys_that_must_not_leave_do_not_leave() {
    let watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let rights = Template::default()
        .with(Attribute::flag(AttributeType::Wrap, true))
        .with(Attribute::flag(AttributeType::Unwrap, true));
    let wrapping = aes(&mut wire, rights);
    let fixed = aes(&mut wire, Template::default());
    let loose = Template::default().with(Attribute::flag(AttributeType::Extractable, true));
    let free = aes(&mut wire, loose.clone());
    let trusted_only =
        aes(&mut wire, loose.with(Attribute::flag(AttributeType::WrapWithTrusted, true)));
    let wrap = |mechanism, key: &ObjectReference, by: &ObjectReference| {
        Ask::WrapKey(WrapKey {
            wrapping_key: Some(by.clone()),
            mechanism: plain(mechanism),
            key: Some(key.clone()),
        })
    };
    let kwp = Mechanism::AesKeyWrapKwp;
    for mechanism in [Mechanism::AesKeyWrap, kwp, Mechanism::AesEcb, Mechanism::AesKeyWrapPad] {
        assert_eq!(
            wire.refusal("fixed", wrap(mechanism, &fixed, &wrapping)),
            Error::KeyUnextractable
        );
        assert_eq!(
            wire.refusal("trusted", wrap(mechanism, &trusted_only, &wrapping)),
            Error::KeyNotWrappable
        );
    }
    let error = wire.refusal("by a key that may not wrap", wrap(kwp, &free, &fixed));
    assert_eq!(error, Error::KeyFunctionNotPermitted(AttributeType::Wrap.number()));
    let wrapped = data(&mut wire, wrap(kwp, &free, &wrapping));
    let unwrap = |wrapped: &[u8], template: Template| {
        Ask::UnwrapKey(UnwrapKey {
            unwrapping_key: Some(wrapping.clone()),
            mechanism: plain(kwp),
            wrapped: wrapped.to_vec().into(),
            template: Some(template),
        })
    };
    let key = |class: ObjectClass, kind: KeyType| {
        Template::default()
            .with(Attribute::number(AttributeType::Class, class.number()))
            .with(Attribute::number(AttributeType::KeyType, kind.number()))
    };
    let aes_key = || key(ObjectClass::SecretKey, KeyType::Aes);
    assert!(matches!(wire.ask(unwrap(&wrapped, aes_key())), Answer::Made(_)));
    let value = Attribute::new(AttributeType::Value, [1; 32]);
    for (what, template) in [
        ("nothing said", Template::default()),
        ("a private key", key(ObjectClass::PrivateKey, KeyType::Ec)),
        ("a private RSA key", key(ObjectClass::PrivateKey, KeyType::Rsa)),
        ("a public key", key(ObjectClass::PublicKey, KeyType::Rsa)),
        ("a certificate", key(ObjectClass::Certificate, KeyType::Aes)),
        ("an AES private key", key(ObjectClass::PrivateKey, KeyType::Aes)),
        ("another length", aes_key().with(Attribute::number(AttributeType::ValueLen, 16))),
        ("a value besides", aes_key().with(value)),
        (
            "never extractable",
            aes_key().with(Attribute::flag(AttributeType::NeverExtractable, true)),
        ),
        ("local", aes_key().with(Attribute::flag(AttributeType::Local, true))),
        ("trusted", aes_key().with(Attribute::flag(AttributeType::Trusted, true))),
    ] {
        let error = wire.refusal(what, unwrap(&wrapped, template));
        assert!(!matches!(error, Error::Internal | Error::Malformed), "{what}: {error:?}");
    }
    for at in 0..wrapped.len() {
        let mut damaged = wrapped.clone();
        damaged[at] ^= 1;
        assert_eq!(wire.refusal("damaged", unwrap(&damaged, aes_key())), Error::WrappedKeyInvalid);
    }
    for length in [0, 1, 8, 15, wrapped.len() - 1] {
        let error = wire.refusal("cut", unwrap(&wrapped[..length], aes_key()));
        assert!(
            matches!(error, Error::WrappedKeyInvalid | Error::WrappedKeyLength),
            "{length}: {error:?}"
        );
    }
    watch.unharmed("wrapping");
}
