//! The simplest replica, and choices by a seed: what the tests of the store share.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use casemate_cluster::simulated_disk::SimulatedDisk;
use casemate_cluster::{
    Alone, Begin, Cluster, Config, Member, Replica, ReplicaError, Snapshot, StoreError,
};

/// A set of entries: the simplest state that shows what was applied.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<BTreeSet<Vec<u8>>>>);

impl Names {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap().contains(name.as_bytes())
    }

    pub(crate) fn all(&self) -> BTreeSet<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

impl Replica for Names {
    fn apply(&mut self, _index: u64, entry: &[u8]) -> Result<Vec<u8>, ReplicaError> {
        if entry == b"unreadable" {
            return Err(ReplicaError("this entry is not to be read".to_owned()));
        }
        self.0.lock().unwrap().insert(entry.to_vec());
        Ok(entry.to_vec())
    }

    fn index(&self) -> u64 {
        u64::try_from(self.0.lock().unwrap().len()).unwrap()
    }

    fn publish(&mut self) {}

    fn snapshot(&self) -> Snapshot {
        let names = self.all();
        Box::new(move || Box::new(names.clone().into_iter()))
    }

    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError> {
        *self.0.lock().unwrap() = chunks.map(Result::unwrap).collect();
        Ok(())
    }
}

pub(crate) fn open(disk: &SimulatedDisk, create: bool) -> Result<(Cluster, Names), StoreError> {
    let names = Names::default();
    let config = Config { snapshot_every: 12, kept_entries: 8, ..Config::default() };
    let begin = if create {
        Begin::Genesis { entry: b"genesis".to_vec(), member: Member::default() }
    } else {
        Begin::Existing
    };
    let disk = Arc::new(disk.clone());
    let cluster = Cluster::open(config, disk, names.clone(), begin, Arc::new(Alone))?;
    Ok((cluster, names))
}

/// xorshift: the same choices for the same seed.
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % (most + 1)
    }
}
