//! Reads after writes: what a client has seen at one HSM it finds at every other, or is told that the other is behind.

use casemate_hsm::{Call, Outcome, Wait, limits};
use casemate_protocol::messages::{Answer, Ask, CreateUser, Empty, Request};
use casemate_protocol::{Error, Retry, Role};
use prost::Message as _;

use crate::one_hsm::{Connection, Hsm, PASSWORD};

/// Two members, of which the second has not heard of the newest user, and an admin who is logged in at it.
struct Scene {
    first: Hsm,
    second: Hsm,
    admin: Connection,
}

impl Scene {
    fn new() -> Self {
        let mut first = Hsm::active();
        let joiner = first.newcomer(2);
        let mut second = first.let_in(&joiner);
        let admin = second.log_in("admin", Role::Admin);
        let mut connection = first.log_in("admin", Role::Admin);
        let (user, password) = ("new".to_owned(), PASSWORD.to_owned());
        let ask = CreateUser { user, role: Role::CryptoUser.number(), password };
        assert!(matches!(connection.ask(&mut first, Ask::CreateUser(ask)), Answer::User(_)));
        Self { first, second, admin }
    }

    fn ask(&self, wait_ms: u64) -> Outcome {
        let request = Request {
            ask: Some(Ask::ListUsers(Empty {})),
            seen: self.first.reader.index_token(),
            wait_ms,
            ..Request::default()
        };
        let request = request.encode_to_vec().into();
        let call = Call { sequence: 1_000, request, now: self.second.now };
        self.second.reader.handle(&self.admin.caller, call)
    }

    fn waiting(&self, wait_ms: u64) -> Wait {
        let Outcome::WaitFor(wait) = self.ask(wait_ms) else { panic!("it does not wait") };
        wait
    }

    fn catch_up(&mut self) {
        for index in self.second.log.len()..self.first.log.len() {
            self.second.commit(self.first.log[index].clone());
        }
    }
}

fn names(outcome: Outcome) -> Vec<String> {
    let Outcome::Reply(answered) = outcome else { panic!("no answer") };
    let Some(Answer::Users(users)) = answered.reply.answer else { panic!("another answer") };
    users.users.into_iter().map(|user| user.user).collect()
}

fn error(outcome: Outcome) -> Error {
    let Outcome::Reply(answered) = outcome else { panic!("no answer") };
    let Some(Answer::Error(error)) = answered.reply.answer else { panic!("no error") };
    error.into()
}

#[test]
fn a_request_waits_until_its_hsm_has_what_its_client_has_seen() {
    let mut scene = Scene::new();
    let wait = scene.waiting(0);
    assert_eq!(wait.index, scene.first.reader.index().0);
    scene.catch_up();
    assert_eq!(names((wait.job)()), ["admin", "app", "new"]);
    // From then on nothing waits.
    assert_eq!(names(scene.ask(0)), ["admin", "app", "new"]);
}

#[test]
fn an_hsm_that_stays_behind_says_so_and_never_answers_from_the_past() {
    let scene = Scene::new();
    for (wait_ms, within_ms) in
        [(0, limits::INDEX_WAIT_MS), (7, 7), (u64::MAX, limits::INDEX_WAIT_MS)]
    {
        let wait = scene.waiting(wait_ms);
        assert_eq!(wait.within_ms, within_ms);
        let late = Error::IndexAhead(within_ms);
        assert_eq!(error(Outcome::Reply(wait.late())), late);
        assert_eq!(late.retry(), Retry::Elsewhere);
        // Whoever runs it too early gets no answer from the past, nor another round.
        assert_eq!(error((wait.job)()), late);
    }
}
