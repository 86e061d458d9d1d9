//! A disk in memory that fails as real ones do: loses what was not synced, tears at any byte, fills up, fails an fsync.
//!
//! A file is what programs see (`live`) and what is on the disk (`durable`). A power loss leaves of each file what was durable, and
//! of each sector that was written since either the old bytes, the new ones, or rubbish; of a file that grew, any length
//! in between. Names go the way of a journal: of the renames, new and removed names since the directory's last fsync, the first
//! few have happened. After a failed fsync the sectors count as written, as Linux has it, and yet they are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::disk::Disk;

/// Small, so that small files have many.
const SECTOR: usize = 64;

#[derive(Clone, Default)]
struct SimulatedFile {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that were written and not synced.
    dirty: BTreeSet<usize>,
}

impl SimulatedFile {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        self.live.resize(self.live.len().max(end), 0);
        self.live[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    /// Makes the dirty sectors durable; of others, what is on the disk stays.
    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let range = sector_of(sector, self.live.len());
            self.durable[range.clone()].copy_from_slice(&self.live[range]);
        }
    }

    fn after_power_loss(&self, choose: &mut dyn FnMut(usize) -> usize) -> Self {
        let (short, long) = {
            let lengths = [self.live.len(), self.durable.len()];
            (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]))
        };
        let mut bytes = self.durable.clone();
        bytes.resize(long, 0);
        for &sector in &self.dirty {
            let range = sector_of(sector, self.live.len());
            match choose(3) {
                0 => {}
                // What was durable in the same sector stays: a sector is written whole or not at all.
                1 => {
                    let from = range.start.max(self.durable.len().min(range.end));
                    bytes[from..range.end].fill(0xa5);
                }
                _ => bytes[range.clone()].copy_from_slice(&self.live[range]),
            }
        }
        // A file that was cut may be cut or not; one that grew has any length in between.
        let kept = choose(long - short);
        bytes.truncate(if self.live.len() < self.durable.len() {
            if kept == long - short { short } else { long }
        } else {
            short + kept
        });
        Self { durable: bytes.clone(), live: bytes, dirty: BTreeSet::new() }
    }
}

fn sector_of(sector: usize, length: usize) -> std::ops::Range<usize> {
    (sector * SECTOR).min(length)..((sector + 1) * SECTOR).min(length)
}

#[derive(Clone)]
enum NameChange {
    Made(String, u64),
    Renamed(String, String),
    Removed(String),
}

fn change_names(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Made(name, file) => {
            names.insert(name.clone(), *file);
        }
        NameChange::Renamed(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        NameChange::Removed(name) => {
            names.remove(name);
        }
    }
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<u64, SimulatedFile>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// What became of names since the directory was synced.
    changes: Vec<NameChange>,
    next: u64,
    syncs: u64,
    /// Bytes that still fit; none for no limit.
    room: Option<usize>,
    /// The file for which there is no room, whatever there is for others.
    full_for: Option<String>,
    /// Whether this fsync fails, for those to come.
    failing: bool,
    sync_time: Duration,
}

impl State {
    fn file(&mut self, name: &str) -> io::Result<&mut SimulatedFile> {
        let number = self.names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        self.files.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: NameChange) {
        change_names(&mut self.names, &change);
        self.changes.push(change);
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the disk as it is after the power went. `choose` is asked for a number from 0 to the one that it is given, for each
    /// thing that may go one way or another: 0 each time is the worst that may happen, the most each time is a disk that
    /// lost nothing.
    #[must_use]
    pub fn after_power_loss(&self, mut choose: impl FnMut(usize) -> usize) -> Self {
        let state = self.state();
        let mut names = state.durable_names.clone();
        let happened = choose(state.changes.len());
        for change in state.changes.iter().take(happened) {
            change_names(&mut names, change);
        }
        let mut files = BTreeMap::new();
        for number in names.values() {
            if let Some(file) = state.files.get(number) {
                files.insert(*number, file.after_power_loss(&mut choose));
            }
        }
        let durable_names = names.clone();
        let next = state.next;
        Self(Arc::new(Mutex::new(State { files, names, durable_names, next, ..State::default() })))
    }

    /// Returns the disk as the next process finds it after this one was killed: all that was written is seen, synced or not.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let state = self.state().clone();
        let state = State { room: None, failing: false, sync_time: Duration::ZERO, ..state };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Lets so many more bytes in, or any number.
    pub fn set_room(&self, room: Option<usize>) {
        self.state().room = room;
    }

    /// Lets a few bytes at most into one file, or has room for it again.
    pub fn set_full_for(&self, name: Option<&str>) {
        self.state().full_for = name.map(str::to_owned);
    }

    /// Makes every fsync take so long.
    pub fn set_sync_time(&self, time: Duration) {
        self.state().sync_time = time;
    }

    /// Makes every fsync fail, or work again.
    pub fn fail_syncs(&self, failing: bool) {
        self.state().failing = failing;
    }

    /// Changes the bytes of a file, as damage does.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        if let Ok(file) = self.state().file(name) {
            edit(&mut file.live);
            file.durable = file.live.clone();
            file.dirty.clear();
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.state().file(name).map(|file| file.live.clone())
    }

    fn read_at(&self, name: &str, offset: u64, bytes_max: usize) -> io::Result<(Vec<u8>, bool)> {
        let mut state = self.state();
        let live = &state.file(name)?.live;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = live.get(offset..).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((rest.get(..bytes_max).unwrap_or(rest).to_vec(), rest.len() <= bytes_max))
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let fits = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        let fits = if state.full_for.as_deref() == Some(name) { fits.min(7) } else { fits };
        if let Some(room) = &mut state.room {
            *room -= fits;
        }
        if !state.names.contains_key(name) {
            let number = state.next;
            state.next += 1;
            state.files.insert(number, SimulatedFile::default());
            state.change(NameChange::Made(name.to_owned(), number));
        }
        let file = state.file(name)?;
        file.write(file.live.len(), &bytes[..fits]);
        if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let file = state.file(name)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        if offset + bytes.len() > file.live.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.write(offset, bytes);
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let time = self.state().sync_time;
        std::thread::sleep(time);
        let mut state = self.state();
        state.syncs += 1;
        if state.failing {
            state.file(name)?.dirty.clear();
            return Err(io::Error::other("input/output error"));
        }
        state.file(name)?.sync();
        Ok(())
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let file = state.file(name)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(file.live.len());
        let freed = file.live.len() - length;
        file.live.truncate(length);
        file.dirty.retain(|sector| sector * SECTOR < length);
        if let Some(room) = &mut state.room {
            *room += freed;
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.file(from)?;
        state.change(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let freed = state.file(name)?.live.len();
        if let Some(room) = &mut state.room {
            *room += freed;
        }
        state.change(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.failing {
            return Err(io::Error::other("input/output error"));
        }
        state.durable_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }

    fn syncs(&self) -> u64 {
        self.state().syncs
    }
}
