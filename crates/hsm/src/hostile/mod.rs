//! Attackers as tests: whoever holds a stale state, the log, a sealed thing, a request or a guess.
//!
//! Each file is one attacker. They live inside the crate because they forge what only the module can make: a command that a
//! stale module sealed, a blob of another home. Each has a control: the same thing done rightly works, or the check
//! taken out is noticed.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and refuses all that it does not expect"
)]

use casemate_crypto::Secret;
use casemate_protocol::identity::{
    ClusterId, CommandId, Epoch, Generation, HsmId, Incarnation, LogInId, ObjectId, ObjectNumber,
    UserId, UserName,
};
use casemate_protocol::messages::{Answer, Reply};
use casemate_protocol::{AttributeType, Error, KeyType, ObjectClass, Role};
use prost::Message as _;

use crate::command::{Author, Change, Command};
use crate::entropy::{SystemEntropy, Time, draw};
use crate::lifecycle::ThisHsm;
use crate::log_in::password::Verifier;
use crate::objects::Object;
use crate::objects::access::seal_token;
use crate::objects::command::Sealed;
use crate::objects::material::Draft;
use crate::objects::object::{Header, Origin};
use crate::secrets::{Own, Secrets};
use crate::shared::Shared;
use crate::state::State;
use crate::users::User;
use crate::{Applier, limits};

mod forger;
mod guesser;
mod homes;
mod lagging_module;
mod newcomer;
mod replayer;
mod stale_author;
mod stale_target;

#[path = "../../tests/module/one_hsm.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod one_hsm;

const ADMIN: UserId = UserId::from_bytes([1; 16]);
const SECOND_ADMIN: UserId = UserId::from_bytes([2; 16]);
const ALICE: UserId = UserId::from_bytes([3; 16]);
const BOB: UserId = UserId::from_bytes([4; 16]);
/// Owns nothing.
const CAROL: UserId = UserId::from_bytes([5; 16]);
const NOW: Time = Time(1_800_000_000_000);

fn random<const N: usize>() -> [u8; N] {
    draw(&SystemEntropy)
}

fn this_hsm() -> ThisHsm {
    ThisHsm {
        peer_address: "127.0.0.1:2224".to_owned(),
        id: HsmId::from_bytes([1; 10]),
        address: "127.0.0.1:2223".to_owned(),
        zone: "1".to_owned(),
        version: "0".to_owned(),
        protection: String::new(),
    }
}

fn secrets() -> Secrets {
    let (cluster, incarnation) = (ClusterId::from_bytes([7; 10]), Incarnation::from_bytes([8; 16]));
    Secrets::generate(cluster, incarnation, HsmId::from_bytes([1; 10]), Own::generate().unwrap())
}

fn verifier() -> Verifier {
    Verifier { rounds: 1, salt: random(), hash: random() }
}

fn user(id: UserId, name: &str, role: Role) -> User {
    let name = UserName::new(name).unwrap();
    User { id, name, role, epoch: Epoch(1), verifier: verifier(), locked: false }
}

/// The one log-in of a user, as a module knew it at first.
fn author(user: UserId) -> Author {
    let role = if [ADMIN, SECOND_ADMIN].contains(&user) { Role::Admin } else { Role::CryptoUser };
    Author { user, role, epoch: Epoch(1), log_in: LogInId::from_bytes(*user.as_bytes()) }
}

fn command(author: Option<Author>, change: Change) -> Command {
    let id = CommandId::from_bytes(random());
    let proposer = HsmId::from_bytes([1; 10]);
    Command { id, proposer, time: NOW, author, request: None, change }
}

/// The header of a secret key that its owner may still change in every way.
fn key_of(owner: UserId) -> Header {
    let mut header = Header {
        id: ObjectId::from_bytes(random()),
        generation: Generation(1),
        class: ObjectClass::SecretKey,
        key_type: Some(KeyType::Aes),
        size: 32,
        owner,
        shared_with: Vec::new(),
        log_in: None,
        origin: Origin::Created,
        flags: crate::objects::flags::Flags::default(),
        attributes: Vec::new(),
    };
    let flags = [
        AttributeType::Token,
        AttributeType::Private,
        AttributeType::Extractable,
        AttributeType::Modifiable,
        AttributeType::Copyable,
        AttributeType::Destroyable,
        AttributeType::Sign,
    ];
    flags.into_iter().for_each(|flag| header.flags.set(flag, true));
    header
}

/// A state with users and keys, and the module that applies commands to it.
struct Bench {
    applier: Applier,
    index: u64,
}

impl Bench {
    fn new() -> Self {
        let mut applier = Applier::new(Shared::new(secrets(), this_hsm(), Box::new(SystemEntropy)));
        for (id, name, role) in [
            (ADMIN, "admin", Role::Admin),
            (SECOND_ADMIN, "second", Role::Admin),
            (ALICE, "alice", Role::CryptoUser),
            (BOB, "bob", Role::CryptoUser),
            (CAROL, "carol", Role::CryptoUser),
        ] {
            applier.state.users.put(user(id, name, role));
        }
        applier.state.time = NOW;
        Self { applier, index: 0 }
    }

    fn sealed(&self, header: Header) -> Sealed {
        let draft = Draft { header, material: Secret::from_slice(&[6; 32]) };
        seal_token(&self.applier.shared.keyring(), &draft)
    }

    /// Puts an object into the state, past every check.
    fn put(&mut self, header: Header) -> ObjectNumber {
        let number = self.applier.state.objects.next_number();
        self.put_at(number, header);
        number
    }

    fn put_at(&mut self, number: ObjectNumber, header: Header) {
        let Sealed { sealed, bytes } = self.sealed(header);
        self.applier.state.objects.insert(Object::new(number, sealed, bytes).unwrap());
    }

    /// Changes a user, past every check.
    fn change_user(&mut self, id: UserId, change: impl FnOnce(&mut User)) {
        let mut user = User::clone(self.applier.state.users.get(id).unwrap());
        self.applier.state.users.remove(&user);
        change(&mut user);
        self.applier.state.users.put(user);
    }

    fn delete_user(&mut self, id: UserId) {
        let user = User::clone(self.applier.state.users.get(id).unwrap());
        self.applier.state.users.remove(&user);
    }

    fn seal(&self, command: &Command) -> Vec<u8> {
        command.seal(&self.applier.shared.keyring())
    }

    fn apply(&mut self, entry: &[u8]) -> Result<(), Error> {
        self.index += 1;
        let reply = self.applier.apply(self.index, entry);
        match Reply::decode(reply.as_slice()).unwrap().answer.unwrap() {
            Answer::Error(error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The hash of the state without what every entry moves: index, head, time, and the replies that are remembered.
    fn essence(&self) -> Vec<u8> {
        Self::essence_of(&self.applier)
    }

    fn essence_of(applier: &Applier) -> Vec<u8> {
        let mut state = applier.state.clone();
        let still = State::default();
        (state.index, state.head, state.time) = (still.index, still.head, still.time);
        state.window = still.window;
        state.hash(&applier.shared.keyring())
    }
}
