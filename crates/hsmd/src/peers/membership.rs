//! Raft's members follow the replicated state: the leader takes in who was let in, and takes out who was taken out.
//!
//! It looks every now and then, so a leader that dies between a command and what follows from it leaves the rest to the next.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use casemate_cluster::{Cluster, Member};
use casemate_hsm::{Reader, Surroundings};

use super::door::Door;
use super::link::Links;

const LOOK: Duration = Duration::from_millis(100);
/// Voters at most: more make a write slower, and no loss more bearable.
const VOTERS_MAX: usize = 7;

/// Looks as long as the cluster is there, on a thread of its own.
pub(crate) fn follow(reader: &Reader, cluster: &Weak<Cluster>, links: &Links<Door>) {
    let mut leader = None;
    loop {
        std::thread::sleep(LOOK);
        let Some(cluster) = cluster.upgrade() else { return };
        let status = cluster.status();
        let away = links.away();
        if status.leader != leader && !reader.members().is_empty() {
            leader = status.leader;
            match leader {
                Some(node) => tracing::info!(node, this = status.leads, "an HSM leads"),
                None => tracing::warn!("no HSM leads: changes wait for a majority"),
            }
        }
        reader.observe(Surroundings { leader: status.leader, away });
        if !status.leads {
            continue;
        }
        let wanted = reader.members().into_iter().map(|member| {
            let (address, identity) = (member.peer_address, member.identity);
            (member.node, Member { address, identity })
        });
        let wanted: BTreeMap<u64, Member> = wanted.collect();
        if wanted.is_empty() {
            continue;
        }
        let found: BTreeMap<u64, Member> =
            status.members.iter().map(|one| (one.node, one.member.clone())).collect();
        for node in found.keys().filter(|node| !wanted.contains_key(node)) {
            report("taken out", *node, cluster.remove(*node));
        }
        let voters = status.members.iter().filter(|one| one.voter).count();
        for (node, member) in wanted {
            if !found.contains_key(&node) && voters < VOTERS_MAX {
                report("taken in", node, cluster.add_voter(node, member));
                break;
            }
        }
    }
}

fn report(what: &str, node: u64, changed: Result<(), casemate_cluster::MembershipError>) {
    match changed {
        Ok(()) => tracing::info!(node, "an HSM was {what}"),
        Err(error) => tracing::debug!(node, %error, "an HSM could not be {what} yet"),
    }
}
