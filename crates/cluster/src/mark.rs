//! The mark: up to where the log was durable, in a file of its own.
//!
//! ```text
//! mark = magic (8) ‖ version (u32) ‖ slot ‖ slot
//! slot = generation (u64) ‖ segment (u64) ‖ sequence (u64) ‖ check of that record (8) ‖ check of the slot (8)
//! ```
//!
//! A log alone cannot tell that its end was cut off, changed, or put back from an older copy: that looks like an end that the power tore.
//! So the writer notes, between the fsync and the acknowledgement, which record is the last durable one: in place, in the two slots
//! by turns, without an fsync of its own (that is done only at a start and when a segment begins). It costs two microseconds. After a
//! kill it is exact; after a power loss it may be older, never newer than the log, and always of the newest segment with entries, for
//! then both slots are synced. At start-up a log that does not reach the mark, or
//! has another record there, is damaged. A mark that is missing is damage, too: it is there from the first entry on.

use std::io;

use casemate_crypto::digest;

use crate::disk::Disk;
use crate::record::{Check, VERSION, first_8};
use crate::store::StoreError;

/// The name of the file.
pub(crate) const FILE: &str = "mark";
const MAGIC: &[u8; 8] = b"CSMTMRK\n";
const HEADER: usize = 12;
const SLOT: usize = 40;

/// The last record that is known to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    generation: u64,
    pub(crate) segment: u64,
    pub(crate) sequence: u64,
    pub(crate) check: Check,
}

impl Mark {
    fn slot(&self) -> [u8; SLOT] {
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&self.generation.to_be_bytes());
        slot[8..16].copy_from_slice(&self.segment.to_be_bytes());
        slot[16..24].copy_from_slice(&self.sequence.to_be_bytes());
        slot[24..32].copy_from_slice(&self.check);
        let check = first_8(digest::sha256(&[MAGIC, &slot[..32]]));
        slot[32..].copy_from_slice(&check);
        slot
    }

    fn read_slot(bytes: &[u8], at: usize) -> Option<Self> {
        let slot = bytes.get(at..)?.first_chunk::<SLOT>()?;
        let number = |from: usize| {
            let found = slot.get(from..from + 8).and_then(|found| found.try_into().ok());
            found.map_or(0, u64::from_be_bytes)
        };
        let check = number(24).to_be_bytes();
        let mark = Self { generation: number(0), segment: number(8), sequence: number(16), check };
        (mark.slot() == *slot).then_some(mark)
    }

    /// Reads the newer of the two slots; none if there is no such file.
    ///
    /// # Errors
    /// [`StoreError`] if neither slot is whole, or the file is of a newer version.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>, StoreError> {
        if !disk.list()?.iter().any(|name| name == FILE) {
            return Ok(None);
        }
        let bytes = disk.read(FILE)?;
        let damaged = |offset| StoreError::Damaged { file: FILE.to_owned(), offset };
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| damaged(0))?;
        let (version, _) = rest.split_first_chunk::<4>().ok_or_else(|| damaged(8))?;
        let version = u32::from_be_bytes(*version);
        if magic != MAGIC || version == 0 {
            return Err(damaged(0));
        }
        if version > VERSION {
            return Err(StoreError::NewerVersion { file: FILE.to_owned(), found: version });
        }
        if bytes.len() != HEADER + 2 * SLOT {
            return Err(damaged(u64::try_from(bytes.len()).unwrap_or(u64::MAX)));
        }
        let slots = [HEADER, HEADER + SLOT].map(|at| Self::read_slot(&bytes, at));
        let newest = slots.into_iter().flatten().max_by_key(|mark| mark.generation);
        newest.map(Some).ok_or_else(|| damaged(12))
    }

    /// Notes that a segment is written to from now on, durably and in both slots; makes the file for the first.
    ///
    /// # Errors
    /// As the disk reports it.
    pub(crate) fn begin(
        &mut self,
        disk: &dyn Disk,
        segment: u64,
        sequence: u64,
        check: Check,
    ) -> io::Result<()> {
        if self.segment == 0 {
            let first = Self { generation: 1, segment, sequence, check };
            let header = [&MAGIC[..], &VERSION.to_be_bytes()].concat();
            disk.append(FILE, &[&header, &first.slot()[..], &first.slot()[..]].concat())?;
            disk.sync(FILE)?;
            disk.sync_directory()?;
            *self = first;
            return Ok(());
        }
        self.note(disk, segment, sequence, check)?;
        self.note(disk, segment, sequence, check)?;
        disk.sync(FILE)
    }

    /// Notes a record; not synced.
    ///
    /// # Errors
    /// As the disk reports it; the mark is then as before.
    pub(crate) fn note(
        &mut self,
        disk: &dyn Disk,
        segment: u64,
        sequence: u64,
        check: Check,
    ) -> io::Result<()> {
        let next = Self { generation: self.generation + 1, segment, sequence, check };
        let second = next.generation % 2 == 1;
        let at = if second { HEADER + SLOT } else { HEADER };
        disk.overwrite(FILE, u64::try_from(at).unwrap_or(u64::MAX), &next.slot())?;
        *self = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated_disk::SimulatedDisk;

    #[test]
    fn one_wrong_slot_leaves_the_other() {
        let disk = SimulatedDisk::default();
        assert!(Mark::read(&disk).unwrap().is_none());
        let mut mark = Mark::default();
        mark.begin(&disk, 7, 0, [3; 8]).unwrap();
        for sequence in 1..=5 {
            mark.note(&disk, 7, sequence, [3; 8]).unwrap();
            assert_eq!(Mark::read(&disk).unwrap(), Some(mark));
        }
        let length = disk.read(FILE).unwrap().len();
        assert_eq!(length, HEADER + 2 * SLOT);
        for flipped in 0..length {
            let copy = disk.after_power_loss(|most| most);
            copy.edit(FILE, |bytes| bytes[flipped] ^= 1);
            match Mark::read(&copy) {
                Ok(found) => {
                    assert!(flipped >= HEADER);
                    assert!([4, 5].contains(&found.unwrap().sequence), "{flipped}");
                }
                Err(_) => assert!(flipped < HEADER, "{flipped}"),
            }
        }
    }
}
