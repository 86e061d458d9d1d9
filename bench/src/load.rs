//! The load: threads that repeat one operation as fast as they are answered.
//!
//! A closed loop, as applications drive an HSM: a thread asks again when it has its answer. Each
//! operation is timed; CPU time is read for this process and for the server's apart, between two
//! barriers, so that neither set-up nor clean-up counts.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::operation::Operation;
use crate::process::{self, Pids};

/// A system under test, ready to be asked.
pub(crate) trait Target: Sync {
    /// Makes what all threads share, before any of them starts: the key.
    ///
    /// # Errors
    /// What the system answered.
    fn prepare(&mut self, operation: Operation) -> Result<(), Error>;

    /// Makes what one thread of the load needs: its own session, its key.
    ///
    /// # Errors
    /// [`Error::NotOffered`] if the system lacks the operation, else what it answered.
    fn lane(&self, operation: Operation, thread: usize) -> Result<Box<dyn Lane + '_>, Error>;
}

/// One thread's side of the load.
pub(crate) trait Lane {
    /// Does the operation once.
    ///
    /// # Errors
    /// What the system answered; the measurement is then void.
    fn step(&mut self) -> Result<(), Error>;

    /// Removes what the steps left behind; not timed.
    ///
    /// # Errors
    /// What the system answered.
    fn clean(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// How long and how wide.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Number of threads, each with its own session.
    pub(crate) threads: usize,
    /// Milliseconds that are measured; 0 means one operation per thread.
    pub(crate) milliseconds: u64,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Operations done.
    pub(crate) operations: u64,
    /// Operations per second.
    pub(crate) rate: f64,
    /// The median time of one operation, in microseconds.
    pub(crate) p50: f64,
    /// The 99th percentile, in microseconds.
    pub(crate) p99: f64,
    /// CPU time of this process per operation, in microseconds.
    pub(crate) client_cpu: f64,
    /// CPU time of the server's processes per operation, in microseconds.
    pub(crate) server_cpu: f64,
}

/// Runs `operation` on `target` and measures it.
///
/// # Errors
/// The first error of any thread, or that a clock could not be read.
pub(crate) fn run(
    target: &dyn Target,
    operation: Operation,
    shape: Shape,
    server: &Pids,
) -> Result<Figures, Error> {
    // Threads and the coordinator meet: warmed up; go; done. Clean-up comes after the third.
    let barrier = Barrier::new(shape.threads.saturating_add(1));
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(shape.threads);
        for thread in 0..shape.threads {
            let barrier = &barrier;
            let name = format!("load-{thread}");
            let body = move || one_thread(target, operation, thread, shape, barrier);
            let handle = thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, body)
                .map_err(Error::io("cannot start a thread of the load"))?;
            threads.push(handle);
        }
        barrier.wait();
        // Looking for the server's processes takes CPU time of ours: outside of what is counted.
        let server_before = server.cpu();
        let own_before = process::own_cpu();
        let start = Instant::now();
        barrier.wait();
        barrier.wait();
        let elapsed = start.elapsed();
        let own_after = process::own_cpu();
        let server_after = server.cpu();
        let mut samples = Vec::new();
        let mut first_error = None;
        for handle in threads {
            match handle.join() {
                Ok(Ok(mut times)) => samples.append(&mut times),
                Ok(Err(error)) => first_error = first_error.or(Some(error)),
                // The panic's own message is on standard error already.
                Err(_panic) => return Err(Error::Panicked),
            }
        }
        if let Some(error) = first_error {
            return Err(error);
        }
        let own = own_after?.saturating_sub(own_before?);
        Ok(figures(samples, elapsed, own, server_after?.saturating_sub(server_before?)))
    })
}

/// The life of one thread. Whatever fails, it meets the others at all three barriers.
fn one_thread(
    target: &dyn Target,
    operation: Operation,
    thread: usize,
    shape: Shape,
    barrier: &Barrier,
) -> Result<Vec<u32>, Error> {
    let mut lane = target.lane(operation, thread).and_then(|mut lane| {
        warm_up(lane.as_mut(), shape)?;
        Ok(lane)
    });
    barrier.wait();
    barrier.wait();
    let times = match &mut lane {
        Ok(lane) => measure(lane.as_mut(), shape),
        Err(_) => Ok(Vec::new()),
    };
    barrier.wait();
    let mut lane = lane?;
    lane.clean()?;
    times
}

fn warm_up(lane: &mut dyn Lane, shape: Shape) -> Result<(), Error> {
    let end = Instant::now() + Duration::from_millis(shape.milliseconds / 10);
    loop {
        lane.step()?;
        if Instant::now() >= end {
            return Ok(());
        }
    }
}

fn measure(lane: &mut dyn Lane, shape: Shape) -> Result<Vec<u32>, Error> {
    // Room for the fastest operation, so that growing costs no measured time in most cells.
    let mut times = Vec::with_capacity(if shape.milliseconds == 0 { 1 } else { 1 << 17 });
    let mut last = Instant::now();
    let end = last + Duration::from_millis(shape.milliseconds);
    loop {
        lane.step()?;
        let now = Instant::now();
        let nanoseconds = now.duration_since(last).as_nanos();
        times.push(u32::try_from(nanoseconds).unwrap_or(u32::MAX));
        last = now;
        if now >= end {
            return Ok(times);
        }
    }
}

fn figures(mut times: Vec<u32>, elapsed: Duration, client: Duration, server: Duration) -> Figures {
    times.sort_unstable();
    let count = times.len().max(1);
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let operations = count as f64;
    Figures {
        operations: u64::try_from(times.len()).unwrap_or(u64::MAX),
        rate: operations / elapsed.as_secs_f64(),
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        client_cpu: client.as_secs_f64() * 1e6 / operations,
        server_cpu: server.as_secs_f64() * 1e6 / operations,
    }
}

/// Returns the percentile of sorted nanoseconds (nearest rank), in microseconds.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100).max(1);
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |&time| f64::from(time) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let times: Vec<u32> = (1..=200).map(|time| time * 1000).collect();
        assert_eq!(percentile(&times, 50), 100.0);
        assert_eq!(percentile(&times, 99), 198.0);
        assert_eq!(percentile(&[7000], 99), 7.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
