//! `casemate crypto …`: sign and verify.

use casemate_client::{Client, ClientError};
use casemate_crypto::{Hash, digest};
use casemate_protocol::messages::{
    Answer, Ask, MechanismUse, ObjectReference, Operation, Parameter, Part, Pss, Verify,
};
use casemate_protocol::{Attribute, AttributeType, Hash as WireHash, Mechanism, ObjectClass};
use serde_json::json;

use crate::arguments::{Algorithm, Crypto, HashName, Sign};
use crate::credentials::log_in;
use crate::error::{CliError, read, write};
use crate::key::{filter, one};
use crate::output::Output;

/// Runs a command of the group.
pub(crate) fn run(command: Crypto, output: &Output) -> Result<(), CliError> {
    let client = log_in(None)?;
    let result = match command {
        Crypto::Sign(arguments) => sign(&client, &arguments, output),
        Crypto::Verify { sign, signature_path } => {
            verify(&client, &sign, &read(&signature_path)?, output)
        }
    };
    // The log-in ends with the command whether or not the HSM could be told: its ticket is kept nowhere.
    let _ended = client.log_out().is_ok();
    result
}

const fn hashes(name: HashName) -> (Hash, WireHash) {
    match name {
        HashName::Sha1 => (Hash::Sha1, WireHash::Sha1),
        HashName::Sha224 => (Hash::Sha224, WireHash::Sha224),
        HashName::Sha256 => (Hash::Sha256, WireHash::Sha256),
        HashName::Sha384 => (Hash::Sha384, WireHash::Sha384),
        HashName::Sha512 => (Hash::Sha512, WireHash::Sha512),
    }
}

const fn mechanism(algorithm: Algorithm, hash: HashName) -> Mechanism {
    match (algorithm, hash) {
        (Algorithm::Ecdsa, HashName::Sha1) => Mechanism::EcdsaSha1,
        (Algorithm::Ecdsa, HashName::Sha224) => Mechanism::EcdsaSha224,
        (Algorithm::Ecdsa, HashName::Sha256) => Mechanism::EcdsaSha256,
        (Algorithm::Ecdsa, HashName::Sha384) => Mechanism::EcdsaSha384,
        (Algorithm::Ecdsa, HashName::Sha512) => Mechanism::EcdsaSha512,
        (Algorithm::RsaPkcs, HashName::Sha1) => Mechanism::Sha1RsaPkcs,
        (Algorithm::RsaPkcs, HashName::Sha224) => Mechanism::Sha224RsaPkcs,
        (Algorithm::RsaPkcs, HashName::Sha256) => Mechanism::Sha256RsaPkcs,
        (Algorithm::RsaPkcs, HashName::Sha384) => Mechanism::Sha384RsaPkcs,
        (Algorithm::RsaPkcs, HashName::Sha512) => Mechanism::Sha512RsaPkcs,
        (Algorithm::RsaPkcsPss, _) => Mechanism::RsaPkcsPss,
        (Algorithm::Ed25519, _) => Mechanism::Eddsa,
        (Algorithm::MlDsa, _) => Mechanism::MlDsa,
    }
}

fn operation(client: &Client, arguments: &Sign, class: ObjectClass) -> Result<Operation, CliError> {
    let key = filter(&arguments.key_filter)?
        .with(Attribute::number(AttributeType::Class, class.number()));
    let key = one(client, key)?;
    let message = read(&arguments.data_path)?;
    let (hash, wire) = hashes(arguments.hash_function);
    let prehashed = matches!(
        arguments.algorithm,
        Algorithm::Ecdsa | Algorithm::RsaPkcs | Algorithm::RsaPkcsPss
    );
    let data = if prehashed { digest::hash(hash, &message).as_ref().to_vec() } else { message };
    let salt_bytes = u64::try_from(hash.output_bytes()).unwrap_or(0);
    let parameter = (arguments.algorithm == Algorithm::RsaPkcsPss)
        .then(|| Parameter::Pss(Pss { hash: wire.number(), mgf: wire.number(), salt_bytes }));
    let mechanism = mechanism(arguments.algorithm, arguments.hash_function).number();
    Ok(Operation {
        key: Some(ObjectReference { number: key.number, ..ObjectReference::default() }),
        mechanism: Some(MechanismUse { mechanism, parameter }),
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
        None => base64(&signature.data),
    };
    let data = json!({ "key-reference": format!("0x{reference:016x}"), "signature": base64(&signature.data) });
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

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, &byte| (word << 8) | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = usize::try_from((word >> (18 - 6 * place)) & 63).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(LETTERS[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
