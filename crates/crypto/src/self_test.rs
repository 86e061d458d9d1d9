//! Power-on self-tests: a known answer per algorithm (FIPS 140-3, ISO/IEC 19790 §7.10).
//!
//! They run before the module serves anything. The answers are the standards' own where they are short enough to
//! print; signatures whose randomness cannot be fixed are verified from a known one, and made and verified.

use crate::aes::{CmacState, Key as AesKey};
use crate::digest::Hash;
use crate::{Error, digest, ec, ed25519, hmac, kdf, ml_dsa, ml_kem, rsa, x25519};

/// One self-test: the algorithm's name, and what must hold.
struct Test {
    name: &'static str,
    run: fn() -> Result<bool, Error>,
}

const TESTS: &[Test] = &[
    Test { name: "SHA-1", run: sha_1 },
    Test { name: "SHA-2", run: sha_2 },
    Test { name: "SHA-3", run: sha_3 },
    Test { name: "HMAC", run: hmac_sha_256 },
    Test { name: "AES", run: aes },
    Test { name: "AES-GCM", run: aes_gcm },
    Test { name: "AES-CMAC", run: aes_cmac },
    Test { name: "AES key wrap", run: aes_key_wrap },
    Test { name: "HKDF", run: hkdf },
    Test { name: "PBKDF2", run: pbkdf2 },
    Test { name: "SP 800-108 counter KDF", run: counter_kdf },
    Test { name: "ECDSA and ECDH", run: ec_pairs },
    Test { name: "Ed25519", run: ed25519_rfc_8032 },
    Test { name: "X25519", run: x25519_rfc_7748 },
    Test { name: "ML-DSA", run: ml_dsa_pairs },
    Test { name: "ML-KEM", run: ml_kem_pairs },
    Test { name: "RSA", run: rsa_pair },
];

/// Runs every self-test.
///
/// # Errors
/// [`Error::SelfTest`] names the algorithm that failed.
pub fn run() -> Result<(), Error> {
    for test in TESTS {
        #[cfg(feature = "testing")]
        if std::env::var("CASEMATE_FAIL_SELF_TEST").is_ok_and(|name| name == test.name) {
            return Err(Error::SelfTest(test.name));
        }
        if (test.run)() != Ok(true) {
            return Err(Error::SelfTest(test.name));
        }
    }
    Ok(())
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.filter_map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?)).collect()
}

fn sha_1() -> Result<bool, Error> {
    let right = hex("a9993e364706816aba3e25717850c26c9cd0d89d");
    Ok(digest::hash(Hash::Sha1, b"abc").as_ref() == right)
}

