//! The confused deputy: a sealed thing of one home is presented as one of another, or by another caller, to a module that has it
//! in its cache or not. One cell of each row opens, and the cache changes none.

use bytes::Bytes;
use casemate_protocol::messages::{
    Answer, Ask, Empty, GenerateKey, MadeObject, MechanismUse, ObjectAndTemplate, ObjectReference,
    Operation,
};
use casemate_protocol::{Attribute, AttributeType, Error, Mechanism, Role, Template};

use super::one_hsm::{Connection, Hsm, expect_done};
use crate::limits;

/// Everybody who may come with something that was sealed for one log-in of `app`.
struct Callers {
    same_log_in: Connection,
    other_log_in: Connection,
    other_user: Connection,
    admin: Connection,
    nobody: Connection,
    /// The same log-in after its log-out.
    logged_out: Connection,
    /// A user of the same name, on a cluster of his own.
    other_cluster: Connection,
}

impl Callers {
    fn all(&mut self) -> [(&'static str, &mut Connection); 7] {
        [
            ("the same log-in", &mut self.same_log_in),
            ("another log-in of the owner", &mut self.other_log_in),
            ("another user", &mut self.other_user),
            ("an admin", &mut self.admin),
            ("nobody", &mut self.nobody),
            ("after log-out", &mut self.logged_out),
            ("another cluster", &mut self.other_cluster),
        ]
    }
}

fn key(token: bool) -> Ask {
    let mut template = Template::default();
    template.set(Attribute::number(AttributeType::ValueLen, 32));
    template.set(Attribute::flag(AttributeType::Token, token));
    template.set(Attribute::flag(AttributeType::Sign, true));
    let mechanism = Mechanism::AesKeyGen.number();
    Ask::GenerateKey(GenerateKey {
        mechanism: Some(MechanismUse { mechanism, parameter: None }),
        template: Some(template),
    })
}

fn make(hsm: &mut Hsm, connection: &mut Connection, token: bool) -> ObjectReference {
    match connection.ask(hsm, key(token)) {
        Answer::Made(MadeObject { object: Some(object), .. }) => object,
        _ => panic!("no key was made"),
    }
}

fn session(bytes: &[u8]) -> ObjectReference {
    ObjectReference { number: 0, session: Bytes::copy_from_slice(bytes) }
}

fn sign(hsm: &mut Hsm, connection: &mut Connection, key: &ObjectReference) -> Option<Error> {
    sign_part(hsm, connection, key, 0, &[]).err()
}

fn sign_part(
    hsm: &mut Hsm,
    connection: &mut Connection,
    key: &ObjectReference,
    part: u32,
    state: &[u8],
) -> Result<Vec<u8>, Error> {
    let mechanism = Mechanism::AesCmac.number();
    let operation = Operation {
        key: Some(key.clone()),
        mechanism: Some(MechanismUse { mechanism, parameter: None }),
        data: Bytes::from_static(b"sixteen bytes of"),
        part,
        state: Bytes::copy_from_slice(state),
        ..Operation::default()
    };
    match connection.ask(hsm, Ask::Sign(operation)) {
        Answer::Data(data) if part == 1 => Ok(data.state.to_vec()),
        Answer::Data(data) => Ok(data.data.to_vec()),
        Answer::Error(error) => Err(error.into()),
        _ => panic!("neither a signature nor an error"),
    }
}

struct Scene {
    hsm: Hsm,
    owner: Connection,
    callers: Callers,
}

impl Scene {
    fn new() -> Self {
        let mut hsm = Hsm::active();
        hsm.create_user("other", Role::CryptoUser);
        let owner = hsm.log_in("app", Role::CryptoUser);
        // Another connection that took the log-in up.
        let mut same_log_in = hsm.connect();
        same_log_in.caller.log_in.clone_from(&owner.caller.log_in);
        let mut logged_out = hsm.connect();
        let mut ends = hsm.log_in("app", Role::CryptoUser);
        logged_out.caller.log_in.clone_from(&ends.caller.log_in);
        expect_done(ends.ask(&mut hsm, Ask::LogOut(Empty {})));
        let callers = Callers {
            same_log_in,
            other_log_in: hsm.log_in("app", Role::CryptoUser),
            other_user: hsm.log_in("other", Role::CryptoUser),
            admin: hsm.log_in("admin", Role::Admin),
            nobody: hsm.connect(),
            logged_out,
            other_cluster: Hsm::active().log_in("app", Role::CryptoUser),
        };
        Self { hsm, owner, callers }
    }

