//! What the module says of itself to whoever asks: status and settings. Nothing here is secret.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use casemate_protocol::identity::LogIndex;
use casemate_protocol::messages::{Answer, HsmStatus, Status};

use crate::lifecycle::certificates;
use crate::members::Hsm;
use crate::outcome::Outcome;
use crate::reader::Reader;
use crate::sealing::Keyring;

/// The state hash that was asked for last. Whoever asks for the status needs no log-in, and the hash walks the whole state: so it is
/// computed once for each state, and who asks meanwhile waits for it.
#[derive(Default)]
pub(crate) struct LastHash(Mutex<Option<Known>>);

struct Known {
    index: LogIndex,
    /// The hash is under a key of the cluster, which activation changes.
    keyring: Weak<Keyring>,
    hash: Vec<u8>,
}

impl LastHash {
    fn of(
        &self,
        index: LogIndex,
        keyring: &Arc<Keyring>,
        compute: impl FnOnce() -> Vec<u8>,
    ) -> Vec<u8> {
        // A panic elsewhere leaves the last hash or none: both are good.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under = Arc::downgrade(keyring);
        if let Some(known) = known.as_ref()
            && known.index == index
            && known.keyring.ptr_eq(&under)
        {
            return known.hash.clone();
        }
        let hash = compute();
        *known = Some(Known { index, keyring: under, hash: hash.clone() });
        hash
    }
}

/// Answers how the HSM and its cluster are.
pub(crate) fn handle(reader: &Reader) -> Outcome {
    let reader = reader.clone();
    // The state hash walks the whole state.
    Outcome::offload(move || Outcome::answer(Answer::Status(status(&reader))))
}

/// What the module cannot know of itself: how the HSMs reach each other, and how its disk is. The one who runs it says so.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Who leads, if it is known.
    pub leader: Option<u64>,
    /// Members that this HSM has lost sight of, as far as it can tell.
    pub away: Vec<u64>,
    /// Members that vote on changes.
    pub voters: Vec<u64>,
    /// How far the log of each member goes, as far as this HSM knows: the leader does.
    pub reached: Vec<(u64, u64)>,
    /// Raft's term.
    pub term: u64,
    /// Whether changes can be written here.
    pub writes: Writes,
    /// Free bytes and all bytes of the disk, if it can be told.
    pub disk: Option<(u64, u64)>,
}

/// Whether changes can be written to an HSM's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// They can.
    #[default]
    Possible,
    /// There is no room.
    NoRoom,
    /// The disk failed.
    Failed,
}

/// Health in one word, and its reason.
fn health(hsm: &Hsm, this: bool, surroundings: &Surroundings) -> (&'static str, &'static str) {
    if surroundings.away.contains(&hsm.node) {
        return ("away", "the HSM that answers does not reach it");
    }
    if !this {
        return ("ok", "");
    }
    match surroundings.writes {
        Writes::Failed => ("failed", "its disk failed: replace the disk, then the HSM"),
        Writes::NoRoom => ("read-only", "its disk is full: make room"),
        Writes::Possible if surroundings.leader.is_none() => {
            ("isolated", "it knows no leader: a majority of the HSMs does not answer it")
        }
        Writes::Possible => ("ok", ""),
    }
}

fn one(hsm: &Hsm, reader: &Reader, surroundings: &Surroundings) -> HsmStatus {
    let this = hsm.id == reader.this().id;
    let (health, reason) = health(hsm, this, surroundings);
    let reached = surroundings.reached.iter().find(|(node, _)| *node == hsm.node);
    let index = if this { reader.index().0 } else { reached.map_or(0, |(_, index)| *index) };
    let disk = surroundings.disk.filter(|_| this).unwrap_or_default();
    HsmStatus {
        hsm: hsm.id.as_bytes().to_vec(),
        address: hsm.said.address.clone(),
        zone: hsm.said.zone.clone(),
        version: if this { reader.this().version.clone() } else { hsm.said.version.clone() },
        health: health.to_owned(),
        leader: surroundings.leader == Some(hsm.node),
        certificate_end: if this { reader.shared().activity.leaf_end() } else { 0 },
        connections: if this { reader.shared().activity.connections() } else { 0 },
        requests: if this { reader.shared().activity.requests() } else { 0 },
        node: hsm.node,
        peer_address: hsm.said.peer_address.clone(),
        this,
        index,
        term: if this { surroundings.term } else { 0 },
        reason: reason.to_owned(),
        disk_free: disk.0,
        disk_size: disk.1,
        votes: surroundings.voters.contains(&hsm.node),
    }
}

fn warnings(hsms: &[HsmStatus]) -> Vec<String> {
    let mut warnings = Vec::new();
    if hsms.len() == 1 {
        warnings.push("one HSM: not durable against its loss".to_owned());
    }
    if hsms.len() == 2 {
        warnings.push("two HSMs: changes need both of them".to_owned());
    }
    let zones: std::collections::BTreeSet<&str> =
        hsms.iter().map(|hsm| hsm.zone.as_str()).collect();
    if zones.len() < hsms.len() {
        warnings.push("HSMs share a zone: what strikes it strikes them together".to_owned());
    }
    warnings
}

fn status(reader: &Reader) -> Status {
    let state = reader.state();
    let settings = state.settings();
    let (secrets, keyring) = (reader.shared().secrets(), reader.keyring());
    let this = reader.this();
    let surroundings = reader.surroundings();
    let hsms: Vec<_> = state.members.iter().map(|hsm| one(hsm, reader, &surroundings)).collect();
    let mut warnings = warnings(&hsms);
    let fips_library = casemate_crypto::is_fips_library();
    if settings.fips_mode && !fips_library {
        warnings.push("FIPS mode, but not the validated library".to_owned());
    }
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let cluster = state.cluster.as_ref();
    Status {
        cluster: secrets.cluster().as_bytes().to_vec(),
        lifecycle: cluster.map_or(0, |cluster| cluster.lifecycle as u32),
        fips_mode: settings.fips_mode,
        fips_library,
        protection: this.protection.clone(),
        hsms,
        index: state.index.0,
        state_hash: reader.last_hash().of(state.index, &keyring, || state.hash(&keyring)),
        objects: count(state.objects.len()),
        users: count(state.users.len()),
        dev: settings.dev,
        warnings,
        incarnation: secrets.incarnation().as_bytes().to_vec(),
        cluster_key_sha256: cluster.map_or_else(Vec::new, |cluster| cluster.key_sha256().to_vec()),
        cluster_certificate_end: cluster
            .map_or(0, |cluster| certificates::end(cluster.certificate())),
        trust_anchor_end: cluster.map_or(0, |cluster| certificates::end(cluster.trust_anchor())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secrets;
    use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};

    fn keyring() -> Arc<Keyring> {
        let own = crate::secrets::Own::generate().unwrap();
        Arc::new(Keyring::new(&Secrets::generate(
            ClusterId::from_bytes([1; 10]),
            Incarnation::from_bytes([2; 16]),
            HsmId::from_bytes([3; 10]),
            own,
        )))
    }

    #[test]
    fn a_hash_is_computed_once_for_each_state_and_key() {
        let last = LastHash::default();
        let (first, second) = (keyring(), keyring());
        let mut computed = 0;
        for (index, keyring) in [(1, &first), (1, &first), (2, &first), (2, &second), (2, &second)]
        {
            let hash = last.of(LogIndex(index), keyring, || {
                computed += 1;
                vec![computed]
            });
            assert_eq!(hash, [computed]);
        }
        assert_eq!(computed, 3);
    }
}
