//! Wycheproof's vectors through the C ABI: `libcasemate_pkcs11.so`, loaded as applications load it, against a real cluster.
//!
//! For each file it is printed how many vectors ran, by which codes those that are not valid were refused, and how many were skipped,
//! with the reason. A file of which nothing runs, or a vector that is refused by a code which names no cause, is a failure; so is a
//! file that nobody runs and no reason covers.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(clippy::print_stdout, reason = "each file reports what it ran")]

use std::sync::Mutex;
use std::thread;

use casemate_module::{Module, Session};
use casemate_tests::{Build, Cluster, USER_PASSWORD, is_application, program};

mod asymmetric;
mod coverage;
#[path = "../../crates/crypto/tests/wycheproof/files.rs"]
mod files;
mod keys;
mod post_quantum;
mod symmetric;
mod tally;

use tally::Tally;

/// Runs one file.
pub(crate) type Job = Box<dyn FnOnce(&mut Session) -> Tally + Send>;

/// Files at a time, each in a session of its own: what keeps two cores busy.
const THREADS: usize = 8;

#[test]
fn wycheproof_through_the_c_abi() {
    if is_application() {
        return run_all();
    }
    let cluster = Cluster::start(Build::Plain).unwrap();
    let status = cluster.application("wycheproof_through_the_c_abi").unwrap().status().unwrap();
    assert!(status.success(), "{status}");
}

fn run_all() {
    let module = Module::load(&program(Build::Plain, "libcasemate_pkcs11.so")).unwrap();
    let mut first = module.open().unwrap();
    first.log_in(&format!("app:{USER_PASSWORD}")).unwrap();
    let mut jobs = asymmetric::jobs();
    jobs.extend(post_quantum::jobs());
    jobs.extend(symmetric::jobs());
    let (jobs, tallies) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let job = jobs.lock().unwrap().pop();
                    let Some(job) = job else { return };
                    // A session for each file: with it go the keys that the file made.
                    let tally = job(&mut module.open().unwrap());
                    println!("{tally}");
                    tallies.lock().unwrap().push(tally);
                }
            });
        }
    });
    let tallies = tallies.into_inner().unwrap();
    let mut faults: Vec<String> = tallies.iter().filter_map(Tally::fault).collect();
    faults.extend(coverage::check(&tallies));
    let ran: usize = tallies.iter().map(|tally| tally.ran).sum();
    println!("{} files, {ran} vectors ran through the C ABI", tallies.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
