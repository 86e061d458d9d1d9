//! FIPS mode, row by row of the table of mechanisms: what is approved works, what is not is refused by name; and the uses of
//! approved mechanisms that are not approved.

use bytes::Bytes;
use casemate_hsm::Settings;
use casemate_protocol::mechanisms::{Functions, MECHANISMS, MechanismRow, ParameterForm};
use casemate_protocol::messages::{
    Answer, Ask, Counter, CounterKdf, CounterKdfField, DeriveKey, Ecdh, Eddsa, Gcm, GenerateKey,
    GenerateKeyPair, Hkdf, MadeObject, MechanismUse, Oaep, ObjectReference, Operation, Parameter,
    Pbkdf2, Pss, RsaAes, UnwrapKey, Verify, WrapKey,
};
use casemate_protocol::{
    Attribute, AttributeType, Curve, Error, Hash, KeyType, Mechanism, ObjectClass, Role, Template,
};

use crate::one_hsm::{Connection, Hsm, describe};

/// Both keys of a pair, or a secret key twice.
#[derive(Clone)]
struct Keys {
    public: ObjectReference,
    private: ObjectReference,
}

struct User {
    hsm: Hsm,
    connection: Connection,
    made: Vec<(KeyType, Keys)>,
}

fn flags(flags: &[AttributeType]) -> Template {
    let attributes = flags.iter().map(|&flag| Attribute::flag(flag, true)).collect();
    Template { attributes }
}

fn mechanism(mechanism: Mechanism, parameter: Option<Parameter>) -> Option<MechanismUse> {
    Some(MechanismUse { mechanism: mechanism.number(), parameter })
}

/// An answer as a result: bytes, where it gave some.
fn result(answer: Answer) -> Result<Data, Error> {
    match answer {
        Answer::Error(error) => Err(error.into()),
        Answer::Data(data) => Ok(Data { bytes: data.data, iv: data.iv.to_vec(), object: None }),
        Answer::Made(MadeObject { object, .. }) => Ok(Data { object, ..Data::default() }),
        Answer::Encapsulated(made) => Ok(Data { bytes: made.ciphertext, ..Data::default() }),
        Answer::Done(_) | Answer::PairMade(_) => Ok(Data::default()),
        answer => panic!("{}", describe(&answer)),
    }
}

#[derive(Default)]
struct Data {
    bytes: Bytes,
    iv: Vec<u8>,
    object: Option<ObjectReference>,
}

const SECRET_USES: &[AttributeType] = &[
    AttributeType::Sign,
    AttributeType::Verify,
    AttributeType::Derive,
    AttributeType::Extractable,
];
const AES_USES: &[AttributeType] = &[
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::Wrap,
    AttributeType::Unwrap,
    AttributeType::Sign,
    AttributeType::Verify,
    AttributeType::Derive,
    AttributeType::Extractable,
];

impl User {
    fn new(fips_mode: bool) -> Self {
        let settings = Settings { fips_mode, password_rounds: 10, ..Settings::default() };
        let mut hsm = Hsm::active_with(settings);
        let connection = hsm.log_in("app", Role::CryptoUser);
        Self { hsm, connection, made: Vec::new() }
    }

    fn ask(&mut self, ask: Ask) -> Result<Data, Error> {
        result(self.connection.ask(&mut self.hsm, ask))
    }

    /// A value that was made elsewhere, as a key.
    fn import(
        &mut self,
        key_type: KeyType,
        value: &[u8],
        uses: &[AttributeType],
    ) -> ObjectReference {
        let template = flags(uses)
            .with(Attribute::number(AttributeType::Class, ObjectClass::SecretKey.number()))
            .with(Attribute::number(AttributeType::KeyType, key_type.number()))
            .with(Attribute::flag(AttributeType::Sensitive, false))
            .with(Attribute::new(AttributeType::Value, value));
        self.ask(Ask::CreateObject(template)).unwrap().object.unwrap()
    }

    fn pair(&mut self, by: Mechanism, public: Template) -> Result<Keys, Error> {
        let uses = [AttributeType::Extractable, AttributeType::Derive, AttributeType::Unwrap];
        let request = GenerateKeyPair {
            mechanism: mechanism(by, None),
            public: Some(public),
            private: Some(flags(&uses)),
        };
        match self.connection.ask(&mut self.hsm, Ask::GenerateKeyPair(request)) {
            Answer::PairMade(pair) => Ok(Keys {
                public: pair.public.unwrap().object.unwrap(),
                private: pair.private.unwrap().object.unwrap(),
            }),
            Answer::Error(error) => Err(error.into()),
            answer => panic!("{}", describe(&answer)),
        }
    }

