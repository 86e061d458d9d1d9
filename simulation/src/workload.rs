//! What clients do: they make, read, change and destroy objects that others use as well, and note what they see.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::history::{History, Operation};
use crate::linearizability::models::ObjectOperation;
use crate::random::Random;
use crate::scheduler::Simulation;
use crate::service::Client;

/// Names among which a client chooses: the newest ones.
const NAMES: u64 = 4;

struct State {
    names: u64,
    values: u64,
    over: bool,
    running: u64,
}

/// What all clients of a seed share. Clones are the same one.
#[derive(Clone)]
pub struct Workload {
    simulation: Simulation,
    history: History,
    state: Arc<Mutex<State>>,
}

impl Workload {
    /// Makes one that has no client yet.
    #[must_use]
    pub fn new(simulation: &Simulation, history: &History) -> Self {
        let state = State { names: 0, values: 0, over: false, running: 0 };
        let state = Arc::new(Mutex::new(state));
        Self { simulation: simulation.clone(), history: history.clone(), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No client begins anything more.
    pub fn end(&self) {
        self.state().over = true;
    }

    /// Whether all clients have ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state().running == 0
    }

    /// Returns how many objects there may be.
    #[must_use]
    pub fn names(&self) -> u64 {
        self.state().names
    }

    /// Is a client until the end.
    pub async fn run(self, mut client: impl Client, mut random: Random) {
        self.state().running += 1;
        while !self.state().over {
            let operation = self.choose(&mut random);
            self.perform(&mut client, operation).await;
            let pause = random.between(500, 40_000);
            self.simulation.sleep(Duration::from_micros(pause)).await;
        }
        self.state().running -= 1;
    }

    /// Does one thing, and notes it. Returns whether it is known what became of it.
    pub async fn perform(&self, client: &mut impl Client, operation: Operation) -> bool {
        let called = self.history.call();
        let answer = client.perform(operation).await;
        self.history.returned(called, operation, answer);
        answer.is_some()
    }

    fn choose(&self, random: &mut Random) -> Operation {
        let mut state = self.state();
        state.values += 1;
        let value = state.values;
        if state.names == 0 || random.chance(120) {
            state.names += 1;
            return Operation::Object(state.names, ObjectOperation::Create(value));
        }
        let name = state.names - random.below(NAMES.min(state.names));
        let operation = match random.below(20) {
            0 => ObjectOperation::Destroy,
            1..=9 => ObjectOperation::Set(value),
            _ => ObjectOperation::Read,
        };
        Operation::Object(name, operation)
    }
}
