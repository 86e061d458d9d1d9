//! A client sends no password to whom it does not know: another cluster, another key, another CA.

use casemate_client::{Client, ClientError, Config};
use casemate_protocol::Role;
use casemate_tests::{Build, Cluster, USER_PASSWORD};

/// Logs in with a configuration in which one thing was replaced by another, and returns why not.
fn refused(cluster: &Cluster, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(cluster.config_path()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    let path = cluster.path().join("changed.toml");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    let mut config = Config::load(&path).map_err(ClientError::from).unwrap();
    config.deadline = std::time::Duration::from_secs(5);
    match Client::new(config).log_in("app", USER_PASSWORD, Some(Role::CryptoUser)) {
        Err(ClientError::Untrusted { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

/// The value of a key of the configuration.
fn value(cluster: &Cluster, key: &str) -> String {
    let text = std::fs::read_to_string(cluster.config_path()).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn a_client_sends_no_password_to_another_cluster_key_or_ca() {
    let (cluster, other) =
        (Cluster::start(Build::Plain).unwrap(), Cluster::start(Build::Plain).unwrap());
    assert!(cluster.user().is_ok());
    for key in ["id", "cluster_key_sha256"] {
        let (ours, theirs) = (value(&cluster, key), value(&other, key));
        assert_ne!(refused(&cluster, &ours, &theirs), "", "{key}");
    }
    let theirs = other.path().join("customerCA.crt").display().to_string();
    assert_ne!(refused(&cluster, "customerCA.crt", &theirs), "");
    // Whoever answers at the address of ours.
    assert_ne!(refused(&cluster, &cluster.address(), &other.address()), "");
}
