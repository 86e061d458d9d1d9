//! A module that is behind seals commands about a key, a user or a cluster that is not what it was: `apply` looks again.

use casemate_protocol::identity::{
    Epoch, Generation, LogInId, ObjectId, ObjectNumber, UserId, UserName,
};
use casemate_protocol::messages::Lifecycle;
use casemate_protocol::{AttributeType, Error, Role};

use super::stale_author::next;
use super::{
    ADMIN, ALICE, BOB, Bench, CAROL, NOW, SECOND_ADMIN, author, command, key_of, random, this_hsm,
    verifier,
};
use crate::Applier;
use crate::command::{Author, Change};
use crate::entropy::SystemEntropy;
use crate::lifecycle::{ClusterState, LifecycleChange, Settings};
use crate::objects::ObjectCommand;
use crate::objects::object::Header;
use crate::shared::Shared;
use crate::users::UserChange;

/// One thing that a stale module believed of a target, and what `apply` says.
struct Case {
    name: &'static str,
    prepare: fn(&mut Bench) -> (Option<Author>, Change),
    error: Error,
}

fn replace(
    bench: &mut Bench,
    now: Header,
    by: UserId,
    change: impl FnOnce(&mut Header),
) -> (Option<Author>, Change) {
    let number = bench.put(now.clone());
    let object = bench.sealed(next(&now, change));
    (Some(author(by)), Change::Objects(ObjectCommand::Replace { number, object }))
}

fn create(bench: &Bench, change: impl FnOnce(&mut Header)) -> (Option<Author>, Change) {
    let mut header = key_of(ALICE);
    change(&mut header);
    (Some(author(ALICE)), Change::Objects(ObjectCommand::Create(bench.sealed(header))))
}

fn cluster(bench: &mut Bench, lifecycle: Lifecycle) -> Vec<u8> {
    let this = this_hsm();
    let (secrets, genesis) =
        crate::create(&Settings::default(), &this, &SystemEntropy, NOW).unwrap();
    bench.applier = Applier::new(Shared::new(secrets, this, Box::new(SystemEntropy)));
    bench.apply(&genesis).unwrap();
    let mut cluster = ClusterState::clone(bench.applier.state.cluster.as_ref().unwrap());
    cluster.lifecycle = lifecycle;
    bench.applier.state.cluster = Some(std::sync::Arc::new(cluster));
    genesis
}

