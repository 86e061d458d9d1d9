//! Who owns a disk, a backup or a voter writes into the log: bytes changed, commands of another cluster or incarnation, copies
//! of old ones. None takes effect.

use casemate_crypto::Secret;
use casemate_protocol::Error;
use casemate_protocol::identity::{
    ClientInstance, ClusterId, CommandId, Epoch, HsmId, Incarnation, ObjectNumber, UserId,
};

use super::{
    ADMIN, ALICE, BOB, Bench, CAROL, NOW, author, command, key_of, limits, secrets, verifier,
};
use crate::command::{Author, Change, Command, Request};
use crate::objects::ObjectCommand;
use crate::sealing::{Keyring, Purpose};
use crate::secrets::{Own, Secrets};
use crate::users::UserChange;
use crate::window::RequestId;

fn request(user: UserId, sequence: u64) -> Option<Request> {
    let client = ClientInstance::from_bytes([1; 16]);
    Some(Request { id: RequestId { user, client, sequence }, digest: [1; 32] })
}

fn delete(by: Author, sequence: u64) -> Command {
    let change = Change::User(UserChange::Delete { user: CAROL });
    Command { request: request(by.user, sequence), ..command(Some(by), change) }
}

#[test]
fn no_byte_of_a_command_can_be_changed_and_none_left_out() {
    let mut bench = Bench::new();
    let entry = bench.seal(&delete(author(ADMIN), 1));
    let before = bench.essence();
    for at in 0..entry.len() {
        for bit in [0x01, 0x80] {
            let mut forged = entry.clone();
            forged[at] ^= bit;
            assert_eq!(bench.apply(&forged), Err(Error::Internal), "byte {at}");
        }
        assert_eq!(bench.apply(&entry[..at]), Err(Error::Internal), "cut at {at}");
    }
    assert_eq!(bench.apply(&[entry.clone(), vec![0]].concat()), Err(Error::Internal));
    assert_eq!(bench.essence(), before);
    // The control: as it was sealed, it takes effect.
    assert_eq!(bench.apply(&entry), Ok(()));
    assert_ne!(bench.essence(), before);
}

/// The same keys, with one id changed in the exported form.
fn with_other(bytes: usize, place: usize) -> Secrets {
    let mut exported = secrets_of_bench().expose().to_vec();
    let domain = 4 + "casemate/secrets/v1".len();
    let end = domain + place + bytes;
    exported[domain + place..end].iter_mut().for_each(|byte| *byte ^= 0xff);
    Secrets::import(&exported).unwrap()
}

thread_local! {
    static SECRETS: Secret = secrets().export();
}

fn secrets_of_bench() -> Secret {
    SECRETS.with(|secrets| Secret::from_slice(secrets.expose()))
}

fn bench_with_known_secrets() -> Bench {
    let bench = Bench::new();
    bench.applier.shared.use_secrets(Secrets::import(secrets_of_bench().expose()).unwrap());
    bench
}

#[test]
fn commands_of_another_cluster_incarnation_or_purpose_do_nothing() {
    let mut bench = bench_with_known_secrets();
    let before = bench.essence();
    let command = delete(author(ADMIN), 1);
    let other_keys = {
        let (cluster, incarnation) =
            (ClusterId::from_bytes([7; 10]), Incarnation::from_bytes([8; 16]));
        let hsm = HsmId::from_bytes([1; 10]);
        Secrets::generate(cluster, incarnation, hsm, Own::generate().unwrap())
    };
    for (who, secrets) in [
        ("a cluster with the same ids and other keys", other_keys),
        ("another cluster with the same keys", with_other(10, 0)),
        ("another incarnation with the same masking key", with_other(16, 10)),
    ] {
        let forged = command.seal(&Keyring::new(&secrets));
        assert_eq!(bench.apply(&forged), Err(Error::Internal), "{who}");
    }
    // What this very module sealed for another purpose is no command.
    let keyring = bench.applier.shared.keyring();
    let opened = keyring.open(Purpose::Log, &command.seal(&keyring)).unwrap();
    for purpose in [Purpose::Token, Purpose::Snapshot, Purpose::Session, Purpose::Ticket] {
        let forged = keyring.seal(purpose, &opened.fields, opened.plaintext.expose());
        assert_eq!(bench.apply(&forged), Err(Error::Internal), "{purpose:?}");
    }
    assert_eq!(bench.essence(), before);
    let right = keyring.seal(Purpose::Log, &opened.fields, opened.plaintext.expose());
    assert_eq!(bench.apply(&right), Ok(()));
}

