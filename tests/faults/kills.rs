//! SIGKILL: hundreds of times, at random moments and at every named point, under load.
//!
//! `CASEMATE_KILLS` says how often at random moments (140), `CASEMATE_KILLS_PER_POINT` how often at each point (6).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use casemate_client::Client;
use casemate_cluster::testing::{CREATION_POINTS, POINTS};
use casemate_tests::{Build, Cluster};

use crate::daemon::{PATIENCE, Prepared};
use crate::ledger::{Checked, Ledger};
use crate::relay::{Mode, Relay};

const THREADS: usize = 4;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// xorshift, seeded by the clock: the seed is printed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = number("CASEMATE_SEED", u64::from(now.subsec_nanos()));
        println!("CASEMATE_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % limit
    }
}

struct Kills {
    prepared: Prepared,
    ledger: Ledger,
    checker: Client,
    /// The way of the threads: closed while a check looks.
    relay: Relay,
    all: Checked,
    checks: usize,
}

impl Kills {
    fn begin() -> Self {
        let prepared = Prepared::new();
        let mut daemon = prepared.start(Build::Plain, &[]);
        let relay = Relay::start(&prepared.cluster);
        let load = prepared.user_at(Some(relay.address()), PATIENCE);
        let ledger = Ledger::start("load", load, THREADS);
        let checker = prepared.user(PATIENCE);
        daemon.kill();
        Self { prepared, ledger, checker, relay, all: Checked::default(), checks: 0 }
    }

    /// Starts the daemon and holds the book against it, before the threads go on.
    fn check(&mut self, what: &str) {
        self.relay.set(Mode::Refuse);
        let mut daemon = self.prepared.start(Build::Plain, &[]);
        let checked = self.ledger.check(&self.checker);
        let checked = checked.unwrap_or_else(|wrong| panic!("after {what}: {wrong:#?}"));
        self.all.objects += checked.objects;
        self.all.deleted += checked.deleted;
        self.all.used += checked.used;
        self.checks += 1;
        self.relay.set(Mode::Pass);
        // The retries of what was in flight reach it, and then it dies, too.
        let before = self.ledger.acknowledged();
        let start = Instant::now();
        while self.ledger.acknowledged() < before + 4 {
            assert!(
                start.elapsed() < PATIENCE,
                "the load does not go on: {:?}",
                self.ledger.failed()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        daemon.kill();
    }

    fn end(mut self) {
        let _daemon = self.prepared.start(Build::Plain, &[]);
        self.ledger.finish();
        let failed = self.ledger.failed();
        assert!(failed.is_empty(), "the application saw {failed:?}");
        let last = self.ledger.check(&self.checker).unwrap();
        println!(
            "{} changes were acknowledged; {} checks looked at {} keys, {} deletions and {} uses of keys; at the end {last:?}",
            self.ledger.acknowledged(),
            self.checks,
            self.all.objects,
            self.all.deleted,
            self.all.used
        );
        assert!(
            self.ledger.acknowledged() > 200 && self.all.objects > 1_000,
            "the load was too small"
        );
    }
}

#[test]
fn at_random_moments_nothing_acknowledged_is_lost() {
    let mut random = Random::new();
    let mut kills = Kills::begin();
    let count = number("CASEMATE_KILLS", 140);
    for kill in 0..count {
        // Some while it starts, most while it serves.
        let mut daemon = kills.prepared.spawn(Build::Plain, &[]);
        if kill % 4 != 0 {
            kills.prepared.wait(&mut daemon);
        }
        std::thread::sleep(Duration::from_micros(random.below(120_000)));
        daemon.kill();
        if kill % 4 == 3 || kill + 1 == count {
            kills.check("a kill at a random moment");
        }
    }
    println!("{} kills at random moments", count + u64::try_from(kills.checks).unwrap());
    kills.end();
}

#[test]
fn at_every_named_point_nothing_acknowledged_is_lost() {
    let mut random = Random::new();
    let mut kills = Kills::begin();
    let mut hits: BTreeMap<&str, u64> = POINTS.iter().map(|point| (*point, 0)).collect();
    for round in 0..number("CASEMATE_KILLS_PER_POINT", 6) {
        for point in POINTS {
            // The first pass of a point may be while the daemon starts; later ones are under load.
            let often = !point.starts_with("se") && !point.starts_with("sn");
            let pass = if often { 1 + random.below(60) } else { 1 + round % 2 };
            let wanted = format!("{point}:{pass}");
            let mut daemon =
                kills.prepared.spawn(Build::Testing, &[("CASEMATE_KILL_POINT", &wanted)]);
            assert!(
                daemon.was_killed_within(PATIENCE),
                "{wanted} was not passed: {}",
                daemon.log()
            );
            *hits.entry(point).or_default() += 1;
            kills.check(&wanted);
        }
    }
    for (point, hit) in &hits {
        println!("{hit:3} kills at {point}");
    }
    assert!(hits.values().all(|hit| *hit > 0), "{hits:?}");
    kills.end();
}

#[test]
fn while_a_cluster_is_made_it_is_made_or_begun_anew() {
    for point in CREATION_POINTS {
        // `secrets-…` is passed again by the activation.
        for pass in if point.starts_with("secrets") { 1..=2 } else { 1..=1 } {
            let wanted = format!("{point}:{pass}");
            let mut cluster = Cluster::empty(Build::Testing).unwrap();
            cluster.set_environment("CASEMATE_KILL_POINT", &wanted);
            let failed = cluster.up(&[]).unwrap_err().to_string();
            cluster.unset_environment("CASEMATE_KILL_POINT");
            // What was made is found again by the same command: here by what it says, and by a daemon that serves.
            let start = Instant::now();
            let directory = cluster.path().join("hsm-1");
            let mut daemon = crate::daemon::Daemon::spawn(&directory, Build::Plain, &[]);
            while !daemon.log().contains("ready") {
                assert!(daemon.ended().is_none(), "{wanted} ({failed}): {}", daemon.log());
                assert!(start.elapsed() < PATIENCE, "{wanted}: {}", daemon.log());
                std::thread::sleep(Duration::from_millis(5));
            }
            daemon.stop();
            assert!(cluster.data().join("module.sealed").exists(), "{wanted}");
            assert!(!cluster.data().join("module.creating").exists(), "{wanted}");
        }
    }
}

/// The control: the same check finds a daemon that acknowledges before it writes.
#[test]
fn a_daemon_that_acknowledges_early_is_found() {
    let prepared = Prepared::new();
    let relay = Relay::start(&prepared.cluster);
    let mut random = Random::new();
    let mut found = Vec::new();
    for round in 1..=10 {
        let pass = format!("before-append:{}", 20 + random.below(20));
        let planted = [("CASEMATE_ACKNOWLEDGE_EARLY", "1"), ("CASEMATE_KILL_POINT", pass.as_str())];
        let mut daemon = prepared.start(Build::Testing, &planted);
        let load = prepared.user_at(Some(relay.address()), PATIENCE);
        let ledger = Ledger::start(&format!("round-{round}"), load, THREADS);
        assert!(daemon.was_killed_within(PATIENCE), "{}", daemon.log());
        relay.set(Mode::Refuse);
        let _daemon = prepared.start(Build::Plain, &[]);
        let checked = ledger.check(&prepared.user(PATIENCE));
        relay.set(Mode::Pass);
        if let Err(wrong) = checked {
            println!("found by kill {round}: {wrong:?}");
            found = wrong;
            break;
        }
    }
    assert!(
        found.iter().any(|wrong| wrong.contains("acknowledged")),
        "the planted bug was not found: {found:?}"
    );
}
