//! What was acknowledged is there after a power loss at any byte; damage is refused; a full disk recovers.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use casemate_cluster::disk::{Disk, RealDisk};
use casemate_cluster::simulated_disk::SimulatedDisk;
use casemate_cluster::{
    Cluster, Config, ProposeError, Replica, ReplicaError, StoreError, WriteHealth,
};

/// A set of entries: the simplest state that shows what was applied.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeSet<Vec<u8>>>>);

impl Names {
    fn has(&self, name: &[u8]) -> bool {
        self.0.lock().unwrap().contains(name)
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Replica for Names {
    fn apply(&mut self, _index: u64, entry: &[u8]) -> Vec<u8> {
        self.0.lock().unwrap().insert(entry.to_vec());
        entry.to_vec()
    }

    fn index(&self) -> u64 {
        u64::try_from(self.len()).unwrap()
    }

    fn publish(&mut self) {}

    fn snapshot(&self) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        Box::new(self.0.lock().unwrap().clone().into_iter())
    }

    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError> {
        *self.0.lock().unwrap() = chunks.map(Result::unwrap).collect();
        Ok(())
    }
}

fn open(disk: &SimulatedDisk, create: bool) -> Result<(Cluster, Names), StoreError> {
    let names = Names::default();
    let config = Config { snapshot_every: 40, ..Config::default() };
    let genesis = create.then(|| b"genesis".to_vec());
    let cluster = Cluster::open(config, Arc::new(disk.clone()), names.clone(), genesis)?;
    Ok((cluster, names))
}

fn write(cluster: &Cluster, name: &str) -> Result<Vec<u8>, ProposeError> {
    let (sender, receiver) = channel();
    let done = move |result: Result<casemate_cluster::Committed, ProposeError>| {
        let _sent = sender.send(result.map(|committed| committed.reply)).is_ok();
    };
    cluster.propose(name.as_bytes().to_vec(), Box::new(done));
    receiver.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn writes_survive_a_restart_by_log_and_by_snapshot() {
    let disk = SimulatedDisk::default();
    let (cluster, names) = open(&disk, true).unwrap();
    for number in 0..100 {
        let name = format!("name-{number}");
        assert_eq!(write(&cluster, &name).unwrap(), name.as_bytes());
    }
    assert!(names.has(b"genesis"));
    cluster.shutdown();
    let (cluster, names) = open(&disk, false).unwrap();
    assert_eq!(names.len(), 101);
    cluster.snapshot_now();
    until("a snapshot", || disk.list().unwrap().iter().any(|name| name.starts_with("snapshot-")));
    cluster.shutdown();
    assert_eq!(open(&disk, false).unwrap().1.len(), 101);
}

/// Writes for a while, cuts the power at a moment and a byte that the seed chooses, and counts what was acknowledged and lost.
fn lost_by_power_cut(seed: u64) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    let disk = SimulatedDisk::default();
    let (cluster, _names) = open(&disk, true).unwrap();
    disk.set_sync_time(Duration::from_millis(1));
    let writes = next() % 120;
    let (sender, receiver) = channel();
    for number in 0..writes {
        let (sender, name) = (sender.clone(), format!("name-{number}"));
        let entry = name.clone().into_bytes();
        cluster.propose(
            entry,
            Box::new(move |result| {
                let _sent = result.is_ok() && sender.send(name).is_ok();
            }),
        );
    }
    // The power goes in the middle of it: what was acknowledged by now counts.
    let patience = next() % (writes + 1);
    let mut acknowledged = BTreeSet::new();
    for _ in 0..patience {
        acknowledged.insert(receiver.recv().unwrap());
    }
    let after = disk.after_power_loss(|unsynced| (next() % (unsynced + 1), next() % 2 == 0));
    drop(cluster);
    let (_cluster, names) = open(&after, false).unwrap();
    acknowledged.iter().filter(|name| !names.has(name.as_bytes())).count()
}

#[test]
fn a_power_cut_at_any_byte_loses_nothing_that_was_acknowledged() {
    for seed in 1..=60 {
        assert_eq!(lost_by_power_cut(seed), 0, "seed {seed}");
    }
}

#[test]
fn a_flip_anywhere_before_the_last_record_is_refused() {
    let disk = SimulatedDisk::default();
    let (cluster, _names) = open(&disk, true).unwrap();
    for number in 0..5 {
        write(&cluster, &format!("name-{number}")).unwrap();
    }
    cluster.shutdown();
    let segment = disk.list().unwrap().remove(0);
    let length = disk.read(&segment).unwrap().len();
    for place in (0..length - 200).step_by(7) {
        let copy = disk.after_power_loss(|unsynced| (unsynced, false));
        copy.edit(&segment, |bytes| bytes[place] ^= 1);
        let refused = open(&copy, false).map(drop).unwrap_err();
        let named = matches!(&refused, StoreError::Damaged { file, .. } if *file == segment)
            || matches!(&refused, StoreError::NewerVersion { .. });
        assert!(named, "{place}: {refused}");
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let disk = SimulatedDisk::default();
    open(&disk, true).unwrap().0.shutdown();
    let segment = disk.list().unwrap().remove(0);
    disk.edit(&segment, |bytes| bytes[11] = 9);
    let refused = open(&disk, false).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::NewerVersion { found: 9, .. }), "{refused}");
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let disk = SimulatedDisk::default();
    let (cluster, names) = open(&disk, true).unwrap();
    write(&cluster, "before").unwrap();
    disk.set_room(Some(10));
    let (sender, receiver) = channel();
    cluster.propose(
        b"waiting".to_vec(),
        Box::new(move |result| {
            let _sent = sender.send(result.is_ok()).is_ok();
        }),
    );
    until("the disk is full", || cluster.status().write_health == WriteHealth::Full);
    assert_eq!(write(&cluster, "refused").unwrap_err(), ProposeError::DiskFull);
    disk.set_room(None);
    assert!(receiver.recv_timeout(Duration::from_secs(10)).unwrap());
    write(&cluster, "after").unwrap();
    assert!(names.has(b"waiting") && names.has(b"after") && !names.has(b"refused"));
    cluster.shutdown();
    let (_cluster, names) = open(&disk, false).unwrap();
    assert!(names.has(b"before") && names.has(b"waiting") && names.has(b"after"));
}

