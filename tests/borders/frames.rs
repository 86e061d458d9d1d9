//! Frames and requests that are wrong: cut, too large, unknown, repeated, nested, endless, out of order, replayed.

use casemate_protocol::messages::{
    Answer, Ask, ClientHello, Empty, GenerateKey, LogIn, MechanismUse, ObjectReference,
};
use casemate_protocol::{Attribute, AttributeType, Error, Mechanism, Template, limits};
use casemate_tests::USER_PASSWORD;
use prost::Message as _;

use crate::watch::Watch;
use crate::wire::{Wire, hello_of, message};

fn ping() -> Vec<u8> {
    message(Ask::Ping(Empty {}))
}

/// A request whose template holds a template that holds a template, and so on.
fn nested(depth: usize) -> Vec<u8> {
    let mut template = Template::default().with(Attribute::flag(AttributeType::Sign, true));
    for _ in 0..depth {
        let inner = Attribute::new(AttributeType::WrapTemplate, template.encode_to_vec());
        template = Template::default().with(inner);
    }
    let mechanism = MechanismUse { mechanism: Mechanism::AesKeyGen.number(), parameter: None };
    let template = template.with(Attribute::number(AttributeType::ValueLen, 32));
    message(Ask::GenerateKey(GenerateKey { mechanism: Some(mechanism), template: Some(template) }))
}

#[test]
fn frames_that_are_wrong_end_the_connection_with_the_cause() {
    let watch = Watch::start("");
    let address = watch.address();
    let header = |length: u32, flags: u8, sequence: u64| {
        [&length.to_be_bytes()[..], &[flags], &sequence.to_be_bytes()].concat()
    };
    let one_more = u32::try_from(limits::FRAME_BYTES_MAX + 1).unwrap();
    let wrong: [(&str, Vec<u8>, Error); 6] = [
        ("a frame of one byte more than 1 MiB", header(one_more, 0, 1), Error::FrameTooLarge),
        ("a frame of 4 GiB", header(u32::MAX, 0, 1), Error::FrameTooLarge),
        ("an unknown flag", [header(1, 2, 1), vec![0]].concat(), Error::Malformed),
        ("all flags", [header(1, 0xff, 1), vec![0]].concat(), Error::Malformed),
        ("an empty fragment", header(0, 1, 1), Error::Malformed),
        ("noise", vec![0xff; 64], Error::FrameTooLarge),
    ];
    for (what, bytes, cause) in &wrong {
        let mut wire = Wire::user(&address);
        wire.raw(bytes).unwrap();
        assert_eq!(wire.closed(), Some(*cause), "{what}");
        let mut wire = Wire::tls(&address);
        wire.raw(bytes).unwrap();
        assert_eq!(wire.closed(), Some(*cause), "{what}, before the hello");
        watch.alive(what);
    }
    // Cut at each byte, then closed by the peer: nothing to answer.
    let whole = [header(u32::try_from(ping().len()).unwrap(), 0, 1), ping()].concat();
    for cut in 0..whole.len() {
        let mut wire = Wire::open(&address);
        wire.raw(&whole[..cut]).unwrap();
        wire.socket().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(wire.closed(), None, "{cut}");
    }
    watch.unharmed("frames that are wrong");
}

#[test]
fn requests_that_are_wrong_are_refused_and_the_connection_goes_on() {
    let watch = Watch::start("");
    let mut wire = Wire::user(&watch.address());
    let twice = [ping(), ping()].concat();
    let unknown_field = [ping(), vec![0x98, 0x06, 0x01]].concat();
    let unknown_ask = vec![0x9a, 0x06, 0x00];
    let two_asks = [ping(), message(Ask::Status(Empty {}))].concat();
    let long_number = [vec![0x10, 0x80, 0x80, 0x00], ping()].concat();
    let cut = message(Ask::Random(5))[..2].to_vec();
    let group = vec![0x53, 0x53, 0x54, 0x54];
    let cases: [(&str, Vec<u8>, Error); 10] = [
        ("nothing", vec![], Error::UnknownRequest),
        ("one byte", vec![0xff], Error::Malformed),
        ("a request twice", twice, Error::Malformed),
        ("an unknown field", unknown_field, Error::Malformed),
        ("an unknown request", unknown_ask, Error::UnknownRequest),
        ("two requests in one", two_asks, Error::Malformed),
        ("a number in more bytes than it needs", long_number, Error::Malformed),
        ("a request cut off", cut, Error::Malformed),
        ("groups of the first protobuf", group, Error::Malformed),
        ("a mebibyte of noise", vec![0xa5; limits::FRAME_BYTES_MAX], Error::Malformed),
    ];
    for (number, (what, bytes, cause)) in (1_000..).zip(&cases) {
        wire.send(number, bytes).unwrap();
        let (sequence, answer) = wire.reply();
        assert_eq!(sequence, number, "{what}");
        let Answer::Error(error) = answer else { panic!("{what}: it was done") };
        assert_eq!(Error::from(error), *cause, "{what}");
    }
    for depth in [2, 50, 200, 2_000] {
        wire.send(9_000, &nested(depth)).unwrap();
        let (_, answer) = wire.reply();
        let Answer::Error(error) = answer else { panic!("nested {depth}: it was done") };
        let error = Error::from(error);
        let wrap = Error::AttributeValueInvalid(AttributeType::WrapTemplate.number());
        assert!(error == wrap || error == Error::ObjectTooLarge, "nested {depth}: {error:?}");
    }
    assert!(matches!(wire.ask(Ask::Ping(Empty {})), Answer::Done(_)));
    watch.unharmed("requests that are wrong");
}

