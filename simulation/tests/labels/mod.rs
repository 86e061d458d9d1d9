//! The simplest service with objects: labels by name, each write known by its client and number.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Mutex};

use casemate_cluster::{Cluster, Later, Replica, ReplicaError, Snapshot};
use casemate_simulation::history::{Answer, Operation};
use casemate_simulation::linearizability::models::{ObjectAnswer, ObjectOperation};
use casemate_simulation::service::{Client, ClientWire, Front, Life, Service};
use tokio::sync::oneshot;

/// Client, number, what, name, label.
type Request = [u64; 5];
const CREATE: u64 = 1;
const SET: u64 = 2;
const DESTROY: u64 = 3;
const READ: u64 = 4;

const DONE: u64 = u64::MAX;
const NOT_THERE: u64 = u64::MAX - 1;

fn encode<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn decode<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let words = bytes.chunks_exact(8).map(|word| u64::from_be_bytes(word.try_into().unwrap()));
    words.collect::<Vec<_>>().try_into().ok()
}

#[derive(Clone, Default, Hash)]
struct State {
    index: u64,
    labels: BTreeMap<u64, u64>,
    replies: BTreeMap<(u64, u64), u64>,
}

#[derive(Clone, Default)]
pub(crate) struct Labels(Arc<Mutex<State>>);

impl Replica for Labels {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, ReplicaError> {
        let mut state = self.0.lock().unwrap();
        state.index = index;
        let Some([client, number, what, name, label]) = decode(entry) else {
            return Ok(Vec::new());
        };
        if let Some(reply) = state.replies.get(&(client, number)) {
            return Ok(encode([*reply]));
        }
        let reply = match what {
            CREATE => {
                state.labels.insert(name, label);
                DONE
            }
            SET if state.labels.contains_key(&name) => {
                state.labels.insert(name, label);
                DONE
            }
            DESTROY if state.labels.remove(&name).is_some() => DONE,
            _ => NOT_THERE,
        };
        state.replies.insert((client, number), reply);
        Ok(encode([reply]))
    }

    fn index(&self) -> u64 {
        self.0.lock().unwrap().index
    }

    fn publish(&mut self) {}

    fn snapshot(&self) -> Snapshot {
        let State { index, labels, replies } = self.0.lock().unwrap().clone();
        Box::new(move || {
            let labels = labels.clone().into_iter().map(|(name, label)| encode([name, label]));
            let replies = replies.clone().into_iter();
            let replies = replies.map(|((client, number), reply)| encode([client, number, reply]));
            Box::new(std::iter::once(encode([index])).chain(labels).chain(replies))
        })
    }

    fn install(
        &mut self,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<(), ReplicaError> {
        let mut state = State::default();
        for chunk in chunks.map(Result::unwrap) {
            if let Some([index]) = decode(&chunk) {
                state.index = index;
            } else if let Some([name, label]) = decode(&chunk) {
                state.labels.insert(name, label);
            } else if let Some([client, number, reply]) = decode(&chunk) {
                state.replies.insert((client, number), reply);
            }
        }
        *self.0.lock().unwrap() = state;
        Ok(())
    }
}

impl Front for Labels {
    fn answer(&self, cluster: Arc<Cluster>, request: Vec<u8>) -> Later<Vec<u8>> {
        let labels = self.clone();
        Box::pin(async move {
            let Some([.., what, name, _]): Option<Request> = decode(&request) else {
                return Vec::new();
            };
            if what == READ {
                let (sender, receiver) = oneshot::channel();
                cluster.confirm(Box::new(move |confirmed| {
                    let _told = sender.send(confirmed).is_ok();
                }));
                let Ok(Ok(())) = receiver.await else { return Vec::new() };
                let state = labels.0.lock().unwrap();
                return encode([state.labels.get(&name).copied().unwrap_or(NOT_THERE)]);
            }
            let (sender, receiver) = oneshot::channel();
            cluster.propose(request, Box::new(move |done| drop(sender.send(done))));
            match receiver.await {
                Ok(Ok(committed)) => committed.reply,
                _ => Vec::new(),
            }
        })
    }

    fn state(&self) -> (u64, u64) {
        let state = self.0.lock().unwrap();
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        (state.index, hasher.finish())
    }
}

/// The service.
pub(crate) struct LabelService;

impl Service for LabelService {
    type Replica = Labels;
    type Client = LabelClient;

    fn genesis(&self) -> Vec<u8> {
        Vec::new()
    }

    fn begin(&self, _node: u64) -> Life<Labels> {
        let labels = Labels::default();
        Life { replica: labels.clone(), front: Arc::new(labels) }
    }

    fn client(&self, number: u64, wire: ClientWire) -> LabelClient {
        LabelClient { number, next: 0, at: number % 3 + 1, wire }
    }
}

/// Stays with one HSM until that one does not answer, then goes to the next.
pub(crate) struct LabelClient {
    number: u64,
    next: u64,
    at: u64,
    wire: ClientWire,
}

impl Client for LabelClient {
    async fn perform(&mut self, operation: Operation) -> Option<Answer> {
        let Operation::Object(name, operation) = operation else { return None };
        self.next += 1;
        let (what, label) = match operation {
            ObjectOperation::Create(label) => (CREATE, label),
            ObjectOperation::Set(label) => (SET, label),
            ObjectOperation::Destroy => (DESTROY, 0),
            ObjectOperation::Read => (READ, 0),
        };
        let request = encode([self.number, self.next, what, name, label]);
        for _ in 0..6 {
            let reply = (self.wire)(self.at, request.clone()).await;
            if let Some([reply]) = reply.and_then(|reply| decode(&reply)) {
                return Some(Answer::Object(match reply {
                    DONE => ObjectAnswer::Done,
                    NOT_THERE => ObjectAnswer::NotThere,
                    label => ObjectAnswer::Label(label),
                }));
            }
            self.at = self.at % 3 + 1;
        }
        None
    }
}
