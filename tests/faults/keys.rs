//! What a test asks of keys: make, find, label, use, delete.

use casemate_client::{Client, ClientError};
use casemate_protocol::messages::{
    Answer, Ask, FindObjects, GenerateKey, GenerateKeyPair, MadeObject, MechanismUse,
    ObjectAndTemplate, ObjectReference, Operation, Part, Verify,
};
use casemate_protocol::{Attribute, AttributeType, Curve, Mechanism, Template};

/// A token object as a search shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) label: String,
}

fn template(label: &str) -> Template {
    Template::default()
        .with(Attribute::flag(AttributeType::Token, true))
        .with(Attribute::new(AttributeType::Label, label.as_bytes()))
}

fn plain(mechanism: Mechanism) -> Option<MechanismUse> {
    Some(MechanismUse { mechanism: mechanism.number(), parameter: None })
}

fn number(made: Option<MadeObject>) -> u64 {
    made.and_then(|made| made.object).unwrap().number
}

fn reference(number: u64) -> Option<ObjectReference> {
    Some(ObjectReference { number, ..ObjectReference::default() })
}

/// Makes an AES key; returns its number.
pub(crate) fn make(client: &Client, label: &str) -> Result<u64, ClientError> {
    let template = template(label).with(Attribute::number(AttributeType::ValueLen, 32));
    let ask = GenerateKey { mechanism: plain(Mechanism::AesKeyGen), template: Some(template) };
    match client.call(Ask::GenerateKey(ask))? {
        Answer::Made(made) => Ok(number(Some(made))),
        _ => Err(ClientError::Unexpected),
    }
}

/// Makes a P-256 pair; returns the numbers of its public and its private key.
pub(crate) fn make_pair(client: &Client, label: &str) -> Result<(u64, u64), ClientError> {
    let public =
        template(label).with(Attribute::new(AttributeType::EcParams, Curve::P256.ec_params()));
    let ask = GenerateKeyPair {
        mechanism: plain(Mechanism::EcKeyPairGen),
        public: Some(public),
        private: Some(template(label)),
    };
    match client.call(Ask::GenerateKeyPair(ask))? {
        Answer::PairMade(made) => Ok((number(made.public), number(made.private))),
        _ => Err(ClientError::Unexpected),
    }
}

/// Gives an object another label.
pub(crate) fn label(client: &Client, object: u64, label: &str) -> Result<(), ClientError> {
    let template = Template::default().with(Attribute::new(AttributeType::Label, label.as_bytes()));
    let ask = ObjectAndTemplate { object: reference(object), template: Some(template) };
    client.call(Ask::SetAttributes(ask)).map(drop)
}

/// Deletes an object.
pub(crate) fn delete(client: &Client, object: u64) -> Result<(), ClientError> {
    client
        .call(Ask::DestroyObject(ObjectReference { number: object, ..ObjectReference::default() }))
        .map(drop)
}

/// Returns all objects that there are.
pub(crate) fn all(client: &Client) -> Result<Vec<Seen>, ClientError> {
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let ask = FindObjects {
            template: Some(Template::default()),
            after,
            limit: 0,
            attributes: vec![AttributeType::Label.number()],
        };
        let Answer::Found(found) = client.call(Ask::FindObjects(ask))? else {
            return Err(ClientError::Unexpected);
        };
        for object in found.objects {
            let attributes = object.attributes.unwrap_or_default();
            let label = attributes.bytes(AttributeType::Label).unwrap_or_default();
            let label = String::from_utf8_lossy(label).into_owned();
            after = object.number;
            seen.push(Seen { number: object.number, label });
        }
        if !found.more {
            return Ok(seen);
        }
    }
}

fn operation(key: u64, mechanism: Mechanism, data: &[u8]) -> Operation {
    Operation {
        key: reference(key),
        mechanism: plain(mechanism),
        data: data.to_vec().into(),
        part: Part::Whole as u32,
        ..Operation::default()
    }
}

/// Signs with the private key of a pair and verifies with the public one.
pub(crate) fn sign(client: &Client, (public, private): (u64, u64)) -> Result<(), ClientError> {
    let digest = [0x5a; 32];
    let ask = operation(private, Mechanism::EcdsaSha256, &digest);
    let Answer::Data(signature) = client.call(Ask::Sign(ask))? else {
        return Err(ClientError::Unexpected);
    };
    let operation = Some(operation(public, Mechanism::EcdsaSha256, &digest));
    client.call(Ask::Verify(Verify { operation, signature: signature.data })).map(drop)
}

/// Uses an AES key.
pub(crate) fn encrypt(client: &Client, key: u64) -> Result<(), ClientError> {
    let ask = operation(key, Mechanism::AesEcb, &[0x5a; 16]);
    match client.call(Ask::Encrypt(ask))? {
        Answer::Data(data) if data.data.len() == 16 => Ok(()),
        _ => Err(ClientError::Unexpected),
    }
}
