//! Certificates: what a customer hands in, and whom a client takes for its cluster.

use casemate_client::{ClientError, Config};
use casemate_protocol::messages::{Activate, Answer, Ask, Empty, Initialize};
use casemate_protocol::{Error, identity::ClusterId, statements};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType,
    IsCa, Issuer, KeyPair, SigningKey as _,
};

use crate::daemon::Daemon;
use crate::watch::Watch;
use crate::wire::Wire;

/// A CA, good or bad.
struct Authority {
    key: KeyPair,
    params: CertificateParams,
    certificate: Certificate,
}

impl Authority {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "customer");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self { key, params, certificate }
    }

    fn sign(&self, csr: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        request.params.not_after = rcgen::date_time_ymd(2044, 1, 1);
        change(&mut request.params);
        request.signed_by(&Issuer::from_params(&self.params, &self.key)).unwrap().pem()
    }

    /// A certificate for a key of its own, which names whom it likes.
    fn issue(&self, name: &str) -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        (signed.pem(), key)
    }
}

fn expired(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
}

fn not_yet(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2090, 1, 1);
    params.not_after = rcgen::date_time_ymd(2091, 1, 1);
}

#[test]
fn only_the_right_certificate_and_signature_bring_a_cluster_to_life() {
    let mut daemon = Daemon::start();
    let address = daemon.address();
    let mut wire = Wire::open(&address);
    let cluster: [u8; 10] = wire.hello.cluster.clone().try_into().unwrap();
    let cluster = ClusterId::from_bytes(cluster);
    let Answer::Csr(csr) = wire.ask(Ask::Csr(Empty {})) else { panic!("no request") };
    let csr = csr.csr;
    let (ours, theirs) = (Authority::new(|_| ()), Authority::new(|_| ()));
    let good = ours.sign(&csr, |_| ());
    let old = Authority::new(expired);
    let no_ca = Authority::new(|params| params.is_ca = IsCa::ExplicitNoCa);
    let (other_key, _) = ours.issue(&cluster.to_string());
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    let huge = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        "QUFB".repeat(40_000)
    );
    let other_name = ours.sign(&csr, |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "cluster-aaaaaaaaaaaaaaaa");
    });
    let anchor = ours.certificate.pem();
    let key_pem = ours.key.serialize_pem();
    let cases: Vec<(&str, &str, &str, Error)> = vec![
        ("nothing", "", "", Error::TrustAnchorInvalid),
        ("no certificate", "", &anchor, Error::CertificateInvalid),
        ("no anchor", &good, "", Error::TrustAnchorInvalid),
        ("garbage", &garbage, &anchor, Error::CertificateInvalid),
        ("a garbage anchor", &good, &garbage, Error::TrustAnchorInvalid),
        ("a huge certificate", &huge, &anchor, Error::CertificateInvalid),
        ("a huge anchor", &good, &huge, Error::CertificateInvalid),
        ("a key for a certificate", &key_pem, &anchor, Error::CertificateInvalid),
        ("the request itself", &csr, &anchor, Error::CertificateInvalid),
        ("another key", &other_key, &anchor, Error::CertificateInvalid),
        ("another cluster", &other_name, &anchor, Error::CertificateInvalid),
        ("the anchor for both", &anchor, &anchor, Error::CertificateInvalid),
        ("the certificate for both", &good, &good, Error::TrustAnchorInvalid),
    ];
    for (what, certificate, trust_anchor, error) in cases {
        let ask = Initialize {
            certificate: certificate.to_owned(),
            trust_anchor: trust_anchor.to_owned(),
        };
        assert_eq!(wire.refusal(what, Ask::Initialize(ask)), error, "{what}");
    }
    for (what, by, of, error) in [
        ("an anchor of another CA", ours.sign(&csr, |_| ()), &theirs, Error::CertificateInvalid),
        ("an expired certificate", ours.sign(&csr, expired), &ours, Error::CertificateExpired),
        ("a certificate of the future", ours.sign(&csr, not_yet), &ours, Error::CertificateExpired),
        ("an expired anchor", old.sign(&csr, |_| ()), &old, Error::CertificateExpired),
        ("an anchor that is no CA", no_ca.sign(&csr, |_| ()), &no_ca, Error::TrustAnchorInvalid),
    ] {
        let ask = Initialize { certificate: by, trust_anchor: of.certificate.pem() };
        assert_eq!(wire.refusal(what, Ask::Initialize(ask)), error, "{what}");
    }
    daemon.alive("wrong certificates");
    let activate = |wire: &Wire, key: &KeyPair, certificate: &str, password: &str| {
        let nonce: [u8; 32] = wire.hello.nonce.clone().try_into().unwrap();
        let statement = statements::activation(cluster, &wire.exporter(), &nonce);
        Ask::Activate(Activate {
            password: password.to_owned(),
            signature: key.sign(&statement).unwrap(),
            certificate: certificate.to_owned(),
        })
    };
    let early = activate(&wire, &ours.key, &anchor, "letmein-admin");
    assert_eq!(wire.refusal("activated before it is initialised", early), Error::NotInitialized);
    let log_in = wire.try_log_in("admin", "letmein-admin", 2).map(drop);
    assert_eq!(log_in, Err(Error::NotInitialized));
    let right = Initialize { certificate: good, trust_anchor: anchor.clone() };
    assert!(matches!(wire.ask(Ask::Initialize(right.clone())), Answer::Done(_)));
    assert_eq!(wire.refusal("again", Ask::Initialize(right)), Error::AlreadyInitialized);

    let mut wire = Wire::open(&address);
    let (foreign, foreign_key) = theirs.issue("officer");
    let (officer, officer_key) = ours.issue("officer");
    let refused = Error::ActivationRefused;
    let cases = [
        ("a key of another CA", activate(&wire, &foreign_key, &foreign, "letmein-admin"), refused),
        (
            "the other CA itself",
            activate(&wire, &theirs.key, &theirs.certificate.pem(), "letmein-admin"),
            refused,
        ),
        (
            "a certificate of another key",
            activate(&wire, &foreign_key, &officer, "letmein-admin"),
            refused,
        ),
        ("no certificate", activate(&wire, &ours.key, "", "letmein-admin"), refused),
        ("garbage", activate(&wire, &ours.key, &garbage, "letmein-admin"), refused),
        ("a huge certificate", activate(&wire, &ours.key, &huge, "letmein-admin"), refused),
        ("a short password", activate(&wire, &ours.key, &anchor, "short"), Error::PasswordLength),
        (
            "a signature of another connection",
            activate(&Wire::open(&address), &ours.key, &anchor, "letmein-admin"),
            refused,
        ),
        (
            "no signature",
            Ask::Activate(Activate {
                password: "letmein-admin".to_owned(),
                signature: vec![],
                certificate: anchor.clone(),
            }),
            refused,
        ),
    ];
    for (what, ask, error) in cases {
        assert_eq!(wire.refusal(what, ask), error, "{what}");
    }
    daemon.alive("wrong activations");
    // The control: a key that the anchor certified.
    let ask = activate(&wire, &officer_key, &officer, "letmein-admin");
    assert!(matches!(wire.ask(ask), Answer::Done(_)));
    let mut late = Wire::open(&address);
    let ask = activate(&late, &ours.key, &anchor, "letmein-other");
    assert_eq!(late.refusal("who comes second", ask), Error::AlreadyActivated);
    assert!(late.try_log_in("admin", "letmein-admin", 2).is_ok());
    daemon.alive("activation");
}

