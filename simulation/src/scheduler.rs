//! One thread that runs everything: picks the next task by the seed, and lets time go on only when there is nothing else to do.
//!
//! What may differ from run to run must not be seen. So the tasks that are ready are a set in the order of their numbers, and not a
//! queue in the order of their wake-ups, which tokio's channels shuffle by a generator that no seed reaches. And timers end one by one,
//! each followed by all that it makes ready: so a sleep and a message are never ready together, and `select!`, which would throw a
//! die for them, has no choice. A task belongs to a group, which is one HSM or the world outside; a crash drops
//! a group's tasks wherever they wait, a stop keeps them and their timers until it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use casemate_cluster::Later;
use casemate_cluster::runtime::{Scheduler, Timer};

use crate::random::Random;

/// The group of what is no HSM: network, clients, faults.
pub const WORLD: u64 = 0;

/// How a group's clock and disk are.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How much faster its clock goes than time, in millionths.
    pub drift_ppm: i64,
    /// The least and the most that an fsync takes.
    pub sync_us: (u64, u64),
}

impl Default for Pace {
    fn default() -> Self {
        Self { drift_ppm: 0, sync_us: (50, 300) }
    }
}

struct Slot {
    group: u64,
    /// None while it runs.
    future: Option<Later<()>>,
}

struct State {
    now: Duration,
    random: Random,
    /// What tasks draw for themselves.
    luck: Random,
    tasks: BTreeMap<u64, Slot>,
    next_task: u64,
    timers: BTreeMap<(Duration, u64), Arc<Ringing>>,
    next_timer: u64,
    group: u64,
    paces: BTreeMap<u64, Pace>,
    stopped: BTreeSet<u64>,
    crashing: BTreeSet<u64>,
    steps: u64,
    fingerprint: u64,
}

/// Tasks that can go on; shared with their wakers, which may be called at any time.
type Ready = Arc<Mutex<BTreeSet<u64>>>;

/// The scheduler. Clones are the same one.
#[derive(Clone)]
pub struct Simulation {
    state: Arc<Mutex<State>>,
    ready: Ready,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct TaskWaker {
    task: u64,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.ready).insert(self.task);
    }
}

/// A timer's end, and who waits for it.
struct Ringing {
    group: u64,
    rung: Mutex<(bool, Option<Waker>)>,
}

struct Sleep {
    key: (Duration, u64),
    ringing: Arc<Ringing>,
    state: Weak<Mutex<State>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut rung = lock(&self.ringing.rung);
        if rung.0 {
            return Poll::Ready(());
        }
        rung.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade() {
            lock(&state).timers.remove(&self.key);
        }
    }
}

impl Simulation {
    /// Makes the scheduler of a seed.
    #[must_use]
    pub fn new(random: &mut Random) -> Self {
        let state = State {
            now: Duration::ZERO,
            random: random.split(),
            luck: random.split(),
            tasks: BTreeMap::new(),
            next_task: 0,
            timers: BTreeMap::new(),
            next_timer: 0,
            group: WORLD,
            paces: BTreeMap::new(),
            stopped: BTreeSet::new(),
            crashing: BTreeSet::new(),
            steps: 0,
            fingerprint: 0xcbf2_9ce4_8422_2325,
        };
        Self { state: Arc::new(Mutex::new(state)), ready: Ready::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns the time, by no HSM's clock.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.state().now
    }

    /// Returns how many times tasks were run, and a number that tells whether two runs did the same until here.
    #[must_use]
    pub fn trace(&self) -> (u64, u64) {
        let state = self.state();
        (state.steps, state.fingerprint)
    }

    /// Waits so long, by no HSM's clock.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> Timer {
        let mut state = self.state();
        let at = state.now + time;
        self.timer(&mut state, at, WORLD)
    }

    /// Sets a group's clock and disk. Waits that are under way end as they would have.
    pub fn set_pace(&self, group: u64, pace: Pace) {
        self.state().paces.insert(group, pace);
    }

    /// Returns a group's clock and disk.
    #[must_use]
    pub fn pace(&self, group: u64) -> Pace {
        self.state().paces.get(&group).copied().unwrap_or_default()
    }

    /// Stops a group's tasks, or lets them go on.
    pub fn stop(&self, group: u64, stopped: bool) {
        let mut state = self.state();
        if stopped {
            state.stopped.insert(group);
        } else {
            state.stopped.remove(&group);
        }
    }

    /// Ends a group's tasks before another one runs: it may be asked for from inside one of them.
    pub fn crash(&self, group: u64) {
        self.state().crashing.insert(group);
    }

    fn timer(&self, state: &mut State, at: Duration, group: u64) -> Timer {
        let key = (at, state.next_timer);
        state.next_timer += 1;
        let ringing = Arc::new(Ringing { group, rung: Mutex::default() });
        state.timers.insert(key, Arc::clone(&ringing));
        Box::pin(Sleep { key, ringing, state: Arc::downgrade(&self.state) })
    }

