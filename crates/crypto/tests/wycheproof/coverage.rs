//! Every file of Wycheproof is run by a test beside this one, or is listed with the reason why not.

use crate::files::{FORMS, SKIPPED, all};

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

#[test]
fn every_file_is_run_or_says_why_not() {
    for name in all() {
        let walked = WALKED.iter().any(|family| name.starts_with(&format!("{family}/")));
        if walked || RUN.contains(&name.as_str()) {
            continue;
        }
        let skipped = SKIPPED.iter().chain(FORMS).find(|(part, _)| name.contains(part));
        let reason = skipped.map(|(_, reason)| reason);
        assert!(reason.is_some(), "{name} is run nowhere, without a reason");
        println!("{name}: 0 ran, skipped whole: {}", reason.unwrap_or(&""));
    }
}
