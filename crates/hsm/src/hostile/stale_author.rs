//! A module that is behind seals commands that were right when it looked: `apply` decides on the state at their index.
//!
//! Attack: `eve` is deleted, or logs out, or loses a right, on one HSM; another has not heard of it and goes on for her.

use casemate_protocol::identity::{Epoch, Generation, HsmId, ObjectId, UserId, UserName};
use casemate_protocol::{AttributeType, Error, Role};
use strum::VariantArray as _;

use super::{
    ADMIN, ALICE, BOB, Bench, CAROL, NOW, SECOND_ADMIN, author, command, key_of, random, verifier,
};
use crate::command::{Author, Change};
use crate::lifecycle::LifecycleChange;
use crate::members::MemberChange;
use crate::objects::ObjectCommand;
use crate::objects::object::Header;
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
    KeepSessionFloors,
    RemoveHsm,
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
        Change::Objects(ObjectCommand::KeepSessionFloors) => &[Kind::KeepSessionFloors],
        // These need a cluster with a certificate: `newcomer.rs` and `lagging_module.rs`.
        Change::Member(MemberChange::Admit(_))
        | Change::Lifecycle(LifecycleChange::Settings(_)) => &[],
        // On nobody's behalf.
        Change::Member(MemberChange::Update(_)) => &[],
        Change::Member(MemberChange::Remove(_)) => &[Kind::RemoveHsm],
    }
}

pub(super) fn next(header: &Header, change: impl FnOnce(&mut Header)) -> Header {
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
                let mut stays = of_alice;
                stays.flags.set(AttributeType::Extractable, false);
                stays.flags.set(AttributeType::Sensitive, true);
                let number = self.put(stays.clone());
                let trusted = |key: &mut Header| key.flags.set(AttributeType::Trusted, true);
                let object = self.sealed(next(&stays, trusted));
                (author(ADMIN), Change::Objects(ObjectCommand::Replace { number, object }))
            }
            Kind::Destroy => objects(ObjectCommand::Destroy { number }),
            Kind::SessionFloor => {
                let (log_in, object) = (author(ALICE).log_in, ObjectId::from_bytes(random()));
                objects(ObjectCommand::SessionFloor { log_in, object, floor: Generation(2) })
            }
            Kind::KeepSessionFloors => {
                let kept = (author(ALICE).log_in, ObjectId::from_bytes(random()));
                let floors = &mut self.applier.state.objects.session_floors;
                floors.raise(kept, Generation(2), NOW);
                objects(ObjectCommand::KeepSessionFloors)
            }
            Kind::RemoveHsm => {
                let ids = [8, 9].map(|id| HsmId::from_bytes([id; 10]));
                ids.iter().for_each(|id| self.applier.state.members.put(*id, Default::default()));
                (author(ADMIN), Change::Member(MemberChange::Remove(ids[1])))
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
    OtherRole,
    LoggedOut,
    DeletedAndMadeAgain,
}

impl Staleness {
    fn happen(self, bench: &mut Bench, author: &Author) {
        match self {
            Self::Deleted => bench.delete_user(author.user),
            Self::PasswordChanged => bench.change_user(author.user, |user| user.epoch = Epoch(2)),
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
