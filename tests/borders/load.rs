//! Too much of it: requests in flight, replies that nobody takes, connections beyond the limit, floods; memory stays bounded and
//! others are served.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use casemate_protocol::messages::{
    Answer, Ask, Empty, GenerateKey, GenerateKeyPair, MechanismUse, Operation,
};
use casemate_protocol::{Attribute, AttributeType, Error, Mechanism, Template};

use crate::watch::Watch;
use crate::wire::{Wire, message, tcp};

const MIB: u64 = 1 << 20;

fn frame_of(sequence: u64, ask: Ask) -> Vec<u8> {
    let mut out = Vec::new();
    casemate_protocol::frame::write(&mut out, sequence, &message(ask)).unwrap();
    out
}

/// Writes until the other side has taken nothing for a while, or `bytes` are written; returns how many were.
fn push(wire: &mut Wire, chunk: &[u8], bytes: usize) -> usize {
    wire.socket().set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut written = 0;
    while written < bytes && wire.raw(chunk).is_ok() {
        written += chunk.len();
    }
    written
}

#[test]
fn a_client_that_never_takes_its_replies_is_held_back() {
    let watch = Watch::start("");
    let before = watch.resident();
    // 21 bytes of frame ask for 64 KiB each: a mebibyte of them for several gibibytes.
    let chunk: Vec<u8> =
        (1..4_000).flat_map(|number| frame_of(number, Ask::Random(65_536))).collect();
    let mut wire = Wire::open(&watch.address());
    let written = push(&mut wire, &chunk, 64 << 20);
    assert!(written < 64 << 20, "all was taken");
    watch.alive("replies that nobody takes");
    let grown = watch.resident().saturating_sub(before) / MIB;
    assert!(grown < 32, "grown by {grown} MiB");
    // Back-pressure, not a lock: once it reads, every request is answered.
    drop(wire);
    let mut wire = Wire::open(&watch.address());
    wire.raw(&chunk).unwrap();
    for number in 1..4_000 {
        let (sequence, answer) = wire.reply();
        assert_eq!(sequence, number);
        assert!(matches!(answer, Answer::Data(_)));
    }
    watch.unharmed("replies that nobody takes");
}

fn rsa_key(wire: &mut Wire) -> casemate_protocol::messages::ObjectReference {
    let pair = GenerateKeyPair {
        mechanism: Some(MechanismUse {
            mechanism: Mechanism::RsaPkcsKeyPairGen.number(),
            parameter: None,
        }),
        public: Some(Template::default().with(Attribute::number(AttributeType::ModulusBits, 2048))),
        private: Some(Template::default()),
    };
    match wire.ask(Ask::GenerateKeyPair(pair)) {
        Answer::PairMade(pair) => pair.private.unwrap().object.unwrap(),
        _ => panic!("no key"),
    }
}

#[test]
fn requests_beyond_the_limit_wait_and_are_all_answered() {
    let watch = Watch::start("[limits]\nrequests_in_flight = 64");
    let mut wire = Wire::user(&watch.address());
    let key = rsa_key(&mut wire);
    let sign = |number| {
        let operation = Operation {
            key: Some(key.clone()),
            mechanism: Some(MechanismUse {
                mechanism: Mechanism::RsaPkcs.number(),
                parameter: None,
            }),
            data: vec![7; 32].into(),
            ..Operation::default()
        };
        frame_of(number, Ask::Sign(operation))
    };
    let before = watch.resident();
    // Far more than fit: what does not fit must wait in the peer, not in the daemon.
    let chunk: Vec<u8> = (1_000..1_400).flat_map(sign).collect();
    let start = Instant::now();
    wire.socket().set_nonblocking(false).unwrap();
    let count = 400;
    wire.raw(&chunk).unwrap();
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < count {
        let (sequence, answer) = wire.reply();
        assert!(matches!(answer, Answer::Data(_)), "{sequence}");
        assert!(answered.insert(sequence), "{sequence} twice");
    }
    assert!(start.elapsed() < Duration::from_secs(60));
    let grown = watch.resident().saturating_sub(before) / MIB;
    assert!(grown < 64, "grown by {grown} MiB");
    watch.unharmed("requests beyond the limit");
}

#[test]
fn what_waits_for_the_limit_does_not_pile_up_in_the_daemon() {
    let watch = Watch::start("[limits]\nrequests_in_flight = 4");
    let mut wire = Wire::user(&watch.address());
    let key = rsa_key(&mut wire);
    let before = watch.resident();
    let operation = Operation {
        key: Some(key),
        mechanism: Some(MechanismUse { mechanism: Mechanism::RsaPkcs.number(), parameter: None }),
        data: vec![7; 32].into(),
        ..Operation::default()
    };
    let chunk: Vec<u8> =
        (1_000..9_000).flat_map(|number| frame_of(number, Ask::Sign(operation.clone()))).collect();
    // Each answer lets one request of 60 bytes in: reading on at each answer would take in 16 KiB.
    let written = push(&mut wire, &chunk, 512 << 20);
    let grown = watch.resident().saturating_sub(before) / MIB;
    assert!(grown < 48, "grown by {grown} MiB when {written} bytes were sent");
    watch.alive("requests that wait");
}

