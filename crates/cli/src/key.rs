//! `casemate key …`: make, import, list and delete keys.

use casemate_client::{Client, ClientError};
use casemate_crypto::{ec, rsa};
use casemate_protocol::attributes::ValueForm;
use casemate_protocol::messages::{
    Answer, Ask, FindObjects, Found, FoundObject, GenerateKey, GenerateKeyPair, MadeObject,
    MechanismUse, ObjectReference,
};
use casemate_protocol::{
    Attribute, AttributeType, Curve, KeyType, Mechanism, ObjectClass, Template,
};
use serde_json::{Map, Value, json};

use crate::arguments::{
    GeneratePair, GenerateSymmetric, Import, Key, KeyTypeClass, Pair, SecretKey,
};
use crate::credentials::log_in;
use crate::error::{CliError, read};
use crate::hex;
use crate::output::Output;

/// Runs a command of the group.
pub(crate) fn run(command: Key, output: &Output) -> Result<(), CliError> {
    let client = log_in(None, output)?;
    let result = match command {
        Key::GenerateSymmetric(GenerateSymmetric::Aes(key)) => {
            secret(&client, Mechanism::AesKeyGen, &key, output)
        }
        Key::GenerateSymmetric(GenerateSymmetric::GenericSecret(key)) => {
            secret(&client, Mechanism::GenericSecretKeyGen, &key, output)
        }
        Key::GenerateAsymmetricPair(pair) => generate_pair(&client, &pair, output),
        Key::Import(pem) => import(&client, &pem, output),
        Key::List { filter, verbose, max_items, starting_token } => {
            list(&client, &filter, verbose, (max_items, starting_token.unwrap_or(0)), output)
        }
        Key::Delete { filter } => delete(&client, &filter, output),
    };
    // The log-in ends with the command whether or not the HSM could be told: its ticket is kept nowhere.
    let _ended = client.log_out().is_ok();
    result
}

fn usage(text: String) -> CliError {
    CliError::Usage(text)
}

/// Reads NAME=VALUE.
fn attribute(text: &str) -> Result<Attribute, CliError> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| usage(format!("{text} is not NAME=VALUE")))?;
    let known = AttributeType::from_name(name)
        .ok_or_else(|| usage(format!("there is no attribute {name}")))?;
    let wrong = || usage(format!("{value} is not a value for {name}"));
    Ok(match known.row().form {
        ValueForm::Flag => Attribute::flag(known, value.parse().map_err(|_error| wrong())?),
        ValueForm::Number => Attribute::number(known, number(known, value).ok_or_else(wrong)?),
        ValueForm::Text => Attribute::new(known, value.as_bytes()),
        ValueForm::Bytes | ValueForm::BigInteger | ValueForm::Date => {
            let digits = value.strip_prefix("0x").unwrap_or(value);
            Attribute::new(known, hex::decode(digits).ok_or_else(wrong)?)
        }
        ValueForm::Template | ValueForm::Mechanisms => return Err(wrong()),
    })
}

fn number(attribute: AttributeType, value: &str) -> Option<u64> {
    match attribute {
        AttributeType::Class => Some(
            match value {
                "secret-key" => ObjectClass::SecretKey,
                "public-key" => ObjectClass::PublicKey,
                "private-key" => ObjectClass::PrivateKey,
                _ => return None,
            }
            .number(),
        ),
        AttributeType::KeyType => {
            KeyType::ALL.into_iter().find(|kind| kind.name() == value).map(KeyType::number)
        }
        _ => value.parse().ok(),
    }
}

fn template(label: &str, attributes: &[String]) -> Result<Template, CliError> {
    let mut template = Template::default()
        .with(Attribute::flag(AttributeType::Token, true))
        .with(Attribute::new(AttributeType::Label, label.as_bytes()));
    for text in attributes {
        template.set(attribute(text)?);
    }
    Ok(template)
}

/// Reads a filter: a reference, or attributes of which all must hold.
pub(crate) fn filter(texts: &[String]) -> Result<Template, CliError> {
    let mut template = Template::default();
    for text in texts {
        if let Some(reference) = text.strip_prefix("key-reference=") {
            let hex = reference.strip_prefix("0x");
            let number =
                hex.map_or_else(|| reference.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok());
            let number =
                number.ok_or_else(|| usage(format!("{reference} is not a key reference")))?;
            template.set(Attribute::new(
                AttributeType::UniqueId,
                format!("0x{number:016x}").into_bytes(),
            ));
            continue;
        }
        let inner = text
            .strip_prefix("attr.")
            .ok_or_else(|| usage(format!("{text} is not attr.NAME=VALUE or key-reference=0x…")))?;
        template.set(attribute(inner)?);
    }
    Ok(template)
}