    /// A key of a type, made once.
    fn keys(&mut self, key_type: KeyType) -> Keys {
        if let Some((_, keys)) = self.made.iter().find(|(made, _)| *made == key_type) {
            return keys.clone();
        }
        let keys = match key_type {
            KeyType::Aes => {
                let key = self.import(key_type, &[7; 32], AES_USES);
                Keys { public: key.clone(), private: key }
            }
            secret if secret.is_secret() => {
                let key = self.import(key_type, &[7; 64], SECRET_USES);
                Keys { public: key.clone(), private: key }
            }
            pair => {
                let (by, template) = generation(pair);
                self.pair(by, template).unwrap()
            }
        };
        self.made.push((key_type, keys.clone()));
        keys
    }
}

/// How a pair of a type is made.
fn generation(key_type: KeyType) -> (Mechanism, Template) {
    let curve = |curve: Curve| {
        Template::default().with(Attribute::new(AttributeType::EcParams, curve.ec_params()))
    };
    let number = |attribute, number| Template::default().with(Attribute::number(attribute, number));
    match key_type {
        KeyType::Rsa => (
            Mechanism::RsaPkcsKeyPairGen,
            number(AttributeType::ModulusBits, 2048)
                .with(Attribute::flag(AttributeType::Wrap, true)),
        ),
        KeyType::Ec => (Mechanism::EcKeyPairGen, curve(Curve::P256)),
        KeyType::EcEdwards => (Mechanism::EcEdwardsKeyPairGen, curve(Curve::Ed25519)),
        KeyType::EcMontgomery => (Mechanism::EcMontgomeryKeyPairGen, curve(Curve::X25519)),
        KeyType::MlKem => (Mechanism::MlKemKeyPairGen, number(AttributeType::ParameterSet, 2)),
        KeyType::MlDsa => (Mechanism::MlDsaKeyPairGen, number(AttributeType::ParameterSet, 1)),
        other => panic!("{} is no pair", other.name()),
    }
}

/// A parameter that is approved, as a program that knows the rules gives it.
fn approved_parameter(user: &mut User, row: &MechanismRow) -> Option<Parameter> {
    let hash = row.hash.unwrap_or(Hash::Sha256).number();
    let oaep = Oaep { hash, mgf: hash, label: vec![] };
    Some(match row.parameter {
        ParameterForm::None | ParameterForm::Eddsa | ParameterForm::MlDsa => return None,
        ParameterForm::Iv if matches!(row.mechanism, Mechanism::AesCbc | Mechanism::AesCbcPad) => {
            Parameter::Iv(vec![1; 16])
        }
        ParameterForm::Iv => return None,
        ParameterForm::Counter => Parameter::Counter(Counter { bits: 32, block: vec![1; 16] }),
        ParameterForm::Gcm => Parameter::Gcm(Gcm { iv: vec![], aad: vec![], tag_bits: 128 }),
        ParameterForm::Oaep => Parameter::Oaep(oaep),
        ParameterForm::Pss => Parameter::Pss(Pss { hash, mgf: hash, salt_bytes: 20 }),
        ParameterForm::RsaAes => Parameter::RsaAes(RsaAes { aes_bits: 256, oaep: Some(oaep) }),
        ParameterForm::Ecdh => Parameter::Ecdh(ecdh(user, KeyType::Ec, 6)),
        ParameterForm::MacLength => Parameter::MacLength(8),
        ParameterForm::Hkdf => {
            Parameter::Hkdf(Hkdf { extract: true, expand: true, hash, ..Hkdf::default() })
        }
        ParameterForm::Pbkdf2 => Parameter::Pbkdf2(pbkdf2()),
        ParameterForm::CounterKdf => Parameter::CounterKdf(CounterKdf {
            prf: Mechanism::Sha256Hmac.number(),
            fields: vec![CounterKdfField { kind: 1, width_bits: 32, ..CounterKdfField::default() }],
        }),
        ParameterForm::Data => Parameter::Data(vec![1; 64]),
        ParameterForm::Key => Parameter::Key(user.keys(KeyType::GenericSecret).private),
    })
}

fn pbkdf2() -> Pbkdf2 {
    let password = b"fourteen bytes".to_vec();
    Pbkdf2 { hash: Hash::Sha256.number(), salt: vec![1; 16], iterations: 1_000, password }
}

