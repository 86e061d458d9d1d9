//! The module: requests of a user who is logged in, sealed bytes that were changed, entries and snapshots that are not its own.

use std::cell::RefCell;

use bytes::Bytes;
use casemate_protocol::messages::{
    Answer, Ask, GenerateKeyPair, MechanismUse, ObjectReference, Operation, Parameter, Reply,
    Request, UseTicket, decode_request,
};
use casemate_protocol::{Attribute, AttributeType, Error, Mechanism, Template};
use prost::Message as _;

use crate::one_hsm::{OneHsm, change, gives_away};

/// Entries of the log after which an HSM is made anew, so that an input does not depend on too many before it.
const LIFE: usize = 400;

thread_local! {
    static HSM: RefCell<Option<OneHsm>> = const { RefCell::new(None) };
}

fn with_hsm<T>(work: impl FnOnce(&mut OneHsm) -> T) -> T {
    HSM.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|hsm| hsm.log.len() > LIFE || hsm.caller.log_in.is_none()) {
            *slot = Some(OneHsm::with_keys());
        }
        work(slot.as_mut().unwrap())
    })
}

/// Whether it takes seconds by design: those are tested elsewhere.
fn is_slow(ask: &Ask) -> bool {
    let rsa = |mechanism: &Option<MechanismUse>| {
        mechanism.as_ref().is_some_and(|mechanism| {
            let number = mechanism.mechanism;
            number == Mechanism::RsaPkcsKeyPairGen.number()
                || number == Mechanism::RsaX931KeyPairGen.number()
        })
    };
    match ask {
        Ask::GenerateKeyPair(GenerateKeyPair { mechanism, .. }) => rsa(mechanism),
        Ask::GenerateKey(request) => {
            let parameter =
                request.mechanism.as_ref().and_then(|mechanism| mechanism.parameter.as_ref());
            matches!(parameter, Some(Parameter::Pbkdf2(pbkdf2)) if pbkdf2.iterations > 100)
        }
        _ => false,
    }
}

/// A request of a user who is logged in: it is read back as it was written or refused; the answer is no fault of the module's own,
/// and never holds a key that must not leave. The first byte is the request's number.
pub fn request(input: &[u8]) {
    let Some((&sequence, rest)) = input.split_first() else { return };
    let bytes = Bytes::copy_from_slice(rest);
    let decoded = decode_request(bytes.clone());
    if let Ok(request) = &decoded {
        assert_eq!(request.encoded_len(), rest.len());
        let again = request.encode_to_vec();
        assert!(decode_request(again.into()).is_ok_and(|again| again == *request));
        if request.ask.as_ref().is_some_and(is_slow) {
            return;
        }
    }
    with_hsm(|hsm| {
        let sequence = hsm.log.len() as u64 * 1_000 + u64::from(sequence) + 1_000_000;
        let answer = hsm.ask_raw(sequence, bytes);
        if decoded.is_err() {
            assert!(matches!(answer, Answer::Error(_)));
        }
        no_fault(&answer);
        let reply = Reply::new(answer).encode_to_vec();
        assert!(!gives_away(&reply) || gives_away(rest), "a key left");
    });
}

fn no_fault(answer: &Answer) {
    if let Answer::Error(error) = answer {
        let error = Error::from(*error);
        let fault =
            matches!(error, Error::Internal | Error::SelfTestFailed | Error::Unknown { .. });
        assert!(!fault, "{error:?}");
    }
}

/// Sealed bytes that were changed never open: a ticket, a session key, the state of a multi-part operation, an index token. The
/// first byte says which; then two bytes for each place and one for what is changed there, or, if the second is 255, what takes its
/// place.
pub fn sealed(input: &[u8]) {
    let Some((&which, changes)) = input.split_first() else { return };
    with_hsm(|hsm| {
        let blob = match which % 4 {
            0 => ticket(hsm),
            1 => session_key(hsm).session.to_vec(),
            2 => cmac_state(hsm),
            _ => hsm.reader.index_token(),
        };
        let mut found = blob.clone();
        match changes.split_first() {
            Some((255, other)) => found = other.to_vec(),
            _ => change(&mut found, changes),
        }
        let same = found == blob;
        let answer = match which % 4 {
            0 => {
                let ask = UseTicket { ticket: found, nonce: vec![1; 32], proof: vec![2; 32] };
                let answer = hsm.stranger(Ask::UseTicket(ask));
                // The right ticket without its secret's proof is as good as none.
                assert!(
                    matches!(answer, Answer::Error(error) if Error::from(error) == Error::TicketInvalid)
                );
                return;
            }
            1 => {
                let key = ObjectReference { number: 0, session: found.into() };
                hsm.ask(cmac(Some(key), 0, Bytes::new()))
            }
            2 => {
                let key = ObjectReference { number: aes(hsm), session: Bytes::new() };
                hsm.ask(cmac(Some(key), 2, found.into()))
            }
            _ => {
                let ask = Ask::Ping(casemate_protocol::messages::Empty {});
                let request = Request { seen: found, ask: Some(ask), ..Request::default() };
                let answer = hsm.ask_raw(1, request.encode_to_vec().into());
                // A token that is not ours is ignored.
                assert!(matches!(answer, Answer::Done(_)));
                return;
            }
        };
        no_fault(&answer);
        assert_eq!(
            matches!(answer, Answer::Data(_)),
            same,
            "changed bytes were taken, or right ones were not"
        );
    });
}

