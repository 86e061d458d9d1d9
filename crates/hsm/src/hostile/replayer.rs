//! Whoever saw a request, a ticket or a token of an index sends it again, or another in its name.

use casemate_crypto::{Hash, hmac};
use casemate_protocol::messages::{Answer, Ask, CreateUser, Empty, LogIn, Request, UseTicket};
use casemate_protocol::{Error, Role, statements};
use prost::Message as _;

use super::limits;
use super::one_hsm::{Connection, Hsm, PASSWORD, describe, expect_done, expect_error};
use crate::outcome::Outcome;
use crate::reader::Call;

fn log_in(hsm: &mut Hsm, user: &str, client: u8) -> Connection {
    let mut connection = hsm.connect();
    let (user, password) = (user.to_owned(), PASSWORD.to_owned());
    let ask = LogIn { user, password, role: Role::Admin.number(), client: vec![client; 16] };
    assert!(matches!(connection.ask(hsm, Ask::LogIn(ask)), Answer::LoggedIn(_)));
    connection
}

fn create(user: &str) -> Ask {
    let (user, password) = (user.to_owned(), PASSWORD.to_owned());
    Ask::CreateUser(CreateUser { user, role: Role::CryptoUser.number(), password })
}

/// Mallory, who saw the number of Alice's request and her client's instance: he neither gets her reply nor takes it from her.
#[test]
fn the_number_of_anothers_request_is_worth_nothing() {
    let mut hsm = Hsm::active();
    hsm.create_user("mallory", Role::Admin);
    let mut alice = log_in(&mut hsm, "admin", 7);
    let mut mallory = log_in(&mut hsm, "mallory", 7);
    // He was there first.
    assert!(matches!(mallory.ask_as(&mut hsm, 500, create("his")), Answer::User(_)));
    let hers = alice.ask_as(&mut hsm, 500, create("fresh"));
    assert!(matches!(&hers, Answer::User(user) if user.user == "fresh"), "{}", describe(&hers));
    // He comes second, with her very words.
    expect_error(mallory.ask_as(&mut hsm, 501, create("fresh")), Error::UserExists);
    expect_error(mallory.ask_as(&mut hsm, 500, create("fresh")), Error::RequestIdReused);
    let again = alice.ask_as(&mut hsm, 500, create("fresh"));
    assert!(again == hers, "{}", describe(&again));
}

#[test]
fn the_same_number_with_another_body_is_refused() {
    let mut hsm = Hsm::active();
    let mut admin = log_in(&mut hsm, "admin", 7);
    assert!(matches!(admin.ask_as(&mut hsm, 9, create("one")), Answer::User(_)));
    let before = hsm.state_hash();
    expect_error(admin.ask_as(&mut hsm, 9, create("two")), Error::RequestIdReused);
    assert_eq!(hsm.state_hash(), before);
}

#[test]
fn what_the_window_forgot_is_never_applied_again() {
    let mut hsm = Hsm::active();
    let mut admin = log_in(&mut hsm, "admin", 7);
    let first = 10;
    assert!(matches!(admin.ask_as(&mut hsm, first, create("one")), Answer::User(_)));
    let delete = |user: &str| {
        let (user, role) = (user.to_owned(), Role::CryptoUser.number());
        Ask::DeleteUser(casemate_protocol::messages::NamedUser { user, role })
    };
    assert!(matches!(admin.ask_as(&mut hsm, first + 1, delete("one")), Answer::User(_)));
    let change = || {
        let (user, password) = ("app".to_owned(), PASSWORD.to_owned());
        Ask::ChangePassword(CreateUser { user, role: Role::CryptoUser.number(), password })
    };
    // Forgotten by count.
    for sequence in first + 2..first + 3 + limits::RETRY_WINDOW_REPLIES as u64 {
        assert!(matches!(admin.ask_as(&mut hsm, sequence, change()), Answer::User(_)));
    }
    expect_error(admin.ask_as(&mut hsm, first, create("one")), Error::RequestTooOld);
    // Forgotten by time, also by a module that only has a snapshot.
    let mut other = log_in(&mut hsm, "admin", 8);
    assert!(matches!(other.ask_as(&mut hsm, first, create("two")), Answer::User(_)));
    assert!(matches!(other.ask_as(&mut hsm, first + 1, delete("two")), Answer::User(_)));
    hsm.now = hsm.now.after_ms(limits::RETRY_WINDOW_MS + 1);
    for sequence in 10_000..10_200 {
        assert!(matches!(admin.ask_as(&mut hsm, sequence, change()), Answer::User(_)));
    }
    for mut module in [hsm.restart(false), hsm.restart(true)] {
        module.now = hsm.now;
        expect_error(other.ask_as(&mut module, first, create("two")), Error::RequestTooOld);
    }
}