/// ECDH with one's own public key.
fn ecdh(user: &mut User, key_type: KeyType, kdf: u64) -> Ecdh {
    let object = Some(user.keys(key_type).public);
    let attributes = vec![AttributeType::EcPoint.number()];
    let request = casemate_protocol::messages::GetAttributes { object, attributes };
    let answer = user.connection.ask(&mut user.hsm, Ask::GetAttributes(request));
    let Answer::Attributes(mut found) = answer else { panic!("{}", describe(&answer)) };
    Ecdh { kdf, shared: vec![], public: found.attributes.remove(0).value }
}

/// What a mechanism is given to work on: a digest where the client hashes.
fn input(row: &MechanismRow) -> Vec<u8> {
    vec![7; row.mechanism.client_hash().map_or(32, Hash::output_bytes)]
}

impl User {
    /// Uses a mechanism for one function. `before` is what the function that it undoes gave.
    #[expect(clippy::too_many_lines, reason = "one arm for each function")]
    fn use_row(
        &mut self,
        row: &MechanismRow,
        function: Functions,
        parameter: Option<Parameter>,
        before: Option<Data>,
    ) -> Result<Data, Error> {
        let by = mechanism(row.mechanism, parameter);
        let first = row.key_types.first().copied();
        let keys = match function {
            Functions::GENERATE | Functions::GENERATE_KEY_PAIR => None,
            _ => Some(self.keys(first.unwrap_or(KeyType::GenericSecret))),
        };
        let (public, private) = keys.map(|keys| (keys.public, keys.private)).unzip();
        let bytes = before.map_or_else(|| vec![7; 64].into(), |before| before.bytes);
        let operation = |key, data: Bytes| Operation {
            key,
            mechanism: by.clone(),
            data,
            ..Operation::default()
        };
        let secret = |bytes| {
            Template::default()
                .with(Attribute::number(AttributeType::Class, ObjectClass::SecretKey.number()))
                .with(Attribute::number(AttributeType::KeyType, KeyType::GenericSecret.number()))
                .with(Attribute::number(AttributeType::ValueLen, bytes))
        };
        let ask = match function {
            Functions::SIGN => Ask::Sign(operation(private, input(row).into())),
            Functions::VERIFY => Ask::Verify(Verify {
                operation: Some(operation(public, input(row).into())),
                signature: bytes,
            }),
            Functions::ENCRYPT => Ask::Encrypt(operation(public, vec![7; 32].into())),
            Functions::DECRYPT => Ask::Decrypt(operation(private, bytes)),
            Functions::WRAP => Ask::WrapKey(WrapKey {
                wrapping_key: public,
                mechanism: by,
                key: Some(self.keys(KeyType::HmacSha256).private),
            }),
            Functions::UNWRAP => {
                let template = Some(without_length(secret(0)));
                Ask::UnwrapKey(UnwrapKey {
                    unwrapping_key: private,
                    mechanism: by,
                    wrapped: bytes,
                    template,
                })
            }
            Functions::DERIVE => {
                let whole = matches!(row.parameter, ParameterForm::Data | ParameterForm::Key);
                let template = if whole { without_length(secret(0)) } else { secret(32) };
                Ask::DeriveKey(DeriveKey {
                    base_key: private,
                    mechanism: by,
                    template: Some(template),
                })
            }
            Functions::ENCAPSULATE => Ask::Encapsulate(DeriveKey {
                base_key: public,
                mechanism: by,
                template: Some(secret(32)),
            }),
            Functions::DECAPSULATE => Ask::Decapsulate(UnwrapKey {
                unwrapping_key: private,
                mechanism: by,
                wrapped: bytes,
                template: Some(secret(32)),
            }),
            Functions::GENERATE => {
                let length = Attribute::number(AttributeType::ValueLen, 32);
                let template = Some(Template::default().with(length));
                Ask::GenerateKey(GenerateKey { mechanism: by, template })
            }
            Functions::GENERATE_KEY_PAIR => {
                let (_, template) = generation(first.unwrap());
                return self.pair(row.mechanism, template).map(|_keys| Data::default());
            }
            other => panic!("{other:?}"),
        };
        self.ask(ask)
    }
}

fn without_length(mut template: Template) -> Template {
    template.attributes.retain(|entry| entry.number != AttributeType::ValueLen.number());
    template
}

