//! One thread alone: how long the way to the HSM and back takes, with polling and without.

use super::Size;
use crate::error::Error;
use crate::goals::Goal;
use crate::load::{Figures, Shape};
use crate::operation::Operation;
use crate::systems::casemate::Cluster;

/// Microseconds of a call when both sides look for work a little while before they sleep.
const POLLING: f64 = 20.0;
/// Microseconds of a call when both sides sleep at once.
const SLEEPING: f64 = 70.0;

pub(super) fn run(size: Size) -> Result<Vec<Goal>, Error> {
    let cluster = Cluster::start()?;
    let polling = measure(&cluster, size)?;
    cluster.down()?;
    cluster.turn_polling_off()?;
    cluster.up()?;
    let sleeping = measure(&cluster, size)?;
    Ok(vec![
        goal("with polling (as installed)", &polling, POLLING),
        goal("without polling", &sleeping, SLEEPING),
    ])
}

fn measure(cluster: &Cluster, size: Size) -> Result<Figures, Error> {
    let shape = Shape { threads: 1, milliseconds: size.milliseconds };
    cluster.worker(0)?.measure(Operation::Empty, shape, &cluster.pids())?.figures()
}

fn goal(how: &str, figures: &Figures, bound: f64) -> Goal {
    let text = format!(
        "empty call of a lone thread {how}, p50 (CPU: client {:.1} µs, daemon {:.1} µs)",
        figures.client_cpu, figures.server_cpu
    );
    Goal::at_most(&text, Some(figures.p50), bound, " µs")
}
