//! An HSM in memory for tests: proposals are applied at once, jobs run in place, the log is a list.

use std::net::{IpAddr, Ipv4Addr};

use casemate_crypto::{Hash, digest, ec, hmac};
use casemate_hsm::{
    Answered, Applier, Call, Caller, CallerChange, Considered, Joiner, Outcome, Proposal, Reader,
    Secrets, Settings, SystemEntropy, ThisHsm, Time,
};
use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};
use casemate_protocol::messages::{
    Activate, AddHsm, Answer, Ask, CreateUser, Empty, Initialize, JoinRequest, Joining, LogIn,
    Request, UseTicket,
};
use casemate_protocol::{Error, Role, statements};
use prost::Message as _;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType,
    IsCa, Issuer, KeyPair, SigningKey as _,
};

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct Hsm {
    pub(crate) reader: Reader,
    pub(crate) applier: Applier,
    pub(crate) ca: Certificate,
    pub(crate) ca_key: KeyPair,
    ca_params: CertificateParams,
    secrets: Vec<u8>,
    this: ThisHsm,
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) now: Time,
}

pub(crate) struct Connection {
    pub(crate) caller: Caller,
    sequence: u64,
}

/// How far a request came without the log.
pub(crate) enum Begun {
    Answered(Answered),
    Proposed(Proposal),
}

pub(crate) fn expect_error(answer: Answer, error: Error) {
    let Answer::Error(found) = answer else { panic!("expected {error:?}, but it was done") };
    assert_eq!(Error::from(found), error);
}

pub(crate) fn expect_done(answer: Answer) {
    assert!(matches!(answer, Answer::Done(_)), "{}", describe(&answer));
}

