//! A rolling upgrade while applications work.

use std::time::Duration;

use casemate_tests::{Build, Cluster, program};

use crate::load::Load;
use crate::{expect_equal, make};

/// Each HSM runs another program afterwards, in order, the leader last; no application sees it.
#[test]
fn applications_see_no_error_while_each_hsm_gets_a_new_daemon() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let daemon = cluster.work().join("casemate-hsmd-next");
    std::fs::copy(program(Build::Plain, "casemate-hsmd"), &daemon).unwrap();
    let load = Load::start(&cluster);
    let told = cluster.dev(&["upgrade", "--daemon", &daemon.to_string_lossy()]).unwrap();
    assert!(told.contains("upgraded 3 HSMs"), "{told}");
    let longest = load.end(&cluster);
    assert!(longest < Duration::from_secs(6), "{longest:?}");
    for number in 1..=3 {
        let process = cluster.pid_of(number).unwrap();
        let runs = std::fs::read_link(format!("/proc/{process}/exe")).unwrap();
        assert_eq!(runs, daemon, "HSM {number}");
    }
}

/// It does not take a second HSM away when one is ill already.
#[test]
fn an_upgrade_waits_for_an_hsm_that_is_away_and_then_stops() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    cluster.dev(&["kill", "3"]).unwrap();
    let refused = cluster.dev(&["upgrade", "--patience", "2"]).unwrap_err().to_string();
    assert!(refused.contains("the HSM of zone 3 is away"), "{refused}");
    make(&cluster.user().unwrap(), "two serve");
}

/// A daemon that does not come up is taken back at the first HSM, so that the cluster is as it was.
#[test]
fn a_daemon_that_does_not_start_is_taken_back() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let daemon = cluster.work().join("casemate-hsmd-broken");
    std::fs::copy("/bin/false", &daemon).unwrap();
    let refused = cluster.dev(&["upgrade", "--daemon", &daemon.to_string_lossy()]);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("runs what it ran before"), "{refused}");
    let absent = cluster.dev(&["upgrade", "--daemon", "casemate-hsmd-absent"]);
    assert!(absent.unwrap_err().to_string().contains("there is no daemon"));
    let other = cluster.dev(&["upgrade", "--daemon", "/bin/true"]).unwrap_err().to_string();
    assert!(other.contains("begins with casemate-hsmd"), "{other}");
    make(&cluster.user().unwrap(), "all serve");
    expect_equal(&cluster, &[1, 2, 3]);
}
