//! Raft's members follow the replicated state: the leader takes in who was let in, and takes out who was taken out.
//!
//! It looks every now and then, so a leader that dies between a command and what follows from it leaves the rest to the next.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use casemate_cluster::{Cluster, Member, Status, WriteHealth};
use casemate_hsm::{Reader, Surroundings, Writes};

use super::door::Door;
use super::link::Links;

const LOOK: Duration = Duration::from_millis(100);
/// Voters at most: more make a write slower, and no loss more bearable.
const VOTERS_MAX: usize = 7;

/// How often the disk is looked at: each second.
const LOOKS_PER_DISK: u32 = 10;

/// What the module cannot know of itself.
fn surroundings(status: &Status) -> Surroundings {
    let members = status.members.iter();
    Surroundings {
        leader: status.leader,
        voters: members.clone().filter(|one| one.voter).map(|one| one.node).collect(),
        reached: members.filter_map(|one| Some((one.node, one.matched?))).collect(),
        term: status.term,
        writes: match status.write_health {
            WriteHealth::Ok => Writes::Possible,
            WriteHealth::Full => Writes::NoRoom,
            WriteHealth::Failed => Writes::Failed,
        },
        ..Surroundings::default()
    }
}

/// Free bytes and all bytes of the disk that a directory is on.
fn room(directory: &Path) -> Option<(u64, u64)> {
    let file = File::open(directory).ok()?;
    let found = nix::sys::statvfs::fstatvfs(&file).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
    Some((bytes(found.blocks_available()), bytes(found.blocks())))
}

/// Looks as long as the cluster is there, on a thread of its own.
pub(crate) fn follow(
    reader: &Reader,
    cluster: &Weak<Cluster>,
    links: &Links<Door>,
    directory: &Path,
) {
    let (mut leader, mut disk, mut looks) = (None, None, 0_u32);
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
        if looks.is_multiple_of(LOOKS_PER_DISK) {
            disk = room(directory);
        }
        looks = looks.wrapping_add(1);
        reader.observe(Surroundings { away, disk, ..surroundings(&status) });
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