#[test]
fn messages_too_large_or_without_end_are_cut_off() {
    let watch = Watch::start("");
    let address = watch.address();
    let before = watch.resident();
    let fragment = vec![0; limits::FRAME_BYTES_MAX];
    // One message that does not end.
    let mut wire = Wire::user(&address);
    let mut sent = 0;
    while sent <= 2 * limits::MESSAGE_BYTES_MAX && wire.frame(1_000, true, &fragment).is_ok() {
        sent += fragment.len();
    }
    assert_eq!(wire.closed(), Some(Error::MessageTooLarge));
    assert!(sent <= limits::MESSAGE_BYTES_MAX + (16 << 20), "{sent} bytes were taken");
    // Many messages at once, each begun and none ended.
    let mut wire = Wire::user(&address);
    let mut begun = 0_u64;
    while begun < 100_000 && wire.frame(1_000 + begun, true, &[1]).is_ok() {
        begun += 1;
    }
    assert!(begun < 100_000, "a hundred thousand messages were begun");
    assert_eq!(wire.closed(), Some(Error::MessageTooLarge));
    // Without a log-in no request is larger than a template.
    let mut wire = Wire::open(&address);
    assert!(
        wire.frame(1_000, true, &fragment).is_err()
            || wire.closed() == Some(Error::MessageTooLarge)
    );
    // Without a hello nothing is larger than a hello.
    let mut wire = Wire::tls(&address);
    let header = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(
        wire.raw(&header).and_then(|()| wire.raw(&fragment[..1 << 16])).is_err()
            || wire.closed().is_some()
    );
    watch.unharmed("endless messages");
    let grown = watch.resident().saturating_sub(before);
    assert!(grown < 300 << 20, "grown by {grown} bytes");
}

#[test]
fn a_connection_begins_with_one_hello_of_a_version_and_cluster_that_both_know() {
    let watch = Watch::start("");
    let address = watch.address();
    let known = Wire::open(&address).hello.clone();
    let right = hello_of(&known);
    let refused = |what: &str, hello: ClientHello| {
        let mut wire = Wire::tls(&address);
        wire.send(0, &hello.encode_to_vec()).unwrap();
        let error = wire.closed();
        watch.alive(what);
        error
    };
    for (min, max) in [(2, 9), (0, 0), (u32::MAX, u32::MAX)] {
        let hello = ClientHello { protocol_min: min, protocol_max: max, ..right.clone() };
        assert_eq!(refused("versions", hello), Some(Error::VersionUnsupported), "{min} {max}");
    }
    for cluster in [vec![0; 10], vec![1], vec![9; 900]] {
        let length = cluster.len();
        let hello = ClientHello { cluster, ..right.clone() };
        assert!(
            matches!(refused("cluster", hello), Some(Error::ClusterMismatch)),
            "a cluster id of {length} bytes"
        );
    }
    // A range that has ours in it, as a newer client would say.
    let mut wire = Wire::tls(&address);
    let hello = ClientHello { protocol_min: 0, protocol_max: 77, ..right.clone() };
    let answer = wire.greet(&hello).unwrap();
    assert_eq!((answer.protocol, answer.error), (1, None));
    // A second hello is a request like any other, and a wrong one.
    wire.send(0, &right.encode_to_vec()).unwrap();
    let (_, answer) = wire.reply();
    let Answer::Error(error) = answer else { panic!("a second hello was taken") };
    assert_eq!(Error::from(error), Error::Malformed);
    // A request before the hello, with the number of a request and with that of a hello.
    for sequence in [0, 1] {
        let mut wire = Wire::tls(&address);
        wire.send(sequence, &message(Ask::Random(8))).unwrap();
        assert!(wire.closed().is_some(), "a request before the hello");
    }
    watch.unharmed("hellos");
}