fn sha_2() -> Result<bool, Error> {
    let answers = [
        (Hash::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Hash::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            Hash::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    Ok(answers.iter().all(|(hash, right)| digest::hash(*hash, b"abc").as_ref() == hex(right)))
}

fn sha_3() -> Result<bool, Error> {
    let right = hex("3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
    Ok(digest::hash(Hash::Sha3_256, b"abc").as_ref() == right)
}

/// RFC 4231, test case 2.
fn hmac_sha_256() -> Result<bool, Error> {
    let tag = hmac::sign(Hash::Sha256, b"Jefe", &[b"what do ya want for nothing?"]);
    let right = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    Ok(tag.as_ref() == right)
}

/// FIPS 197, appendix C.
fn aes() -> Result<bool, Error> {
    let block = hex("00112233445566778899aabbccddeeff");
    let all: Vec<u8> = (0..32).collect();
    let answers = [
        (16, "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (24, "dda97ca4864cdfe06eaf70a0ec0d7191"),
        (32, "8ea2b7ca516745bfeafc49904b496089"),
    ];
    for (length, right) in answers {
        let key = AesKey::new(&all[..length])?;
        let encrypted = key.encrypt_ecb(&block)?;
        if encrypted != hex(right) || key.decrypt_ecb(&encrypted)? != block {
            return Ok(false);
        }
        if key.encrypt_cbc(&[0; 16], &block)? != encrypted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// McGrew and Viega, test case 14.
fn aes_gcm() -> Result<bool, Error> {
    let key = AesKey::new(&[0; 32])?;
    let sealed = key.gcm()?.seal_with_iv(&[0; 12], &[], &[0; 16], 16)?;
    let right = hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    let opened = key.gcm()?.open(&[0; 12], &[], &sealed, 16)?;
    Ok(sealed == right && opened.expose() == [0; 16])
}

/// SP 800-38B, appendix D.1, example 2.
fn aes_cmac() -> Result<bool, Error> {
    let key = AesKey::new(&hex("2b7e151628aed2a6abf7158809cf4f3c"))?;
    let message = hex("6bc1bee22e409f96e93d7e117393172a");
    let mut state = CmacState::default();
    state.update(&key, &message[..5]);
    let mut state = CmacState::import(&state.export())?;
    state.update(&key, &message[5..]);
    let right = hex("070a16b46b4d4144f79bdd9dd04a287c");
    Ok(state.finish(&key).as_slice() == right && key.cmac(&message).as_slice() == right)
}

/// RFC 3394 §4.1 and RFC 5649 §6.
fn aes_key_wrap() -> Result<bool, Error> {
    let key = AesKey::new(&hex("000102030405060708090a0b0c0d0e0f"))?;
    let data = hex("00112233445566778899aabbccddeeff");
    let wrapped = key.wrap(None, &data)?;
    let right = wrapped == hex("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
    let key_192 = AesKey::new(&hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"))?;
    let padded = key_192.wrap_padded(&hex("466f7250617369"))?;
    let right_padded = padded == hex("afbeb0f07dfbf5419200f2ccb50bb24f");
    Ok(right && right_padded && key.unwrap(None, &wrapped)?.expose() == data)
}

/// RFC 5869, test case 1.
fn hkdf() -> Result<bool, Error> {
    let salt = hex("000102030405060708090a0b0c");
    let key = kdf::hkdf_extract(Hash::Sha256, &salt, &[0x0b; 22]);
    let out = kdf::hkdf_expand(Hash::Sha256, key.expose(), &hex("f0f1f2f3f4f5f6f7f8f9"), 42)?;
    let right =
        hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    Ok(out.expose() == right)
}

/// RFC 6070's second case, with SHA-256 (widely published).
fn pbkdf2() -> Result<bool, Error> {
    let mut out = [0; 32];
    kdf::pbkdf2(Hash::Sha256, b"password", b"salt", 2, &mut out)?;
    let right = hex("ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43");
    Ok(out.as_slice() == right)
}

/// The two ways to the same bytes: the general one and the one that sealing uses.
fn counter_kdf() -> Result<bool, Error> {
    let fields = [
        kdf::Field::Counter { width_bytes: 4, little_endian: false },
        kdf::Field::Bytes(b"label\0context".to_vec()),
    ];
    let general = kdf::counter(kdf::Prf::Hmac(Hash::Sha512), &[7; 32], &fields, 100)?;
    let mut out = [0; 100];
    kdf::counter_hmac(Hash::Sha512, &[7; 32], b"label", b"context", &mut out);
    let first = hmac::sign(Hash::Sha512, &[7; 32], &[&[0, 0, 0, 1], b"label\0context"]);
    Ok(general.expose() == out && out[..64] == *first.as_ref())
}

fn ec_pairs() -> Result<bool, Error> {
    // RFC 6979, appendix A.2.5: the key, and its signature of "sample" with SHA-256.
    let scalar = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let key = ec::PrivateKey::from_scalar(ec::Curve::P256, &scalar)?;
    let digest = digest::hash(Hash::Sha256, b"sample");
    let known = hex(concat!(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ));
    let public = key.public_key()?;
    public.verify(digest.as_ref(), &known)?;
    public.verify(digest.as_ref(), key.sign(digest.as_ref())?.as_ref())?;
    let other = ec::PrivateKey::from_scalar(ec::Curve::P256, &[7])?;
    let (ours, theirs) = (key.agree(&other.public_key()?)?, other.agree(&public)?);
    Ok(ours.expose() == theirs.expose() && public.verify(&[1; 32], &known).is_err())
}

/// RFC 8032 §7.1, test 1.
fn ed25519_rfc_8032() -> Result<bool, Error> {
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let seed = seed.as_slice().try_into().map_err(|_error| Error::KeyLength)?;
    let key = ed25519::PrivateKey::from_seed(seed);
    let right = hex(concat!(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ));
    Ok(key.sign(ed25519::Scheme::Pure, b"")?.as_slice() == right)
}

/// RFC 7748 §5.2, the first vector.
fn x25519_rfc_7748() -> Result<bool, Error> {
    let read = |text: &str| <[u8; 32]>::try_from(hex(text)).map_err(|_error| Error::KeyLength);
    let scalar = read("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")?;
    let point = read("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")?;
    let right = hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    let key = x25519::PrivateKey::from_bytes(&scalar);
    Ok(key.agree(&point)?.expose() == right && key.agree(&[0; 32]).is_err())
}

fn ml_dsa_pairs() -> Result<bool, Error> {
    let set = ml_dsa::ParameterSet::MlDsa44;
    let key = ml_dsa::PrivateKey::from_seed(set, &[7; 32])?;
    let public = ml_dsa::PublicKey::new(set, &key.public_key()?)?;
    let signature = key.sign(b"context", b"message")?;
    public.verify(b"context", b"message", &signature)?;
    Ok(public.verify(b"other", b"message", &signature).is_err())
}

fn ml_kem_pairs() -> Result<bool, Error> {
    let set = ml_kem::ParameterSet::MlKem768;
    let key = ml_kem::PrivateKey::from_seed(set, &[7; 64])?;
    let (ciphertext, ours) = ml_kem::PublicKey::new(set, &key.public_key()?)?.encapsulate()?;
    Ok(key.decapsulate(&ciphertext)?.expose() == ours.expose())
}

fn rsa_pair() -> Result<bool, Error> {
    let key = rsa::PrivateKey::from_pkcs8(include_bytes!("self_test/rsa_2048.pk8"))?;
    let digest = digest::hash(Hash::Sha256, b"sample");
    let signature = key.sign_pkcs1(Hash::Sha256, digest.as_ref())?;
    key.public_key().verify_pkcs1(Hash::Sha256, digest.as_ref(), &signature)?;
    let right = digest::sha256(&[include_bytes!("self_test/rsa_2048.sig")]);
    let ciphertext = key.public_key().encrypt_pkcs1(b"message")?;
    Ok(digest::sha256(&[&signature]) == right
        && key.decrypt_pkcs1(&ciphertext)?.expose() == b"message")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_self_test_passes() {
        assert_eq!(super::run(), Ok(()));
    }
}
