//! The store: whatever lies in the directory, the start reads it, mends a torn end, or refuses; it never loses what it refused.

use std::sync::Arc;

use casemate_cluster::StoreError;
use casemate_cluster::disk::Disk;
use casemate_cluster::fuzzing::{FileKind, file_of, mark_of, read_store};
use casemate_cluster::simulated_disk::SimulatedDisk;

/// Names that are ours, at both ends of the numbers, and others.
const NAMES: [(&str, u64); 8] = [
    ("log-0000000000000001", 1),
    ("log-0000000000000002", 2),
    ("log-ffffffffffffffff", u64::MAX),
    ("snapshot-0000000000000003", 3),
    ("snapshot-0000000000000005", 5),
    ("snapshot-unfinished", 0),
    ("mark", 0),
    ("log-x", 0),
];

fn take<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = input.split_at(length.min(input.len()));
    *input = rest;
    first
}

fn number(input: &mut &[u8]) -> usize {
    take(input, 1).first().map_or(0, |byte| usize::from(*byte))
}

/// Reads files from the input: name, whether its bytes are as given or records with right checks, then those; a last byte may
/// tear the end off or change a byte. The mark fits the last segment, with as many records as its second byte says, unless it
/// is given as bytes.
fn directory(mut input: &[u8]) -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    let mut newest: Option<(u64, Vec<u8>)> = None;
    while !input.is_empty() {
        let (name, file_number) = NAMES[number(&mut input) % NAMES.len()];
        let how = number(&mut input);
        let mut bytes = Vec::new();
        if how.is_multiple_of(4) {
            let length = number(&mut input);
            bytes.extend_from_slice(take(&mut input, length));
        } else if name == "mark" {
            let (segment, of) = newest.clone().unwrap_or_default();
            bytes = mark_of(segment, &of, how / 4).unwrap();
        } else {
            let mut records = Vec::new();
            for _ in 0..how / 4 % 16 {
                let kind = u8::try_from(number(&mut input)).unwrap_or(0);
                let length = number(&mut input);
                records.push((kind, take(&mut input, length)));
            }
            let log = name.starts_with("log");
            let kind = if log { FileKind::Segment } else { FileKind::Snapshot };
            let before = newest.as_ref().filter(|_| log).map(|(_, bytes)| bytes.as_slice());
            bytes = file_of(kind, file_number, before, &records);
            if log {
                newest = Some((file_number, bytes.clone()));
            }
            if how % 4 == 2 {
                let cut = number(&mut input);
                bytes.truncate(bytes.len().saturating_sub(cut));
            }
            if how % 4 == 3 {
                let (place, change) = (number(&mut input) * bytes.len() / 256, number(&mut input));
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= u8::try_from(change).unwrap_or(0);
                }
            }
        }
        if disk.list().unwrap().iter().any(|known| known == name) {
            disk.remove(name).unwrap();
        }
        disk.append(name, &bytes).unwrap();
        disk.sync(name).unwrap();
    }
    disk.sync_directory().unwrap();
    disk
}

fn files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    let mut names = disk.list().unwrap();
    names.sort();
    names.into_iter().map(|name| (name.clone(), disk.read(&name).unwrap())).collect()
}

/// Any directory: see the module.
pub fn store(input: &[u8]) {
    let disk = directory(input);
    let before = files(&disk);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    match read_store(&shared) {
        Ok(()) => {
            // The mark moves on, and is not synced for it; all else only loses what was torn, for good, also when the power goes now.
            let of = |disk: &SimulatedDisk| {
                files(disk).into_iter().filter(|(name, _)| name != "mark").collect::<Vec<_>>()
            };
            let mended = of(&disk);
            for (name, bytes) in &mended {
                let whole = before.iter().find(|(known, _)| known == name);
                assert!(
                    whole.is_some_and(|(_, whole)| whole.starts_with(bytes)),
                    "{name} was changed"
                );
            }
            let after = disk.after_power_loss(|_| 0);
            let shared: Arc<dyn Disk> = Arc::new(after.clone());
            read_store(&shared).unwrap();
            assert_eq!(of(&after), mended);
        }
        Err(StoreError::Io(error)) => panic!("{error}"),
        Err(StoreError::Raft(error)) => panic!("{error}"),
        Err(error) => assert_eq!(files(&disk), before, "refused with `{error}`, but changed"),
    }
}
