//! Several HSMs as one cluster: real daemons, a real client.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![expect(clippy::print_stdout, reason = "what was measured is shown")]

mod attested;
mod load;
mod status;
mod upgrade;

use std::time::Duration;

use casemate_client::{Client, Config};
use casemate_protocol::messages::{
    Answer, Ask, Empty, FindObjects, GenerateKey, HsmStatus, MechanismUse, ObjectReference,
    Operation, Status,
};
use casemate_protocol::{Attribute, AttributeType, Mechanism, Role, Template};
use casemate_tests::{ADMIN_PASSWORD, Build, Cluster, USER_PASSWORD, until};

use load::Load;

/// A client that asks one HSM alone.
fn only(cluster: &Cluster, number: u8) -> Client {
    let mut config = Config::load(&cluster.config_path()).unwrap();
    let place = format!(".{number}.1:2223");
    config.addresses.retain(|address| address.ends_with(&place));
    assert_eq!(config.addresses.len(), 1);
    Client::new(config)
}

fn status(client: &Client) -> Status {
    match client.call(Ask::Status(Empty {})).unwrap() {
        Answer::Status(status) => status,
        _ => panic!("no status"),
    }
}

/// The HSM that leads, by its number in the cluster's directory, which is its zone.
fn leader(cluster: &Cluster) -> u8 {
    let client = cluster.client().unwrap();
    until("a leader", || {
        let hsms = status(&client).hsms;
        hsms.iter().find(|hsm: &&HsmStatus| hsm.leader).map(|hsm| hsm.zone.parse().unwrap())
    })
}

fn make(client: &Client, label: &str) -> ObjectReference {
    let template = Template::default()
        .with(Attribute::flag(AttributeType::Token, true))
        .with(Attribute::flag(AttributeType::Sign, true))
        .with(Attribute::number(AttributeType::ValueLen, 32))
        .with(Attribute::new(AttributeType::Label, label.as_bytes().to_vec()));
    let mechanism =
        MechanismUse { mechanism: Mechanism::GenericSecretKeyGen.number(), parameter: None };
    let ask = GenerateKey { mechanism: Some(mechanism), template: Some(template) };
    match client.call(Ask::GenerateKey(ask)) {
        Ok(Answer::Made(made)) => made.object.unwrap(),
        Ok(_) => panic!("no key"),
        Err(error) => panic!("{label}: {error}"),
    }
}

fn sign(client: &Client, key: &ObjectReference) -> Vec<u8> {
    let mechanism = MechanismUse { mechanism: Mechanism::Sha256Hmac.number(), parameter: None };
    let operation = Operation {
        key: Some(key.clone()),
        mechanism: Some(mechanism),
        data: vec![7; 32].into(),
        ..Operation::default()
    };
    match client.call(Ask::Sign(operation)) {
        Ok(Answer::Data(data)) => data.data.to_vec(),
        Ok(_) => panic!("no signature"),
        Err(error) => panic!("{error}"),
    }
}

fn labels(client: &Client, label: &str) -> usize {
    let label = Attribute::new(AttributeType::Label, label.as_bytes().to_vec());
    let template = Some(Template::default().with(label));
    let ask = FindObjects { template, ..FindObjects::default() };
    match client.call(Ask::FindObjects(ask)).unwrap() {
        Answer::Found(found) => found.numbers.len(),
        _ => panic!("no answer"),
    }
}

/// Waits until each of them says the same of its state.
fn expect_equal(cluster: &Cluster, numbers: &[u8]) {
    let clients: Vec<Client> = numbers.iter().map(|number| only(cluster, *number)).collect();
    until("equal states", || {
        let all: Vec<_> = clients.iter().map(status).map(|s| (s.index, s.state_hash)).collect();
        all.windows(2).all(|pair| pair[0] == pair[1]).then_some(())
    });
}

#[test]
fn a_key_that_one_of_three_made_is_on_all_of_them() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let made = cluster.user().unwrap();
    let key = make(&made, "shared");
    let signature = sign(&made, &key);
    expect_equal(&cluster, &[1, 2, 3]);
    for number in 1..=3 {
        let client = only(&cluster, number);
        client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser)).unwrap();
        assert_eq!(labels(&client, "shared"), 1, "HSM {number}");
        assert_eq!(sign(&client, &key), signature, "HSM {number}");
        // Any of them takes changes.
        make(&client, &format!("by {number}"));
    }
    expect_equal(&cluster, &[1, 2, 3]);
    let status = status(&cluster.client().unwrap());
    assert_eq!((status.hsms.len(), status.warnings.len()), (3, 0), "{:?}", status.warnings);
}

