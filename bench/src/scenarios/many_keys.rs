//! A hundred thousand keys: the memory they take, finding one of them, starting with them.

use std::time::Instant;

use super::Size;
use crate::error::Error;
use crate::goals::Goal;
use crate::load::Shape;
use crate::operation::Operation;
use crate::systems::casemate::Cluster;

/// Resident memory of the daemon, in MiB.
const MEMORY: f64 = 200.0;
/// Time of one search, in microseconds.
const FIND: f64 = 300.0;
/// Time of a start, in seconds.
const START: f64 = 3.0;

pub(super) fn run(size: Size) -> Result<Vec<Goal>, Error> {
    let cluster = Cluster::start()?;
    let empty = mebibytes(cluster.pids().resident());
    let mut goals = Vec::new();
    let mut worker = cluster.worker(size.keys)?;
    let begin = Instant::now();
    for operation in [Operation::FindLabel, Operation::FindId] {
        // The worker makes the keys before its first search.
        let shape = Shape { threads: 1, milliseconds: size.milliseconds };
        let found = worker.measure(operation, shape, &cluster.pids())?.figures()?;
        let text =
            format!("{} among {} keys, p50 (p99 {:.0} µs)", operation.name(), size.keys, found.p99);
        goals.push(Goal::at_most(&text, Some(found.p50), FIND, " µs"));
    }
    let filled = begin.elapsed().as_secs_f64() - 2.0 * millis(size.milliseconds);
    drop(worker);
    let full = mebibytes(cluster.pids().resident());
    let text = format!(
        "memory of the daemon with {} AES keys ({empty:.0} MiB without; made in {filled:.0} s)",
        size.keys
    );
    goals.push(Goal::at_most(&text, Some(full), MEMORY, " MiB"));
    goals.push(restart(&cluster, size)?);
    Ok(goals)
}

fn restart(cluster: &Cluster, size: Size) -> Result<Goal, Error> {
    cluster.down()?;
    let start = Instant::now();
    cluster.up()?;
    let ready = start.elapsed().as_secs_f64();
    // A start that lost keys would be quick: the last one must be there.
    let shape = Shape { threads: 1, milliseconds: 0 };
    cluster
        .worker(size.keys)?
        .measure(Operation::FindLabel, shape, &cluster.pids())?
        .figures()?;
    let memory = mebibytes(cluster.pids().resident());
    let text = format!("start with {} keys until ready ({memory:.0} MiB then)", size.keys);
    Ok(Goal::at_most(&text, Some(ready), START, " s"))
}

#[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52 bytes")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn millis(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
