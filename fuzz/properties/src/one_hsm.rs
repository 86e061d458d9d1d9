//! One HSM in memory: jobs run in place, proposals are applied at once or forgotten.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use casemate_client::Trust;
use casemate_hsm::{
    Applier, Call, Caller, CallerChange, Outcome, Reader, Secrets, Settings, SystemEntropy,
    ThisHsm, Time,
};
use casemate_protocol::identity::{ClusterId, HsmId};
use casemate_protocol::messages::{
    Activate, Answer, Ask, CreateUser, Empty, GenerateKeyPair, Initialize, LogIn, MechanismUse,
    Request,
};
use casemate_protocol::{
    Attribute, AttributeType, Curve, Error, KeyType, Mechanism, Role, Template, statements,
};
use prost::Message as _;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType,
    IsCa, Issuer, KeyPair, SigningKey as _,
};

/// The time of the HSM, which stands still.
pub(crate) const NOW: Time = Time(1_800_000_000_000);
const PASSWORD: &str = "correct horse";
/// The value of a key that never leaves: no reply may hold it.
pub(crate) const PLANTED: [u8; 32] = *b"a planted key that never leaves!";

pub(crate) struct OneHsm {
    pub(crate) reader: Reader,
    pub(crate) applier: Applier,
    /// Logged in as the crypto user, or nobody.
    pub(crate) caller: Caller,
    secrets: Vec<u8>,
    this: ThisHsm,
    pub(crate) log: Vec<Vec<u8>>,
    ca: Certificate,
    ca_key: KeyPair,
    ca_params: CertificateParams,
    certificate: String,
    sequence: u64,
}

fn caller() -> Caller {
    Caller {
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        certificate: None,
        exporter: [8; 32],
        nonce: [9; 32],
        log_in: None,
    }
}

/// Changes bytes: two for each place, one for what is changed there.
pub(crate) fn change(bytes: &mut [u8], changes: &[u8]) {
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]]));
        let length = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(place % length) {
            *byte ^= change[2];
        }
    }
}

impl OneHsm {
    /// Made, and nothing else.
    pub(crate) fn made() -> Self {
        let this = ThisHsm {
            id: HsmId::from_bytes([1; 10]),
            address: "127.0.0.1:2223".to_owned(),
            peer_address: "127.0.0.1:2224".to_owned(),
            zone: "1".to_owned(),
            version: "0".to_owned(),
            protection: "file".to_owned(),
        };
        let settings = Settings { password_rounds: 1, public_objects: true, ..Settings::default() };
        let (secrets, genesis) =
            casemate_hsm::create(&settings, &this, &SystemEntropy, NOW).unwrap();
        let exported = secrets.export().expose().to_vec();
        let (reader, applier) =
            casemate_hsm::start(secrets, this.clone(), Box::new(SystemEntropy)).unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut ca_params = CertificateParams::default();
        ca_params.distinguished_name.push(DnType::CommonName, "customer");
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = ca_params.self_signed(&ca_key).unwrap();
        let mut hsm = Self {
            reader,
            applier,
            caller: caller(),
            secrets: exported,
            this,
            log: Vec::new(),
            ca,
            ca_key,
            ca_params,
            certificate: String::new(),
            sequence: 0,
        };
        hsm.commit(genesis);
        hsm.certificate = hsm.sign_csr();
        hsm
    }

    pub(crate) fn initialized() -> Self {
        let mut hsm = Self::made();
        let (certificate, trust_anchor) = hsm.customer();
        hsm.done(Ask::Initialize(Initialize { certificate, trust_anchor }));
        hsm
    }

    /// Activated, with the crypto user `app` logged in.
    pub(crate) fn active() -> Self {
        let mut hsm = Self::initialized();
        let statement = statements::activation(hsm.cluster(), &[8; 32], &[9; 32]);
        let signature = hsm.ca_key.sign(&statement).unwrap();
        let certificate = hsm.ca.pem();
        hsm.done(Ask::Activate(Activate { password: PASSWORD.to_owned(), signature, certificate }));
        hsm.log_in("admin", Role::Admin);
        hsm.done(Ask::CreateUser(CreateUser {
            user: "app".to_owned(),
            role: Role::CryptoUser.number(),
            password: PASSWORD.to_owned(),
        }));
        hsm.log_in("app", Role::CryptoUser);
        hsm
    }

