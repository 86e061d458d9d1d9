//! Small operations beside a load of RSA-4096 signing: does the slow hold up the quick?

use super::Size;
use crate::error::Error;
use crate::goals::Goal;
use crate::load::{Figures, Shape};
use crate::operation::Operation;
use crate::systems::casemate::Cluster;

/// How much worse the 99th percentile may become.
const BOUND: f64 = 3.0;
/// Threads that ask for small operations.
const SMALL: usize = 4;
/// Threads that keep RSA-4096 signatures in flight.
const LARGE: usize = 8;

pub(super) fn run(size: Size) -> Result<Vec<Goal>, Error> {
    let cluster = Cluster::start()?;
    let pids = cluster.pids();
    let mut small = cluster.worker(0)?;
    let mut large = cluster.worker(0)?;
    let mut goals = Vec::new();
    // Makes the RSA key, which may take seconds, before anything is timed.
    let once = Shape { threads: 1, milliseconds: 0 };
    large.measure(Operation::SignRsa4096, once, &pids)?.figures()?;
    for operation in [Operation::Empty, Operation::SignP256] {
        let shape = Shape { threads: SMALL, milliseconds: size.milliseconds };
        let alone = small.measure(operation, shape, &pids)?.figures()?;
        // The load begins earlier and ends later than what is measured beside it.
        let longer = size.milliseconds.saturating_mul(2);
        let load = Shape { threads: LARGE, milliseconds: longer };
        large.begin(Operation::SignRsa4096, load, &pids)?;
        std::thread::sleep(std::time::Duration::from_millis(longer / 5));
        let beside = small.measure(operation, shape, &pids)?.figures()?;
        let load = large.end()?.figures()?;
        goals.push(goal(operation, &alone, &beside, &load));
    }
    Ok(goals)
}

fn goal(operation: Operation, alone: &Figures, beside: &Figures, load: &Figures) -> Goal {
    let text = format!(
        "{} p99 beside RSA-4096 ({:.0} of those per second): {:.0} µs, alone {:.0} µs",
        operation.name(),
        load.rate,
        beside.p99,
        alone.p99
    );
    Goal::at_most(&text, Some(beside.p99 / alone.p99), BOUND, " ×")
}
