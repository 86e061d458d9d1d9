//! `casemate crypto …`: sign and verify.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use casemate_client::{Client, ClientError};
use casemate_crypto::{Hash, digest};
use casemate_protocol::messages::{
    Answer, Ask, Eddsa, MechanismUse, ObjectReference, Operation, Parameter, Part, Pss, Verify,
};
use casemate_protocol::{Attribute, AttributeType, Hash as WireHash, Mechanism, ObjectClass};
use serde_json::json;

use crate::arguments::{Algorithm, Crypto, DataType, HashName, MgfName, Sign};
use crate::credentials::log_in;
use crate::error::{CliError, read, write};
use crate::key::{filter, one};
use crate::output::Output;

/// Runs a command of the group.
pub(crate) fn run(command: Crypto, output: &Output) -> Result<(), CliError> {
    let client = log_in(None, output)?;
    let result = match command {
        Crypto::Sign(arguments) => sign(&client, &arguments, output),
        Crypto::Verify { sign, signature, signature_path } => {
            given(signature.as_ref(), signature_path.as_ref())
                .and_then(|signature| verify(&client, &sign, &signature, output))
        }
    };
    // The log-in ends with the command whether or not the HSM could be told: its ticket is kept nowhere.
    let _ended = client.log_out().is_ok();
    result
}

fn usage(text: &str) -> CliError {
    CliError::Usage(text.to_owned())
}

/// The hash of the message: what is given, or what the algorithm has.
fn hash_of(arguments: &Sign) -> Result<(Hash, WireHash), CliError> {
    let given = arguments.hash_function;
    let name = match (arguments.algorithm, given) {
        (Algorithm::MlDsa, None | Some(HashName::Shake256)) => HashName::Sha256,
        (Algorithm::Ed25519ph, None | Some(HashName::Sha512)) => HashName::Sha512,
        (Algorithm::MlDsa | Algorithm::Ed25519 | Algorithm::Ed25519ph, Some(_)) => {
            return Err(usage("the algorithm has another hash function, or one of its own"));
        }
        (_, given) => given.unwrap_or(HashName::Sha256),
    };
    Ok(match name {
        HashName::Sha1 => (Hash::Sha1, WireHash::Sha1),
        HashName::Sha224 => (Hash::Sha224, WireHash::Sha224),
        HashName::Sha256 => (Hash::Sha256, WireHash::Sha256),
        HashName::Sha384 => (Hash::Sha384, WireHash::Sha384),
        HashName::Sha512 => (Hash::Sha512, WireHash::Sha512),
        HashName::Shake256 => return Err(usage("shake256 is for ml-dsa only")),
    })
}

const fn mgf_of(name: MgfName) -> WireHash {
    match name {
        MgfName::Mgf1Sha1 => WireHash::Sha1,
        MgfName::Mgf1Sha224 => WireHash::Sha224,
        MgfName::Mgf1Sha256 => WireHash::Sha256,
        MgfName::Mgf1Sha384 => WireHash::Sha384,
        MgfName::Mgf1Sha512 => WireHash::Sha512,
    }
}

const fn mechanism(algorithm: Algorithm, hash: Hash) -> Option<Mechanism> {
    Some(match (algorithm, hash) {
        (Algorithm::Ecdsa, Hash::Sha1) => Mechanism::EcdsaSha1,
        (Algorithm::Ecdsa, Hash::Sha224) => Mechanism::EcdsaSha224,
        (Algorithm::Ecdsa, Hash::Sha256) => Mechanism::EcdsaSha256,
        (Algorithm::Ecdsa, Hash::Sha384) => Mechanism::EcdsaSha384,
        (Algorithm::Ecdsa, Hash::Sha512) => Mechanism::EcdsaSha512,
        (Algorithm::RsaPkcs, Hash::Sha1) => Mechanism::Sha1RsaPkcs,
        (Algorithm::RsaPkcs, Hash::Sha224) => Mechanism::Sha224RsaPkcs,
        (Algorithm::RsaPkcs, Hash::Sha256) => Mechanism::Sha256RsaPkcs,
        (Algorithm::RsaPkcs, Hash::Sha384) => Mechanism::Sha384RsaPkcs,
        (Algorithm::RsaPkcs, Hash::Sha512) => Mechanism::Sha512RsaPkcs,
        (Algorithm::RsaPkcsPss, _) => Mechanism::RsaPkcsPss,
        (Algorithm::Ed25519 | Algorithm::Ed25519ph, _) => Mechanism::Eddsa,
        (Algorithm::MlDsa, _) => Mechanism::MlDsa,
        (Algorithm::Ecdsa | Algorithm::RsaPkcs, _) => return None,
    })
}

