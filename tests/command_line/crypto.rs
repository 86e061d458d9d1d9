//! `casemate crypto …`: sign and verify, judged by OpenSSL where it knows the algorithm.

use crate::shell::Shell;

const PAIRS: [(&str, &str); 4] = [
    ("ec", "ec --curve prime256v1"),
    ("rsa", "rsa --modulus-size-bits 2048"),
    ("ed", "ec --curve ed25519"),
    ("ml", "ml-dsa --mldsa-algorithm ML-DSA-65"),
];

fn with_keys() -> Shell {
    let shell = Shell::start();
    for (label, kind) in PAIRS {
        let line = format!(
            "key generate-asymmetric-pair {kind} --public-label {label} --private-label {label}"
        );
        shell.run(&line).done();
    }
    shell.write("message", b"a message");
    shell.write("other", b"another message");
    shell
}

#[test]
fn every_algorithm_signs_and_verifies() {
    let shell = with_keys();
    for line in [
        "ecdsa --key-filter attr.label=ec",
        "ecdsa --hash-function sha384 --key-filter attr.label=ec",
        "rsa-pkcs --key-filter attr.label=rsa",
        "rsa-pkcs --hash-function sha512 --key-filter attr.label=rsa",
        "rsa-pkcs-pss --key-filter attr.label=rsa",
        "rsa-pkcs-pss --hash-function sha384 --mgf mgf1-sha384 --salt-length 20 --key-filter attr.label=rsa",
        "ed25519 --key-filter attr.label=ed",
        "ed25519ph --hash-function sha512 --data-type raw --key-filter attr.label=ed",
        "ml-dsa --hash-function shake256 --data-type raw --key-filter attr.label=ml",
    ] {
        shell
            .run(&format!("crypto sign {line} --data-path message --output-path signature"))
            .done();
        let verify = |data: &str| {
            shell
                .run(&format!("crypto verify {line} --data-path {data} --signature-path signature"))
        };
        assert_eq!(verify("message").done(), "Signature verified successfully\n");
        verify("other").refused("the signature is not valid");
    }
}

#[test]
fn data_and_signature_travel_in_base64_too() {
    let shell = with_keys();
    // "a message", and its SHA-256.
    let raw = "--data YSBtZXNzYWdl";
    let digest = "--data-type digest --data s/g7x5g51n0S8XX8xvS0KD+vHEyRl1cj0evX0GkZ6Bw=";
    shell.openssl("dgst -sha256 -binary -out digest message");
    let encoded = String::from_utf8(shell.openssl("base64 -A -in digest")).unwrap();
    let digest = digest.replace("s/g7x5g51n0S8XX8xvS0KD+vHEyRl1cj0evX0GkZ6Bw=", encoded.trim());
    let key = "ecdsa --key-filter attr.label=ec";
    let signed = shell.json(&format!("crypto sign {key} {raw}"));
    let signature = signed["signature"].as_str().unwrap();
    assert!(signed["key-reference"].as_str().unwrap().starts_with("0x"));
    shell.run(&format!("crypto verify {key} {digest} --signature {signature}")).done();
    let other = shell.run(&format!("crypto verify {key} --data YQ== --signature {signature}"));
    other.refused("the signature is not valid");
}

#[test]
fn openssl_verifies_what_was_signed() {
    let shell = with_keys();
    shell.run("crypto sign rsa-pkcs-pss --key-filter attr.label=rsa --data-path message --output-path signature").done();
    let key = shell.json("key list --verbose --filter attr.label=rsa attr.class=public-key");
    let modulus = key["matched_keys"][0]["attributes"]["modulus"].as_str().unwrap();
    let text = format!(
        "asn1=SEQUENCE:k\n[k]\na=SEQUENCE:a\np=BITWRAP,SEQUENCE:n\n[a]\no=OID:rsaEncryption\nn=NULL\n[n]\nm=INTEGER:{modulus}\ne=INTEGER:0x010001\n"
    );
    shell.write("key.cnf", text.as_bytes());
    shell.openssl("asn1parse -genconf key.cnf -noout -out key.der");
    let verified = shell.openssl("dgst -sha256 -sigopt rsa_padding_mode:pss -verify key.der -keyform DER -signature signature message");
    assert_eq!(verified, b"Verified OK\n");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let shell = with_keys();
    let sign = |line: &str| shell.run(&format!("crypto sign {line}"));
    sign("ecdsa --key-filter attr.label=ec").ended(2, "--data");
    sign("ecdsa --key-filter attr.label=ec --data ?").ended(2, "not base64");
    sign("ecdsa --key-filter attr.label=ec --data YQ== --data-type digest")
        .refused("the digest has 1 bytes, not 32");
    sign("ecdsa --key-filter attr.label=ec --data YQ== --mgf mgf1-sha1").ended(2, "rsa-pkcs-pss");
    sign("ecdsa --key-filter attr.label=ec --data YQ== --hash-function shake256")
        .ended(2, "ml-dsa");
    sign("ed25519 --key-filter attr.label=ed --data YQ== --data-type digest").ended(2, "messages");
    sign("ed25519 --key-filter attr.label=ed --data YQ== --hash-function sha1").ended(2, "its own");
    sign("ecdsa --key-filter attr.label=rsa --data YQ==").refused("key's type does not fit");
    sign("ecdsa --key-filter attr.label=none --data YQ==").refused("matched no key");
    sign("ecdsa --key-filter attr.label=ec --data-path nowhere").refused("nowhere: No such file");
    let verify = "crypto verify ecdsa --key-filter attr.label=ec --data YQ==";
    shell.run(verify).ended(2, "--signature");
    shell.run(&format!("{verify} --signature YQ==")).refused("the signature has a length");
}
