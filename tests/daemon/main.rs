//! The daemon as an operator and an application see it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use casemate_protocol::messages::{Answer, Ask, Empty};
use casemate_tests::{Build, Cluster};

mod client_certificates;
mod passwords;
mod sandbox;
mod trust;

#[test]
fn a_cluster_of_one_serves() {
    let cluster = Cluster::start(Build::Plain).unwrap();
    let client = cluster.user().unwrap();
    assert!(matches!(client.call(Ask::Ping(Empty {})).unwrap(), Answer::Done(_)));
    assert!(cluster.log().contains("ready"));
}