impl Hsm {
    pub(crate) fn new() -> Self {
        Self::with(Settings { password_rounds: 10, public_objects: true, ..Settings::default() })
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let this = ThisHsm {
            id: HsmId::from_bytes([1; 10]),
            address: "127.0.0.1:2223".to_owned(),
            peer_address: "127.0.0.1:2224".to_owned(),
            zone: "1".to_owned(),
            version: "0".to_owned(),
            protection: "file".to_owned(),
        };
        let now = Time(1_800_000_000_000);
        let (secrets, genesis) =
            casemate_hsm::create(&settings, &this, &SystemEntropy, now).unwrap();
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
            ca,
            ca_key,
            ca_params,
            secrets: exported,
            this,
            log: vec![],
            now,
        };
        hsm.commit(genesis);
        hsm
    }

    /// Made, initialised, activated, with the crypto user `app`.
    pub(crate) fn active() -> Self {
        Self::active_with(Settings {
            password_rounds: 10,
            public_objects: true,
            ..Settings::default()
        })
    }

    pub(crate) fn active_with(settings: Settings) -> Self {
        let mut hsm = Self::with(settings);
        hsm.initialize();
        hsm.activate();
        hsm.create_user("app", Role::CryptoUser);
        hsm
    }

    pub(crate) fn commit_proposal(&mut self, proposal: Proposal) -> Answered {
        if let Some(secrets) = proposal.persist {
            self.secrets = secrets.expose().to_vec();
        }
        let applied = self.commit(proposal.entry);
        (proposal.finish)(Ok(&applied))
    }

    pub(crate) fn commit(&mut self, entry: Vec<u8>) -> Vec<u8> {
        let index = self.log.len() as u64 + 1;
        let reply = self.applier.apply(index, &entry);
        self.applier.publish();
        self.log.push(entry);
        reply
    }

    pub(crate) fn store_secrets(&mut self, secrets: &[u8]) {
        self.secrets = secrets.to_vec();
    }

    /// Starts a second module on the same secrets: from the log, or from a snapshot.
    pub(crate) fn restart(&self, snapshot: bool) -> Self {
        let secrets = Secrets::import(&self.secrets).unwrap();
        self.start_another(secrets, self.this.clone(), snapshot)
    }

    /// The same module, started at another address for members.
    pub(crate) fn moved(&self, peer_address: &str) -> Self {
        let this = ThisHsm { peer_address: peer_address.to_owned(), ..self.this.clone() };
        self.start_another(Secrets::import(&self.secrets).unwrap(), this, false)
    }

    fn start_another(&self, secrets: Secrets, this: ThisHsm, snapshot: bool) -> Self {
        let exported = secrets.export().expose().to_vec();
        let (reader, mut applier) =
            casemate_hsm::start(secrets, this.clone(), Box::new(SystemEntropy)).unwrap();
        if snapshot {
            let mut chunks = (self.applier.snapshot())().map(Ok);
            applier.install(&mut chunks).unwrap();
        } else {
            for (index, entry) in (1..).zip(&self.log) {
                applier.apply(index, entry);
            }
            applier.publish();
        }
        Self {
            reader,
            applier,
            ca: self.ca_params.self_signed(&self.ca_key).unwrap(),
            ca_key: KeyPair::from_pem(&self.ca_key.serialize_pem()).unwrap(),
            ca_params: self.ca_params.clone(),
            secrets: exported,
            this,
            log: self.log.clone(),
            now: self.now,
        }
    }

    pub(crate) fn snapshot_bytes(&self) -> usize {
        (self.applier.snapshot())().map(|chunk| chunk.len()).sum()
    }

    pub(crate) fn connect(&self) -> Connection {
        let log_in = None;
        let exporter = casemate_crypto::Secret::random(32).expose().try_into().unwrap();
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Connection {
            caller: Caller { source, certificate: None, exporter, nonce: [9; 32], log_in },
            sequence: 0,
        }
    }

    /// Logs the crypto user `app` in.
    pub(crate) fn log_in(&mut self, user: &str, role: Role) -> Connection {
        let mut connection = self.connect();
        let client = casemate_crypto::Secret::random(16).expose().to_vec();
        let ask = LogIn {
            user: user.to_owned(),
            password: PASSWORD.to_owned(),
            role: role.number(),
            client,
        };
        assert!(matches!(connection.ask(self, Ask::LogIn(ask)), Answer::LoggedIn(_)));
        connection
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        ClusterId::from_bytes(self.reader.hello([0; 32]).cluster.try_into().unwrap())
    }

    pub(crate) fn certificate(&self) -> String {
        let mut connection = self.connect();
        let mut clone = self.restart(false);
        let Answer::Csr(csr) = connection.ask(&mut clone, Ask::Csr(Empty {})) else { panic!() };
        let mut request = CertificateSigningRequestParams::from_pem(&csr.csr).unwrap();
        request.params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        request.params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        request.params.serial_number = Some(1_u64.into());
        let issuer = Issuer::from_params(&self.ca_params, &self.ca_key);
        request.signed_by(&issuer).unwrap().pem()
    }

    pub(crate) fn initialize(&mut self) {
        let request = Initialize { certificate: self.certificate(), trust_anchor: self.ca.pem() };
        let answer = self.connect().ask(self, Ask::Initialize(request));
        assert!(matches!(answer, Answer::Done(_)), "{}", describe(&answer));
    }

    pub(crate) fn sign_activation(&self, connection: &Connection) -> Vec<u8> {
        let caller = &connection.caller;
        self.ca_key
            .sign(&statements::activation(self.cluster(), &caller.exporter, &caller.nonce))
            .unwrap()
    }

    pub(crate) fn activate(&mut self) {
        let mut connection = self.connect();
        let signature = self.sign_activation(&connection);
        let request =
            Activate { password: PASSWORD.to_owned(), signature, certificate: self.ca.pem() };
        let answer = connection.ask(self, Ask::Activate(request));
        assert!(matches!(answer, Answer::Done(_)), "{}", describe(&answer));
    }

    pub(crate) fn create_user(&mut self, user: &str, role: Role) {
        let mut connection = self.log_in("admin", Role::Admin);
        let request = CreateUser {
            user: user.to_owned(),
            role: role.number(),
            password: PASSWORD.to_owned(),
        };
        assert!(matches!(connection.ask(self, Ask::CreateUser(request)), Answer::User(_)));
    }

    /// Another module of this machine, which has no cluster yet.
    pub(crate) fn newcomer(&self, number: u8) -> Joiner {
        let id = HsmId::from_bytes([number; 10]);
        let address = format!("127.0.{number}.1:2223");
        let peer_address = format!("127.0.{number}.1:2224");
        let zone = number.to_string();
        Joiner::new(ThisHsm { id, address, peer_address, zone, ..self.this.clone() }).unwrap()
    }

    /// What a module that asks to join is answered.
    pub(crate) fn consider(&self, request: &JoinRequest) -> Considered {
        let identity = digest::sha256(&[&request.identity]);
        self.reader.consider(request.clone(), &identity, self.now)
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        let hello = self.reader.hello([0; 32]);
        Incarnation::from_bytes(hello.incarnation.try_into().unwrap())
    }

    /// The customer's word that a module may join, for so many seconds.
    pub(crate) fn admission(&self, request: &JoinRequest, seconds: u64) -> AddHsm {
        let ends = self.now.seconds() + seconds;
        let statement = statements::admission(self.cluster(), self.incarnation(), request, ends);
        self.signed_admission(request, ends, &statement)
    }

    pub(crate) fn signed_admission(
        &self,
        request: &JoinRequest,
        ends: u64,
        statement: &[u8],
    ) -> AddHsm {
        let key = ec::PrivateKey::from_pkcs8(&self.ca_key.serialize_der()).unwrap();
        let signature = key.sign_der(Hash::Sha256, statement).unwrap();
        AddHsm { request: Some(request.clone()), ends, signature, certificate: self.ca.pem() }
    }

    /// Lets a module in, and starts it on this one's log.
    pub(crate) fn let_in(&mut self, joiner: &Joiner) -> Self {
        let request = joiner.request().unwrap();
        let mut admin = self.log_in("admin", Role::Admin);
        let admission = self.admission(&request, 60);
        expect_done(admin.ask(self, Ask::AddHsm(admission)));
        self.second(joiner)
    }

    /// Starts a module that was let in, on this one's log.
    pub(crate) fn second(&self, joiner: &Joiner) -> Self {
        let request = joiner.request().unwrap();
        let Some(Joining::Handover(handover)) = self.consider(&request).answer.joining else {
            panic!("it was not let in")
        };
        let (secrets, _) = joiner.take(&handover).unwrap();
        let (address, peer_address) = (request.address.clone(), request.peer_address.clone());
        let zone = request.zone;
        let this = ThisHsm { id: joiner.id(), address, peer_address, zone, ..self.this.clone() };
        self.start_another(secrets, this, false)
    }

    pub(crate) fn state_hash(&mut self) -> Vec<u8> {
        let mut connection = self.connect();
        let Answer::Status(status) = connection.ask(self, Ask::Status(Empty {})) else { panic!() };
        status.state_hash
    }
}