    /// Active, with a token key of each kind; the first is [`PLANTED`].
    pub(crate) fn with_keys() -> Self {
        let mut hsm = Self::active();
        let token = || Template::default().with(Attribute::flag(AttributeType::Token, true));
        for kind in KeyType::ALL.into_iter().filter(|kind| kind.is_secret()) {
            let mut template = token()
                .with(Attribute::number(AttributeType::Class, 4))
                .with(Attribute::number(AttributeType::KeyType, kind.number()))
                .with(Attribute::new(AttributeType::Value, PLANTED))
                .with(Attribute::flag(AttributeType::Derive, true));
            if kind == KeyType::Aes {
                template.set(Attribute::flag(AttributeType::Wrap, true));
                template.set(Attribute::flag(AttributeType::Unwrap, true));
            }
            hsm.done(Ask::CreateObject(template));
        }
        let curve =
            |curve: Curve| token().with(Attribute::new(AttributeType::EcParams, curve.ec_params()));
        let set = token().with(Attribute::number(AttributeType::ParameterSet, 1));
        for (mechanism, public) in [
            (Mechanism::EcKeyPairGen, curve(Curve::P256)),
            (Mechanism::EcEdwardsKeyPairGen, curve(Curve::Ed25519)),
            (Mechanism::EcMontgomeryKeyPairGen, curve(Curve::X25519)),
            (Mechanism::MlDsaKeyPairGen, set.clone()),
            (Mechanism::MlKemKeyPairGen, set),
        ] {
            hsm.done(Ask::GenerateKeyPair(GenerateKeyPair {
                mechanism: Some(MechanismUse { mechanism: mechanism.number(), parameter: None }),
                public: Some(public),
                private: Some(token()),
            }));
        }
        hsm
    }

    fn done(&mut self, ask: Ask) {
        if let Answer::Error(error) = self.ask(ask) {
            panic!("{}", Error::from(error));
        }
    }

    fn commit(&mut self, entry: Vec<u8>) -> Vec<u8> {
        let reply = self.applier.apply(self.log.len() as u64 + 1, &entry);
        self.applier.publish();
        self.log.push(entry);
        reply
    }

    /// Starts a second module on the same secrets, empty.
    pub(crate) fn another(&self) -> (Reader, Applier) {
        let secrets = Secrets::import(&self.secrets).unwrap();
        casemate_hsm::start(secrets, self.this.clone(), Box::new(SystemEntropy)).unwrap()
    }

    fn cluster(&self) -> ClusterId {
        ClusterId::from_bytes(self.reader.hello([0; 32]).cluster.try_into().unwrap())
    }

    fn sign_csr(&mut self) -> String {
        let Answer::Csr(csr) = self.ask(Ask::Csr(Empty {})) else { panic!("no request") };
        let mut request = CertificateSigningRequestParams::from_pem(&csr.csr).unwrap();
        request.params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        request.params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let issuer = Issuer::from_params(&self.ca_params, &self.ca_key);
        request.signed_by(&issuer).unwrap().pem()
    }

    /// Returns the cluster's certificate and the trust anchor, PEM.
    pub(crate) fn customer(&self) -> (String, String) {
        (self.certificate.clone(), self.ca.pem())
    }

    /// Returns what a client trusts.
    pub(crate) fn trust(&self) -> Trust {
        Trust { cluster: self.cluster(), ca: self.ca.der().to_vec(), key_sha256: None }
    }

    /// Returns leaf and cluster certificate, DER.
    pub(crate) fn chain(&self) -> (Vec<u8>, Vec<u8>) {
        let identity = self.reader.tls_identity(NOW, NOW).unwrap();
        let mut certificates = identity.certificates.into_iter();
        (certificates.next().unwrap(), certificates.next().unwrap())
    }

    fn log_in(&mut self, user: &str, role: Role) {
        self.caller = caller();
        self.done(Ask::LogIn(LogIn {
            user: user.to_owned(),
            password: PASSWORD.to_owned(),
            role: role.number(),
            client: vec![7; 16],
        }));
    }

    /// Asks on a connection without a log-in.
    pub(crate) fn stranger(&mut self, ask: Ask) -> Answer {
        let kept = std::mem::replace(&mut self.caller, caller());
        let answer = self.ask(ask);
        self.caller = kept;
        answer
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Answer {
        self.sequence += 1;
        let request = Request { ask: Some(ask), ..Request::default() }.encode_to_vec();
        self.ask_raw(self.sequence, request.into())
    }

    pub(crate) fn ask_raw(&mut self, sequence: u64, request: Bytes) -> Answer {
        let mut outcome = self.reader.handle(&self.caller, Call { sequence, request, now: NOW });
        let answered = loop {
            outcome = match outcome {
                Outcome::Reply(answered) => break answered,
                Outcome::Offload(job) | Outcome::Stretch(job) | Outcome::ConfirmThen(job) => job(),
                Outcome::WaitFor(wait) => break wait.late(),
                Outcome::Propose(proposal) => {
                    if let Some(secrets) = proposal.persist {
                        self.secrets = secrets.expose().to_vec();
                    }
                    let applied = self.commit(proposal.entry);
                    break (proposal.finish)(Ok(&applied));
                }
            };
        };
        match answered.caller {
            CallerChange::Same => {}
            CallerChange::LoggedIn(log_in) => self.caller.log_in = Some(log_in),
            CallerChange::LoggedOut => self.caller.log_in = None,
        }
        answered.reply.answer.unwrap()
    }
}

/// Whether bytes hold the planted key, or a half of it.
pub(crate) fn gives_away(bytes: &[u8]) -> bool {
    let (first, second) = PLANTED.split_at(16);
    bytes.windows(16).any(|window| window == first || window == second)
}
