//! What the module says of itself to whoever asks: status and settings. Nothing here is secret.

use casemate_protocol::messages::{Answer, HsmStatus, Settings, Status};

use crate::outcome::Outcome;
use crate::reader::{Context, Reader};

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
    let secrets = reader.shared().secrets();
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
        state_hash: state.hash(&reader.keyring()),
        objects: count(state.objects.len()),
        users: count(state.users.len()),
        dev: settings.dev,
        warnings,
        incarnation: secrets.incarnation().as_bytes().to_vec(),
        cluster_key_sha256: cluster.map_or_else(Vec::new, |cluster| cluster.key_sha256().to_vec()),
    }
}
