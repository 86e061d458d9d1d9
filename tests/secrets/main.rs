//! Key material never leaves the HSM: keys whose bytes are known are planted in a real cluster, and then looked for in the memory
//! of an application that uses them, on the disk, in the log, on the wire and in every reply. Passwords and the secrets of
//! tickets are looked for too. A leak on purpose is found by the same eyes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use casemate_client::Client;
use casemate_protocol::attributes::ATTRIBUTES;
use casemate_protocol::messages::{
    Answer, Ask, Empty, FindObjects, GetAttributes, LogIn, MechanismUse, ObjectAndTemplate,
    ObjectReference, Operation, Reply, WrapKey,
};
use casemate_protocol::{Attribute, AttributeType, Mechanism, Role, Template};
use casemate_tests::{ADMIN_PASSWORD, USER_PASSWORD};
use prost::Message as _;

mod relay;
mod scan;
mod scene;

use relay::Relay;
use scan::Scanner;
use scene::{Scene, memory_of};

const NOTHING: [&str; 0] = [];

#[test]
fn the_memory_of_an_application_holds_no_key() {
    let scene = Scene::new();
    let mut application = scene.application("use");
    scene.wait_until_ready(&mut application);
    let memory = memory_of(application.0.id()).unwrap();
    assert!(memory.len() > 1 << 20, "{}", memory.len());
    // What it must hold is there: so it is its memory, and it used the keys.
    let mut control = Scanner::default();
    control.add("a label", b"planted-aes-");
    control.add("the address", scene.relay.address.to_string().as_bytes());
    assert_ne!(control.scan("memory", &memory), NOTHING);
    assert_eq!(scene.keys.scan("the application's memory", &memory), NOTHING);
}

/// The control: an application that keeps a key, and prints it, is found out.
#[test]
fn a_leak_into_memory_or_output_is_found() {
    let scene = Scene::new();
    let secret = casemate_crypto::Secret::random(32);
    let mut scanner = Scanner::default();
    scanner.add("the key", secret.expose());
    let mut application = scene.application("leak");
    let mut input = application.0.stdin.take().unwrap();
    input.write_all(secret.expose()).unwrap();
    scene.wait_until_ready(&mut application);
    let memory = memory_of(application.0.id()).unwrap();
    let found = scanner.scan("memory", &memory);
    assert!(found.contains(&"memory: the key, as it is".to_owned()), "{found:?}");
    let (found, _) = scanner.scan_folder(scene.cluster.work()).unwrap();
    assert!(
        found.len() == 1 && found[0].ends_with("application: the key, in hexadecimal"),
        "{found:?}"
    );
}

fn passwords(scanner: &mut Scanner) {
    scanner.add("the admin's password", ADMIN_PASSWORD.as_bytes());
    scanner.add("the user's password", USER_PASSWORD.as_bytes());
}

/// Logs in by the bare request, whose answer shows what a client keeps to itself.
fn bare_log_in(scene: &Scene, scanner: &mut Scanner) {
    let (user, password) = ("app".to_owned(), USER_PASSWORD.to_owned());
    let ask = LogIn { user, password, role: Role::CryptoUser.number(), client: vec![7; 16] };
    let answer = scene.client().call(Ask::LogIn(ask)).unwrap();
    let Answer::LoggedIn(logged_in) = answer else { panic!("no log-in") };
    assert_eq!(logged_in.secret.len(), 32);
    scanner.add("the secret of a ticket", &logged_in.secret);
    // Its front is the header of a seal, which names the cluster, as all seals do.
    scanner.add("a ticket", &logged_in.ticket[logged_in.ticket.len() - 100..]);
}