pub(crate) fn describe(answer: &Answer) -> String {
    match answer {
        Answer::Error(error) => Error::from(*error).to_string(),
        _ => "another answer".to_owned(),
    }
}

impl Connection {
    pub(crate) fn ask(&mut self, hsm: &mut Hsm, ask: Ask) -> Answer {
        self.sequence += 1;
        self.ask_as(hsm, self.sequence, ask)
    }

    pub(crate) fn ask_as(&mut self, hsm: &mut Hsm, sequence: u64, ask: Ask) -> Answer {
        let answered = match self.begin_as(hsm, sequence, ask) {
            Begun::Answered(answered) => answered,
            Begun::Proposed(proposal) => hsm.commit_proposal(proposal),
        };
        match answered.caller {
            CallerChange::Same => {}
            CallerChange::LoggedIn(log_in) => self.caller.log_in = Some(log_in),
            CallerChange::LoggedOut => self.caller.log_in = None,
        }
        answered.reply.answer.unwrap()
    }

    /// Works on a request up to what would go through the log, and no further.
    pub(crate) fn begin(&mut self, hsm: &Hsm, ask: Ask) -> Begun {
        self.sequence += 1;
        self.begin_as(hsm, self.sequence, ask)
    }

    fn begin_as(&self, hsm: &Hsm, sequence: u64, ask: Ask) -> Begun {
        let request = Request { ask: Some(ask), ..Request::default() }.encode_to_vec();
        let call = Call { sequence, request: request.into(), now: hsm.now };
        let mut outcome = hsm.reader.handle(&self.caller, call);
        loop {
            outcome = match outcome {
                Outcome::Reply(answered) => return Begun::Answered(answered),
                Outcome::Offload(job) | Outcome::Stretch(job) | Outcome::ConfirmThen(job) => job(),
                Outcome::WaitFor(wait) => return Begun::Answered(wait.late()),
                Outcome::Propose(proposal) => return Begun::Proposed(proposal),
            };
        }
    }

    pub(crate) fn use_ticket(&mut self, hsm: &mut Hsm, ticket: &[u8], secret: &[u8]) -> Answer {
        let nonce = [3; 32];
        let message = statements::ticket_proof(&self.caller.exporter, &nonce);
        let proof = hmac::sign(Hash::Sha256, secret, &[&message]).as_ref().to_vec();
        self.ask(
            hsm,
            Ask::UseTicket(UseTicket { ticket: ticket.to_vec(), nonce: nonce.to_vec(), proof }),
        )
    }
}
