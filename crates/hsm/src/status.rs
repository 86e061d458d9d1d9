//! What the module says of itself to whoever asks: status and settings. Nothing here is secret.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use casemate_protocol::identity::LogIndex;
use casemate_protocol::messages::{Answer, HsmStatus, Settings, Status};

use crate::outcome::Outcome;
use crate::reader::{Context, Reader};
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

/// Answers what a client must know of the cluster's settings.
pub(crate) fn settings(context: &Context<'_>) -> Outcome {
    let settings = context.state.settings();
    Outcome::answer(Answer::Settings(Settings {
        public_objects: settings.public_objects,
        activation_open: settings.activation_open,
    }))
}

fn status(reader: &Reader) -> Status {
    let state = reader.state();
    let settings = state.settings();
    let (secrets, keyring) = (reader.shared().secrets(), reader.keyring());
    let this = reader.this();
    let hsm = HsmStatus {
        hsm: this.id.as_bytes().to_vec(),
        address: this.address.clone(),
        zone: this.zone.clone(),
        version: this.version.clone(),
        health: "ok".to_owned(),
        leader: true,
        certificate_end: 0,
    };
    let mut warnings = vec!["one HSM: not durable against its loss".to_owned()];
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
        hsms: vec![hsm],
        index: state.index.0,
        state_hash: reader.last_hash().of(state.index, &keyring, || state.hash(&keyring)),
        objects: count(state.objects.len()),
        users: count(state.users.len()),
        dev: settings.dev,
        warnings,
        incarnation: secrets.incarnation().as_bytes().to_vec(),
        cluster_key_sha256: cluster.map_or_else(Vec::new, |cluster| cluster.key_sha256().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secrets;
    use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};

    fn keyring() -> Arc<Keyring> {
        let identity = casemate_crypto::Secret::from_slice(&[1; 32]);
        Arc::new(Keyring::new(&Secrets::generate(
            ClusterId::from_bytes([1; 10]),
            Incarnation::from_bytes([2; 16]),
            HsmId::from_bytes([3; 10]),
            identity,
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
