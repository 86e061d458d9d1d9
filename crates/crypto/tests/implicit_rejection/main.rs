//! PKCS#1 v1.5 decryption with implicit rejection, against OpenSSL's: what it makes of wrong padding, ours makes too.
//!
//! The vectors are printed by `make_vectors.py` beside this file, for keys and messages of our own.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use casemate_crypto::rsa::{PrivateKey, PublicKey};

const VECTORS: &str = include_str!("vectors.txt");

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().unwrap()
}

#[test]
fn wrong_padding_decrypts_to_what_openssl_makes_of_it() {
    let mut key = None;
    let (mut right, mut wrong) = (0, 0);
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        match line.split(" | ").collect::<Vec<_>>()[..] {
            ["key", pkcs8] => key = Some(PrivateKey::from_pkcs8(&bytes(pkcs8)).unwrap()),
            [name, ciphertext, plaintext] => {
                let decrypted = key.as_ref().unwrap().decrypt_pkcs1(&bytes(ciphertext));
                let decrypted = decrypted.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(decrypted.expose(), bytes(plaintext), "{name}");
                *if name.starts_with("right") { &mut right } else { &mut wrong } += 1;
            }
            _ => panic!("{line}"),
        }
    }
    println!("{right} with right padding, {wrong} with wrong padding, none skipped");
    assert!(right >= 10 && wrong >= 100);
}

/// What is refused by an error is seen in the ciphertext itself.
#[test]
fn only_what_everybody_can_see_is_an_error() {
    let pkcs8 = VECTORS.lines().find_map(|line| line.strip_prefix("key | ")).unwrap();
    let key = PrivateKey::from_pkcs8(&bytes(pkcs8)).unwrap();
    let size = key.public_key().modulus_bytes();
    let number = |last| [vec![0; size - 1], vec![last]].concat();
    let mut greatest =
        PublicKey::numbers_from_spki(&key.public_key().to_spki().unwrap()).unwrap().0;
    *greatest.last_mut().unwrap() -= 1;
    let numbers = [vec![255; size], number(0), number(1), greatest.clone()];
    for ciphertext in [vec![], vec![1; size - 1], vec![1; size + 1]].into_iter().chain(numbers) {
        assert!(key.decrypt_pkcs1(&ciphertext).is_err(), "{ciphertext:?}");
    }
    assert!(key.decrypt_pkcs1(&number(2)).is_ok());
    *greatest.last_mut().unwrap() -= 1;
    assert!(key.decrypt_pkcs1(&greatest).is_ok());
}
