//! A network in memory: links that can be cut, also one way, and members that can be killed and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use casemate_cluster::{Cluster, Later, Member, Transport, TransportError};

/// Who is there, and which links are cut.
#[derive(Default)]
pub(crate) struct Wires {
    members: BTreeMap<u64, Weak<Cluster>>,
    /// From, to.
    cut: BTreeSet<(u64, u64)>,
}

/// The network.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Wires>>);

impl Network {
    pub(crate) fn connect(&self, node: u64, cluster: &Arc<Cluster>) {
        self.0.lock().unwrap().members.insert(node, Arc::downgrade(cluster));
    }

    pub(crate) fn disconnect(&self, node: u64) {
        self.0.lock().unwrap().members.remove(&node);
    }

    /// Cuts a link in one direction.
    pub(crate) fn cut(&self, from: u64, to: u64) {
        self.0.lock().unwrap().cut.insert((from, to));
    }

    /// Cuts a member off, both ways.
    pub(crate) fn isolate(&self, node: u64, of: u64) {
        for other in (1..=of).filter(|other| *other != node) {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    pub(crate) fn heal(&self) {
        self.0.lock().unwrap().cut.clear();
    }

    pub(crate) fn wire(&self, from: u64) -> Arc<dyn Transport> {
        Arc::new(Wire { from, network: self.clone() })
    }

    fn passes(&self, from: u64, to: u64) -> bool {
        !self.0.lock().unwrap().cut.contains(&(from, to))
    }

    fn member(&self, node: u64) -> Option<Arc<Cluster>> {
        self.0.lock().unwrap().members.get(&node).and_then(Weak::upgrade)
    }
}

/// One member's end.
struct Wire {
    from: u64,
    network: Network,
}

impl Transport for Wire {
    fn call(
        &self,
        to: u64,
        _member: &Member,
        request: Vec<u8>,
        within: Duration,
    ) -> Later<Result<Vec<u8>, TransportError>> {
        let (network, from) = (self.network.clone(), self.from);
        Box::pin(async move {
            let lost = || TransportError(format!("{from} does not reach {to}"));
            // What is lost is not told: it takes its time.
            if !network.passes(from, to) {
                tokio::time::sleep(within).await;
                return Err(lost());
            }
            let served = network.member(to).map(|member| member.serve(request)).ok_or_else(lost)?;
            let reply = tokio::time::timeout(within, served).await.map_err(|_late| lost())?;
            if !network.passes(to, from) {
                tokio::time::sleep(within).await;
                return Err(lost());
            }
            Ok(reply)
        })
    }
}
