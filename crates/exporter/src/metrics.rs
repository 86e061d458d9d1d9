//! The metrics: which there are, and what each is of a survey. docs/operate/monitoring.md lists them.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use casemate_client::survey::{Health, Survey, Surveyed};
use casemate_protocol::identity::{ClusterId, HsmId};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The text format of OpenMetrics.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfHsm {
    hsm: String,
    zone: String,
    address: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfVersion {
    hsm: String,
    zone: String,
    version: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfCluster {
    cluster: String,
    mode: &'static str,
}

type OfHsms = Family<OfHsm, Gauge<u64, AtomicU64>>;
type One = Gauge<u64, AtomicU64>;

/// What is said of each HSM that answers: name, what it is, and its value.
type Row = (&'static str, &'static str, Option<Unit>, fn(&Surveyed) -> u64);

fn rows() -> [Row; 10] {
    [
        ("hsm_well", "1 if the HSM finds nothing wrong with itself", None, |hsm| {
            u64::from(hsm.said.health == "ok")
        }),
        ("hsm_leader", "1 if the HSM leads", None, |hsm| u64::from(hsm.said.leader)),
        ("hsm_voter", "1 if the HSM votes on changes", None, |hsm| u64::from(hsm.said.votes)),
        ("hsm_index", "The last entry of the log that the HSM applied", None, |hsm| hsm.said.index),
        ("hsm_lag", "Entries that another HSM applied and this one did not", None, |hsm| {
            hsm.lag.unwrap_or_default()
        }),
        ("hsm_connections", "Connections of applications", None, |hsm| hsm.said.connections),
        ("hsm_disk_free", "Room on the HSM's disk", Some(Unit::Bytes), |hsm| hsm.said.disk_free),
        ("hsm_disk_size", "Size of the HSM's disk", Some(Unit::Bytes), |hsm| hsm.said.disk_size),
        (
            "hsm_certificate_end_timestamp",
            "When the HSM's certificate ends, since 1970",
            Some(Unit::Seconds),
            |hsm| hsm.said.certificate_end,
        ),
        ("hsm_term", "Raft's term as the HSM knows it", None, |hsm| hsm.said.term),
    ]
}

/// The states of a cluster: that of its health, and that it does not answer at all.
const UNREACHABLE: &str = "unreachable";
const STATES: [&str; 4] =
    [Health::Ok.name(), Health::Degraded.name(), Health::ReadOnly.name(), UNREACHABLE];

fn name(hsm: &Surveyed) -> String {
    let id: Result<[u8; 10], _> = hsm.said.hsm.as_slice().try_into();
    id.map_or_else(|_error| String::new(), |id| HsmId::from_bytes(id).to_string())
}

fn labels(hsm: &Surveyed) -> OfHsm {
    OfHsm { hsm: name(hsm), zone: hsm.said.zone.clone(), address: hsm.said.address.clone() }
}

fn set(registry: &mut Registry, what: &str, help: &str, value: u64) {
    let gauge = One::default();
    gauge.set(value);
    registry.register(what, help, gauge);
}

fn register_hsms(registry: &mut Registry, hsms: &[Surveyed]) {
    let up = OfHsms::default();
    for hsm in hsms {
        up.get_or_create(&labels(hsm)).set(u64::from(hsm.lag.is_some()));
    }
    registry.register("hsm_up", "1 if the HSM answers", up);
    let alive = || hsms.iter().filter(|hsm| hsm.lag.is_some());
    for (what, help, unit, value) in rows() {
        let family = OfHsms::default();
        for hsm in alive() {
            family.get_or_create(&labels(hsm)).set(value(hsm));
        }
        match unit {
            Some(unit) => registry.register_with_unit(what, help, unit, family),
            None => registry.register(what, help, family),
        }
    }
    let requests = Family::<OfHsm, Counter>::default();
    let version = Family::<OfVersion, One>::default();
    for hsm in alive() {
        requests.get_or_create(&labels(hsm)).inc_by(hsm.said.requests);
        let (zone, its) = (hsm.said.zone.clone(), hsm.said.version.clone());
        version.get_or_create(&OfVersion { hsm: name(hsm), zone, version: its }).set(1);
    }
    registry.register("hsm_requests", "Requests since the HSM started", requests);
    registry.register("hsm_version", "1 for the version that the HSM runs", version);
}

fn register_cluster(registry: &mut Registry, survey: &Survey) {
    let cluster = &survey.cluster;
    let id: Result<[u8; 10], _> = cluster.cluster.as_slice().try_into();
    let name = id.map_or_else(|_error| String::new(), |id| ClusterId::from_bytes(id).to_string());
    let mode = if cluster.fips_mode { "FIPS" } else { "NON_FIPS" };
    let info = Family::<OfCluster, One>::default();
    info.get_or_create(&OfCluster { cluster: name, mode }).set(1);
    registry.register("cluster_info", "1 for the cluster and its mode", info);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    set(registry, "cluster_objects", "Keys and other objects", cluster.objects);
    set(registry, "cluster_users", "Users", cluster.users);
    set(registry, "cluster_hsms", "HSMs that are members", count(survey.hsms.len()));
    set(registry, "cluster_warnings", "Warnings of the status", count(survey.warnings.len()));
    let leads = u64::from(survey.leader().is_some());
    set(registry, "cluster_has_leader", "1 if an HSM leads, so that changes can be made", leads);
    let agree = u64::from(!survey.states_differ());
    set(registry, "cluster_states_agree", "0 if two HSMs differ at one index of the log", agree);
    let ends = [
        ("cluster_certificate_end_timestamp", cluster.cluster_certificate_end),
        ("cluster_trust_anchor_end_timestamp", cluster.trust_anchor_end),
    ];
    for (what, end) in ends.into_iter().filter(|(_, end)| *end > 0) {
        let gauge = One::default();
        gauge.set(end);
        let help = "When the certificate ends, since 1970";
        registry.register_with_unit(what, help, Unit::Seconds, gauge);
    }
}

/// Writes what was found; none if the cluster does not answer.
pub(crate) fn text(survey: Option<&Survey>, took: Duration) -> String {
    let mut registry = Registry::with_prefix("casemate");
    let state = survey.map_or(UNREACHABLE, |survey| survey.health().0.name());
    let health = Family::<OfState, One>::default();
    for known in STATES {
        health.get_or_create(&OfState { state: known }).set(u64::from(known == state));
    }
    registry.register("cluster_health", "1 for the state that the cluster is in", health);
    let duration = Gauge::<f64, AtomicU64>::default();
    duration.set(took.as_secs_f64());
    let help = "How long the cluster took to answer this scrape";
    registry.register_with_unit("scrape_duration", help, Unit::Seconds, duration);
    if let Some(survey) = survey {
        register_cluster(&mut registry, survey);
        register_hsms(&mut registry, &survey.hsms);
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _written = encode(&mut text, &registry).is_ok();
    text
}
