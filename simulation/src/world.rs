//! The HSMs of one seed: their lives and disks, how they are started, crash and come back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casemate_cluster::runtime::Scheduler as _;
use casemate_cluster::simulated_disk::SimulatedDisk;
use casemate_cluster::{Begin, Cluster, Config, Later, Member, Replica};

use crate::disk::{End, MortalDisk};
use crate::invariants::{Invariants, Watched};
use crate::network::{APPLICATIONS, Network, PEERS, Server};
use crate::random::Random;
use crate::scheduler::{Pace, Simulation, WORLD};
use crate::service::{Front, Life, Service};

/// An HSM.
struct Hsm {
    /// What its next life finds.
    left: SimulatedDisk,
    joined: bool,
    life: Option<Living>,
}

struct Living {
    disk: Arc<MortalDisk>,
    front: Arc<dyn Front>,
    /// None until it is open.
    cluster: Option<Arc<Cluster>>,
}

struct State {
    random: Random,
    hsms: BTreeMap<u64, Hsm>,
    log: String,
    violation: Option<String>,
}

/// What there is. Clones are the same one.
pub struct World<S> {
    /// Time and tasks.
    pub simulation: Simulation,
    /// The network.
    pub network: Network,
    service: Arc<S>,
    invariants: Invariants,
    snapshot_every: u64,
    state: Arc<Mutex<State>>,
}

impl<S> Clone for World<S> {
    fn clone(&self) -> Self {
        Self {
            simulation: self.simulation.clone(),
            network: self.network.clone(),
            service: Arc::clone(&self.service),
            invariants: self.invariants.clone(),
            snapshot_every: self.snapshot_every,
            state: Arc::clone(&self.state),
        }
    }
}

fn member(node: u64) -> Member {
    let mut identity = [0; 32];
    identity[..8].copy_from_slice(&node.to_be_bytes());
    Member { address: format!("hsm-{node}"), identity }
}

