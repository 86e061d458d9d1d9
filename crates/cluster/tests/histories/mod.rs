//! Random histories of one store: writes, snapshots, full disks and failing fsyncs, each ended by a kill or a power loss, and what
//! must be there afterwards. A seed gives the choices; the threads of Raft give the moments.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use casemate_cluster::Cluster;
use casemate_cluster::simulated_disk::SimulatedDisk;

use crate::names::{Choices, open};

/// What a history showed.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) acknowledged: usize,
    /// Names that were acknowledged and are gone.
    pub(crate) lost: usize,
    pub(crate) power_losses: usize,
    pub(crate) kills: usize,
    /// Why a store was not opened again, and at which life: then the history ended there.
    pub(crate) refused: Option<String>,
}

struct History {
    choices: Choices,
    proposed: BTreeSet<Vec<u8>>,
    acknowledged: BTreeSet<String>,
    next: usize,
}

impl History {
    /// Proposes up to so many names at once; those that are acknowledged come out of the channel.
    fn propose(&mut self, cluster: &Cluster, most: usize) -> Receiver<String> {
        let (sender, receiver) = channel();
        for _ in 0..self.choices.up_to(most) {
            self.next += 1;
            let name = format!("name-{}", self.next);
            self.proposed.insert(name.clone().into_bytes());
            let (sender, entry) = (sender.clone(), name.clone().into_bytes());
            cluster.propose(
                entry,
                Box::new(move |result| {
                    let _sent = result.is_ok() && sender.send(name).is_ok();
                }),
            );
        }
        receiver
    }

    /// Waits for some of them, as chosen: the rest is in flight.
    fn take(&mut self, receiver: &Receiver<String>, proposed: usize) {
        for _ in 0..self.choices.up_to(proposed) {
            match receiver.recv_timeout(Duration::from_secs(20)) {
                Ok(name) => self.acknowledged.insert(name),
                Err(_) => break,
            };
        }
        self.acknowledged.extend(receiver.try_iter());
    }

    /// One life of a process, from its start to its end.
    fn live(&mut self, disk: &SimulatedDisk, cluster: &Cluster) {
        for _ in 0..=self.choices.up_to(12) {
            let receiver = self.propose(cluster, 6);
            self.take(&receiver, 6);
        }
        match self.choices.up_to(5) {
            0 => disk.set_room(Some(self.choices.up_to(300))),
            1 => disk.fail_syncs(true),
            2 => cluster.snapshot_now(),
            _ => {}
        }
        disk.set_sync_time(Duration::from_micros(500));
        let receiver = self.propose(cluster, 30);
        if self.choices.up_to(1) == 0 {
            disk.set_room(None);
        }
        std::thread::sleep(Duration::from_micros(
            u64::try_from(self.choices.up_to(4_000)).unwrap(),
        ));
        self.acknowledged.extend(receiver.try_iter());
    }
}

/// Plays a history of so many lives.
pub(crate) fn play(seed: u64, lives: usize) -> Shown {
    let mut history = History {
        choices: Choices::new(seed),
        proposed: BTreeSet::from([b"genesis".to_vec()]),
        acknowledged: BTreeSet::new(),
        next: 0,
    };
    let mut shown = Shown::default();
    let mut disk = SimulatedDisk::default();
    for life in 0..lives {
        let opened = open(&disk, life == 0);
        let (cluster, names) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                shown.refused = Some(format!("life {life}: {error}"));
                break;
            }
        };
        let lost: Vec<_> =
            history.acknowledged.iter().filter(|name| !names.has(name)).cloned().collect();
        shown.lost += lost.len();
        for name in lost {
            history.acknowledged.remove(&name);
        }
        let strangers: Vec<_> = names.all().difference(&history.proposed).cloned().collect();
        assert!(strangers.is_empty(), "seed {seed}, life {life}: {strangers:?}");
        history.live(&disk, &cluster);
        let before = disk.clone();
        // What is acknowledged from here on is not seen by anybody: the moment is now.
        disk = if history.choices.up_to(2) == 0 {
            shown.kills += 1;
            disk.after_kill()
        } else {
            shown.power_losses += 1;
            disk.after_power_loss(|most| history.choices.up_to(most))
        };
        // The process that is gone must not wait for room.
        before.set_room(None);
    }
    shown.acknowledged = history.next.min(history.acknowledged.len());
    shown
}
