//! Below the frames: other protocols on the port, peers that say nothing, peers that take their time.

use std::io::Write as _;
use std::time::{Duration, Instant};

use casemate_protocol::messages::{Answer, Ask, Empty};

use crate::watch::Watch;
use crate::wire::{PATIENCE, Wire, read_to_end, tcp};

/// A ClientHello of TLS 1.2 without the extension that would offer 1.3.
fn hello_of_tls_1_2() -> Vec<u8> {
    let mut body = vec![0x03, 0x03];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x2f]);
    body.extend([1, 0]);
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let algorithms = [0, 13, 0, 4, 0, 2, 4, 3];
    body.extend([0, 16]);
    body.extend(groups);
    body.extend(algorithms);
    let length = u8::try_from(body.len()).unwrap();
    let handshake = [&[1, 0, 0, length][..], &body].concat();
    let length = u8::try_from(handshake.len()).unwrap();
    [&[22, 3, 1, 0, length][..], &handshake].concat()
}

#[test]
fn other_protocols_are_refused_at_once_and_logged() {
    let watch = Watch::start("");
    let quick = Duration::from_secs(2);
    for request in [
        "GET / HTTP/1.1\r\nHost: hsm\r\n\r\n",
        "POST /x HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
    ] {
        let mut peer = tcp(&watch.address());
        peer.write_all(request.as_bytes()).unwrap();
        let start = Instant::now();
        let said = String::from_utf8(read_to_end(&mut peer)).unwrap();
        assert!(start.elapsed() < quick, "{request}");
        assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
        assert!(said.contains("TLS 1.3") && said.contains("casemate"), "{said}");
    }
    watch.unharmed("HTTP");
    assert!(watch.cluster.log().contains("speaks HTTP"), "{}", watch.cluster.log());
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..32 {
        let mut peer = tcp(&watch.address());
        let mut bytes = Vec::new();
        for _ in 0..64 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            bytes.extend(noise.to_be_bytes());
        }
        // Never the type of a record of a handshake, which would make it wait for more.
        bytes[0] |= 0x80;
        peer.write_all(&bytes).unwrap();
        let start = Instant::now();
        // At most a TLS alert.
        assert!(read_to_end(&mut peer).len() <= 7, "{round}");
        assert!(start.elapsed() < quick, "{round}");
    }
    watch.unharmed("random bytes");
    assert!(watch.cluster.log().contains("not TLS"), "{}", watch.cluster.log());
    let start = Instant::now();
    // The log has a few lines for each second, so one of many may be missing.
    while !watch.cluster.log().contains("TLS 1.2") {
        let mut peer = tcp(&watch.address());
        peer.write_all(&hello_of_tls_1_2()).unwrap();
        // A fatal alert, protocol_version (70).
        assert_eq!(read_to_end(&mut peer), [21, 3, 3, 0, 2, 2, 70]);
        assert!(start.elapsed() < PATIENCE, "{}", watch.cluster.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    watch.unharmed("TLS 1.2");
}

#[test]
fn a_flood_of_refused_peers_is_no_flood_of_lines() {
    let watch = Watch::start("");
    let lines = || watch.cluster.log().lines().filter(|line| line.contains("refused")).count();
    let start = Instant::now();
    for _ in 0..400 {
        let mut peer = tcp(&watch.address());
        peer.write_all(b"\xff\xff\xff\xff\xff\xff\xff\xff").unwrap();
        read_to_end(&mut peer);
    }
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap() + 2;
    assert!(lines() >= 5, "{}", watch.cluster.log());
    assert!(lines() <= 5 * seconds, "{} lines in {seconds} s", lines());
    watch.unharmed("a flood of refused peers");
}

#[test]
fn peers_that_say_nothing_or_take_their_time_are_closed() {
    let watch = Watch::start("[limits]\nhandshake_seconds = 1\nidle_seconds = 2");
    let address = watch.address();
    let closed_within = |least: u64, most: u64, start: Instant| {
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(least), "closed too early: {took:?}");
        assert!(took < Duration::from_millis(most), "closed too late: {took:?}");
    };
    // Connects and says nothing.
    let start = Instant::now();
    read_to_end(&mut tcp(&address));
    closed_within(900, 4_000, start);
    // Half a ClientHello, then one byte at a time.
    let start = Instant::now();
    let mut peer = tcp(&address);
    for byte in hello_of_tls_1_2().iter().cycle().take(400) {
        if peer.write_all(&[*byte]).is_err() || start.elapsed() > Duration::from_secs(6) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        if start.elapsed() < Duration::from_millis(800) {
            continue;
        }
    }
    closed_within(900, 5_000, start);
    // TLS, and no hello.
    let start = Instant::now();
    assert_eq!(Wire::tls(&address).closed(), None);
    closed_within(900, 4_000, start);
    // A hello, byte by byte, that never ends.
    let start = Instant::now();
    let mut slow = Wire::tls(&address);
    let header = [0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for byte in header.iter().chain(&[0; 200]) {
        if slow.raw(&[*byte]).is_err() || start.elapsed() > Duration::from_secs(6) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    closed_within(900, 5_000, start);
    // Greeted, and idle.
    let start = Instant::now();
    let mut idle = Wire::open(&address);
    assert_eq!(idle.closed(), None);
    closed_within(1_900, 6_000, start);
    // Greeted, and not idle.
    let start = Instant::now();
    let mut busy = Wire::open(&address);
    while start.elapsed() < Duration::from_millis(3_500) {
        assert!(matches!(busy.ask(Ask::Ping(Empty {})), Answer::Done(_)));
        std::thread::sleep(Duration::from_millis(200));
    }
    watch.unharmed("half-open and idle peers");
}
