//! Random sequences of calls, by fixed seeds: no value of a key that may not leave is ever seen, and the search would see it.

use std::collections::BTreeMap;
use std::thread;

use casemate_module::{Module, ck};

use crate::as_application;
use crate::attacker::{Attacker, Dice};
use crate::secrets::{plant, trusted};

const SEEDS: u64 = 8;
const STEPS: usize = 6000;

#[test]
fn no_sequence_of_calls_gives_a_key_away() {
    as_application("search::no_sequence_of_calls_gives_a_key_away", |module| {
        let (mut done, mut seen) = (BTreeMap::new(), BTreeMap::new());
        thread::scope(|scope| {
            let runs: Vec<_> =
                (1..=SEEDS).map(|seed| scope.spawn(move || run(module, seed))).collect();
            for run in runs {
                let (calls, sights) = run.join().unwrap();
                calls.into_iter().for_each(|(name, count)| *done.entry(name).or_insert(0) += count);
                sights
                    .into_iter()
                    .for_each(|(name, count)| *seen.entry(name).or_insert(0) += count);
            }
        });
        println!("{SEEDS} seeds of {STEPS} steps; succeeded: {done:?}");
        println!("where a value that may be seen was seen: {seen:?}");
        assert!(done.contains_key("C_WrapKey of what trusted keys may wrap"));
        // The control: where nothing is ever seen, nothing would be found.
        for way in [
            "C_GetAttributeValue",
            "C_WrapKey, then C_Decrypt",
            "C_WrapKey, then C_UnwrapKey",
            "C_DeriveKey, then C_GetAttributeValue",
        ] {
            assert!(seen.contains_key(way), "{way} never showed a value that may be seen");
        }
    });
}

type Counts = BTreeMap<&'static str, usize>;

fn run(module: Module, seed: u64) -> (Counts, Counts) {
    let mut session = module.open().unwrap();
    let mut dice = Dice(seed.wrapping_mul(0x5eed));
    let mut value = || {
        let mut value: [u8; 32] = std::array::from_fn(|_| u8::try_from(dice.roll(256)).unwrap());
        // Below the order of P-256.
        value[0] = 1;
        value
    };
    let stays = [(ck::CKA_SENSITIVE, true), (ck::CKA_EXTRACTABLE, false)];
    let hidden = [(ck::CKA_SENSITIVE, false), (ck::CKA_EXTRACTABLE, false)];
    let guarded =
        [(ck::CKA_SENSITIVE, true), (ck::CKA_EXTRACTABLE, true), (ck::CKA_WRAP_WITH_TRUSTED, true)];
    let may_be_seen = [(ck::CKA_SENSITIVE, false), (ck::CKA_EXTRACTABLE, true)];
    let secrets = [
        plant(&mut session, "the AES key that stays", ck::CKK_AES, value(), &stays),
        plant(&mut session, "the secret that stays", ck::CKK_GENERIC_SECRET, value(), &stays),
        plant(&mut session, "the private key that stays", ck::CKK_EC, value(), &stays),
        plant(&mut session, "the key that is not extractable", ck::CKK_AES, value(), &hidden),
        plant(&mut session, "the key that trusted keys may wrap", ck::CKK_AES, value(), &guarded),
    ];
    let open = [
        plant(&mut session, "an AES key", ck::CKK_AES, value(), &may_be_seen),
        plant(&mut session, "a secret", ck::CKK_GENERIC_SECRET, value(), &may_be_seen),
    ];
    let trusted = trusted(&mut session);
    let mut attacker = Attacker::new(&mut session, seed, (&secrets, &open), trusted);
    (0..STEPS).for_each(|_| attacker.step());
    (attacker.done, attacker.seen)
}