const SHOWN: [AttributeType; 30] = [
    AttributeType::KeyType,
    AttributeType::Label,
    AttributeType::Id,
    AttributeType::CheckValue,
    AttributeType::Class,
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::Token,
    AttributeType::AlwaysSensitive,
    AttributeType::Derive,
    AttributeType::Destroyable,
    AttributeType::Extractable,
    AttributeType::Local,
    AttributeType::Modifiable,
    AttributeType::NeverExtractable,
    AttributeType::Private,
    AttributeType::Sensitive,
    AttributeType::Sign,
    AttributeType::Trusted,
    AttributeType::Unwrap,
    AttributeType::Verify,
    AttributeType::Wrap,
    AttributeType::WrapWithTrusted,
    AttributeType::ValueLen,
    AttributeType::PublicExponent,
    AttributeType::Modulus,
    AttributeType::ModulusBits,
    AttributeType::EcPoint,
    AttributeType::EcParams,
    AttributeType::ParameterSet,
];

fn search(client: &Client, template: Template, limit: u64, after: u64) -> Result<Found, CliError> {
    let attributes = SHOWN.map(AttributeType::number).to_vec();
    let ask = FindObjects { template: Some(template), after, limit, attributes };
    match client.call(Ask::FindObjects(ask))? {
        Answer::Found(found) => Ok(found),
        _ => Err(ClientError::Unexpected.into()),
    }
}

/// Counts what a filter means: by pages of numbers alone.
fn count(client: &Client, template: &Template) -> Result<usize, CliError> {
    let (mut sum, mut after) = (0, 0);
    loop {
        let template = Some(template.clone());
        let ask = FindObjects { template, after, ..FindObjects::default() };
        let Answer::Found(found) = client.call(Ask::FindObjects(ask))? else {
            return Err(ClientError::Unexpected.into());
        };
        sum += found.numbers.len();
        match found.numbers.last() {
            Some(last) if found.more => after = *last,
            _ => return Ok(sum),
        }
    }
}

/// Finds the one key that a filter means.
pub(crate) fn one(client: &Client, template: Template) -> Result<FoundObject, CliError> {
    let found = search(client, template.clone(), 2, 0)?;
    let many = found.objects.len();
    let mut objects = found.objects.into_iter();
    match (objects.next(), many) {
        (Some(object), 1) => Ok(object),
        (None, _) => Err(CliError::Failed("Key selection criteria matched no key.".to_owned())),
        (Some(_), _) => Err(CliError::Failed(format!(
            "Key selection criteria matched {} keys. Refine selection criteria to select a single key.",
            count(client, &template)?
        ))),
    }
}

fn shown(attribute: &Attribute) -> Option<(&'static str, Value)> {
    let known = attribute.attribute().ok()?;
    let name = if known == AttributeType::EcParams { "curve" } else { known.row().name };
    let value = match (known, known.row().form) {
        (AttributeType::Class, _) => {
            json!(match ObjectClass::from_number(attribute.as_number().ok()?)? {
                ObjectClass::SecretKey => "secret-key",
                ObjectClass::PublicKey => "public-key",
                ObjectClass::PrivateKey => "private-key",
                ObjectClass::Certificate => "certificate",
                ObjectClass::Data => "data",
            })
        }
        (AttributeType::KeyType, _) => {
            json!(KeyType::from_number(attribute.as_number().ok()?)?.name())
        }
        (AttributeType::EcParams, _) => json!(Curve::from_ec_params(&attribute.value)?.name()),
        (_, ValueForm::Flag) => json!(attribute.as_flag().ok()?),
        (_, ValueForm::Number) => json!(attribute.as_number().ok()?),
        (_, ValueForm::Text) => json!(String::from_utf8_lossy(&attribute.value)),
        _ => json!(format!("0x{}", hex::encode(&attribute.value))),
    };
    Some((name, value))
}

