//! What the kernel tells about processes: CPU time, memory, who is whose child, and the machine.
//!
//! CPU time comes from the process's CPU clock (`clock_getcpuclockid`, POSIX), which counts
//! nanoseconds of all threads, the ended ones too. `/proc/PID/stat` counts in ticks of 10 ms.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::error::Error;

/// The processes of a server: the given ones and all their descendants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pids(pub(crate) Vec<i32>);

impl Pids {
    /// Returns the CPU time that the server's processes have used so far.
    ///
    /// # Errors
    /// [`Error::Io`] if one of the given processes is gone.
    pub(crate) fn cpu(&self) -> Result<Duration, Error> {
        let mut sum = Duration::ZERO;
        for &pid in &self.0 {
            sum += cpu_of(pid)?;
        }
        for pid in descendants(&self.0) {
            // A child may end between the look and the reading; its time is then lost.
            sum += cpu_of(pid).unwrap_or_default();
        }
        Ok(sum)
    }

    /// Returns the resident memory of the server's processes, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.0.iter().copied().chain(descendants(&self.0)).map(resident_of).sum()
    }
}

/// Returns the CPU time of this process.
///
/// # Errors
/// [`Error::Io`] if the kernel has no such clock.
pub(crate) fn own_cpu() -> Result<Duration, Error> {
    read_clock(ClockId::CLOCK_PROCESS_CPUTIME_ID, "this process")
}

fn cpu_of(pid: i32) -> Result<Duration, Error> {
    let what = format!("process {pid}");
    let clock = clock_getcpuclockid(Pid::from_raw(pid))
        .map_err(|cause| Error::io(format!("cannot find the CPU clock of {what}"))(cause.into()))?;
    read_clock(clock, &what)
}

fn read_clock(clock: ClockId, what: &str) -> Result<Duration, Error> {
    clock_gettime(clock)
        .map(Duration::from)
        .map_err(|cause| Error::io(format!("cannot read the CPU clock of {what}"))(cause.into()))
}

/// Finds all descendants of `roots`, without the roots.
fn descendants(roots: &[i32]) -> BTreeSet<i32> {
    if roots.is_empty() {
        return BTreeSet::new();
    }
    let parents: Vec<(i32, i32)> = all_pids().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family: BTreeSet<i32> = roots.iter().copied().collect();
    loop {
        let before = family.len();
        for &(pid, parent) in &parents {
            if family.contains(&parent) {
                family.insert(pid);
            }
        }
        if family.len() == before {
            break;
        }
    }
    for root in roots {
        family.remove(root);
    }
    family
}

/// Finds the processes whose command line has `program` as its first word's file name and mentions
/// `mention` anywhere.
pub(crate) fn find(program: &str, mention: &str) -> Pids {
    let matches = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let first = line.split('\0').next().unwrap_or_default();
        Path::new(first).file_name().is_some_and(|name| name == program) && line.contains(mention)
    };
    Pids(all_pids().filter(matches).collect())
}

fn all_pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(pid: i32) -> Option<i32> {
    status_field(pid, "PPid:")?.parse().ok()
}

fn resident_of(pid: i32) -> u64 {
    let kibibytes = status_field(pid, "VmRSS:");
    let kibibytes: u64 = kibibytes.and_then(|text| text.parse().ok()).unwrap_or(0);
    kibibytes.saturating_mul(1024)
}

/// Returns the first word after `field` in `/proc/PID/status`.
fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.split_whitespace().next().map(str::to_owned)
}

/// Returns the CPU's model and the number of processors that this process may use.
pub(crate) fn machine() -> (String, usize) {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or_else(|| "unknown CPU".to_owned(), |(_, name)| name.trim().to_owned());
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (model, processors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_of_a_process_counts_its_work() {
        let me = Pids(vec![i32::try_from(std::process::id()).expect("a pid fits")]);
        let before = me.cpu().expect("our own clock");
        let mut sum = 0_u64;
        while me.cpu().expect("our own clock") < before + Duration::from_millis(5) {
            sum = sum.wrapping_add(1);
        }
        assert!(sum > 0);
        assert!(me.resident() > 100_000);
    }
}
