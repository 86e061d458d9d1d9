//! The store: whatever lies in the directory, the start reads it, mends a torn end, or refuses; it never loses what it refused.

use std::sync::Arc;

use casemate_cluster::StoreError;
use casemate_cluster::disk::Disk;
use casemate_cluster::simulated_disk::SimulatedDisk;
use casemate_cluster::testing::{FileKind, file_of, read_store};

const NAMES: [&str; 8] = [
    "log-0000000000000001",
    "log-0000000000000002",
    "log-0000000000000003",
    "snapshot-0000000000000001",
    "snapshot-0000000000000002",
    "snapshot-unfinished",
    "lock",
    "log-x",
];

fn take<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = input.split_at(length.min(input.len()));
    *input = rest;
    first
}

fn number(input: &mut &[u8]) -> usize {
    take(input, 1).first().map_or(0, |byte| usize::from(*byte))
}

/// Reads files from the input: name, whether its bytes are as given or records with right checksums, then those; a last byte may
/// tear the end off.
fn directory(mut input: &[u8]) -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    while !input.is_empty() {
        let name = NAMES[number(&mut input) % NAMES.len()];
        let how = number(&mut input);
        let mut bytes = Vec::new();
        if how.is_multiple_of(4) {
            let length = number(&mut input);
            bytes.extend_from_slice(take(&mut input, length));
        } else {
            let mut records = Vec::new();
            for _ in 0..how / 4 % 16 {
                let kind = u8::try_from(number(&mut input)).unwrap_or(0);
                let length = number(&mut input);
                records.push((kind, take(&mut input, length)));
            }
            let kind = if name.starts_with("log") { FileKind::Segment } else { FileKind::Snapshot };
            bytes = file_of(kind, &records);
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
        let appended = disk.append(name, &bytes);
        appended.unwrap();
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
            // What was mended stays mended, also when the power goes now.
            let mended = files(&disk);
            for (name, bytes) in &mended {
                let whole = before.iter().find(|(known, _)| known == name);
                assert!(
                    whole.is_some_and(|(_, whole)| whole.starts_with(bytes)),
                    "{name} was changed"
                );
            }
            let after = disk.after_power_loss(|_| (0, false));
            let shared: Arc<dyn Disk> = Arc::new(after.clone());
            read_store(&shared).unwrap();
            assert_eq!(files(&after), mended);
        }
        Err(error @ (StoreError::Damaged { .. } | StoreError::NewerVersion { .. })) => {
            assert_eq!(files(&disk), before, "refused with `{error}`, but changed");
        }
        Err(error) => panic!("{error}"),
    }
}