fn key_json(object: &FoundObject, verbose: bool) -> Value {
    let attributes = object.attributes.clone().unwrap_or_default();
    let mut map = Map::new();
    for (name, value) in attributes.attributes.iter().filter_map(shown) {
        if verbose || name == "label" {
            map.insert(name.to_owned(), value);
        }
    }
    let reference = format!("0x{:016x}", object.number);
    if !verbose {
        return json!({ "key-reference": reference, "attributes": map });
    }
    json!({
        "key-reference": reference,
        "key-info": {
            "key-owners": [{ "username": object.owner, "key-coverage": "full" }],
            "shared-users": [],
            "cluster-coverage": "full",
        },
        "attributes": map,
    })
}

fn fetch(client: &Client, made: Option<MadeObject>) -> Result<FoundObject, CliError> {
    let number = made.and_then(|made| made.object).map(|object| object.number);
    let number = number.ok_or(ClientError::Unexpected)?;
    one(client, filter(&[format!("key-reference={number}")])?)
}

fn plain(mechanism: Mechanism) -> Option<MechanismUse> {
    Some(MechanismUse { mechanism: mechanism.number(), parameter: None })
}

fn secret(
    client: &Client,
    mechanism: Mechanism,
    key: &SecretKey,
    output: &Output,
) -> Result<(), CliError> {
    let template = template(&key.label, &key.attributes)?
        .with(Attribute::number(AttributeType::ValueLen, key.key_length_bytes));
    let ask = GenerateKey { mechanism: plain(mechanism), template: Some(template) };
    let Answer::Made(made) = client.call(Ask::GenerateKey(ask))? else {
        return Err(ClientError::Unexpected.into());
    };
    let key = fetch(client, Some(made))?;
    output
        .result(&format!("made key 0x{:016x}", key.number), json!({ "key": key_json(&key, true) }));
    Ok(())
}

fn pair_templates(pair: &Pair) -> Result<(Template, Template), CliError> {
    let public = template(&pair.public_label, &pair.public_attributes)?;
    Ok((public, template(&pair.private_label, &pair.private_attributes)?))
}

fn generate_pair(client: &Client, pair: &GeneratePair, output: &Output) -> Result<(), CliError> {
    let (mechanism, public, private) = match pair {
        GeneratePair::Ec { pair, curve } => {
            let name = if curve == "secp256r1" { "prime256v1" } else { curve };
            let curve = Curve::ALL.into_iter().find(|known| known.name() == name);
            let curve = curve.ok_or_else(|| usage(format!("there is no curve {name}")))?;
            let mechanism = match curve {
                Curve::Ed25519 => Mechanism::EcEdwardsKeyPairGen,
                Curve::X25519 => Mechanism::EcMontgomeryKeyPairGen,
                _ => Mechanism::EcKeyPairGen,
            };
            let (public, private) = pair_templates(pair)?;
            (
                mechanism,
                public.with(Attribute::new(AttributeType::EcParams, curve.ec_params())),
                private,
            )
        }
        GeneratePair::Rsa { pair, modulus_size_bits, public_exponent } => {
            let (public, private) = pair_templates(pair)?;
            let exponent = public_exponent.to_be_bytes();
            let exponent = exponent.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
            let public = public
                .with(Attribute::number(AttributeType::ModulusBits, *modulus_size_bits))
                .with(Attribute::new(AttributeType::PublicExponent, exponent));
            (Mechanism::RsaPkcsKeyPairGen, public, private)
        }
        GeneratePair::MlDsa { pair, mldsa_algorithm } => {
            let set = match mldsa_algorithm.as_str() {
                "ML-DSA-44" => 1,
                "ML-DSA-65" => 2,
                "ML-DSA-87" => 3,
                other => return Err(usage(format!("there is no algorithm {other}"))),
            };
            let (public, private) = pair_templates(pair)?;
            (
                Mechanism::MlDsaKeyPairGen,
                public.with(Attribute::number(AttributeType::ParameterSet, set)),
                private,
            )
        }
    };
    let ask = GenerateKeyPair {
        mechanism: plain(mechanism),
        public: Some(public),
        private: Some(private),
    };
    let made = output.waiting("making the keys", || client.call(Ask::GenerateKeyPair(ask)))?;
    let Answer::PairMade(made) = made else {
        return Err(ClientError::Unexpected.into());
    };
    let (public, private) = (fetch(client, made.public)?, fetch(client, made.private)?);
    let text = format!(
        "made public key 0x{:016x} and private key 0x{:016x}",
        public.number, private.number
    );
    output.result(
        &text,
        json!({ "public_key": key_json(&public, true), "private_key": key_json(&private, true) }),
    );
    Ok(())
}

