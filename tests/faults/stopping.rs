//! SIGTERM and retries: a restart is no error for who retries, and a change that is asked for again takes effect once.

use std::time::{Duration, Instant};

use casemate_protocol::messages::{Answer, Ask, GenerateKeyPair, MechanismUse};
use casemate_protocol::{Attribute, AttributeType, Mechanism, Template};
use casemate_tests::Build;
use nix::sys::signal::Signal;

use crate::daemon::{PATIENCE, Prepared, SNAPSHOT_EVERY};
use crate::keys;
use crate::ledger::Ledger;
use crate::relay::{Mode, Relay};

#[test]
fn restarts_under_load_are_no_error_and_double_nothing() {
    let prepared = Prepared::new();
    let mut daemon = prepared.start(Build::Plain, &[]);
    let mut ledger = Ledger::start("load", prepared.user(PATIENCE), 6);
    let mut longest = Duration::ZERO;
    for restart in 0..15 {
        let before = ledger.acknowledged();
        while ledger.acknowledged() < before + 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let start = Instant::now();
        daemon.stop();
        longest = longest.max(start.elapsed());
        daemon = prepared.start(Build::Plain, &[]);
        let checked = ledger.check(&prepared.user(PATIENCE));
        checked.unwrap_or_else(|wrong| panic!("after restart {restart}: {wrong:#?}"));
    }
    ledger.finish();
    assert!(ledger.failed().is_empty(), "the application saw {:?}", ledger.failed());
    let last = ledger.check(&prepared.user(PATIENCE)).unwrap();
    println!(
        "15 restarts, the longest stop {longest:?}, {} changes, {last:?}",
        ledger.acknowledged()
    );
    // What is in flight takes milliseconds: nothing hung until the daemon's patience ended.
    assert!(longest < Duration::from_secs(8), "{longest:?}");
    daemon.stop();
}

#[test]
fn a_request_that_was_taken_is_answered_before_the_end() {
    let prepared = Prepared::new();
    let mut daemon = prepared.start(Build::Plain, &[]);
    let user = prepared.user(PATIENCE);
    let making = std::thread::spawn(move || {
        let template = || Template::default().with(Attribute::flag(AttributeType::Token, true));
        let public = template()
            .with(Attribute::number(AttributeType::ModulusBits, 4_096))
            .with(Attribute::new(AttributeType::PublicExponent, [1, 0, 1]));
        let mechanism =
            MechanismUse { mechanism: Mechanism::RsaPkcsKeyPairGen.number(), parameter: None };
        let ask = GenerateKeyPair {
            mechanism: Some(mechanism),
            public: Some(public),
            private: Some(template()),
        };
        user.call(Ask::GenerateKeyPair(ask))
    });
    // Long enough to be taken, and a tenth of what it takes at least.
    std::thread::sleep(Duration::from_millis(30));
    daemon.signal(Signal::SIGTERM);
    let status = daemon.wait_for_end();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    // Nobody serves any more: the answer came before.
    let start = Instant::now();
    while !making.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(2), "it was not answered");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(making.join().unwrap().unwrap(), Answer::PairMade(_)));
    let mut daemon = prepared.start(Build::Plain, &[]);
    assert_eq!(keys::all(&prepared.user(PATIENCE)).unwrap().len(), 2);
    daemon.stop();
}

#[test]
fn a_change_that_is_asked_for_again_after_restart_and_snapshot_takes_effect_once() {
    let prepared = Prepared::new();
    let mut daemon = prepared.start(Build::Plain, &[]);
    let relay = Relay::start(&prepared.cluster);
    let slow = prepared.user_at(Some(relay.address()), PATIENCE);
    let observer = prepared.user(PATIENCE);
    let answers = relay.clone();
    let making = std::thread::spawn(move || {
        let first = keys::make(&slow, "first").unwrap();
        // The connection stands, and from here on its answers are lost.
        answers.set(Mode::Swallow);
        let made = keys::make_pair(&slow, "once");
        let deleted = keys::delete(&slow, first);
        (made, deleted)
    });
    let find = |label: &str| {
        let seen = keys::all(&observer).unwrap();
        seen.into_iter()
            .filter(|seen| seen.label == label)
            .map(|seen| seen.number)
            .collect::<Vec<_>>()
    };
    let start = Instant::now();
    while find("once").len() < 2 || relay.swallowed() == 0 {
        assert!(start.elapsed() < PATIENCE, "the request did not come through");
        std::thread::sleep(Duration::from_millis(5));
    }
    relay.set(Mode::Refuse);
    // The answer is lost, and the change is there. Now it goes into a snapshot, and the log behind it is left.
    let snapshots = || {
        let files = std::fs::read_dir(prepared.data()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("snapshot-0")).max()
    };
    let before = snapshots();
    daemon.stop();
    daemon = prepared.start(Build::Plain, &[]);
    let object = keys::make(&observer, "other").unwrap();
    // Twice as many as between two snapshots: the newest one was then begun after the change.
    for number in 0..SNAPSHOT_EVERY * 2 {
        keys::label(&observer, object, &format!("other-{number}")).unwrap();
    }
    let start = Instant::now();
    while snapshots() == before {
        assert!(start.elapsed() < PATIENCE, "no snapshot");
        std::thread::sleep(Duration::from_millis(5));
    }
    daemon.kill();
    daemon = prepared.start(Build::Plain, &[]);
    assert!(!making.is_finished());
    relay.set(Mode::Pass);
    let (made, deleted) = making.join().unwrap();
    let (public, private) = made.unwrap();
    deleted.unwrap();
    // The answer is the first one: it names the objects that were there, and there are no others.
    assert_eq!(find("once"), [public, private]);
    assert!(find("first").is_empty());
    daemon.stop();
}
