//! A module that is behind seals commands that were right when it looked: `apply` decides on the state at their index.
//!
//! Attack: `eve` is deleted, or logs out, or loses a right, on one HSM; another has not heard of it and goes on for her.

use casemate_protocol::identity::{
    Epoch, Generation, LogInId, ObjectId, ObjectNumber, UserId, UserName,
};
use casemate_protocol::messages::Lifecycle;
use casemate_protocol::{AttributeType, Error, Role};
use strum::VariantArray as _;

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
use crate::reader::Shared;
use crate::users::{User, UserChange};

/// Every kind of command that has an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
enum Kind {
    CreateUser,
    OwnPassword,
    OtherPassword,
    DeleteUser,
    LogOut,
    Create,
    CreatePair,
    Replace,
    Trust,
    Destroy,
    SessionFloor,
}

/// A new kind of command does not compile here until it is decided which of [`Kind`] covers it.
fn covered_by(change: &Change) -> &'static [Kind] {
    match change {
        Change::Lifecycle(
            LifecycleChange::Create { .. }
            | LifecycleChange::Initialize { .. }
            | LifecycleChange::Activate { .. },
        ) => &[],
        Change::User(UserChange::Create { .. }) => &[Kind::CreateUser],
        Change::User(UserChange::Password { .. }) => &[Kind::OwnPassword, Kind::OtherPassword],
        Change::User(UserChange::Delete { .. }) => &[Kind::DeleteUser],
        Change::User(UserChange::Lock { .. }) => &[],
        Change::LogOut { .. } => &[Kind::LogOut],
        Change::Objects(ObjectCommand::Create(_)) => &[Kind::Create],
        Change::Objects(ObjectCommand::CreatePair(..)) => &[Kind::CreatePair],
        Change::Objects(ObjectCommand::Replace { .. }) => &[Kind::Replace, Kind::Trust],
        Change::Objects(ObjectCommand::Destroy { .. }) => &[Kind::Destroy],
        Change::Objects(ObjectCommand::SessionFloor { .. }) => &[Kind::SessionFloor],
    }
}

fn next(header: &Header, change: impl FnOnce(&mut Header)) -> Header {
    let mut header = header.clone();
    header.generation = Generation(header.generation.0 + 1);
    change(&mut header);
    header
}

impl Bench {
    /// What a module seals on behalf of a user of the right role, and the user.
    fn proposed(&mut self, kind: Kind) -> (Author, Change) {
        let of_alice = key_of(ALICE);
        let number = self.put(of_alice.clone());
        let objects = |change| (author(ALICE), Change::Objects(change));
        let users = |user, change| (author(user), Change::User(change));
        let (author, change) = match kind {
            Kind::CreateUser => {
                let (id, name) = (UserId::from_bytes(random()), UserName::new("new").unwrap());
                let (role, verifier) = (Role::Admin, verifier());
                users(ADMIN, UserChange::Create { id, name, role, verifier })
            }
            Kind::OwnPassword => {
                users(ALICE, UserChange::Password { user: ALICE, verifier: verifier() })
            }
            Kind::OtherPassword => {
                users(ADMIN, UserChange::Password { user: SECOND_ADMIN, verifier: verifier() })
            }
            Kind::DeleteUser => users(ADMIN, UserChange::Delete { user: CAROL }),
            Kind::LogOut => {
                let log_in = author(ALICE).log_in;
                (author(ALICE), Change::LogOut { log_in, until: NOW })
            }
            Kind::Create => objects(ObjectCommand::Create(self.sealed(of_alice))),
            Kind::CreatePair => {
                let (one, two) = (self.sealed(key_of(ALICE)), self.sealed(key_of(ALICE)));
                objects(ObjectCommand::CreatePair(one, two))
            }
            Kind::Replace => {
                let sensitive = |key: &mut Header| key.flags.set(AttributeType::Sensitive, true);
                let object = self.sealed(next(&of_alice, sensitive));
                objects(ObjectCommand::Replace { number, object })
            }
            Kind::Trust => {
                let trusted = |key: &mut Header| key.flags.set(AttributeType::Trusted, true);
                let object = self.sealed(next(&of_alice, trusted));
                (author(ADMIN), Change::Objects(ObjectCommand::Replace { number, object }))
            }
            Kind::Destroy => objects(ObjectCommand::Destroy { number }),
            Kind::SessionFloor => {
                let (log_in, object) = (author(ALICE).log_in, ObjectId::from_bytes(random()));
                objects(ObjectCommand::SessionFloor { log_in, object, floor: Generation(2) })
            }
        };
        assert!(covered_by(&change).contains(&kind));
        (author, change)
    }
}

