//! Several members as one: what was acknowledged is on all of them, whoever dies, is cut off or comes late.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use casemate_cluster::disk::Disk as _;
use casemate_cluster::simulated_disk::SimulatedDisk;
use casemate_cluster::{Alone, Begin, Cluster, Committed, Config, Member, ProposeError};

#[path = "../names/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod names;
mod network;

use names::Names;
use network::Network;

const PATIENCE: Duration = Duration::from_secs(30);

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn member(node: u64) -> Member {
    Member { address: format!("node {node}"), identity: [u8::try_from(node).unwrap(); 32] }
}

/// Members on disks in memory.
struct Bench {
    network: Network,
    disks: BTreeMap<u64, SimulatedDisk>,
    running: BTreeMap<u64, (Arc<Cluster>, Names)>,
    snapshot_every: u64,
}

impl Bench {
    /// Makes a cluster of so many.
    fn new(members: u64) -> Self {
        Self::with(members, 20_000)
    }

    fn with(members: u64, snapshot_every: u64) -> Self {
        let mut bench = Self {
            network: Network::default(),
            disks: BTreeMap::new(),
            running: BTreeMap::new(),
            snapshot_every,
        };
        bench.open(1, Begin::Genesis { entry: b"genesis".to_vec(), member: member(1) });
        for node in 2..=members {
            bench.join(node);
        }
        bench
    }

    fn open(&mut self, node: u64, begin: Begin) {
        let disk = self.disks.entry(node).or_default().clone();
        let names = Names::default();
        let config = Config { node, snapshot_every: self.snapshot_every, kept_entries: 8 };
        let wire = self.network.wire(node);
        let opened = Cluster::open(config, Arc::new(disk), names.clone(), begin, wire);
        let cluster = Arc::new(opened.unwrap());
        self.network.connect(node, &cluster);
        self.running.insert(node, (cluster, names));
    }

    /// Adds one that has nothing.
    fn join(&mut self, node: u64) {
        self.open(node, Begin::Joining);
        let leader = self.leader();
        self.cluster(leader).add_voter(node, member(node)).unwrap();
    }

    /// Stops a member, and leaves on its disk what was synced.
    fn kill(&mut self, node: u64) {
        self.network.disconnect(node);
        self.running.remove(&node);
        let disk = self.disks.get_mut(&node).unwrap();
        *disk = disk.after_power_loss(|_| 0);
    }

    fn start(&mut self, node: u64) {
        self.open(node, Begin::Existing);
    }

    fn cluster(&self, node: u64) -> &Arc<Cluster> {
        &self.running.get(&node).unwrap().0
    }

    fn names(&self, node: u64) -> &Names {
        &self.running.get(&node).unwrap().1
    }

    /// The one that leads, as it says itself.
    fn leader(&self) -> u64 {
        let mut leader = None;
        until("a leader", || {
            leader = self.running.iter().find(|(_, (one, _))| one.status().leads).map(|(n, _)| *n);
            leader.is_some()
        });
        leader.unwrap()
    }

    /// One that does not lead.
    fn follower(&self) -> u64 {
        let leader = self.leader();
        *self.running.keys().find(|node| **node != leader).unwrap()
    }

    fn propose(&self, through: u64, name: &str) -> Result<Committed, ProposeError> {
        let (sender, receiver) = channel();
        let done = move |result| {
            let _sent = sender.send(result).is_ok();
        };
        self.cluster(through).propose(name.as_bytes().to_vec(), Box::new(done));
        receiver.recv_timeout(PATIENCE).unwrap()
    }

    fn write(&self, through: u64, name: &str) {
        let start = Instant::now();
        while let Err(error) = self.propose(through, name) {
            assert!(start.elapsed() < PATIENCE, "{name} through {through}: {error}");
        }
        assert!(self.names(through).has(name), "{name} is not where it was written: {through}");
    }

    fn confirm(&self, through: u64) -> Result<(), ProposeError> {
        let (sender, receiver) = channel();
        self.cluster(through).confirm(Box::new(move |result| {
            let _sent = sender.send(result).is_ok();
        }));
        receiver.recv_timeout(PATIENCE).unwrap()
    }

