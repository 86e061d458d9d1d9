//! The disk, as the store needs it: a flat directory of files that grow at their end.
//!
//! It is a trait so that a test can tear a write, lose what was not synced, fill up or fail an fsync
//! ([`crate::simulated_disk`]); [`RealDisk`] is a directory of the file system.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A directory of files. Nothing is durable before it is synced: a file's bytes by [`Disk::sync`], names by
/// [`Disk::sync_directory`].
pub trait Disk: Send + Sync + 'static {
    /// Returns the names of all files.
    ///
    /// # Errors
    /// As the system reports it; so for all others.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Reads a whole file.
    ///
    /// # Errors
    /// As the system reports it.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Reads at most so many bytes from an offset; says whether they reach the end of the file.
    ///
    /// # Errors
    /// As the system reports it.
    fn read_at(&self, name: &str, offset: u64, bytes_max: usize) -> io::Result<(Vec<u8>, bool)>;
    /// Adds bytes to the end of a file, which is made if it is not there. A failed append may leave a part of them.
    ///
    /// # Errors
    /// As the system reports it; [`io::ErrorKind::StorageFull`] if there is no room.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Writes bytes over those that are there; what was there before may be what a power loss leaves.
    ///
    /// # Errors
    /// As the system reports it.
    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file's bytes durable.
    ///
    /// # Errors
    /// As the system reports it. After an error nobody knows what is on the disk, and a second attempt proves nothing: the system
    /// may take bytes that it could not write for written. Only bytes that are written again count.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Cuts a file.
    ///
    /// # Errors
    /// As the system reports it.
    fn truncate(&self, name: &str, length: u64) -> io::Result<()>;
    /// Gives a file another name, in place of one that has it.
    ///
    /// # Errors
    /// As the system reports it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the system reports it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable.
    ///
    /// # Errors
    /// As the system reports it.
    fn sync_directory(&self) -> io::Result<()>;
    /// Returns how many times bytes were made durable.
    fn syncs(&self) -> u64;
}

/// A directory of the file system, locked for one process.
pub struct RealDisk {
    directory: PathBuf,
    /// Held for its lock.
    _lock: File,
    state: Mutex<RealState>,
}

#[derive(Default)]
struct RealState {
    /// Files that were appended to and may be again.
    open: BTreeMap<String, File>,
    /// The same for files that are written in place: Linux appends whatever the offset if a file is open for appending.
    in_place: BTreeMap<String, File>,
    syncs: u64,
}

const LOCK_FILE: &str = "lock";

impl RealDisk {
    /// Opens a directory, which is made if it is not there, and locks it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process has it open.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => io::Error::from(io::ErrorKind::WouldBlock),
            std::fs::TryLockError::Error(error) => error,
        })?;
        let directory = directory.to_owned();
        Ok(Self { directory, _lock: lock, state: Mutex::default() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, RealState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_file<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        if !state.open.contains_key(name) {
            let path = self.directory.join(name);
            let file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
            state.open.insert(name.to_owned(), file);
        }
        match state.open.get_mut(name) {
            Some(file) => work(file),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && name != LOCK_FILE
                && entry.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.directory.join(name))
    }

    fn read_at(&self, name: &str, offset: u64, bytes_max: usize) -> io::Result<(Vec<u8>, bool)> {
        let file = File::open(self.directory.join(name))?;
        let length = file.metadata()?.len();
        let left = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(bytes_max)];
        file.read_exact_at(&mut bytes, offset)?;
        Ok((bytes, left <= bytes_max))
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with_file(name, |file| file.write_all(bytes))
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if !state.in_place.contains_key(name) {
            let file = OpenOptions::new().write(true).open(self.directory.join(name))?;
            state.in_place.insert(name.to_owned(), file);
        }
        match state.in_place.get(name) {
            Some(file) => file.write_all_at(bytes, offset),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.with_file(name, |file| file.sync_data())?;
        let mut state = self.state();
        state.syncs = state.syncs.saturating_add(1);
        Ok(())
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.with_file(name, |file| file.set_len(length))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        for name in [from, to] {
            state.open.remove(name);
            state.in_place.remove(name);
        }
        std::fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.open.remove(name);
        state.in_place.remove(name);
        std::fs::remove_file(self.directory.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn syncs(&self) -> u64 {
        self.state().syncs
    }
}