#[test]
fn what_needs_a_log_in_is_refused_without_one() {
    let watch = Watch::start("");
    let mut wire = Wire::open(&watch.address());
    let key = || ObjectReference { number: 1, ..ObjectReference::default() };
    let asks = [
        Ask::LogOut(Empty {}),
        Ask::ListUsers(Empty {}),
        Ask::CreateUser(Default::default()),
        Ask::ConfirmPassword(String::new()),
        Ask::ChangePassword(Default::default()),
        Ask::DeleteUser(Default::default()),
        Ask::GenerateKey(Default::default()),
        Ask::GenerateKeyPair(Default::default()),
        Ask::CreateObject(Template::default()),
        Ask::CopyObject(Default::default()),
        Ask::DestroyObject(key()),
        Ask::SetAttributes(Default::default()),
        Ask::Sign(Default::default()),
        Ask::Verify(Default::default()),
        Ask::Encrypt(Default::default()),
        Ask::Decrypt(Default::default()),
        Ask::WrapKey(Default::default()),
        Ask::UnwrapKey(Default::default()),
        Ask::DeriveKey(Default::default()),
        Ask::Encapsulate(Default::default()),
        Ask::Decapsulate(Default::default()),
    ];
    for (number, ask) in asks.into_iter().enumerate() {
        assert_eq!(wire.refusal(&number.to_string(), ask), Error::LogInRequired, "{number}");
    }
    // What initialises and activates comes once.
    assert_eq!(
        wire.refusal("initialize", Ask::Initialize(Default::default())),
        Error::AlreadyInitialized
    );
    assert_eq!(
        wire.refusal("activate", Ask::Activate(Default::default())),
        Error::AlreadyActivated
    );
    watch.unharmed("requests before a log-in");
}

#[test]
fn what_was_sent_before_is_not_done_again() {
    let mut watch = Watch::start("");
    let address = watch.address();
    // The plaintext of a whole connection, sent again on another one.
    let mut first = Wire::user(&address);
    let generate = GenerateKey {
        mechanism: Some(MechanismUse { mechanism: Mechanism::AesKeyGen.number(), parameter: None }),
        template: Some(
            Template::default()
                .with(Attribute::flag(AttributeType::Token, true))
                .with(Attribute::number(AttributeType::ValueLen, 32)),
        ),
    };
    let Answer::Made(made) = first.ask_as(77, Ask::GenerateKey(generate.clone())) else { panic!() };
    watch.accept_changes();
    // The same request again, on the same connection: the first answer, and no second key.
    let Answer::Made(again) = first.ask_as(77, Ask::GenerateKey(generate.clone())) else {
        panic!()
    };
    assert_eq!(made.object, again.object);
    // The same number for another request.
    let other = Ask::DestroyObject(made.object.clone().unwrap());
    first.send(77, &message(other)).unwrap();
    let (_, answer) = first.reply();
    let Answer::Error(error) = answer else { panic!("another request under the same number") };
    assert_eq!(Error::from(error), Error::RequestIdReused);
    // On another connection of the same client: still one key.
    let mut second = Wire::user(&address);
    let Answer::Made(again) = second.ask_as(77, Ask::GenerateKey(generate.clone())) else {
        panic!()
    };
    assert_eq!(made.object, again.object);
    // By somebody who read the frames and has no log-in of his own.
    let mut thief = Wire::open(&address);
    thief.send(77, &message(Ask::GenerateKey(generate))).unwrap();
    let (_, answer) = thief.reply();
    let Answer::Error(error) = answer else { panic!("done without a log-in") };
    assert_eq!(Error::from(error), Error::LogInRequired);
    // A log-in that comes twice on one connection.
    let log_in = LogIn {
        user: "app".to_owned(),
        password: USER_PASSWORD.to_owned(),
        role: 3,
        client: vec![7; 16],
    };
    let mut wire = Wire::user(&address);
    assert_eq!(wire.refusal("twice", Ask::LogIn(log_in)), Error::AlreadyLoggedIn);
    watch.unharmed("replays");
}