/// All but digests, which the client makes.
const ONE_BY_ONE: [Functions; 11] = [
    Functions::SIGN,
    Functions::VERIFY,
    Functions::ENCRYPT,
    Functions::DECRYPT,
    Functions::WRAP,
    Functions::UNWRAP,
    Functions::DERIVE,
    Functions::ENCAPSULATE,
    Functions::DECAPSULATE,
    Functions::GENERATE,
    Functions::GENERATE_KEY_PAIR,
];

/// The function whose result this one takes.
const fn undoes(function: Functions) -> Option<Functions> {
    match function {
        Functions::VERIFY => Some(Functions::SIGN),
        Functions::DECRYPT => Some(Functions::ENCRYPT),
        Functions::UNWRAP => Some(Functions::WRAP),
        Functions::DECAPSULATE => Some(Functions::ENCAPSULATE),
        _ => None,
    }
}

#[test]
fn every_row_works_as_far_as_it_is_approved_and_no_further() {
    let mut user = User::new(true);
    let (mut worked, mut refused) = (0, 0);
    for row in MECHANISMS {
        let number = row.mechanism.number();
        for function in ONE_BY_ONE.into_iter().filter(|one| row.functions.contains(*one)) {
            let what = format!("{} {function:?}", row.name);
            let mut parameter = approved_parameter(&mut user, row);
            // A row that may not do it, but may undo it, gets what another row that does the same gave, or something.
            let before = undoes(function).and_then(|does| {
                let does = if row.approved.allows(does) { does } else { Functions::ENCRYPT };
                let allowed = row.functions.contains(does) && row.approved.allows(does);
                allowed.then(|| user.use_row(row, does, parameter.clone(), None).unwrap())
            });
            if let (Some(Parameter::Gcm(gcm)), Some(before)) = (&mut parameter, &before) {
                gcm.iv.clone_from(&before.iv);
            }
            let made = before.is_some() || undoes(function).is_none();
            let done = user.use_row(row, function, parameter, before);
            if !row.approved.allows(function) {
                assert_eq!(done.err(), Some(Error::MechanismNotApproved(number)), "{what}");
                refused += 1;
            } else if made {
                assert_eq!(done.err(), None, "{what}");
                worked += 1;
            } else {
                // Nobody can make a signature to be verified; this one was looked at, and is wrong.
                let looked =
                    matches!(done.err(), Some(Error::SignatureInvalid | Error::SignatureLength));
                assert!(looked, "{what}");
                worked += 1;
            }
        }
    }
    println!("{} rows: {worked} functions work, {refused} are refused", MECHANISMS.len());
    assert!(worked > 140 && refused >= 15, "{worked} {refused}");
}

impl User {
    fn sign(
        &mut self,
        key: &ObjectReference,
        by: Mechanism,
        parameter: Option<Parameter>,
        data: &[u8],
    ) -> Result<Data, Error> {
        self.ask(Ask::Sign(Operation {
            key: Some(key.clone()),
            mechanism: mechanism(by, parameter),
            data: Bytes::copy_from_slice(data),
            ..Operation::default()
        }))
    }

    fn derive(&mut self, ecdh: Ecdh, base: KeyType, made: KeyType) -> Result<Data, Error> {
        let template = Template::default()
            .with(Attribute::number(AttributeType::KeyType, made.number()))
            .with(Attribute::number(AttributeType::ValueLen, 32));
        let base_key = Some(self.keys(base).private);
        self.ask(Ask::DeriveKey(DeriveKey {
            base_key,
            mechanism: mechanism(Mechanism::Ecdh1Derive, Some(Parameter::Ecdh(ecdh))),
            template: Some(template),
        }))
    }
}

/// Asserts that FIPS mode refuses what the other mode does.
fn refused(error: fn(u64) -> Error, by: Mechanism, act: impl Fn(&mut User) -> Result<Data, Error>) {
    assert_eq!(act(&mut User::new(false)).err(), None, "{} outside FIPS mode", by.row().name);
    assert_eq!(act(&mut User::new(true)).err(), Some(error(by.number())), "{}", by.row().name);
}