#[test]
fn a_failed_fsync_acknowledges_nothing() {
    let disk = SimulatedDisk::default();
    let (cluster, _names) = open(&disk, true).unwrap();
    disk.fail_syncs();
    assert!(write(&cluster, "lost").is_err());
    until("the disk failed", || cluster.status().write_health == WriteHealth::Failed);
    assert_eq!(write(&cluster, "refused").unwrap_err(), ProposeError::DiskFailed);
}

#[test]
fn many_writers_share_an_fsync() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(directory.path()).unwrap());
    let genesis = Some(b"genesis".to_vec());
    let cluster = Cluster::open(Config::default(), disk, Names::default(), genesis).unwrap();
    let before = cluster.status().syncs;
    let (sender, receiver) = channel();
    for number in 0..2_000 {
        let sender = sender.clone();
        cluster.propose(
            format!("{number}").into_bytes(),
            Box::new(move |result| {
                let _sent = sender.send(result.is_ok()).is_ok();
            }),
        );
    }
    assert!((0..2_000).all(|_| receiver.recv().unwrap()));
    let syncs = cluster.status().syncs - before;
    assert!(syncs < 1_000, "{syncs} fsyncs for 2,000 writes");
}

#[test]
fn a_lone_write_is_one_fsync() {
    let disk = SimulatedDisk::default();
    let (cluster, _names) = open(&disk, true).unwrap();
    let before = cluster.status().syncs;
    for number in 0..10 {
        write(&cluster, &format!("name-{number}")).unwrap();
    }
    assert_eq!(cluster.status().syncs - before, 10);
}

#[test]
fn a_directory_opens_once() {
    let directory = tempfile::tempdir().unwrap();
    let first = RealDisk::open(directory.path()).unwrap();
    let second = RealDisk::open(directory.path()).map(drop).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
    drop(first);
    RealDisk::open(directory.path()).map(drop).unwrap();
}
