//! A clock that was moved: the module's time never runs back, and nobody is locked out by that.

use std::time::Duration;

use casemate_client::Client;
use casemate_protocol::Role;
use casemate_protocol::messages::{Ask, CreateUser, Empty};
use casemate_tests::{ADMIN_PASSWORD, Build, USER_PASSWORD};

use crate::daemon::Prepared;
use crate::keys;
use crate::shim::Shim;

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;

/// Log-in, changes and use of keys at the moment.
fn all_works(prepared: &Prepared, what: &str) {
    let user = prepared.user(Duration::from_secs(10));
    let pair = keys::make_pair(&user, what).unwrap_or_else(|error| panic!("{what}: {error}"));
    keys::label(&user, pair.0, "moved").unwrap_or_else(|error| panic!("{what}: {error}"));
    keys::sign(&user, pair).unwrap_or_else(|error| panic!("{what}: {error}"));
    keys::delete(&user, pair.1).unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// A client whose clock is right does not take an HSM's certificate that begins in a year: it says so, and which times differ.
fn is_refused(prepared: &Prepared) {
    let client = prepared.cluster.client().unwrap();
    let refused = client.call(Ask::Ping(Empty {})).map(drop).unwrap_err().to_string();
    assert!(refused.contains("its certificate holds from"), "{refused}");
}

#[test]
fn a_clock_moved_between_two_starts_changes_nothing() {
    for seconds in [-HOUR, -YEAR, HOUR, YEAR] {
        let prepared = Prepared::new();
        let shim = Shim::build(prepared.cluster.work());
        let mut daemon = prepared.start(Build::Plain, &[]);
        all_works(&prepared, "before");
        // A client that stays logged in over it all.
        let staying = prepared.user(Duration::from_secs(10));
        let pair = keys::make_pair(&staying, "staying").unwrap();
        daemon.stop();

        shim.move_clock(seconds);
        let mut daemon = prepared.spawn(Build::Plain, &shim.environment());
        prepared.wait_until_ready(&mut daemon);
        if seconds == YEAR {
            is_refused(&prepared);
        } else {
            all_works(&prepared, &format!("the clock moved by {seconds} s"));
        }
        if seconds < 0 {
            assert!(daemon.log().contains("clock is behind"), "{}", daemon.log());
            keys::sign(&staying, pair).unwrap();
        }
        daemon.stop();

        // And back: what was applied in the future stays there.
        shim.move_clock(0);
        let mut daemon = prepared.start(Build::Plain, &shim.environment());
        all_works(&prepared, &format!("the clock back from {seconds} s"));
        assert_eq!(daemon.log().contains("clock is behind"), seconds == HOUR, "{}", daemon.log());
        daemon.stop();
    }
}

#[test]
fn a_clock_moved_while_the_daemon_runs_changes_nothing() {
    let prepared = Prepared::new();
    let shim = Shim::build(prepared.cluster.work());
    let mut daemon = prepared.start(Build::Plain, &shim.environment());
    let staying = prepared.user(Duration::from_secs(10));
    let pair = keys::make_pair(&staying, "staying").unwrap();
    for seconds in [-HOUR, -YEAR, 0, HOUR / 2, 0] {
        shim.move_clock(seconds);
        all_works(&prepared, &format!("the clock moved by {seconds} s"));
        keys::sign(&staying, pair).unwrap();
    }
    // Far ahead the ticket has ended, which is for ever: the module's time does not come back. The client would log in by its
    // password, but not at an HSM whose certificate begins in a year.
    shim.move_clock(YEAR);
    let refused = keys::sign(&staying, pair).unwrap_err().to_string();
    assert!(refused.contains("its certificate holds from"), "{refused}");
    is_refused(&prepared);
    shim.move_clock(0);
    all_works(&prepared, "back from a year ahead");
    daemon.stop();
}

#[test]
fn a_ticket_that_ended_unused_is_replaced_by_a_log_in() {
    let prepared = Prepared::new();
    let shim = Shim::build(prepared.cluster.work());
    let mut daemon = prepared.start(Build::Plain, &shim.environment());
    let staying = prepared.user(Duration::from_secs(10));
    let pair = keys::make_pair(&staying, "staying").unwrap();
    let mut config = staying.config().clone();
    config.keep_password = false;
    let forgetful = Client::new(config);
    forgetful.log_in("app", USER_PASSWORD, Some(Role::CryptoUser)).unwrap();
    keys::sign(&forgetful, pair).unwrap();

    // A night without a visitor, and the first one in the morning: eight at once.
    shim.move_clock(8 * HOUR);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| keys::sign(&staying, pair).unwrap());
        }
    });
    let refused = keys::sign(&forgetful, pair).unwrap_err().to_string();
    assert!(refused.contains("log in"), "{refused}");

    // Another night, in which the password was changed: it is tried once, and the log-in has ended.
    let admin = prepared.cluster.client().unwrap();
    admin.log_in("admin", ADMIN_PASSWORD, Some(Role::Admin)).unwrap();
    let (user, role) = ("app".to_owned(), Role::CryptoUser.number());
    let changed = CreateUser { user, role, password: "another-password".to_owned() };
    admin.call(Ask::ChangePassword(changed)).unwrap();
    shim.move_clock(16 * HOUR);
    let refused = keys::sign(&staying, pair).unwrap_err().to_string();
    assert!(refused.contains("log in"), "{refused}");
    assert!(!staying.is_logged_in());
    staying.log_in("app", "another-password", Some(Role::CryptoUser)).unwrap();
    keys::sign(&staying, pair).unwrap();
    daemon.stop();
}