/// Threads that make keys and use them see no error while each HSM is killed and started again in turn, the leader among them, and every
/// key is on all of them in the end.
#[test]
fn applications_see_no_error_while_one_hsm_after_the_other_is_killed() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let load = Load::start(&cluster);
    for number in [2, 3, leader(&cluster), leader(&cluster)] {
        std::thread::sleep(Duration::from_millis(500));
        cluster.dev(&["kill", &number.to_string()]).unwrap();
        std::thread::sleep(Duration::from_millis(1_500));
        cluster.dev(&["start", &number.to_string()]).unwrap();
    }
    std::thread::sleep(Duration::from_millis(500));
    let longest = load.end(&cluster);
    assert!(longest < Duration::from_secs(6), "{longest:?}");
}

#[test]
fn without_a_majority_keys_are_used_and_changes_refused_with_the_cause() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let client = only(&cluster, 1);
    client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser)).unwrap();
    let key = make(&client, "before");
    let signature = sign(&client, &key);
    for number in ["2", "3"] {
        cluster.dev(&["kill", number]).unwrap();
    }
    assert_eq!(sign(&client, &key), signature);
    let template = Template::default().with(Attribute::flag(AttributeType::Token, true));
    let mechanism = MechanismUse { mechanism: Mechanism::AesKeyGen.number(), parameter: None };
    let template = template.with(Attribute::number(AttributeType::ValueLen, 32));
    let ask = GenerateKey { mechanism: Some(mechanism), template: Some(template) };
    let refused = client.call_within(Ask::GenerateKey(ask), Duration::from_secs(8)).map(drop);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("no majority"), "{refused}");
    assert_eq!(sign(&client, &key), signature);
    cluster.dev(&["start", "2"]).unwrap();
    make(&client, "with two of three");
}

#[test]
fn an_hsm_that_was_taken_out_gets_nothing_more() {
    let mut cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let client = cluster.user().unwrap();
    make(&client, "before");
    let out = status(&client).hsms.into_iter().find(|hsm| hsm.zone == "3").unwrap();
    let name = casemate_protocol::identity::HsmId::from_bytes(out.hsm.try_into().unwrap());
    cluster.set_environment("CASEMATE_ROLE", "admin");
    cluster.set_environment("CASEMATE_PIN", &format!("admin:{ADMIN_PASSWORD}"));
    cluster.casemate(&["cluster", "remove-hsm", "--hsm", &name.to_string()]).unwrap();
    let again = cluster.casemate(&["cluster", "remove-hsm", "--hsm", &name.to_string()]);
    assert!(again.unwrap_err().to_string().contains("no such HSM"));
    let two = only(&cluster, 1);
    assert_eq!(status(&two).hsms.len(), 2);
    make(&two_logged_in(&cluster), "after");
    expect_equal(&cluster, &[1, 2]);
    let waiting = cluster.casemate(&["cluster", "list-joining"]).unwrap();
    assert!(waiting.contains("no HSM waits"), "{waiting}");
    let index = status(&two).index;
    std::thread::sleep(Duration::from_millis(500));
    assert!(status(&only(&cluster, 3)).index < index, "the one that was taken out went on");
}

fn two_logged_in(cluster: &Cluster) -> Client {
    let client = only(cluster, 2);
    client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser)).unwrap();
    client
}

/// What an application made is there for it at once, also through an HSM that was away meanwhile and does not know of it yet.
#[test]
fn a_key_is_found_through_an_hsm_that_does_not_know_of_it_yet() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    assert_eq!(leader(&cluster), 1);
    let mut config = Config::load(&cluster.config_path()).unwrap();
    config.addresses.retain(|address| !address.ends_with(".3.1:2223"));
    let client = Client::new(config);
    client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser)).unwrap();
    let before = make(&client, "before");
    expect_equal(&cluster, &[1, 2, 3]);
    cluster.dev(&["kill", "2"]).unwrap();
    let key = make(&client, "made meanwhile");
    cluster.dev(&["kill", "1"]).unwrap();
    cluster.dev(&["start", "2"]).unwrap();
    sign(&client, &before);
    assert_eq!(labels(&client, "made meanwhile"), 1);
    sign(&client, &key);
}