/// Bytes that were given in base64, or as a file.
fn given(text: Option<&String>, path: Option<&PathBuf>) -> Result<Vec<u8>, CliError> {
    match (text, path) {
        (Some(text), _) => {
            BASE64.decode(text).map_err(|cause| usage(&format!("not base64: {cause}")))
        }
        (None, Some(path)) => read(path),
        (None, None) => Err(usage("neither the bytes nor a file are given")),
    }
}

/// What is sent to be signed: the message where the algorithm hashes inside, its digest elsewhere.
fn data_of(arguments: &Sign, hash: Hash) -> Result<Vec<u8>, CliError> {
    let data = given(arguments.data.as_ref(), arguments.data_path.as_ref())?;
    let hashes_inside = matches!(arguments.algorithm, Algorithm::Ed25519 | Algorithm::MlDsa);
    match (arguments.data_type, hashes_inside) {
        (DataType::Raw, true) => Ok(data),
        (DataType::Raw, false) => Ok(digest::hash(hash, &data).as_ref().to_vec()),
        (DataType::Digest, false) if data.len() == hash.output_bytes() => Ok(data),
        (DataType::Digest, false) => Err(CliError::Failed(format!(
            "the digest has {} bytes, not {}",
            data.len(),
            hash.output_bytes()
        ))),
        (DataType::Digest, true) => Err(usage("the algorithm signs messages, not digests")),
    }
}

fn parameter(arguments: &Sign, hash: Hash, wire: WireHash) -> Option<Parameter> {
    match arguments.algorithm {
        Algorithm::RsaPkcsPss => Some(Parameter::Pss(Pss {
            hash: wire.number(),
            mgf: arguments.mgf.map_or(wire, mgf_of).number(),
            salt_bytes: arguments
                .salt_length
                .unwrap_or_else(|| u64::try_from(hash.output_bytes()).unwrap_or(0)),
        })),
        Algorithm::Ed25519ph => {
            Some(Parameter::Eddsa(Eddsa { prehashed: true, context: Vec::new() }))
        }
        Algorithm::Ecdsa | Algorithm::RsaPkcs | Algorithm::Ed25519 | Algorithm::MlDsa => None,
    }
}

fn operation(client: &Client, arguments: &Sign, class: ObjectClass) -> Result<Operation, CliError> {
    if arguments.algorithm != Algorithm::RsaPkcsPss
        && (arguments.mgf.is_some() || arguments.salt_length.is_some())
    {
        return Err(usage("--mgf and --salt-length are for rsa-pkcs-pss"));
    }
    let (hash, wire) = hash_of(arguments)?;
    let mechanism =
        mechanism(arguments.algorithm, hash).ok_or_else(|| usage("no such hash function"))?;
    let data = data_of(arguments, hash)?;
    let key = filter(&arguments.key_filter)?
        .with(Attribute::number(AttributeType::Class, class.number()));
    let key = one(client, key)?;
    Ok(Operation {
        key: Some(ObjectReference { number: key.number, ..ObjectReference::default() }),
        mechanism: Some(MechanismUse {
            mechanism: mechanism.number(),
            parameter: parameter(arguments, hash, wire),
        }),
        data: data.into(),
        part: Part::Whole as u32,
        ..Operation::default()
    })
}

fn sign(client: &Client, arguments: &Sign, output: &Output) -> Result<(), CliError> {
    let operation = operation(client, arguments, ObjectClass::PrivateKey)?;
    let reference = operation.key.as_ref().map_or(0, |key| key.number);
    let Answer::Data(signature) = client.call(Ask::Sign(operation))? else {
        return Err(ClientError::Unexpected.into());
    };
    let text = match &arguments.output_path {
        Some(path) => {
            write(path, &signature.data)?;
            format!("{} holds the signature", path.display())
        }
        None => BASE64.encode(&signature.data),
    };
    let data = json!({ "key-reference": format!("0x{reference:016x}"), "signature": BASE64.encode(&signature.data) });
    output.result(&text, data);
    Ok(())
}

fn verify(
    client: &Client,
    arguments: &Sign,
    signature: &[u8],
    output: &Output,
) -> Result<(), CliError> {
    let operation = operation(client, arguments, ObjectClass::PublicKey)?;
    let ask = Verify { operation: Some(operation), signature: signature.to_vec().into() };
    client.call(Ask::Verify(ask))?;
    output.result(
        "Signature verified successfully",
        json!({ "message": "Signature verified successfully" }),
    );
    Ok(())
}
