//! `casemate cluster status`: how the cluster and each of its HSMs are, once or live.

use std::fmt::Write as _;
use std::time::Duration;

use casemate_client::Config;
use casemate_client::survey::{Survey, Surveyed, survey};
use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};
use casemate_protocol::messages::Lifecycle;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::arguments::StatusOf;
use crate::cluster::id;
use crate::error::CliError;
use crate::hex;
use crate::output::Output;

/// Runs it.
pub(crate) fn run(arguments: &StatusOf, output: &Output) -> Result<(), CliError> {
    let config = Config::find()?;
    if !arguments.watch {
        let survey = output.waiting("waiting for the cluster", || survey(&config))?;
        output.result(&text(&survey), data(&survey));
        return Ok(());
    }
    loop {
        let (text, data) = match survey(&config) {
            Ok(survey) => (text(&survey), data(&survey)),
            // It may come back: whoever watches wants to see that.
            Err(error) => {
                (error.to_string(), json!({ "health": "away", "reason": error.to_string() }))
            }
        };
        if !output.renewed(&text, &data) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(arguments.interval));
    }
}

fn cluster_name(survey: &Survey) -> String {
    id(&survey.cluster.cluster, ClusterId::from_bytes).map_or_else(String::new, |id| id.to_string())
}

fn hsm_name(hsm: &Surveyed) -> String {
    id(&hsm.said.hsm, HsmId::from_bytes).map_or_else(String::new, |id| id.to_string())
}

fn state(survey: &Survey) -> &'static str {
    Lifecycle::from_number(survey.cluster.lifecycle).map_or("UNKNOWN", Lifecycle::name)
}

const fn mode(survey: &Survey) -> &'static str {
    if survey.cluster.fips_mode { "FIPS" } else { "NON_FIPS" }
}

/// A day in words; empty if there is none.
fn day(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    let moment = moment.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.map_or_else(|| "-".to_owned(), |moment| moment.date().to_string())
}

/// Bytes in words.
fn size(bytes: u64) -> String {
    match bytes {
        0 => "-".to_owned(),
        bytes if bytes >= 1 << 30 => format!("{} GiB", bytes >> 30),
        bytes => format!("{} MiB", bytes >> 20),
    }
}

fn row(hsm: &Surveyed) -> [String; 9] {
    let said = &hsm.said;
    let part = match (said.leader, said.votes) {
        (true, _) => "leader",
        (false, true) => "",
        (false, false) => "learner",
    };
    let known = |text: String| if hsm.lag.is_some() { text } else { "-".to_owned() };
    [
        hsm_name(hsm),
        said.zone.clone(),
        said.address.clone(),
        said.health.clone(),
        known(said.index.to_string()),
        hsm.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
        size(said.disk_free),
        day(said.certificate_end),
        format!("{} {part}", said.version).trim_end().to_owned(),
    ]
}

const HEADINGS: [&str; 9] =
    ["HSM", "ZONE", "ADDRESS", "HEALTH", "INDEX", "LAG", "FREE", "CERTIFICATE", "VERSION"];

/// Rows under their headings, each column as wide as it must be.
fn table(rows: &[[String; 9]]) -> String {
    let mut text = String::new();
    let headings = HEADINGS.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let widths: Vec<usize> =
        (0..9).map(|column| all().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _written = write!(line, "{cell:<width$}  ").is_ok();
        }
        text.push('\n');
        text.push_str(line.trim_end());
    }
    text
}

fn text(survey: &Survey) -> String {
    let cluster = &survey.cluster;
    let (health, reason) = survey.health();
    let why = if reason.is_empty() { reason } else { format!(" ({reason})") };
    let term = survey.leader().map_or(0, |leader| leader.said.term);
    let mut text = format!(
        "{}  {}  {}  {}{why}\nkeys and objects  {}\nusers             {}\nindex             {}\nterm              {term}\nstate hash        {}\nsecrets at rest   {}\ncertificates end  {} (cluster), {} (customer's CA)\n",
        cluster_name(survey),
        state(survey),
        mode(survey),
        health.name(),
        cluster.objects,
        cluster.users,
        cluster.index,
        hex::encode(&cluster.state_hash),
        cluster.protection,
        day(cluster.cluster_certificate_end),
        day(cluster.trust_anchor_end),
    );
    let rows: Vec<_> = survey.hsms.iter().map(row).collect();
    text.push_str(&table(&rows));
    for hsm in survey.hsms.iter().filter(|hsm| !hsm.said.reason.is_empty()) {
        let _written =
            write!(text, "\nzone {}: {}, {}", hsm.said.zone, hsm.said.health, hsm.said.reason)
                .is_ok();
    }
    for warning in &survey.warnings {
        let _written = write!(text, "\nwarning: {warning}").is_ok();
    }
    text
}

fn hsm_data(hsm: &Surveyed) -> Value {
    let said = &hsm.said;
    json!({
        "hsm-id": hsm_name(hsm), "address": said.address, "peer-address": said.peer_address, "zone": said.zone,
        "version": said.version, "health": said.health, "reason": said.reason, "leader": said.leader,
        "votes": said.votes, "node": said.node, "index": hsm.lag.map(|_alive| said.index), "lag": hsm.lag,
        "term": hsm.lag.map(|_alive| said.term), "state-hash": hsm.state_hash.as_deref().map(hex::encode),
        "disk-free-bytes": said.disk_free, "disk-size-bytes": said.disk_size,
        "certificate-end": said.certificate_end, "connections": said.connections, "requests": said.requests,
    })
}

fn data(survey: &Survey) -> Value {
    let cluster = &survey.cluster;
    let (health, reason) = survey.health();
    let incarnation = id(&cluster.incarnation, Incarnation::from_bytes)
        .map_or_else(String::new, |id| id.to_string());
    let hsms: Vec<Value> = survey.hsms.iter().map(hsm_data).collect();
    json!({
        "cluster-id": cluster_name(survey), "state": state(survey), "mode": mode(survey),
        "health": health.name(), "reason": reason, "fips-library": cluster.fips_library,
        "objects": cluster.objects, "users": cluster.users, "index": cluster.index,
        "term": survey.leader().map(|leader| leader.said.term),
        "leader": survey.leader().map(hsm_name), "state-hash": hex::encode(&cluster.state_hash),
        "protection": cluster.protection, "incarnation": incarnation, "dev": cluster.dev,
        "cluster-certificate-end": cluster.cluster_certificate_end, "trust-anchor-end": cluster.trust_anchor_end,
        "hsms": hsms, "warnings": survey.warnings,
    })
}
