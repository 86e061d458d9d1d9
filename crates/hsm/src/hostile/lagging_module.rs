//! Two modules of one cluster, one of which lags: whatever it proposes on an old state, the log decides like a module that is up
//! to date.
//!
//! Each step asks the lagging module for something on behalf of somebody. If it proposes, the entry goes into the log.
//! The oracle is a module that is up to date: what it would refuse must not take effect. Beside it stand facts that hold whatever the
//! code says: there is an admin, each key has an owner, no key gains rights.

use std::cell::Cell;
use std::collections::BTreeMap;

use casemate_crypto::Secret;
use casemate_protocol::messages::{
    Answer, Ask, CreateUser, Empty, GenerateKey, LogIn, MechanismUse, NamedUser, ObjectAndTemplate,
    ObjectReference, Reply,
};
use casemate_protocol::{Attribute, AttributeType, Mechanism, Role, Template};
use proptest::collection;
use proptest::prelude::{Just, Strategy as _, prop_oneof};
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner};
use prost::Message as _;

use super::Bench;
use super::one_hsm::{Begun, Connection, Hsm, PASSWORD};
use crate::limits;

/// Who may be asked for, by name and role.
const USERS: [(&str, Role); 5] = [
    ("admin", Role::Admin),
    ("second", Role::Admin),
    ("alice", Role::CryptoUser),
    ("bob", Role::CryptoUser),
    ("carol", Role::CryptoUser),
];

/// Numbers from which one request is made.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: u8,
    who: usize,
    target: usize,
    flag: bool,
    /// Entries that the lagging module applies before it is asked.
    catches_up: usize,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    // Mostly it stays behind, and now and then it catches up.
    let catches_up = prop_oneof![8 => Just(0_usize), 4 => Just(1), 1 => Just(100)];
    let numbers = (0..10_u8, 0..64_usize, 0..64_usize, proptest::bool::ANY, catches_up);
    let step = numbers.prop_map(|(kind, who, target, flag, catches_up)| Step {
        kind,
        who,
        target,
        flag,
        catches_up,
    });
    collection::vec(step, 40..120)
}

impl Step {
    /// Who asks: mostly somebody who may.
    const fn user(self) -> usize {
        match self.kind {
            _ if self.who < 8 => self.who % USERS.len(),
            0..=2 => self.who % 2,
            _ => 2 + self.who % 3,
        }
    }
}

fn object(step: Step) -> Option<ObjectReference> {
    Some(ObjectReference { number: step.target as u64 % 8 + 1, ..ObjectReference::default() })
}

fn ask(step: Step) -> Ask {
    let (name, role) = USERS[step.target % USERS.len()];
    let (user, role, password) = (name.to_owned(), role.number(), PASSWORD.to_owned());
    match step.kind {
        0 => Ask::CreateUser(CreateUser { user, role, password }),
        1 => Ask::ChangePassword(CreateUser { user, role, password }),
        2 => Ask::DeleteUser(NamedUser { user, role }),
        3 => Ask::LogOut(Empty {}),
        4 | 5 => {
            let mechanism = Mechanism::AesKeyGen.number();
            let mut template = Template::default();
            template.set(Attribute::number(AttributeType::ValueLen, 32));
            template.set(Attribute::flag(AttributeType::Token, true));
            template.set(Attribute::flag(AttributeType::Extractable, true));
            template.set(Attribute::flag(AttributeType::Sensitive, step.flag));
            Ask::GenerateKey(GenerateKey {
                mechanism: Some(MechanismUse { mechanism, parameter: None }),
                template: Some(template),
            })
        }
        6 => Ask::DestroyObject(object(step).unwrap_or_default()),
        kind => {
            let attribute = [
                AttributeType::Sensitive,
                AttributeType::Extractable,
                AttributeType::Trusted,
                AttributeType::Destroyable,
            ];
            let flag = attribute[usize::from(kind + u8::from(step.who > 32)) % attribute.len()];
            let template = Template { attributes: vec![Attribute::flag(flag, step.flag)] };
            Ask::SetAttributes(ObjectAndTemplate { object: object(step), template: Some(template) })
        }
    }
}

struct Cluster {
    /// Up to date: its log is the log.
    fresh: Hsm,
    lagging: Hsm,
    connections: Vec<Connection>,
    /// The rights that a key had at any time: they only fall.
    rights: BTreeMap<u64, (bool, bool)>,
    /// How often the lagging module proposed what the other would have refused.
    stale: usize,
}

impl Hsm {
    /// Applies so many entries that another module has and this one has not.
    fn apply_from(&mut self, other: &Self, entries: usize) {
        for _ in 0..entries {
            let next = self.applier.index();
            let Some(entry) = usize::try_from(next).ok().and_then(|at| other.log.get(at)) else {
                return;
            };
            self.applier.apply(next + 1, entry);
            self.applier.publish();
        }
    }
}

