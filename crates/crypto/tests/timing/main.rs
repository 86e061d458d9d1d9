//! Does the time of PKCS#1 v1.5 decryption tell right padding from wrong? (Bleichenbacher 1998; "Marvin", 2023.)
//!
//! Ciphertexts with right padding are compared with ones that are wrong in each way, over the whole operation and over what
//! comes after the raw one. The controls are written as one writes them in haste, with a branch on the padding: the same
//! comparison finds them, and so it would find ours. The crate is optimised in every profile, so that what is measured
//! is what ships.
#![expect(clippy::print_stdout, reason = "it reports what it measured")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use casemate_crypto::rsa::PrivateKey;
use casemate_crypto::{Secret, random};

mod welch;

use welch::{Verdict, compare};

const KEY: &[u8] = include_bytes!("../../src/self_test/rsa_2048.pk8");
/// Ciphertexts of one class: so many that none is remembered by a cache or a branch predictor.
const PER_CLASS: usize = 512;
/// Measurements of a run: of the whole decryption, which takes a millisecond, and of what takes microseconds.
const WHOLE: usize = 400;
const PADDING: usize = 16_000;

/// A way in which padding is wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    FirstByte,
    SecondByte,
    NoSeparator,
    SeparatorTooEarly,
    /// What an attacker gets who multiplies ciphertexts.
    Random,
}

const WRONG: [Wrong; 5] = [
    Wrong::FirstByte,
    Wrong::SecondByte,
    Wrong::NoSeparator,
    Wrong::SeparatorTooEarly,
    Wrong::Random,
];

fn fill(out: &mut [u8]) {
    random::fill(out);
    out.iter_mut().for_each(|byte| *byte = (*byte).max(1));
}

/// An encoded message with right padding and a message of 48 bytes, as TLS has it.
fn right(size: usize) -> Vec<u8> {
    let mut encoded = vec![0; size];
    fill(&mut encoded);
    encoded[..2].copy_from_slice(&[0, 2]);
    encoded[size - 49] = 0;
    encoded
}

fn encoded(size: usize, wrong: Option<Wrong>) -> Vec<u8> {
    let mut encoded = right(size);
    match wrong {
        None => {}
        // Below every modulus of this size, whose first bit is 1.
        Some(Wrong::FirstByte) => encoded[0] = 1,
        Some(Wrong::SecondByte) => encoded[1] = 1,
        Some(Wrong::NoSeparator) => encoded[size - 49] = 1,
        Some(Wrong::SeparatorTooEarly) => encoded[5] = 0,
        Some(Wrong::Random) => {
            random::fill(&mut encoded);
            encoded[0] &= 0x7f;
        }
    }
    encoded
}

/// Ciphertexts with right padding, and with wrong.
fn ciphertexts(key: &PrivateKey, wrong: Wrong) -> [Vec<Vec<u8>>; 2] {
    let public = key.public_key();
    [None, Some(wrong)].map(|wrong| {
        (0..PER_CLASS)
            .map(|_| public.raw(&encoded(public.modulus_bytes(), wrong)).unwrap())
            .collect()
    })
}

/// One input: a ciphertext and what the raw operation makes of it.
#[derive(Clone)]
struct Input {
    ciphertext: Vec<u8>,
    encoded: Vec<u8>,
}

fn inputs(key: &PrivateKey, wrong: Wrong) -> [Vec<Input>; 2] {
    ciphertexts(key, wrong).map(|class| {
        let inputs = class.into_iter().map(|ciphertext| {
            let encoded = key.raw(&ciphertext).unwrap().expose().to_vec();
            Input { ciphertext, encoded }
        });
        inputs.collect()
    })
}

/// Compares right padding with wrong ones; `leaks` says what is expected of all of them.
fn compare_with(
    wrongs: &[Wrong],
    what: &str,
    leaks: bool,
    measurements: usize,
    operation: impl Fn(&PrivateKey, &Input) -> Option<Secret>,
) {
    let key = PrivateKey::from_pkcs8(KEY).unwrap();
    for &wrong in wrongs {
        let inputs = inputs(&key, wrong);
        let prepare =
            |class: bool, round: usize| inputs[usize::from(class)][round % PER_CLASS].clone();
        let measure = || compare(measurements, prepare, |input| (operation(&key, &input), input));
        let mut verdict = measure();
        // A busy machine may hide what is planted, not show what is not there: the control may look again.
        for _ in 0..if leaks { 4 } else { 0 } {
            if matches!(verdict, Verdict::Leak(_)) {
                break;
            }
            verdict = measure();
        }
        println!("{what}, {wrong:?}: {verdict:?}");
        assert_eq!(matches!(verdict, Verdict::Leak(_)), leaks, "{what}, {wrong:?}: {verdict:?}");
    }
}

#[test]
fn our_decryption_takes_the_same_time_for_right_and_wrong_padding() {
    compare_with(&WRONG, "ours, whole", false, WHOLE, |key, input| {
        key.decrypt_pkcs1(&input.ciphertext).ok()
    });
}

#[test]
fn our_removal_of_padding_takes_the_same_time_for_right_and_wrong_padding() {
    compare_with(&WRONG, "ours, padding", false, PADDING, |key, input| {
        key.remove_pkcs1_padding(&input.ciphertext, &input.encoded).ok()
    });
}

/// As it is written in haste: a search that stops at the first zero, and a comparison that returns early.
fn remove_in_haste(encoded: &[u8]) -> Option<Secret> {
    let separator = encoded.iter().skip(2).position(|byte| *byte == 0)? + 2;
    if encoded[..2] != [0, 2] || separator < 10 {
        return None;
    }
    Some(Secret::from_slice(&encoded[separator + 1..]))
}

/// The control: rejection that is computed only when it is needed is found in the time of the whole decryption.
#[test]
fn a_planted_leak_of_the_whole_decryption_is_found() {
    compare_with(&WRONG, "planted, whole", true, WHOLE, |key, input| {
        let encoded = key.raw(&input.ciphertext).ok()?;
        remove_in_haste(encoded.expose())
            .or_else(|| key.remove_pkcs1_padding(&input.ciphertext, encoded.expose()).ok())
    });
}

/// The control: a search that stops early, tens of nanoseconds beside twenty microseconds of ours, is found.
#[test]
fn a_planted_leak_of_the_removal_is_found() {
    compare_with(&[Wrong::SeparatorTooEarly], "planted, padding", true, PADDING, |key, input| {
        let same = key.remove_pkcs1_padding(&input.ciphertext, &input.encoded).ok();
        remove_in_haste(&input.encoded).or(same)
    });
}