    /// All that run hold the same in the end.
    fn expect_equal(&self, count: usize) {
        for node in self.running.keys() {
            until(&format!("{count} names on {node}"), || self.names(*node).all().len() == count);
        }
        let all: Vec<_> = self.running.values().map(|(_, names)| names.all()).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn what_any_member_is_told_all_of_them_hold() {
    let bench = Bench::new(3);
    for number in 0..60 {
        bench.write(number % 3 + 1, &format!("name-{number}"));
    }
    bench.expect_equal(61);
    let status = bench.cluster(bench.follower()).status();
    assert_eq!(status.members.len(), 3);
    assert!(status.members.iter().all(|one| one.voter && one.member == member(one.node)));
    assert_eq!(status.leader, Some(bench.leader()));
}

#[test]
fn a_killed_leader_is_replaced_and_comes_back() {
    let mut bench = Bench::new(3);
    bench.write(1, "before");
    let leader = bench.leader();
    bench.kill(leader);
    let start = Instant::now();
    let through = *bench.running.keys().next().unwrap();
    bench.write(through, "after");
    let stall = start.elapsed();
    println!("writes were back after {stall:?}");
    assert!(stall < Duration::from_secs(6), "{stall:?}");
    bench.start(leader);
    bench.write(leader, "through the one that came back");
    bench.expect_equal(4);
}

#[test]
fn a_leader_that_is_cut_off_promises_nothing() {
    let bench = Bench::new(3);
    bench.write(1, "before");
    let old = bench.leader();
    bench.network.isolate(old, 3);
    let other = *bench.running.keys().find(|node| **node != old).unwrap();
    bench.write(other, "by the majority");
    assert_eq!(bench.confirm(old), Err(ProposeError::NoLeader));
    assert_eq!(bench.propose(old, "by the minority").err(), Some(ProposeError::NoLeader));
    assert_eq!(bench.confirm(other), Ok(()));
    bench.network.heal();
    bench.write(old, "afterwards");
    // What the minority was asked may take effect after all: its fate was unknown, not refused for ever.
    until("the same everywhere", || {
        let all: Vec<_> = bench.running.values().map(|(_, names)| names.all()).collect();
        all.windows(2).all(|pair| pair[0] == pair[1])
    });
    for node in bench.running.keys() {
        for name in ["before", "by the majority", "afterwards"] {
            assert!(bench.names(*node).has(name), "{name} on {node}");
        }
    }
}

#[test]
fn a_link_that_is_cut_one_way_stops_nobody_for_long() {
    let bench = Bench::new(3);
    let leader = bench.leader();
    let follower = bench.follower();
    bench.network.cut(leader, follower);
    for number in 0..5 {
        bench.write(leader, &format!("through the leader {number}"));
    }
    bench.network.heal();
    bench.network.cut(follower, leader);
    let third = 6 - leader - follower;
    bench.write(third, "through the third");
    bench.network.heal();
    bench.expect_equal(7);
}

#[test]
fn confirming_on_a_follower_shows_what_was_written_elsewhere() {
    let bench = Bench::new(3);
    let (leader, follower) = (bench.leader(), bench.follower());
    for number in 0..50 {
        let name = format!("name-{number}");
        bench.write(leader, &name);
        assert_eq!(bench.confirm(follower), Ok(()));
        assert!(bench.names(follower).has(&name), "{name}");
    }
}

#[test]
fn an_index_seen_elsewhere_is_waited_for() {
    let bench = Bench::new(3);
    let (leader, follower) = (bench.leader(), bench.follower());
    let index = bench.propose(leader, "name").unwrap().index;
    let wait = |index, within| {
        let (sender, receiver) = channel();
        let done = Box::new(move |reached| {
            let _sent = sender.send(reached).is_ok();
        });
        bench.cluster(follower).wait_for(index, within, done);
        receiver.recv_timeout(PATIENCE).unwrap()
    };
    assert!(wait(index, PATIENCE));
    assert!(bench.names(follower).has("name"));
    assert!(!wait(index + 1, Duration::from_millis(50)));
}

#[test]
fn a_new_member_catches_up_by_snapshot_and_keeps_it() {
    let mut bench = Bench::with(1, 12);
    for number in 0..200 {
        bench.write(1, &format!("name-{number}"));
    }
    until("a snapshot", || {
        bench.disks[&1].list().unwrap().iter().any(|name| name.starts_with("snapshot-0"))
    });
    bench.join(2);
    bench.join(3);
    bench.expect_equal(201);
    let snapshots = |node: u64| {
        bench.disks[&node]
            .list()
            .unwrap()
            .iter()
            .filter(|name| name.starts_with("snapshot-0"))
            .count()
    };
    assert!(snapshots(3) >= 1, "it came by the log, not by a snapshot");
    for node in [3, 2, 1] {
        bench.kill(node);
        bench.start(node);
    }
    bench.write(3, "after all were killed");
    bench.expect_equal(202);
}

/// Whenever the power goes while a snapshot comes and takes the place of the log, what is on the disk is a store that opens.
#[test]
fn a_power_loss_while_a_snapshot_comes_leaves_a_store_that_opens() {
    let mut opened = 0;
    for round in 0..6 {
        let mut bench = Bench::with(3, 12);
        let away = bench.follower();
        bench.kill(away);
        let through = bench.leader();
        for number in 0..100 {
            bench.write(through, &format!("name-{number}"));
        }
        let before = bench.disks[&away].list().unwrap();
        bench.start(away);
        let mut copies = Vec::new();
        until("all names", || {
            // Of what was not synced sometimes nothing stays, sometimes all.
            copies.push(bench.disks[&away].after_power_loss(|most| most * (round % 2)));
            bench.names(away).all().len() == 101
        });
        let came = |disk: &SimulatedDisk| {
            let files = disk.list().unwrap();
            files.iter().any(|file| file.starts_with("snapshot-0") && !before.contains(file))
        };
        opened += copies.iter().filter(|copy| came(copy)).count();
        for copy in copies {
            let config = Config { node: away, snapshot_every: 12, kept_entries: 8 };
            let begin = Begin::Existing;
            let again =
                Cluster::open(config, Arc::new(copy), Names::default(), begin, Arc::new(Alone));
            again.map(drop).unwrap();
        }
    }
    assert!(opened > 0, "no power was lost behind a snapshot that came");
    println!("{opened} stores with a snapshot that came opened");
}

#[test]
fn one_that_was_away_for_long_catches_up_while_the_others_go_on() {
    let mut bench = Bench::with(3, 12);
    bench.write(1, "before");
    let away = bench.follower();
    bench.kill(away);
    let through = bench.leader();
    for number in 0..300 {
        bench.write(through, &format!("name-{number}"));
    }
    bench.start(away);
    for number in 300..320 {
        bench.write(through, &format!("name-{number}"));
    }
    bench.expect_equal(322);
}

#[test]
fn all_that_was_acknowledged_is_there_after_all_lost_power() {
    let mut bench = Bench::new(3);
    for number in 0..50 {
        bench.write(number % 3 + 1, &format!("name-{number}"));
    }
    for node in 1..=3 {
        bench.kill(node);
    }
    for node in 1..=3 {
        bench.start(node);
    }
    bench.write(2, "afterwards");
    bench.expect_equal(52);
}

/// It knows of less that is committed than it had acknowledged: in its old term it would confirm that.
#[test]
fn a_leader_that_was_away_leads_in_a_new_term_only() {
    let mut bench = Bench::new(3);
    let leader = bench.leader();
    bench.write(leader, "before");
    let term = bench.cluster(leader).status().term;
    for node in 1..=3 {
        bench.kill(node);
    }
    for node in 1..=3 {
        bench.start(node);
        assert!(!bench.cluster(node).status().leads, "{node} leads before it was elected");
    }
    while bench.confirm(leader).is_err() {}
    assert!(bench.names(leader).has("before"));
    let now = bench.cluster(leader).status().term;
    assert!(now > term, "{now} follows {term}");
}

#[test]
fn a_member_that_was_removed_is_not_asked_any_more() {
    let bench = Bench::new(3);
    bench.write(1, "before");
    let (leader, removed) = (bench.leader(), bench.follower());
    assert!(bench.cluster(removed).remove(leader).is_err(), "a follower changed the membership");
    bench.cluster(leader).remove(removed).unwrap();
    bench.write(leader, "after");
    assert_eq!(bench.cluster(leader).status().members.len(), 2);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!bench.names(removed).has("after"));
}

#[test]
fn messages_that_are_none_are_refused() {
    let bench = Bench::new(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for request in [
        &b""[..],
        &[1],
        &[2, 0, 0, 0, 0],
        &[1, 0, 0, 0, 1, 255, 255, 255, 255],
        &[1, 0, 0, 0, 1, 0, 0, 0, 1, b'x'],
        &[1, 0, 0, 0, 2, 0, 0, 0, 1, b'1'],
    ] {
        let reply = runtime.block_on(bench.cluster(1).serve(request.to_vec()));
        assert!(String::from_utf8_lossy(&reply).contains("Unable"), "{request:?}");
    }
    bench.write(1, "it goes on");
}
