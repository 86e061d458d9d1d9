//! Writes the hand-made part of the corpora: one valid input of each kind, from which a fuzzer starts. Run from the repository's
//! root: `cargo run -p casemate-fuzz-properties --example seeds`.
#![expect(clippy::unwrap_used, reason = "a tool for developers fails by a panic")]

use std::path::Path;

use casemate_cluster::fuzzing::{FileKind, file_of};
use casemate_crypto::{ec, ed25519, rsa, x25519};
use casemate_protocol::mechanisms::{Functions, MECHANISMS, ParameterForm};
use casemate_protocol::messages::{
    Answer, Ask, Counter, DeriveKey, Ecdh, Eddsa, Empty, FindObjects, Gcm, GenerateKey,
    GenerateKeyPair, GetAttributes, Hkdf, MechanismUse, MlDsa, Oaep, ObjectAndTemplate,
    ObjectReference, Operation, Parameter, Pss, Reply, Request, ServerHello, UnwrapKey, Verify,
    WireError, WrapKey,
};
use casemate_protocol::{Attribute, AttributeType, Curve, Error, Template, frame};
use prost::Message as _;
use rcgen::{CertificateParams, DnType, KeyPair};

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new("fuzz/corpus").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}

fn parameter(form: ParameterForm) -> Option<Parameter> {
    Some(match form {
        ParameterForm::None
        | ParameterForm::Pbkdf2
        | ParameterForm::CounterKdf
        | ParameterForm::RsaAes => return None,
        ParameterForm::Iv => Parameter::Iv(vec![7; 16]),
        ParameterForm::Counter => Parameter::Counter(Counter { bits: 128, block: vec![7; 16] }),
        ParameterForm::Gcm => Parameter::Gcm(Gcm { iv: vec![7; 12], aad: vec![1], tag_bits: 128 }),
        ParameterForm::Oaep => Parameter::Oaep(Oaep { hash: 3, mgf: 3, label: vec![] }),
        ParameterForm::Pss => Parameter::Pss(Pss { hash: 3, mgf: 3, salt_bytes: 32 }),
        ParameterForm::Ecdh => {
            Parameter::Ecdh(Ecdh { kdf: 6, shared: vec![], public: vec![4; 32] })
        }
        ParameterForm::Eddsa => Parameter::Eddsa(Eddsa { prehashed: false, context: vec![] }),
        ParameterForm::MlDsa => Parameter::MlDsa(MlDsa { hedge: 0, context: vec![] }),
        ParameterForm::MacLength => Parameter::MacLength(16),
        ParameterForm::Hkdf => Parameter::Hkdf(Hkdf {
            extract: true,
            expand: true,
            hash: 3,
            salt: vec![1],
            salt_key: None,
            info: vec![2],
        }),
        ParameterForm::Data => Parameter::Data(vec![1; 16]),
        ParameterForm::Key => {
            Parameter::Key(ObjectReference { number: 1, ..ObjectReference::default() })
        }
    })
}

