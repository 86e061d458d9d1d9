//! Who one claims to be: PINs, names, passwords, and tickets that are stolen, changed, old or somebody else's.

use casemate_protocol::messages::{Answer, Ask, CreateUser, Empty, LogIn, NamedUser, UseTicket};
use casemate_protocol::{Error, Role};
use casemate_tests::{ADMIN_PASSWORD, USER_PASSWORD};
use prost::Message as _;

use crate::watch::Watch;
use crate::wire::Wire;

const CRYPTO_USER: u32 = 3;

#[test]
fn wrong_names_and_passwords_look_alike() {
    let watch = Watch::start("");
    let address = watch.address();
    let long = "x".repeat(129);
    let huge = "x".repeat(200_000);
    for (what, user, password) in [
        ("a wrong password", "app", "letmein-ape"),
        ("an empty password", "app", ""),
        ("a password of 129 bytes", "app", long.as_str()),
        ("a huge password", "app", huge.as_str()),
        ("a password with a NUL", "app", "letmein\0app"),
        ("a password with a colon", "app", "letmein:app"),
        ("an unknown user", "nobody", USER_PASSWORD),
        ("an empty name", "", USER_PASSWORD),
        ("a name with a colon", "app:app", USER_PASSWORD),
        ("a name with a NUL", "app\0", USER_PASSWORD),
        ("a huge name", huge.as_str(), USER_PASSWORD),
        ("the right password of another user", "admin", USER_PASSWORD),
    ] {
        let mut wire = Wire::open(&address);
        let role = if user == "admin" { Role::Admin.number() } else { CRYPTO_USER };
        let error = wire.try_log_in(user, password, role).map(drop).unwrap_err();
        assert_eq!(error, Error::PasswordIncorrect, "{what}");
        assert_eq!(wire.refusal(what, Ask::ListUsers(Empty {})), Error::LogInRequired, "{what}");
    }
    for role in [1, 2, 4, 99, u32::MAX] {
        let error = Wire::open(&address).try_log_in("app", USER_PASSWORD, role).map(drop);
        assert_eq!(error, Err(Error::PasswordIncorrect), "role {role}");
    }
    // A password that is not UTF-8: the message is none.
    let log_in = LogIn {
        user: "app".to_owned(),
        password: "\u{1}\u{2}\u{3}\u{4}".to_owned(),
        role: CRYPTO_USER,
        client: vec![7; 16],
    };
    let mut bytes = crate::wire::message(Ask::LogIn(log_in.clone()));
    let at = bytes.windows(4).position(|window| window == [1, 2, 3, 4]).unwrap();
    bytes[at] = 0xff;
    let mut wire = Wire::open(&address);
    wire.send(5, &bytes).unwrap();
    let Answer::Error(error) = wire.reply().1 else { panic!("not refused") };
    assert_eq!(Error::from(error), Error::Malformed);
    for length in [0, 15, 17, 4_000] {
        let ask =
            LogIn { client: vec![7; length], password: USER_PASSWORD.to_owned(), ..log_in.clone() };
        let error = Wire::open(&address).refusal("a client instance", Ask::LogIn(ask));
        assert_eq!(error, Error::Malformed, "a client instance of {length} bytes");
    }
    watch.unharmed("wrong names and passwords");
}

#[test]
fn guesses_are_delayed_and_the_right_password_waits_with_them() {
    let watch = Watch::start("");
    let address = watch.address();
    let mut refused = Vec::new();
    for number in 0..8 {
        let guess = format!("letmein-{number}");
        refused.push(
            Wire::open(&address).try_log_in("victim", &guess, CRYPTO_USER).map(drop).unwrap_err(),
        );
    }
    assert!(refused.contains(&Error::PasswordIncorrect), "{refused:?}");
    assert!(refused.iter().any(|error| matches!(error, Error::LogInDelayed(_))), "{refused:?}");
    // Others are not delayed by it.
    watch.unharmed("guesses");
}

#[test]
fn users_with_bad_names_and_passwords_are_not_made() {
    let mut watch = Watch::start("");
    let mut admin = Wire::admin(&watch.address());
    let make = |user: &str, password: &str, role: u32| {
        Ask::CreateUser(CreateUser { user: user.to_owned(), role, password: password.to_owned() })
    };
    let long = "a".repeat(32);
    for name in ["", "-a", "_", ".", "a b", "a:b", "a\0b", "\u{e4}", "a/b", "a\nb", long.as_str()] {
        let error = admin.refusal(name, make(name, "letmein-new", CRYPTO_USER));
        assert_eq!(error, Error::UserNameInvalid, "{name:?}");
    }
    let long = "p".repeat(129);
    for password in ["", "1234567", "letmein:x", "letmein\0x", long.as_str()] {
        let error = admin.refusal(password, make("fresh", password, CRYPTO_USER));
        assert_eq!(error, Error::PasswordLength, "{password:?}");
    }
    for role in [0, 1, 4, 77] {
        let error = admin.refusal("a role", make("fresh", "letmein-new", role));
        assert!(matches!(error, Error::Malformed | Error::RoleRefused), "{role}: {error:?}");
    }
    let named = |user: &str, role: Role| {
        Ask::DeleteUser(NamedUser { user: user.to_owned(), role: role.number() })
    };
    let mut user = Wire::user(&watch.address());
    for ask in [make("fresh", "letmein-new", CRYPTO_USER), named("admin", Role::Admin)] {
        assert_eq!(user.refusal("as a crypto user", ask), Error::RoleRefused);
    }
    let change = Ask::ChangePassword(CreateUser {
        user: "admin".to_owned(),
        role: Role::Admin.number(),
        password: "letmein-new".to_owned(),
    });
    assert_eq!(user.refusal("another's password", change), Error::RoleRefused);
    watch.unharmed("bad users");
    // What only `apply` can say is remembered for a retry, so the state hash moves on; the users do not.
    let users = |admin: &mut Wire| match admin.ask(Ask::ListUsers(Empty {})) {
        Answer::Users(users) => users.users,
        _ => panic!("no users"),
    };
    let before = users(&mut admin);
    for (what, ask, error) in [
        ("a user twice", make("app", "letmein-new", CRYPTO_USER), Error::UserExists),
        ("the same name in capitals", make("APP", "letmein-new", CRYPTO_USER), Error::UserExists),
        ("an unknown user", named("ghost", Role::CryptoUser), Error::UserNotFound),
        ("the last admin", named("admin", Role::Admin), Error::LastAdmin),
    ] {
        assert_eq!(admin.refusal(what, ask), error, "{what}");
    }
    assert_eq!(users(&mut admin), before);
    watch.accept_changes();
    watch.unharmed("users that cannot be made or deleted");
}