fn ticket(hsm: &mut OneHsm) -> Vec<u8> {
    let ask = casemate_protocol::messages::LogIn {
        user: "app".to_owned(),
        password: "correct horse".to_owned(),
        role: 3,
        client: vec![7; 16],
    };
    match hsm.stranger(Ask::LogIn(ask)) {
        Answer::LoggedIn(logged_in) => logged_in.ticket,
        _ => panic!("no log-in"),
    }
}

/// The number of the AES token key.
fn aes(hsm: &mut OneHsm) -> u64 {
    let template = Template::default()
        .with(Attribute::number(AttributeType::KeyType, casemate_protocol::KeyType::Aes.number()))
        .with(Attribute::new(AttributeType::Label, ""));
    let template = Template { attributes: template.attributes.into_iter().take(1).collect() };
    let find =
        casemate_protocol::messages::FindObjects { template: Some(template), ..Default::default() };
    match hsm.ask(Ask::FindObjects(find)) {
        Answer::Found(found) => found.numbers[0],
        _ => panic!("no key"),
    }
}

fn session_key(hsm: &mut OneHsm) -> ObjectReference {
    let generate = casemate_protocol::messages::GenerateKey {
        mechanism: Some(MechanismUse { mechanism: Mechanism::AesKeyGen.number(), parameter: None }),
        template: Some(Template::default().with(Attribute::number(AttributeType::ValueLen, 32))),
    };
    match hsm.ask(Ask::GenerateKey(generate)) {
        Answer::Made(made) => made.object.unwrap(),
        _ => panic!("no key"),
    }
}

fn cmac(key: Option<ObjectReference>, part: u32, state: Bytes) -> Ask {
    Ask::Sign(Operation {
        key,
        mechanism: Some(MechanismUse { mechanism: Mechanism::AesCmac.number(), parameter: None }),
        data: vec![7; 32].into(),
        part,
        state,
        ..Operation::default()
    })
}

fn cmac_state(hsm: &mut OneHsm) -> Vec<u8> {
    let key = ObjectReference { number: aes(hsm), session: Bytes::new() };
    match hsm.ask(cmac(Some(key), 1, Bytes::new())) {
        Answer::Data(data) => data.state.to_vec(),
        Answer::Error(error) => panic!("{}", Error::from(error)),
        _ => panic!("no state"),
    }
}

/// An entry of the log that was changed, or that is none: it is refused, and only index and head move on. The first byte says which
/// of the log's entries; the rest is as for [`sealed`].
pub fn log_entry(input: &[u8]) {
    let Some((&which, changes)) = input.split_first() else { return };
    thread_local! {
        static LOG: RefCell<OneHsm> = RefCell::new(OneHsm::with_keys());
    }
    LOG.with_borrow_mut(|hsm| {
        let entry = hsm.log[usize::from(which) % hsm.log.len()].clone();
        let mut found = entry.clone();
        match changes.split_first() {
            Some((255, other)) => found = other.to_vec(),
            _ => change(&mut found, changes),
        }
        let counts = counts(hsm);
        let index = hsm.applier.index() + 1;
        let reply = hsm.applier.apply(index, &found);
        hsm.applier.publish();
        assert_eq!(hsm.applier.index(), index);
        let answer = Reply::decode(reply.as_slice()).unwrap().answer.unwrap();
        if found != entry {
            assert!(matches!(answer, Answer::Error(_)), "a changed entry was applied");
        }
        // The same entry again is known by its request, or is refused as what was done before.
        assert_eq!(self::counts(hsm), counts, "a replayed entry was applied again");
    });
}

fn counts(hsm: &mut OneHsm) -> (u64, u64, u32) {
    match hsm.stranger(Ask::Status(casemate_protocol::messages::Empty {})) {
        Answer::Status(status) => (status.objects, status.users, status.lifecycle),
        _ => panic!("no status"),
    }
}

/// A snapshot whose chunks were changed, moved, left out or replaced: it is refused whole, or it is the snapshot. Each three bytes
/// are a place and a change; a first byte from 128 on says what takes the place of the first chunk.
pub fn snapshot(input: &[u8]) {
    thread_local! {
        static SNAPSHOT: RefCell<Option<(OneHsm, Vec<Vec<u8>>)>> = const { RefCell::new(None) };
    }
    SNAPSHOT.with_borrow_mut(|slot| {
        let (hsm, chunks) = slot.get_or_insert_with(|| {
            let hsm = OneHsm::with_keys();
            let chunks = (hsm.applier.snapshot())().collect();
            (hsm, chunks)
        });
        let mut found = chunks.clone();
        match input.split_first() {
            Some((how @ 128.., rest)) => match how % 4 {
                0 => found[0] = rest.to_vec(),
                1 => found.push(rest.to_vec()),
                2 => found.truncate(usize::from(rest.first().copied().unwrap_or(0)) % found.len()),
                _ => found.extend(chunks.clone()),
            },
            _ => change(&mut found[0], input),
        }
        let same = found == *chunks;
        let (_reader, mut applier) = hsm.another();
        let installed = applier.install(&mut found.into_iter().map(Ok));
        assert_eq!(
            installed.is_ok(),
            same,
            "a changed snapshot was taken, or the right one was not"
        );
        if !same {
            assert_eq!(applier.index(), 0);
        }
    });
}
