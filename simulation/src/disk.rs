//! An HSM's disk that can fail in the middle of anything: its power goes at the n-th thing that it is asked for.
//!
//! The HSM goes on until it awaits something, on a disk that nobody will see again; what it would have told anybody dies with it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use casemate_cluster::disk::Disk;
use casemate_cluster::simulated_disk::SimulatedDisk;

use crate::random::Random;
use crate::scheduler::Simulation;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The process is killed: what it wrote is there, synced or not.
    Kill,
    /// The power goes: what was not synced may be there, torn or lost.
    PowerLoss,
}

struct State {
    random: Random,
    /// How the life ends, after how many more changes of the disk.
    fuse: Option<(u64, End)>,
    /// What the next life finds.
    left: Option<SimulatedDisk>,
    spoilt: bool,
}

/// The disk of one life of an HSM.
pub struct MortalDisk {
    disk: SimulatedDisk,
    simulation: Simulation,
    group: u64,
    state: Mutex<State>,
}

impl MortalDisk {
    /// Makes the disk of a life from what the one before left.
    #[must_use]
    pub fn new(
        disk: SimulatedDisk,
        simulation: &Simulation,
        group: u64,
        random: Random,
    ) -> Arc<Self> {
        let state = Mutex::new(State { random, fuse: None, left: None, spoilt: false });
        Arc::new(Self { disk, simulation: simulation.clone(), group, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the life end after so many more changes of the disk.
    pub fn set_fuse(&self, changes: u64, end: End) {
        self.state().fuse = Some((changes, end));
    }

    /// Ends the life now, and returns what the next one finds. If it has ended before, that is what it was then.
    pub fn end(&self, end: End) -> SimulatedDisk {
        let mut state = self.state();
        let state = &mut *state;
        let left = state.left.get_or_insert_with(|| match end {
            End::Kill => self.disk.after_kill(),
            End::PowerLoss => {
                let random = &mut state.random;
                self.disk.after_power_loss(|most| random.index(most.saturating_add(1)))
            }
        });
        left.clone()
    }

    /// Whether the life has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state().left.is_some()
    }

    /// Notes that it may fail without losing its power: it excuses an HSM that does not start.
    pub fn spoil(&self) {
        self.state().spoilt = true;
    }

    /// Whether it may.
    #[must_use]
    pub fn is_spoilt(&self) -> bool {
        self.state().spoilt
    }

    /// The disk itself, to fill it or to make it fail.
    #[must_use]
    pub const fn faults(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// Before and after each change: the power may go here.
    fn pass(&self) {
        let end = {
            let mut state = self.state();
            match &mut state.fuse {
                Some((0, end)) => *end,
                Some((changes, _)) => {
                    *changes -= 1;
                    return;
                }
                None => return,
            }
        };
        drop(self.end(end));
        self.simulation.crash(self.group);
    }
}

impl Disk for MortalDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }

    fn read_at(&self, name: &str, offset: u64, bytes_max: usize) -> io::Result<(Vec<u8>, bool)> {
        self.disk.read_at(name, offset, bytes_max)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.pass();
        self.disk.append(name, bytes)
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.pass();
        self.disk.overwrite(name, offset, bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.pass();
        self.disk.sync(name)?;
        self.pass();
        Ok(())
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.pass();
        self.disk.truncate(name, length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.pass();
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.pass();
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.pass();
        self.disk.sync_directory()
    }

    fn syncs(&self) -> u64 {
        self.disk.syncs()
    }
}
