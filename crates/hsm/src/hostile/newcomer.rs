//! Modules that should not be in the cluster, and members that let in or take out by themselves.
//!
//! Attack: a module that was taken out still has the keys by which commands are sealed, and another member was taken over: each puts
//! commands into the log that no request led to.

use casemate_protocol::identity::{CommandId, HsmId};
use casemate_protocol::messages::{
    AddHsm, Answer, Ask, ChangeSettings, CreateUser, Evidence, JoinPolicy, JoinRequest, Joining,
    Measurements, Register, Registers, RemoveHsm, Reply,
};
use casemate_protocol::{Error, Role};
use prost::Message as _;

use super::one_hsm::{Begun, Hsm, PASSWORD, describe, expect_done};
use super::{Bench, random};
use crate::command::{Author, Change, Command};
use crate::members::MemberChange;
use crate::secrets::Own;
use crate::{Joiner, Settings};

/// A cluster of two, and a third that is not let in.
struct Scene {
    hsm: Hsm,
    second: Hsm,
    third: Joiner,
}

const FIRST: HsmId = HsmId::from_bytes([1; 10]);
const SECOND: HsmId = HsmId::from_bytes([2; 10]);

impl Scene {
    fn new() -> Self {
        Self::with(Hsm::active())
    }

    fn with(mut hsm: Hsm) -> Self {
        let joiner = hsm.newcomer(2);
        let second = hsm.let_in(&joiner);
        let third = hsm.newcomer(3);
        Self { hsm, second, third }
    }

    fn admin(&mut self) -> Author {
        let connection = self.hsm.log_in("admin", Role::Admin);
        let log_in = connection.caller.log_in.unwrap();
        let (user, role, epoch) = (log_in.user, log_in.role, log_in.epoch);
        Author { user, role, epoch, log_in: log_in.id }
    }

    /// Puts a command into the log that a member sealed which does as it likes.
    fn forge(&mut self, proposer: HsmId, author: Option<Author>, change: MemberChange) -> Verdict {
        let before = Bench::essence_of(&self.hsm.applier);
        let time = self.hsm.now;
        let id = CommandId::from_bytes(random());
        let change = Change::Member(change);
        let command = Command { id, proposer, time, author, request: None, change };
        let entry = command.seal(&self.hsm.reader.keyring());
        let reply = Reply::decode(self.hsm.commit(entry).as_slice()).unwrap();
        let refused = match reply.answer.unwrap() {
            Answer::Error(error) => Some(error.into()),
            _ => None,
        };
        let changed = Bench::essence_of(&self.hsm.applier) != before;
        assert_eq!(changed, refused.is_none(), "what is refused changes nothing");
        refused
    }

    fn take_out_second(&mut self) {
        let mut admin = self.hsm.log_in("admin", Role::Admin);
        let remove = RemoveHsm { hsm: SECOND.as_bytes().to_vec() };
        expect_done(admin.ask(&mut self.hsm, Ask::RemoveHsm(remove)));
    }

    fn request(&self) -> JoinRequest {
        self.third.request().unwrap()
    }
}

type Verdict = Option<Error>;

fn admit(admission: AddHsm) -> MemberChange {
    MemberChange::Admit(Box::new(admission))
}

#[test]
fn no_member_lets_in_by_itself() {
    let mut scene = Scene::new();
    let (admin, right) = (scene.admin(), scene.hsm.admission(&scene.request(), 60));
    let unsigned = AddHsm { request: right.request.clone(), ..AddHsm::default() };
    let user = Author { role: Role::CryptoUser, ..admin };
    for (author, admission, error) in [
        // With the customer's word, but no admin; and the other way round.
        (None, right.clone(), Error::LogInRequired),
        (Some(user), right.clone(), Error::TicketInvalid),
        (Some(admin), unsigned.clone(), Error::AdmissionRefused),
        (None, unsigned, Error::LogInRequired),
    ] {
        assert_eq!(scene.forge(SECOND, author, admit(admission)), Some(error));
    }
    // The control.
    assert_eq!(scene.forge(SECOND, Some(admin), admit(right)), None);
    assert_eq!(scene.hsm.reader.members().len(), 3);
}