#[test]
fn a_masking_key_that_is_gone_opens_nothing() {
    let mut bench = Bench::new();
    let old = bench.seal(&delete(author(ADMIN), 1));
    let secrets = bench.applier.shared.secrets();
    bench.applier.shared.use_secrets(secrets.with_new_masking_key());
    let secrets = bench.applier.shared.secrets();
    bench.applier.shared.use_secrets(secrets.without_masking_keys_before(2));
    assert_eq!(bench.apply(&old), Err(Error::Internal));
    let new = bench.seal(&delete(author(ADMIN), 1));
    assert_eq!(bench.apply(&new), Ok(()));
}

/// A voter proposes an entry again that it has in its log: byte for byte, and sealed anew by a module that was asked twice.
#[test]
fn copies_of_a_command_take_effect_once() {
    let mut bench = Bench::new();
    let create = |bench: &Bench, sequence| {
        let change = Change::Objects(ObjectCommand::Create(bench.sealed(key_of(ALICE))));
        Command { request: request(ALICE, sequence), ..command(Some(author(ALICE)), change) }
    };
    let first = create(&bench, 1);
    let entry = bench.seal(&first);
    assert_eq!(bench.apply(&entry), Ok(()));
    let before = bench.essence();
    assert_eq!(bench.apply(&entry), Ok(()), "the first reply");
    let sealed_again = bench.seal(&Command { id: CommandId::from_bytes([0; 16]), ..first });
    assert_eq!(bench.apply(&sealed_again), Ok(()), "the first reply");
    assert_eq!(bench.essence(), before);
    // Still so when so many others came that its reply was forgotten.
    for sequence in 2..limits::RETRY_WINDOW_REPLIES as u64 + 3 {
        let change = Change::Objects(ObjectCommand::Destroy { number: ObjectNumber(99) });
        let other = command(Some(author(ALICE)), change);
        let other = bench.seal(&Command { request: request(ALICE, sequence), ..other });
        assert_eq!(bench.apply(&other), Err(Error::ObjectNotFound));
    }
    assert_eq!(bench.apply(&entry), Err(Error::RequestTooOld));
    // And when so much time went by that its client was forgotten.
    let tick = |bench: &mut Bench, ms| {
        let change = Change::User(UserChange::Lock { user: BOB, epoch: Epoch(99) });
        let tick = Command { time: NOW.after_ms(ms), ..command(None, change) };
        let tick = bench.seal(&tick);
        assert_eq!(bench.apply(&tick), Err(Error::Busy(0)));
    };
    (0..200).for_each(|_| tick(&mut bench, limits::RETRY_CLIENT_MS * 2));
    assert_eq!(bench.apply(&entry), Err(Error::RequestTooOld));
    assert_eq!(bench.essence(), before);
}

/// A command without a request is known by what it saw.
#[test]
fn a_copy_of_a_lock_does_not_lock_again() {
    let mut bench = Bench::new();
    let change = Change::User(UserChange::Lock { user: BOB, epoch: Epoch(1) });
    let entry = bench.seal(&command(None, change));
    assert_eq!(bench.apply(&entry), Ok(()));
    let change = Change::User(UserChange::Password { user: BOB, verifier: verifier() });
    let unlock = bench.seal(&command(Some(author(ADMIN)), change));
    assert_eq!(bench.apply(&unlock), Ok(()));
    let before = bench.essence();
    assert_eq!(bench.apply(&entry), Err(Error::Busy(0)));
    assert_eq!(bench.essence(), before);
}

/// Mallory cannot have the reply to somebody else's request, nor take its number away.
#[test]
fn a_request_of_another_user_than_the_author_is_refused() {
    let mut bench = Bench::new();
    let before = bench.essence();
    let forged = Command { request: request(ALICE, 1), ..delete(author(ADMIN), 1) };
    let forged = bench.seal(&forged);
    assert_eq!(bench.apply(&forged), Err(Error::Internal));
    assert_eq!(bench.essence(), before);
    let other_body = {
        let mut other = delete(author(ADMIN), 7);
        other.request = other.request.map(|request| Request { digest: [9; 32], ..request });
        other
    };
    let (first, other) = (bench.seal(&delete(author(ADMIN), 7)), bench.seal(&other_body));
    assert_eq!(bench.apply(&first), Ok(()));
    assert_eq!(bench.apply(&other), Err(Error::RequestIdReused));
}