#[test]
fn a_client_takes_nobody_else_for_its_cluster() {
    let (here, there) = (Watch::start(""), Watch::start(""));
    let config = || Config::load(&here.cluster.config_path()).unwrap();
    let refused = |what: &str, config: Config| {
        let client = casemate_client::Client::new(config);
        let start = std::time::Instant::now();
        let error = client.call(Ask::Ping(Empty {})).map(drop).unwrap_err();
        // At once: waiting would not help.
        assert!(start.elapsed().as_secs() < 5, "{what}");
        match error {
            ClientError::Untrusted { cause, .. } => cause,
            error => panic!("{what}: {error}"),
        }
    };
    let mut other = config();
    other.addresses = vec![there.address()];
    let cause = refused("another cluster at the address", other);
    assert!(cause.contains("not signed by the CA"), "{cause}");
    let mut pinned = config();
    pinned.trust.as_mut().unwrap().key_sha256 = Some([7; 32]);
    let cause = refused("another key than the pinned one", pinned);
    assert!(cause.contains("pinned"), "{cause}");
    let mut named = config();
    named.trust.as_mut().unwrap().cluster = ClusterId::from_bytes([7; 10]);
    let cause = refused("another name", named);
    assert!(cause.contains("not for cluster-"), "{cause}");
    // Another CA, as the configuration of another customer has it.
    let mut foreign = config();
    let theirs = Config::load(&there.cluster.config_path()).unwrap().trust.unwrap();
    foreign.trust.as_mut().unwrap().ca = theirs.ca;
    let cause = refused("another CA", foreign);
    assert!(cause.contains("not signed by the CA"), "{cause}");
    here.unharmed("clients that look for somebody else");
}

/// Another server of the same customer: its certificate is of the same CA, so a chain alone would be right.
#[test]
fn another_server_of_the_same_ca_is_not_the_cluster() {
    let watch = Watch::start("");
    let pem = |name: &str| std::fs::read_to_string(watch.cluster.path().join(name)).unwrap();
    let ca_key = KeyPair::from_pem(&pem("customerCA.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&pem("customerCA.crt"), ca_key).unwrap();
    let config = Config::load(&watch.cluster.config_path()).unwrap();
    let trust = config.trust.clone().unwrap();
    for name in [trust.cluster.to_string(), "www.example.com".to_owned()] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, &name);
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        // Alone, and with itself in the place of the cluster certificate.
        for chain in [vec![leaf.der().clone()], vec![leaf.der().clone(), leaf.der().clone()]] {
            let private = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
            let server = rustls::ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, private.into())
                .unwrap();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut fooled = config.clone();
            fooled.addresses = vec![listener.local_addr().unwrap().to_string()];
            let thread = std::thread::spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                let mut session = rustls::ServerConnection::new(server.into()).unwrap();
                while session.is_handshaking() {
                    if session.complete_io(&mut socket).is_err() {
                        return false;
                    }
                }
                true
            });
            let error = casemate_client::Client::new(fooled).call(Ask::Ping(Empty {})).map(drop);
            assert!(matches!(error, Err(ClientError::Untrusted { .. })), "{name}: {error:?}");
            assert!(!thread.join().unwrap(), "{name}: the handshake ended well");
        }
    }
    watch.unharmed("another server of the same CA");
}