/// A member that was taken over does not ask for a quote; the others do.
#[test]
fn no_member_lets_in_a_machine_that_shows_nothing() {
    let mut scene = Scene::new();
    let mut admin = scene.hsm.log_in("admin", Role::Admin);
    let register = Register { index: 0, value: vec![1; 32] };
    let good = vec![Registers { registers: vec![register] }];
    let measurements = Some(Measurements { authority: scene.hsm.ca.der().to_vec(), good });
    let join_policy = Some(JoinPolicy::Attested as u32);
    let change = Ask::ChangeSettings(ChangeSettings { join_policy, measurements });
    assert!(matches!(admin.ask(&mut scene.hsm, change), Answer::Settings(_)));
    let right = scene.hsm.admission(&scene.request(), 60);
    let made_up = Evidence { nonce: vec![1; 32], quoted: vec![2; 100], ..Evidence::default() };
    let shown = JoinRequest { evidence: Some(made_up), ..scene.request() };
    let made_up = AddHsm { request: Some(shown), ..right.clone() };
    for admission in [right, made_up] {
        let refused = Some(Error::EvidenceRefused);
        assert_eq!(scene.forge(SECOND, None, admit(admission)), refused);
    }
    assert_eq!(scene.hsm.reader.members().len(), 2);
}

/// The signature on a request is what ties the keys to the module: whoever proposes cannot put his own in.
#[test]
fn a_member_cannot_change_what_the_module_said() {
    let mut scene = Scene::new();
    let admin = scene.admin();
    let foreign = scene.hsm.newcomer(3).request().unwrap();
    let changes: [fn(&mut JoinRequest, &JoinRequest); 4] = [
        |request, foreign| request.receiving_key.clone_from(&foreign.receiving_key),
        |request, foreign| request.identity.clone_from(&foreign.identity),
        |request, foreign| request.signature.clone_from(&foreign.signature),
        |request, _| request.peer_address = "127.0.9.9:1".to_owned(),
    ];
    for change in changes {
        let mut request = scene.request();
        change(&mut request, &foreign);
        // Even if the customer signed just that.
        let admission = scene.hsm.admission(&request, 60);
        assert_eq!(scene.forge(SECOND, Some(admin), admit(admission)), Some(Error::JoinInvalid));
    }
}

#[test]
fn whoever_was_taken_out_proposes_nothing() {
    let mut scene = Scene::new();
    let admin = scene.admin();
    let mut lagging = scene.second.log_in("admin", Role::Admin);
    scene.take_out_second();
    // It has not heard of it, and goes on for its client.
    let user = CreateUser {
        user: "eve".to_owned(),
        role: Role::Admin.number(),
        password: PASSWORD.to_owned(),
    };
    let Begun::Proposed(proposal) = lagging.begin(&scene.second, Ask::CreateUser(user)) else {
        panic!("it knows already")
    };
    let reply = Reply::decode(scene.hsm.commit(proposal.entry).as_slice()).unwrap();
    let refused = Reply::error(Error::HsmRemoved);
    assert!(reply == refused, "{}", describe(&reply.answer.unwrap()));
    assert_eq!(Error::HsmRemoved.retry(), casemate_protocol::Retry::Elsewhere);
    // Nor does it let anybody in.
    let admission = scene.hsm.admission(&scene.request(), 60);
    let forged = admit(admission.clone());
    assert_eq!(scene.forge(SECOND, Some(admin), forged), Some(Error::HsmRemoved));
    // The control: another member may.
    assert_eq!(scene.forge(FIRST, Some(admin), admit(admission)), None);
}

