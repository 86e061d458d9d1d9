//! Every mechanism with every form of parameter, right and wrong, for every function, with a key that fits it: never a fault,
//! always an answer or the name of what is wrong.

use bytes::Bytes;
use casemate_protocol::mechanisms::{MECHANISMS, MechanismRow, ParameterForm};
use casemate_protocol::messages::{
    Answer, Ask, Counter, CounterKdf, CounterKdfField, DeriveKey, Ecdh, Eddsa, Gcm, GenerateKey,
    GenerateKeyPair, Hkdf, MechanismUse, MlDsa, Oaep, ObjectReference, Operation, Parameter,
    Pbkdf2, Pss, RsaAes, UnwrapKey, Verify, WrapKey,
};
use casemate_protocol::{Attribute, AttributeType, Curve, Error, KeyType, Mechanism, Template};

use crate::objects::plain;
use crate::watch::Watch;
use crate::wire::Wire;

/// The parameters to try, each with its form: sizes of nothing, of too much, and numbers at both ends.
fn parameters(other: &ObjectReference) -> Vec<(ParameterForm, Option<Parameter>)> {
    let mut all = vec![(ParameterForm::None, None)];
    let mut add = |form, parameter| all.push((form, Some(parameter)));
    for length in [0, 1, 8, 12, 16, 17, 5_000] {
        add(ParameterForm::Iv, Parameter::Iv(vec![7; length]));
        add(ParameterForm::Data, Parameter::Data(vec![7; length]));
        for bits in [0, 1, 8, 128, 129, u64::MAX] {
            add(
                ParameterForm::Counter,
                Parameter::Counter(Counter { bits, block: vec![7; length] }),
            );
            let gcm = Gcm { iv: vec![7; length], aad: vec![1; length], tag_bits: bits };
            add(ParameterForm::Gcm, Parameter::Gcm(gcm));
            let field = |kind| CounterKdfField {
                kind,
                little_endian: bits % 2 == 1,
                width_bits: bits,
                length_method: bits,
                bytes: vec![7; length],
            };
            let prf = if length < 9 { Mechanism::Sha256Hmac.number() } else { bits };
            let fields = vec![field(1), field(3), field(4)];
            add(ParameterForm::CounterKdf, Parameter::CounterKdf(CounterKdf { prf, fields }));
        }
        for kdf in [0, 1, 2, 6, 14, u64::MAX] {
            let ecdh = Ecdh { kdf, shared: vec![1; length], public: vec![4; length] };
            add(ParameterForm::Ecdh, Parameter::Ecdh(ecdh));
        }
        let context = vec![1; length];
        let eddsa = Eddsa { prehashed: length % 2 == 0, context: context.clone() };
        add(ParameterForm::Eddsa, Parameter::Eddsa(eddsa));
        add(ParameterForm::MlDsa, Parameter::MlDsa(MlDsa { hedge: length as u64, context }));
        let pbkdf2 =
            Pbkdf2 { hash: 3, salt: vec![1; length], iterations: 3, password: vec![2; length] };
        add(ParameterForm::Pbkdf2, Parameter::Pbkdf2(pbkdf2));
    }
    for iterations in [0, u64::from(u32::MAX) + 1, u64::MAX] {
        let pbkdf2 = Pbkdf2 { hash: 3, iterations, ..Pbkdf2::default() };
        add(ParameterForm::Pbkdf2, Parameter::Pbkdf2(pbkdf2));
    }
    for hash in [0, 1, 3, 5, 9, 10, u32::MAX] {
        let oaep = Oaep { hash, mgf: hash, label: vec![1; 40] };
        add(ParameterForm::Oaep, Parameter::Oaep(oaep.clone()));
        for aes_bits in [0, 7, 128, 256, u64::MAX] {
            let both = RsaAes { aes_bits, oaep: Some(oaep.clone()) };
            add(ParameterForm::RsaAes, Parameter::RsaAes(both));
        }
        for salt_bytes in [0, 32, 255, 4_096, u64::MAX] {
            add(ParameterForm::Pss, Parameter::Pss(Pss { hash, mgf: hash, salt_bytes }));
        }
        for (extract, expand) in [(false, false), (false, true), (true, false), (true, true)] {
            let salt_key = (hash == 3).then(|| other.clone());
            let hkdf = Hkdf { extract, expand, hash, salt: vec![1; 9], salt_key, info: vec![2; 9] };
            add(ParameterForm::Hkdf, Parameter::Hkdf(hkdf));
        }
    }
    add(ParameterForm::RsaAes, Parameter::RsaAes(RsaAes { aes_bits: 256, oaep: None }));
    for length in [0, 1, 16, 20, 64, 65, u64::MAX] {
        add(ParameterForm::MacLength, Parameter::MacLength(length));
    }
    add(ParameterForm::Key, Parameter::Key(other.clone()));
    add(ParameterForm::Key, Parameter::Key(ObjectReference::default()));
    add(
        ParameterForm::Key,
        Parameter::Key(ObjectReference { number: u64::MAX, session: Bytes::new() }),
    );
    all
}