impl<S: Service> World<S> {
    /// Makes a world without an HSM.
    #[must_use]
    pub fn new(service: Arc<S>, random: &mut Random) -> Self {
        let simulation = Simulation::new(random);
        let network = Network::new(&simulation, random);
        let snapshot_every = random.between(10, 60);
        let state = State {
            random: random.split(),
            hsms: BTreeMap::new(),
            log: String::new(),
            violation: None,
        };
        let invariants = Invariants::default();
        let state = Arc::new(Mutex::new(state));
        Self { simulation, network, service, invariants, snapshot_every, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Notes something in the seed's log, with the time and how far the scheduler is.
    pub fn note(&self, what: &str) {
        let (time, (steps, print)) = (self.simulation.time(), self.simulation.trace());
        let mut state = self.state();
        let line = format!("{:>12.6} {steps:>8} {print:016x} {what}", time.as_secs_f64());
        // Writing to a string does not fail.
        let _written = writeln!(state.log, "{line}").is_ok();
    }

    /// Returns the log.
    #[must_use]
    pub fn log(&self) -> String {
        self.state().log.clone()
    }

    /// Notes that something is wrong: the first that is ends the seed.
    pub fn violated(&self, what: String) {
        self.note(&format!("VIOLATION {what}"));
        self.state().violation.get_or_insert(what);
    }

    /// Returns what is wrong.
    #[must_use]
    pub fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }

    /// Starts the first HSM of a new cluster.
    pub fn create(&self, node: u64) {
        let entry = self.service.genesis();
        self.start(node, Begin::Genesis { entry, member: member(node) });
    }

    /// Starts an HSM that has nothing, and has the leader take it in.
    pub async fn join(&self, node: u64) {
        self.start(node, Begin::Joining);
        loop {
            self.simulation.sleep(Duration::from_millis(20)).await;
            let running = self.cluster(node).is_some();
            let Some((leader, cluster)) = self.leader().filter(|_| running) else { continue };
            let world = self.clone();
            let add = async move {
                let added = cluster.add_voter_simulated(node, member(node)).await;
                world.note(&format!("hsm {leader} adds hsm {node}: {added:?}"));
            };
            self.simulation.spawn(leader, Box::pin(add));
            for _ in 0..100 {
                self.simulation.sleep(Duration::from_millis(20)).await;
                let voters = self.leader().map(|(_, cluster)| cluster.status().members);
                let is_in = |one: &casemate_cluster::MemberStatus| one.node == node && one.voter;
                if voters.is_some_and(|members| members.iter().any(is_in)) {
                    let mut state = self.state();
                    if let Some(hsm) = state.hsms.get_mut(&node) {
                        hsm.joined = true;
                    }
                    return;
                }
            }
        }
    }

    /// Starts an HSM that was there before.
    pub fn restart(&self, node: u64) {
        let joined = self.state().hsms.get(&node).is_some_and(|hsm| hsm.joined);
        self.start(node, if joined { Begin::Existing } else { Begin::Joining });
    }

    fn start(&self, node: u64, begin: Begin) {
        let Life { replica, front } = self.service.begin(node);
        let replica = Watched::new(replica, node, self.invariants.clone());
        let disk = {
            let mut state = self.state();
            let random = state.random.split();
            let drift_ppm = i64::try_from(state.random.below(2_001)).unwrap_or(0) - 1_000;
            let genesis = matches!(begin, Begin::Genesis { .. });
            let hsm = state.hsms.entry(node).or_insert_with(|| Hsm {
                left: SimulatedDisk::default(),
                joined: genesis,
                life: None,
            });
            if hsm.life.is_some() {
                return;
            }
            // Another machine, another clock; within a life it keeps its pace.
            self.simulation.set_pace(node, Pace { drift_ppm, ..Pace::default() });
            let disk = MortalDisk::new(hsm.left.clone(), &self.simulation, node, random);
            let (disk_of_life, front) = (Arc::clone(&disk), Arc::clone(&front));
            hsm.life = Some(Living { disk: disk_of_life, front, cluster: None });
            disk
        };
        self.note(&format!("hsm {node} starts"));
        let opening = self.clone().open(node, disk, replica, begin);
        self.simulation.spawn(node, Box::pin(opening));
    }

    async fn open<R: Replica + Sync>(
        self,
        node: u64,
        disk: Arc<MortalDisk>,
        replica: R,
        begin: Begin,
    ) {
        let config = Config { node, snapshot_every: self.snapshot_every, kept_entries: 8 };
        let transport = self.network.transport(node);
        let its_disk = Arc::clone(&disk);
        let opened = Cluster::open_simulated(config, its_disk, replica, begin, transport).await;
        // What it found out before the power went is known to nobody.
        if disk.has_ended() {
            return;
        }
        match opened {
            Ok(cluster) => self.opened(node, Arc::new(cluster)),
            Err(_) if disk.is_spoilt() => self.crash(node, End::Kill),
            Err(error) => self.violated(format!("hsm {node} does not start: {error}")),
        }
    }

    fn opened(&self, node: u64, cluster: Arc<Cluster>) {
        let front = {
            let mut state = self.state();
            let Some(life) = state.hsms.get_mut(&node).and_then(|hsm| hsm.life.as_mut()) else {
                return;
            };
            life.cluster = Some(Arc::clone(&cluster));
            Arc::clone(&life.front)
        };
        let peers = Arc::clone(&cluster);
        let serve: Server = Arc::new(move |request| Box::pin(peers.serve(request)));
        self.network.serve((node, PEERS), Some(serve));
        let answer: Server = {
            let (world, simulation) = (self.clone(), self.simulation.clone());
            Arc::new(move |request| {
                let answer = front.answer(Arc::clone(&cluster), request);
                world.in_group(&simulation, node, answer)
            })
        };
        self.network.serve((node, APPLICATIONS), Some(answer));
        self.note(&format!("hsm {node} runs"));
    }

    /// Runs something as a task of an HSM, so that it ends with it.
    fn in_group(&self, simulation: &Simulation, node: u64, work: Later<Vec<u8>>) -> Later<Vec<u8>> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let work = async move {
            // Whoever waits may be gone.
            let _told = sender.send(work.await).is_ok();
        };
        simulation.spawn(node, Box::pin(work));
        Box::pin(async move {
            match receiver.await {
                Ok(reply) => reply,
                // It crashed: its peer hears nothing.
                Err(_gone) => std::future::pending().await,
            }
        })
    }

