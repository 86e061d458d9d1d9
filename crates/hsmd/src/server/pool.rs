//! The pool: operations of more than about 100 µs, so that they hold up no short one.
//!
//! As many threads as workers. They are nice: when a worker has something to do, the kernel takes the core from a pool's thread at
//! once, so that a short operation waits for no RSA key. What waits is bounded; beyond that a request is answered "busy".

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::requests::{Way, go_on};

/// What is to be done, and where its answer goes.
type Job = (casemate_hsm::Job, Way);

/// Jobs that may wait.
const WAITING_MAX: usize = 4_096;

#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    some: Condvar,
}

/// A pool of threads.
pub(crate) struct Pool(Arc<Queue>);

impl Pool {
    /// Starts so many threads.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("casemate-pool-{number}"));
            thread.spawn(move || run(&queue))?;
        }
        Ok(Self(queue))
    }

    /// Runs a job when a thread is free; gives it back if too many wait.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= WAITING_MAX {
            return Err(job);
        }
        jobs.push_back(job);
        drop(jobs);
        self.0.some.notify_one();
        Ok(())
    }
}

/// How nice the threads are: about a tenth of a core is theirs when the workers have enough to do for all of it.
const NICENESS: i32 = 10;

fn run(queue: &Queue) {
    // On Linux this is of the calling thread alone.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "long operations run at the priority of short ones");
    }
    loop {
        let mut jobs = queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = loop {
            if let Some(job) = jobs.pop_front() {
                break job;
            }
            jobs = queue.some.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        };
        drop(jobs);
        let (job, way) = job;
        go_on(job(), way);
    }
}
