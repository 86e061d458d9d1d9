//! A module that joins: who is let in by whose word, and what is refused.

use casemate_hsm::{Joiner, Notice, Settings, ThisHsm, limits};
use casemate_protocol::identity::HsmId;
use casemate_protocol::messages::{
    AddHsm, Answer, Ask, ChangeSettings, Empty, Handover, JoinPolicy, JoinRequest, Joining,
    Lifecycle, RemoveHsm,
};
use casemate_protocol::{Error, Role, statements};

use crate::one_hsm::{Connection, Hsm, describe, expect_done, expect_error};

fn ask(hsm: &Hsm, request: &JoinRequest) -> Joining {
    hsm.consider(request).answer.joining.unwrap()
}

/// Asks, and returns whether it was new here.
fn waits(hsm: &Hsm, request: &JoinRequest) -> bool {
    hsm.consider(request).notice == Some(Notice::Waits)
}

fn expect_refused(joining: Joining, error: Error) {
    let Joining::Refused(found) = joining else { panic!("not refused") };
    assert_eq!(Error::from(found), error);
}

fn handed_over(hsm: &Hsm, request: &JoinRequest) -> Handover {
    match ask(hsm, request) {
        Joining::Handover(handover) => handover,
        Joining::Pending(_) | Joining::Challenge(_) => panic!("pending"),
        Joining::Refused(error) => panic!("{}", Error::from(error)),
    }
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

    fn listed(&mut self) -> Vec<JoinRequest> {
        match self.admin.ask(&mut self.hsm, Ask::ListJoining(Empty {})) {
            Answer::JoinRequests(list) => list.requests,
            answer => panic!("{}", describe(&answer)),
        }
    }

    fn remove(&mut self, request: &JoinRequest) -> Answer {
        let remove = RemoveHsm { hsm: request.hsm.clone() };
        self.admin.ask(&mut self.hsm, Ask::RemoveHsm(remove))
    }
}

#[test]
fn a_module_that_was_let_in_holds_the_same_state() {
    let mut scene = Scene::new();
    let joiner = scene.hsm.newcomer(2);
    let request = joiner.request().unwrap();
    assert!(waits(&scene.hsm, &request));
    assert!(!waits(&scene.hsm, &request));
    assert_eq!(scene.listed(), std::slice::from_ref(&request));
    let admission = scene.hsm.admission(&request, 60);
    expect_done(scene.add(admission));
    let (secrets, members) = joiner.take(&handed_over(&scene.hsm, &request)).unwrap();
    assert_eq!((secrets.node(), members), (2, scene.hsm.reader.members()));
    assert_eq!(secrets.hsm(), HsmId::from_bytes([2; 10]));
    // Whoever has joined waits no longer.
    assert_eq!(scene.listed(), []);
    let mut second = scene.hsm.second(&joiner);
    assert_eq!(second.applier.unreadable(), 0);
    assert_eq!(second.reader.hello([0; 32]).head, scene.hsm.reader.hello([0; 32]).head);
    assert_eq!(second.reader.members(), scene.hsm.reader.members());
    assert_eq!(second.state_hash(), scene.hsm.state_hash());
}

#[test]
fn a_module_that_joins_survives_a_restart_and_an_upgrade() {
    let mut scene = Scene::new();
    let joiner = scene.hsm.newcomer(2);
    let admission = scene.hsm.admission(&joiner.request().unwrap(), 60);
    expect_done(scene.add(admission));
    // It is the same module at another address and of another version: its keys count.
    let this = ThisHsm {
        address: "127.0.9.9:2223".to_owned(),
        version: "1".to_owned(),
        ..scene.hsm.reader.this().clone()
    };
    let again = Joiner::import(joiner.export().expose(), this).unwrap();
    let request = again.request().unwrap();
    assert!(again.take(&handed_over(&scene.hsm, &request)).is_ok());
    // A member that lacks something asks once more.
    assert!(joiner.take(&handed_over(&scene.hsm, &joiner.request().unwrap())).is_ok());
}

#[test]
fn a_member_says_anew_where_it_is() {
    let mut hsm = Hsm::active();
    let joiner = hsm.newcomer(2);
    let second = hsm.let_in(&joiner);
    assert!(second.reader.update(second.now).unwrap().is_none());
    let moved = second.moved("127.0.7.7:2224");
    let proposal = moved.reader.update(moved.now).unwrap().unwrap();
    hsm.commit(proposal.entry);
    let members = hsm.reader.members();
    assert_eq!((members[1].node, members[1].peer_address.as_str()), (2, "127.0.7.7:2224"));
    assert_eq!(members[1].identity, second.reader.members()[1].identity);
}