    /// Who can sign with it, on a module that never saw it and on one where its owner just used it.
    fn opens_for(&mut self, reference: &ObjectReference) -> Vec<(&'static str, bool)> {
        let mut opened = Vec::new();
        for warm in [false, true] {
            for (who, connection) in self.callers.all() {
                let mut hsm = self.hsm.restart(true);
                if warm {
                    // What is no key of the owner's either warms nothing.
                    sign(&mut hsm, &mut self.owner, reference);
                }
                if sign(&mut hsm, connection, reference).is_none() {
                    opened.push((who, warm));
                }
            }
        }
        opened
    }
}

#[test]
fn a_session_key_opens_for_its_log_in_alone_cold_and_warm() {
    let mut scene = Scene::new();
    let mut owner = scene.hsm.connect();
    owner.caller.log_in.clone_from(&scene.owner.caller.log_in);
    let session = make(&mut scene.hsm, &mut owner, false);
    let opened = scene.opens_for(&session);
    assert_eq!(opened, [("the same log-in", false), ("the same log-in", true)]);
    // The cache finds an entry by its id, and then demands every byte.
    let mut forged = session.session.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = ObjectReference { number: 0, session: forged.into() };
    assert_eq!(sign(&mut scene.hsm, &mut owner, &session), None);
    assert_eq!(sign(&mut scene.hsm, &mut owner, &forged), Some(Error::SessionKeyVoid));
}

#[test]
fn a_token_key_opens_for_its_owner_alone_cold_and_warm() {
    let mut scene = Scene::new();
    let mut owner = scene.hsm.connect();
    owner.caller.log_in.clone_from(&scene.owner.caller.log_in);
    let token = make(&mut scene.hsm, &mut owner, true);
    let owners = ["the same log-in", "another log-in of the owner"];
    let expected: Vec<_> =
        [false, true].into_iter().flat_map(|warm| owners.map(|who| (who, warm))).collect();
    assert_eq!(scene.opens_for(&token), expected);
}

/// What lies on disk, or with a client, for another purpose: presented as a session key it opens for nobody.
#[test]
fn nothing_of_another_home_is_a_session_key() {
    let mut scene = Scene::new();
    let mut owner = scene.hsm.connect();
    owner.caller.log_in.clone_from(&scene.owner.caller.log_in);
    let token = make(&mut scene.hsm, &mut owner, true);
    let chain = sign_part(&mut scene.hsm, &mut owner, &token, 1, &[]).unwrap();
    assert!(!chain.is_empty());
    let state = &scene.hsm.applier.state;
    let record = state.objects.iter().next().unwrap().bytes().to_vec();
    let keyring = scene.hsm.applier.shared.keyring();
    let header = state.objects.iter().next().unwrap().header();
    let ticket = keyring.seal(crate::sealing::Purpose::Ticket, &header.encode(), &[1; 32]);
    let command = scene.hsm.log.last().unwrap().clone();
    let chunk = (scene.hsm.applier.snapshot())().next().unwrap();
    for (what, bytes) in [
        ("a token key's record", record),
        ("a state of CMAC", chain),
        ("a ticket", ticket),
        ("a command of the log", command),
        ("a chunk of a snapshot", chunk),
    ] {
        assert_eq!(scene.opens_for(&session(&bytes)), [], "{what}");
    }
}

/// The other way round: a session key is no ticket, and no state of an operation.
#[test]
fn a_session_key_is_nothing_else() {
    let mut scene = Scene::new();
    let mut owner = scene.hsm.connect();
    owner.caller.log_in.clone_from(&scene.owner.caller.log_in);
    let blob = make(&mut scene.hsm, &mut owner, false);
    let token = make(&mut scene.hsm, &mut owner, true);
    let mut thief = scene.hsm.connect();
    let answer = thief.use_ticket(&mut scene.hsm, &blob.session, &[0; 32]);
    super::one_hsm::expect_error(answer, Error::TicketInvalid);
    assert!(sign_part(&mut scene.hsm, &mut owner, &token, 3, &blob.session).is_err());
    // A state goes on with its own key alone.
    let other = make(&mut scene.hsm, &mut owner, true);
    let state = sign_part(&mut scene.hsm, &mut owner, &token, 1, &[]).unwrap();
    assert!(sign_part(&mut scene.hsm, &mut owner, &token, 3, &state).is_ok());
    assert!(sign_part(&mut scene.hsm, &mut owner, &other, 3, &state).is_err());
}

/// A session key that lost rights, was destroyed, or whose log-in ended: the older form is void on every module.
#[test]
fn an_older_form_of_a_session_key_is_void_on_every_module() {
    let mut scene = Scene::new();
    let Scene { hsm, owner, .. } = &mut scene;
    let before = make(hsm, owner, false);
    let change = ObjectAndTemplate {
        object: Some(before.clone()),
        template: Some(Template {
            attributes: vec![Attribute::flag(AttributeType::Copyable, false)],
        }),
    };
    let answer = owner.ask(hsm, Ask::SetAttributes(change));
    let Answer::Made(MadeObject { object: Some(after), .. }) = answer else { panic!() };
    for snapshot in [false, true] {
        let mut other = hsm.restart(snapshot);
        assert_eq!(sign(&mut other, owner, &before), Some(Error::SessionKeyVoid));
        assert_eq!(sign(&mut other, owner, &after), None);
    }
    let destroyed = make(hsm, owner, false);
    assert_eq!(sign(hsm, owner, &destroyed), None);
    expect_done(owner.ask(hsm, Ask::DestroyObject(destroyed.clone())));
    for mut module in [hsm.restart(false), hsm.restart(true)] {
        assert_eq!(sign(&mut module, owner, &destroyed), Some(Error::SessionKeyVoid));
    }
    // The client crashed and never logged out: with the end of its ticket all of it is void.
    let mut later = hsm.restart(true);
    later.now = later.now.after_ms(limits::TICKET_MS + limits::CLOCK_TOLERANCE_MS);
    assert_eq!(sign(&mut later, owner, &after), Some(Error::TicketInvalid));
    let log_in = owner.caller.log_in.clone();
    expect_done(owner.ask(hsm, Ask::LogOut(Empty {})));
    owner.caller.log_in = log_in;
    assert_eq!(sign(hsm, owner, &after), Some(Error::TicketInvalid));
    assert_eq!(sign(&mut hsm.restart(true), owner, &after), Some(Error::TicketInvalid));
}