const OBJECT_CASES: &[Case] = &[
    Case {
        name: "the key is gone",
        prepare: |_| {
            let change = ObjectCommand::Destroy { number: ObjectNumber(99) };
            (Some(author(ALICE)), Change::Objects(change))
        },
        error: Error::ObjectNotFound,
    },
    Case {
        name: "the key is another's by now: destroy",
        prepare: |bench| {
            let number = bench.put(key_of(BOB));
            (Some(author(ALICE)), Change::Objects(ObjectCommand::Destroy { number }))
        },
        error: Error::ObjectNotFound,
    },
    Case {
        name: "the key is only shared by now: destroy",
        prepare: |bench| {
            let number = bench.put(Header { shared_with: vec![ALICE], ..key_of(BOB) });
            (Some(author(ALICE)), Change::Objects(ObjectCommand::Destroy { number }))
        },
        error: Error::NotOwner,
    },
    Case {
        name: "the key must not be destroyed by now",
        prepare: |bench| {
            let mut key = key_of(ALICE);
            key.flags.set(AttributeType::Destroyable, false);
            let number = bench.put(key);
            (Some(author(ALICE)), Change::Objects(ObjectCommand::Destroy { number }))
        },
        error: Error::ActionProhibited,
    },
    Case {
        name: "the key is another's by now: change",
        prepare: |bench| replace(bench, key_of(BOB), ALICE, |_| {}),
        error: Error::ObjectNotFound,
    },
    Case {
        name: "the key's generation grew",
        prepare: |bench| {
            let key = Header { generation: Generation(7), ..key_of(ALICE) };
            replace(bench, key, ALICE, |key| key.generation = Generation(2))
        },
        error: Error::Busy(0),
    },
    Case {
        name: "the key became sensitive",
        prepare: |bench| {
            let mut key = key_of(ALICE);
            key.flags.set(AttributeType::Sensitive, true);
            replace(bench, key, ALICE, |key| key.flags.set(AttributeType::Sensitive, false))
        },
        error: Error::AttributeReadOnly(AttributeType::Sensitive as u64),
    },
    Case {
        name: "the key became unextractable",
        prepare: |bench| {
            let mut key = key_of(ALICE);
            key.flags.set(AttributeType::Extractable, false);
            replace(bench, key, ALICE, |key| key.flags.set(AttributeType::Extractable, true))
        },
        error: Error::AttributeReadOnly(AttributeType::Extractable as u64),
    },
    Case {
        name: "the key must not be changed by now",
        prepare: |bench| {
            let mut key = key_of(ALICE);
            key.flags.set(AttributeType::Modifiable, false);
            replace(bench, key, ALICE, |key| key.set(AttributeType::Label, b"x".to_vec()))
        },
        error: Error::ActionProhibited,
    },
    Case {
        name: "the owner would change",
        prepare: |bench| replace(bench, key_of(ALICE), ALICE, |key| key.owner = BOB),
        error: Error::Busy(0),
    },
    Case {
        name: "the key would be shared",
        prepare: |bench| replace(bench, key_of(ALICE), ALICE, |key| key.shared_with = vec![BOB]),
        error: Error::Busy(0),
    },
    Case {
        name: "the key would be another one",
        prepare: |bench| {
            replace(bench, key_of(ALICE), ALICE, |key| key.id = ObjectId::from_bytes(random()))
        },
        error: Error::Busy(0),
    },
    Case {
        name: "an owner would trust his key",
        prepare: |bench| {
            replace(bench, key_of(ALICE), ALICE, |key| key.flags.set(AttributeType::Trusted, true))
        },
        error: Error::AttributeReadOnly(AttributeType::Trusted as u64),
    },
    Case {
        name: "an admin would trust a key that may leave",
        prepare: |bench| {
            replace(bench, key_of(ALICE), ADMIN, |key| key.flags.set(AttributeType::Trusted, true))
        },
        error: Error::TemplateInconsistent(AttributeType::Extractable as u64),
    },
    Case {
        name: "an admin would change more than trust",
        prepare: |bench| {
            replace(bench, key_of(ALICE), ADMIN, |key| key.set(AttributeType::Label, vec![1]))
        },
        error: Error::AttributeReadOnly(AttributeType::Label as u64),
    },
    Case {
        name: "a new key of another user",
        prepare: |bench| create(bench, |key| key.owner = BOB),
        error: Error::RoleRefused,
    },
    Case {
        name: "a new key that is trusted",
        prepare: |bench| create(bench, |key| key.flags.set(AttributeType::Trusted, true)),
        error: Error::RoleRefused,
    },
    Case {
        name: "a new key that is no token object",
        prepare: |bench| create(bench, |key| key.flags.set(AttributeType::Token, false)),
        error: Error::RoleRefused,
    },
    Case {
        name: "a new key of a later generation",
        prepare: |bench| create(bench, |key| key.generation = Generation(2)),
        error: Error::RoleRefused,
    },
    Case {
        name: "a session key of another log-in",
        prepare: |_| {
            let (log_in, object) = (author(BOB).log_in, ObjectId::from_bytes(random()));
            let change = ObjectCommand::SessionFloor { log_in, object, floor: Generation(9) };
            (Some(author(ALICE)), Change::Objects(change))
        },
        error: Error::RoleRefused,
    },
];

