//! From nothing to the first signature, as a newcomer meets it.

use std::time::Instant;

use super::Size;
use crate::error::Error;
use crate::goals::Goal;
use crate::load::Shape;
use crate::operation::Operation;
use crate::systems::casemate::Cluster;

/// Seconds that it may take.
const BOUND: f64 = 5.0;

pub(super) fn run(_size: Size) -> Result<Vec<Goal>, Error> {
    let start = Instant::now();
    let cluster = Cluster::start()?;
    let ready = start.elapsed();
    let mut worker = cluster.worker(0)?;
    // No time to measure: one warm-up operation and one that counts, after the key was made.
    let shape = Shape { threads: 1, milliseconds: 0 };
    worker.measure(Operation::SignP256, shape, &cluster.pids())?.figures()?;
    let first = start.elapsed().as_secs_f64();
    let text = format!(
        "`dev up --hsms 1` to the first signature (ready after {:.2} s)",
        ready.as_secs_f64()
    );
    Ok(vec![Goal::at_most(&text, Some(first), BOUND, " s")])
}