/// Id, identity key and receiving key are each known: one of them is enough to be the one that was taken out.
#[test]
fn whoever_was_taken_out_comes_back_under_no_name() {
    for (own_id, own_identity, own_receiving) in
        [(true, false, false), (false, true, false), (false, false, true)]
    {
        let mut scene = Scene::new();
        let admin = scene.admin();
        let (old, new) = (scene.second.reader.shared().secrets(), Own::generate().unwrap());
        let mixed = Own::mixed(
            if own_identity { old.own() } else { &new },
            if own_receiving { old.own() } else { &new },
        );
        let id = if own_id { SECOND } else { HsmId::from_bytes([3; 10]) };
        let this = crate::ThisHsm { id, ..scene.second.reader.this().clone() };
        let request = crate::members::join::request(&this, &mixed).unwrap();
        for removed in [false, true] {
            if removed {
                scene.take_out_second();
            }
            let joining = scene.hsm.consider(&request).answer.joining;
            let refused = Joining::Refused(Error::HsmKnown.into());
            assert!(joining == Some(refused), "{own_id} {own_identity} {own_receiving}");
            let admission = scene.hsm.admission(&request, 60);
            let verdict = scene.forge(FIRST, Some(admin), admit(admission));
            assert_eq!(verdict, Some(Error::HsmKnown));
        }
    }
}

#[test]
fn no_member_takes_another_out_by_itself() {
    let mut scene = Scene::new();
    let admin = scene.admin();
    let remove = || MemberChange::Remove(FIRST);
    assert_eq!(scene.forge(SECOND, None, remove()), Some(Error::LogInRequired));
    let user = Author { role: Role::CryptoUser, ..admin };
    assert_eq!(scene.forge(SECOND, Some(user), remove()), Some(Error::TicketInvalid));
    assert_eq!(scene.forge(SECOND, Some(admin), remove()), None);
    // The last one stays, even if it is an admin's wish.
    let last = MemberChange::Remove(SECOND);
    assert_eq!(scene.forge(SECOND, Some(admin), last), Some(Error::LastHsm));
}

/// Where it is says each of itself alone, or the traffic of one would go to another.
#[test]
fn a_member_speaks_for_itself_alone() {
    let mut scene = Scene::new();
    let admin = scene.admin();
    let moved = scene.second.moved("127.0.7.7:2224");
    let said =
        crate::members::join::request(moved.reader.this(), moved.reader.shared().secrets().own());
    let said = said.unwrap();
    let update = |said: &JoinRequest| MemberChange::Update(Box::new(said.clone()));
    let mut forged = said.clone();
    forged.peer_address = "127.0.8.8:2224".to_owned();
    for (proposer, author, said) in [
        (FIRST, None, &said),
        (SECOND, Some(admin), &said),
        (SECOND, None, &forged),
        // Its own word, but of other keys.
        (SECOND, None, &scene.request()),
    ] {
        assert_eq!(scene.forge(proposer, author, update(said)), Some(Error::JoinInvalid));
    }
    assert_eq!(scene.forge(SECOND, None, update(&said)), None);
}

/// By the installation's policy an HSM lets in by itself: on nobody's behalf, not on that of somebody who may not.
#[test]
fn the_open_policy_opens_nothing_else() {
    let settings = Settings {
        dev: true,
        join_policy: JoinPolicy::Installation,
        password_rounds: 10,
        ..Settings::default()
    };
    let mut hsm = Hsm::active_with(settings);
    let app = hsm.log_in("app", Role::CryptoUser).caller.log_in.unwrap();
    let author = Author { user: app.user, role: app.role, epoch: app.epoch, log_in: app.id };
    let mut scene = Scene::with(hsm);
    let admission = AddHsm { request: Some(scene.request()), ..AddHsm::default() };
    let forged = admit(admission.clone());
    assert_eq!(scene.forge(SECOND, Some(author), forged), Some(Error::RoleRefused));
    let remove = MemberChange::Remove(FIRST);
    assert_eq!(scene.forge(SECOND, None, remove), Some(Error::LogInRequired));
    assert_eq!(scene.forge(SECOND, None, admit(admission)), None);
}
