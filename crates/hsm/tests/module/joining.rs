//! A module that joins: who is let in by whose word, and what is refused.

use casemate_crypto::{Hash, ec};
use casemate_hsm::{Joiner, Secrets, SystemEntropy, ThisHsm};
use casemate_protocol::identity::{HsmId, Incarnation};
use casemate_protocol::messages::{
    AddHsm, Answer, Ask, Empty, Handover, JoinRequest, Joining, RemoveHsm,
};
use casemate_protocol::{Error, Role, statements};

use crate::one_hsm::{Connection, Hsm, expect_done, expect_error};

fn this(id: u8) -> ThisHsm {
    ThisHsm {
        id: HsmId::from_bytes([id; 10]),
        address: format!("127.0.{id}.1:2223"),
        peer_address: format!("127.0.{id}.1:2224"),
        zone: id.to_string(),
        version: "0".to_owned(),
        protection: "file".to_owned(),
    }
}

fn identity_of(request: &JoinRequest) -> [u8; 32] {
    casemate_crypto::digest::sha256(&[&request.identity])
}

fn ask(hsm: &Hsm, request: &JoinRequest) -> Joining {
    hsm.reader.consider(request.clone(), &identity_of(request)).answer.joining.unwrap()
}

fn expect_refused(joining: Joining, error: Error) {
    let Joining::Refused(found) = joining else { panic!("not refused") };
    assert_eq!(Error::from(found), error);
}

fn handed_over(hsm: &Hsm, request: &JoinRequest) -> Handover {
    match ask(hsm, request) {
        Joining::Handover(handover) => handover,
        Joining::Pending(_) => panic!("pending"),
        Joining::Refused(error) => panic!("{}", Error::from(error)),
    }
}

fn incarnation(hsm: &Hsm) -> Incarnation {
    let hello = hsm.reader.hello([0; 32]);
    Incarnation::from_bytes(hello.incarnation.try_into().unwrap())
}

/// An admission by the customer's CA, for so many seconds.
fn admission(hsm: &Hsm, request: &JoinRequest, seconds: u64) -> AddHsm {
    let ends = hsm.now.seconds() + seconds;
    let statement = statements::admission(hsm.cluster(), incarnation(hsm), request, ends);
    signed(hsm, request, ends, &statement)
}

fn signed(hsm: &Hsm, request: &JoinRequest, ends: u64, statement: &[u8]) -> AddHsm {
    let key = ec::PrivateKey::from_pkcs8(&hsm.ca_key.serialize_der()).unwrap();
    let signature = key.sign_der(Hash::Sha256, statement).unwrap();
    AddHsm { request: Some(request.clone()), ends, signature, certificate: hsm.ca.pem() }
}

struct Scene {
    hsm: Hsm,
    admin: Connection,
}

impl Scene {
    fn new() -> Self {
        let mut hsm = Hsm::active();
        let admin = hsm.log_in("admin", Role::Admin);
        Self { hsm, admin }
    }

    fn add(&mut self, admission: AddHsm) -> Answer {
        self.admin.ask(&mut self.hsm, Ask::AddHsm(admission))
    }

    fn remove(&mut self, request: &JoinRequest) -> Answer {
        let remove = RemoveHsm { hsm: request.hsm.clone() };
        self.admin.ask(&mut self.hsm, Ask::RemoveHsm(remove))
    }
}

#[test]
fn a_module_that_was_let_in_holds_the_same_state() {
    let mut scene = Scene::new();
    let joiner = Joiner::new(this(2)).unwrap();
    let joiner = Joiner::import(joiner.export().expose(), this(9)).unwrap();
    let request = Joiner::import(joiner.export().expose(), this(2)).unwrap().request().unwrap();
    assert!(scene.hsm.reader.consider(request.clone(), &identity_of(&request)).first);
    assert!(!scene.hsm.reader.consider(request.clone(), &identity_of(&request)).first);
    let listed = scene.admin.ask(&mut scene.hsm, Ask::ListJoining(Empty {}));
    assert!(matches!(listed, Answer::JoinRequests(list) if list.requests == [request.clone()]));
    let admission = admission(&scene.hsm, &request, 60);
    expect_done(scene.add(admission));
    let handover = handed_over(&scene.hsm, &request);
    let joiner = Joiner::import(joiner.export().expose(), this(2)).unwrap();
    let (secrets, members) = joiner.take(&handover).unwrap();
    assert_eq!((secrets.node(), members), (2, scene.hsm.reader.members()));
    let exported = Secrets::import(secrets.export().expose()).unwrap();
    assert_eq!(exported.hsm(), HsmId::from_bytes([2; 10]));
    let (reader, mut applier) =
        casemate_hsm::start(secrets, this(2), Box::new(SystemEntropy)).unwrap();
    for (index, entry) in (1..).zip(&scene.hsm.log) {
        applier.apply(index, entry);
    }
    applier.publish();
    assert_eq!(applier.unreadable(), 0);
    assert_eq!(reader.hello([0; 32]).head, scene.hsm.reader.hello([0; 32]).head);
    assert_eq!(reader.members(), scene.hsm.reader.members());
}