#[test]
fn a_ticket_is_worth_nothing_in_other_hands() {
    let mut watch = Watch::start("");
    let address = watch.address();
    let mut owner = Wire::open(&address);
    let logged_in = owner.log_in("app", USER_PASSWORD, Role::CryptoUser);
    let (ticket, secret) = (logged_in.ticket, logged_in.secret);
    let refused = |what: &str, ticket: &[u8], secret: &[u8], exporter: Option<[u8; 32]>| {
        let mut wire = Wire::open(&address);
        let exporter = exporter.unwrap_or_else(|| wire.exporter());
        let error = wire.use_ticket(ticket, secret, &exporter).map(drop).unwrap_err();
        assert_eq!(error, Error::TicketInvalid, "{what}");
        assert_eq!(wire.refusal(what, Ask::ListUsers(Empty {})), Error::LogInRequired, "{what}");
    };
    // The control: with its secret, on a connection of its own, it holds.
    let mut wire = Wire::open(&address);
    let exporter = wire.exporter();
    wire.use_ticket(&ticket, &secret, &exporter).unwrap();
    refused("a stolen ticket without its secret", &ticket, &[0; 32], None);
    refused("a proof made for another connection", &ticket, &secret, Some(owner.exporter()));
    for at in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[at] ^= 1;
        if at % 7 == 0 {
            refused("a changed ticket", &changed, &secret, None);
        }
    }
    for length in [0, 1, 64, ticket.len() - 1] {
        refused("a ticket cut off", &ticket[..length], &secret, None);
    }
    refused("a ticket with something behind", &[&ticket[..], &[0]].concat(), &secret, None);
    let mut wire = Wire::open(&address);
    for nonce in [0, 31, 33] {
        let ask = UseTicket { ticket: ticket.clone(), nonce: vec![1; nonce], proof: vec![2; 32] };
        assert_eq!(wire.refusal("a nonce", Ask::UseTicket(ask)), Error::TicketInvalid, "{nonce}");
    }
    watch.unharmed("tickets in other hands");

    // After a log-out, a change of the password, and the end of the user, it is void.
    let mut second = Wire::open(&address);
    let other = second.log_in("app", USER_PASSWORD, Role::CryptoUser);
    assert!(matches!(second.ask(Ask::LogOut(Empty {})), Answer::Done(_)));
    refused("a ticket after the log-out", &other.ticket, &other.secret, None);
    let mut admin = Wire::admin(&address);
    let user = |password: &str| CreateUser {
        user: "guest".to_owned(),
        role: CRYPTO_USER,
        password: password.to_owned(),
    };
    assert!(matches!(admin.ask(Ask::CreateUser(user("letmein-guest"))), Answer::User(_)));
    let guest = Wire::open(&address).log_in("guest", "letmein-guest", Role::CryptoUser);
    assert!(matches!(admin.ask(Ask::ChangePassword(user("letmein-again"))), Answer::User(_)));
    refused("a ticket after a new password", &guest.ticket, &guest.secret, None);
    let mut connected = Wire::open(&address);
    let guest = connected.log_in("guest", "letmein-again", Role::CryptoUser);
    let named = NamedUser { user: "guest".to_owned(), role: CRYPTO_USER };
    assert!(matches!(admin.ask(Ask::DeleteUser(named)), Answer::User(_)));
    refused("a ticket of a user who is gone", &guest.ticket, &guest.secret, None);
    let error = connected.refusal("a connection of a user who is gone", Ask::ListUsers(Empty {}));
    assert!(matches!(error, Error::TicketInvalid | Error::LogInRequired), "{error:?}");
    let error = Wire::open(&address).try_log_in("guest", "letmein-again", CRYPTO_USER).map(drop);
    assert_eq!(error, Err(Error::PasswordIncorrect));
    // The owner's own ticket still holds.
    let mut wire = Wire::open(&address);
    let exporter = wire.exporter();
    wire.use_ticket(&ticket, &secret, &exporter).unwrap();
    assert_ne!(ADMIN_PASSWORD, USER_PASSWORD);
    watch.accept_changes();
    watch.unharmed("tickets after changes");
}

/// A ticket of another cluster, with its secret.
#[test]
fn a_ticket_of_another_cluster_is_void() {
    let (here, there) = (Watch::start(""), Watch::start(""));
    let logged_in = Wire::open(&there.address()).log_in("app", USER_PASSWORD, Role::CryptoUser);
    let mut wire = Wire::open(&here.address());
    let exporter = wire.exporter();
    let error = wire.use_ticket(&logged_in.ticket, &logged_in.secret, &exporter).map(drop);
    assert_eq!(error, Err(Error::TicketInvalid));
    assert!(!logged_in.encode_to_vec().is_empty());
    here.unharmed("a ticket of another cluster");
}
