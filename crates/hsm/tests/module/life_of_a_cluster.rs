//! The life of a cluster from outside: made, initialised, activated, logged in to, restarted.
//!
//! A cluster of one without disk or network: proposals are applied at once, jobs run in place.

use crate::one_hsm::{Begun, Hsm, PASSWORD, expect_done, expect_error};
use casemate_protocol::messages::{
    Activate, Answer, Ask, CreateUser, Empty, Initialize, Lifecycle, LogIn, NamedUser,
};
use casemate_protocol::{Error, Role};

fn log_in(user: &str, role: Role) -> Ask {
    Ask::LogIn(LogIn {
        user: user.to_owned(),
        password: PASSWORD.to_owned(),
        role: role.number(),
        client: vec![7; 16],
    })
}

#[test]
fn a_cluster_is_initialised_activated_and_used() {
    let mut hsm = Hsm::new();
    assert_eq!(hsm.reader.lifecycle(), Some(Lifecycle::Uninitialized));
    let mut connection = hsm.connect();
    expect_error(connection.ask(&mut hsm, log_in("admin", Role::Admin)), Error::NotInitialized);
    hsm.initialize();
    assert_eq!(hsm.reader.lifecycle(), Some(Lifecycle::Initialized));
    expect_error(connection.ask(&mut hsm, log_in("admin", Role::Admin)), Error::NotActivated);
    hsm.activate();
    assert_eq!(hsm.reader.lifecycle(), Some(Lifecycle::Active));

    assert!(matches!(connection.ask(&mut hsm, log_in("Admin", Role::Admin)), Answer::LoggedIn(_)));
    let user = CreateUser {
        user: "app".to_owned(),
        role: Role::CryptoUser.number(),
        password: PASSWORD.to_owned(),
    };
    assert!(matches!(connection.ask(&mut hsm, Ask::CreateUser(user.clone())), Answer::User(_)));
    expect_error(connection.ask(&mut hsm, Ask::CreateUser(user)), Error::UserExists);
    let Answer::Users(users) = connection.ask(&mut hsm, Ask::ListUsers(Empty {})) else { panic!() };
    let names: Vec<_> = users.users.iter().map(|user| user.user.as_str()).collect();
    assert_eq!(names, ["admin", "app"]);
    let admin = NamedUser { user: "admin".to_owned(), role: Role::Admin.number() };
    expect_error(connection.ask(&mut hsm, Ask::DeleteUser(admin)), Error::LastAdmin);
}

#[test]
fn initialisation_takes_only_a_certificate_for_this_key_by_this_anchor() {
    let mut hsm = Hsm::new();
    let other = Hsm::new();
    let mut connection = hsm.connect();
    let mut ask = |certificate: String, trust_anchor: String| {
        connection.ask(&mut hsm, Ask::Initialize(Initialize { certificate, trust_anchor }))
    };
    expect_error(ask("x".to_owned(), other.ca.pem()), Error::CertificateInvalid);
    expect_error(ask(other.certificate(), other.ca.pem()), Error::CertificateInvalid);
    expect_error(ask(other.certificate(), other.certificate()), Error::TrustAnchorInvalid);
}

#[test]
fn activation_needs_the_customers_signature_on_this_connection() {
    let mut hsm = Hsm::new();
    hsm.initialize();
    let mut connection = hsm.connect();
    let signature = hsm.sign_activation(&hsm.connect());
    let mut activate =
        Activate { password: PASSWORD.to_owned(), signature, certificate: hsm.ca.pem() };
    expect_error(
        connection.ask(&mut hsm, Ask::Activate(activate.clone())),
        Error::ActivationRefused,
    );
    activate.signature = hsm.sign_activation(&connection);
    activate.certificate = Hsm::new().ca.pem();
    expect_error(
        connection.ask(&mut hsm, Ask::Activate(activate.clone())),
        Error::ActivationRefused,
    );
    activate.certificate = hsm.ca.pem();
    assert!(matches!(connection.ask(&mut hsm, Ask::Activate(activate.clone())), Answer::Done(_)));
    expect_error(connection.ask(&mut hsm, Ask::Activate(activate)), Error::AlreadyActivated);
}

/// Two activations at once store their new masking keys one after the other, and one of them wins: whichever it is, what is
/// stored must open what is sealed from then on.
#[test]
fn two_activations_at_once_leave_one_admin_and_one_masking_key() {
    for winner in 0..2 {
        let mut hsm = Hsm::new();
        hsm.initialize();
        let mut proposals: Vec<_> = ["the first password", "the second one"]
            .map(|password| {
                let mut connection = hsm.connect();
                let signature = hsm.sign_activation(&connection);
                let (password, certificate) = (password.to_owned(), hsm.ca.pem());
                let ask = Ask::Activate(Activate { password, signature, certificate });
                let Begun::Proposed(proposal) = connection.begin(&hsm, ask) else { panic!() };
                proposal
            })
            .into();
        // Both are stored before either is committed, in this order.
        let stored = proposals.iter_mut().map(|proposal| proposal.persist.take().unwrap());
        let stored = stored.last().unwrap();
        proposals.swap(0, winner);
        let mut answers =
            proposals.into_iter().map(|proposal| hsm.commit_proposal(proposal).reply.answer);
        expect_done(answers.next().flatten().unwrap());
        expect_error(answers.next().flatten().unwrap(), Error::AlreadyActivated);
        drop(answers);
        hsm.store_secrets(stored.expose());
        let mut admin = hsm.connect();
        let password = ["the first password", "the second one"][winner].to_owned();
        let (user, client) = ("admin".to_owned(), vec![7; 16]);
        let ask = LogIn { user, password, role: Role::Admin.number(), client };
        assert!(matches!(admin.ask(&mut hsm, Ask::LogIn(ask)), Answer::LoggedIn(_)));
        let user = CreateUser {
            user: "app".to_owned(),
            role: Role::CryptoUser.number(),
            password: PASSWORD.to_owned(),
        };
        assert!(matches!(admin.ask(&mut hsm, Ask::CreateUser(user)), Answer::User(_)));
        let hash = hsm.state_hash();
        assert_eq!(hsm.restart(false).state_hash(), hash, "winner {winner}");
        assert_eq!(hsm.restart(true).state_hash(), hash, "winner {winner}");
    }
}

