//! What was acknowledged is there after a restart; damage is refused and named; a full or failing disk refuses writes and loses
//! nothing. Power losses are in `power_loss.rs`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use casemate_cluster::disk::{Disk, RealDisk};
use casemate_cluster::simulated_disk::SimulatedDisk;
use casemate_cluster::{
    Alone, Begin, Cluster, Config, Member, ProposeError, StoreError, WriteHealth,
};

mod names;

use names::{Choices, Names, open};

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
    assert!(names.has("genesis"));
    cluster.shutdown();
    let (cluster, names) = open(&disk, false).unwrap();
    assert_eq!(names.all().len(), 101);
    cluster.snapshot_now();
    until("a snapshot", || disk.list().unwrap().iter().any(|name| name.starts_with("snapshot-")));
    cluster.shutdown();
    assert_eq!(open(&disk, false).unwrap().1.all().len(), 101);
}

/// A stopped store with a snapshot and two segments, and how many names it holds.
fn grown() -> (SimulatedDisk, usize) {
    let disk = SimulatedDisk::default();
    let (cluster, names) = open(&disk, true).unwrap();
    // Raft keeps some entries behind a snapshot, and removes a segment when all of it is older.
    let mut number = 0;
    until("two segments and a snapshot", || {
        write(&cluster, &format!("name-{number}")).unwrap();
        number += 1;
        let files = disk.list().unwrap();
        let count = |prefix: &str| files.iter().filter(|name| name.starts_with(prefix)).count();
        count("log-") >= 2 && count("snapshot-0") == 1
    });
    for more in 0..5 {
        write(&cluster, &format!("more-{more}")).unwrap();
    }
    cluster.shutdown();
    // The end may have come in the middle of a snapshot.
    let _unfinished = disk.remove("snapshot-unfinished").is_ok();
    let count = names.all().len();
    (disk, count)
}

fn copy(disk: &SimulatedDisk) -> SimulatedDisk {
    disk.after_power_loss(|most| most)
}