#[test]
fn nobody_gets_the_secrets_without_an_admission() {
    let mut scene = Scene::new();
    let request = scene.hsm.newcomer(2).request().unwrap();
    assert!(matches!(ask(&scene.hsm, &request), Joining::Pending(_)));
    // Its key on the connection is another's.
    let answer = scene
        .hsm
        .reader
        .consider(request.clone(), &[7; 32], scene.hsm.now)
        .answer
        .joining
        .unwrap();
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
    let right = scene.hsm.admission(&request, 60);
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
    let request = scene.hsm.newcomer(2).request().unwrap();
    let other = scene.hsm.newcomer(3).request().unwrap();
    let hsm = &scene.hsm;
    let ends = hsm.now.seconds() + 60;
    let of_other_module = AddHsm { request: Some(request.clone()), ..hsm.admission(&other, 60) };
    let another = Hsm::active();
    let statement = |hsm: &Hsm, of: &Hsm| {
        statements::admission(hsm.cluster(), of.incarnation(), &request, ends)
    };
    let of_other_cluster = hsm.signed_admission(&request, ends, &statement(&another, hsm));
    let of_other_incarnation = hsm.signed_admission(&request, ends, &statement(hsm, &another));
    let over = hsm.admission(&request, 0);
    for wrong in [of_other_module, of_other_cluster, of_other_incarnation, over] {
        expect_error(scene.add(wrong), Error::AdmissionRefused);
    }
    // A key of another CA.
    let foreign = another.admission(&request, 60);
    expect_error(scene.add(foreign), Error::AdmissionRefused);
}

