//! Who guesses passwords, floods the log-in, or asks it which users there are.

use std::net::IpAddr;

use casemate_crypto::Secret;
use casemate_protocol::identity::UserName;
use casemate_protocol::messages::{Answer, Ask, Empty, LogIn, Request};
use casemate_protocol::{Error, Role};
use prost::Message as _;

use super::limits;
use super::one_hsm::{Connection, Hsm, PASSWORD, describe, expect_error};
use crate::lifecycle::Settings;
use crate::outcome::{Job, Outcome};
use crate::reader::Call;
use crate::users::User;

#[path = "../../../crypto/tests/timing/welch.rs"]
#[expect(
    clippy::disallowed_methods,
    reason = "another test has it too; a test of time reads the clock, which the module must not"
)]
mod welch;

use welch::Verdict;

fn from(hsm: &Hsm, source: [u8; 4]) -> Connection {
    let mut connection = hsm.connect();
    connection.caller.source = IpAddr::from(source);
    connection
}

fn guess(user: &str, password: &str) -> Ask {
    let role = if user == "admin" { Role::Admin } else { Role::CryptoUser }.number();
    let (user, password) = (user.to_owned(), password.to_owned());
    Ask::LogIn(LogIn { user, password, role, client: Secret::random(16).expose().to_vec() })
}

/// Brings a log-in to where its password would be checked; an error if it does not come that far.
fn reserve(hsm: &Hsm, connection: &Connection, ask: Ask) -> Result<Job, Error> {
    let request = Request { ask: Some(ask), ..Request::default() }.encode_to_vec();
    let call = Call { sequence: 1, request: request.into(), now: hsm.now };
    let Outcome::ConfirmThen(job) = hsm.reader.handle(&connection.caller, call) else {
        panic!("a log-in confirms the index first")
    };
    match job() {
        Outcome::Stretch(job) => Ok(job),
        Outcome::Reply(answered) => match answered.reply.answer {
            Some(Answer::Error(error)) => Err(error.into()),
            _ => panic!("no log-in without a check"),
        },
        _ => panic!("a log-in is not replicated"),
    }
}

/// Guesses sent at once are reserved before any is checked: no more come through than one after the other.
#[test]
fn guesses_in_parallel_do_not_outrun_the_counter() {
    let hsm = Hsm::active();
    let thief = from(&hsm, [10, 0, 0, 1]);
    let begun: Vec<_> =
        (0..100).map(|_| reserve(&hsm, &thief, guess("app", "wrong password"))).collect();
    let checked = begun.iter().filter(|begun| begun.is_ok()).count();
    assert_eq!(checked, limits::FREE_ATTEMPTS as usize);
    assert!(begun.iter().all(|begun| match begun {
        Ok(_) => true,
        // Told to come again, not that he must wait: so far nobody knows that they are wrong.
        Err(error) => *error == Error::Busy(limits::BUSY_MS),
    }));
    drop(begun);
    // The right password, while he must wait, is not even looked at.
    let right = reserve(&hsm, &thief, guess("app", PASSWORD));
    assert_eq!(right.err(), Some(Error::LogInDelayed(1_000)));
}

/// Programs of one machine that start together with the right password take turns, and all get in.
#[test]
fn right_passwords_at_once_from_one_machine_all_get_in() {
    let hsm = Hsm::active();
    let machine = from(&hsm, [10, 0, 0, 1]);
    let (mut waiting, mut in_check, mut got_in) = (40, Vec::new(), 0);
    while got_in < 40 {
        while waiting > 0 {
            match reserve(&hsm, &machine, guess("app", PASSWORD)) {
                Ok(job) => in_check.push(job),
                Err(error) => {
                    assert_eq!(error, Error::Busy(limits::BUSY_MS));
                    break;
                }
            }
            waiting -= 1;
        }
        assert!(in_check.len() <= limits::FREE_ATTEMPTS as usize);
        let Outcome::Reply(answered) = in_check.remove(0)() else { panic!("no answer") };
        assert!(matches!(answered.reply.answer, Some(Answer::LoggedIn(_))));
        got_in += 1;
    }
}

/// In an hour of guesses as fast as he is let: a few dozen.
#[test]
fn an_hour_of_guessing_gives_a_few_dozen_guesses() {
    let mut hsm = Hsm::active();
    let thief = from(&hsm, [10, 0, 0, 1]);
    let mut guesses = 0;
    for _second in 0..3_600 {
        guesses += usize::from(reserve(&hsm, &thief, guess("app", "wrong password")).is_ok());
        hsm.now = hsm.now.after_ms(1_000);
    }
    assert!((60..80).contains(&guesses), "{guesses}");
}