#[expect(clippy::too_many_lines, reason = "one request of each kind, one after the other")]
fn requests() {
    let template = || Template::default().with(Attribute::number(AttributeType::ValueLen, 32));
    let pair = || {
        Template::default().with(Attribute::new(AttributeType::EcParams, Curve::P256.ec_params()))
    };
    let write_ask = |name: &str, ask: Ask| {
        let bytes = Request { ask: Some(ask), ..Request::default() }.encode_to_vec();
        write("request", name, &[&[1][..], &bytes].concat());
    };
    // The keys of `OneHsm::with_keys`: secrets are 1 to 8, pairs from 9 on.
    for (at, row) in MECHANISMS.iter().enumerate() {
        let number = 1 + u64::try_from(at % 18).unwrap();
        let key = Some(ObjectReference { number, ..ObjectReference::default() });
        let mechanism = Some(MechanismUse {
            mechanism: row.mechanism.number(),
            parameter: parameter(row.parameter),
        });
        let operation = Operation {
            key: key.clone(),
            mechanism: mechanism.clone(),
            data: vec![7; 32].into(),
            ..Operation::default()
        };
        let has = |function| row.functions.contains(function);
        let ask = if has(Functions::GENERATE_KEY_PAIR) {
            Ask::GenerateKeyPair(GenerateKeyPair { mechanism, public: Some(pair()), private: None })
        } else if has(Functions::GENERATE) {
            Ask::GenerateKey(GenerateKey { mechanism, template: Some(template()) })
        } else if has(Functions::DERIVE) {
            Ask::DeriveKey(DeriveKey { base_key: key, mechanism, template: Some(template()) })
        } else if has(Functions::WRAP) && at % 2 == 0 {
            Ask::WrapKey(WrapKey { wrapping_key: key.clone(), mechanism, key })
        } else if has(Functions::UNWRAP) && at % 3 == 0 {
            let wrapped = vec![7; 40].into();
            let template = Some(template());
            Ask::UnwrapKey(UnwrapKey { unwrapping_key: key, mechanism, wrapped, template })
        } else if has(Functions::ENCRYPT) {
            Ask::Encrypt(operation)
        } else if has(Functions::SIGN) && at % 2 == 0 {
            let signature = vec![1; 64].into();
            Ask::Verify(Verify { operation: Some(operation), signature })
        } else {
            Ask::Sign(operation)
        };
        write_ask(row.name, ask);
    }
    let object = || Some(ObjectReference { number: 3, ..ObjectReference::default() });
    let change = || ObjectAndTemplate {
        object: object(),
        template: Some(Template::default().with(Attribute::new(AttributeType::Label, "x"))),
    };
    for (name, ask) in [
        ("ping", Ask::Ping(Empty {})),
        ("status", Ask::Status(Empty {})),
        ("users", Ask::ListUsers(Empty {})),
        ("random", Ask::Random(32)),
        ("size", Ask::ObjectSize(object().unwrap())),
        ("copy", Ask::CopyObject(change())),
        ("change", Ask::SetAttributes(change())),
        ("create", Ask::CreateObject(template().with(Attribute::number(AttributeType::Class, 4)))),
        (
            "attributes",
            Ask::GetAttributes(GetAttributes { object: object(), attributes: vec![3, 17] }),
        ),
        (
            "find",
            Ask::FindObjects(FindObjects {
                attributes: vec![3, 17],
                limit: 9,
                ..FindObjects::default()
            }),
        ),
    ] {
        write_ask(name, ask);
    }
}

fn wire() {
    for (name, more) in [("one", false), ("fragment", true)] {
        let header = frame::Header { length: 5, more, sequence: 9 }.encode().unwrap();
        write("frame", name, &[&header[..], b"hello"].concat());
    }
    let mut two = Vec::new();
    frame::write(&mut two, 1, b"one").unwrap();
    frame::write(&mut two, 2, b"two").unwrap();
    write("frame", "two", &two);
    let inner = Template::default().with(Attribute::flag(AttributeType::Sign, true));
    let all = Template::default()
        .with(Attribute::number(AttributeType::Class, 4))
        .with(Attribute::number(AttributeType::KeyType, 0x1f))
        .with(Attribute::new(AttributeType::Label, "a key"))
        .with(Attribute::new(AttributeType::StartDate, "20260101"))
        .with(Attribute::new(AttributeType::AllowedMechanisms, 0x1041_u64.to_be_bytes()))
        .with(Attribute::new(AttributeType::WrapTemplate, inner.encode_to_vec()));
    write("template", "nested", &all.encode_to_vec());
    write("template", "flag", &inner.encode_to_vec());
    write("template", "empty", &[]);
    for error in [Error::Busy(9), Error::AttributeReadOnly(3), Error::MechanismInvalid(7)] {
        let reply = Reply::error(error);
        write("reply", &format!("error-{}", error.code().0), &reply.encode_to_vec());
    }
    let unknown = WireError { code: 9_999, argument: 5, retry: 4 };
    write("reply", "unknown", &Reply::new(Answer::Error(unknown)).encode_to_vec());
    let hello =
        ServerHello { protocol: 1, lifecycle: 3, error: Some(unknown), ..ServerHello::default() };
    write("reply", "hello", &hello.encode_to_vec());
}

fn keys_and_certificates() {
    for (name, curve) in
        [("p256", ec::Curve::P256), ("p521", ec::Curve::P521), ("k1", ec::Curve::Secp256k1)]
    {
        let key = ec::PrivateKey::generate(curve).unwrap();
        write("import", &format!("{name}.pk8"), key.to_pkcs8().unwrap().expose());
        write("import", &format!("{name}.spki"), &key.public_key().unwrap().to_spki().unwrap());
    }
    let key = rsa::PrivateKey::generate(2_048, rsa::PUBLIC_EXPONENT).unwrap();
    write("import", "rsa.pk8", key.to_pkcs8().unwrap().expose());
    write("import", "rsa.spki", &key.public_key().to_spki().unwrap());
    let key = ed25519::PrivateKey::generate().unwrap();
    write("import", "ed25519.pk8", key.to_pkcs8().unwrap().expose());
    let key = x25519::PrivateKey::generate().unwrap();
    write("import", "x25519.pk8", key.to_pkcs8().unwrap().expose());
    let key = KeyPair::generate().unwrap();
    write("import", "p256.pem", key.serialize_pem().as_bytes());
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "cluster-aaaaaaaaaaaaaaaa");
    let certificate = params.self_signed(&key).unwrap();
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let twice = [&[127][..], certificate.pem().as_bytes(), certificate.pem().as_bytes()].concat();
    write("certificate", "twice", &twice);
    write("certificate", "one", &[&[255][..], certificate.pem().as_bytes()].concat());
    write("certificate", "request", &[&[0][..], request.as_bytes()].concat());
    for how in [0, 1, 2] {
        write("chain", &format!("replaced-{how}"), &[&[how][..], certificate.der()].concat());
    }
    write("chain", "behind", &[255, 0]);
    for how in [3, 4] {
        write("chain", &format!("changed-{how}"), &[how, 0, 40, 1, 0, 90, 128]);
    }
}