#[test]
fn nobody_gets_the_secrets_without_an_admission() {
    let mut scene = Scene::new();
    let request = Joiner::new(this(2)).unwrap().request().unwrap();
    assert!(matches!(ask(&scene.hsm, &request), Joining::Pending(_)));
    // Its key on the connection is another's.
    let answer = scene.hsm.reader.consider(request.clone(), &[7; 32]).answer.joining.unwrap();
    expect_refused(answer, Error::JoinInvalid);
    // What it says was changed on the way.
    let changes: [fn(&mut JoinRequest); 5] = [
        |request| request.peer_address = "127.0.9.9:2224".to_owned(),
        |request| request.receiving_key[0] ^= 1,
        |request| request.hsm[0] ^= 1,
        |request| request.zone = "elsewhere".to_owned(),
        |request| request.signature.clear(),
    ];
    for change in changes {
        let mut changed = request.clone();
        change(&mut changed);
        expect_refused(ask(&scene.hsm, &changed), Error::JoinInvalid);
    }
    // Only an admin lets in, and only with the customer's word.
    let right = admission(&scene.hsm, &request, 60);
    let mut user = scene.hsm.log_in("app", Role::CryptoUser);
    expect_error(user.ask(&mut scene.hsm, Ask::AddHsm(right.clone())), Error::RoleRefused);
    let mut nobody = scene.hsm.connect();
    expect_error(nobody.ask(&mut scene.hsm, Ask::AddHsm(right.clone())), Error::LogInRequired);
    expect_error(
        scene.add(AddHsm { signature: vec![1; 70], ..right.clone() }),
        Error::AdmissionRefused,
    );
    expect_error(scene.add(AddHsm { ends: right.ends + 1, ..right }), Error::AdmissionRefused);
    assert!(matches!(ask(&scene.hsm, &request), Joining::Pending(_)));
}

#[test]
fn an_admission_is_for_one_module_one_cluster_one_incarnation_and_a_time() {
    let mut scene = Scene::new();
    let request = Joiner::new(this(2)).unwrap().request().unwrap();
    let other = Joiner::new(this(3)).unwrap().request().unwrap();
    let hsm = &scene.hsm;
    let ends = hsm.now.seconds() + 60;
    let of_other_module = AddHsm { request: Some(request.clone()), ..admission(hsm, &other, 60) };
    let another = Hsm::active();
    let statement =
        |hsm: &Hsm, of: &Hsm| statements::admission(hsm.cluster(), incarnation(of), &request, ends);
    let of_other_cluster = signed(hsm, &request, ends, &statement(&another, hsm));
    let of_other_incarnation = signed(hsm, &request, ends, &statement(hsm, &another));
    let over = admission(hsm, &request, 0);
    for wrong in [of_other_module, of_other_cluster, of_other_incarnation, over] {
        expect_error(scene.add(wrong), Error::AdmissionRefused);
    }
    // A key of another CA.
    let foreign = admission(&another, &request, 60);
    expect_error(scene.add(foreign), Error::AdmissionRefused);
}

#[test]
fn what_is_handed_over_opens_for_its_module_alone() {
    let mut scene = Scene::new();
    let (right, other) = (Joiner::new(this(2)).unwrap(), Joiner::new(this(3)).unwrap());
    for joiner in [&right, &other] {
        let admission = admission(&scene.hsm, &joiner.request().unwrap(), 60);
        expect_done(scene.add(admission));
    }
    let handover = handed_over(&scene.hsm, &right.request().unwrap());
    assert!(right.take(&handover).is_ok());
    assert!(other.take(&handover).is_err());
    let changes: [fn(&mut Handover); 4] = [
        |handover| handover.cluster[0] ^= 1,
        |handover| handover.incarnation[0] ^= 1,
        |handover| handover.giver[0] ^= 1,
        |handover| handover.sealed[0] ^= 1,
    ];
    for change in changes {
        let mut changed = handover.clone();
        change(&mut changed);
        assert!(right.take(&changed).is_err());
    }
}

#[test]
fn who_was_taken_out_never_comes_back() {
    let mut scene = Scene::new();
    let first = scene.hsm.reader.members();
    let joiner = Joiner::new(this(2)).unwrap();
    let request = joiner.request().unwrap();
    expect_error(scene.remove(&request), Error::HsmNotFound);
    let again = admission(&scene.hsm, &request, 60);
    expect_done(scene.add(again.clone()));
    expect_error(scene.add(again.clone()), Error::HsmKnown);
    // Another key under its id.
    let impostor = Joiner::new(this(2)).unwrap().request().unwrap();
    expect_refused(ask(&scene.hsm, &impostor), Error::HsmKnown);
    expect_done(scene.remove(&request));
    assert_eq!(scene.hsm.reader.members(), first);
    expect_refused(ask(&scene.hsm, &request), Error::HsmKnown);
    expect_error(scene.add(again), Error::HsmKnown);
    // A new one gets a number that was never given.
    let new = Joiner::new(this(3)).unwrap().request().unwrap();
    let admission = admission(&scene.hsm, &new, 60);
    expect_done(scene.add(admission));
    assert_eq!(scene.hsm.reader.members().last().unwrap().node, 3);
    // The last one stays.
    let Answer::Status(status) = scene.admin.ask(&mut scene.hsm, Ask::Status(Empty {})) else {
        panic!()
    };
    assert_eq!(status.hsms.len(), 2);
    expect_done(scene.remove(&new));
    let mut last = new;
    last.hsm = status.hsms[0].hsm.clone();
    expect_error(scene.remove(&last), Error::LastHsm);
    // A module that starts on a snapshot knows who was taken out.
    let mut restarted = scene.hsm.restart(true);
    assert_eq!(restarted.state_hash(), scene.hsm.state_hash());
    expect_refused(ask(&restarted, &request), Error::HsmKnown);
}

#[test]
fn who_waits_is_bounded() {
    let scene = Scene::new();
    for number in 0..casemate_hsm::limits::JOINING_MAX + 5 {
        let this =
            ThisHsm { id: HsmId::from_bytes([u8::try_from(number + 2).unwrap(); 10]), ..this(2) };
        let request = Joiner::new(this).unwrap().request().unwrap();
        let first = scene.hsm.reader.consider(request.clone(), &identity_of(&request)).first;
        assert_eq!(first, number < casemate_hsm::limits::JOINING_MAX, "{number}");
    }
}
