//! `casemate key …`.

use crate::shell::Shell;

#[test]
fn keys_are_made_listed_and_deleted() {
    let shell = Shell::start();
    let aes = shell.json("key generate-symmetric aes --label aes --key-length-bytes 32");
    let attributes = &aes["key"]["attributes"];
    assert_eq!(attributes["class"], "secret-key");
    assert_eq!(attributes["key-type"], "aes");
    assert_eq!(attributes["sensitive"], true);
    assert_eq!(attributes["extractable"], false);
    assert_eq!(attributes["key-length-bytes"], 32);
    let reference = aes["key"]["key-reference"].as_str().unwrap();
    assert_eq!(reference.len(), "0x0000000000000000".len());
    shell.run("key generate-symmetric generic-secret --label s --key-length-bytes 64").done();
    let found = shell.json(&format!("key list --filter key-reference={reference}"));
    assert_eq!(found["matched_keys"][0]["attributes"], serde_json::json!({ "label": "aes" }));
    assert_eq!(found["total_key_count"], 1);
    let wrong = shell.run("key generate-symmetric aes --label x --key-length-bytes 17");
    wrong.refused("out of range");
    let exportable = "key generate-symmetric aes --label out --key-length-bytes 16 --attributes extractable=true";
    let out = shell.json(exportable);
    assert_eq!(out["key"]["attributes"]["extractable"], true);
    shell.run("key delete --filter attr.label=aes").done();
    shell.run("key delete --filter attr.label=aes").refused("matched no key");
}

#[test]
fn pairs_of_every_kind_are_made() {
    let shell = Shell::start();
    let pair = |kind: &str, label: &str| {
        let line = format!(
            "key generate-asymmetric-pair {kind} --public-label {label} --private-label {label}"
        );
        shell.json(&line)
    };
    for curve in
        ["prime256v1", "secp224r1", "secp384r1", "secp521r1", "secp256k1", "ed25519", "x25519"]
    {
        let made = pair(&format!("ec --curve {curve}"), curve);
        assert_eq!(made["public_key"]["attributes"]["curve"], curve);
        assert_eq!(made["private_key"]["attributes"]["class"], "private-key");
    }
    let made = pair("ec --curve secp256r1", "aws");
    assert_eq!(made["public_key"]["attributes"]["curve"], "prime256v1");
    let made = pair("rsa --modulus-size-bits 2048", "rsa");
    assert_eq!(made["public_key"]["attributes"]["public-exponent"], "0x010001");
    pair("ml-dsa --mldsa-algorithm ML-DSA-44", "ml");
    let twice = shell.run("key delete --filter attr.label=rsa");
    twice.refused("Key selection criteria matched 2 keys. Refine selection criteria");
    let line = "key generate-asymmetric-pair ec --curve nist --public-label x --private-label x";
    shell.run(line).ended(2, "there is no curve nist");
}

#[test]
fn a_list_goes_on_where_its_page_ended() {
    let shell = Shell::start();
    for number in 0..5 {
        let line =
            format!("key generate-symmetric aes --label page-{number} --key-length-bytes 16");
        shell.run(&line).done();
    }
    let first = shell.json("key list --max-items 3");
    assert_eq!(first["returned_key_count"], 3);
    assert_eq!(first["total_key_count"], 5);
    let token = first["next_token"].as_str().unwrap();
    let text = shell.run("key list --max-items 3").done();
    assert!(text.contains(&format!("more follow: --starting-token {token}")), "{text}");
    let second = shell.json(&format!("key list --max-items 3 --starting-token {token}"));
    assert_eq!(second["returned_key_count"], 2);
    assert!(second.get("next_token").is_none());
    let verbose = shell.json("key list --verbose --filter attr.label=page-0 attr.class=secret-key");
    let owner = &verbose["matched_keys"][0]["key-info"]["key-owners"][0]["username"];
    assert_eq!(owner, "app");
    assert_eq!(shell.run("key list --filter attr.label=nowhere").done(), "no keys\n");
}

#[test]
fn public_keys_are_imported() {
    let shell = Shell::start();
    shell.openssl("ecparam -name prime256v1 -genkey -noout -out ec.pem");
    shell.openssl("ec -in ec.pem -pubout -out ec.pub");
    shell.openssl("genrsa -out rsa.pem 2048");
    shell.openssl("rsa -in rsa.pem -pubout -out rsa.pub");
    let ec = shell.json("key import pem --path ec.pub --label ec --key-type-class ec-public");
    assert_eq!(ec["key"]["attributes"]["curve"], "prime256v1");
    assert_eq!(ec["message"], "Successfully imported key");
    let rsa = "key import pem --path rsa.pub --label rsa --key-type-class";
    shell.run(&format!("{rsa} ec-public")).refused("rsa.pub holds no EC public key");
    shell.run(&format!("{rsa} rsa-public")).done();
    shell
        .run("key import pem --path rsa.pem --label no")
        .refused("holds no RSA or EC public key");
    shell.run("key import pem --path nowhere --label no").refused("nowhere: No such file");
    // What was signed outside verifies inside.
    shell.write("message", b"a message");
    shell.openssl("dgst -sha256 -sign rsa.pem -out signature message");
    let verify = "crypto verify rsa-pkcs --key-filter attr.label=rsa --data-path message --signature-path signature";
    shell.run(verify).done();
}

#[test]
fn filters_and_attributes_are_checked() {
    let shell = Shell::start();
    let aes = "key generate-symmetric aes --label x --key-length-bytes 16 --attributes";
    shell.run(&format!("{aes} colour=red")).ended(2, "there is no attribute colour");
    shell
        .run(&format!("{aes} extractable=maybe"))
        .ended(2, "maybe is not a value for extractable");
    shell.run(&format!("{aes} extractable")).ended(2, "is not NAME=VALUE");
    shell.run("key list --filter label=x").ended(2, "is not attr.NAME=VALUE");
    shell.run("key list --filter key-reference=zz").ended(2, "zz is not a key reference");
    shell.run("key delete").ended(2, "--filter");
}
