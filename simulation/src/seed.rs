//! One seed from its beginning to its end: a cluster is made, clients work while faults are injected, then all heals, and what was
//! seen must have an explanation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use casemate_cluster::runtime;

use crate::faults::{Faults, Injected};
use crate::history::{History, Operation};
use crate::linearizability::models::ObjectOperation;
use crate::random::Random;
use crate::service::{ClientWire, Service};
use crate::workload::Workload;
use crate::world::World;

/// How long faults are injected.
const TROUBLE: Duration = Duration::from_secs(8);
/// How long a cluster may take until it is made, or whole again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client waits for a reply.
const REPLY_PATIENCE: Duration = Duration::from_secs(12);
/// Where clients are on the network.
const CLIENTS: u64 = 1_000;

/// What a seed showed.
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What was injected.
    pub faults: Injected,
    /// How many operations are known to be done, and were checked.
    pub known: u64,
    /// How many have an unknown fate.
    pub unknown: u64,
    /// How many HSMs there were.
    pub hsms: u64,
    /// The log.
    pub log: String,
    /// What is wrong.
    pub violation: Option<String>,
}

impl Report {
    /// Whether it shows anything.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.faults.is_empty() && self.known > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let injected: u64 = self.faults.values().sum();
        let Self { seed, hsms, known, unknown, .. } = self;
        write!(
            f,
            "seed {seed}: {hsms} HSMs, {injected} faults, {known} operations checked, {unknown} of unknown fate"
        )?;
        self.violation.as_ref().map_or(Ok(()), |violation| write!(f, ": {violation}"))
    }
}

/// Plays a seed.
#[must_use]
pub fn play<S: Service>(seed: u64, service: Arc<S>) -> Report {
    let mut random = Random::new(seed);
    let hsms = if random.chance(250) { 5 } else { 3 };
    let world = World::new(service, &mut random);
    let _entered = runtime::enter(Arc::new(world.simulation.clone()));
    let history = History::default();
    let workload = Workload::new(&world.simulation, &history);
    let faults = Faults::new(&world, &mut random);
    world.note(&format!("seed {seed}, {hsms} HSMs"));
    make(&world, hsms);
    trouble(&world, &workload, &faults, &mut random);
    heal(&world, &workload, &faults, hsms);
    if world.violation().is_none()
        && let Err(wrong) = history.check()
    {
        world.violated(format!("not linearizable: {wrong}"));
    }
    let (known, unknown) = history.counts();
    let injected = faults.injected();
    world.note(&format!(
        "faults {injected:?}; {known} operations checked, {unknown} of unknown fate"
    ));
    for node in world.nodes() {
        world.crash(node, crate::disk::End::Kill);
    }
    world.simulation.end();
    world.bury();
    Report {
        seed,
        faults: injected,
        known,
        unknown,
        hsms,
        log: world.log(),
        violation: world.violation(),
    }
}

/// Runs until it is over; that it takes too long is wrong.
fn within<S: Service>(world: &World<S>, what: &str, mut over: impl FnMut() -> bool) {
    let until = world.simulation.time() + PATIENCE;
    let mut late = false;
    world.run_until(|| {
        late = world.simulation.time() > until;
        late || over()
    });
    if (late || !over()) && world.violation().is_none() {
        world.note_statuses();
        world.violated(format!("{what} takes longer than {PATIENCE:?}"));
    }
}

fn make<S: Service>(world: &World<S>, hsms: u64) {
    world.create(1);
    let joining = world.clone();
    let made = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let done = Arc::clone(&made);
    world.spawn(async move {
        for node in 2..=hsms {
            joining.join(node).await;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    within(world, "making the cluster", || made.load(std::sync::atomic::Ordering::Relaxed));
}

fn client<S: Service>(world: &World<S>, number: u64) -> S::Client {
    let network = world.network.clone();
    let wire: ClientWire = Arc::new(move |node, request| {
        let network = network.clone();
        Box::pin(async move {
            let to = (node, crate::network::APPLICATIONS);
            network.ask(CLIENTS + number, to, request, REPLY_PATIENCE).await.ok()
        })
    });
    world.service().client(number, wire)
}

fn trouble<S: Service>(
    world: &World<S>,
    workload: &Workload,
    faults: &Faults<S>,
    random: &mut Random,
) {
    for number in 1..=random.between(2, 5) {
        let client = client(world, number);
        world.spawn(workload.clone().run(client, random.split()));
    }
    world.spawn(faults.clone().run());
    let until = world.simulation.time() + TROUBLE;
    world.run_until(|| world.simulation.time() >= until);
}

/// Everybody comes back, holds the same, and answers.
fn heal<S: Service>(world: &World<S>, workload: &Workload, faults: &Faults<S>, hsms: u64) {
    if world.violation().is_some() {
        return;
    }
    world.note("healing");
    faults.heal();
    workload.end();
    let healing = world.clone();
    world.spawn(async move {
        loop {
            for node in healing.dead() {
                healing.restart(node);
            }
            healing.simulation.sleep(Duration::from_millis(50)).await;
        }
    });
    within(world, "ending what clients began", || workload.has_ended());
    // Whoever looks last sees what is there.
    let read = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (reading, done, mut last) = (workload.clone(), Arc::clone(&read), client(world, 0));
    world.spawn(async move {
        for name in 1..=reading.names() {
            let operation = Operation::Object(name, ObjectOperation::Read);
            while !reading.perform(&mut last, operation).await {}
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    within(world, "reading everything", || read.load(std::sync::atomic::Ordering::Relaxed));
    let all = usize::try_from(hsms).unwrap_or(usize::MAX);
    within(world, "being of one state", || {
        let states = world.states();
        let mut different: Vec<_> = states.values().collect();
        different.dedup();
        states.len() == all && different.len() == 1
    });
    world.note("whole");
}