/// What may have happened to the author before his command came to its index.
#[derive(Clone, Copy, Debug, strum::VariantArray)]
enum Staleness {
    Deleted,
    PasswordChanged,
    Locked,
    OtherRole,
    LoggedOut,
    DeletedAndMadeAgain,
}

impl Staleness {
    fn happen(self, bench: &mut Bench, author: &Author) {
        match self {
            Self::Deleted => bench.delete_user(author.user),
            Self::PasswordChanged => bench.change_user(author.user, |user| user.epoch = Epoch(2)),
            Self::Locked => {
                let (user, epoch) = (author.user, author.epoch);
                let lock = Change::User(UserChange::Lock { user, epoch });
                let entry = bench.seal(&command(None, lock));
                bench.apply(&entry).unwrap();
            }
            Self::OtherRole => bench.change_user(author.user, |user| {
                let admin = user.role == Role::Admin;
                user.role = if admin { Role::CryptoUser } else { Role::Admin };
            }),
            Self::LoggedOut => bench.applier.state.revoke(author.log_in, NOW.after_ms(1)),
            Self::DeletedAndMadeAgain => {
                let old = User::clone(bench.applier.state.users.get(author.user).unwrap());
                bench.delete_user(author.user);
                bench.applier.state.users.put(User { id: UserId::from_bytes(random()), ..old });
            }
        }
    }
}

/// Everything that a stale author could do, in words.
fn what_stale_authors_can_do(believes_authors: bool) -> Vec<String> {
    let mut done = Vec::new();
    for &kind in Kind::VARIANTS {
        for &staleness in Staleness::VARIANTS {
            let mut bench = Bench::new();
            bench.applier.believes_authors = believes_authors;
            let (author, change) = bench.proposed(kind);
            let entry = bench.seal(&command(Some(author), change));
            staleness.happen(&mut bench, &author);
            let before = bench.essence();
            let result = bench.apply(&entry);
            if result != Err(Error::TicketInvalid) || bench.essence() != before {
                done.push(format!("{kind:?} by an author: {staleness:?}"));
            }
        }
    }
    done
}

#[test]
fn a_fresh_author_can_do_all_of_it() {
    for &kind in Kind::VARIANTS {
        let mut bench = Bench::new();
        let (author, change) = bench.proposed(kind);
        let entry = bench.seal(&command(Some(author), change));
        let before = bench.essence();
        assert!(bench.apply(&entry).is_ok(), "{kind:?}");
        assert_ne!(bench.essence(), before, "{kind:?}");
    }
}

#[test]
fn a_stale_author_can_do_nothing() {
    assert_eq!(what_stale_authors_can_do(false), Vec::<String>::new());
}

/// The control: with the check taken out of `apply`, the test above fails, for every kind of command.
#[test]
fn without_the_check_in_apply_stale_authors_can() {
    let done = what_stale_authors_can_do(true);
    for kind in Kind::VARIANTS {
        assert!(done.iter().any(|done| done.starts_with(&format!("{kind:?} "))), "{kind:?}");
    }
}

/// The author's role is looked up in the table again, whatever the module that sealed thought.
#[test]
fn an_author_of_the_wrong_role_can_do_nothing() {
    for &kind in Kind::VARIANTS {
        let mut bench = Bench::new();
        let (right, change) = bench.proposed(kind);
        // An admin may set anybody's password.
        let by_bob = right.role == Role::Admin || kind == Kind::OwnPassword;
        let wrong = if by_bob { BOB } else { ADMIN };
        let entry = bench.seal(&command(Some(author(wrong)), change));
        let before = bench.essence();
        assert!(bench.apply(&entry).is_err(), "{kind:?}");
        assert_eq!(bench.essence(), before, "{kind:?}");
        let (_, change) = bench.proposed(kind);
        let before = bench.essence();
        let entry = bench.seal(&command(None, change));
        assert!(bench.apply(&entry).is_err(), "{kind:?} by nobody");
        assert_eq!(bench.essence(), before, "{kind:?} by nobody");
    }
}

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
