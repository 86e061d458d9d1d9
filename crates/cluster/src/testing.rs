//! Hooks for tests: named points at which the process kills itself, and a planted bug.
//!
//! Without the feature `testing` all of it compiles to nothing.

/// The points, in the order in which a write and a snapshot pass them.
pub const POINTS: [&str; 10] = [
    "before-append",
    "after-append",
    "after-sync",
    "after-mark",
    "after-acknowledge",
    "snapshot-begun",
    "snapshot-written",
    "snapshot-renamed",
    "segment-begun",
    "segments-removed",
];

/// The points of making a cluster, and of its activation, in their order.
pub const CREATION_POINTS: [&str; 4] =
    ["secrets-written", "secrets-renamed", "cluster-written", "cluster-created"];

/// Passes a point: the process dies here by SIGKILL if `CASEMATE_KILL_POINT` is `NAME:N` and this is the N-th time.
///
/// # Panics
/// If the process cannot kill itself.
#[cfg(feature = "testing")]
pub fn pass(point: &'static str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("CASEMATE_KILL_POINT") else { return };
    let Some((name, times)) = wanted.split_once(':') else { return };
    if name == point && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == times.parse().unwrap_or(1) {
        // Killed like a power switch: no handler of ours runs.
        let killed =
            nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
        assert!(killed.is_ok(), "the kill point is passed");
        std::thread::park();
    }
}

/// Passes a point.
#[cfg(not(feature = "testing"))]
pub const fn pass(_point: &'static str) {}

/// The planted bug: whether writes are acknowledged before they are synced. Only in a build
/// with the feature, by `CASEMATE_ACKNOWLEDGE_EARLY`.
#[must_use]
pub fn acknowledges_early() -> bool {
    cfg!(feature = "testing") && std::env::var_os("CASEMATE_ACKNOWLEDGE_EARLY").is_some()
}

/// Gives a planted acknowledgement the time to reach the client: the bug is then seen each time that a kill follows.
pub fn let_the_acknowledgement_out() {
    if acknowledges_early() {
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
}