/// Session keys of every type, with all rights that their class may have.
struct Keys {
    secret: Vec<(KeyType, ObjectReference)>,
    public: Vec<(KeyType, ObjectReference)>,
    private: Vec<(KeyType, ObjectReference)>,
}

fn rights(of: &[AttributeType]) -> Template {
    of.iter()
        .fold(Template::default(), |template, &flag| template.with(Attribute::flag(flag, true)))
}

fn pair(
    wire: &mut Wire,
    mechanism: Mechanism,
    public: Template,
) -> (ObjectReference, ObjectReference) {
    let kind = mechanism.row().key_types[0];
    let mut private = Template::default();
    if matches!(kind, KeyType::Ec | KeyType::EcMontgomery) {
        private = rights(&[AttributeType::Derive]);
    }
    let mut public = public;
    if kind == KeyType::Rsa {
        public.set(Attribute::flag(AttributeType::Wrap, true));
        private = rights(&[AttributeType::Unwrap]);
    }
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

fn keys(wire: &mut Wire) -> Keys {
    let mut keys = Keys { secret: vec![], public: vec![], private: vec![] };
    for kind in KeyType::ALL.into_iter().filter(|kind| kind.is_secret()) {
        let mut template = Template::default()
            .with(Attribute::number(AttributeType::Class, 4))
            .with(Attribute::number(AttributeType::KeyType, kind.number()))
            .with(Attribute::new(AttributeType::Value, [0x5a; 32]))
            .with(Attribute::flag(AttributeType::Derive, true));
        if kind == KeyType::Aes {
            template = template
                .with(Attribute::flag(AttributeType::Wrap, true))
                .with(Attribute::flag(AttributeType::Unwrap, true));
        }
        match wire.ask(Ask::CreateObject(template)) {
            Answer::Made(made) => keys.secret.push((kind, made.object.unwrap())),
            Answer::Error(error) => panic!("{kind:?}: {}", Error::from(error)),
            _ => panic!("no key"),
        }
    }
    let curve = |curve: Curve| {
        Template::default().with(Attribute::new(AttributeType::EcParams, curve.ec_params()))
    };
    let set = Template::default().with(Attribute::number(AttributeType::ParameterSet, 1));
    let bits = Template::default().with(Attribute::number(AttributeType::ModulusBits, 2_048));
    for (mechanism, public) in [
        (Mechanism::RsaPkcsKeyPairGen, bits),
        (Mechanism::EcKeyPairGen, curve(Curve::P256)),
        (Mechanism::EcEdwardsKeyPairGen, curve(Curve::Ed25519)),
        (Mechanism::EcMontgomeryKeyPairGen, curve(Curve::X25519)),
        (Mechanism::MlDsaKeyPairGen, set.clone()),
        (Mechanism::MlKemKeyPairGen, set),
    ] {
        let (public, private) = pair(wire, mechanism, public);
        let kind = mechanism.row().key_types[0];
        keys.public.push((kind, public));
        keys.private.push((kind, private));
    }
    keys
}

/// All requests that use a mechanism with a key, by a name.
fn uses(
    key: &ObjectReference,
    mechanism: &MechanismUse,
    wrapped: &ObjectReference,
) -> Vec<(&'static str, Ask)> {
    let operation = |data: Vec<u8>, part| Operation {
        key: Some(key.clone()),
        mechanism: Some(mechanism.clone()),
        data: data.into(),
        part,
        state: Bytes::new(),
        ..Operation::default()
    };
    let (key, mechanism) = (Some(key.clone()), Some(mechanism.clone()));
    let template = Some(Template::default().with(Attribute::number(AttributeType::ValueLen, 16)));
    let verify =
        Verify { operation: Some(operation(vec![1; 32], 0)), signature: vec![2; 64].into() };
    let unwrap = UnwrapKey {
        unwrapping_key: key.clone(),
        mechanism: mechanism.clone(),
        wrapped: vec![3; 40].into(),
        template: template.clone(),
    };
    let derive = DeriveKey {
        base_key: key.clone(),
        mechanism: mechanism.clone(),
        template: template.clone(),
    };
    let wrap =
        WrapKey { wrapping_key: key, mechanism: mechanism.clone(), key: Some(wrapped.clone()) };
    vec![
        ("sign", Ask::Sign(operation(vec![1; 32], 0))),
        ("sign a part", Ask::Sign(operation(vec![1; 32], 1))),
        ("sign in part 99", Ask::Sign(operation(vec![1; 32], 99))),
        ("verify", Ask::Verify(verify)),
        ("encrypt", Ask::Encrypt(operation(vec![1; 33], 0))),
        ("decrypt", Ask::Decrypt(operation(vec![1; 32], 0))),
        ("decrypt a middle part", Ask::Decrypt(operation(vec![1; 32], 2))),
        ("wrap", Ask::WrapKey(wrap)),
        ("unwrap", Ask::UnwrapKey(unwrap.clone())),
        ("decapsulate", Ask::Decapsulate(unwrap)),
        ("derive", Ask::DeriveKey(derive.clone())),
        ("encapsulate", Ask::Encapsulate(derive)),
        (
            "generate",
            Ask::GenerateKey(GenerateKey {
                mechanism: mechanism.clone(),
                template: template.clone(),
            }),
        ),
        (
            "generate a pair",
            Ask::GenerateKeyPair(GenerateKeyPair {
                mechanism,
                public: template.clone(),
                private: template,
            }),
        ),
    ]
}

fn fits<'a>(keys: &'a Keys, row: &MechanismRow) -> impl Iterator<Item = &'a ObjectReference> {
    let kinds = row.key_types;
    let of =
        move |(kind, _): &&(KeyType, ObjectReference)| kinds.is_empty() || kinds.contains(kind);
    let secret = keys.secret.iter().filter(of).take(1);
    secret
        .chain(keys.public.iter().filter(of).take(1))
        .chain(keys.private.iter().filter(of).take(1))
        .map(|(_, key)| key)
}

