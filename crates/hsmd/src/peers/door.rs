//! This HSM behind its port: who is a member by the replicated state, what members may ask, and who may join.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use casemate_cluster::{Cluster, Member, Transport, TransportError};
use casemate_hsm::{MemberAddress, Notice, Reader};
use casemate_protocol::messages::{JoinRequest, PeerHello};
use prost::Message as _;

use super::link::{Greeting, LinkError, Links, Place};
use super::{House, Identity, Later, Refusal};
use crate::clock::Clock;

const PROTOCOL: u32 = 1;

/// This HSM.
pub(crate) struct Door {
    reader: Reader,
    node: u64,
    cluster: OnceLock<Arc<Cluster>>,
    /// The members as this module was told when it joined: until it has the state.
    told: Vec<MemberAddress>,
}

impl Door {
    /// Makes it; what members ask is answered once the cluster is there.
    pub(crate) fn new(reader: Reader, node: u64, told: Vec<MemberAddress>) -> Self {
        Self { reader, node, cluster: OnceLock::new(), told }
    }

    /// The cluster is there.
    pub(crate) fn open(&self, cluster: Arc<Cluster>) {
        // It is opened once.
        let _first = self.cluster.set(cluster).is_ok();
    }

    fn own_hello(&self) -> PeerHello {
        let hello = self.reader.hello([0; 32]);
        let (cluster, incarnation) = (hello.cluster, hello.incarnation);
        PeerHello { protocol: PROTOCOL, cluster, incarnation, node: self.node }
    }

    fn member(&self, who: &Identity) -> Option<u64> {
        let members = self.reader.members();
        let members = if members.is_empty() { &self.told } else { &members };
        members.iter().find(|member| member.identity == *who).map(|member| member.node)
    }
}

impl House for Door {
    fn hello(&self) -> Vec<u8> {
        self.own_hello().encode_to_vec()
    }

    fn receive(&self, who: &Identity, hello: &[u8]) -> Result<u64, Refusal> {
        let node = self.member(who).ok_or(Refusal::Stranger)?;
        let wanted = PeerHello { node, ..self.own_hello() };
        match PeerHello::decode(hello) {
            Ok(found) if found == wanted => Ok(node),
            Ok(found) if found.cluster != wanted.cluster => {
                Err(Refusal::Unfit("it belongs to another cluster".to_owned()))
            }
            Ok(found) if found.incarnation != wanted.incarnation => {
                Err(Refusal::Unfit("it is of another incarnation of the cluster".to_owned()))
            }
            Ok(_) | Err(_) => Err(Refusal::Unfit("its first message makes no sense".to_owned())),
        }
    }

    fn is_member(&self, number: u64, who: &Identity) -> bool {
        self.member(who) == Some(number)
    }

    fn serve(&self, _from: u64, request: Vec<u8>) -> Later<Vec<u8>> {
        match self.cluster.get() {
            Some(cluster) => Box::pin(cluster.serve(request)),
            None => Box::pin(async { Vec::new() }),
        }
    }

    fn join(&self, who: Identity, request: Vec<u8>) -> Later<Vec<u8>> {
        let (reader, cluster) = (self.reader.clone(), self.cluster.get().cloned());
        Box::pin(async move {
            let Ok(request) = JoinRequest::decode(request.as_slice()) else { return Vec::new() };
            let (address, zone) = (request.peer_address.clone(), request.zone.clone());
            let considered = reader.consider(request, &who, Clock::machine());
            if let (Some(proposal), Some(cluster)) = (considered.proposal, cluster) {
                // The module asks again, and is answered by what the state says then.
                cluster.propose(proposal.entry, Box::new(|_committed| ()));
            }
            match considered.notice {
                Some(Notice::Waits) => tracing::warn!(
                    address,
                    zone,
                    "an HSM asks to join: an admin lets it in by `casemate cluster add-hsm`"
                ),
                Some(Notice::EvidenceRefused) => tracing::warn!(
                    address,
                    zone,
                    "an HSM asks to join, and its machine showed by its TPM what is not allowed"
                ),
                None => {}
            }
            considered.answer.encode_to_vec()
        })
    }
}

impl Greeting for Door {
    fn hello(&self) -> Vec<u8> {
        House::hello(self)
    }

    fn judge(&self, member: u64, hello: &[u8]) -> Result<(), LinkError> {
        let wanted = PeerHello { node: member, ..self.own_hello() };
        let right = PeerHello::decode(hello).is_ok_and(|found| found == wanted);
        if right { Ok(()) } else { Err(LinkError::NotReceived) }
    }
}

/// Raft's messages over the links.
pub(crate) struct Messenger(pub(crate) Arc<Links<Door>>);

impl Transport for Messenger {
    fn call(
        &self,
        to: u64,
        member: &Member,
        request: Vec<u8>,
        within: Duration,
    ) -> casemate_cluster::Later<Result<Vec<u8>, TransportError>> {
        let links = Arc::clone(&self.0);
        let place = Place { address: member.address.clone(), identity: member.identity };
        Box::pin(async move {
            let reply = links.call(to, place, request, within).await;
            reply.map_err(|error| TransportError(error.to_string()))
        })
    }
}
