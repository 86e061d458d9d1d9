//! Client certificates: without one, with one of another CA, with the right one; and what a ticket is worth with another.

use casemate_client::{Client, Config};
use casemate_protocol::Role;
use casemate_tests::{Build, Cluster, USER_PASSWORD};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

struct Ca {
    params: CertificateParams,
    key: KeyPair,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { params, key: KeyPair::generate().unwrap() }
    }

    fn pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    /// Issues a certificate, and adds it to a copy of the cluster's configuration, whose path it returns.
    fn configure(&self, cluster: &Cluster, name: &str) -> Config {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::new(self.params.clone(), &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let place = |suffix: &str| cluster.path().join(format!("{name}.{suffix}"));
        std::fs::write(place("crt"), certificate.pem()).unwrap();
        std::fs::write(place("key"), key.serialize_pem()).unwrap();
        let text = std::fs::read_to_string(cluster.config_path()).unwrap();
        let section = format!("\n[client]\ncertificate = \"{name}.crt\"\nkey = \"{name}.key\"\n");
        std::fs::write(place("toml"), text + &section).unwrap();
        let mut config = Config::load(&place("toml")).unwrap();
        config.deadline = std::time::Duration::from_secs(3);
        config
    }
}

fn log_in(config: &Config) -> Result<(), String> {
    let client = Client::new(config.clone());
    let done = client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser));
    done.map(drop).map_err(|error| error.to_string())
}

#[test]
fn with_required_certificates_only_those_of_the_ca_are_let_in() {
    let cluster = Cluster::start(Build::Plain).unwrap();
    let (ours, other) = (Ca::new(), Ca::new());
    std::fs::write(cluster.path().join("clientCA.crt"), ours.pem()).unwrap();
    let right = ours.configure(&cluster, "right");
    let foreign = other.configure(&cluster, "foreign");
    let mut without = Config::load(&cluster.config_path()).unwrap();
    without.deadline = std::time::Duration::from_secs(3);
    // Before they are asked for, a certificate does no harm.
    log_in(&right).unwrap();
    let daemon = cluster.path().join("hsm-1/hsmd.toml");
    let text = std::fs::read_to_string(&daemon).unwrap();
    let section = |required| {
        format!(
            "{text}\n[client_certificates]\nca = \"{}\"\nrequired = {required}\n",
            cluster.path().join("clientCA.crt").display()
        )
    };
    let restart = |required: bool| {
        std::fs::write(&daemon, section(required)).unwrap();
        cluster.dev(&["kill", "1"]).unwrap();
        // `dev start` waits for an answer by the configuration of the directory, which must have a certificate now.
        std::fs::copy(cluster.path().join("right.toml"), cluster.config_path()).unwrap();
        cluster.dev(&["start", "1"]).unwrap();
    };
    restart(false);
    log_in(&right).unwrap();
    log_in(&without).unwrap();
    assert!(log_in(&foreign).is_err());
    restart(true);
    log_in(&right).unwrap();
    let refused = log_in(&without).unwrap_err();
    assert!(refused.contains("requires a client certificate"), "{refused}");
    assert!(log_in(&foreign).is_err());
}

#[test]
fn a_ca_that_cannot_be_read_is_named() {
    let cluster = Cluster::start(Build::Plain).unwrap();
    let daemon = cluster.path().join("hsm-1/hsmd.toml");
    let text = std::fs::read_to_string(&daemon).unwrap();
    std::fs::write(&daemon, format!("{text}\n[client_certificates]\nca = \"/nowhere.crt\"\n"))
        .unwrap();
    cluster.dev(&["kill", "1"]).unwrap();
    let said = cluster.dev(&["start", "1"]).unwrap_err().to_string();
    assert!(said.contains("/nowhere.crt"), "{said}");
}