/// The proof of a ticket is for one connection and one nonce: recorded, it is worth nothing on another.
#[test]
fn a_recorded_proof_of_a_ticket_is_worth_nothing_elsewhere() {
    let mut hsm = Hsm::active();
    let mut owner = hsm.connect();
    let (user, password) = ("app".to_owned(), PASSWORD.to_owned());
    let ask = LogIn { user, password, role: Role::CryptoUser.number(), client: vec![7; 16] };
    let Answer::LoggedIn(granted) = owner.ask(&mut hsm, Ask::LogIn(ask)) else { panic!() };
    let (mut second, mut thief) = (hsm.connect(), hsm.connect());
    let nonce = [5; 32];
    let message = statements::ticket_proof(&second.caller.exporter, &nonce);
    let proof = hmac::sign(Hash::Sha256, &granted.secret, &[&message]).as_ref().to_vec();
    let recorded = UseTicket { ticket: granted.ticket.clone(), nonce: nonce.to_vec(), proof };
    let answer = second.ask(&mut hsm, Ask::UseTicket(recorded.clone()));
    assert!(matches!(answer, Answer::LoggedIn(_)));
    let answer = thief.ask(&mut hsm, Ask::UseTicket(recorded.clone()));
    expect_error(answer, Error::TicketInvalid);
    let other_nonce = UseTicket { nonce: vec![6; 32], ..recorded };
    expect_error(second.ask(&mut hsm, Ask::UseTicket(other_nonce)), Error::TicketInvalid);
    // With the secret, but from a machine with another client certificate than the log-in had.
    thief.caller.certificate = Some([1; 32]);
    let answer = thief.use_ticket(&mut hsm, &granted.ticket, &granted.secret);
    expect_error(answer, Error::TicketInvalid);
    // Over, and on a module whose clock is an hour behind it still ends with its user's epoch.
    thief.caller.certificate = None;
    hsm.now = hsm.now.after_ms(limits::TICKET_MS + limits::CLOCK_TOLERANCE_MS);
    let answer = thief.use_ticket(&mut hsm, &granted.ticket, &granted.secret);
    expect_error(answer, Error::TicketInvalid);
    // Of another cluster.
    let mut elsewhere = Hsm::active();
    let answer = elsewhere.connect().use_ticket(&mut elsewhere, &granted.ticket, &granted.secret);
    expect_error(answer, Error::TicketInvalid);
}

fn ping(hsm: &Hsm, seen: &[u8]) -> Option<Error> {
    let request =
        Request { ask: Some(Ask::Ping(Empty {})), seen: seen.to_vec(), ..Request::default() };
    let call = Call { sequence: 1, request: request.encode_to_vec().into(), now: hsm.now };
    match hsm.reader.handle(&hsm.connect().caller, call) {
        Outcome::Reply(answered) => match answered.reply.answer {
            Some(Answer::Error(error)) => Some(error.into()),
            _ => None,
        },
        // Nothing comes here in the meantime.
        Outcome::WaitFor(wait) => match wait.late().reply.answer {
            Some(Answer::Error(error)) => Some(error.into()),
            _ => panic!("it came too late"),
        },
        _ => panic!("a ping is answered at once, or waits"),
    }
}

/// A token of an index that this cluster did not make parks nobody: it is ignored.
#[test]
fn a_forged_index_makes_nobody_wait() {
    let mut hsm = Hsm::active();
    let mut behind = hsm.restart(true);
    hsm.create_user("later", Role::CryptoUser);
    let genuine = hsm.reader.index_token();
    assert_eq!(ping(&hsm, &genuine), None);
    assert_eq!(
        ping(&behind, &genuine),
        Some(Error::IndexAhead(limits::INDEX_WAIT_MS)),
        "the control"
    );
    for at in 0..genuine.len() {
        let mut forged = genuine.clone();
        forged[at] ^= 0x40;
        assert_eq!(ping(&behind, &forged), None, "byte {at}");
    }
    let mut far = genuine;
    far[16..24].copy_from_slice(&(1_u64 << 63).to_be_bytes());
    assert_eq!(ping(&behind, &far), None);
    for foreign in [Hsm::active().reader.index_token(), vec![255; 40], vec![1], vec![0; 4_000]] {
        assert_eq!(ping(&behind, &foreign), None);
    }
    expect_done(behind.connect().ask(&mut behind, Ask::Ping(Empty {})));
}
