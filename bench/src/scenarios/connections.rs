//! Thousands of connections at once, all of them answered.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Size;
use crate::error::Error;
use crate::goals::Goal;
use crate::load::percentile;
use crate::systems::casemate::Cluster;
use crate::wire::Connection;

/// Threads that open connections.
const OPENERS: usize = 16;
/// Files beside the connections: standard streams, libraries, room.
const OTHER_FILES: u64 = 100;

pub(super) fn run(size: Size) -> Result<Vec<Goal>, Error> {
    let cluster = Cluster::start()?;
    let address = cluster.address()?;
    allow_files(u64::try_from(size.connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES))?;
    let before = cluster.pids().resident();
    let start = Instant::now();
    let open = Mutex::new(Vec::with_capacity(size.connections));
    let mut shares = Vec::new();
    thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS)
            .map(|opener| {
                let (open, address) = (&open, &address);
                let share = (opener..size.connections).step_by(OPENERS);
                scope.spawn(move || {
                    share.map(|_| Connection::open(address)).try_for_each(|connection| {
                        let connection = connection?;
                        open.lock().unwrap_or_else(|bad| bad.into_inner()).push(connection);
                        Ok::<(), Error>(())
                    })
                })
            })
            .collect();
        for opener in openers {
            shares.push(opener.join().unwrap_or(Err(Error::Panicked)));
        }
    });
    shares.into_iter().collect::<Result<(), Error>>()?;
    let opening = start.elapsed();
    let mut connections = open.into_inner().unwrap_or_else(|bad| bad.into_inner());
    let times = ping_all(&mut connections)?;
    let memory = cluster.pids().resident().saturating_sub(before);
    Ok(vec![goal(size, &times, opening, memory)])
}

/// Asks once on each connection while all are open.
fn ping_all(connections: &mut [Connection]) -> Result<Vec<u32>, Error> {
    let mut times = Vec::with_capacity(connections.len());
    for connection in connections {
        let start = Instant::now();
        connection.ping()?;
        times.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    times.sort_unstable();
    Ok(times)
}

fn goal(size: Size, times: &[u32], opening: Duration, memory: u64) -> Goal {
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let [wanted, answered] = [size.connections as f64, times.len() as f64];
    let each = memory / 1024 / u64::try_from(times.len().max(1)).unwrap_or(1);
    let text = format!(
        "connections at once, each answered (opened in {:.1} s, p99 of a ping {:.0} µs, {each} KiB \
         of the daemon's memory each)",
        opening.as_secs_f64(),
        percentile(times, 99)
    );
    Goal::at_least(&text, Some(answered), wanted, "")
}

/// Raises this process's limit on open files as far as needed.
fn allow_files(wanted: u64) -> Result<(), Error> {
    let failed = |cause: nix::Error| Error::io("the limit on open files")(cause.into());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if soft >= wanted {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).map_err(failed)
}
