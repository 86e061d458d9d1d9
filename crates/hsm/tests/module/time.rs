//! Clocks, and what must hold whatever they show: log-outs stay, writes go on, nothing grows for ever.

use casemate_hsm::{Time, limits};
use casemate_protocol::messages::{Answer, Ask, Empty, LogIn};
use casemate_protocol::{Error, Role};

use crate::one_hsm::{Hsm, PASSWORD, describe, expect_done, expect_error};

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