fn import(client: &Client, pem: &Import, output: &Output) -> Result<(), CliError> {
    let Import::Pem { path, label, key_type_class, attributes } = pem;
    let wrong = |what: &str| {
        let what = format!("{} holds no {what} in PEM", path.display());
        CliError::Failed(what)
    };
    let neither = || wrong("RSA or EC public key");
    let bytes = read(path)?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&bytes).map_err(|_error| neither())?;
    let base = template(label, attributes)?
        .with(Attribute::number(AttributeType::Class, ObjectClass::PublicKey.number()));
    let (class, template) = if let Ok(key) = ec::PublicKey::from_spki(&pem.contents) {
        let curve = match key.curve() {
            ec::Curve::P224 => Curve::P224,
            ec::Curve::P256 => Curve::P256,
            ec::Curve::P384 => Curve::P384,
            ec::Curve::P521 => Curve::P521,
            ec::Curve::Secp256k1 => Curve::Secp256k1,
        };
        let point = key.point().map_err(|_error| neither())?;
        let template = base
            .with(Attribute::number(AttributeType::KeyType, KeyType::Ec.number()))
            .with(Attribute::new(AttributeType::EcParams, curve.ec_params()))
            .with(Attribute::new(AttributeType::EcPoint, point));
        (KeyTypeClass::EcPublic, template)
    } else {
        let (modulus, exponent) =
            rsa::PublicKey::numbers_from_spki(&pem.contents).map_err(|_error| neither())?;
        let template = base
            .with(Attribute::number(AttributeType::KeyType, KeyType::Rsa.number()))
            .with(Attribute::new(AttributeType::Modulus, modulus))
            .with(Attribute::new(AttributeType::PublicExponent, exponent));
        (KeyTypeClass::RsaPublic, template)
    };
    match (key_type_class, class) {
        (Some(KeyTypeClass::EcPublic), KeyTypeClass::RsaPublic) => {
            return Err(wrong("EC public key"));
        }
        (Some(KeyTypeClass::RsaPublic), KeyTypeClass::EcPublic) => {
            return Err(wrong("RSA public key"));
        }
        _ => {}
    }
    let Answer::Made(made) = client.call(Ask::CreateObject(template))? else {
        return Err(ClientError::Unexpected.into());
    };
    let key = fetch(client, Some(made))?;
    let data = json!({ "key": key_json(&key, true), "message": "Successfully imported key" });
    output.result(&format!("imported key 0x{:016x}", key.number), data);
    Ok(())
}

fn list(
    client: &Client,
    filters: &[String],
    verbose: bool,
    page: (u64, u64),
    output: &Output,
) -> Result<(), CliError> {
    let (limit, after) = page;
    let template = filter(filters)?;
    let found = search(client, template.clone(), limit, after)?;
    let lines = found.objects.iter().map(|object| {
        let attributes = object.attributes.clone().unwrap_or_default();
        let label = attributes.bytes(AttributeType::Label).unwrap_or_default();
        let kind = attributes.key_type().ok().flatten().map_or("", KeyType::name);
        let class = attributes.find(AttributeType::Class).and_then(shown);
        let class =
            class.and_then(|(_, value)| value.as_str().map(ToOwned::to_owned)).unwrap_or_default();
        format!(
            "0x{:016x}  {class:<12} {kind:<15} {}",
            object.number,
            String::from_utf8_lossy(label)
        )
    });
    let mut text = lines.collect::<Vec<_>>().join("\n");
    let keys: Vec<Value> = found.objects.iter().map(|object| key_json(object, verbose)).collect();
    let mut data = json!({ "matched_keys": keys, "returned_key_count": found.objects.len() });
    if let Some(map) = data.as_object_mut() {
        let total = if output.is_json() { count(client, &template)? } else { 0 };
        map.insert("total_key_count".to_owned(), json!(total));
        if let Some(last) = found.objects.last().filter(|_| found.more) {
            map.insert("next_token".to_owned(), json!(last.number.to_string()));
            text = format!("{text}\nmore follow: --starting-token {}", last.number);
        }
    }
    output.result(if text.is_empty() { "no keys" } else { &text }, data);
    Ok(())
}

fn delete(client: &Client, filters: &[String], output: &Output) -> Result<(), CliError> {
    let key = one(client, filter(filters)?)?;
    let reference = ObjectReference { number: key.number, ..ObjectReference::default() };
    client.call(Ask::DestroyObject(reference))?;
    output.result(
        &format!("deleted key 0x{:016x}", key.number),
        json!({ "message": "Key deleted successfully" }),
    );
    Ok(())
}