#[test]
fn large_requests_in_flight_are_bounded_by_their_bytes() {
    let mut watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let template = Template::default()
        .with(Attribute::flag(AttributeType::Token, true))
        .with(Attribute::number(AttributeType::ValueLen, 32));
    let ask = GenerateKey {
        mechanism: Some(MechanismUse { mechanism: Mechanism::AesKeyGen.number(), parameter: None }),
        template: Some(template),
    };
    let Answer::Made(made) = wire.ask(Ask::GenerateKey(ask)) else { panic!("no key") };
    watch.accept_changes();
    let before = watch.resident();
    let operation = Operation {
        key: made.object,
        mechanism: Some(MechanismUse { mechanism: Mechanism::AesEcb.number(), parameter: None }),
        data: vec![7; 16 << 20].into(),
        ..Operation::default()
    };
    let mut peers: Vec<Wire> = Vec::new();
    for _ in 0..2 {
        let mut peer = Wire::user(&watch.address());
        let taken = push(&mut peer, &frame_of(1_000, Ask::Encrypt(operation.clone())), 512 << 20);
        assert!(taken < 512 << 20, "all was taken");
        peers.push(peer);
        watch.alive("large requests");
    }
    let grown = watch.resident().saturating_sub(before) / MIB;
    assert!(grown < 700, "grown by {grown} MiB");
    for peer in &mut peers {
        let Answer::Data(encrypted) = peer.reply().1 else { panic!("not encrypted") };
        assert_eq!(encrypted.data.len(), 16 << 20);
    }
    drop(peers);
    watch.unharmed("large requests");
}

/// The daemon reads no further while replies wait for a client; a client that sends no further while it cannot write would then wait
/// for ever.
#[test]
fn many_threads_of_one_client_send_and_take_large_messages_at_once() {
    let watch = Watch::start("");
    let client = watch.good();
    let template = Template::default().with(Attribute::number(AttributeType::ValueLen, 32));
    let ask = GenerateKey {
        mechanism: Some(MechanismUse { mechanism: Mechanism::AesKeyGen.number(), parameter: None }),
        template: Some(template),
    };
    let Answer::Made(made) = client.call(Ask::GenerateKey(ask)).unwrap() else { panic!("no key") };
    let operation = Operation {
        key: made.object,
        mechanism: Some(MechanismUse { mechanism: Mechanism::AesEcb.number(), parameter: None }),
        data: vec![7; 12 << 20].into(),
        ..Operation::default()
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let ask = Ask::Encrypt(operation.clone());
                    let answer = client.call_within(ask, Duration::from_secs(60)).unwrap();
                    let Answer::Data(data) = answer else { panic!("not encrypted") };
                    assert_eq!(data.data.len(), 12 << 20);
                }
            });
        }
    });
    watch.unharmed("large messages at once");
}

#[test]
fn connections_beyond_the_limit_are_told_so_and_the_client_retries() {
    let watch = Watch::start("[limits]\nconnections = 8");
    let address = watch.address();
    let mut held: Vec<Wire> = Vec::new();
    let refused = loop {
        assert!(held.len() <= 8, "the limit does not hold");
        let mut wire = Wire::tls(&address);
        let hello = casemate_protocol::messages::ClientHello {
            protocol_min: 1,
            protocol_max: 1,
            ..Default::default()
        };
        match wire.greet(&hello).unwrap().error {
            None => held.push(wire),
            Some(error) => break Error::from(error),
        }
    };
    assert!(matches!(refused, Error::ConnectionLimit(ms) if ms > 0), "{refused:?}");
    assert!(watch.cluster.log().contains("as many connections as allowed"));
    // Who is connected is served on; a new client comes in once there is room.
    watch.alive("as many connections as allowed");
    let config = casemate_client::Config::load(&watch.cluster.config_path()).unwrap();
    let client = std::thread::spawn(move || {
        let client = casemate_client::Client::new(config);
        client.call(Ask::Ping(Empty {})).map(|_| ())
    });
    std::thread::sleep(Duration::from_millis(600));
    assert!(!client.is_finished(), "it was served beyond the limit");
    held.clear();
    client.join().unwrap().unwrap();
    // Far beyond: those are closed at once.
    let flood: Vec<TcpStream> = (0..600).map(|_| tcp(&address)).collect();
    drop(flood);
    watch.unharmed("too many connections");
}

#[test]
fn a_flood_of_connections_that_do_nothing_disturbs_nobody() {
    let watch = Watch::start("");
    let address = watch.address();
    let measure = || {
        let mut times: Vec<Duration> = (0..500)
            .map(|_| {
                let start = Instant::now();
                assert!(matches!(watch.good().call(Ask::Ping(Empty {})).unwrap(), Answer::Done(_)));
                start.elapsed()
            })
            .collect();
        times.sort();
        times[times.len() * 99 / 100]
    };
    let quiet = measure();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (held, loud) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut held = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) && held.len() < 800 {
                let mut peer = tcp(&address);
                // Half of them begin to speak.
                if held.len() % 2 == 0 {
                    peer.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
                }
                held.push(peer);
            }
            held
        });
        let mut loud = Vec::new();
        while !flood.is_finished() {
            loud.push(measure());
        }
        loud.push(measure());
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (flood.join().unwrap(), loud)
    });
    assert!(held.len() >= 500, "{}", held.len());
    let worst = loud.iter().max().unwrap();
    // Generous: two cores serve all tests at once. Without workers of their own the flood would hold it up for seconds.
    assert!(*worst < quiet * 20 + Duration::from_millis(250), "{quiet:?} became {worst:?}");
    watch.unharmed("a flood of connections");
}