/// A flood from elsewhere, on one name and on many: the owner logs in, and what is logged in goes on.
#[test]
fn a_flood_locks_nobody_out() {
    let mut hsm = Hsm::active();
    let mut ticket_holder = hsm.log_in("admin", Role::Admin);
    let flooder = from(&hsm, [10, 0, 0, 1]);
    let mut held = Vec::new();
    for attempt in 0..5_000 {
        let name = if attempt % 2 == 0 { "admin".to_owned() } else { format!("u{attempt}") };
        // Held back: the check of each goes on for as long as it can.
        held.extend(reserve(&hsm, &flooder, guess(&name, "wrong password")));
        assert!(held.len() <= limits::LOG_INS_IN_FLIGHT_PER_SOURCE_MAX);
    }
    assert_eq!(held.len(), limits::LOG_INS_IN_FLIGHT_PER_SOURCE_MAX);
    let mut owner = from(&hsm, [10, 0, 0, 2]);
    let answer = owner.ask(&mut hsm, guess("admin", PASSWORD));
    assert!(matches!(answer, Answer::LoggedIn(_)), "{}", describe(&answer));
    let answer = ticket_holder.ask(&mut hsm, Ask::ListUsers(Empty {}));
    assert!(matches!(answer, Answer::Users(_)), "{}", describe(&answer));
}

/// A pool that is full drops an attempt without running it: it counts, and leaves nothing behind.
#[test]
fn attempts_that_are_dropped_do_not_stay_in_flight() {
    let mut hsm = Hsm::active();
    for last in 0..100 {
        drop(reserve(&hsm, &from(&hsm, [10, 0, 1, last]), guess("app", "wrong password")));
    }
    let mut owner = from(&hsm, [10, 0, 0, 2]);
    let answer = owner.ask(&mut hsm, guess("app", PASSWORD));
    assert!(matches!(answer, Answer::LoggedIn(_)), "{}", describe(&answer));
}

/// What is said of a user that does not exist is what is said of one that does, delays too.
#[test]
fn unknown_users_look_like_known_ones() {
    let mut hsm = Hsm::active();
    let mut said = ["app", "nobody"].map(|user| {
        let thief = from(&hsm, [10, 0, 0, 1]);
        let answers = (0..20).map(|attempt| {
            hsm.now = hsm.now.after_ms(attempt * 700);
            match reserve(&hsm, &thief, guess(user, "wrong password")) {
                Err(error) => error,
                Ok(job) => match job() {
                    Outcome::Reply(answered) => match answered.reply.answer {
                        Some(Answer::Error(error)) => error.into(),
                        _ => panic!("a wrong password was right"),
                    },
                    _ => panic!("a log-in is not replicated"),
                },
            }
        });
        answers.collect::<Vec<Error>>()
    });
    assert_eq!(said[0], said[1]);
    assert!(said[0].contains(&Error::PasswordIncorrect));
    assert!(said[0].iter().any(|error| matches!(error, Error::LogInDelayed(_))));
    said[0].clear();
    // Before a log-in nobody is told who the users are.
    let mut nobody = hsm.connect();
    expect_error(nobody.ask(&mut hsm, Ask::ListUsers(Empty {})), Error::LogInRequired);
}

/// A four-hundredth of what a real cluster has: what differs by more than a few microseconds shows beside them.
const ROUNDS: u32 = 500;

/// Compares how long it takes to refuse a user that exists, whose verifier has so many rounds, and one that does not.
fn compare_times(rounds: u32) -> Verdict {
    let settings = Settings { password_rounds: ROUNDS, ..Settings::default() };
    let mut hsm = Hsm::active_with(settings);
    let state = &mut hsm.applier.state;
    let named = state.users.named(&UserName::new("app").unwrap(), Role::CryptoUser).cloned();
    let mut user = User::clone(&named.unwrap());
    user.verifier.rounds = rounds;
    state.users.put(user);
    hsm.applier.publish();
    let prepare = |class: bool, round: usize| {
        // Each from a source of its own, so that none waits; those of both classes lie mixed, for what is kept of sources is sorted.
        let number = u32::try_from(round).unwrap_or(0) << 1 | u32::from(class);
        let [_, a, b, c] = number.to_be_bytes();
        let source = from(&hsm, [10, a, b, c]);
        let name = if class { "nob" } else { "app" };
        reserve(&hsm, &source, guess(name, "wrong password")).unwrap()
    };
    welch::compare(2_000, prepare, |job| {
        let refused = job();
        assert!(matches!(refused, Outcome::Reply(_)));
        refused
    })
}

#[test]
fn unknown_users_take_the_same_time_as_known_ones() {
    let verdict = compare_times(ROUNDS);
    assert!(matches!(verdict, Verdict::None(_)), "{verdict:?}");
}

/// The control: a fifth more rounds are noticed.
#[test]
fn a_user_whose_check_takes_a_little_longer_is_noticed() {
    let verdict = compare_times(ROUNDS + ROUNDS / 5);
    assert!(matches!(verdict, Verdict::Leak(_)), "{verdict:?}");
}
