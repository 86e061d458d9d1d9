//! What is done to HSMs, disks and links, and when: chosen by the seed, until the seed heals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::disk::End;
use crate::network::Weather;
use crate::random::Random;
use crate::scheduler::Pace;
use crate::service::Service;
use crate::world::World;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The HSMs are cut in two.
    Partition,
    /// One HSM is cut off from all others.
    Isolation,
    /// One link carries nothing in one direction.
    OneWay,
    /// Messages are late, lost and repeated.
    Storm,
    /// A process is killed.
    Kill,
    /// A machine loses its power.
    PowerLoss,
    /// A process is killed in the middle of using its disk.
    KillAtDisk,
    /// A machine loses its power in the middle of using its disk.
    PowerLossAtDisk,
    /// All of them lose their power.
    Blackout,
    /// A process is stopped for a while, and goes on.
    Stop,
    /// An fsync takes long.
    SlowDisk,
    /// A disk has no more room.
    FullDisk,
    /// An fsync fails.
    FailingDisk,
    /// A snapshot is taken now.
    Snapshot,
}

const FAULTS: [(Fault, u64); 14] = [
    (Fault::Partition, 10),
    (Fault::Isolation, 10),
    (Fault::OneWay, 10),
    (Fault::Storm, 10),
    (Fault::Kill, 10),
    (Fault::PowerLoss, 10),
    (Fault::KillAtDisk, 6),
    (Fault::PowerLossAtDisk, 14),
    (Fault::Blackout, 3),
    (Fault::Stop, 10),
    (Fault::SlowDisk, 6),
    (Fault::FullDisk, 4),
    (Fault::FailingDisk, 3),
    (Fault::Snapshot, 6),
];

/// What was done: how often each.
pub type Injected = BTreeMap<Fault, u64>;

struct State {
    random: Random,
    injected: Injected,
    over: bool,
}

/// Does it.
pub struct Faults<S> {
    world: World<S>,
    state: Arc<Mutex<State>>,
}

