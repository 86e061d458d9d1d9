//! A disk in memory that fails as real ones do: loses what was not synced, tears at any byte, fills up, fails an fsync.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::disk::Disk;

#[derive(Clone, Default)]
struct SimulatedFile {
    bytes: Vec<u8>,
    /// How many of the bytes are durable.
    synced: usize,
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<String, SimulatedFile>,
    /// The names that are durable, with what they name.
    durable: BTreeMap<String, SimulatedFile>,
    syncs: u64,
    /// Bytes that still fit; none for no limit.
    room: Option<usize>,
    fail_syncs: bool,
    sync_time: Duration,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the disk as it is after the power went: what was synced, and of the rest of each file as many bytes as `keep` says
    /// for that many, with the last of them possibly wrong.
    #[must_use]
    pub fn after_power_loss(&self, mut keep: impl FnMut(usize) -> (usize, bool)) -> Self {
        let state = self.state();
        let mut files = BTreeMap::new();
        for (name, durable) in &state.durable {
            // A name is durable by the directory's fsync, its bytes by the file's: the newer of both counts.
            let live = state.files.get(name).unwrap_or(durable);
            let unsynced = live.bytes.len().saturating_sub(live.synced);
            let (kept, wrong) = keep(unsynced);
            let mut bytes = live.bytes[..live.synced + kept.min(unsynced)].to_vec();
            if wrong
                && bytes.len() > live.synced
                && let Some(last) = bytes.last_mut()
            {
                *last ^= 0xff;
            }
            let synced = bytes.len();
            files.insert(name.clone(), SimulatedFile { bytes, synced });
        }
        let durable = files.clone();
        Self(Arc::new(Mutex::new(State { files, durable, ..State::default() })))
    }

    /// Lets so many more bytes in, or any number.
    pub fn set_room(&self, room: Option<usize>) {
        self.state().room = room;
    }

    /// Makes every fsync take so long.
    pub fn set_sync_time(&self, time: Duration) {
        self.state().sync_time = time;
    }

    /// Makes every fsync fail.
    pub fn fail_syncs(&self) {
        self.state().fail_syncs = true;
    }

    /// Changes the bytes of a file.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        if let Some(file) = self.state().files.get_mut(name) {
            edit(&mut file.bytes);
            file.synced = file.bytes.len();
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.state();
        state
            .files
            .get(name)
            .map(|file| file.bytes.clone())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let fits = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if let Some(room) = &mut state.room {
            *room -= fits;
        }
        let file = state.files.entry(name.to_owned()).or_default();
        file.bytes.extend_from_slice(&bytes[..fits]);
        if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let time = self.state().sync_time;
        std::thread::sleep(time);
        let mut state = self.state();
        if state.fail_syncs {
            return Err(io::Error::other("input/output error"));
        }
        state.syncs += 1;
        let file = state.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        file.synced = file.bytes.len();
        let synced = file.clone();
        // A file that has a durable name has it with its new bytes.
        if let Some(durable) = state.durable.get_mut(name) {
            *durable = synced;
        }
        Ok(())
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let file = state.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let freed = file.bytes.len().saturating_sub(length);
        file.bytes.truncate(length);
        file.synced = file.synced.min(length);
        if let Some(room) = &mut state.room {
            *room += freed;
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        state.durable = state.files.clone();
        Ok(())
    }

    fn syncs(&self) -> u64 {
        self.state().syncs
    }
}