    /// Runs until `over` says so, which is asked after each step, or nothing is left to do.
    pub fn run_until(&self, mut over: impl FnMut() -> bool) {
        loop {
            // Before anybody can be born into the group of one who is still to be buried.
            self.bury();
            if over() || !(self.run_one() || self.ring_one()) {
                return;
            }
        }
    }

    /// Runs one task that is ready; false if there is none.
    fn run_one(&self) -> bool {
        let (task, mut future) = {
            let mut state = self.state();
            let state = &mut *state;
            let mut ready = lock(&self.ready);
            let can = |task: &&u64| {
                let slot = state.tasks.get(task);
                slot.is_none_or(|slot| !state.stopped.contains(&slot.group))
            };
            let number = ready.iter().filter(can).count();
            if number == 0 {
                return false;
            }
            let chosen = state.random.index(number);
            let Some(task) = ready.iter().filter(can).nth(chosen).copied() else { return false };
            ready.remove(&task);
            let Some(slot) = state.tasks.get_mut(&task) else { return true };
            let Some(future) = slot.future.take() else { return true };
            state.group = slot.group;
            state.steps += 1;
            state.note(task);
            (task, future)
        };
        let waker = Waker::from(Arc::new(TaskWaker { task, ready: Arc::clone(&self.ready) }));
        let done = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        {
            let mut state = self.state();
            state.group = WORLD;
            if done {
                state.tasks.remove(&task);
            } else if let Some(slot) = state.tasks.get_mut(&task) {
                slot.future = Some(future);
                return true;
            }
        }
        // What is over ends outside the lock: its parts may ask for it.
        drop(future);
        true
    }

    /// Lets the next timer end; false if there is none.
    fn ring_one(&self) -> bool {
        let mut state = self.state();
        let next = state.timers.iter().find(|(_, timer)| !state.stopped.contains(&timer.group));
        let Some((key, ringing)) = next.map(|(key, timer)| (*key, Arc::clone(timer))) else {
            return false;
        };
        state.timers.remove(&key);
        state.now = state.now.max(key.0);
        let (now, group) = (state.now, ringing.group);
        state.note(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) ^ group);
        drop(state);
        let waker = {
            let mut rung = lock(&ringing.rung);
            rung.0 = true;
            rung.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Ends all tasks: what they hold is dropped.
    pub fn end(&self) {
        let tasks = std::mem::take(&mut self.state().tasks);
        drop(tasks);
    }

    /// Drops what crashed.
    fn bury(&self) {
        let dead: Vec<Slot> = {
            let mut state = self.state();
            let crashing = std::mem::take(&mut state.crashing);
            if crashing.is_empty() {
                return;
            }
            for group in &crashing {
                state.stopped.remove(group);
            }
            let dead = state.tasks.extract_if(.., |_, slot| crashing.contains(&slot.group));
            dead.map(|(_, slot)| slot).collect()
        };
        drop(dead);
    }
}

impl State {
    fn note(&mut self, what: u64) {
        self.fingerprint =
            (self.fingerprint ^ what).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
    }

    fn pace(&self, group: u64) -> Pace {
        self.paces.get(&group).copied().unwrap_or_default()
    }
}

const MILLION: i128 = 1_000_000;

fn scaled(time: Duration, numerator: i128, denominator: i128) -> Duration {
    let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / MILLION / 2);
    Duration::from_nanos(u64::try_from(nanos * numerator / denominator).unwrap_or(u64::MAX))
}

impl Scheduler for Simulation {
    fn group(&self) -> u64 {
        self.state().group
    }

    fn spawn(&self, group: u64, task: Later<()>) {
        let mut state = self.state();
        let number = state.next_task;
        state.next_task += 1;
        state.tasks.insert(number, Slot { group, future: Some(task) });
        lock(&self.ready).insert(number);
    }

    fn now(&self) -> Duration {
        let state = self.state();
        scaled(state.now, MILLION + i128::from(state.pace(state.group).drift_ppm), MILLION)
    }

    fn sleep_until(&self, at: Duration) -> Timer {
        let mut state = self.state();
        let group = state.group;
        let at = scaled(at, MILLION, MILLION + i128::from(state.pace(group).drift_ppm));
        // A clock that was divided and multiplied may be a nanosecond short of what it is asked for.
        let at = at.max(state.now) + Duration::from_nanos(2);
        self.timer(&mut state, at, group)
    }

    fn random(&self) -> u64 {
        self.state().luck.next()
    }

    fn sync_time(&self) -> Timer {
        let mut state = self.state();
        let group = state.group;
        let (least, most) = state.pace(group).sync_us;
        let at = state.now + Duration::from_micros(state.luck.between(least, most));
        self.timer(&mut state, at, group)
    }
}
