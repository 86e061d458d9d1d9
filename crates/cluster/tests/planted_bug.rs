//! The control: a build that acknowledges before the fsync loses writes, and the same check finds it.
//!
//! It has a process of its own, because the bug is switched on by the environment.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use casemate_cluster::simulated_disk::SimulatedDisk;
use casemate_cluster::{Cluster, Config, Replica, ReplicaError};

#[derive(Clone, Default)]
struct Entries(Arc<Mutex<Vec<Vec<u8>>>>);

impl Replica for Entries {
    fn apply(&mut self, _index: u64, entry: &[u8]) -> Vec<u8> {
        self.0.lock().unwrap().push(entry.to_vec());
        Vec::new()
    }

    fn index(&self) -> u64 {
        u64::try_from(self.0.lock().unwrap().len()).unwrap()
    }

    fn publish(&mut self) {}

    fn snapshot(&self) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        Box::new(std::iter::empty())
    }

    fn install(
        &mut self,
        _chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError> {
        Ok(())
    }
}

#[test]
fn acknowledging_before_the_fsync_is_found() {
    assert!(
        casemate_cluster::testing::acknowledges_early(),
        "run with CASEMATE_ACKNOWLEDGE_EARLY=1"
    );
    let lost = (0..20).filter(|_| {
        let disk = SimulatedDisk::default();
        let entries = Entries::default();
        let genesis = Some(b"genesis".to_vec());
        let opened = Cluster::open(Config::default(), Arc::new(disk.clone()), entries, genesis);
        let Ok(cluster) = opened else { return true };
        disk.set_sync_time(Duration::from_millis(20));
        let (sender, receiver) = channel();
        cluster.propose(
            b"precious".to_vec(),
            Box::new(move |result| {
                let _sent = sender.send(result.is_ok()).is_ok();
            }),
        );
        let acknowledged = receiver.recv().unwrap_or(false);
        let after = disk.after_power_loss(|_| (0, false));
        drop(cluster);
        let entries = Entries::default();
        let opened = Cluster::open(Config::default(), Arc::new(after), entries.clone(), None);
        acknowledged
            && (opened.is_err() || !entries.0.lock().unwrap().contains(&b"precious".to_vec()))
    });
    assert!(lost.count() > 0, "the planted bug was not found");
}
