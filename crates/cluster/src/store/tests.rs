use openraft::{CommittedLeaderId, EntryPayload};

use super::*;
use crate::log_storage::{Batch, encode_entry};
use crate::runtime::Home;
use crate::simulated_disk::SimulatedDisk;
use crate::writer::{self, Job};

fn id(index: u64) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(1, 1), index)
}

fn entry(index: u64) -> (Kind, Vec<u8>) {
    let payload = EntryPayload::Normal(Batch(vec![Arc::from(&b"pebble"[..])]));
    (Kind::Entry, encode_entry(&Entry { log_id: id(index), payload }).unwrap())
}

/// Opens the store, and writes some more to it.
fn write(disk: &Arc<dyn Disk>, records: Vec<(Kind, Vec<u8>)>) -> Contents {
    let contents = open(disk).unwrap();
    let home = Home::threads().unwrap();
    let (jobs, _health, thread) = writer::start(Arc::clone(disk), &contents, &home).unwrap();
    jobs.send(Job::Append { records, last_index: 0, done: Box::new(|done| done.unwrap()) })
        .unwrap();
    drop(jobs);
    thread.unwrap().join().unwrap();
    contents
}

fn put_snapshot(disk: &Arc<dyn Disk>, index: u64) {
    let meta = Meta { last_log_id: Some(id(index)), ..Meta::default() };
    let mut bytes = record::file_header(SNAPSHOT_MAGIC, index, [0; 8]);
    let mut chain = Chain::behind(&bytes);
    record::write(&mut bytes, &mut chain, Kind::Meta as u8, &encode(&meta).unwrap());
    record::write(&mut bytes, &mut chain, Kind::End as u8, &[]);
    disk.append(&snapshot_name(index), &bytes).unwrap();
}

/// The power went between the snapshot and the record that says that the entries before it are void.
#[test]
fn a_log_that_begins_behind_a_snapshot_goes_on_there() {
    let purge = (Kind::Purge, encode(&id(1)).unwrap());
    for there in [vec![], vec![entry(0), entry(1)], vec![entry(0), entry(1), purge]] {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::default());
        let received = (Kind::Received, encode(&id(10)).unwrap());
        write(&disk, there.into_iter().chain([received]).collect());
        put_snapshot(&disk, 10);
        let found = write(&disk, vec![entry(11)]);
        assert_eq!((found.entries.len(), found.purged), (0, Some(id(10))));
        for last in [11, 12, 13] {
            let found = write(&disk, vec![entry(last + 1)]);
            let entries: Vec<u64> = found.entries.into_keys().collect();
            assert_eq!((entries, found.purged), ((11..=last).collect(), Some(id(10))));
        }
    }
}

#[test]
fn an_entry_that_does_not_follow_is_damage() {
    for (received, next) in
        [(None, 11), (Some(10), 12), (Some(10), 10), (Some(10), 1), (Some(0), 1)]
    {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::default());
        let received = received.map(|index| (Kind::Received, encode(&id(index)).unwrap()));
        let records = [entry(0), entry(1)].into_iter().chain(received).chain([entry(next)]);
        write(&disk, records.collect());
        put_snapshot(&disk, 10);
        assert!(matches!(open(&disk), Err(StoreError::Damaged { .. })), "{next}");
    }
}
