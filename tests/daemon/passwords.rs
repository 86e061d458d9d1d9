//! A log-in waits for no key: passwords have threads of their own.

use std::sync::atomic::{AtomicUsize, Ordering};

use casemate_protocol::messages::{Answer, Ask, GenerateKeyPair, MechanismUse};
use casemate_protocol::{Attribute, AttributeType, Mechanism, Template};
use casemate_tests::{Build, Cluster};

const KEYS: usize = 8;

fn rsa_3072() -> Ask {
    let number = Mechanism::RsaPkcsKeyPairGen.number();
    let bits = Attribute::number(AttributeType::ModulusBits, 3_072);
    Ask::GenerateKeyPair(GenerateKeyPair {
        mechanism: Some(MechanismUse { mechanism: number, parameter: None }),
        public: Some(Template::default().with(bits)),
        private: Some(Template::default()),
    })
}

#[test]
fn a_log_in_does_not_wait_for_keys_that_are_made() {
    let cluster = Cluster::start(Build::Plain).unwrap();
    let client = cluster.user().unwrap();
    let (begun, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..KEYS {
            scope.spawn(|| {
                begun.fetch_add(1, Ordering::SeqCst);
                assert!(matches!(client.call(rsa_3072()).unwrap(), Answer::PairMade(_)));
                made.fetch_add(1, Ordering::SeqCst);
            });
        }
        while begun.load(Ordering::SeqCst) < KEYS {
            std::thread::yield_now();
        }
        drop(cluster.user().unwrap());
        let before = made.load(Ordering::SeqCst);
        assert!(before < KEYS / 2, "{before} of {KEYS} keys were made before the log-in");
    });
}