#[test]
fn disk_log_and_output_hold_no_key_password_or_ticket() {
    let mut scene = Scene::new();
    let mut secrets = std::mem::take(&mut scene.keys);
    passwords(&mut secrets);
    bare_log_in(&scene, &mut secrets);
    // Wrong passwords and wrong requests are what programs like to log.
    for password in ["letmein-wrong-password", USER_PASSWORD] {
        let refused = scene.client().log_in("nobody", password, Some(Role::CryptoUser));
        assert!(refused.is_err());
    }
    secrets.add("a wrong password", b"letmein-wrong-password");
    let mut plain = TcpStream::connect(scene.cluster.address()).unwrap();
    plain.write_all(format!("GET /{USER_PASSWORD} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    drop(plain);
    let user = scene.logged_in("app", Role::CryptoUser);
    let mut application = scene.application("use");
    scene.wait_until_ready(&mut application);
    scene.make_snapshots(&user);
    let (found, files) = secrets.scan_folder(scene.cluster.work()).unwrap();
    assert_eq!(found, NOTHING);
    let has = |name: &str| files.iter().any(|file| file.display().to_string().contains(name));
    for name in ["data/log-", "data/snapshot-", "module.sealed", "stdout", "stderr"] {
        assert!(has(name), "{name}: {files:?}");
    }
    let output = scene.output();
    assert!(output.contains("DEBUG"), "{output}");
    // The control: a copy of what was on disk, with a key in it, is found.
    let log = files.iter().find(|file| file.display().to_string().contains("data/log-")).unwrap();
    let mut bytes = std::fs::read(log).unwrap();
    let middle = bytes.len() / 2;
    bytes.splice(middle..middle, USER_PASSWORD.bytes());
    assert_eq!(secrets.scan("log", &bytes), ["log: the user's password, as it is"]);
}

/// Every request that reads, on every planted key; the replies as they come out of the TLS connection.
fn replies(scene: &Scene, client: &Client, answers: &mut Vec<u8>) -> (usize, usize) {
    let (mut asked, mut refused) = (0, 0);
    let mut ask = |ask: Ask| {
        asked += 1;
        match client.call(ask) {
            Ok(answer) => Reply::new(answer).encode(answers).unwrap(),
            Err(error) => {
                refused += 1;
                answers.extend_from_slice(error.to_string().as_bytes());
            }
        }
    };
    let numbers: Vec<u64> = ATTRIBUTES.iter().map(|row| row.attribute.number()).collect();
    for asked in [Empty {}].map(Ask::Status).into_iter().chain([Ask::ListUsers(Empty {})]) {
        ask(asked);
    }
    for attributes in [vec![], numbers.clone()] {
        ask(Ask::FindObjects(FindObjects { attributes, ..FindObjects::default() }));
    }
    let kinds = [Mechanism::AesEcb, Mechanism::AesCmac, Mechanism::Sha256Hmac, Mechanism::Ecdsa];
    let kinds = kinds.into_iter().chain([Mechanism::RsaPkcs, Mechanism::RsaX509]);
    for number in 1..=4 {
        let object = || Some(ObjectReference { number, ..ObjectReference::default() });
        for attributes in [vec![], numbers.clone()] {
            ask(Ask::GetAttributes(GetAttributes { object: object(), attributes }));
        }
        ask(Ask::ObjectSize(object().unwrap()));
        let weaker =
            Template { attributes: vec![Attribute::flag(AttributeType::Sensitive, false)] };
        for template in [None, Some(weaker)] {
            ask(Ask::SetAttributes(ObjectAndTemplate {
                object: object(),
                template: template.clone(),
            }));
            ask(Ask::CopyObject(ObjectAndTemplate { object: object(), template }));
        }
        for mechanism in kinds.clone() {
            let used = Some(MechanismUse { mechanism: mechanism.number(), parameter: None });
            for part in [0, 1, 2, 3] {
                let (key, data, state) = (object(), vec![1; 32].into(), Vec::new().into());
                let operation = Operation {
                    key,
                    mechanism: used.clone(),
                    data,
                    part,
                    state,
                    ..Operation::default()
                };
                ask(Ask::Sign(operation.clone()));
                ask(Ask::Encrypt(operation.clone()));
                ask(Ask::Decrypt(operation));
            }
        }
        for by in 1..=4 {
            let wrapping_key = Some(ObjectReference { number: by, ..ObjectReference::default() });
            let mechanism = Mechanism::AesKeyWrapKwp.number();
            let mechanism = Some(MechanismUse { mechanism, parameter: None });
            ask(Ask::WrapKey(WrapKey { mechanism, wrapping_key, key: object() }));
        }
    }
    assert!(scene.relay.written().len() > 10_000);
    (asked, refused)
}

#[test]
fn neither_the_wire_nor_any_reply_holds_a_key() {
    let scene = Scene::new();
    let mut answers = Vec::new();
    for (user, role) in [("app", Role::CryptoUser), ("admin", Role::Admin)] {
        let client = scene.logged_in(user, role);
        let (asked, refused) = replies(&scene, &client, &mut answers);
        assert!(asked > 300 && refused < asked, "{asked} asked, {refused} refused");
    }
    assert!(answers.len() > 5_000, "{}", answers.len());
    let mut seen = Scanner::default();
    seen.add("a label", b"planted-aes");
    assert_ne!(seen.scan("replies", &answers), NOTHING, "the replies are those about the keys");
    assert_eq!(scene.keys.scan("replies", &answers), NOTHING);
    // Passwords, too, go over the wire: inside TLS.
    let mut secrets = scene.keys;
    passwords(&mut secrets);
    let wire = scene.relay.written();
    assert_eq!(secrets.scan("the wire", &wire), NOTHING);
    assert_eq!(seen.scan("the wire", &wire), NOTHING, "not even labels are seen");
}

/// The control: a program that speaks without TLS through the same relay is heard.
#[test]
fn a_leak_on_the_wire_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap().to_string()).unwrap();
    let mut client = TcpStream::connect(relay.address).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(USER_PASSWORD.as_bytes()).unwrap();
    server.write_all(b"4c65746d65696e2d61646d696e6c65746d65696e2d61646d696e").unwrap();
    drop(server);
    let mut scanner = Scanner::default();
    passwords(&mut scanner);
    let start = std::time::Instant::now();
    let expected =
        ["wire: the admin's password, in hexadecimal", "wire: the user's password, as it is"];
    loop {
        let found = scanner.scan("wire", &relay.written());
        if expected.iter().all(|expected| found.iter().any(|found| found == expected)) {
            break;
        }
        assert!(start.elapsed().as_secs() < 10, "{found:?}");
        std::thread::yield_now();
    }
}

/// The daemon's own memory is not open to others of its user: see also `tests/daemon/sandbox.rs`.
#[test]
fn the_daemon_leaves_no_core_image() {
    let scene = Scene::new();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", scene.daemon_pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}