    /// Ends an HSM's life now.
    pub fn crash(&self, node: u64, end: End) {
        let disk = {
            let state = self.state();
            let life = state.hsms.get(&node).and_then(|hsm| hsm.life.as_ref());
            let Some(life) = life else { return };
            Arc::clone(&life.disk)
        };
        drop(disk.end(end));
        self.simulation.crash(node);
    }

    /// Buries those whose life has ended: asked after each step.
    pub fn bury(&self) {
        let ended: Vec<(u64, Living)> = {
            let mut state = self.state();
            let ended = state.hsms.iter_mut().filter_map(|(node, hsm)| {
                let life = hsm.life.take_if(|life| life.disk.has_ended())?;
                // What it was when it ended; `end` says nothing new.
                hsm.left = life.disk.end(End::Kill);
                Some((*node, life))
            });
            ended.collect()
        };
        for (node, life) in ended {
            self.note(&format!("hsm {node} is dead"));
            self.network.serve((node, PEERS), None);
            self.network.serve((node, APPLICATIONS), None);
            drop(life);
        }
    }

    /// Returns the numbers of all HSMs.
    #[must_use]
    pub fn nodes(&self) -> Vec<u64> {
        self.state().hsms.keys().copied().collect()
    }

    /// Returns the numbers of those that are dead.
    #[must_use]
    pub fn dead(&self) -> Vec<u64> {
        let state = self.state();
        state.hsms.iter().filter(|(_, hsm)| hsm.life.is_none()).map(|(node, _)| *node).collect()
    }

    /// Returns an HSM's disk, as long as it lives.
    #[must_use]
    pub fn disk(&self, node: u64) -> Option<Arc<MortalDisk>> {
        self.state().hsms.get(&node)?.life.as_ref().map(|life| Arc::clone(&life.disk))
    }

    /// Returns an HSM's cluster, as long as it runs.
    #[must_use]
    pub fn cluster(&self, node: u64) -> Option<Arc<Cluster>> {
        self.state().hsms.get(&node)?.life.as_ref()?.cluster.clone()
    }

    /// Returns the one that says that it leads, in the highest term.
    #[must_use]
    pub fn leader(&self) -> Option<(u64, Arc<Cluster>)> {
        let running = self.nodes().into_iter().filter_map(|node| Some((node, self.cluster(node)?)));
        let leading = running.filter_map(|(node, cluster)| {
            let status = cluster.status();
            status.leads.then_some((status.term, node, cluster))
        });
        let newest = leading.max_by_key(|(term, node, _)| (*term, *node));
        newest.map(|(_, node, cluster)| (node, cluster))
    }

    /// Returns what is applied on each HSM that runs, and a hash of it.
    #[must_use]
    pub fn states(&self) -> BTreeMap<u64, (u64, u64)> {
        let state = self.state();
        let running = state.hsms.iter().filter_map(|(node, hsm)| {
            let life = hsm.life.as_ref()?;
            life.cluster.as_ref()?;
            Some((*node, life.front.state()))
        });
        running.collect()
    }

    /// Notes how each HSM is.
    pub fn note_statuses(&self) {
        for node in self.nodes() {
            let Some(cluster) = self.cluster(node) else {
                self.note(&format!("hsm {node} does not run"));
                continue;
            };
            let status = cluster.status();
            let matched: Vec<_> =
                status.members.iter().map(|one| (one.node, one.voter, one.matched)).collect();
            let (leader, term, last) = (status.leader, status.term, status.last_index);
            let (applied, health) = (status.applied, status.write_health);
            self.note(&format!(
                "hsm {node}: leader {leader:?} in term {term}, log to {last}, applied to {applied}, {health:?}, members {matched:?}"
            ));
        }
        self.note(&format!("states {:?}", self.states()));
    }

    /// Runs a task of the world outside.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.simulation.spawn(WORLD, Box::pin(task));
    }

    /// Runs until it is over or something is wrong.
    pub fn run_until(&self, mut over: impl FnMut() -> bool) {
        self.simulation.run_until(|| {
            self.bury();
            if let Some(wrong) = self.invariants.violation() {
                self.violated(wrong);
            }
            over() || self.violation().is_some()
        });
    }
}