/// Whoever drives the log must not go on behind it as if the change had never been.
#[test]
fn an_entry_that_does_not_open_is_counted() {
    let mut hsm = Hsm::active();
    let mut other = Hsm::new();
    other.initialize();
    let mut foreign = other.connect();
    let signature = other.sign_activation(&foreign);
    let certificate = other.ca.pem();
    let ask = Ask::Activate(Activate { password: PASSWORD.to_owned(), signature, certificate });
    let Begun::Proposed(proposal) = foreign.begin(&other, ask) else { panic!() };
    assert_eq!(hsm.applier.unreadable(), 0);
    hsm.commit(proposal.entry);
    assert_eq!(hsm.applier.unreadable(), 1);
}

#[test]
fn a_restart_from_log_or_snapshot_gives_the_same_state() {
    let mut hsm = Hsm::new();
    hsm.initialize();
    hsm.activate();
    hsm.create_user("app", Role::CryptoUser);
    let hash = hsm.state_hash();
    let mut from_log = hsm.restart(false);
    assert_eq!(from_log.state_hash(), hash);
    let mut from_snapshot = hsm.restart(true);
    assert_eq!(from_snapshot.state_hash(), hash);
    let mut connection = from_snapshot.connect();
    let answer = connection.ask(&mut from_snapshot, log_in("app", Role::CryptoUser));
    assert!(matches!(answer, Answer::LoggedIn(_)));
}

#[test]
fn a_ticket_works_on_another_connection_until_log_out() {
    let mut hsm = Hsm::active();
    let mut first = hsm.connect();
    let Answer::LoggedIn(ticket) = first.ask(&mut hsm, log_in("app", Role::CryptoUser)) else {
        panic!()
    };
    let mut second = hsm.connect();
    let used = second.use_ticket(&mut hsm, &ticket.ticket, &ticket.secret);
    assert!(matches!(used, Answer::LoggedIn(_)));
    let mut thief = hsm.connect();
    expect_error(thief.use_ticket(&mut hsm, &ticket.ticket, &[0; 32]), Error::TicketInvalid);
    let mut damaged = ticket.ticket.clone();
    *damaged.last_mut().unwrap() ^= 1;
    expect_error(thief.use_ticket(&mut hsm, &damaged, &ticket.secret), Error::TicketInvalid);
    assert!(matches!(first.ask(&mut hsm, Ask::LogOut(Empty {})), Answer::Done(_)));
    expect_error(thief.use_ticket(&mut hsm, &ticket.ticket, &ticket.secret), Error::TicketInvalid);
    expect_error(second.ask(&mut hsm, Ask::ListUsers(Empty {})), Error::TicketInvalid);
}

#[test]
fn a_changed_password_ends_every_log_in() {
    let mut hsm = Hsm::active();
    let mut connection = hsm.connect();
    let Answer::LoggedIn(ticket) = connection.ask(&mut hsm, log_in("app", Role::CryptoUser)) else {
        panic!()
    };
    let change = CreateUser {
        user: "app".to_owned(),
        role: Role::CryptoUser.number(),
        password: "another one".to_owned(),
    };
    assert!(matches!(connection.ask(&mut hsm, Ask::ChangePassword(change)), Answer::User(_)));
    expect_error(connection.ask(&mut hsm, Ask::ListUsers(Empty {})), Error::TicketInvalid);
    let mut second = hsm.connect();
    expect_error(second.use_ticket(&mut hsm, &ticket.ticket, &ticket.secret), Error::TicketInvalid);
    expect_error(second.ask(&mut hsm, log_in("app", Role::CryptoUser)), Error::PasswordIncorrect);
}

#[test]
fn a_wrong_name_and_a_wrong_password_look_the_same() {
    let mut hsm = Hsm::active();
    for (user, password) in
        [("app", "wrong password"), ("nobody", PASSWORD), ("app", ""), ("a:b", PASSWORD)]
    {
        let mut connection = hsm.connect();
        let ask = Ask::LogIn(LogIn {
            user: user.to_owned(),
            password: password.to_owned(),
            role: 3,
            client: vec![7; 16],
        });
        expect_error(connection.ask(&mut hsm, ask), Error::PasswordIncorrect);
    }
}

#[test]
fn a_retried_write_gets_its_first_reply() {
    let mut hsm = Hsm::active();
    let mut connection = hsm.connect();
    connection.ask(&mut hsm, log_in("admin", Role::Admin));
    let create = |password: &str| {
        Ask::CreateUser(CreateUser {
            user: "once".to_owned(),
            role: 3,
            password: password.to_owned(),
        })
    };
    let first = connection.ask_as(&mut hsm, 77, create(PASSWORD));
    let again = connection.ask_as(&mut hsm, 77, create(PASSWORD));
    assert!(matches!(first, Answer::User(_)) && first == again);
    expect_error(connection.ask_as(&mut hsm, 77, create("another one")), Error::RequestIdReused);
}