#[test]
fn what_is_handed_over_opens_for_its_module_alone() {
    let mut scene = Scene::new();
    let (right, other) = (scene.hsm.newcomer(2), scene.hsm.newcomer(3));
    for joiner in [&right, &other] {
        let admission = scene.hsm.admission(&joiner.request().unwrap(), 60);
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
    let joiner = scene.hsm.newcomer(2);
    let request = joiner.request().unwrap();
    expect_error(scene.remove(&request), Error::HsmNotFound);
    let again = scene.hsm.admission(&request, 60);
    expect_done(scene.add(again.clone()));
    expect_error(scene.add(again.clone()), Error::HsmKnown);
    // Another key under its id.
    let impostor = scene.hsm.newcomer(2).request().unwrap();
    expect_refused(ask(&scene.hsm, &impostor), Error::HsmKnown);
    expect_done(scene.remove(&request));
    assert_eq!(scene.hsm.reader.members(), first);
    expect_refused(ask(&scene.hsm, &request), Error::HsmKnown);
    expect_error(scene.add(again), Error::HsmKnown);
    // A new one gets a number that was never given.
    let new = scene.hsm.newcomer(3).request().unwrap();
    let admission = scene.hsm.admission(&new, 60);
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
fn who_waits_is_bounded_and_forgotten() {
    let mut scene = Scene::new();
    let requests = (0..limits::JOINING_MAX + 2).map(|number| {
        let number = u8::try_from(number + 2).unwrap();
        scene.hsm.newcomer(number).request().unwrap()
    });
    let requests: Vec<_> = requests.collect();
    for (number, request) in requests.iter().enumerate() {
        let first = waits(&scene.hsm, request);
        assert_eq!(first, number < limits::JOINING_MAX, "{number}");
    }
    // Who asks no more makes room.
    scene.hsm.now = scene.hsm.now.after_ms(limits::JOINING_MS);
    assert_eq!(scene.listed().len(), limits::JOINING_MAX);
    scene.hsm.now = scene.hsm.now.after_ms(1);
    assert!(scene.listed().is_empty());
    assert!(waits(&scene.hsm, &requests[limits::JOINING_MAX]));
}

/// Anybody may claim an id, but waits under the key that he proved.
#[test]
fn nobody_takes_the_place_of_another_who_waits() {
    let mut scene = Scene::new();
    let right = scene.hsm.newcomer(2).request().unwrap();
    let impostor = scene.hsm.newcomer(2).request().unwrap();
    assert!(waits(&scene.hsm, &right));
    assert!(waits(&scene.hsm, &impostor));
    let listed = scene.listed();
    assert!(listed.len() == 2 && listed.contains(&right) && listed.contains(&impostor));
}

#[test]
fn before_activation_nobody_waits() {
    let mut hsm = Hsm::new();
    let request = hsm.newcomer(2).request().unwrap();
    for () in [(), ()] {
        let considered = hsm.consider(&request);
        assert!(matches!(considered.answer.joining, Some(Joining::Pending(_))));
        assert!(considered.notice.is_none() && considered.proposal.is_none());
        if hsm.reader.lifecycle() == Some(Lifecycle::Uninitialized) {
            hsm.initialize();
        }
    }
    hsm.activate();
    assert!(waits(&hsm, &request));
}

/// A retry, perhaps at another HSM, gets the first answer.
#[test]
fn a_retry_is_answered_as_before() {
    let mut scene = Scene::new();
    let request = scene.hsm.newcomer(2).request().unwrap();
    let admission = scene.hsm.admission(&request, 60);
    let remove = Ask::RemoveHsm(RemoveHsm { hsm: request.hsm });
    for (sequence, ask) in [(100, Ask::AddHsm(admission)), (101, remove)] {
        for _ in 0..2 {
            let answer = scene.admin.ask_as(&mut scene.hsm, sequence, ask.clone());
            expect_done(answer);
        }
    }
}

#[test]
fn the_cluster_has_at_most_28_hsms() {
    let mut scene = Scene::new();
    for number in 0..limits::HSMS_MAX {
        let request = scene.hsm.newcomer(u8::try_from(number + 2).unwrap()).request().unwrap();
        let admission = scene.hsm.admission(&request, 60);
        let answer = scene.add(admission);
        if number < limits::HSMS_MAX - 1 {
            expect_done(answer);
        } else {
            expect_error(answer, Error::HsmLimit);
        }
    }
}

fn development() -> Scene {
    let settings = Settings { dev: true, password_rounds: 10, ..Settings::default() };
    let mut hsm = Hsm::active_with(settings);
    let admin = hsm.log_in("admin", Role::Admin);
    Scene { hsm, admin }
}

fn policy(policy: JoinPolicy) -> Ask {
    Ask::ChangeSettings(ChangeSettings {
        join_policy: Some(policy as u32),
        ..ChangeSettings::default()
    })
}

#[test]
fn by_the_installations_policy_whoever_asks_is_let_in() {
    let mut scene = development();
    let joiner = scene.hsm.newcomer(2);
    let request = joiner.request().unwrap();
    assert!(scene.hsm.consider(&request).proposal.is_none());
    let changed = scene.admin.ask(&mut scene.hsm, policy(JoinPolicy::Installation));
    let Answer::Settings(settings) = changed else { panic!("{}", describe(&changed)) };
    assert_eq!(settings.join_policy, JoinPolicy::Installation as u32);
    let considered = scene.hsm.consider(&request);
    assert!(matches!(considered.answer.joining, Some(Joining::Pending(_))));
    let proposal = considered.proposal.unwrap();
    let repeated = scene.hsm.consider(&request).proposal.unwrap();
    scene.hsm.commit_proposal(proposal);
    let twice = scene.hsm.commit_proposal(repeated).reply.answer.unwrap();
    expect_error(twice, Error::HsmKnown);
    let mut second = scene.hsm.second(&joiner);
    assert_eq!(second.state_hash(), scene.hsm.state_hash());
    // And back: the next one waits for an admin.
    let changed = scene.admin.ask(&mut scene.hsm, policy(JoinPolicy::Approved));
    assert!(matches!(changed, Answer::Settings(_)));
    let next = scene.hsm.newcomer(3).request().unwrap();
    let considered = scene.hsm.consider(&next);
    assert!(considered.notice == Some(Notice::Waits) && considered.proposal.is_none());
}

#[test]
fn only_admins_change_the_policy_and_only_in_development_is_it_open() {
    let mut scene = Scene::new();
    let open = policy(JoinPolicy::Installation);
    expect_error(scene.admin.ask(&mut scene.hsm, open.clone()), Error::SettingInvalid);
    let unknown = ChangeSettings { join_policy: Some(77), ..ChangeSettings::default() };
    let unknown = Ask::ChangeSettings(unknown);
    expect_error(scene.admin.ask(&mut scene.hsm, unknown), Error::SettingInvalid);
    let mut scene = development();
    let mut user = scene.hsm.log_in("app", Role::CryptoUser);
    expect_error(user.ask(&mut scene.hsm, open.clone()), Error::RoleRefused);
    expect_error(scene.hsm.connect().ask(&mut scene.hsm, open), Error::LogInRequired);
}