impl Cluster {
    fn new() -> Self {
        let mut fresh = Hsm::active();
        for (name, role) in USERS {
            if name != "admin" {
                fresh.create_user(name, role);
            }
        }
        let lagging = fresh.restart(true);
        let connections = USERS.map(|(name, role)| fresh.log_in(name, role)).into();
        Self { fresh, lagging, connections, rights: BTreeMap::new(), stale: 0 }
    }

    /// Logs a user in again, on the module that is up to date; nothing if he is gone.
    fn log_in_again(&mut self, user: usize) {
        let (name, role) = USERS[user];
        let mut connection = self.fresh.connect();
        let (name, password) = (name.to_owned(), PASSWORD.to_owned());
        let client = Secret::random(16).expose().to_vec();
        let ask = Ask::LogIn(LogIn { user: name, password, role: role.number(), client });
        if matches!(connection.ask(&mut self.fresh, ask), Answer::LoggedIn(_)) {
            self.connections[user] = connection;
        }
    }

    fn essence(&self) -> Vec<u8> {
        Bench::essence_of(&self.fresh.applier)
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let fail = |what: String| Err(TestCaseError::fail(what));
        self.lagging.apply_from(&self.fresh, step.catches_up);
        self.fresh.now = self.fresh.now.after_ms(limits::TICKET_MS / 1_000);
        self.lagging.now = self.fresh.now;
        let user = step.user();
        let connection = &mut self.connections[user];
        let begun = connection.begin(&self.lagging, ask(step));
        // The same request, as a module that is up to date sees it: nothing of it is committed.
        let refused_by_fresh = match connection.begin(&self.fresh, ask(step)) {
            Begun::Answered(answered) => matches!(answered.reply.answer, Some(Answer::Error(_))),
            Begun::Proposed(_) => false,
        };
        let Begun::Proposed(proposal) = begun else {
            // Even the lagging module knows that this log-in is over.
            if refused_by_fresh {
                self.log_in_again(user);
            }
            return Ok(());
        };
        self.stale += usize::from(refused_by_fresh);
        let before = self.essence();
        let reply = self.fresh.commit(proposal.entry);
        let reply = Reply::decode(reply.as_slice())
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let refused = matches!(reply.answer, Some(Answer::Error(_)));
        let changed = self.essence() != before;
        if refused_by_fresh && !refused {
            return fail(format!("a module that is up to date refuses this: {step:?}"));
        }
        if refused && changed {
            return fail(format!("refused, but it changed the state: {step:?}"));
        }
        self.facts()
    }

    fn facts(&mut self) -> Result<(), TestCaseError> {
        let state = &self.fresh.applier.state;
        if state.users.count(Role::Admin) == 0 {
            return Err(TestCaseError::fail("no admin is left"));
        }
        for object in state.objects.iter() {
            let number = object.number().0;
            if state.users.get(object.owner()).is_none_or(|user| user.role != Role::CryptoUser) {
                return Err(TestCaseError::fail(format!("key {number} has no owner")));
            }
            let now =
                (object.has(AttributeType::Sensitive), object.has(AttributeType::Extractable));
            let before = self.rights.insert(number, now).unwrap_or(now);
            if before.0 && !now.0 || !before.1 && now.1 {
                return Err(TestCaseError::fail(format!("key {number} gained a right")));
            }
        }
        Ok(())
    }
}

/// Returns how many stale proposals came to the log.
fn run(cases: u32, believes_authors: bool) -> Result<usize, TestError<Vec<Step>>> {
    let stale = Cell::new(0);
    let persistence = Some(Box::new(FileFailurePersistence::Off) as _);
    // A failure of the control need not be made small.
    let max_shrink_iters = if believes_authors { 0 } else { 2_000 };
    let config =
        Config { cases, failure_persistence: persistence, max_shrink_iters, ..Config::default() };
    TestRunner::new(config).run(&steps(), |steps| {
        let mut cluster = Cluster::new();
        cluster.fresh.applier.believes_authors = believes_authors;
        let result = steps.into_iter().try_for_each(|step| cluster.take(step));
        stale.set(stale.get() + cluster.stale);
        result
    })?;
    Ok(stale.get())
}

#[test]
fn a_lagging_module_changes_nothing_that_an_up_to_date_one_would_refuse() {
    match run(64, false) {
        Ok(stale) => assert!(stale > 80, "too few stale proposals to say anything: {stale}"),
        Err(error) => panic!("{error}"),
    }
}

/// The control: with the check taken out of `apply`, the property above fails.
#[test]
fn without_the_check_in_apply_the_lagging_module_is_believed() {
    assert!(matches!(run(200, true), Err(TestError::Fail(..))));
}