/// Opens a damaged copy: it must be refused by name, or hold everything.
fn refused(disk: &SimulatedDisk, count: usize, what: &str) -> bool {
    match open(disk, false) {
        Ok((_cluster, names)) => {
            assert_eq!(
                names.all().len(),
                count,
                "{what}: opened without all that was acknowledged"
            );
            false
        }
        Err(
            StoreError::Damaged { .. }
            | StoreError::Missing { .. }
            | StoreError::NewerVersion { .. },
        ) => true,
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn a_flip_anywhere_in_any_file_is_refused_or_changes_nothing() {
    let (disk, count) = grown();
    for file in disk.list().unwrap() {
        let length = disk.read(&file).unwrap().len();
        // Each byte of the ends of a file, where headers and the last records are; elsewhere every seventh.
        let places =
            (0..length).filter(|place| *place < 120 || length - place < 300 || place % 7 == 0);
        let mut opened = 0;
        for place in places {
            let copy = copy(&disk);
            copy.edit(&file, |bytes| bytes[place] ^= 1 << (place % 8));
            let what = format!("{file}, byte {place} of {length}");
            let refused = refused(&copy, count, &what);
            assert!(refused || file == "mark", "{what}: not refused");
            opened += usize::from(!refused);
        }
        // Of the mark's two slots one may be wrong.
        assert!(opened == 0 || file == "mark" && opened == 80, "{file}: {opened}");
    }
}

#[test]
fn a_cut_anywhere_in_any_file_is_refused() {
    let (disk, count) = grown();
    for file in disk.list().unwrap() {
        let length = disk.read(&file).unwrap().len();
        for kept in (0..length).filter(|kept| length - kept < 300 || kept % 11 == 0) {
            let copy = copy(&disk);
            copy.edit(&file, |bytes| bytes.truncate(kept));
            let refused = refused(&copy, count, &format!("{file}, cut to {kept}"));
            assert!(refused, "{file}, cut to {kept}: not refused");
        }
    }
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let (disk, count) = grown();
    for file in disk.list().unwrap() {
        let copy = copy(&disk);
        copy.remove(&file).unwrap();
        copy.sync_directory().unwrap();
        let error = open(&copy, false).map(drop).unwrap_err().to_string();
        assert!(refused(&copy, count, &file));
        assert!(error.contains(&file[..4]) && error.contains("missing"), "{file}: {error}");
    }
}

#[test]
fn an_older_copy_of_one_file_is_refused_or_changes_nothing() {
    let disk = SimulatedDisk::default();
    let (cluster, names) = open(&disk, true).unwrap();
    let mut older = Vec::new();
    for number in 0..400 {
        write(&cluster, &format!("name-{number}")).unwrap();
        if number % 40 == 0 {
            let files = disk.list().unwrap();
            // A snapshot in the background may remove one in between.
            older.extend(files.into_iter().filter_map(|file| {
                let bytes = disk.read(&file).ok()?;
                Some((number, file, bytes))
            }));
        }
    }
    cluster.shutdown();
    let (count, mut now) = (names.all().len(), disk.list().unwrap());
    // The end may have come in the middle of a snapshot: what there is of it counts for nothing.
    now.retain(|file| file != "snapshot-unfinished");
    let mut tried = 0;
    for (number, file, bytes) in older {
        if !now.contains(&file) || disk.read(&file).unwrap() == bytes {
            continue;
        }
        let copy = copy(&disk);
        copy.edit(&file, |found| *found = bytes);
        let refused = refused(&copy, count, &format!("{file} of write {number}"));
        // An older mark promises less than the log holds.
        assert!(refused || file == "mark", "{file} of write {number}: not refused");
        tried += 1;
    }
    assert!(tried > 5, "{tried}");
}

#[test]
fn records_that_change_places_are_refused() {
    let (disk, count) = grown();
    let newest = disk.list().unwrap().into_iter().rfind(|file| file.starts_with("log-"));
    let newest = newest.unwrap();
    let bytes = disk.read(&newest).unwrap();
    let mut records = Vec::new();
    let mut at = 28;
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let end = at + 37 + usize::try_from(length).unwrap();
        records.push(at..end);
        at = end;
    }
    assert!(records.len() > 4);
    let join = |order: &[usize]| {
        let body = order.iter().flat_map(|number| bytes[records[*number].clone()].to_vec());
        bytes[..28].iter().copied().chain(body).collect::<Vec<u8>>()
    };
    let all: Vec<usize> = (0..records.len()).collect();
    for number in 0..records.len() - 1 {
        let mut swapped = all.clone();
        swapped.swap(number, number + 1);
        let without: Vec<usize> = all.iter().copied().filter(|found| *found != number).collect();
        let mut twice = all.clone();
        twice.insert(number, number);
        for (what, order) in [("swapped", swapped), ("left out", without), ("twice", twice)] {
            let copy = copy(&disk);
            copy.edit(&newest, |bytes| *bytes = join(&order));
            assert!(refused(&copy, count, what), "record {number} {what}: not refused");
        }
    }
}

#[test]
fn a_torn_end_is_cut_off() {
    let (disk, count) = grown();
    let newest = disk.list().unwrap().into_iter().rfind(|file| file.starts_with("log-"));
    let newest = newest.unwrap();
    let length = disk.read(&newest).unwrap().len();
    let mut rubbish = b"\0\0\0\x40\x01torn".to_vec();
    rubbish.resize(200, 7);
    for torn in 1..rubbish.len() {
        let copy = copy(&disk);
        copy.edit(&newest, |bytes| bytes.extend_from_slice(&rubbish[..torn]));
        assert!(!refused(&copy, count, "a torn end"));
        assert!(!refused(&copy, count, "a torn end, once more"));
        let left = copy.read(&newest).unwrap();
        assert!(left[length..].windows(4).all(|bytes| bytes != b"torn"));
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_refused_by_its_place() {
    let disk = SimulatedDisk::default();
    let (cluster, _names) = open(&disk, true).unwrap();
    write(&cluster, "before").unwrap();
    // It stops the replica at once: to go on would be to lose it.
    assert!(write(&cluster, "unreadable").is_err());
    drop(cluster);
    let error = open(&disk, false).map(drop).unwrap_err();
    let StoreError::Unreadable { file, offset } = &error else { panic!("{error}") };
    let bytes = disk.read(file).unwrap();
    let record = &bytes[usize::try_from(*offset).unwrap()..];
    assert!(record.windows(10).any(|bytes| bytes == b"unreadable"));
}

#[test]
fn a_creation_that_was_cut_short_is_made_anew_and_a_cluster_is_not() {
    for seed in 0..40 {
        let disk = SimulatedDisk::default();
        open(&disk, true).unwrap().0.shutdown();
        let mut choices = Choices::new(seed);
        // The directory as if it had never been synced: any of the first files may be there.
        let cut = copy(&disk);
        for file in disk.list().unwrap() {
            match choices.up_to(2) {
                0 => cut.remove(&file).unwrap(),
                1 => cut.edit(&file, |bytes| bytes.truncate(choices.up_to(bytes.len()))),
                _ => {}
            }
        }
        let (_cluster, names) = open(&cut, true).unwrap();
        assert_eq!(names.all().len(), 1, "seed {seed}");
    }
    let (disk, count) = grown();
    let error = open(&disk, true).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(open(&disk, false).unwrap().1.all().len(), count);
}

#[test]
fn a_disk_that_is_full_when_a_snapshot_is_due_recovers_by_itself() {
    let disk = SimulatedDisk::default();
    let (cluster, names) = open(&disk, true).unwrap();
    let big = "x".repeat(2_000);
    write(&cluster, &big).unwrap();
    // Room for the log, not for a snapshot.
    disk.set_room(Some(1_500));
    cluster.snapshot_now();
    for number in 0..5 {
        // While a snapshot has taken all the room there is none for the log either, until it is taken back.
        until("room for a change", || write(&cluster, &number.to_string()).is_ok());
    }
    let has = |prefix: &str| disk.list().unwrap().iter().any(|name| name.starts_with(prefix));
    assert!(!has("snapshot-0"));
    disk.set_room(None);
    until("a snapshot", || has("snapshot-0"));
    write(&cluster, "after").unwrap();
    let count = names.all().len();
    cluster.shutdown();
    assert_eq!(open(&disk, false).unwrap().1.all().len(), count);
}

#[test]
fn a_disk_that_is_full_when_a_segment_is_due_recovers_by_itself() {
    let disk = SimulatedDisk::default();
    let (cluster, names) = open(&disk, true).unwrap();
    let second = "log-0000000000000002";
    let length = || disk.read(second).map_or(0, |bytes| bytes.len());
    disk.set_full_for(Some(second));
    let mut number = 0;
    let mut more = || {
        number += 1;
        write(&cluster, &format!("name-{number}")).unwrap();
    };
    // When the first entries are purged a second segment is due.
    until("the second segment is due", || {
        more();
        length() > 0
    });
    // And it is tried again with each snapshot.
    (0..60).for_each(|_| more());
    assert_eq!(length(), 7);
    disk.set_full_for(None);
    until("a second segment", || {
        more();
        length() > 100
    });
    let all = names.all();
    cluster.shutdown();
    assert_eq!(open(&disk, false).unwrap().1.all(), all);
}

#[test]
fn a_failed_fsync_loses_nothing_after_a_restart_and_a_power_loss() {
    for seed in 1..=30 {
        let mut choices = Choices::new(seed);
        let disk = SimulatedDisk::default();
        let (cluster, _names) = open(&disk, true).unwrap();
        write(&cluster, "before").unwrap();
        disk.fail_syncs(true);
        assert!(write(&cluster, "doubtful").is_err());
        drop(cluster);
        // The next process sees the doubtful write, whole, and serves it: from then on it must not go away.
        let disk = disk.after_kill();
        let (cluster, names) = open(&disk, false).unwrap();
        assert!(names.has("before"));
        let shown = names.has("doubtful");
        write(&cluster, "after").unwrap();
        let disk = disk.after_power_loss(|most| choices.up_to(most));
        drop(cluster);
        let (_cluster, names) = open(&disk, false).unwrap();
        assert!(names.has("before") && names.has("after"), "seed {seed}");
        assert_eq!(names.has("doubtful"), shown, "seed {seed}");
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
    // Who waits is told, although the change may still come.
    assert!(!receiver.recv_timeout(Duration::from_secs(5)).unwrap());
    assert_eq!(write(&cluster, "refused").unwrap_err(), ProposeError::DiskFull);
    disk.set_room(None);
    until("writes again", || write(&cluster, "after").is_ok());
    assert!(names.has("waiting") && names.has("after") && !names.has("refused"));
    cluster.shutdown();
    let (_cluster, names) = open(&disk, false).unwrap();
    assert!(names.has("before") && names.has("waiting") && names.has("after"));
}

#[test]
fn a_disk_that_stays_full_does_not_hold_up_the_end() {
    let disk = SimulatedDisk::default();
    let (cluster, _names) = open(&disk, true).unwrap();
    write(&cluster, "before").unwrap();
    disk.set_room(Some(10));
    cluster.propose(b"waiting".to_vec(), Box::new(|_| {}));
    until("the disk is full", || cluster.status().write_health == WriteHealth::Full);
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        cluster.shutdown();
        sender.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(10)).unwrap();
    // What was not acknowledged is not there, and the log is whole.
    disk.set_room(None);
    let (cluster, names) = open(&disk, false).unwrap();
    assert!(names.has("before") && !names.has("waiting"));
    write(&cluster, "after").unwrap();
}

#[test]
fn a_failed_fsync_acknowledges_nothing() {
    let disk = SimulatedDisk::default();
    let (cluster, _names) = open(&disk, true).unwrap();
    disk.fail_syncs(true);
    assert!(write(&cluster, "lost").is_err());
    until("the disk failed", || cluster.status().write_health == WriteHealth::Failed);
    assert_eq!(write(&cluster, "refused").unwrap_err(), ProposeError::DiskFailed);
}

#[test]
fn many_writers_share_an_fsync() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(directory.path()).unwrap());
    let begin = Begin::Genesis { entry: b"genesis".to_vec(), member: Member::default() };
    let alone = Arc::new(Alone);
    let cluster = Cluster::open(Config::default(), disk, Names::default(), begin, alone).unwrap();
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
    // Fewer than a snapshot is taken after.
    for number in 0..6 {
        write(&cluster, &format!("name-{number}")).unwrap();
    }
    assert_eq!(cluster.status().syncs - before, 6);
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
