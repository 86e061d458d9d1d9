//! Clocks, and what must hold whatever they show: log-outs stay, writes go on, nothing grows for ever.

use bytes::Bytes;
use casemate_hsm::{Time, limits};
use casemate_protocol::messages::{
    Answer, Ask, Empty, GenerateKey, LogIn, LoggedIn, MechanismUse, ObjectReference, Operation,
};
use casemate_protocol::{Attribute, AttributeType, Error, Mechanism, Role, Template};

use crate::one_hsm::{Connection, Hsm, PASSWORD, describe, expect_done, expect_error};

fn log_in(user: &str, role: Role) -> Ask {
    let (user, password) = (user.to_owned(), PASSWORD.to_owned());
    Ask::LogIn(LogIn { user, password, role: role.number(), client: vec![7; 16] })
}

const MINUTE_MS: u64 = 60_000;

/// One connection logs in and renews its ticket, another of the same log-in logs out with an older one: the revocation must
/// outlast every ticket of the log-in, not only that of the connection that ended it.
#[test]
fn a_log_out_outlasts_tickets_that_other_connections_renewed() {
    let mut hsm = Hsm::active();
    let start = hsm.now;
    let mut first = hsm.connect();
    let Answer::LoggedIn(ticket) = first.ask(&mut hsm, log_in("app", Role::CryptoUser)) else {
        panic!()
    };
    hsm.now = start.after_ms(50 * MINUTE_MS);
    let mut second = hsm.connect();
    let renewed = second.use_ticket(&mut hsm, &ticket.ticket, &ticket.secret);
    let Answer::LoggedIn(renewed) = renewed else { panic!("{}", describe(&renewed)) };
    expect_done(first.ask(&mut hsm, Ask::LogOut(Empty {})));
    expect_error(second.ask(&mut hsm, Ask::ListUsers(Empty {})), Error::TicketInvalid);
    // The first connection's ticket is over by now, the second's is not; other commands let revocations be forgotten.
    hsm.now = start.after_ms(80 * MINUTE_MS);
    hsm.create_user("other", Role::CryptoUser);
    expect_error(second.ask(&mut hsm, Ask::ListUsers(Empty {})), Error::TicketInvalid);
    let mut thief = hsm.connect();
    let answer = thief.use_ticket(&mut hsm, &renewed.ticket, &renewed.secret);
    expect_error(answer, Error::TicketInvalid);
}

/// The applied time never runs back, so a proposer whose clock did must still be heard.
#[test]
fn writes_go_on_when_the_clock_was_set_back() {
    let mut hsm = Hsm::active();
    let back = hsm.now;
    hsm.now = back.after_ms(limits::RETRY_WINDOW_MS * 10);
    hsm.create_user("ahead", Role::CryptoUser);
    hsm.now = back;
    hsm.create_user("behind", Role::CryptoUser);
    hsm.now = Time(0);
    hsm.create_user("at-zero", Role::CryptoUser);
}

fn session_key(hsm: &mut Hsm, connection: &mut Connection) -> ObjectReference {
    let template = Template::default().with(Attribute::number(AttributeType::ValueLen, 32));
    let mechanism = MechanismUse { mechanism: Mechanism::AesKeyGen.number(), parameter: None };
    let ask = GenerateKey { mechanism: Some(mechanism), template: Some(template) };
    match connection.ask(hsm, Ask::GenerateKey(ask)) {
        Answer::Made(made) => made.object.unwrap(),
        answer => panic!("{}", describe(&answer)),
    }
}

fn encrypt(hsm: &mut Hsm, connection: &mut Connection, key: &ObjectReference) -> Answer {
    let mechanism = MechanismUse { mechanism: Mechanism::AesEcb.number(), parameter: None };
    let (key, data) = (Some(key.clone()), Bytes::from_static(&[0; 16]));
    let mechanism = Some(mechanism);
    connection.ask(hsm, Ask::Encrypt(Operation { key, mechanism, data, ..Operation::default() }))
}

fn renew(hsm: &mut Hsm, ticket: &LoggedIn) -> (Connection, LoggedIn) {
    let mut connection = hsm.connect();
    match connection.use_ticket(hsm, &ticket.ticket, &ticket.secret) {
        Answer::LoggedIn(renewed) => (connection, renewed),
        answer => panic!("{}", describe(&answer)),
    }
}

/// A destroyed session key stays void as long as its log-in lives, however often its ticket is renewed; and nothing of it stays in the
/// state when the log-in ended by itself.
#[test]
fn a_destroyed_session_key_is_void_as_long_as_its_log_in_and_then_forgotten() {
    let mut hsm = Hsm::active();
    let start = hsm.now;
    let mut first = hsm.connect();
    let Answer::LoggedIn(mut ticket) = first.ask(&mut hsm, log_in("app", Role::CryptoUser)) else {
        panic!()
    };
    let key = session_key(&mut hsm, &mut first);
    assert!(matches!(encrypt(&mut hsm, &mut first, &key), Answer::Data(_)));
    expect_done(first.ask(&mut hsm, Ask::DestroyObject(key.clone())));
    // More, so that what is kept of them outweighs what else comes.
    for _ in 0..20 {
        let more = session_key(&mut hsm, &mut first);
        expect_done(first.ask(&mut hsm, Ask::DestroyObject(more)));
    }
    for minutes in [50, 100, 150, 200] {
        hsm.now = start.after_ms(minutes * MINUTE_MS);
        // Other commands let what has ended be forgotten.
        hsm.create_user(&format!("other{minutes}"), Role::CryptoUser);
        let (mut connection, renewed) = renew(&mut hsm, &ticket);
        expect_error(encrypt(&mut hsm, &mut connection, &key), Error::SessionKeyVoid);
        ticket = renewed;
    }
    let with = hsm.snapshot_bytes();
    hsm.now = start.after_ms(400 * MINUTE_MS);
    hsm.create_user("other400", Role::CryptoUser);
    hsm.create_user("other401", Role::CryptoUser);
    let without = hsm.snapshot_bytes();
    assert!(without < with, "{without} bytes of state, {with} before the log-in ended");
}
