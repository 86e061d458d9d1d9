//! The pool: operations of more than about 100 µs, so that they hold up no short one.
//!
//! As many threads as workers, of the kernel's class for idle time: the moment that a worker or a client on this machine has something
//! to do, the core is taken from them, so that a short operation waits for no RSA key. By niceness alone it would wait until the
//! end of a time slice, milliseconds. Idle time may never come: a job that waited too long is done by one more thread, which is
//! only nice. What waits is bounded; beyond that a request is answered "busy".

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use super::requests::{Way, go_on};
use super::worker::Urgency;

/// What is to be done, and where its answer goes.
type Job = (casemate_hsm::Job, Way);

/// Jobs that may wait.
const WAITING_MAX: usize = 4_096;

/// With so many jobs behind it an answer waits for the next ones, and all of them wake the worker and the client once.
const GATHER_BEFORE: usize = 4;
/// How long a job waits for idle time. Who takes a late job runs a whole RSA key while short operations wait for its core: at 25 ms the
/// 99th percentile of those beside RSA-4096 was nine times that without, at 200 ms it is twice.
const PATIENCE: Duration = Duration::from_millis(200);
/// How nice a thread is that is not idle, from 0 to 99 of all that the kernel has: a tenth of a core is its own.
const NICE_PRIORITY: u8 = 25;
/// Threads that stretch passwords: a flood of log-ins takes no more.
const PASSWORD_THREADS: usize = 2;

#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<(Instant, Job)>>,
    some: Condvar,
    /// For the thread that helps out: there is a first job to watch.
    first: Condvar,
}

/// A pool of threads.
pub(crate) struct Pool(Arc<Queue>);

impl Pool {
    /// Starts so many threads, and the one that helps out.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("casemate-pool-{number}"));
            thread.spawn(move || in_idle_time(&queue))?;
        }
        let (queue, pool) = (Arc::clone(&queue), Self(queue));
        let thread = std::thread::Builder::new().name("casemate-pool-late".to_owned());
        thread.spawn(move || what_is_late(&queue))?;
        Ok(pool)
    }

    /// Starts the pool for passwords: few threads, which are nice but not idle, for somebody waits in person.
    pub(crate) fn for_passwords() -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for number in 0..PASSWORD_THREADS {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("casemate-pass-{number}"));
            thread.spawn(move || {
                be_nice();
                work(&queue);
            })?;
        }
        Ok(Self(queue))
    }

    /// Runs a job when a thread is free; gives it back if too many wait.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let mut jobs = self.0.lock();
        if jobs.len() >= WAITING_MAX {
            return Err(job);
        }
        jobs.push_back((Instant::now(), job));
        let first = jobs.len() == 1;
        drop(jobs);
        self.0.some.notify_one();
        if first {
            self.0.first.notify_one();
        }
        Ok(())
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Job)>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn step_back(policy: NormalThreadSchedulePolicy, priority: ThreadPriority) {
    let policy = ThreadSchedulePolicy::Normal(policy);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        tracing::warn!(?error, "long operations run at the priority of short ones");
    }
}

fn in_idle_time(queue: &Queue) {
    step_back(NormalThreadSchedulePolicy::Idle, ThreadPriority::Min);
    work(queue);
}

fn work(queue: &Queue) {
    loop {
        let mut jobs = queue.lock();
        let (job, way) = loop {
            if let Some((_, job)) = jobs.pop_front() {
                break job;
            }
            jobs = queue.some.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        };
        drop(jobs);
        let outcome = job();
        let more = queue.lock().len() >= GATHER_BEFORE;
        go_on(outcome, way, if more { Urgency::WithTheNext } else { Urgency::Now });
    }
}

fn be_nice() {
    match ThreadPriority::try_from(NICE_PRIORITY) {
        Ok(priority) => step_back(NormalThreadSchedulePolicy::Other, priority),
        Err(error) => tracing::warn!(error, "late operations run at the priority of short ones"),
    }
}

fn what_is_late(queue: &Queue) {
    be_nice();
    loop {
        let mut jobs = queue.lock();
        let (job, way) = loop {
            let left = jobs.front().map(|(since, _)| PATIENCE.saturating_sub(since.elapsed()));
            jobs = match left {
                Some(Duration::ZERO) => match jobs.pop_front() {
                    Some((_, job)) => break job,
                    None => jobs,
                },
                Some(left) => {
                    let waited = queue.first.wait_timeout(jobs, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => queue.first.wait(jobs).unwrap_or_else(PoisonError::into_inner),
            };
        };
        drop(jobs);
        go_on(job(), way, Urgency::Now);
    }
}