#[test]
fn every_mechanism_with_every_parameter_for_every_function() {
    let mut watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let keys = keys(&mut wire);
    watch.accept_changes();
    let other = keys.secret[0].1.clone();
    let (mut asked, mut done) = (0_u32, 0_u32);
    let mut wrong_form_done = Vec::new();
    for row in MECHANISMS {
        let mut tried = std::collections::BTreeMap::new();
        for (form, parameter) in parameters(&other) {
            let right = form == row.parameter;
            let tried = tried.entry(format!("{form:?}")).or_insert(0);
            *tried += 1;
            // Of a form that is another mechanism's a few are as good as all.
            if !right && *tried % 24 != 1 {
                continue;
            }
            let mechanism = MechanismUse { mechanism: row.mechanism.number(), parameter };
            for key in fits(&keys, row) {
                for (what, ask) in uses(key, &mechanism, &other) {
                    asked += 1;
                    match wire.ask(ask) {
                        Answer::Error(error) => {
                            let error = Error::from(error);
                            let fault = matches!(
                                error,
                                Error::Internal | Error::SelfTestFailed | Error::Unknown { .. }
                            );
                            assert!(!fault, "{} {what} {form:?}: {error:?}", row.name);
                        }
                        _ => {
                            done += 1;
                            if form != ParameterForm::None && !right {
                                wrong_form_done.push(format!("{} {what} {form:?}", row.name));
                            }
                        }
                    }
                }
            }
        }
        watch.alive(row.name);
    }
    wrong_form_done.dedup();
    assert!(
        wrong_form_done.is_empty(),
        "done with a parameter of another mechanism: {wrong_form_done:?}"
    );
    assert!(asked > 50_000 && done > 100, "{asked} asked, {done} done");
    // Numbers that are no mechanism.
    let key = &keys.secret[0].1;
    for number in [0x2, 0x4, 0x7fff_ffff, 0x8000_0001, u64::MAX] {
        let mechanism = MechanismUse { mechanism: number, parameter: None };
        for (what, ask) in uses(key, &mechanism, &other) {
            assert_eq!(wire.refusal(what, ask), Error::MechanismInvalid(number), "{what}");
        }
    }
    watch.unharmed("mechanisms");
}