const USER_CASES: &[Case] = &[
    Case {
        name: "the log-in of another",
        prepare: |_| {
            let log_in = LogInId::from_bytes([77; 16]);
            (Some(author(ALICE)), Change::LogOut { log_in, until: NOW })
        },
        error: Error::RoleRefused,
    },
    Case {
        name: "the name was taken",
        prepare: |_| {
            let (id, name) = (UserId::from_bytes(random()), UserName::new("bob").unwrap());
            let (role, verifier) = (Role::CryptoUser, verifier());
            (Some(author(ADMIN)), Change::User(UserChange::Create { id, name, role, verifier }))
        },
        error: Error::UserExists,
    },
    Case {
        name: "the id was taken",
        prepare: |_| {
            let (id, name) = (BOB, UserName::new("new").unwrap());
            let (role, verifier) = (Role::CryptoUser, verifier());
            (Some(author(ADMIN)), Change::User(UserChange::Create { id, name, role, verifier }))
        },
        error: Error::UserExists,
    },
    Case {
        name: "a user of a role that nobody makes",
        prepare: |_| {
            let (id, name) = (UserId::from_bytes(random()), UserName::new("new").unwrap());
            let (role, verifier) = (Role::ApplianceUser, verifier());
            (Some(author(ADMIN)), Change::User(UserChange::Create { id, name, role, verifier }))
        },
        error: Error::RoleRefused,
    },
    Case {
        name: "the user whose password changes is gone",
        prepare: |bench| {
            bench.delete_user(BOB);
            let change = UserChange::Password { user: BOB, verifier: verifier() };
            (Some(author(ADMIN)), Change::User(change))
        },
        error: Error::UserNotFound,
    },
    Case {
        name: "a crypto user's password of another",
        prepare: |_| {
            let change = UserChange::Password { user: ADMIN, verifier: verifier() };
            (Some(author(ALICE)), Change::User(change))
        },
        error: Error::RoleRefused,
    },
    Case {
        name: "the other admin is gone: the last one stays",
        prepare: |bench| {
            bench.delete_user(SECOND_ADMIN);
            (Some(author(ADMIN)), Change::User(UserChange::Delete { user: ADMIN }))
        },
        error: Error::LastAdmin,
    },
    Case {
        name: "the user owns a key by now",
        prepare: |bench| {
            bench.put(key_of(CAROL));
            (Some(author(ADMIN)), Change::User(UserChange::Delete { user: CAROL }))
        },
        error: Error::UserOwnsKeys,
    },
    Case {
        name: "the user is gone already",
        prepare: |bench| {
            bench.delete_user(CAROL);
            (Some(author(ADMIN)), Change::User(UserChange::Delete { user: CAROL }))
        },
        error: Error::UserNotFound,
    },
    Case {
        name: "somebody locks a user",
        prepare: |_| {
            let change = UserChange::Lock { user: BOB, epoch: Epoch(1) };
            (Some(author(ADMIN)), Change::User(change))
        },
        error: Error::RoleRefused,
    },
    Case {
        name: "the user to lock changed since",
        prepare: |bench| {
            bench.change_user(BOB, |user| user.epoch = Epoch(2));
            (None, Change::User(UserChange::Lock { user: BOB, epoch: Epoch(1) }))
        },
        error: Error::Busy(0),
    },
    Case {
        name: "the cluster is active by now: initialise",
        prepare: |bench| {
            cluster(bench, Lifecycle::Active);
            let (certificate, trust_anchor) = (vec![], vec![]);
            let change = LifecycleChange::Initialize { certificate, trust_anchor };
            (None, Change::Lifecycle(change))
        },
        error: Error::AlreadyInitialized,
    },
    Case {
        name: "the cluster is active by now: activate",
        prepare: |bench| {
            cluster(bench, Lifecycle::Active);
            let (id, verifier) = (UserId::from_bytes(random()), verifier());
            (None, Change::Lifecycle(LifecycleChange::Activate { id, verifier }))
        },
        error: Error::AlreadyActivated,
    },
    Case {
        name: "the cluster is not initialised: activate",
        prepare: |bench| {
            cluster(bench, Lifecycle::Uninitialized);
            let (id, verifier) = (UserId::from_bytes(random()), verifier());
            (None, Change::Lifecycle(LifecycleChange::Activate { id, verifier }))
        },
        error: Error::NotInitialized,
    },
];

#[test]
fn a_stale_view_of_the_target_changes_nothing() {
    for case in OBJECT_CASES.iter().chain(USER_CASES) {
        let mut bench = Bench::new();
        let (author, change) = (case.prepare)(&mut bench);
        let entry = bench.seal(&command(author, change));
        let before = bench.essence();
        assert_eq!(bench.apply(&entry), Err(case.error), "{}", case.name);
        assert_eq!(bench.essence(), before, "{}", case.name);
    }
}

#[test]
fn a_cluster_is_made_once() {
    let mut bench = Bench::new();
    let genesis = cluster(&mut bench, Lifecycle::Active);
    let before = bench.essence();
    assert_eq!(bench.apply(&genesis), Err(Error::AlreadyInitialized));
    assert_eq!(bench.essence(), before);
}