impl<S> Clone for Faults<S> {
    fn clone(&self) -> Self {
        Self { world: self.world.clone(), state: Arc::clone(&self.state) }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl<S: Service> Faults<S> {
    /// Makes one that has done nothing yet.
    #[must_use]
    pub fn new(world: &World<S>, random: &mut Random) -> Self {
        let state = State { random: random.split(), injected: Injected::new(), over: false };
        Self { world: world.clone(), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn between(&self, least: u64, most: u64) -> u64 {
        self.state().random.between(least, most)
    }

    fn one(&self, of: &[u64]) -> Option<u64> {
        self.state().random.pick(of).copied()
    }

    /// Returns what was done until now.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.state().injected.clone()
    }

    /// Does one thing after the other, until [`Self::heal`].
    pub async fn run(self) {
        loop {
            let pause = self.between(20, 900);
            self.world.simulation.sleep(ms(pause)).await;
            if self.state().over {
                return;
            }
            let fault = {
                let random = &mut self.state().random;
                let mut draw = random.below(FAULTS.iter().map(|(_, weight)| weight).sum());
                let drawn = FAULTS.iter().find(|(_, weight)| {
                    let found = draw < *weight;
                    draw = draw.saturating_sub(*weight);
                    found
                });
                drawn.map_or(Fault::Storm, |(fault, _)| *fault)
            };
            self.inject(fault);
        }
    }

    fn inject(&self, fault: Fault) {
        let nodes = self.world.nodes();
        let Some(node) = self.one(&nodes) else { return };
        let what = match fault {
            Fault::Partition => self.partition(&nodes),
            Fault::Isolation => {
                self.cut_for(
                    nodes
                        .iter()
                        .filter(|other| **other != node)
                        .flat_map(|other| [(node, *other), (*other, node)]),
                );
                format!("hsm {node}")
            }
            Fault::OneWay => {
                let others: Vec<u64> =
                    nodes.iter().copied().filter(|other| *other != node).collect();
                let Some(other) = self.one(&others) else { return };
                self.cut_for([(node, other)]);
                format!("from hsm {node} to hsm {other}")
            }
            Fault::Storm => self.storm(),
            Fault::Kill | Fault::PowerLoss => {
                let end = if fault == Fault::Kill { End::Kill } else { End::PowerLoss };
                self.world.crash(node, end);
                self.come_back(node);
                format!("hsm {node}")
            }
            Fault::KillAtDisk | Fault::PowerLossAtDisk => {
                let end = if fault == Fault::KillAtDisk { End::Kill } else { End::PowerLoss };
                let changes = self.between(0, 24);
                let Some(disk) = self.world.disk(node) else { return };
                disk.set_fuse(changes, end);
                self.come_back(node);
                format!("hsm {node} after {changes} changes")
            }
            Fault::Blackout => {
                for node in &nodes {
                    self.world.crash(*node, End::PowerLoss);
                    self.come_back(*node);
                }
                String::new()
            }
            Fault::Stop => {
                let time = self.between(50, 3_000);
                self.world.simulation.stop(node, true);
                self.later(time, move |world| world.simulation.stop(node, false));
                format!("hsm {node} for {time} ms")
            }
            Fault::SlowDisk => self.slow_disk(node),
            Fault::FullDisk | Fault::FailingDisk => {
                let Some(what) = self.spoil_disk(node, fault) else { return };
                what
            }
            Fault::Snapshot => {
                let Some(cluster) = self.world.cluster(node) else { return };
                cluster.snapshot_now();
                format!("hsm {node}")
            }
        };
        self.world.note(&format!("FAULT {fault:?} {what}"));
        *self.state().injected.entry(fault).or_default() += 1;
    }

    fn later(&self, time: u64, act: impl FnOnce(&World<S>) + Send + 'static) {
        let world = self.world.clone();
        let sleep = self.world.simulation.sleep(ms(time));
        self.world.spawn(async move {
            sleep.await;
            act(&world);
        });
    }

    /// Starts an HSM again after a while, if it is dead then; else it is looked after until it is.
    fn come_back(&self, node: u64) {
        let time = self.between(10, 4_000);
        self.later(time, move |world| world.restart(node));
    }

    fn cut_for(&self, links: impl IntoIterator<Item = (u64, u64)>) {
        for (from, to) in links {
            self.world.network.cut(from, to);
        }
        let time = self.between(100, 4_000);
        self.later(time, |world| world.network.mend());
    }

    fn partition(&self, nodes: &[u64]) -> String {
        let side = self.between(1, (1 << nodes.len()) - 2);
        let here = |node: &u64| {
            nodes.iter().position(|one| one == node).is_some_and(|at| side >> at & 1 == 1)
        };
        let (one, other): (Vec<u64>, Vec<u64>) = nodes.iter().partition(|node| here(node));
        self.cut_for(one.iter().flat_map(|from| other.iter().map(move |to| (*from, *to))));
        self.cut_for(other.iter().flat_map(|from| one.iter().map(move |to| (*from, *to))));
        format!("{one:?} from {other:?}")
    }

    fn storm(&self) -> String {
        let weather = {
            let random = &mut self.state().random;
            let most = 2_000 << random.below(8);
            Weather {
                delay_us: (100, most),
                lost_per_mille: random.below(200),
                repeated_per_mille: random.below(200),
            }
        };
        self.world.network.set_weather(weather);
        let time = self.between(100, 3_000);
        self.later(time, |world| world.network.set_weather(Weather::default()));
        format!("{weather:?} for {time} ms")
    }

    fn slow_disk(&self, node: u64) -> String {
        let pace = self.world.simulation.pace(node);
        let most = 2_000 << self.between(0, 8);
        self.world.simulation.set_pace(node, Pace { sync_us: (1_000, most), ..pace });
        let time = self.between(100, 3_000);
        self.later(time, move |world| {
            let pace = world.simulation.pace(node);
            let sync_us = Pace::default().sync_us;
            world.simulation.set_pace(node, Pace { sync_us, ..pace });
        });
        format!("hsm {node}: up to {most} us for {time} ms")
    }

    fn spoil_disk(&self, node: u64, fault: Fault) -> Option<String> {
        let disk = self.world.disk(node)?;
        disk.spoil();
        let time = self.between(100, 3_000);
        if fault == Fault::FullDisk {
            let room = self.between(0, 3_000);
            disk.faults().set_room(usize::try_from(room).ok());
            self.later(time, move |_| disk.faults().set_room(None));
            Some(format!("hsm {node}: {room} bytes of room for {time} ms"))
        } else {
            disk.faults().fail_syncs(true);
            // Nothing but a new start helps.
            self.later(time, move |world| {
                if !disk.has_ended() {
                    world.crash(node, End::Kill);
                }
            });
            self.later(time + 1_000, move |world| world.restart(node));
            Some(format!("hsm {node} for {time} ms"))
        }
    }

    /// Does nothing more, and makes good what was done.
    pub fn heal(&self) {
        self.state().over = true;
        let world = &self.world;
        world.network.mend();
        world.network.set_weather(Weather::default());
        for node in world.nodes() {
            world.simulation.stop(node, false);
            let pace = world.simulation.pace(node);
            world.simulation.set_pace(node, Pace { sync_us: Pace::default().sync_us, ..pace });
            if let Some(disk) = world.disk(node).filter(|disk| disk.is_spoilt()) {
                disk.faults().set_room(None);
                world.crash(node, End::Kill);
            }
        }
    }
}