#[test]
fn parameters_that_are_not_approved_are_refused() {
    let sha_1 = Pss { hash: Hash::Sha1.number(), mgf: Hash::Sha1.number(), salt_bytes: 20 };
    let long = Pss { hash: Hash::Sha256.number(), mgf: Hash::Sha256.number(), salt_bytes: 33 };
    for (pss, digest) in [(sha_1, 20), (long, 32)] {
        refused(Error::ParameterNotApproved, Mechanism::RsaPkcsPss, |user| {
            let key = user.keys(KeyType::Rsa).private;
            let parameter = Some(Parameter::Pss(pss.clone()));
            user.sign(&key, Mechanism::RsaPkcsPss, parameter, &vec![7; digest])
        });
    }
    refused(Error::ParameterNotApproved, Mechanism::Eddsa, |user| {
        let key = user.keys(KeyType::EcEdwards).private;
        let eddsa = Eddsa { prehashed: false, context: vec![1] };
        user.sign(&key, Mechanism::Eddsa, Some(Parameter::Eddsa(eddsa)), b"message")
    });
    refused(Error::ParameterNotApproved, Mechanism::Sha256HmacGeneral, |user| {
        let key = user.keys(KeyType::HmacSha256).private;
        user.sign(&key, Mechanism::Sha256HmacGeneral, Some(Parameter::MacLength(3)), b"message")
    });
    for function in [Functions::ENCRYPT, Functions::WRAP] {
        refused(Error::ParameterNotApproved, Mechanism::AesGcm, |user| {
            let gcm = Gcm { iv: vec![1; 12], aad: vec![], tag_bits: 128 };
            user.use_row(Mechanism::AesGcm.row(), function, Some(Parameter::Gcm(gcm)), None)
        });
    }
    let weak: [fn(&mut Pbkdf2); 3] = [
        |pbkdf2| pbkdf2.iterations -= 1,
        |pbkdf2| pbkdf2.salt.truncate(15),
        |pbkdf2| pbkdf2.password.truncate(13),
    ];
    for weaken in weak {
        refused(Error::ParameterNotApproved, Mechanism::Pkcs5Pbkd2, |user| {
            let mut parameter = pbkdf2();
            weaken(&mut parameter);
            let parameter = Some(Parameter::Pbkdf2(parameter));
            user.use_row(Mechanism::Pkcs5Pbkd2.row(), Functions::GENERATE, parameter, None)
        });
    }
}

#[test]
fn a_shared_secret_is_no_key_without_a_kdf() {
    refused(Error::ParameterNotApproved, Mechanism::Ecdh1Derive, |user| {
        let ecdh = ecdh(user, KeyType::Ec, 1);
        user.derive(ecdh, KeyType::Ec, KeyType::Aes)
    });
    let mut user = User::new(true);
    let ecdh = ecdh(&mut user, KeyType::Ec, 1);
    assert_eq!(user.derive(ecdh, KeyType::Ec, KeyType::Hkdf).err(), None);
}

#[test]
fn keys_that_are_not_approved_are_not_made_and_not_used() {
    let curve = |curve: Curve| {
        Template::default().with(Attribute::new(AttributeType::EcParams, curve.ec_params()))
    };
    refused(Error::KeyNotApproved, Mechanism::EcKeyPairGen, |user| {
        user.pair(Mechanism::EcKeyPairGen, curve(Curve::Secp256k1)).map(|_keys| Data::default())
    });
    let private = |key_type: KeyType, curve: Curve| {
        flags(&[AttributeType::Sign, AttributeType::Derive])
            .with(Attribute::number(AttributeType::Class, ObjectClass::PrivateKey.number()))
            .with(Attribute::number(AttributeType::KeyType, key_type.number()))
            .with(Attribute::new(AttributeType::EcParams, curve.ec_params()))
            .with(Attribute::new(AttributeType::Value, [7; 32]))
    };
    refused(Error::KeyNotApproved, Mechanism::Ecdsa, |user| {
        let template = private(KeyType::Ec, Curve::Secp256k1);
        let key = user.ask(Ask::CreateObject(template)).unwrap().object.unwrap();
        user.sign(&key, Mechanism::Ecdsa, None, &[7; 32])
    });
    refused(Error::KeyNotApproved, Mechanism::Ecdh1Derive, |user| {
        let template = private(KeyType::EcMontgomery, Curve::X25519);
        let key = user.ask(Ask::CreateObject(template)).unwrap().object.unwrap();
        let keys = Keys { public: key.clone(), private: key };
        user.made.push((KeyType::EcMontgomery, keys));
        let ecdh = Ecdh { kdf: 6, shared: vec![], public: [&[9][..], &[0; 31]].concat() };
        user.derive(ecdh, KeyType::EcMontgomery, KeyType::Aes)
    });
    refused(Error::KeyNotApproved, Mechanism::Sha256Hmac, |user| {
        let key = user.import(KeyType::GenericSecret, &[7; 13], SECRET_USES);
        user.sign(&key, Mechanism::Sha256Hmac, None, b"message")
    });
}
