//! Log-in by ticket: what a client does on each new connection, so that a restart costs little.

use std::time::Instant;

use super::Size;
use crate::error::Error;
use crate::goals::Goal;
use crate::load::percentile;
use crate::systems::casemate::Cluster;
use crate::wire::Connection;

/// Microseconds that it may take.
const BOUND: f64 = 1000.0;

pub(super) fn run(size: Size) -> Result<Vec<Goal>, Error> {
    let cluster = Cluster::start()?;
    let address = cluster.address()?;
    let start = Instant::now();
    let (user, password) = Cluster::crypto_user();
    let mut ticket = Connection::open(&address)?.log_in(user, password)?;
    let by_password = start.elapsed();
    let count = size.log_ins;
    let mut connect = Vec::with_capacity(count);
    let mut log_in = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        let mut connection = Connection::open(&address)?;
        let connected = Instant::now();
        ticket = connection.use_ticket(&ticket)?;
        log_in.push(nanoseconds(connected.elapsed()));
        connect.push(nanoseconds(connected - start));
    }
    log_in.sort_unstable();
    connect.sort_unstable();
    let text = format!(
        "log-in by ticket, p50 (p99 {:.0} µs; the TLS connection before it {:.0} µs; by password \
         {} ms)",
        percentile(&log_in, 99),
        percentile(&connect, 50),
        by_password.as_millis()
    );
    Ok(vec![Goal::at_most(&text, Some(percentile(&log_in, 50)), BOUND, " µs")])
}

fn nanoseconds(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}