fn configurations() {
    let id = "cluster-aaaaaaaaaaaaaaaa";
    let whole = format!(
        "[cluster]\nid = \"{id}\"\naddresses = [\"127.0.0.1:2223\"]\nca = \"ca.pem\"\ncluster_key_sha256 = \"{}\"\n\n[client]\ndeadline_ms = 5\npolling_us = 9\nlog_file = 'x'\n",
        "0a".repeat(32)
    );
    write("configuration", "whole", whole.as_bytes());
    write("configuration", "unknown", b"[cluster]\naddresses = ['a:1']\nport = 3\n");
    write("configuration", "open", b"[cluster\n");
}

fn sealed() {
    for which in 0..4 {
        write("sealed", &format!("changed-{which}"), &[which, 0, 5, 1, 0, 80, 255]);
        write("sealed", &format!("same-{which}"), &[which]);
        write("sealed", &format!("other-{which}"), &[which, 255, 1, 2, 3]);
    }
    for which in [0, 3, 9] {
        write("log_entry", &format!("changed-{which}"), &[which, 0, 9, 4]);
        write("log_entry", &format!("same-{which}"), &[which]);
        write("log_entry", &format!("other-{which}"), &[which, 255, 0, 0]);
    }
    write("snapshot", "same", &[]);
    write("snapshot", "changed", &[0, 9, 1, 1, 0, 2]);
    for how in 128..132 {
        write("snapshot", &format!("how-{how}"), &[how, 1, 2, 3]);
    }
}

fn store() {
    let vote = br#"{"leader_id":{"term":1,"node_id":1},"committed":true}"#;
    let purge = br#"{"leader_id":{"term":1,"node_id":1},"index":3}"#;
    let record = |kind: u8, payload: &[u8]| {
        [&[kind, u8::try_from(payload.len()).unwrap()][..], payload].concat()
    };
    let file = |name: u8, how: u8, records: &[Vec<u8>]| {
        let count = u8::try_from(records.len()).unwrap();
        [&[name, how + 4 * count][..], &records.concat()].concat()
    };
    let mark = |known: u8| vec![6, 1 + 4 * known];
    let records = [record(2, vote), record(3, b"7"), record(2, vote)];
    write("store", "whole", &[file(0, 1, &records), mark(3)].concat());
    write("store", "doubtful", &[file(0, 1, &records), mark(1)].concat());
    write("store", "torn", &[file(0, 2, &records), vec![5], mark(2)].concat());
    write("store", "cut", &[file(0, 2, &records), vec![5], mark(3)].concat());
    write("store", "flipped", &[file(0, 3, &records), vec![200, 1], mark(2)].concat());
    write("store", "two", &[file(0, 1, &records), file(1, 1, &records[..1]), mark(1)].concat());
    write("store", "no-mark", &file(0, 1, &records));
    let meta = br#"{"last_log_id":{"leader_id":{"term":1,"node_id":1},"index":3},"last_membership":{"log_id":null,"membership":{"configs":[[1]],"nodes":{"1":{"addr":""}}}},"snapshot_id":"a"}"#;
    let snapshot = [record(5, meta), record(6, b"chunk"), record(7, b"")];
    let log = [record(2, vote), record(4, purge)];
    write("store", "snapshot", &[file(3, 1, &snapshot), file(0, 1, &log), mark(2)].concat());
    write("store", "last-number", &[file(2, 1, &records), mark(1)].concat());
    let largest = br#"{"leader_id":{"term":1,"node_id":1},"index":18446744073709551615}"#;
    write("store", "largest-purge", &[file(0, 1, &[record(4, largest)]), mark(1)].concat());
    write("store", "raw", &[&[0, 0, 40][..], &file_of(FileKind::Segment, 1, None, &[])].concat());
}

fn main() {
    requests();
    wire();
    keys_and_certificates();
    configurations();
    sealed();
    store();
}
