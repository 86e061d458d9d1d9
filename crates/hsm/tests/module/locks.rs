//! Locks after wrong passwords: who can cause one, what it ends and what not, and how it is lifted.

use casemate_hsm::limits;
use casemate_protocol::messages::{Answer, Ask, CreateUser, Empty, LogIn};
use casemate_protocol::{Error, Role};

use crate::one_hsm::{Connection, Hsm, PASSWORD, describe, expect_done, expect_error};

const REGISTERED: Option<[u8; 32]> = Some([5; 32]);

fn connect(hsm: &Hsm, certificate: Option<[u8; 32]>) -> Connection {
    let mut connection = hsm.connect();
    connection.caller.certificate = certificate;
    connection
}

fn log_in(hsm: &mut Hsm, connection: &mut Connection, password: &str) -> Answer {
    let (user, password) = ("app".to_owned(), password.to_owned());
    let role = Role::CryptoUser.number();
    connection.ask(hsm, Ask::LogIn(LogIn { user, password, role, client: vec![7; 16] }))
}

/// Wrong passwords, each after its delay.
fn guess(hsm: &mut Hsm, certificate: Option<[u8; 32]>, times: u32) {
    for _ in 0..times {
        hsm.now = hsm.now.after_ms(limits::ATTEMPT_DELAY_MS_MAX);
        let mut connection = connect(hsm, certificate);
        expect_error(log_in(hsm, &mut connection, "wrong password"), Error::PasswordIncorrect);
    }
    hsm.now = hsm.now.after_ms(limits::ATTEMPT_DELAY_MS_MAX);
}

#[test]
fn a_registered_certificate_locks_its_user_and_no_live_log_in_ends() {
    let mut hsm = Hsm::active();
    let mut live = hsm.log_in("app", Role::CryptoUser);
    guess(&mut hsm, REGISTERED, limits::LOCK_AFTER_FAILURES - 1);
    let mut other = connect(&hsm, REGISTERED);
    assert!(matches!(log_in(&mut hsm, &mut other, PASSWORD), Answer::LoggedIn(_)));
    guess(&mut hsm, REGISTERED, limits::LOCK_AFTER_FAILURES);
    let mut locked = connect(&hsm, None);
    expect_error(log_in(&mut hsm, &mut locked, PASSWORD), Error::UserLocked);
    // Who does not know the password is not told either.
    expect_error(log_in(&mut hsm, &mut locked, "wrong password"), Error::PasswordIncorrect);
    let listed = live.ask(&mut hsm, Ask::ListUsers(Empty {}));
    assert!(matches!(listed, Answer::Users(_)), "{}", describe(&listed));
    // It is replicated: a module that starts on the log knows it.
    let mut again = hsm.restart(false);
    let mut connection = again.connect();
    expect_error(log_in(&mut again, &mut connection, PASSWORD), Error::UserLocked);
    // A new password by an admin lifts it.
    let mut admin = hsm.log_in("admin", Role::Admin);
    let request = CreateUser {
        user: "app".to_owned(),
        role: Role::CryptoUser.number(),
        password: "another password".to_owned(),
    };
    let changed = admin.ask(&mut hsm, Ask::ChangePassword(request));
    assert!(!matches!(changed, Answer::Error(_)), "{}", describe(&changed));
    let mut connection = hsm.connect();
    let lifted = log_in(&mut hsm, &mut connection, "another password");
    assert!(matches!(lifted, Answer::LoggedIn(_)), "{}", describe(&lifted));
}

/// A use that wants the password is no way around the lock (`CKA_ALWAYS_AUTHENTICATE`).
#[test]
fn guesses_on_a_live_log_in_lock_its_user_as_well() {
    let mut hsm = Hsm::active();
    let mut live = hsm.log_in("app", Role::CryptoUser);
    let mut confirm = |hsm: &mut Hsm, certificate, password: &str| {
        hsm.now = hsm.now.after_ms(limits::ATTEMPT_DELAY_MS_MAX);
        live.caller.certificate = certificate;
        live.ask(hsm, Ask::ConfirmPassword(password.to_owned()))
    };
    let times = limits::LOCK_AFTER_FAILURES;
    for _ in 0..times * 2 {
        expect_error(confirm(&mut hsm, None, "wrong password"), Error::PasswordIncorrect);
    }
    expect_done(confirm(&mut hsm, None, PASSWORD));
    for _ in 1..times {
        expect_error(confirm(&mut hsm, REGISTERED, "wrong password"), Error::PasswordIncorrect);
    }
    expect_done(confirm(&mut hsm, REGISTERED, PASSWORD));
    for _ in 0..times {
        expect_error(confirm(&mut hsm, REGISTERED, "wrong password"), Error::PasswordIncorrect);
    }
    expect_error(confirm(&mut hsm, REGISTERED, PASSWORD), Error::UserLocked);
    expect_error(confirm(&mut hsm, None, PASSWORD), Error::UserLocked);
    let listed = live.ask(&mut hsm, Ask::ListUsers(Empty {}));
    assert!(matches!(listed, Answer::Users(_)), "{}", describe(&listed));
}

#[test]
fn who_shows_no_certificate_can_lock_nobody() {
    let mut hsm = Hsm::active();
    guess(&mut hsm, None, limits::LOCK_AFTER_FAILURES * 3);
    let mut connection = hsm.connect();
    let answer = log_in(&mut hsm, &mut connection, PASSWORD);
    assert!(matches!(answer, Answer::LoggedIn(_)), "{}", describe(&answer));
}
